//! A damaged state database that was set aside.

use std::{fmt, path::PathBuf};

/// A damaged database was set aside, and a new one was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// The new path of the damaged one.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
    /// What the new one lacks.
    pub lost: &'static str,
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.lost)
    }
}
