//! What became of the changes that a run planned and did not write, by what ftrack has now. No I/O.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{custom, difference::value_of, rules::fold};
use crate::model::{
    edit::Field,
    report::{Became, ObservedChange, Reported},
    user::{Current, User},
};

/// What became of each of these changes but those of links, which nobody else writes; by login.
#[must_use]
pub fn became(planned: &[Reported], current: &Current) -> Vec<ObservedChange> {
    let mut by_login = BTreeMap::new();
    for user in &current.users {
        by_login.insert(fold(&user.username), user);
    }
    let compared = planned.iter().filter_map(|change| {
        let login = change.fields.get(&Field::Username);
        let login = login.and_then(|values| values.new.as_str());
        // Another program gives the person a user with another id.
        let user = by_id(current, change)
            .or_else(|| login.and_then(|login| by_login.get(&fold(login)).copied()));
        compare(change, user, current)
    });
    let mut compared: Vec<ObservedChange> = compared.collect();
    compared.sort_by(|one, other| one.username.cmp(&other.username));
    compared
}

fn by_id<'c>(current: &'c Current, change: &Reported) -> Option<&'c User> {
    let of_change = |user: &User| user.id.cmp(&change.ftrack_id);
    let place = current.users.binary_search_by(of_change).ok()?;
    current.users.get(place)
}

fn compare(change: &Reported, user: Option<&User>, current: &Current) -> Option<ObservedChange> {
    let mut same = Vec::new();
    let mut fields = BTreeMap::new();
    for (field, values) in &change.fields {
        let (old, new) = (&values.old, &values.new);
        let Some(now) = value(user, field, current) else {
            continue;
        };
        let is = (custom::equal(&now, old), custom::equal(&now, new));
        if is == (false, false) {
            fields.insert(field.clone(), now);
        }
        same.push(is);
    }
    if same.is_empty() {
        return None;
    }
    let became = if same.iter().all(|(_, is_new)| *is_new) {
        Became::Done
    } else if same.iter().all(|(is_old, _)| *is_old) {
        Became::NotDone
    } else {
        Became::Otherwise
    };
    Some(ObservedChange {
        action: change.action,
        username: change.username.clone(),
        ftrack_id: user.map(|user| user.id.clone()),
        became,
        fields,
    })
}

/// The value of a field, null where there is no user; none of what a run does not read, or what only
/// this program writes.
pub(super) fn value(user: Option<&User>, field: &Field, current: &Current) -> Option<Value> {
    if field.is_grant() {
        let mut known = current.grants.iter();
        let grant = known.find(|grant| grant.field() == *field)?;
        let has = user.is_some_and(|user| user.grants.covers(grant));
        return Some(if has { grant.value() } else { Value::Null });
    }
    if *field == Field::IsActive {
        return Some(user.map_or(Value::Null, |user| user.is_active.into()));
    }
    let attribute = field.attribute()?;
    Some(user.map_or(Value::Null, |user| value_of(user, &attribute, current)))
}
