//! People of the reading whom only a person can help.

use std::collections::BTreeSet;

use super::Decider;
use crate::{
    model::{entry::DirectoryId, reason::Reason, user::User},
    sync::decision::{Outcome, Who},
};

impl Decider<'_, '_> {
    /// Finds whom a person must settle: who has no active user for such a reason; and where most
    /// people are skipped for what they are to have, all of these, since the rules for all of them
    /// are wrong.
    pub(super) fn find_unsettled(&mut self) {
        self.plan.unsettled = self.without_an_active_user();
        let people = self.matched.desired.people().len();
        let skipped = self.skipped_for_values();
        if skipped.len() > 1 && skipped.len() * 2 > people {
            self.plan.notices.push(format!(
                "{} of {people} people are skipped because of their values, or because others \
                 have or ask for them; see the skipped entries, and check the job's attributes",
                skipped.len()
            ));
            self.plan.unsettled.extend(skipped);
        }
    }

    /// The people who are skipped because of values that ftrack would not take, or that others are to
    /// have as well.
    fn skipped_for_values(&self) -> BTreeSet<DirectoryId> {
        let skipped = self.plan.decisions.iter().filter(|decision| {
            decision.outcome == Outcome::Skipped && decision.reason.is_of_values()
        });
        skipped
            .filter_map(|decision| match decision.who {
                Who::Person((id, _)) => Some(id.clone()),
                Who::Entry(_) | Who::User(_) => None,
            })
            .collect()
    }

    /// Those of the people who were skipped for a reason that a person must settle, and have no
    /// active user.
    fn without_an_active_user(&self) -> BTreeSet<DirectoryId> {
        if self.unsettled.is_empty() {
            return BTreeSet::new();
        }
        let current = self.matched.current;
        let active = current.users.iter().filter(|user| user.is_active);
        let mut unsettled = self.unsettled.clone();
        for user in active {
            match user.link.link() {
                Some(link) => unsettled.remove(&link.id),
                None => self.claimed(user).is_some_and(|id| unsettled.remove(id)),
            };
        }
        let becomes_active = self
            .plan
            .changes()
            .filter(|change| change.activity() == Some(true));
        for change in becomes_active {
            unsettled.remove(&change.directory_id);
        }
        unsettled.into_iter().cloned().collect()
    }

    /// The person whom an unreadable link of the user names.
    fn claimed(&self, user: &User) -> Option<&DirectoryId> {
        let mut claims = self.matched.current.claims.iter();
        claims.find_map(|(id, of)| (*of == user.id).then_some(id))
    }
}

impl Reason {
    /// Whether it is about the values that a person is to have in ftrack.
    fn is_of_values(&self) -> bool {
        matches!(self, Self::InvalidValue(_)) || self.needs_a_person()
    }

    /// Whether a person has to settle for whom the user is.
    pub(super) fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::SeveralUsers(_)
                | Self::SeveralAdoptable(_)
                | Self::ClaimedBy(_)
                | Self::LinkOfAnother(_)
                | Self::Contested(_)
                | Self::UsernameTaken(_)
        )
    }
}
