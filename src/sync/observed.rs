//! What changed at ftrack between two readings of its users, whoever changed it. No I/O.

use std::collections::BTreeMap;

use super::{
    change::{Action, Field, Values},
    difference::value_of,
};
use crate::{
    directory::entry::DirectoryId,
    ftrack::user::{Current, EntityId, User},
};

/// What is compared of a user.
const COMPARED: [Field; 5] = [Field::Username, Field::FirstName, Field::LastName, Field::Email, Field::IsActive];

/// What somebody else changed at one user.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What it comes to.
    pub action: Action,
    /// The login after it.
    pub username: String,
    /// The user's id.
    pub ftrack_id: EntityId,
    /// The person's directory id, where the user has a link.
    pub directory_id: Option<DirectoryId>,
    /// From what, to what.
    pub fields: BTreeMap<Field, Values>,
}

impl Observed {
    /// Whether a user that was there before has another login now.
    #[must_use]
    pub fn is_rename(&self) -> bool {
        self.action != Action::Create && self.fields.contains_key(&Field::Username)
    }
}

/// Everything that is otherwise in the second reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// Users that are new, or have other values; ordered by id.
    pub changes: Vec<Observed>,
    /// The logins of users that are no more.
    pub removed: Vec<String>,
    /// How many users are as they were.
    pub unchanged: usize,
}

/// Compares two readings, whose users are ordered by id.
#[must_use]
pub fn difference(before: &Current, after: &Current) -> Difference {
    let known: BTreeMap<&EntityId, &User> = before.users.iter().map(|user| (&user.id, user)).collect();
    let mut difference = Difference::default();
    for user in &after.users {
        match observed(known.get(&user.id).copied(), before, user, after) {
            Some(observed) => difference.changes.push(observed),
            None => difference.unchanged += 1,
        }
    }
    let still = |user: &&User| after.users.binary_search_by(|other| other.id.cmp(&user.id)).is_err();
    difference.removed = before.users.iter().filter(still).map(|user| user.username.to_string()).collect();
    difference
}

fn observed(old: Option<&User>, before: &Current, new: &User, after: &Current) -> Option<Observed> {
    let mut fields = BTreeMap::new();
    for field in COMPARED {
        let values = Values {
            old: old.map_or(serde_json::Value::Null, |old| value_of(old, &field, before)),
            new: value_of(new, &field, after),
        };
        if values.old != values.new {
            fields.insert(field, values);
        }
    }
    let action = match old {
        None => Action::Create,
        Some(_) if fields.is_empty() => return None,
        Some(old) => match (old.is_active, new.is_active) {
            (true, false) => Action::Deactivate,
            (false, true) => Action::Reactivate,
            (true, true) | (false, false) => Action::Update,
        },
    };
    let link = new.link.link().or_else(|| old?.link.link());
    Some(Observed {
        action,
        username: new.username.to_string(),
        ftrack_id: new.id.clone(),
        directory_id: link.map(|link| link.id.clone()),
        fields,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::ftrack::{link::LinkFound, user::UserKind};

    fn user(id: &str, username: &str, email: Option<&str>, is_active: bool) -> User {
        User {
            id: EntityId::new(id).unwrap(),
            username: username.into(),
            first_name: None,
            last_name: None,
            email: email.map(Into::into),
            is_active,
            kind: UserKind::Person,
            administrator: false,
            link: LinkFound::Absent,
            custom_values: Box::default(),
        }
    }

    fn reading(users: Vec<User>) -> Current {
        Current { users, ..Current::default() }
    }

    #[test]
    fn each_kind_of_change_is_told_with_its_old_values() {
        let before = reading(vec![
            user("1", "anna", Some("anna@a"), true),
            user("2", "bea", None, true),
            user("3", "cara", None, false),
            user("4", "dora", None, true),
            user("5", "eva", None, true),
        ]);
        let after = reading(vec![
            user("1", "anna", None, true),
            user("2", "beatrix", None, false),
            user("3", "cara", None, true),
            user("4", "dora", None, true),
            user("6", "fay", None, false),
        ]);
        let Difference { changes, removed, unchanged } = difference(&before, &after);
        let told: Vec<(Action, &str, bool)> = changes
            .iter()
            .map(|change| (change.action, change.username.as_str(), change.is_rename()))
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
        let of = |place: usize, field: Field| changes[place].fields.get(&field).map(|values| (values.old.clone(), values.new.clone()));
        assert_eq!(of(0, Field::Email), Some((json!("anna@a"), json!(null))));
        assert_eq!(of(1, Field::Username), Some((json!("bea"), json!("beatrix"))));
        assert_eq!(of(1, Field::IsActive), Some((json!(true), json!(false))));
        assert_eq!(of(3, Field::IsActive), Some((json!(null), json!(false))));
        assert_eq!((removed, unchanged), (vec!["eva".to_owned()], 1));
    }
}
