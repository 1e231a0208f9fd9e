//! What a link says of the person beside who owns the user: since when the person has been missing, and
//! what of the user's changes a person rejected.
//!
//! It is stored in the link, so that a lost local state forgets nothing. Most links say nothing.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{absence::Absence, entry::of_bytes};

/// The most rejected edits that a link has room for.
const MOST: usize = 32;

/// What a link says beside who owns its user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkNotes(Option<Box<Noted>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing: Option<Absence>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<EditDigest>,
}

impl LinkNotes {
    /// Since when the person has been missing, if at all, and the rejected edits.
    #[must_use]
    pub fn new(missing: Option<Absence>, mut rejected: Vec<EditDigest>) -> Self {
        rejected.sort_unstable();
        rejected.dedup();
        rejected.truncate(MOST);
        let noted = Noted { missing, rejected };
        Self((noted != Noted::default()).then(|| Box::new(noted)))
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The memory that it takes, in bytes.
    pub(super) fn heap_size(&self) -> usize {
        let noted = self.0.as_deref();
        noted.map_or(0, |noted| {
            of_bytes(size_of_val(noted)) + size_of_val(&*noted.rejected)
        })
    }

    /// Since when the person has been missing or disabled, and in how many complete reads up to that
    /// in which it was written.
    #[must_use]
    pub fn missing(&self) -> Option<&Absence> {
        self.0.as_ref()?.missing.as_ref()
    }

    /// The rejected edits, in order.
    #[must_use]
    pub fn rejected(&self) -> &[EditDigest] {
        self.0.as_ref().map_or(&[], |noted| &noted.rejected)
    }

    /// The same, with this time instead.
    #[must_use]
    pub fn with_missing(&self, missing: Option<Absence>) -> Self {
        Self::new(missing, self.rejected().to_vec())
    }

    /// The same, with these rejected edits instead, as many as there is room for.
    #[must_use]
    pub fn with_rejected(&self, rejected: Vec<EditDigest>) -> Self {
        Self::new(self.missing().cloned(), rejected)
    }
}

/// A rejected edit, its cause and its person, as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EditDigest(u64);

/// A constant of this program.
const NAMESPACE: Uuid = Uuid::from_u128(0x8c1b_5a0e_52f4_5c39_b1f0_6a0d_93de_417e);

impl EditDigest {
    /// The first of all in their order.
    pub(super) const FIRST: Self = Self(0);

    /// Of an edit, its cause and its person, as a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let (digest, _) = Uuid::new_v5(&NAMESPACE, text.as_bytes()).as_u64_pair();
        Self(digest)
    }

    /// Parses the form in which links have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for EditDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<EditDigest> for String {
    fn from(digest: EditDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for EditDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not 16 hexadecimal digits")
    }
}
