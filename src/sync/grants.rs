//! Which of the job's security roles and memberships a user is to be given, and which to be deprived
//! of. No I/O.

use std::sync::Arc;

use super::rules::Rules;
use crate::{
    directory::Memberships,
    model::{
        edit::Edit,
        given::{Given, GrantId},
        grant::Grant,
        user::{Current, User},
    },
};

/// In which roles and memberships a user differs from its person.
#[derive(Debug, Default)]
pub struct GrantDifferences {
    /// What gives and takes them, in the order of the configuration.
    pub edits: Vec<Edit>,
    /// What the link names as given, and the user neither has nor is to get.
    pub gone: Vec<GrantId>,
}

/// What the groups of a person give, in the order of the configuration.
fn wanted<'a>(
    memberships: Option<&Memberships>,
    rules: &'a Rules,
    current: &'a Current,
) -> impl Iterator<Item = (&'a Arc<Grant>, bool)> + use<'a> {
    let places: Vec<usize> = memberships
        .into_iter()
        .flat_map(|found| rules.grants_of(&found.of_grants))
        .collect();
    let grants = current.grants.iter().enumerate();
    grants.map(move |(place, grant)| (grant, places.contains(&place)))
}

/// In which roles and memberships a user differs from its person, where the link says that the
/// program gave it `given`. What somebody else gave is neither taken nor noted.
#[must_use]
pub fn differences(
    memberships: Option<&Memberships>,
    user: &User,
    given: &Given,
    (rules, current): (&Rules, &Current),
) -> GrantDifferences {
    let mut differences = GrantDifferences::default();
    if !rules.users.update {
        return differences;
    }
    for (grant, is_wanted) in wanted(memberships, rules, current) {
        let id = grant.id();
        if is_wanted {
            if !has_lastingly(user, grant, given) {
                differences.edits.push(Edit::Grant(Arc::clone(grant)));
            }
        } else if given.contains(&id) {
            if user.grants.has(grant) {
                differences.edits.push(Edit::Revoke(Arc::clone(grant)));
            } else {
                differences.gone.push(id);
            }
        }
    }
    differences
}

/// Whether a user has what a grant gives, and keeps it: a role for all open projects that the job gave
/// is taken where the job gives it for single ones.
fn has_lastingly(user: &User, grant: &Grant, given: &Given) -> bool {
    let ends = match grant {
        Grant::ProjectRole { role, .. } => given.contains(&GrantId::Role(role.id.clone())),
        Grant::Role(_) | Grant::Group(_) => false,
    };
    if ends {
        user.grants.has(grant)
    } else {
        user.grants.covers(grant)
    }
}

/// What gives a person without a user the first roles and memberships. A new user is no
/// administrator: that takes a person's approval, and a user whom it can be given to.
#[must_use]
pub fn first_grants(
    memberships: Option<&Memberships>,
    (rules, current): (&Rules, &Current),
) -> Vec<Edit> {
    if !rules.users.update {
        return Vec::new();
    }
    let wanted = wanted(memberships, rules, current);
    wanted
        .filter(|(grant, is_wanted)| *is_wanted && !grant.is_administrator())
        .map(|(grant, _)| Edit::Grant(Arc::clone(grant)))
        .collect()
}
