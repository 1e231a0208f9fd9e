//! Values that ftrack stores otherwise than they are written: mail addresses in lower case, texts
//! that are trimmed, characters that are left out.

use std::collections::BTreeMap;

use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use uuid::Uuid;

use crate::model::{edit::Field, fold::fold, user::EntityId};

/// A value that ftrack stored otherwise than it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StoredValue {
    pub field: Field,
    pub wanted: Value,
    pub stored: Value,
}

/// What a report says about values that ftrack stored otherwise; none where there are none.
#[must_use]
pub fn note(values: &[StoredValue]) -> Option<String> {
    let said: Vec<String> = values
        .iter()
        .map(
            |StoredValue {
                 field,
                 wanted,
                 stored,
             }| { format!("{} as {stored} instead of {wanted}", field.name()) },
        )
        .collect();
    (!said.is_empty()).then(|| format!("ftrack stores {}", said.join(", ")))
}

/// A value as a digest, which is of the same length for every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueDigest(Uuid);

/// The namespace of the digests; a constant of this program.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d1e_7a02_58c4_5b39_8f17_c0a4_91be_2d63);

impl ValueDigest {
    /// The digest of a value.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, value.to_string().as_bytes()))
    }

    /// The digest with this text, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The text of the digest.
    #[must_use]
    pub fn text(self) -> String {
        self.0.to_string()
    }
}

/// What was written, and what ftrack stored of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct WrittenAndStored {
    pub wanted: ValueDigest,
    pub stored: ValueDigest,
}

/// What is known of a value holds of the values of today, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Still {
    /// ftrack has what it stores of the wanted value.
    Stored,
    /// ftrack has what it stored, and another value is wanted.
    Another,
    /// ftrack has another value.
    Outdated,
}

impl WrittenAndStored {
    /// Whether this holds of the value that is wanted and the one that ftrack has.
    #[must_use]
    pub fn of(&self, wanted: &Value, stored: &Value) -> Still {
        match (
            self.wanted == ValueDigest::of(wanted),
            self.stored == ValueDigest::of(stored),
        ) {
            (true, true) => Still::Stored,
            (false, true) => Still::Another,
            (true | false, false) => Still::Outdated,
        }
    }
}

/// The values that ftrack is known to store otherwise, by user and field; at most one of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredOtherwise(BTreeMap<EntityId, BTreeMap<Field, WrittenAndStored>>);

impl StoredOtherwise {
    /// Adds what was found out about a value of a user, in place of what was known.
    pub fn add(&mut self, user: EntityId, value: &StoredValue) {
        let digests = WrittenAndStored {
            wanted: ValueDigest::of(&value.wanted),
            stored: ValueDigest::of(&value.stored),
        };
        self.put(user, value.field.clone(), digests);
    }

    /// Adds what is known of a user's field, in place of what was known.
    pub fn put(&mut self, user: EntityId, field: Field, digests: WrittenAndStored) {
        self.0.entry(user).or_default().insert(field, digests);
    }

    /// What is known of a user's fields.
    #[must_use]
    pub fn of_user(&self, user: &EntityId) -> Option<&BTreeMap<Field, WrittenAndStored>> {
        self.0.get(user)
    }

    /// Forgets what is known of a user's field.
    pub fn forget(&mut self, user: &EntityId, field: &Field) {
        if let Some(fields) = self.0.get_mut(user) {
            fields.remove(field);
            if fields.is_empty() {
                self.0.remove(user);
            }
        }
    }

    /// Everything that is known.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityId, &Field, &WrittenAndStored)> {
        self.0.iter().flat_map(|(user, fields)| {
            let fields = fields.iter();
            fields.map(move |(field, digests)| (user, field, digests))
        })
    }

    /// What is known of one field of a user.
    #[must_use]
    pub fn get(&self, user: &EntityId, field: &Field) -> Option<&WrittenAndStored> {
        self.0.get(user)?.get(field)
    }
}

/// How a value that ftrack stores relates to the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The same letters in another form, or some of them only, or others beside them.
    Form,
    /// Another value.
    Other,
    /// None: no such field is ever stored otherwise, or nothing is stored.
    None,
}

/// How a value of a field that ftrack stores relates to the one that was written. Of a login only
/// other forms of its own letters count, since others would be somebody else's.
#[must_use]
pub fn likeness(field: &Field, wanted: &Value, stored: &Value) -> Likeness {
    let is_login = match field {
        Field::Username => true,
        Field::FirstName | Field::LastName | Field::Email | Field::Custom(_) => false,
        Field::IsActive
        | Field::UserType
        | Field::Invitation
        | Field::Thumbnail
        | Field::Role(_)
        | Field::ProjectRole { .. }
        | Field::Group(_)
        | Field::Link => {
            return Likeness::None;
        }
    };
    let is_nothing = stored.is_null()
        || stored.as_str().is_some_and(str::is_empty)
        || stored.as_array().is_some_and(Vec::is_empty);
    let is_form = match (wanted.as_str(), stored.as_str()) {
        (Some(wanted), Some(stored)) => {
            let (wanted, stored) = (letters(wanted), letters(stored));
            is_part(&stored, &wanted) || (!is_login && is_part(&wanted, &stored))
        }
        (_, _) => false,
    };
    match (is_nothing, is_form) {
        (true, _) => Likeness::None,
        (false, true) => Likeness::Form,
        (false, false) if is_login => Likeness::None,
        (false, false) => Likeness::Other,
    }
}

/// Whether two texts have the same letters, whatever their case, accents and spaces.
#[must_use]
pub fn has_same_letters(one: &Value, other: &Value) -> bool {
    let texts = one.as_str().zip(other.as_str());
    texts.is_some_and(|(one, other)| letters(one) == letters(other))
}

/// The letters of a text without case, accents and spaces.
fn letters(text: &str) -> Vec<char> {
    let letters = fold(text).nfkd().collect::<Vec<char>>().into_iter();
    letters
        .filter(|letter| !is_combining_mark(*letter) && !letter.is_whitespace())
        .collect()
}

/// Whether letters are among those of another text, in the same order; none are no part.
fn is_part(part: &[char], whole: &[char]) -> bool {
    let mut whole = whole.iter();
    !part.is_empty() && part.iter().all(|letter| whole.any(|other| other == letter))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_ftrack_makes_of_a_value() {
        let email =
            |wanted: &str, stored: &str| likeness(&Field::Email, &wanted.into(), &stored.into());
        for (wanted, stored) in [
            ("Casey.Mixed@Studio.Test", "casey.mixed@studio.test"),
            (" a  b ", "a b"),
            ("a+b@x", "ab@x"),
            ("Müller", "Muller"),
            ("Müller", "Mueller"),
            ("Straße", "Strasse"),
            ("A & B", "A &amp; B"),
            ("a long name", "a lon"),
        ] {
            assert_eq!(
                email(wanted, stored),
                Likeness::Form,
                "{wanted:?} {stored:?}"
            );
        }
        assert_eq!(email("a@x", "b@x"), Likeness::Other);
        assert_eq!(email("", "first"), Likeness::Other);
        assert_eq!(email("a@x", ""), Likeness::None);
        assert_eq!(
            likeness(&Field::Email, &json!("a"), &Value::Null),
            Likeness::None
        );
        assert_eq!(
            likeness(&Field::Custom("n".into()), &json!(7.25), &json!(7.2)),
            Likeness::Other
        );
    }

    #[test]
    fn a_login_is_stored_in_its_own_letters_or_not_at_all() {
        let login =
            |wanted: &str, stored: &str| likeness(&Field::Username, &wanted.into(), &stored.into());
        assert_eq!(login("Casey", "casey"), Likeness::Form);
        assert_eq!(login("casey+x", "caseyx"), Likeness::Form);
        assert_eq!(login("ann", "anna"), Likeness::None);
        assert_eq!(login("casey", "other"), Likeness::None);
    }

    #[test]
    fn the_activity_is_never_stored_otherwise() {
        for field in [Field::IsActive, Field::UserType, Field::Link] {
            assert_eq!(
                likeness(&field, &json!(true), &json!(false)),
                Likeness::None
            );
        }
    }

    #[test]
    fn it_is_known_of_one_user_and_two_values() {
        let user = |id: &str| EntityId::new(id).unwrap();
        let mut known = StoredOtherwise::default();
        let value = StoredValue {
            field: Field::Email,
            wanted: json!("A"),
            stored: json!("a"),
        };
        known.add(user("u-1"), &value);
        let still = |wanted: &str, stored: &str| {
            let fields = known.of_user(&user("u-1")).unwrap();
            fields[&Field::Email].of(&json!(wanted), &json!(stored))
        };
        assert_eq!(still("A", "a"), Still::Stored);
        assert_eq!(still("B", "a"), Still::Another);
        assert_eq!(still("A", "A"), Still::Outdated);
        assert_eq!(still("B", "A"), Still::Outdated);
        assert_eq!(known.of_user(&user("u-2")), None);
        let mut less = known.clone();
        less.forget(&user("u-2"), &Field::Email);
        less.forget(&user("u-1"), &Field::LastName);
        assert_eq!(less, known);
        less.forget(&user("u-1"), &Field::Email);
        assert_eq!(less, StoredOtherwise::default());
        let text = known.get(&user("u-1"), &Field::Email).unwrap().wanted;
        assert_eq!(ValueDigest::parse(&text.text()), Some(text));
    }
}
