//! What a person said by hand of a person of the directory and a user.

use std::fmt;

/// What a person did, by a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    /// `link`: gave the user to the person.
    Linked,
    /// `unlink`: took the user from the person.
    Unlinked,
    /// `release`: took the user, with all others, from the job.
    Released,
}

impl fmt::Display for ByHand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linked => "a person gave the user to them, by `link`",
            Self::Unlinked => {
                "a person unlinked the user, by `unlink`; neither the user nor the person is \
                 touched until `link`"
            }
            Self::Released => "a person released the users of the job, by `release`",
        })
    }
}

/// Why somebody has no user, whose user was this one.
pub(super) fn unlinked(username: &str) -> String {
    format!(
        "a person unlinked the ftrack user {username:?} from it, so neither is touched, and no \
         other user is made; `link` gives it a user again"
    )
}
