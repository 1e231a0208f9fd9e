//! Of whom a reading decides nothing: what was rejected of them stays so. No I/O.

use std::collections::BTreeSet;

use super::{
    decision::{Decision, Outcome, Plan, Who},
    desired::Desired,
    matching::created_id,
};
use crate::model::{
    entry::DirectoryId,
    reason::Reason,
    user::{Current, EntityId, User},
};

/// The users about whom a plan decides nothing, those that would be created among them: whether the
/// cause of a change has ended is not known.
#[must_use]
pub fn users(
    plan: &Plan<'_>,
    desired: &Desired,
    current: &Current,
    source: &str,
) -> BTreeSet<EntityId> {
    let undecided = || {
        let decisions = plan.decisions.iter();
        decisions.filter(|decision| is_undecided(decision))
    };
    let people: BTreeSet<&DirectoryId> = undecided().filter_map(person).collect();
    let users = undecided().filter_map(|decision| Some(decision.user?.id.clone()));
    let mut users: BTreeSet<EntityId> = users.collect();
    if people.is_empty() {
        return users;
    }
    let attribute = desired.id_attribute();
    users.extend(attribute.into_iter().flat_map(|attribute| {
        let ids = people.iter();
        ids.map(move |id| created_id(source, attribute, id))
    }));
    let is_of_one = |user: &&User| {
        let link = user.link.link();
        link.is_some_and(|link| *link.source == *source && people.contains(&link.id))
    };
    let of_people = current.users.iter().filter(is_of_one);
    users.extend(of_people.map(|user| user.id.clone()));
    users
}

fn person<'p>(decision: &Decision<'p>) -> Option<&'p DirectoryId> {
    match decision.who {
        Who::Person((id, _)) => Some(id),
        Who::Entry(entry) => entry.id.as_ref(),
        Who::User(_) => None,
    }
}

fn is_undecided(decision: &Decision<'_>) -> bool {
    match decision.outcome {
        Outcome::Skipped | Outcome::Waiting => true,
        Outcome::LeftAlone | Outcome::Unchanged => matches!(
            decision.reason,
            Reason::EntrySkipped
                | Reason::OtherIdAttribute
                | Reason::NotAsked
                | Reason::DeactivateOff
                | Reason::ReactivateOff
                | Reason::DisabledStays(_)
                | Reason::DisabledSince(_)
                | Reason::SharedLink
                | Reason::Untouchable(_)
                | Reason::UntouchableLeft(_)
        ),
        Outcome::Change(_) => false,
    }
}
