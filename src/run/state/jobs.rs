//! What holds jobs up: back-offs, pauses, and servers that refused the credentials.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    State, StateError,
    columns::{self, Time, Word},
};
use crate::daemon::{backoff::Backoff, pause::Pause};

/// A server that refused the credentials, and when they may be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccount {
    /// What tells these credentials from others, without telling them. Absent where it is not known, as after a loss: whatever is configured has to wait then.
    pub mark: Option<String>,
    /// Refusals in a row; at least one.
    pub failures: u32,
    /// When the last one was.
    pub refused_at: DateTime<Utc>,
    /// Before this, they are not tried again.
    pub next_at: DateTime<Utc>,
    /// What the server said.
    pub error: String,
}

impl State {
    /// When a job that failed is tried again; none when its last run did not fail.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn backoff(&self, job: &str) -> Result<Option<Backoff>, StateError> {
        self.read(|connection| {
            let query = "SELECT * FROM backoffs WHERE job = ?1";
            connection.query_row(query, params![job], columns::backoff).optional()
        })
    }

    /// Keeps when a job is tried again, or that it did not fail.
    ///
    /// # Errors
    /// It cannot be written; then what was there before stands.
    pub fn set_backoff(&self, job: &str, backoff: Option<&Backoff>) -> Result<(), StateError> {
        self.write(|transaction| match backoff {
            Some(backoff) => put_backoff(transaction, job, backoff),
            None => transaction.execute("DELETE FROM backoffs WHERE job = ?1", params![job]).map(drop),
        })
    }

    /// The pause of a job, also one that is over by itself.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pause(&self, job: &str) -> Result<Option<Pause>, StateError> {
        self.read(|connection| {
            let query = "SELECT * FROM pauses WHERE job = ?1";
            connection.query_row(query, params![job], columns::pause).optional()
        })
    }

    /// Keeps a job's pause, or its end.
    ///
    /// # Errors
    /// It cannot be written; then what was there before stands.
    pub fn set_pause(&self, job: &str, pause: Option<&Pause>) -> Result<(), StateError> {
        self.write(|transaction| match pause {
            Some(Pause { since, until, reason }) => transaction
                .execute(
                    "INSERT OR REPLACE INTO pauses (job, since, until, reason) VALUES (?1, ?2, ?3, ?4)",
                    params![job, Time(*since), until.map(Time), reason],
                )
                .map(drop),
            None => transaction.execute("DELETE FROM pauses WHERE job = ?1", params![job]).map(drop),
        })
    }

    /// The servers that refused the credentials: `ftrack`, or `directory` and its name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn refusals(&self) -> Result<BTreeMap<String, RefusedAccount>, StateError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT * FROM refusals")?;
            statement.query_map([], columns::refusal)?.collect()
        })
    }

    /// Keeps that a server refused the credentials, or that it took them.
    ///
    /// # Errors
    /// It cannot be written; then what was there before stands.
    pub fn set_refusal(&self, server: &str, refused: Option<&RefusedAccount>) -> Result<(), StateError> {
        self.write(|transaction| match refused {
            Some(refused) => put_refusal(transaction, server, refused),
            None => transaction.execute("DELETE FROM refusals WHERE server = ?1", params![server]).map(drop),
        })
    }
}

pub(super) fn put_backoff(connection: &Connection, job: &str, backoff: &Backoff) -> rusqlite::Result<()> {
    let Backoff {
        failures,
        since,
        retry_at,
        suspended,
        kind,
        error,
    } = backoff;
    connection.execute(
        "INSERT OR REPLACE INTO backoffs (job, failures, since, retry_at, suspended, kind, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![job, failures, Time(*since), Time(*retry_at), suspended, Word(kind), error],
    )?;
    Ok(())
}

pub(super) fn put_refusal(connection: &Connection, server: &str, refused: &RefusedAccount) -> rusqlite::Result<()> {
    let RefusedAccount {
        mark,
        failures,
        refused_at,
        next_at,
        error,
    } = refused;
    connection.execute(
        "INSERT OR REPLACE INTO refusals (server, mark, failures, refused_at, next_at, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![server, mark, failures, Time(*refused_at), Time(*next_at), error],
    )?;
    Ok(())
}
