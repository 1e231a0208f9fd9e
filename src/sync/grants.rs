//! Which of the job's security roles and memberships a user is to be given, and which to be deprived
//! of. No I/O.

use std::sync::Arc;

use foldhash::HashMap;

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

/// Where each of the job's roles and memberships stands among those of ftrack, by what links note of
/// it: who has few of many is compared with these few.
#[derive(Debug)]
pub struct GrantPlaces(HashMap<GrantId, usize>);

impl GrantPlaces {
    /// The places in [`Current::grants`].
    #[must_use]
    pub fn of(current: &Current) -> Self {
        let grants = current.grants.iter().enumerate();
        Self(grants.map(|(place, grant)| (grant.id(), place)).collect())
    }
}

/// The places of what the groups of a person give, in the order of the configuration.
fn wanted(memberships: Option<&Memberships>, rules: &Rules) -> Vec<usize> {
    let found = memberships.into_iter();
    let found = found.flat_map(|found| rules.grants_of(&found.of_grants));
    sorted(found.collect())
}

fn sorted(mut places: Vec<usize>) -> Vec<usize> {
    places.sort_unstable();
    places.dedup();
    places
}

/// In which roles and memberships a user differs from its person, where the link says that the
/// program gave it `given`. What somebody else gave is neither taken nor noted.
#[must_use]
pub fn differences(
    memberships: Option<&Memberships>,
    user: &User,
    given: &Given,
    (rules, current, places): (&Rules, &Current, &GrantPlaces),
) -> GrantDifferences {
    let mut differences = GrantDifferences::default();
    if !rules.users.update {
        return differences;
    }
    let wanted = wanted(memberships, rules);
    let known = given.iter().filter_map(|id| places.0.get(id));
    for place in sorted(wanted.iter().chain(known).copied().collect()) {
        let Some(grant) = current.grants.get(place) else {
            continue;
        };
        if wanted.binary_search(&place).is_ok() {
            if !has_lastingly(user, grant, given) {
                differences.edits.push(Edit::Grant(Arc::clone(grant)));
            }
        } else if user.grants.has(grant) {
            differences.edits.push(Edit::Revoke(Arc::clone(grant)));
        } else {
            differences.gone.push(grant.id());
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
    let wanted = wanted(memberships, rules).into_iter();
    wanted
        .filter_map(|place| current.grants.get(place))
        .filter(|grant| !grant.is_administrator())
        .map(|grant| Edit::Grant(Arc::clone(grant)))
        .collect()
}
