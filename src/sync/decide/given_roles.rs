//! The security roles that the job gave and would take, and what holds that.

use super::{Decider, Matched};
use crate::{
    model::{
        change::{HeldBy, Hold},
        edit::Edit,
        entry::DirectoryId,
        link::Link,
        user::{EntityId, User},
    },
    sync::{matching::Match, owner::Owner, roles, roles::RoleDifferences},
};

impl<'a> Matched<'a> {
    /// The links of those who would lose a role of the job, with the role's place in the
    /// configuration.
    #[must_use]
    pub fn losing_roles(&self) -> Vec<(usize, &'a Link)> {
        let mut losing = Vec::new();
        if self.current.roles.is_empty() {
            return losing;
        }
        for ((id, _), found) in self.desired.people().iter().zip(&self.matches) {
            if let Match::Linked(user, link, owner) = found
                && !matches!(owner, Owner::Sibling { .. })
                && !link.roles.is_empty()
            {
                let differences = self.role_differences(id, user, &link.roles);
                let taken = differences.edits.iter();
                let places = taken.filter_map(|edit| self.place_of_taken(edit));
                losing.extend(places.map(|place| (place, *link)));
            }
        }
        losing
    }

    /// The place of a role that an edit takes.
    fn place_of_taken(&self, edit: &Edit) -> Option<usize> {
        match edit {
            Edit::Revoke(role) => self.current.roles.iter().position(|known| known == role),
            Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Grant(_) | Edit::Link => {
                None
            }
        }
    }

    /// In which roles a user differs from its person.
    pub(super) fn role_differences(
        &self,
        id: &DirectoryId,
        user: &User,
        given: &[EntityId],
    ) -> RoleDifferences {
        let settings = (self.rules, self.current);
        roles::differences(self.desired.memberships(id), user, given, settings)
    }

    /// How many roles the links of the job's users name as given.
    pub(super) fn given_roles(&self) -> usize {
        let links = self.current.users.iter();
        let links = links.filter_map(|user| user.link.link());
        let own = links.filter(|link| link.source == self.rules.source);
        own.map(|link| link.roles.len()).sum()
    }
}

impl Decider<'_, '_> {
    /// Holds roles that would be taken from somebody who is a member of their groups all the same, or
    /// may be.
    pub(super) fn hold_roles(&mut self, user: &User, id: &DirectoryId, edits: &[Edit]) {
        let is_unclear = self
            .matched
            .desired
            .memberships(id)
            .is_some_and(|found| found.is_unclear);
        let unclear = || {
            let why = "the person's entry does not show an attribute by which the role's groups may \
                       have members: can the bind account read it? If the person left the groups, \
                       approve it: `plan --out FILE`, then `apply FILE`";
            Hold::new(HeldBy::Doubt, why)
        };
        for edit in edits {
            let (Edit::Revoke(role), Some(place)) = (edit, self.matched.place_of_taken(edit))
            else {
                continue;
            };
            let found = self.evidence.still_members.get(&(id.clone(), place));
            if let Some(hold) = found.cloned().or_else(|| is_unclear.then(unclear)) {
                let held = (user.id.clone(), role.id.clone());
                self.plan.role_holds.insert(held, hold);
            }
        }
    }
}
