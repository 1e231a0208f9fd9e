//! The roles and memberships that the job gave and would take, and what holds that.

use super::{Decider, Matched, people::Waking};
use crate::{
    model::{
        change::{HeldBy, Hold},
        edit::Edit,
        entry::DirectoryId,
        given::Given,
        grant::Grant,
        link::Link,
        user::User,
        way_to_approve::BY_NUMBER,
    },
    sync::{grants, grants::GrantDifferences, matching::Match, owner::Owner},
};

impl<'a> Matched<'a> {
    /// The links of those who would lose a role or a membership, with its place in the job's rules.
    #[must_use]
    pub fn losing_grants(&self) -> Vec<(usize, &'a Link)> {
        let mut losing = Vec::new();
        if self.current.grants.is_empty() {
            return losing;
        }
        for ((id, _), found) in self.desired.people().iter().zip(&self.matches) {
            if let Match::Linked(user, link, owner) = found
                && !matches!(owner, Owner::Sibling { .. })
                && !link.given.is_empty()
                && (user.is_active || Waking::of(user, link, self.rules) == Waking::Wakes)
            {
                let differences = self.grant_differences(id, user, &link.given);
                let taken = differences.edits.iter().filter_map(taken);
                let places = taken.filter_map(|grant| self.place_of(grant));
                losing.extend(places.map(|place| (place, *link)));
            }
        }
        losing
    }

    fn place_of(&self, grant: &Grant) -> Option<usize> {
        let mut known = self.current.grants.iter();
        known.position(|known| **known == *grant)
    }

    /// In which roles and memberships a user differs from its person.
    pub(super) fn grant_differences(
        &self,
        id: &DirectoryId,
        user: &User,
        given: &Given,
    ) -> GrantDifferences {
        let settings = (self.rules, self.current, &self.grant_places);
        grants::differences(self.desired.memberships(id), user, given, settings)
    }

    /// How many roles and memberships the links of the job's users name as given.
    pub(super) fn given_grants(&self) -> usize {
        let links = self.current.users.iter();
        let links = links.filter_map(|user| user.link.link());
        let own = links.filter(|link| self.owners.is_ours(link));
        own.map(|link| link.given.len()).sum()
    }
}

/// What an edit takes.
fn taken(edit: &Edit) -> Option<&Grant> {
    match edit {
        Edit::Revoke(grant) => Some(grant),
        Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Grant(_) | Edit::Link => None,
    }
}

impl Decider<'_, '_> {
    /// Holds what would be taken from somebody who is a member of its groups all the same, or may be.
    pub(super) fn hold_grants(&mut self, user: &User, id: &DirectoryId, edits: &[Edit]) {
        let is_unclear = self
            .matched
            .desired
            .memberships(id)
            .is_some_and(|found| found.is_unclear);
        let unclear = |grant: &Grant| {
            let why = format!(
                "the person's entry does not show an attribute by which the {}'s groups may have \
                 members: can the bind account read it? If the person left the groups, approve it: \
                 {BY_NUMBER}",
                grant.noun()
            );
            Hold::new(HeldBy::Doubt, why)
        };
        for edit in edits {
            let Some(grant) = taken(edit) else { continue };
            let Some(place) = self.matched.place_of(grant) else {
                continue;
            };
            let found = self.evidence.still_members.get(&(id.clone(), place));
            if let Some(hold) = found
                .cloned()
                .or_else(|| is_unclear.then(|| unclear(grant)))
            {
                let held = (user.id.clone(), grant.id());
                self.plan.grant_holds.insert(held, hold);
            }
        }
    }
}
