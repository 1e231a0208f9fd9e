//! What ends all further work at ftrack, sorted by what it asks of whoever would try again. No I/O.

use super::error::{FtrackError, Trouble};

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked to stop.
    Told,
    /// The time of the run was used up.
    TimeLimit,
    /// The user or the key was refused; many more attempts may lock it.
    Credentials,
    /// Anything else.
    Other,
}

/// Why writing was ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// In words.
    pub why: String,
    /// What it is about.
    pub cause: Cause,
}

impl Stopped {
    pub(super) fn told() -> Self {
        Self {
            why: "the run was told to stop".into(),
            cause: Cause::Told,
        }
    }

    pub(super) fn late() -> Self {
        Self {
            why: "the run's time limit is over".into(),
            cause: Cause::TimeLimit,
        }
    }
}

impl FtrackError {
    /// What it is about.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self.trouble() {
            Trouble::Cancelled => Cause::Told,
            Trouble::DeadlinePassed => Cause::TimeLimit,
            Trouble::Credentials(_)
            | Trouble::Status {
                status: 401 | 403, ..
            } => Cause::Credentials,
            // Older servers have no class of their own for it; a right that is missing is told
            // apart before.
            Trouble::Refused(refusal) if refusal.status == 403 => Cause::Credentials,
            Trouble::Refused(_)
            | Trouble::Status { .. }
            | Trouble::Setup(_)
            | Trouble::Unreachable { .. }
            | Trouble::Interrupted(_)
            | Trouble::TimedOut(_)
            | Trouble::Redirected { .. }
            | Trouble::Busy(_)
            | Trouble::NotJson(_)
            | Trouble::Damaged(_)
            | Trouble::TooLarge(_)
            | Trouble::Malformed(_)
            | Trouble::Permission(_)
            | Trouble::Changing { .. }
            | Trouble::CutShort { .. }
            | Trouble::UnknownCustomAttribute(_)
            | Trouble::UnknownRole { .. } => Cause::Other,
        }
    }
}
