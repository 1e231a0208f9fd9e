//! Which of the job's security roles a user is to be given, and which to be deprived of. No I/O.

use std::sync::Arc;

use super::rules::Rules;
use crate::{
    directory::Memberships,
    model::{
        edit::Edit,
        role::{self, Role},
        user::{Current, EntityId, User},
    },
};

/// In which roles a user differs from its person.
#[derive(Debug, Default)]
pub struct RoleDifferences {
    /// What gives and takes roles, in the order of the configuration.
    pub edits: Vec<Edit>,
    /// Roles that the link names as given, and that the user neither has nor is to get.
    pub gone: Vec<EntityId>,
}

/// The roles that the groups of a person give, in the order of the configuration.
fn wanted<'a>(
    memberships: Option<&Memberships>,
    rules: &'a Rules,
    current: &'a Current,
) -> impl Iterator<Item = (&'a Arc<Role>, bool)> + use<'a> {
    let places: Vec<usize> = memberships
        .into_iter()
        .flat_map(|found| rules.roles_of(&found.of_roles))
        .collect();
    let roles = current.roles.iter().enumerate();
    roles.map(move |(place, role)| (role, places.contains(&place)))
}

/// In which roles a user differs from its person, where the link says that the program gave it
/// `given`. What somebody else gave is neither taken nor noted.
#[must_use]
pub fn differences(
    memberships: Option<&Memberships>,
    user: &User,
    given: &[EntityId],
    (rules, current): (&Rules, &Current),
) -> RoleDifferences {
    let mut differences = RoleDifferences::default();
    if !rules.users.update {
        return differences;
    }
    for (role, is_wanted) in wanted(memberships, rules, current) {
        let held = role::held(&user.roles, &role.name);
        let has = held.is_some_and(|held| held.is_on_all_open);
        match (is_wanted, has) {
            (true, false) => differences.edits.push(Edit::Grant(Arc::clone(role))),
            (true, true) => {}
            (false, _) if !given.contains(&role.id) => {}
            (false, true) => differences.edits.push(Edit::Revoke(Arc::clone(role))),
            (false, false) => differences.gone.push(role.id.clone()),
        }
    }
    differences
}

/// What gives a person without a user the first roles. A new user is no administrator: that takes a
/// person's approval, and a user whom it can be given to.
#[must_use]
pub fn first_roles(
    memberships: Option<&Memberships>,
    (rules, current): (&Rules, &Current),
) -> Vec<Edit> {
    if !rules.users.update {
        return Vec::new();
    }
    let wanted = wanted(memberships, rules, current);
    wanted
        .filter(|(role, is_wanted)| *is_wanted && !role.is_administrator)
        .map(|(role, _)| Edit::Grant(Arc::clone(role)))
        .collect()
}
