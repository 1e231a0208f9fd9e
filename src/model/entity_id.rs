//! The id of an ftrack entity. No I/O.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};
use uuid::Uuid;

/// The id of an ftrack entity, whose text is safe inside a query expression.
///
/// ftrack makes UUIDs, of which 16 bytes are kept; other ids are kept as they are. Ids are ordered as their
/// texts are, which is the order in which ftrack gives lists.
#[derive(Clone, PartialEq, Eq)]
pub struct EntityId(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    /// A UUID, whose text is the hyphenated one in lower case (RFC 9562 section 4).
    Uuid(Uuid),
    /// Any other text.
    Other(Box<str>),
}

/// The bytes of a UUID's text.
const UUID_TEXT: usize = 36;

impl EntityId {
    /// Takes an id of ASCII letters, digits, `-` and `_` (1 to 64 of them); `None` for anything
    /// else, so that no text can change a query's meaning.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if let Some(uuid) = canonical(text) {
            return Some(Self(Kept::Uuid(uuid)));
        }
        let safe = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        safe.then(|| Self(Kept::Other(text.into())))
    }

    /// An id that nothing else has.
    #[must_use]
    pub fn random() -> Self {
        Self::from(Uuid::new_v4())
    }

    /// Its text, as used in queries.
    #[must_use]
    pub fn text(&self) -> EntityIdText<'_> {
        EntityIdText(match &self.0 {
            Kept::Uuid(uuid) => Text::Uuid(text_of(*uuid)),
            Kept::Other(text) => Text::Other(text),
        })
    }

    /// The memory that it takes on the heap, in bytes.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        match &self.0 {
            Kept::Uuid(_) => 0,
            Kept::Other(text) => text.len(),
        }
    }

    /// Whether it is a UUID of version 5, as this program creates them; ftrack and its clients use
    /// other versions.
    #[must_use]
    pub fn is_of_version_5(&self) -> bool {
        match &self.0 {
            Kept::Uuid(uuid) => uuid.get_version_num() == 5,
            Kept::Other(_) => false,
        }
    }
}

/// The UUID of a text that is exactly the text of that UUID.
fn canonical(text: &str) -> Option<Uuid> {
    let is_canonical =
        text.len() == UUID_TEXT && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    is_canonical.then(|| Uuid::try_parse(text).ok()).flatten()
}

fn text_of(uuid: Uuid) -> [u8; UUID_TEXT] {
    let mut text = [0; UUID_TEXT];
    uuid.hyphenated().encode_lower(&mut text);
    text
}

/// The text of an id.
#[derive(Clone, Copy)]
pub struct EntityIdText<'a>(Text<'a>);

#[derive(Clone, Copy)]
enum Text<'a> {
    Uuid([u8; UUID_TEXT]),
    Other(&'a str),
}

impl Deref for EntityIdText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            // It is ASCII.
            Text::Uuid(text) => std::str::from_utf8(text).unwrap_or_default(),
            Text::Other(text) => text,
        }
    }
}

impl AsRef<str> for EntityIdText<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<Uuid> for EntityId {
    fn from(uuid: Uuid) -> Self {
        Self(Kept::Uuid(uuid))
    }
}

impl From<&EntityId> for Box<str> {
    fn from(id: &EntityId) -> Self {
        (*id.text()).into()
    }
}

impl From<&EntityId> for serde_json::Value {
    fn from(id: &EntityId) -> Self {
        Self::from(&*id.text())
    }
}

impl Ord for EntityId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            // Digits come before letters, and hyphens are at the same places.
            (Kept::Uuid(one), Kept::Uuid(other)) => one.cmp(other),
            (Kept::Uuid(_) | Kept::Other(_), Kept::Other(_)) | (Kept::Other(_), Kept::Uuid(_)) => {
                self.text().cmp(&*other.text())
            }
        }
    }
}

impl PartialOrd for EntityId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for EntityId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Kept::Uuid(uuid) => state.write_u128(uuid.as_u128()),
            Kept::Other(text) => text.hash(state),
        }
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntityId({:?})", &*self.text())
    }
}

impl Serialize for EntityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for EntityId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Id;

        impl Visitor<'_> for Id {
            type Value = EntityId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an entity id")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<EntityId, E> {
                EntityId::new(text).ok_or_else(|| {
                    E::custom(match text.len() {
                        0..=64 => format!("{text:?} is not an entity id"),
                        bytes => format!("a text of {bytes} bytes is not an entity id"),
                    })
                })
            }
        }

        deserializer.deserialize_str(Id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::{EntityId, Kept};

    #[test]
    fn ids_of_this_programs_making_are_told_from_those_of_others() {
        let is_ours = |text: &str| EntityId::new(text).unwrap().is_of_version_5();
        assert!(is_ours("0dd4c83b-aaf2-5307-8500-b980c74b8fed"));
        for other in [
            "0dd4c83b-aaf2-4307-8500-b980c74b8fed",
            "bdf82eca-c19b-11e1-88cf-f23c91df25eb",
            "u-001",
            "5",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }

    /// Ids as servers have them, with neighbours: UUIDs, some in upper case or without hyphens, and other texts.
    fn id_texts() -> impl Strategy<Value = String> {
        let nearly = "[0-1a-b]{8}-[0-1]{4}-5[0-1]{3}-8[0-1A-B]{3}-[0-1f]{12}";
        prop_oneof![
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            nearly,
            "[0-9a-f]{32}",
            "[0-9a-fA-F-]{36}",
            "[A-Za-z0-9_-]{1,64}",
        ]
    }

    proptest! {
        #[test]
        fn an_id_is_its_text(one in id_texts(), other in id_texts()) {
            let (id, another) = (EntityId::new(&one).unwrap(), EntityId::new(&other).unwrap());
            prop_assert_eq!(&*id.text(), &*one);
            prop_assert_eq!(id.to_string(), one.clone());
            prop_assert_eq!(id.cmp(&another), one.cmp(&other));
            prop_assert_eq!(id == another, one == other);
            let as_json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(&as_json, &serde_json::to_string(&one).unwrap());
            prop_assert_eq!(&serde_json::from_str::<EntityId>(&as_json).unwrap(), &id);
            prop_assert!(HashSet::from([id.clone()]).contains(&EntityId::new(&one).unwrap()));
        }
    }

    #[test]
    fn uuids_take_no_memory_of_their_own() {
        let id = EntityId::new("0dd4c83b-aaf2-5307-8500-b980c74b8fed").unwrap();
        assert!(matches!(id.0, Kept::Uuid(_)));
        assert_eq!(id.heap_size(), 0);
        assert!(size_of::<EntityId>() <= 24);
    }
}
