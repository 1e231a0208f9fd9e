//! What people are to be told, and what they were told: so that a restart neither loses nor repeats it.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, params};

use crate::{
    model::{
        stored_message::{DigestMark, MessageMark, StoredMessage, UntoldRun},
        summary::RunSummary,
    },
    state::{
        database::{
            State,
            columns::{self, JsonText, Time},
        },
        files::StateError,
    },
};

/// In place of a receiver: the id is that of a run that ended, and of which nobody was told yet.
const UNTOLD: &str = "run";

/// How many messages are kept of one job for one receiver: the newest.
const KEPT: u32 = 32;

impl State {
    /// Saves messages until their receivers have taken them, with what is remembered of them: all of it
    /// or nothing. Of one receiver the newest 32 of a job stay.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep_messages(
        &self,
        messages: &[StoredMessage],
        mark: Option<&MessageMark>,
    ) -> Result<(), StateError> {
        self.write(|transaction| {
            for message in messages {
                keep(transaction, message)?;
            }
            mark.map_or(Ok(()), |mark| remember(transaction, mark))
        })
    }

    /// Removes a message that its receiver has taken, or never will.
    ///
    /// # Errors
    /// It cannot be written; then the message stays.
    pub fn forget_message(&self, job: &str, receiver: &str, id: &str) -> Result<(), StateError> {
        let query = "DELETE FROM undelivered_messages WHERE job = ?1 AND receiver = ?2 AND id = ?3";
        self.write(|transaction| {
            transaction
                .execute(query, params![job, receiver, id])
                .map(drop)
        })
    }

    /// The messages that were not taken, of all jobs, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn stored_messages(&self) -> Result<Vec<StoredMessage>, StateError> {
        self.read(|connection| {
            let query =
                "SELECT * FROM undelivered_messages WHERE receiver <> 'run' ORDER BY at, id";
            all(connection, query, columns::stored_message)
        })
    }

    /// The runs that ended, and of which nobody was told yet, with when they did: the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn untold_runs(&self) -> Result<Vec<UntoldRun>, StateError> {
        self.read(|connection| {
            let query = "SELECT job, id, at FROM undelivered_messages WHERE receiver = 'run' ORDER BY \
                         at, id";
            all(connection, query, |row| {
                let Time(at) = row.get("at")?;
                Ok(UntoldRun {
                    job: row.get("job")?,
                    run: row.get("id")?,
                    at,
                })
            })
        })
    }

    /// What is to be told of a run is among the messages, or there is nothing.
    ///
    /// # Errors
    /// It cannot be written; then a later program tells it again, with the same id.
    pub fn run_is_told(&self, job: &str, run: &str) -> Result<(), StateError> {
        self.forget_message(job, UNTOLD, run)
    }

    /// Whether it was told that a run of this job failed without a report, and none with a report
    /// followed.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn has_failure_message(&self, job: &str) -> Result<bool, StateError> {
        self.read(|connection| {
            connection
                .prepare("SELECT 1 FROM failure_messages WHERE job = ?1")?
                .exists(params![job])
        })
    }

    /// Up to when the digests of each job are made.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn digest_marks(&self) -> Result<Vec<DigestMark>, StateError> {
        self.read(|connection| all(connection, "SELECT * FROM digests", columns::digest_mark))
    }

    /// Forgets up to when the digests of a job were made, which gets none any more.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn forget_digests(&self, job: &str) -> Result<(), StateError> {
        self.write(|transaction| {
            transaction
                .execute("DELETE FROM digests WHERE job = ?1", params![job])
                .map(drop)
        })
    }
}

fn all<T>(
    connection: &Connection,
    query: &str,
    read: fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], read)?;
    rows.collect()
}

/// Whether a program tells of a run by itself: one that a person makes of single holds, or by hand,
/// shows that person how it ended.
pub(super) fn is_to_be_told(run: &RunSummary) -> bool {
    run.trigger.is_regular() && !run.dry_run
}

/// Notes that nobody was told of a run yet.
pub(super) fn note_untold(transaction: &Transaction<'_>, run: &RunSummary) -> rusqlite::Result<()> {
    let note = StoredMessage {
        job: run.job.clone(),
        receiver: UNTOLD.to_owned(),
        id: run.run.clone(),
        at: run.finished_at,
        message: "null".to_owned(),
        settled: BTreeSet::new(),
    };
    keep(transaction, &note)
}

fn keep(transaction: &Transaction<'_>, stored: &StoredMessage) -> rusqlite::Result<()> {
    let StoredMessage {
        job,
        receiver,
        id,
        at,
        message,
        settled,
    } = stored;
    transaction.execute(
        "INSERT OR REPLACE INTO undelivered_messages (job, receiver, id, at, message, settled) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![job, receiver, id, Time(*at), message, JsonText(settled)],
    )?;
    transaction.execute(
        "DELETE FROM undelivered_messages WHERE job = ?1 AND receiver = ?2 AND id NOT IN (SELECT id \
         FROM undelivered_messages WHERE job = ?1 AND receiver = ?2 ORDER BY at DESC, id LIMIT ?3)",
        params![job, receiver, KEPT],
    )?;
    Ok(())
}

fn remember(transaction: &Transaction<'_>, mark: &MessageMark) -> rusqlite::Result<()> {
    match mark {
        MessageMark::Digest(DigestMark {
            job,
            schedule,
            until,
        }) => transaction.execute(
            "INSERT OR REPLACE INTO digests (job, schedule, until) VALUES (?1, ?2, ?3)",
            params![job, schedule, Time(*until)],
        ),
        MessageMark::Failed { job, at } => transaction.execute(
            "INSERT OR IGNORE INTO failure_messages (job, at) VALUES (?1, ?2)",
            params![job, Time(*at)],
        ),
        MessageMark::Reported { job } => {
            transaction.execute("DELETE FROM failure_messages WHERE job = ?1", params![job])
        }
    }?;
    Ok(())
}
