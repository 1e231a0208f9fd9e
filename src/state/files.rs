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
    let is_explained = error.get_ref().is_some();
    let kind = error.kind();
    if is_kind_alone && kind == io::ErrorKind::NotFound {
        "no such file or directory".to_owned()
    } else if !is_explained && kind == io::ErrorKind::PermissionDenied {
        format!(
            "{error}; only the owner of the state directory and root may use what is in it: put \
             `sudo` before the command, or run it as the owner that `ls -ld` shows"
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lacks_the_right_is_told_what_to_do() {
        let error =
            |source| StateError::new("read", Path::new("/state/state.db"), source).to_string();
        let refused = error(io::Error::from_raw_os_error(13));
        assert!(
            refused.contains("put `sudo` before the command"),
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
