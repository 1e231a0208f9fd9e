//! The state database, `state.db` in the state directory: what outlives a run besides its report.
//! Every table can be read with `sqlite3`.
//!
//! | table | contains |
//! |---|---|
//! | `runs` | the summary of each run that has a report |
//! | `backoffs` | jobs that failed, and when they are retried |
//! | `pauses` | jobs that a person paused |
//! | `paused_kinds` | kinds of change of a job that a person paused |
//! | `refusals` | servers that refused the credentials |
//! | `absences` | who has been missing since when: the start of `deactivate_after` |
//! | `written` | how many changes of each kind a run wrote without a person's approval: what the limits count, besides the links in ftrack |
//! | `held_people` | whose changes are held, by what and why |
//! | `holds`, `hold_people` | the numbered holds, and the people of each with what was seen of them |
//! | `rejected` | what people rejected of the held changes or had undone, until its cause ends; what links say of it as well, with who it is |
//! | `hold_counter` | the last number of a hold |
//! | `settings` | with which settings each job read its people |
//! | `first_contacts` | jobs whose first contact with their people has begun |
//! | `directories` | the directory's id of each job |
//! | `bases` | how many entries each search base showed |
//! | `groups` | how many members each group of `member_of`, and each group in them, named |
//! | `people` | the DN of each person of a job in the last reading, and of those who are missing since |
//! | `preferred_servers` | which server counts as the preferred one, where the DNS says which comes first |
//! | `known_changes` | up to where the changes of each job's directory are known, for `changes_schedule` |
//! | `known_users` | which users ftrack has, with digests of their logins and mail addresses, likewise |
//! | `stored_values` | values that ftrack stores otherwise than they were written, as digests |
//! | `page_actions` | what people did on the daemon's pages: who, from where, when, and what became of it |
//! | `undelivered_messages` | messages to people that their receivers have not taken |
//! | `failure_messages` | jobs of which a message says that a run failed without a report |
//! | `digests` | up to when the digests of each job are made |
//! | `inactive` | which users of a job are inactive although the program did not deactivate them |
//!
//! If it is lost, the program acts later, never sooner: the ownership of users is stored in ftrack.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

mod absences;
mod actions;
mod cached;
mod columns;
mod corruption;
mod create;
mod erased;
mod hold_heads;
mod holds;
mod jobs;
mod known;
mod known_users;
mod listing;
mod lock;
mod look;
mod messages;
mod people;
mod put;
mod reading_sizes;
mod rebuild;
mod rejections;
mod released;
mod remembered;
mod runs;
mod schema;
mod stored_values;
mod values;

pub use erased::ErasedRows;
pub use holds::{FirstNumber, Holds, Numbered, SeenHold, all_holds};
pub use known::{Again, KnownChanges, KnownUser, Sought};
pub use listing::{Paused, all_pauses, each_run};
pub use people::{all_dns, last_dns};
pub use rejections::{Rejections, all_rejected};
pub use remembered::{has_refusals, known};
pub use values::{LinkedUsers, RefusedAccount, RejectedRow, Remembered, Written};

use crate::{
    config::Config,
    event::{Event, program::ProgramEvent},
    model::set_aside::SetAside,
    state::{files::StateError, folder::Folder},
};
use cached::CachedJobs;
use corruption::UnusableDatabase;
use lock::{DatabaseLock, Identity, LockGuard};

/// The name of the database in the state directory.
const FILE: &str = "state.db";

/// The number of attempts to open a database that is deleted meanwhile.
const ATTEMPTS: u32 = 3;

/// The open database. The daemon and commands in the foreground may use it at the same time; each
/// call waits for the others for at most ten seconds.
#[derive(Debug)]
pub struct State {
    config: Config,
    path: PathBuf,
    open: Mutex<Open>,
}

/// One connection, the lock taken by every user of the file, the file's identity, and what only
/// this process knows.
#[derive(Debug)]
struct Open {
    connection: Connection,
    gate: DatabaseLock,
    identity: Identity,
    held: CachedJobs,
}

impl State {
    /// Opens the database of a configuration's state directory; creates it where there is none,
    /// from the reports and the files of an older version. Unknown reports are added. If it is
    /// deleted or replaced later, the next use does the same.
    ///
    /// A damaged database is set aside and recreated; the caller has to report that.
    ///
    /// # Errors
    /// The directory or the database cannot be used, though it is not damaged: no permission, no
    /// space, written by a newer version, in use for too long.
    pub fn open(config: &Config) -> Result<(Self, Option<SetAside>), StateError> {
        let folder = Folder::make(&config.state_dir)?;
        let _rights = folder.rights()?;
        // Without links: SQLite follows none.
        let config = Config {
            state_dir: folder.path().to_owned(),
            ..config.clone()
        };
        let path = config.state_dir.join(FILE);
        let (gate, alone) = DatabaseLock::open_exclusive(&config.state_dir)?;
        let (connection, set_aside) = set_right(&config, &path)?;
        let identity = in_place(&path)?;
        drop(alone);
        let open = Open {
            connection,
            gate,
            identity,
            held: CachedJobs::default(),
        };
        let state = Self {
            config,
            path,
            open: Mutex::new(open),
        };
        Ok((state, set_aside))
    }

    /// When the file was last written, by this process or another one; none where it is not there.
    #[must_use]
    pub fn written_at(&self) -> Option<SystemTime> {
        fs::metadata(&self.path).ok()?.modified().ok()
    }

    /// Reads, while nobody writes to the file or sets it aside.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.read_held(|connection, _| work(connection))
    }

    /// Reads something that must be remembered if the database is lost.
    fn read_held<T>(
        &self,
        work: impl FnOnce(&Connection, &mut CachedJobs) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.with("read", DatabaseLock::shared, |connection, held| {
            work(connection, held)
        })
    }

    /// Writes all of it or nothing; on disk when this returns. Exclusive: if two processes write
    /// much on a slow disk, SQLite's own locks, which are polled ten times a second, could block
    /// one for as long as the other continues.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.write_held(work, |_| ())
    }

    /// Writes something that must be remembered if the database is lost; `note` stores it in the
    /// cache.
    fn write_held<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
        note: impl FnOnce(&mut CachedJobs),
    ) -> Result<T, StateError> {
        self.with("write", DatabaseLock::exclusive, |connection, held| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            note(held);
            Ok(done)
        })
    }

    /// Makes the file anew, without what was on pages that are free now.
    fn vacuum(&self) -> Result<(), StateError> {
        self.with("write", DatabaseLock::exclusive, |connection, _| {
            connection.execute_batch("VACUUM")
        })
    }

    fn with<T>(
        &self,
        what: &'static str,
        pass: impl Fn(&DatabaseLock) -> Result<LockGuard, StateError>,
        work: impl FnOnce(&mut Connection, &mut CachedJobs) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // SQLite creates and deletes files: also those that the files of another user name.
        let _rights = Folder::nearest(&self.config.state_dir)?.rights()?;
        let _passed = self.pass(&mut open, pass)?;
        let Open {
            connection, held, ..
        } = &mut *open;
        work(connection, held).map_err(|error| corruption::failed(what, &self.path, &error))
    }

    /// Takes the lock of the database that is now in its place: writes to one that was deleted or
    /// set aside are lost.
    fn pass(
        &self,
        open: &mut Open,
        pass: impl Fn(&DatabaseLock) -> Result<LockGuard, StateError>,
    ) -> Result<LockGuard, StateError> {
        for _ in 0..ATTEMPTS {
            let passed = pass(&open.gate)?;
            if open.gate.is_in_place()? && lock::identity(&self.path)? == Some(open.identity) {
                return Ok(passed);
            }
            drop(passed);
            self.reopen(open)?;
        }
        Err(StateError::new(
            "open",
            &self.path,
            io::Error::other("it is deleted again and again"),
        ))
    }

    /// Opens the database that is now in its place, and creates it if there is none; a new one gets
    /// what this process knows, and is logged.
    fn reopen(&self, open: &mut Open) -> Result<(), StateError> {
        let (gate, _alone) = DatabaseLock::open_exclusive(&self.config.state_dir)?;
        let (mut connection, set_aside) = set_right(&self.config, &self.path)?;
        let identity = in_place(&self.path)?;
        let is_another = identity != open.identity;
        if is_another {
            put(&mut connection, &open.held)
                .map_err(|error| corruption::failed("write", &self.path, &error))?;
        }
        open.connection = connection;
        open.gate = gate;
        open.identity = identity;
        match set_aside {
            Some(set_aside) => Event::StateSetAside(&set_aside).emit(),
            None if is_another => ProgramEvent::StateRemade { path: &self.path }.emit(),
            None => {}
        }
        Ok(())
    }
}

fn put(connection: &mut Connection, held: &CachedJobs) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    held.put(&transaction)?;
    transaction.commit()
}

/// Connects to the database, after it was created, recreated, or given the newer reports as needed.
/// The caller has exclusive use of the state directory.
fn set_right(config: &Config, path: &Path) -> Result<(Connection, Option<SetAside>), StateError> {
    create::clear_away(path)?;
    let found = match made(path)? {
        Made::No => {
            create::make(config, path, create::Before::Files)?.put_in_place()?;
            (connect(path)?, None)
        }
        Made::Well(mut connection) => {
            rebuild::catch_up(&mut connection, path, config)?;
            (connection, None)
        }
        Made::Damaged(why) => {
            // Created before the old one is moved, so that on a full disk everything stays as it
            // is.
            let new = create::make(config, path, create::Before::Database)?;
            let set_aside = corruption::set_aside(path, why)?;
            new.put_in_place()?;
            (connect(path)?, Some(set_aside))
        }
    };
    absences::forget_files(&config.state_dir)?;
    Ok(found)
}

/// What exists at the database's path.
enum Made {
    No,
    Well(Connection),
    Damaged(String),
}

fn made(path: &Path) -> Result<Made, StateError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Made::No),
        Err(error) => Err(StateError::new("open", path, error)),
        Ok(there) if there.is_dir() => Err(StateError::new(
            "open",
            path,
            io::ErrorKind::IsADirectory.into(),
        )),
        Ok(there) if !there.is_file() => Err(StateError::new(
            "open",
            path,
            io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"),
        )),
        Ok(there) if there.len() == 0 => Ok(Made::Damaged("it is empty".to_owned())),
        Ok(_) => match schema::examine(path) {
            Ok(connection) => Ok(Made::Well(connection)),
            Err(UnusableDatabase::Damaged(why)) => Ok(Made::Damaged(why)),
            Err(UnusableDatabase::Failed(error)) => Err(error),
        },
    }
}

fn connect(path: &Path) -> Result<Connection, StateError> {
    schema::connect(path, schema::Access::Write)
        .map_err(|error| corruption::failed("open", path, &error))
}

/// The identity of the file at the database's path, which must exist.
fn in_place(path: &Path) -> Result<Identity, StateError> {
    lock::identity(path)?
        .ok_or_else(|| StateError::new("open", path, io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests;
