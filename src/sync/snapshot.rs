//! Takes a snapshot of what was read of ftrack. No I/O.

use std::collections::BTreeSet;

use super::put_back::Columns;
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

/// The values that a reading shows of each user, beside what the job gives.
fn of_everybody(current: &Current) -> Vec<Field> {
    let custom = current.custom_attributes.iter();
    let custom = custom.map(|(key, _)| Field::Custom(key.clone()));
    OWN.into_iter().chain(custom).collect()
}

/// The fields that a reading shows of each user.
#[must_use]
pub fn readable(current: &Current) -> BTreeSet<Field> {
    let grants = current.grants.iter().map(|grant| grant.field());
    of_everybody(current).into_iter().chain(grants).collect()
}

/// The users of a job, and those of these ids, as they are; ordered by id.
pub fn users_of<'c>(
    current: &'c Current,
    own: &OwnLinks,
    also: &BTreeSet<&EntityId>,
) -> impl ExactSizeIterator<Item = SnapshotUser> + use<'c> {
    let is_own = |user: &&User| {
        let link = user.link.link();
        link.is_some_and(|link| own.has(link)) || also.contains(&user.id)
    };
    as_they_are(current.users.iter().filter(is_own).collect(), current)
}

/// Every user, as it is; ordered by id.
pub fn everybody(current: &Current) -> impl ExactSizeIterator<Item = SnapshotUser> {
    as_they_are(current.users.iter().collect(), current)
}

/// One after the other: there may be many, and each is needed only until it is written.
fn as_they_are<'c>(
    users: Vec<&'c User>,
    current: &'c Current,
) -> impl ExactSizeIterator<Item = SnapshotUser> + use<'c> {
    let (fields, columns) = (of_everybody(current), Columns::of(current));
    users.into_iter().map(move |user| {
        let values = fields
            .iter()
            .filter_map(|field| Some((field, columns.value(user, field)?)));
        let all = values.chain(columns.given(user));
        SnapshotUser {
            ftrack_id: user.id.clone(),
            fields: all.map(|(field, value)| (field.clone(), value)).collect(),
            link: link_then(&user.link),
        }
    })
}

/// A link as a snapshot keeps it.
#[must_use]
pub fn link_then(found: &LinkFound) -> LinkThen {
    match found {
        LinkFound::Absent => LinkThen::None,
        LinkFound::Link(link) => match link.signature {
            Signature::NotChecked | Signature::Valid => LinkThen::Link(Box::new(link.clone())),
            Signature::Invalid => LinkThen::Unusable,
        },
        LinkFound::Unlinked(_) => LinkThen::Unlinked,
        LinkFound::OfAnotherUser | LinkFound::Unreadable => LinkThen::Unusable,
    }
}
