//! The state database, `state.db` in the state folder: what outlives a run beyond its report. Every
//! table can be read with `sqlite3`.
//!
//! | table | holds |
//! |---|---|
//! | `runs` | the figures of each run; the newest of each job, and its last good one |
//! | `backoffs` | jobs that failed, and when they are tried again |
//! | `pauses` | jobs that a person told to wait |
//! | `refusals` | servers that refused the credentials |
//! | `absences` | who has been missing since when: what `deactivate_after` counts from |
//! | `written` | how many deactivations each run wrote without a person's approval: what the limits count, beside the links at ftrack |
//! | `held` | whose deactivation a limit holds |
//! | `directories` | what identified the directory of each job |
//! | `bases` | how many entries each search base showed |
//! | `inactive` | which users of a job are inactive though the program did not deactivate them |
//!
//! Losing it makes the program more patient, never less: what belongs to whom stands at ftrack.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

mod absences;
mod cached;
mod columns;
mod corruption;
mod create;
mod jobs;
mod lock;
mod put;
mod rebuild;
mod remembered;
mod runs;
mod schema;
mod values;

pub use remembered::known;
pub use values::{LinkedUsers, RefusedAccount, Remembered, Written};

use crate::{
    config::Config,
    event::{Event, program::ProgramEvent},
    model::set_aside::SetAside,
    state::files::StateError,
};
use cached::CachedJobs;
use corruption::UnusableDatabase;
use lock::{DatabaseLock, Identity, LockGuard};

/// The name of the database in the state folder.
const FILE: &str = "state.db";

/// So often one looks again for a database that is deleted while it is looked for.
const ATTEMPTS: u32 = 3;

/// The open database. The daemon and commands in the foreground may use it at the same time; each
/// call waits for the others for ten seconds at most.
#[derive(Debug)]
pub struct State {
    config: Config,
    path: PathBuf,
    open: Mutex<Open>,
}

/// One connection, the lock that everybody takes who uses the file, which file it is, and what is
/// known that nobody else could tell.
#[derive(Debug)]
struct Open {
    connection: Connection,
    gate: DatabaseLock,
    identity: Identity,
    held: CachedJobs,
}

impl State {
    /// Opens the database of a configuration's state folder; makes it where there is none, out of
    /// the reports and of what an older version kept in files. Reports that it does not know of yet
    /// are added. Where it is deleted or replaced later on, the next use does the same.
    ///
    /// A database that is damaged is set aside and made anew; whoever opened it has to say so.
    ///
    /// # Errors
    /// The folder or the database cannot be used, though it is not damaged: no permission, no
    /// space, written by a newer version, in use for too long.
    pub fn open(config: &Config) -> Result<(Self, Option<SetAside>), StateError> {
        let folder = std::path::absolute(&config.state_dir)
            .map_err(|source| StateError::new("find", &config.state_dir, source))?;
        let path = folder.join(FILE);
        let (gate, alone) = DatabaseLock::open_exclusive(&folder)?;
        let config = Config {
            state_dir: folder,
            ..config.clone()
        };
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

    /// Reads, while nobody writes to the file or sets it aside.
    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.read_held(|connection, _| work(connection))
    }

    /// Reads something that is to be known when the database is lost.
    fn read_held<T>(
        &self,
        work: impl FnOnce(&Connection, &mut CachedJobs) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.with("read", DatabaseLock::shared, |connection, held| {
            work(connection, held)
        })
    }

    /// Writes all of it or nothing; on disk when this returns. Alone: of two who write much on a
    /// slow disk, SQLite's own locks, which are looked at ten times a second, could keep one out
    /// for as long as the other goes on.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        self.write_held(work, |_| ())
    }

    /// Writes something that is to be known when the database is lost; `note` keeps it.
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

    fn with<T>(
        &self,
        what: &'static str,
        pass: impl Fn(&DatabaseLock) -> Result<LockGuard, StateError>,
        work: impl FnOnce(&mut Connection, &mut CachedJobs) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let _passed = self.pass(&mut open, pass)?;
        let Open {
            connection, held, ..
        } = &mut *open;
        work(connection, held).map_err(|error| corruption::failed(what, &self.path, &error))
    }

    /// Passes the gate of the database that stands in its place: what is written to one that was
    /// deleted or set aside is lost.
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

    /// Opens what stands in the database's place now, and makes it where nothing does; a new one is
    /// told what this process knows, and said.
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

/// Connects to the database, after whatever it needs: to be made, made anew, or told of newer
/// reports. The caller has the state folder alone.
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
            // Made before the old one goes, so that on a full disk everything stays as it is.
            let new = create::make(config, path, create::Before::Database)?;
            let set_aside = corruption::set_aside(path, why)?;
            new.put_in_place()?;
            (connect(path)?, Some(set_aside))
        }
    };
    absences::forget_files(&config.state_dir)?;
    Ok(found)
}

/// What stands where the database belongs.
enum Made {
    No,
    Well(Connection),
    Damaged(String),
}

fn made(path: &Path) -> Result<Made, StateError> {
    match fs::metadata(path) {
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

/// Which file stands in the database's place, where one must.
fn in_place(path: &Path) -> Result<Identity, StateError> {
    lock::identity(path)?
        .ok_or_else(|| StateError::new("open", path, io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests;
