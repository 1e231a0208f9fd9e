//! The error of a file or directory that cannot be used.

use std::{io, path::Path};

/// A file or directory of the program's state cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {}", in_words(source))]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StateError {
    pub what: &'static str,
    pub path: String,
    /// The system's error.
    #[source]
    pub source: io::Error,
}

/// The system's words; those of a kind alone are for developers.
fn in_words(error: &io::Error) -> String {
    let is_kind_alone = error.raw_os_error().is_none() && error.get_ref().is_none();
    if is_kind_alone && error.kind() == io::ErrorKind::NotFound {
        "no such file or directory".to_owned()
    } else {
        error.to_string()
    }
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
