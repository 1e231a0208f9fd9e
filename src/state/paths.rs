//! What a person names by its path: a file to write a plan to, a directory for the state.

use std::{ffi::OsStr, io, path::Path};

use crate::state::{files::StateError, folder::Folder};

/// Whether the program can write in a directory, which may still have to be created.
///
/// # Errors
/// It cannot.
pub fn can_keep(path: &Path) -> Result<(), StateError> {
    let there = Folder::nearest(path)?;
    let _rights = there.rights()?;
    match tempfile::tempfile_in(there.path()) {
        Ok(_) => Ok(()),
        Err(error) => Err(StateError::new(
            "write in",
            there.path(),
            error.kind().into(),
        )),
    }
}

/// Whether a file that a person names can be replaced or created.
///
/// # Errors
/// There is no such directory, nothing can be written in it, or something else than a file has that
/// name.
pub fn can_replace(path: &Path) -> Result<(), StateError> {
    let (folder, _) = place(path)?;
    can_keep(folder.path()).map_err(|error| not_writable(path, error.source))
}

/// A file that a person names lies anywhere: what is to be known of the state's files is not of it.
fn not_writable(path: &Path, source: io::Error) -> StateError {
    let is_refused = source.kind() == io::ErrorKind::PermissionDenied;
    let source = if is_refused && source.get_ref().is_none() {
        io::Error::new(
            source.kind(),
            "permission denied: name a file in a directory of your own",
        )
    } else {
        source
    };
    StateError::new("write", path, source)
}

/// Replaces a file that a person names by this content, or creates it: after a crash or on a full
/// disk the old content or the new is there, never a part.
///
/// # Errors
/// The directory is missing or not writable, the disk is full, or something else than a file has
/// that name: a device must not be replaced.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let (folder, name) = place(path)?;
    folder
        .replace(name, content)
        .map_err(|error| not_writable(path, error.source))
}

/// The directory of a file that a person names, and the file's name.
fn place(path: &Path) -> Result<(Folder, &OsStr), StateError> {
    let wrong = |source| not_writable(path, source);
    let Some(name) = path.file_name() else {
        return Err(wrong(io::ErrorKind::IsADirectory.into()));
    };
    if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
        let why = "it is not a regular file";
        return Err(wrong(io::Error::new(io::ErrorKind::InvalidInput, why)));
    }
    // The directory of a bare file name is the empty path, which cannot be opened.
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let found = Folder::find(folder).map_err(|error| wrong(error.source.kind().into()))?;
    let folder = found.ok_or_else(|| wrong(io::ErrorKind::NotFound.into()))?;
    Ok((folder, name))
}
