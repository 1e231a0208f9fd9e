//! The difference between a user's values and a person's. No I/O.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    custom,
    desired::{DesiredValue, Person},
};
use crate::model::{
    change::{Field, Values},
    stored_link::as_value,
    user::{Current, User},
};

/// The mapped attributes in which a user differs from the person.
///
/// # Errors
/// ftrack would not accept a value.
pub fn differences(
    person: &Person,
    user: &User,
    current: &Current,
) -> Result<BTreeMap<Field, Values>, String> {
    let mut fields = BTreeMap::new();
    if person.username != user.username {
        fields.insert(
            Field::Username,
            Values {
                old: text(&user.username),
                new: text(&person.username),
            },
        );
    }
    for (field, wanted) in wanted_fields(person, current) {
        // Almost everybody is unchanged, which is found out without building values.
        if let (DesiredValue::Text(wanted), Some(shown)) = (wanted, shown_text(user, &field))
            && **wanted == *shown
        {
            continue;
        }
        let old = value_of(user, &field, current);
        let new = match wanted {
            DesiredValue::Keep => continue,
            DesiredValue::Clear => Value::Null,
            DesiredValue::Text(value) => formed(&field, current, &old, value)?,
        };
        if !custom::equal(&new, &old) {
            fields.insert(field, Values { old, new });
        }
    }
    Ok(fields)
}

/// The values of a user to be created.
///
/// # Errors
/// ftrack would not accept a value.
pub fn first_values(person: &Person, current: &Current) -> Result<BTreeMap<Field, Values>, String> {
    let mut fields = BTreeMap::new();
    let mut set = |field: Field, new: Value| {
        fields.insert(
            field,
            Values {
                old: Value::Null,
                new,
            },
        )
    };
    set(Field::Username, text(&person.username));
    set(Field::IsActive, Value::Bool(true));
    for (field, wanted) in wanted_fields(person, current) {
        match (wanted, &field) {
            (DesiredValue::Text(value), _) => {
                let new = formed(&field, current, &Value::Null, value)?;
                set(field, new);
            }
            // If they were omitted, ftrack would set them to "first" and "last".
            (DesiredValue::Keep | DesiredValue::Clear, Field::FirstName | Field::LastName) => {
                drop(set(field, text("")))
            }
            (DesiredValue::Clear, Field::Custom(_)) => drop(set(field, Value::Null)),
            (DesiredValue::Keep | DesiredValue::Clear, _) => {}
        }
    }
    Ok(fields)
}

/// A text as a value.
#[must_use]
pub fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// A text in the form that its field requires.
fn formed(field: &Field, current: &Current, old: &Value, new: &str) -> Result<Value, String> {
    match field {
        Field::Custom(key) => {
            let kind = place(current, key)
                .and_then(|place| current.custom_kinds.get(place))
                .copied()
                .unwrap_or_default();
            custom::value(kind, old, new)
                .map_err(|problem| format!("its {} {problem}", field.name()))
        }
        Field::Username
        | Field::FirstName
        | Field::LastName
        | Field::Email
        | Field::IsActive
        | Field::UserType
        | Field::Link => Ok(text(new)),
    }
}

/// The optional attributes of a person with the field of each.
fn wanted_fields<'a>(person: &'a Person, current: &Current) -> Vec<(Field, &'a DesiredValue)> {
    let mut fields = vec![
        (Field::Email, &person.email),
        (Field::FirstName, &person.first_name),
        (Field::LastName, &person.last_name),
    ];
    fields.extend(
        current
            .custom_attributes
            .iter()
            .zip(&person.custom)
            .map(|((key, _), wanted)| (Field::Custom(key.clone()), wanted)),
    );
    fields
}

/// The text of a user's field that contains only text.
fn shown_text<'a>(user: &'a User, field: &Field) -> Option<&'a str> {
    match field {
        Field::Username => Some(&user.username),
        Field::FirstName => user.first_name.as_deref(),
        Field::LastName => user.last_name.as_deref(),
        Field::Email => user.email.as_deref(),
        Field::IsActive | Field::UserType | Field::Custom(_) | Field::Link => None,
    }
}

/// The value of a user's field.
fn value_of(user: &User, field: &Field, current: &Current) -> Value {
    match field {
        Field::Username | Field::FirstName | Field::LastName | Field::Email => {
            shown_text(user, field).map_or(Value::Null, text)
        }
        Field::IsActive => Value::Bool(user.is_active),
        Field::Custom(key) => {
            let value = place(current, key).and_then(|place| user.custom_values.get(place));
            value.cloned().unwrap_or(Value::Null)
        }
        Field::Link => user
            .link
            .link()
            .map_or(Value::Null, |link| as_value(&user.id, link)),
        Field::UserType => Value::Null,
    }
}

fn place(current: &Current, key: &str) -> Option<usize> {
    current
        .custom_attributes
        .iter()
        .position(|(known, _)| known == key)
}
