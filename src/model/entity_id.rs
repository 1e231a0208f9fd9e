//! The id of an ftrack entity. No I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of an ftrack entity: a UUID in text, whose characters are safe inside a query expression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Box<str>", into = "Box<str>")]
pub struct EntityId(Box<str>);

impl EntityId {
    /// Takes an id of ASCII letters, digits, `-` and `_` (1 to 64 of them); `None` for anything
    /// else, so that no text can change a query's meaning.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let safe = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        safe.then(|| Self(text.into()))
    }

    /// An id that nothing else has.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// As used in queries.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a UUID of version 5, as this program creates them; ftrack and its clients use
    /// other versions.
    #[must_use]
    pub fn is_of_version_5(&self) -> bool {
        // The form in which this program writes them (RFC 9562 section 4), with the version in its
        // position.
        let bytes = self.0.as_bytes();
        let hyphens = [8, 13, 18, 23]
            .into_iter()
            .all(|place| bytes.get(place) == Some(&b'-'));
        bytes.len() == 36 && hyphens && bytes.get(14) == Some(&b'5')
    }
}

impl TryFrom<Box<str>> for EntityId {
    type Error = String;

    fn try_from(text: Box<str>) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or_else(|| match text.len() {
            0..=64 => format!("{text:?} is not an entity id"),
            bytes => format!("a text of {bytes} bytes is not an entity id"),
        })
    }
}

impl From<EntityId> for Box<str> {
    fn from(id: EntityId) -> Self {
        id.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::EntityId;

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
}
