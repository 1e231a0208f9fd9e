//! Rotations: users who swap unique values with each other. No I/O.
//!
//! The server checks each operation of a call, so all users of a rotation first give up their
//! values, and then get the new ones.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{operation::Operation, user_state::UserState};
use crate::{
    model::{
        change::Change,
        edit::{Attribute, Values},
        user::EntityId,
    },
    sync::custom::equal,
};

/// The attributes for which the server may require unique values.
const UNIQUE: [Attribute; 2] = [Attribute::Username, Attribute::Email];

/// Frees the unique values that the users of one rotation have, so that they can be reassigned: the
/// login is set to a value of the user's own, the mail address is cleared.
#[must_use]
pub fn rotation_login(change: &Change, seen: Option<&UserState>) -> Option<Operation> {
    let seen = seen?;
    let mut values = Map::new();
    let moves = |attribute: &Attribute, there: Option<&str>| {
        let values = change.values(attribute);
        values.is_some_and(|values| values.new.as_str() != there)
    };
    if moves(&Attribute::Username, Some(&seen.username))
        && *seen.username != parked(&change.ftrack_id)
    {
        values.insert(Attribute::Username.name(), parked(&change.ftrack_id).into());
    }
    if seen.email.is_some() && moves(&Attribute::Email, seen.email.as_deref()) {
        values.insert(Attribute::Email.name(), Value::Null);
    }
    (!values.is_empty()).then(|| Operation::update_user(&change.ftrack_id, values))
}

/// Restores the users of an unfinished rotation; nothing when none was changed, or all are
/// finished.
#[must_use]
pub fn back(rotation: &[&Change], seen: &BTreeMap<EntityId, UserState>) -> Vec<Operation> {
    let shows = |change: &Change, value: fn(&Values) -> &Value| {
        let Some(seen) = seen.get(&change.ftrack_id) else {
            return true;
        };
        UNIQUE.iter().all(|attribute| {
            let values = change.values(attribute);
            values.is_none_or(|values| equal(value(values), &seen.value(&attribute.field(), &[])))
        })
    };
    let moved: Vec<&Change> = rotation
        .iter()
        .copied()
        .filter(|change| !shows(change, |values| &values.old))
        .collect();
    if rotation
        .iter()
        .all(|change| shows(change, |values| &values.new))
    {
        return Vec::new();
    }
    let away = moved.iter().map(|change| {
        let between = [
            (Attribute::Username, Value::from(parked(&change.ftrack_id))),
            (Attribute::Email, Value::Null),
        ];
        let values = between
            .into_iter()
            .filter(|(attribute, _)| change.values(attribute).is_some());
        Operation::update_user(
            &change.ftrack_id,
            values
                .map(|(attribute, value)| (attribute.name(), value))
                .collect(),
        )
    });
    let home = moved
        .iter()
        .filter_map(|change| give(change, |values| values.old.clone()));
    away.chain(home).collect()
}

/// Restores the old values of a user that was left parked.
#[must_use]
pub fn undo_rotation(change: &Change, seen: Option<&UserState>) -> Option<Operation> {
    seen.filter(|seen| *seen.username == parked(&change.ftrack_id))?;
    give(change, |values| values.old.clone())
}

/// Gives a parked user, whose old login is taken by now, its target login, which is free.
#[must_use]
pub fn finish_rotation(change: &Change, seen: Option<&UserState>) -> Option<Operation> {
    seen.filter(|seen| *seen.username == parked(&change.ftrack_id))?;
    give(change, |values| values.new.clone())
}

fn give(change: &Change, value: impl Fn(&Values) -> Value) -> Option<Operation> {
    let given = UNIQUE
        .iter()
        .filter_map(|attribute| Some((attribute.name(), value(change.values(attribute)?))));
    let values: Map<String, Value> = given.collect();
    (!values.is_empty()).then(|| Operation::update_user(&change.ftrack_id, values))
}

/// The login of a user between its old and its new one, within one call.
pub(super) fn parked(user: &EntityId) -> String {
    format!("ftrack-ldap-sync-swap-{user}")
}
