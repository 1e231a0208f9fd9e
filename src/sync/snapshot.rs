//! Takes a snapshot of what was read of ftrack. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::put_back::value;
use crate::model::{
    edit::Field,
    link::{LinkFound, Signature},
    own_links::OwnLinks,
    snapshot::{LinkThen, SnapshotUser},
    user::{Current, EntityId, User},
};

/// The values of every user that a reading shows.
const OWN: [Field; 5] = [
    Field::Username,
    Field::FirstName,
    Field::LastName,
    Field::Email,
    Field::IsActive,
];

/// The fields that a reading shows of each user.
#[must_use]
pub fn readable(current: &Current) -> BTreeSet<Field> {
    let custom = current.custom_attributes.iter();
    let custom = custom.map(|(key, _)| Field::Custom(key.clone()));
    let grants = current.grants.iter().map(|grant| grant.field());
    OWN.into_iter().chain(custom).chain(grants).collect()
}

/// The users of a job, and those of these ids, as they are; ordered by id.
#[must_use]
pub fn users_of(
    current: &Current,
    own: &OwnLinks,
    also: &BTreeSet<&EntityId>,
) -> Vec<SnapshotUser> {
    let is_own = |user: &&User| {
        let link = user.link.link();
        link.is_some_and(|link| own.has(link)) || also.contains(&user.id)
    };
    let fields = readable(current);
    let users = current.users.iter().filter(is_own);
    users.map(|user| as_it_is(user, &fields, current)).collect()
}

/// Every user, as it is; ordered by id.
#[must_use]
pub fn everybody(current: &Current) -> Vec<SnapshotUser> {
    let fields = readable(current);
    let users = current.users.iter();
    users.map(|user| as_it_is(user, &fields, current)).collect()
}

fn as_it_is(user: &User, fields: &BTreeSet<Field>, current: &Current) -> SnapshotUser {
    let fields = fields.iter();
    let fields: BTreeMap<Field, Value> = fields
        .filter_map(|field| Some((field.clone(), value(user, field, current)?)))
        .collect();
    SnapshotUser {
        ftrack_id: user.id.clone(),
        fields,
        link: link_then(&user.link),
    }
}

/// A link as a snapshot keeps it.
#[must_use]
pub fn link_then(found: &LinkFound) -> LinkThen {
    match found {
        LinkFound::Absent => LinkThen::None,
        LinkFound::Link(link) => match link.signature {
            Signature::NotChecked | Signature::Valid => LinkThen::Link(link.clone()),
            Signature::Invalid => LinkThen::Unusable,
        },
        LinkFound::Unlinked(_) => LinkThen::Unlinked,
        LinkFound::OfAnotherUser | LinkFound::Unreadable => LinkThen::Unusable,
    }
}
