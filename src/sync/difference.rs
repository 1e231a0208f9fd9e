//! The difference between a user's values and a person's. No I/O.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    custom,
    desired::{DesiredValue, Person},
};
use crate::model::{
    edit::{Attribute, Edit, Field, Values},
    stored_value::{Likeness, Still, StoredOtherwise, WrittenAndStored, likeness},
    user::{Current, User},
};

/// In what a user differs from its person.
#[derive(Debug, Default)]
pub struct Differences {
    /// What sets the mapped attributes that differ, in their order.
    pub edits: Vec<Edit>,
    /// The fields of which it is no longer known how ftrack stores what is wanted: both sides have
    /// the same value, or ftrack has another one than it stored.
    pub outdated: Vec<Field>,
    /// What ftrack is known to store as quite another value.
    pub unlike: Vec<(Field, Values)>,
}

impl Differences {
    /// Adds an attribute with other values, unless ftrack is known to store it so.
    fn differs(&mut self, attribute: Attribute, values: Values, known: KnownFields<'_>) {
        let field = attribute.field();
        if let Some(digests) = known.and_then(|known| known.get(&field)) {
            match digests.of(&values.new, &values.old) {
                Still::Stored => {
                    if likeness(&field, &values.new, &values.old) == Likeness::Other {
                        self.unlike.push((field, values));
                    }
                    return;
                }
                // What ftrack has came of the value before, which may yet be wanted again: the
                // change is held, perhaps.
                Still::Another => {}
                Still::Outdated => self.outdated.push(field),
            }
        }
        self.edits.push(Edit::Set { attribute, values });
    }

    /// Notes that both sides have the same value of an attribute.
    fn agrees(&mut self, attribute: &Attribute, known: KnownFields<'_>) {
        // Of almost everybody nothing is known.
        let Some(known) = known else { return };
        let field = attribute.field();
        if known.contains_key(&field) {
            self.outdated.push(field);
        }
    }
}

/// What is known of a user's fields that ftrack stores otherwise, if anything.
type KnownFields<'a> = Option<&'a BTreeMap<Field, WrittenAndStored>>;

/// In what a user differs from its person, beyond what ftrack is known to store otherwise.
///
/// # Errors
/// ftrack would not accept a value.
pub fn differences(
    person: &Person,
    user: &User,
    current: &Current,
    known: &StoredOtherwise,
) -> Result<Differences, String> {
    let mut differences = Differences::default();
    let known = known.of_user(&user.id);
    if person.username == user.username {
        differences.agrees(&Attribute::Username, known);
    } else {
        let (old, new) = (text(&user.username), text(&person.username));
        differences.differs(Attribute::Username, Values { old, new }, known);
    }
    for (attribute, wanted) in wanted_attributes(person, current) {
        // Almost everybody is unchanged, which is found out without building values.
        if let (DesiredValue::Text(wanted), Some(shown)) = (wanted, shown_text(user, &attribute))
            && **wanted == *shown
        {
            differences.agrees(&attribute, known);
            continue;
        }
        let old = value_of(user, &attribute, current);
        let new = match wanted {
            DesiredValue::Keep => continue,
            DesiredValue::Clear => Value::Null,
            DesiredValue::Text(value) => formed(&attribute, current, &old, value)?,
        };
        if custom::equal(&new, &old) {
            differences.agrees(&attribute, known);
        } else {
            differences.differs(attribute, Values { old, new }, known);
        }
    }
    Ok(differences)
}

/// What sets the values of a user to be created.
///
/// # Errors
/// ftrack would not accept a value.
pub fn first_values(person: &Person, current: &Current) -> Result<Vec<Edit>, String> {
    let mut edits = vec![set(
        Attribute::Username,
        Value::Null,
        text(&person.username),
    )];
    for (attribute, wanted) in wanted_attributes(person, current) {
        let new = match (wanted, &attribute) {
            (DesiredValue::Text(value), _) => formed(&attribute, current, &Value::Null, value)?,
            // If they were omitted, ftrack would set them to "first" and "last".
            (
                DesiredValue::Keep | DesiredValue::Clear,
                Attribute::FirstName | Attribute::LastName,
            ) => text(""),
            (DesiredValue::Clear, Attribute::Custom(_)) => Value::Null,
            (DesiredValue::Keep | DesiredValue::Clear, _) => continue,
        };
        edits.push(set(attribute, Value::Null, new));
    }
    Ok(edits)
}

/// An edit that sets an attribute.
#[must_use]
pub fn set(attribute: Attribute, old: Value, new: Value) -> Edit {
    Edit::Set {
        attribute,
        values: Values { old, new },
    }
}

/// A text as a value.
#[must_use]
pub fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// A text in the form that its attribute requires.
fn formed(
    attribute: &Attribute,
    current: &Current,
    old: &Value,
    new: &str,
) -> Result<Value, String> {
    match attribute {
        Attribute::Custom(key) => {
            let kind = place(current, key)
                .and_then(|place| current.custom_kinds.get(place))
                .copied()
                .unwrap_or_default();
            custom::value(kind, old, new)
                .map_err(|problem| format!("its {} {problem}", attribute.name()))
        }
        Attribute::Username
        | Attribute::FirstName
        | Attribute::LastName
        | Attribute::Email
        | Attribute::UserType => Ok(text(new)),
    }
}

/// The optional attributes of a person with their values, in the order of [`Attribute`].
fn wanted_attributes<'a>(
    person: &'a Person,
    current: &Current,
) -> Vec<(Attribute, &'a DesiredValue)> {
    let mut wanted = vec![
        (Attribute::FirstName, &person.first_name),
        (Attribute::LastName, &person.last_name),
        (Attribute::Email, &person.email),
    ];
    wanted.extend(
        current
            .custom_attributes
            .iter()
            .zip(&person.custom)
            .map(|((key, _), wanted)| (Attribute::Custom(key.clone()), wanted)),
    );
    wanted
}

/// The text of a user's attribute that contains only text.
fn shown_text<'a>(user: &'a User, attribute: &Attribute) -> Option<&'a str> {
    match attribute {
        Attribute::Username => Some(&user.username),
        Attribute::FirstName => user.first_name.as_deref(),
        Attribute::LastName => user.last_name.as_deref(),
        Attribute::Email => user.email.as_deref(),
        Attribute::UserType | Attribute::Custom(_) => None,
    }
}

/// The value of a user's attribute.
pub(super) fn value_of(user: &User, attribute: &Attribute, current: &Current) -> Value {
    match attribute {
        Attribute::Username | Attribute::FirstName | Attribute::LastName | Attribute::Email => {
            shown_text(user, attribute).map_or(Value::Null, text)
        }
        Attribute::Custom(key) => {
            let value = place(current, key).and_then(|place| user.custom_values.get(place));
            value.cloned().unwrap_or(Value::Null)
        }
        Attribute::UserType => Value::Null,
    }
}

fn place(current: &Current, key: &str) -> Option<usize> {
    current
        .custom_attributes
        .iter()
        .position(|(known, _)| known == key)
}
