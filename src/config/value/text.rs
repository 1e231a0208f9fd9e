//! Texts of one line.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use crate::config::{finding::KeyPath, notes::Notes};

/// Text that is not empty, has no blanks at either end, and is one line.
#[derive(Debug, Clone)]
pub struct Line(String);

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        line_problem(text).map_or_else(
            || Ok(Self(text.to_owned())),
            |problem| Err(problem.to_owned()),
        )
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Line> for String {
    fn from(line: Line) -> Self {
        line.0
    }
}

/// Reads a key that is a [`Line`].
pub fn line<'de, D: Deserializer<'de>, V: From<String>>(deserializer: D) -> Result<V, D::Error> {
    let text = String::deserialize(deserializer)?;
    line_problem(&text).map_or_else(
        || Ok(text.clone().into()),
        |problem| Err(de::Error::custom(problem)),
    )
}

/// Why a text is not a [`Line`].
pub fn line_problem(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("empty")
    } else if text.chars().any(char::is_control) {
        Some("contains a line break or another control character")
    } else if text.trim() != text {
        Some("begins or ends with a blank")
    } else {
        None
    }
}

/// The name of a job or directory, which becomes part of file names, labels and (in capitals)
/// variables.
pub fn check_name(notes: &mut Notes, at: &KeyPath, name: &str) {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    let begins_well =
        name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if !begins_well || name.len() > 64 || !name.bytes().all(allowed) {
        notes.find(
            at,
            "a name consists of lower-case letters, digits, \"-\", \"_\" and \".\", starts with a \
             letter or digit, and has at most 64 characters",
        );
    }
}
