//! Who may use the database file: many at once to read, or one alone while it is written, made, examined or set aside.
//!
//! SQLite's own locks belong to a file and not to its name, so they cannot keep a process from writing to a file that another one has just set aside.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::StateError;
use crate::run::store;

/// How long one waits for the others.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// The lock file beside the database, `state.lock`; the system lets go of the lock when a program ends, however it ends.
#[derive(Debug)]
pub(super) struct Gate {
    file: File,
    path: PathBuf,
}

/// Held as long as the file is used.
#[derive(Debug)]
pub(super) struct Passed<'a>(&'a Gate);

impl Gate {
    /// Opens the lock file of a state folder, and makes it where it is missing.
    pub(super) fn open(folder: &Path) -> Result<Self, StateError> {
        let path = folder.join("state.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(|source| StateError::new("open", &path, source))?;
        store::hand_over(&file, &path);
        Ok(Self { file, path })
    }

    /// Opens the lock file to read beside the others, and makes nothing; none where nobody has made it.
    pub(super) fn look(folder: &Path) -> Result<Option<Self>, StateError> {
        let path = folder.join("state.lock");
        match File::open(&path) {
            Ok(file) => Ok(Some(Self { file, path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateError::new("open", &path, source)),
        }
    }

    /// Waits until nobody else uses the database.
    pub(super) fn alone(&self) -> Result<Passed<'_>, StateError> {
        self.pass(File::try_lock)
    }

    /// Waits until nobody has it alone.
    pub(super) fn among_others(&self) -> Result<Passed<'_>, StateError> {
        self.pass(File::try_lock_shared)
    }

    fn pass(&self, try_lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Passed<'_>, StateError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match try_lock(&self.file) {
                Ok(()) => return Ok(Passed(self)),
                Err(TryLockError::WouldBlock) if Instant::now() < until => thread::park_timeout(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let busy = io::Error::new(io::ErrorKind::ResourceBusy, "another process has used the state database for ten seconds");
                    return Err(StateError::new("lock", &self.path, busy));
                }
                Err(TryLockError::Error(source)) => return Err(StateError::new("lock", &self.path, source)),
            }
        }
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        // What cannot be unlocked is when the file is closed.
        let _ = self.0.file.unlock();
    }
}
