//! What a link says of the person beside who owns the user: since when the person has been missing.
//!
//! It is stored in the link, so that a lost local state forgets nothing. Most links say nothing.

use serde::{Deserialize, Serialize};

use super::absence::Absence;

/// What a link says beside who owns its user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkNotes(Option<Box<Noted>>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    missing: Option<Absence>,
}

impl LinkNotes {
    /// Nothing but since when the person has been missing, if at all.
    #[must_use]
    pub fn new(missing: Option<Absence>) -> Self {
        let noted = Noted { missing };
        Self((noted != Noted::default()).then(|| Box::new(noted)))
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Since when the person has been missing or disabled, and in how many complete reads up to that
    /// in which it was written.
    #[must_use]
    pub fn missing(&self) -> Option<&Absence> {
        self.0.as_ref()?.missing.as_ref()
    }

    /// The same, with this time instead.
    #[must_use]
    pub fn with_missing(&self, missing: Option<Absence>) -> Self {
        Self::new(missing)
    }
}
