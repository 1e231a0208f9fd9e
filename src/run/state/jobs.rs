//! What delays jobs: back-offs, pauses, and servers that refused the credentials.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    State, StateError,
    cached::CachedJobs,
    columns::{self, EnumText, Time},
};
use crate::daemon::{backoff::Backoff, pause::Pause};

/// A server that refused the credentials, and when they may be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccount {
    /// Identifies these credentials without disclosing them. Absent where it is not known, as after
    /// a loss: any configured credentials then have to wait.
    pub mark: Option<String>,
    /// Refusals in a row; at least one.
    pub failures: u32,
    /// The time of the last one.
    pub refused_at: DateTime<Utc>,
    /// The credentials are not tried before this time.
    pub next_at: DateTime<Utc>,
    /// The server's message.
    pub error: String,
}

impl State {
    /// When a failed job is retried; none when its last run did not fail.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn backoff(&self, job: &str) -> Result<Option<Backoff>, StateError> {
        self.read_held(|connection, held| {
            let query = "SELECT * FROM backoffs WHERE job = ?1";
            let backoff = connection
                .query_row(query, params![job], columns::backoff)
                .optional()?;
            held.backoffs.insert(job.to_owned(), backoff.clone());
            Ok(backoff)
        })
    }

    /// Saves when a job is retried, or that it did not fail.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_backoff(&self, job: &str, backoff: Option<&Backoff>) -> Result<(), StateError> {
        let note =
            |held: &mut CachedJobs| drop(held.backoffs.insert(job.to_owned(), backoff.cloned()));
        self.write_held(|transaction| put_backoff(transaction, job, backoff), note)
    }

    /// The pause of a job, also if it has expired.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pause(&self, job: &str) -> Result<Option<Pause>, StateError> {
        self.read_held(|connection, held| {
            let query = "SELECT * FROM pauses WHERE job = ?1";
            let pause = connection
                .query_row(query, params![job], columns::pause)
                .optional()?;
            held.pauses.insert(job.to_owned(), pause.clone());
            Ok(pause)
        })
    }

    /// Saves a job's pause, or its end.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_pause(&self, job: &str, pause: Option<&Pause>) -> Result<(), StateError> {
        let note = |held: &mut CachedJobs| drop(held.pauses.insert(job.to_owned(), pause.cloned()));
        self.write_held(|transaction| put_pause(transaction, job, pause), note)
    }

    /// The servers that refused the credentials: `ftrack`, or `directory` and its name.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn refusals(&self) -> Result<BTreeMap<String, RefusedAccount>, StateError> {
        self.read_held(|connection, held| {
            let mut statement = connection.prepare("SELECT * FROM refusals")?;
            let refusals: BTreeMap<String, RefusedAccount> = statement
                .query_map([], columns::refusal)?
                .collect::<rusqlite::Result<_>>()?;
            held.refusals = refusals
                .iter()
                .map(|(server, refused)| (server.clone(), Some(refused.clone())))
                .collect();
            Ok(refusals)
        })
    }

    /// Saves that a server refused the credentials, or accepted them.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_refusal(
        &self,
        server: &str,
        refused: Option<&RefusedAccount>,
    ) -> Result<(), StateError> {
        let note =
            |held: &mut CachedJobs| drop(held.refusals.insert(server.to_owned(), refused.cloned()));
        self.write_held(
            |transaction| put_refusal(transaction, server, refused),
            note,
        )
    }
}

/// Replaces a job's back-off, or removes it.
pub(super) fn put_backoff(
    connection: &Connection,
    job: &str,
    backoff: Option<&Backoff>,
) -> rusqlite::Result<()> {
    let Some(backoff) = backoff else {
        return connection
            .execute("DELETE FROM backoffs WHERE job = ?1", params![job])
            .map(drop);
    };
    let Backoff {
        failures,
        since,
        retry_at,
        suspended,
        kind,
        error,
    } = backoff;
    connection.execute(
        "INSERT OR REPLACE INTO backoffs (job, failures, since, retry_at, suspended, kind, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            job,
            failures,
            Time(*since),
            Time(*retry_at),
            suspended,
            EnumText(kind),
            error
        ],
    )?;
    Ok(())
}

/// Replaces a job's pause, or removes it.
pub(super) fn put_pause(
    connection: &Connection,
    job: &str,
    pause: Option<&Pause>,
) -> rusqlite::Result<()> {
    let Some(Pause {
        since,
        until,
        reason,
    }) = pause
    else {
        return connection
            .execute("DELETE FROM pauses WHERE job = ?1", params![job])
            .map(drop);
    };
    connection.execute(
        "INSERT OR REPLACE INTO pauses (job, since, until, reason) VALUES (?1, ?2, ?3, ?4)",
        params![job, Time(*since), until.map(Time), reason],
    )?;
    Ok(())
}

/// Replaces a server's refusal, or removes it.
pub(super) fn put_refusal(
    connection: &Connection,
    server: &str,
    refused: Option<&RefusedAccount>,
) -> rusqlite::Result<()> {
    let Some(refused) = refused else {
        return connection
            .execute("DELETE FROM refusals WHERE server = ?1", params![server])
            .map(drop);
    };
    let RefusedAccount {
        mark,
        failures,
        refused_at,
        next_at,
        error,
    } = refused;
    connection.execute(
        "INSERT OR REPLACE INTO refusals (server, mark, failures, refused_at, next_at, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            server,
            mark,
            failures,
            Time(*refused_at),
            Time(*next_at),
            error
        ],
    )?;
    Ok(())
}
