//! The kinds of values that custom attributes of users have.

use std::{collections::BTreeMap, fmt, sync::Arc};

/// The kind of value of a custom attribute, from the type of its configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum CustomKind {
    Text,
    Number,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// Some of a list of choices.
    List(Choices),
    /// The server does not show the type.
    #[default]
    Unknown,
}

/// What can be chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Whether several may be chosen at once.
    pub several: bool,
    /// The value of each choice by its value and by the name that people see; none where the server
    /// does not show them, since they come from elsewhere.
    pub known: Option<Arc<BTreeMap<Box<str>, Box<str>>>>,
}

impl CustomKind {
    /// The kind of value for a type name and its choices; the names are those of the vendor's
    /// `CustomAttributeType`. None for types whose values this program does not write.
    #[must_use]
    pub fn named(name: &str, choices: impl FnOnce() -> Choices) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "text" | "url" => Self::Text,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "enumerator" | "dynamic enumerator" => Self::List(choices()),
            _ => return None,
        })
    }

    /// Whether an attribute of this kind has several values at once.
    #[must_use]
    pub fn has_several(&self) -> bool {
        match self {
            Self::List(choices) => choices.several,
            Self::Text | Self::Number | Self::Boolean | Self::Date | Self::Unknown => false,
        }
    }
}

/// What it takes, for people.
impl fmt::Display for CustomKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a date",
            Self::List(Choices { several: true, .. }) => "one or several choices",
            Self::List(Choices { several: false, .. }) => "one choice",
            Self::Unknown => "of a type that it does not show",
        })
    }
}
