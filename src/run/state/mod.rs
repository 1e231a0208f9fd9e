//! The state database, `state.db` in the state folder: what outlives a run beyond its report. Every table can be read with `sqlite3`.
//!
//! | table | holds |
//! |---|---|
//! | `runs` | the figures of each run; the newest of each job, and its last good one |
//! | `backoffs` | jobs that failed, and when they are tried again |
//! | `pauses` | jobs that a person told to wait |
//! | `refusals` | servers that refused the credentials |
//! | `absences` | who has been missing since when: what `deactivate_after` counts from |
//! | `written` | how many deactivations each run wrote without a person's approval: what the limits count |
//! | `counting` | since when they are counted; before that, the links at ftrack tell |
//! | `held` | whose deactivation a limit holds |
//! | `directories` | what identified the directory of each job |
//! | `bases` | how many entries each search base showed |
//!
//! Losing it makes the program more patient, never less: what belongs to whom stands at ftrack.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

mod absences;
mod columns;
mod damage;
mod gate;
mod jobs;
mod making;
mod rebuilding;
mod remembered;
mod runs;
mod schema;

pub use damage::SetAside;
pub use jobs::RefusedAccount;
pub use remembered::{LinkedUsers, Remembered, Written, known};

use super::store::{self, StateError};
use crate::config::Config;
use damage::Unusable;
use gate::{Gate, Passed};

/// The name of the database in the state folder.
const FILE: &str = "state.db";

/// The open database. The daemon and commands in the foreground may use it at the same time; each call waits for the others for ten seconds at most.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    open: Mutex<Open>,
}

/// One connection, the lock that everybody takes who uses the file, and which file it is.
#[derive(Debug)]
struct Open {
    connection: Connection,
    gate: Gate,
    identity: Identity,
}

/// The device and the number of a file, which tell whether another one has taken its place.
type Identity = (u64, u64);

impl State {
    /// Opens the database of a configuration's state folder; makes it where there is none, out of the reports and of what an older version kept in files.
    /// Reports that it does not know of yet are added.
    ///
    /// A database that is damaged is set aside and made anew; whoever opened it has to say so.
    ///
    /// # Errors
    /// The folder or the database cannot be used, though it is not damaged: no permission, no space, written by a newer version, in use for too long.
    pub fn open(config: &Config) -> Result<(Self, Option<SetAside>), StateError> {
        let folder = std::path::absolute(&config.state_dir).map_err(|source| StateError::new("find", &config.state_dir, source))?;
        store::make_folder(&folder)?;
        let gate = Gate::open(&folder)?;
        let alone = gate.alone()?;
        let path = folder.join(FILE);
        making::clear_away(&path)?;
        let (connection, set_aside) = match made(&path)? {
            Made::No => {
                making::make(config, &path, making::Before::Files)?.put_in_place()?;
                (connect(&path)?, None)
            }
            Made::Well(mut connection) => {
                rebuilding::catch_up(&mut connection, &path, config)?;
                (connection, None)
            }
            Made::Damaged(why) => {
                // Made before the old one goes, so that on a full disk everything stays as it is.
                let new = making::make(config, &path, making::Before::Database)?;
                let set_aside = damage::set_aside(&path, why)?;
                new.put_in_place()?;
                (connect(&path)?, Some(set_aside))
            }
        };
        absences::forget_files(&folder)?;
        let identity = identity(&path)?;
        drop(alone);
        let open = Mutex::new(Open { connection, gate, identity });
        Ok((Self { path, open }, set_aside))
    }

    /// Reads, while nobody writes to the file or sets it aside.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
        self.with("read", Gate::among_others, |connection| work(connection))
    }

    /// Writes all of it or nothing; on disk when this returns. Alone: of two who write much on a slow disk, SQLite's own locks, which are looked at ten
    /// times a second, could keep one out for as long as the other goes on.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StateError> {
        self.with("write", Gate::alone, |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    fn with<T>(
        &self,
        what: &'static str,
        pass: impl FnOnce(&Gate) -> Result<Passed<'_>, StateError>,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Open {
            connection,
            gate,
            identity: known,
        } = &mut *open;
        let _passed = pass(gate)?;
        let now = identity(&self.path)?;
        if now != *known {
            // Another process found damage and made it anew: what is written to the old file is lost.
            *connection = connect(&self.path)?;
            *known = now;
        }
        work(connection).map_err(|error| damage::failed(what, &self.path, &error))
    }
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
        Ok(there) if there.is_dir() => Err(StateError::new("open", path, io::ErrorKind::IsADirectory.into())),
        Ok(there) if !there.is_file() => Err(StateError::new("open", path, io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"))),
        Ok(there) if there.len() == 0 => Ok(Made::Damaged("it is empty".to_owned())),
        Ok(_) => match schema::examine(path) {
            Ok(connection) => Ok(Made::Well(connection)),
            Err(Unusable::Damaged(why)) => Ok(Made::Damaged(why)),
            Err(Unusable::Failed(error)) => Err(error),
        },
    }
}

fn connect(path: &Path) -> Result<Connection, StateError> {
    schema::connect(path, schema::Access::Write).map_err(|error| damage::failed("open", path, &error))
}

fn identity(path: &Path) -> Result<Identity, StateError> {
    let there = fs::metadata(path).map_err(|source| StateError::new("open", path, source))?;
    Ok((there.dev(), there.ino()))
}

#[cfg(test)]
mod tests;
