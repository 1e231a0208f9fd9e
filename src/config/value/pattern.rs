//! Patterns of usernames.

use std::{fmt, str::FromStr};

use globset::{Glob, GlobBuilder, GlobSet};

use super::text::line_problem;
use crate::model::fold::fold;

/// The longest pattern, in bytes; unbounded nesting would overflow the stack.
const LONGEST: usize = 256;

/// A glob (`*`, `?`, `[abc]`, `{a,b}`) of usernames, whatever their case.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    globs: GlobSet,
}

impl Pattern {
    /// Whether a username matches; `folded` is the same username, [folded](fold).
    #[must_use]
    pub fn matches(&self, username: &str, folded: &str) -> bool {
        self.globs.is_match(username) || self.globs.is_match(folded)
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes, and no username is"));
        }
        if let Some(problem) = line_problem(text) {
            return Err(problem.to_owned());
        }
        let wrong = |error: globset::Error| format!("{text:?} is not a pattern: {}", error.kind());
        let mut globs = GlobSet::builder();
        globs.add(
            GlobBuilder::new(text)
                .case_insensitive(true)
                .build()
                .map_err(wrong)?,
        );
        // Globs ignore the case of ASCII alone, and know one form of each letter. A pattern that
        // folding breaks, such as `[Z-a]`, holds as it is written.
        if let Ok(folded) = Glob::new(&fold(text)) {
            globs.add(folded);
        }
        Ok(Self {
            text: text.to_owned(),
            globs: globs.build().map_err(wrong)?,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
