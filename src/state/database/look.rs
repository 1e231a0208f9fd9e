//! The database as it is found, without creating or changing anything.

use std::{fs, io, path::Path};

use rusqlite::Connection;

use crate::state::{
    database::{FILE, corruption, lock::DatabaseLock, schema},
    files::StateError,
    folder::Folder,
};

/// What was found.
pub(super) enum Looked<T> {
    Read(T),
    /// The next run has to update or to recreate it first.
    Unusable,
    Missing,
}

/// Reads the database with the rights of the owner of its directory: also reading has SQLite follow
/// what a journal beside it says.
///
/// # Errors
/// It cannot be read.
pub(super) fn look<T>(
    state_dir: &Path,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<Looked<T>, StateError> {
    let Some(folder) = Folder::find(state_dir)? else {
        return Ok(Looked::Missing);
    };
    let _rights = folder.rights()?;
    let path = folder.path().join(FILE);
    match fs::symlink_metadata(&path) {
        Ok(there) if there.is_file() && there.len() > 0 => {}
        Ok(there) if there.is_dir() => {
            return Err(StateError::new(
                "read",
                &path,
                io::ErrorKind::IsADirectory.into(),
            ));
        }
        Ok(there) if !there.is_file() => {
            let why = io::Error::new(io::ErrorKind::InvalidInput, "it is not a file");
            return Err(StateError::new("read", &path, why));
        }
        // It is empty, which the next run finds damaged.
        Ok(_) => return Ok(Looked::Unusable),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Looked::Missing),
        Err(error) => return Err(StateError::new("read", &path, error)),
    }
    let gate = DatabaseLock::look(folder.path())?;
    let _among_others = gate.as_ref().map(DatabaseLock::shared).transpose()?;
    match schema::look(&path)? {
        Some(connection) => read(&connection)
            .map(Looked::Read)
            .map_err(|error| corruption::failed("read", &path, &error)),
        None => Ok(Looked::Unusable),
    }
}
