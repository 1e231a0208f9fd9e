//! The error of a file or directory that cannot be used.

use std::{io, path::Path};

use crate::config::files::whose;

/// A file or directory of the program's state cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}: {}{advice}", in_words(source))]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StateError {
    pub what: &'static str,
    pub path: String,
    /// The system's error.
    #[source]
    pub source: io::Error,
    /// Whose it is, and what to do, to follow the error, where this process may not use it.
    advice: String,
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
        let is_explained = source.get_ref().is_some();
        let advice = if !is_explained && source.kind() == io::ErrorKind::PermissionDenied {
            format!("; {}", whose(path))
        } else {
            String::new()
        };
        Self {
            what,
            path: path.display().to_string(),
            source,
            advice,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lacks_the_right_is_told_what_to_do() {
        let error =
            |source| StateError::new("read", Path::new("/state/state.db"), source).to_string();
        let refused = error(io::Error::from_raw_os_error(13));
        assert!(
            refused.contains("run the command as the owner or as root"),
            "{refused}"
        );
        // Root is told something else.
        let refused = error(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "as the owner",
        ));
        assert!(!refused.contains("sudo"), "{refused}");
    }
}
