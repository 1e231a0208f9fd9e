//! A database that cannot be used: whether it is damaged, and setting it aside.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{TimeDelta, Utc};
use rusqlite::ErrorCode;

use crate::{model::set_aside::SetAside, state::files::StateError};

/// The number of databases kept after they were set aside.
const KEPT: usize = 3;

/// What is not in the reports.
const LOST: &str = "the history, the delays after failures and what limits count were restored from \
                    the reports; \
                    pauses are lost, so a paused job runs again, and a paused kind of change is \
                    written again (`pause` it again), and so is the time since when people have been missing, so `deactivate_after` starts again";

/// Why a database cannot be used.
#[derive(Debug)]
pub(super) enum UnusableDatabase {
    /// The file's content is not what was written.
    Damaged(String),
    /// Another reason; the file may be valid.
    Failed(StateError),
}

impl UnusableDatabase {
    /// Distinguishes the two while a database is examined.
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        use rusqlite::Error;
        let damaged = match error.sqlite_error_code() {
            // An `Unknown` error is a wrong statement: a table or a column is missing.
            Some(code) => matches!(
                code,
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown
            ),
            None => matches!(
                error,
                Error::FromSqlConversionFailure(..)
                    | Error::IntegralValueOutOfRange(..)
                    | Error::InvalidColumnType(..)
                    | Error::InvalidColumnName(_)
                    | Error::Utf8Error(..)
            ),
        };
        let missing =
            matches!(error, Error::SqlInputError { error, .. } if error.code == ErrorCode::Unknown);
        if damaged || missing {
            Self::Damaged(one_line(&error.to_string()))
        } else {
            Self::Failed(failed("open", path, error))
        }
    }
}

/// An error of the database as one about its file.
pub(super) fn failed(what: &'static str, path: &Path, error: &rusqlite::Error) -> StateError {
    let said = |kind, words: &str| io::Error::new(kind, words.to_owned());
    let source = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            said(io::ErrorKind::StorageFull, "no space is left on the disk")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => said(
            io::ErrorKind::ResourceBusy,
            "another process has used it for too long",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            said(io::ErrorKind::PermissionDenied, "no permission to write it")
        }
        Some(_) | None => io::Error::other(one_line(&error.to_string())),
    };
    StateError::new(what, path, source)
}

/// Some messages of SQLite have several lines.
pub(super) fn one_line(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Renames a damaged database and its journal, and removes all but the newest of those that were
/// set aside before.
pub(super) fn set_aside(path: &Path, why: String) -> Result<SetAside, StateError> {
    let mut time = Utc::now();
    let mut aside = with(path, &format!(".damaged-{}", time.format("%Y%m%d-%H%M%S")));
    while aside.symlink_metadata().is_ok() {
        time += TimeDelta::seconds(1);
        aside = with(path, &format!(".damaged-{}", time.format("%Y%m%d-%H%M%S")));
    }
    let wrong = |source| StateError::new("set aside", path, source);
    // The journal first: it must never be beside another database, to which it would be applied.
    match fs::rename(journal(path), journal(&aside)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
        Ok(()) | Err(_) => {}
    }
    fs::rename(path, &aside).map_err(wrong)?;
    remove_old(path, &aside);
    Ok(SetAside {
        path: aside,
        why,
        lost: LOST,
    })
}

/// The journal file that SQLite uses while it writes.
pub(super) fn journal(path: &Path) -> PathBuf {
    with(path, "-journal")
}

/// A path with a suffix.
pub(super) fn with(path: &Path, end: &str) -> PathBuf {
    let mut longer = OsString::from(path);
    longer.push(end);
    PathBuf::from(longer)
}

/// Removes all but the newest ones and this one, which need not be the newest if the clock was set
/// back. Failed removals are retried the next time.
fn remove_old(path: &Path, this: &Path) {
    let start = with(path, ".damaged-");
    let entries = path.parent().and_then(|folder| fs::read_dir(folder).ok());
    let mut aside: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.to_string_lossy();
            name.starts_with(&*start.to_string_lossy()) && !name.ends_with("-journal")
        })
        .collect();
    aside.sort_unstable();
    for old in aside.iter().rev().filter(|old| *old != this).skip(KEPT - 1) {
        let _ = fs::remove_file(journal(old));
        let _ = fs::remove_file(old);
    }
}
