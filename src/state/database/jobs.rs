//! What delays jobs: back-offs, pauses, and servers that refused the credentials.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    model::{backoff::Backoff, change_kind::ChangeKind, pause::Pause},
    state::{
        database::{
            State,
            cached::CachedJobs,
            columns,
            put::{put_backoff, put_pause, put_paused_kind, put_refusal},
            values::RefusedAccount,
        },
        files::StateError,
    },
};

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

    /// The same for a run, in a daemon or not, which holds nobody up by it later.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn pause_now(&self, job: &str) -> Result<Option<Pause>, StateError> {
        self.read(|connection| {
            let query = "SELECT * FROM pauses WHERE job = ?1";
            connection
                .query_row(query, params![job], columns::pause)
                .optional()
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

    /// The kinds of change of a job that are paused, also if a pause has expired.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn paused_kinds(&self, job: &str) -> Result<BTreeMap<ChangeKind, Pause>, StateError> {
        self.read_held(|connection, held| {
            let paused = paused_kinds(connection, job)?;
            let known = paused.iter();
            let known = known.map(|(kind, pause)| ((job.to_owned(), *kind), Some(pause.clone())));
            held.paused_kinds.extend(known);
            Ok(paused)
        })
    }

    /// The same for a run, in a daemon or not, which holds nobody up by it later.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn paused_kinds_now(&self, job: &str) -> Result<BTreeMap<ChangeKind, Pause>, StateError> {
        self.read(|connection| paused_kinds(connection, job))
    }

    /// Saves the pause of a kind of change of a job, or its end.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn set_paused_kind(
        &self,
        job: &str,
        kind: ChangeKind,
        pause: Option<&Pause>,
    ) -> Result<(), StateError> {
        let note = |held: &mut CachedJobs| {
            drop(
                held.paused_kinds
                    .insert((job.to_owned(), kind), pause.cloned()),
            );
        };
        self.write_held(
            |transaction| put_paused_kind(transaction, (job, kind), pause),
            note,
        )
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

    /// Lets a running or a later daemon know that servers accept what they refused: each with the
    /// mark of what was accepted. A refusal of something else stays.
    ///
    /// # Errors
    /// It cannot be written; then the earlier state stays.
    pub fn lift_refusals(&self, accepted: &[(String, String)]) -> Result<(), StateError> {
        self.write(|transaction| {
            let mut lift = transaction.prepare(
                "UPDATE refusals SET next_at = refused_at WHERE server = ?1 AND (mark = ?2 OR mark \
                 IS NULL)",
            )?;
            accepted
                .iter()
                .try_for_each(|(server, mark)| lift.execute(params![server, mark]).map(drop))
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

/// The pauses of a job's kinds of change.
pub(super) fn paused_kinds(
    connection: &Connection,
    job: &str,
) -> rusqlite::Result<BTreeMap<ChangeKind, Pause>> {
    let mut paused = connection.prepare("SELECT * FROM paused_kinds WHERE job = ?1")?;
    paused
        .query_map(params![job], columns::paused_kind)?
        .collect()
}
