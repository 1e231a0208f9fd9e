//! What changed in ftrack between two reads of its users, whoever changed it. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    change::Action,
    edit::{Field, Values},
    report::{ChangeResult, Reported},
    shown_edit::ShownEdit,
    user::{Current, EntityId},
};

/// The values of one user that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserValues {
    username: Box<str>,
    first_name: Option<Box<str>>,
    last_name: Option<Box<str>>,
    email: Option<Box<str>>,
    is_active: bool,
    /// The person's directory id, where the user has a link.
    directory_id: Option<Box<str>>,
}

/// The values of all users at one time, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllValues(BTreeMap<EntityId, UserValues>);

impl AllValues {
    /// From a reading.
    #[must_use]
    pub fn of(current: &Current) -> Self {
        let values = current.users.iter().map(|user| {
            let values = UserValues {
                username: user.username.clone(),
                first_name: user.first_name.clone(),
                last_name: user.last_name.clone(),
                email: user.email.clone(),
                is_active: user.is_active,
                directory_id: user.link.link().map(|link| link.id.as_str().into()),
            };
            (user.id.clone(), values)
        });
        Self(values.collect())
    }

    /// The number of active users.
    #[must_use]
    pub fn active(&self) -> usize {
        self.0.values().filter(|user| user.is_active).count()
    }

    /// The id of the user with that login, ignoring case.
    #[must_use]
    pub fn named(&self, username: &str) -> Option<&EntityId> {
        self.0
            .iter()
            .find(|(_, user)| user.username.eq_ignore_ascii_case(username))
            .map(|(id, _)| id)
    }
}

/// Why ftrack's users are other ones than before.
const REASON: &str = "ftrack's own synchronisation";

/// Whether an existing user has another login now.
fn is_rename(change: &Reported) -> bool {
    change.action != Action::Create && change.fields.contains_key(&Field::Username)
}

/// The differences between the two times.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// Users that are new, or have other values; ordered by id.
    pub changes: Vec<Reported>,
    /// The logins of deleted users.
    pub removed: Vec<String>,
    /// How many of those were active.
    pub removed_active: usize,
    /// The number of unchanged users.
    pub unchanged: usize,
}

impl Difference {
    /// How many users may no longer sign in.
    #[must_use]
    pub fn deactivated(&self) -> usize {
        self.changes
            .iter()
            .filter(|change| change.action == Action::Deactivate)
            .count()
            + self.removed_active
    }

    /// How many users have another login.
    #[must_use]
    pub fn renamed(&self) -> usize {
        self.changes
            .iter()
            .filter(|change| is_rename(change))
            .count()
    }
}

/// Compares the users at two times.
#[must_use]
pub fn difference(before: &AllValues, after: &AllValues) -> Difference {
    let mut difference = Difference::default();
    for (id, user) in &after.0 {
        match observed(id, before.0.get(id), user) {
            Some(observed) => difference.changes.push(observed),
            None => difference.unchanged += 1,
        }
    }
    for user in before
        .0
        .iter()
        .filter(|(id, _)| !after.0.contains_key(*id))
        .map(|(_, user)| user)
    {
        difference.removed.push(user.username.to_string());
        difference.removed_active += usize::from(user.is_active);
    }
    difference
}

fn observed(id: &EntityId, old: Option<&UserValues>, new: &UserValues) -> Option<Reported> {
    let mut fields = BTreeMap::new();
    let mut compare = |field: Field, value: fn(&UserValues) -> Value| {
        let values = Values::new(old.map_or(Value::Null, value), value(new));
        if values.old != values.new {
            fields.insert(field, values);
        }
    };
    compare(Field::Username, |user| Value::from(&*user.username));
    compare(Field::FirstName, |user| text(user.first_name.as_deref()));
    compare(Field::LastName, |user| text(user.last_name.as_deref()));
    compare(Field::Email, |user| text(user.email.as_deref()));
    compare(Field::IsActive, |user| Value::Bool(user.is_active));
    let action = match old {
        None => Action::Create,
        Some(_) if fields.is_empty() => return None,
        Some(old) => match (old.is_active, new.is_active) {
            (true, false) => Action::Deactivate,
            (false, true) => Action::Reactivate,
            (true, true) | (false, false) => Action::Update,
        },
    };
    let directory_id = new
        .directory_id
        .as_deref()
        .or_else(|| old?.directory_id.as_deref());
    Some(Reported {
        person: None,
        action,
        username: new.username.to_string(),
        dn: None,
        directory_id: directory_id.map(str::to_owned),
        ftrack_id: id.clone(),
        edits: ShownEdit::of_fields(&fields),
        fields: fields.into(),
        reason: REASON.to_owned(),
        cause: None,
        result: ChangeResult::Applied,
        held_by: None,
        opens_at: None,
        hold: None,
        error: None,
        note: None,
        work: None,
        written: BTreeSet::new(),
    })
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn values(users: &[(&str, &str, Option<&str>, bool)]) -> AllValues {
        let values = users.iter().map(|(id, username, email, is_active)| {
            let values = UserValues {
                username: (*username).into(),
                first_name: None,
                last_name: None,
                email: email.map(Into::into),
                is_active: *is_active,
                directory_id: None,
            };
            (EntityId::new(id).unwrap(), values)
        });
        AllValues(values.collect())
    }

    #[test]
    fn each_kind_of_change_is_told_with_its_old_values() {
        let before = values(&[
            ("1", "anna", Some("anna@a"), true),
            ("2", "bea", None, true),
            ("3", "cara", None, false),
            ("4", "dora", None, true),
            ("5", "eva", None, true),
            ("7", "gina", None, false),
        ]);
        let after = values(&[
            ("1", "anna", None, true),
            ("2", "beatrix", None, false),
            ("3", "cara", None, true),
            ("4", "dora", None, true),
            ("6", "fay", None, false),
        ]);
        let difference = difference(&before, &after);
        let changes = &difference.changes;
        let told: Vec<(Action, &str, bool)> = changes
            .iter()
            .map(|change| (change.action, change.username.as_str(), is_rename(change)))
            .collect();
        assert_eq!(
            told,
            [
                (Action::Update, "anna", false),
                (Action::Deactivate, "beatrix", true),
                (Action::Reactivate, "cara", false),
                (Action::Create, "fay", false),
            ]
        );
        let of = |place: usize, field: Field| {
            changes[place]
                .fields
                .get(&field)
                .map(|values| (values.old.clone(), values.new.clone()))
        };
        assert_eq!(of(0, Field::Email), Some((json!("anna@a"), json!(null))));
        assert_eq!(
            of(1, Field::Username),
            Some((json!("bea"), json!("beatrix")))
        );
        assert_eq!(of(1, Field::IsActive), Some((json!(true), json!(false))));
        assert_eq!(of(3, Field::IsActive), Some((json!(null), json!(false))));
        assert_eq!(
            (&*difference.removed, difference.unchanged),
            (&["eva".to_owned(), "gina".to_owned()][..], 1)
        );
        // A deleted user cannot sign in any more either.
        assert_eq!((difference.deactivated(), difference.renamed()), (2, 1));
        assert_eq!(
            (
                before.active(),
                before.named("BEA").map(ToString::to_string)
            ),
            (4, Some("2".to_owned()))
        );
    }
}
