//! The error of a file or directory that cannot be used.

use std::{io, path::Path};

/// A file or directory of the program's state cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {source}")]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StateError {
    pub what: &'static str,
    pub path: String,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

impl StateError {
    /// An error about one path.
    #[must_use]
    pub fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            what,
            path: path.display().to_string(),
            source,
        }
    }
}
