//! Users whose invitation an earlier run asked for, without knowing the answer.

use super::Decider;
use crate::{
    model::sent::Invitation,
    sync::{matching::Match, owner::Owner},
};

/// The most users that are named in one notice.
const NAMED: usize = 8;

impl Decider<'_, '_> {
    /// Names the users who may have got no invitation; none is sent again.
    pub(super) fn of_invitations(&mut self) {
        let matches = self.matched.matches.iter();
        let mut logins: Vec<&str> = matches
            .filter_map(|found| match found {
                Match::Linked(user, link, Owner::Ours)
                    if link.sent.invitation == Some(Invitation::Asked) =>
                {
                    Some(&*user.username)
                }
                Match::Linked(..)
                | Match::Adopted(_)
                | Match::New
                | Match::Unlinked(_)
                | Match::Disabled(_)
                | Match::Skipped(_) => None,
            })
            .collect();
        if logins.is_empty() {
            return;
        }
        logins.sort_unstable();
        let number = logins.len();
        logins.truncate(NAMED);
        let more = match number - logins.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        self.notice(format!(
            "an earlier run ended while ftrack was asked for invitations: whether these users got \
             one is not known, and none is sent again; ask them, or invite them in ftrack: {}{more}",
            logins.join(", ")
        ));
    }
}
