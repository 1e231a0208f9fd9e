//! The lock for the database file: shared for reading, exclusive for writing, creating, examining
//! or setting it aside.
//!
//! SQLite's own locks belong to a file and not to its name, so they cannot keep a process from
//! writing to a file that another one has just set aside.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crate::state::{files::StateError, folder::Folder};

/// The name of the lock file in the state directory.
const FILE: &str = "state.lock";
/// The longest wait for the others.
const PATIENCE: Duration = Duration::from_secs(10);
/// The interval between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// The device and inode number of a file, which show whether another file has replaced it.
pub(super) type Identity = (u64, u64);

/// The lock file beside the database, `state.lock`; the system releases the lock when the process
/// ends.
#[derive(Debug)]
pub(super) struct DatabaseLock {
    file: Arc<File>,
    path: PathBuf,
}

/// Held as long as the file is used.
#[derive(Debug)]
pub(super) struct LockGuard(Arc<File>);

impl DatabaseLock {
    /// Opens the lock file of a state directory, creating both if missing; waits until nobody else
    /// uses the database.
    pub(super) fn open_exclusive(folder: &Path) -> Result<(Self, LockGuard), StateError> {
        let until = Instant::now() + PATIENCE;
        loop {
            let gate = Self::open(folder)?;
            let alone = gate.exclusive()?;
            // If it is deleted while one process waits, the next one waits at another file.
            if gate.is_in_place()? {
                return Ok((gate, alone));
            }
            if Instant::now() > until {
                return Err(StateError::new(
                    "lock",
                    &gate.path,
                    io::Error::other("it is deleted again and again"),
                ));
            }
        }
    }

    fn open(folder: &Path) -> Result<Self, StateError> {
        let folder = Folder::make(folder)?;
        let file = Arc::new(folder.lock_file(FILE)?);
        let path = folder.path().join(FILE);
        Ok(Self { file, path })
    }

    /// Opens the lock file for shared reading, and creates nothing; none where it does not exist.
    pub(super) fn look(folder: &Path) -> Result<Option<Self>, StateError> {
        let file = match Folder::find(folder)? {
            Some(folder) => folder.open(FILE)?,
            None => None,
        };
        Ok(file.map(|file| Self {
            file: Arc::new(file),
            path: folder.join(FILE),
        }))
    }

    /// Whether the lock file is still the one that others find: a deleted one excludes nobody.
    pub(super) fn is_in_place(&self) -> Result<bool, StateError> {
        let own = self
            .file
            .metadata()
            .map_err(|source| StateError::new("open", &self.path, source))?;
        Ok(identity(&self.path)? == Some((own.dev(), own.ino())))
    }

    /// Waits until nobody else uses the database.
    pub(super) fn exclusive(&self) -> Result<LockGuard, StateError> {
        self.acquire(File::try_lock)
    }

    /// Waits until nobody has exclusive use of it.
    pub(super) fn shared(&self) -> Result<LockGuard, StateError> {
        self.acquire(File::try_lock_shared)
    }

    fn acquire(
        &self,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<LockGuard, StateError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match try_lock(&self.file) {
                Ok(()) => return Ok(LockGuard(Arc::clone(&self.file))),
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    thread::park_timeout(PAUSE)
                }
                Err(TryLockError::WouldBlock) => {
                    let busy = io::Error::new(
                        io::ErrorKind::ResourceBusy,
                        "another process has used the state database for ten seconds",
                    );
                    return Err(StateError::new("lock", &self.path, busy));
                }
                Err(TryLockError::Error(source)) => {
                    return Err(StateError::new("lock", &self.path, source));
                }
            }
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // If it cannot be unlocked, closing the file releases it.
        let _ = self.0.unlock();
    }
}

/// The file at a path; none if there is none.
pub(super) fn identity(path: &Path) -> Result<Option<Identity>, StateError> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(Some((there.dev(), there.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::new("open", path, source)),
    }
}
