//! The difference between a user's values and a person's. No I/O.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    custom,
    desired::{DesiredValue, Person},
    written::{Stage, WriteRules},
};
use crate::model::{
    custom_kind::CustomKind,
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
    /// Why values of the directory are left out, which their attributes cannot take.
    pub unfit: Vec<String>,
}

/// What the values of people are compared with.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Sides<'a> {
    pub current: &'a Current,
    pub known: &'a StoredOtherwise,
    pub rules: &'a WriteRules,
}

/// What sets the values of a user to be created, and why others are left out.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct FirstValues {
    pub edits: Vec<Edit>,
    pub unfit: Vec<String>,
}

impl Differences {
    /// Whether there is nothing in which they differ, and nothing to note.
    pub(super) fn is_none(&self) -> bool {
        let Self {
            edits,
            outdated,
            unlike,
            unfit,
        } = self;
        edits.is_empty() && outdated.is_empty() && unlike.is_empty() && unfit.is_empty()
    }

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
/// ftrack would not accept a required value.
pub fn differences(
    person: &Person,
    user: &User,
    sides: Sides<'_>,
    stage: Stage,
) -> Result<Differences, String> {
    let mut differences = Differences::default();
    let Sides { current, rules, .. } = sides;
    let known = sides.known.of_user(&user.id);
    if person.username == user.username {
        differences.agrees(&Attribute::Username, known);
    } else {
        let (old, new) = (text(&user.username), text(&person.username));
        differences.differs(Attribute::Username, Values::new(old, new), known);
    }
    for (attribute, wanted) in wanted_attributes(person, current) {
        if rules.leaves(&attribute, stage) {
            continue;
        }
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
            DesiredValue::Text(value) => match formed(person, &attribute, (current, &old), value) {
                Ok(new) => new,
                Err(problem) if rules.requires(&attribute) => return Err(problem),
                Err(problem) => {
                    differences.unfit.push(problem);
                    continue;
                }
            },
        };
        if custom::equal(&new, &old) {
            differences.agrees(&attribute, known);
        } else {
            differences.differs(attribute, Values::new(old, new), known);
        }
    }
    Ok(differences)
}

/// The attributes that are the person's only while its user is created, and have another value by now.
#[must_use]
pub fn left_as_they_are(
    person: &Person,
    user: &User,
    sides: Sides<'_>,
) -> Vec<(Attribute, Values)> {
    let all = differences(person, user, sides, Stage::Creation).unwrap_or_default();
    let edits = all.edits.into_iter();
    let left = edits.filter_map(|edit| match edit {
        Edit::Set { attribute, values } => Some((attribute, values)),
        Edit::Activate | Edit::Deactivate | Edit::Grant(_) | Edit::Revoke(_) | Edit::Link => None,
    });
    left.filter(|(attribute, _)| sides.rules.leaves(attribute, Stage::Existing))
        .collect()
}

/// What sets the values of a user to be created.
///
/// # Errors
/// ftrack would not accept a required value.
pub fn first_values(person: &Person, sides: Sides<'_>) -> Result<FirstValues, String> {
    let Sides { current, rules, .. } = sides;
    let mut first = FirstValues::default();
    let login = text(&person.username);
    first
        .edits
        .push(set(Attribute::Username, Value::Null, login));
    for (attribute, wanted) in wanted_attributes(person, current) {
        let new = match (wanted, &attribute) {
            (DesiredValue::Text(value), _) => {
                match formed(person, &attribute, (current, &Value::Null), value) {
                    Ok(new) => new,
                    Err(problem) if rules.requires(&attribute) => return Err(problem),
                    Err(problem) => {
                        first.unfit.push(problem);
                        continue;
                    }
                }
            }
            // If they were omitted, ftrack would set them to "first" and "last".
            (
                DesiredValue::Keep | DesiredValue::Clear,
                Attribute::FirstName | Attribute::LastName,
            ) => text(""),
            (DesiredValue::Clear, Attribute::Custom(_)) => Value::Null,
            (DesiredValue::Keep | DesiredValue::Clear, _) => continue,
        };
        first.edits.push(set(attribute, Value::Null, new));
    }
    Ok(first)
}

/// An edit that sets an attribute.
#[must_use]
pub fn set(attribute: Attribute, old: Value, new: Value) -> Edit {
    Edit::Set {
        attribute,
        values: Values::new(old, new),
    }
}

/// A text as a value.
#[must_use]
pub fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// A text in the form that its attribute requires.
fn formed(
    person: &Person,
    attribute: &Attribute,
    (current, old): (&Current, &Value),
    new: &str,
) -> Result<Value, String> {
    match attribute {
        Attribute::Custom(key) => {
            let place = place(current, key);
            let kind = place.and_then(|place| current.custom_kinds.get(place));
            let several = place.and_then(|place| person.several_of(place));
            let formed = match (kind.unwrap_or(&CustomKind::Unknown), several) {
                (CustomKind::List(choices), Some(several)) => custom::list(choices, several),
                (kind, _) => custom::value(kind, old, new),
            };
            formed.map_err(|problem| format!("its {} {problem}", attribute.name()))
        }
        Attribute::Username
        | Attribute::FirstName
        | Attribute::LastName
        | Attribute::Email
        | Attribute::UserType
        | Attribute::Invitation
        | Attribute::Thumbnail => Ok(text(new)),
    }
}

/// The optional attributes of a person with their values, in the order of [`Attribute`].
fn wanted_attributes<'a>(
    person: &'a Person,
    current: &'a Current,
) -> impl Iterator<Item = (Attribute, &'a DesiredValue)> {
    let own = [
        (Attribute::FirstName, &person.first_name),
        (Attribute::LastName, &person.last_name),
        (Attribute::Email, &person.email),
    ];
    let custom = current.custom_attributes.iter().zip(&person.custom);
    let custom = custom.map(|((key, _), wanted)| (Attribute::Custom(key.clone()), wanted));
    own.into_iter().chain(custom)
}

/// The text of a user's attribute that contains only text.
fn shown_text<'a>(user: &'a User, attribute: &Attribute) -> Option<&'a str> {
    match attribute {
        Attribute::Username => Some(&user.username),
        Attribute::FirstName => user.first_name.as_deref(),
        Attribute::LastName => user.last_name.as_deref(),
        Attribute::Email => user.email.as_deref(),
        Attribute::UserType
        | Attribute::Invitation
        | Attribute::Thumbnail
        | Attribute::Custom(_) => None,
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
        Attribute::UserType | Attribute::Invitation | Attribute::Thumbnail => Value::Null,
    }
}

fn place(current: &Current, key: &str) -> Option<usize> {
    current
        .custom_attributes
        .iter()
        .position(|(known, _)| known == key)
}
