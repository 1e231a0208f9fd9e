//! Whether a reading shows the job's own people: where most of them have users that are not the
//! job's, something else is wrong.

use std::{borrow::Cow, collections::BTreeMap};

use foldhash::HashMap;

use super::PlanRefused;
use crate::{
    model::{link::Link, user::Current},
    sync::{
        desired::Desired,
        matching::Match,
        owner::{Owner, Owners},
        rules::fold,
    },
};

/// Why a user is not the job's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Stranger {
    /// No job has its source.
    NoJob(String),
    /// It is identified by another id attribute.
    OtherAttribute(String),
    /// Its link names another directory.
    OtherDirectory(String),
}

/// Fails where more than half of the people have users that are not the job's for one and the same
/// reason.
///
/// A person has a user by the link, or else by the login: ids of one attribute cannot be found
/// among those of another.
pub(super) fn most_are_ours(
    desired: &Desired,
    current: &Current,
    owners: &Owners<'_>,
    matches: &[Match<'_>],
) -> Result<(), PlanRefused> {
    // Of what changed, most may be other people's.
    if !desired.is_of_everybody() {
        return Ok(());
    }
    let people = desired.people().len();
    let by_login = links_by_login(desired, current, matches);
    let mut counts: BTreeMap<Stranger, usize> = BTreeMap::new();
    for ((_, person), found) in desired.people().iter().zip(matches) {
        let stranger = match found {
            Match::Linked(_, _, owner) => of_owner(owner.clone()),
            Match::New | Match::Skipped(_) => {
                let link = by_login.get(&fold(&person.username)).copied().flatten();
                link.and_then(|link| of_link(link, desired, owners))
            }
            Match::Adopted(_) | Match::Disabled(_) | Match::Unlinked(_) => None,
        };
        if let Some(stranger) = stranger {
            *counts.entry(stranger).or_default() += 1;
        }
    }
    match counts.into_iter().max_by_key(|(_, count)| *count) {
        Some((stranger, count)) if count * 2 > people => {
            Err(unplannable(&stranger, count, people, desired))
        }
        Some(_) | None => Ok(()),
    }
}

/// The links of the users who have the logins of people without a user of their own.
fn links_by_login<'a>(
    desired: &'a Desired,
    current: &'a Current,
    matches: &[Match<'_>],
) -> HashMap<Cow<'a, str>, Option<&'a Link>> {
    let is_without = |found: &Match<'_>| matches!(found, Match::New | Match::Skipped(_));
    let without = desired
        .people()
        .iter()
        .zip(matches)
        .filter(|(_, found)| is_without(found));
    let mut links: HashMap<_, _> = without
        .map(|((_, person), _)| (fold(&person.username), None))
        .collect();
    if !links.is_empty() {
        for user in &current.users {
            if let Some(link) = links.get_mut(&*fold(&user.username)) {
                *link = user.link.link();
            }
        }
    }
    links
}

fn of_owner(owner: Owner) -> Option<Stranger> {
    match owner {
        Owner::NoJob { source } => Some(Stranger::NoJob(source.to_string())),
        Owner::OtherDirectory { directory } => {
            Some(Stranger::OtherDirectory(directory.to_string()))
        }
        Owner::Ours | Owner::OursBefore | Owner::Left { .. } | Owner::Sibling { .. } => None,
    }
}

/// Why the user with a person's login is not the job's, where it does not belong to somebody else
/// of this reading.
fn of_link(link: &Link, desired: &Desired, owners: &Owners<'_>) -> Option<Stranger> {
    match owners.of(link, None) {
        Owner::Ours | Owner::OursBefore => (!desired.is_told_by(&link.attribute))
            .then(|| Stranger::OtherAttribute(link.attribute.to_string())),
        owner @ (Owner::NoJob { .. }
        | Owner::OtherDirectory { .. }
        | Owner::Left { .. }
        | Owner::Sibling { .. }) => of_owner(owner),
    }
}

fn unplannable(stranger: &Stranger, count: usize, people: usize, desired: &Desired) -> PlanRefused {
    let (whose, way_out) = match stranger {
        Stranger::NoJob(source) => (
            format!("belong to the source {source:?}, which no job has"),
            format!(
                "if this job had that name before, or should take over that job's people, set \
                 source = {source:?}; if that job was removed by mistake, restore it"
            ),
        ),
        Stranger::OtherAttribute(attribute) => {
            let read = desired
                .id_attribute()
                .map_or_else(|| "none".to_owned(), ToString::to_string);
            (
                format!(
                    "are identified by the id attribute {attribute}, and this reading uses {read}"
                ),
                format!("set id_attribute = {attribute:?}"),
            )
        }
        Stranger::OtherDirectory(directory) => (
            format!("have links of this job's source from another directory, {directory:?}"),
            "is it the right server? If it was replaced, set id for the directory to that, or \
             give the job another source"
                .to_owned(),
        ),
    };
    PlanRefused::NotOurs {
        count,
        people,
        whose,
        way_out,
    }
}
