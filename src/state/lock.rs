//! Locks: one run of a job and one daemon at a time, also among several programs on the same state
//! directory.

use std::{
    fs::{File, TryLockError},
    io::{self, Read, Write},
    path::Path,
};

use crate::state::{files::StateError, folder::Folder};

/// The file that a daemon locks in its state directory.
const DAEMON: &str = "daemon.lock";

/// Held while a run of a job is in progress; the system releases it when the process ends.
#[derive(Debug)]
pub struct JobLock {
    _file: File,
}

/// Held by the daemon of a state directory while it runs; the system releases it when the process
/// ends.
#[derive(Debug)]
pub struct DaemonLock {
    _file: File,
}

impl JobLock {
    /// Takes the lock of a job.
    ///
    /// # Errors
    /// Another run of the job is in progress, or the state directory cannot be used.
    pub fn take(state_dir: &Path, job: &str) -> Result<Self, LockError> {
        let folder = Folder::make(state_dir)?.make_sub("locks")?;
        let file = lock(&folder, &format!("{job}.lock"), |_| {
            "another run of this job is in progress; wait for its end".to_owned()
        })?;
        Ok(Self { _file: file })
    }
}

/// Takes the lock for ftrack's own synchronisation: one run of all jobs and programs on a state
/// directory.
///
/// # Errors
/// Another run has it, or the state directory cannot be used.
pub fn take_sync(state_dir: &Path) -> Result<JobLock, LockError> {
    let folder = Folder::make(state_dir)?;
    let file = lock(&folder, "ftrack-ldap-sync-under-way.lock", |_| {
        "another run of ftrack's own synchronisation is in progress; wait for its end".to_owned()
    })?;
    Ok(JobLock { _file: file })
}

impl DaemonLock {
    /// Takes the lock of the state directory's daemon, `daemon.lock`, and writes the process id
    /// into it.
    ///
    /// # Errors
    /// Another daemon has it, or the state directory cannot be used.
    pub fn take(state_dir: &Path) -> Result<Self, StateError> {
        let folder = Folder::make(state_dir)?;
        let locked = lock(&folder, DAEMON, |holder| {
            let which = holder
                .map(|pid| format!(", process {pid},"))
                .unwrap_or_default();
            format!(
                "another daemon{which} runs on this state directory; stop it first, or give this \
                 one a state_dir of its own"
            )
        });
        let mut file =
            locked.map_err(|(LockError::Taken(error) | LockError::State(error))| error)?;
        // The lock is valid even without the number.
        let _ = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// Whether a daemon uses a state directory, on this machine or in a container beside this one.
#[must_use]
pub fn has_daemon(state_dir: &Path) -> bool {
    let folder = Folder::find(state_dir).ok().flatten();
    let file = folder.and_then(|folder| folder.open(DAEMON).ok().flatten());
    file.is_some_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Why a file is not locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it.
    Taken(StateError),
    /// It cannot be opened or locked.
    State(StateError),
}

impl From<StateError> for LockError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Opens and locks a file; where another process has it, returns the number that the process wrote
/// into it.
fn lock(
    folder: &Folder,
    name: &str,
    taken: impl FnOnce(Option<u32>) -> String,
) -> Result<File, LockError> {
    let file = folder.lock_file(name)?;
    let wrong = |source| StateError::new("lock", &folder.path().join(name), source);
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.take(20).read_to_string(&mut holder);
            let holder = read.ok().and_then(|_| holder.trim().parse().ok());
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, taken(holder));
            Err(LockError::Taken(wrong(busy)))
        }
        Err(TryLockError::Error(source)) => Err(LockError::State(wrong(source))),
    }
}
