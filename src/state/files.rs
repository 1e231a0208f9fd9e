//! Files that are written completely or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

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

/// Creates a directory and its parents, readable only by the owner.
///
/// # Errors
/// The directory neither exists nor can be created.
pub fn make_folder(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::DirBuilderExt;
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(path)
        .map_err(|source| StateError::new("create the directory", path, source))?;
    for folder in missing.into_iter().rev() {
        if let Ok(made) = File::open(folder) {
            hand_over(&made, folder);
        }
    }
    Ok(())
}

/// Opens a file that is locked, and holds nothing; creates it, and its directory, where missing.
///
/// # Errors
/// The file cannot be opened, or its directory cannot be created.
pub fn open_lock(path: &Path) -> Result<File, StateError> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path);
    let file = file.map_err(|source| StateError::new("open", path, source))?;
    hand_over(&file, path);
    Ok(file)
}

/// Gives a file or directory of the program to the owner of the directory that contains it: files
/// created by root in the foreground would otherwise be inaccessible to the daemon, which runs as
/// another user. Does nothing for other users.
pub fn hand_over(own: &File, path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let (Ok(own_now), Ok(there), Ok(above)) = (
        own.metadata(),
        fs::symlink_metadata(path),
        fs::metadata(folder),
    ) else {
        return;
    };
    // A link must not be used to give away a file elsewhere.
    let is_there = (own_now.dev(), own_now.ino()) == (there.dev(), there.ino())
        && (own_now.is_dir() || own_now.nlink() == 1);
    if is_there && own_now.uid() != above.uid() {
        // Only root may; other users keep their files in another user's directory.
        let _ = fchown(own, Some(above.uid()), Some(above.gid()));
    }
}

/// Whether the program can write in a directory, which may still have to be created.
///
/// # Errors
/// It cannot.
pub fn can_keep(path: &Path) -> Result<(), StateError> {
    let there = path
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(path);
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    match tempfile::tempfile_in(there) {
        Ok(_) => Ok(()),
        Err(error) => Err(StateError::new("write in", there, error.kind().into())),
    }
}

/// Whether a file can be written, as far as its directory tells.
///
/// # Errors
/// There is no such directory, or nothing can be written in it.
pub fn can_replace(path: &Path) -> Result<(), StateError> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let wrong = |source| StateError::new("write", path, source);
    if !fs::metadata(folder).map_err(wrong)?.is_dir() {
        return Err(wrong(io::ErrorKind::NotADirectory.into()));
    }
    can_keep(folder)
}

/// Replaces a file by this content: after a crash or on a full disk the old content or the new is
/// there, never a part.
///
/// # Errors
/// The directory is missing or not writable, or the disk is full.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let wrong = |source| StateError::new("write", path, source);
    // The directory of a bare file name is the empty path, which cannot be opened.
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    // Without the temporary file's name, which would only confuse.
    let made = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(&folder);
    let mut file = made.map_err(|error| wrong(error.kind().into()))?;
    file.write_all(content).map_err(wrong)?;
    hand_over(file.as_file(), file.path());
    file.as_file().sync_all().map_err(wrong)?;
    file.persist(path).map_err(|error| wrong(error.error))?;
    File::open(&folder)
        .and_then(|folder| folder.sync_all())
        .map_err(wrong)
}
