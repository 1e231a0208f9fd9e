//! One run of a job at a time, also among several programs on the same state folder.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use super::{
    failure::NotBegun,
    store::{self, StateError},
};

/// Held while a run of a job is under way; the system lets go of it when the program ends, however it ends.
#[derive(Debug)]
pub struct JobLock {
    _file: File,
}

impl JobLock {
    /// Takes the lock of a job.
    ///
    /// # Errors
    /// Another run of the job is under way, or the state folder cannot be used.
    pub fn take(state_dir: &Path, job: &str) -> Result<Self, NotBegun> {
        let folder = state_dir.join("locks");
        store::make_folder(&folder)?;
        let path = folder.join(format!("{job}.lock"));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| StateError::new("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let busy = io::Error::new(io::ErrorKind::ResourceBusy, "another run of this job is under way; wait for its end");
                Err(NotBegun::Busy(StateError::new("lock", &path, busy)))
            }
            Err(TryLockError::Error(source)) => Err(StateError::new("lock", &path, source).into()),
        }
    }
}
