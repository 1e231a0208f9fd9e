//! The runs: the counts that outlive their reports.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, named_params, params};

use crate::{
    model::{
        report::{FailureKind, Outcome},
        summary::RunSummary,
    },
    state::{
        database::{
            State, columns,
            columns::{Count, EnumText, Time},
            values::LinkedUsers,
        },
        files::StateError,
    },
};

impl State {
    /// Saves a run's counts, replacing earlier ones; of its job, the newest `keep` runs stay, and
    /// the last successful one with each ftrack server.
    ///
    /// # Errors
    /// They cannot be written; then the earlier state stays.
    pub fn add_run(&self, run: &RunSummary, keep: usize) -> Result<(), StateError> {
        self.write(|transaction| {
            add(transaction, run)?;
            prune(transaction, &run.job, keep)
        })
    }

    /// The newest run of a job by its id, dry runs among them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_run(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(job, "TRUE")
    }

    /// The newest run of a job that was to write, however it ended.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_attempt(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(job, "dry_run = 0")
    }

    /// The newest run of a job that was to write, and did not fail.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_success(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(job, "dry_run = 0 AND outcome <> 'failed'")
    }

    fn newest(&self, job: &str, which: &'static str) -> Result<Option<RunSummary>, StateError> {
        let query =
            format!("SELECT * FROM runs WHERE job = ?1 AND {which} ORDER BY run DESC LIMIT 1");
        self.read(|connection| {
            connection
                .query_row(&query, params![job], columns::run)
                .optional()
        })
    }
}

/// How many users had links after the job's last run with that ftrack server that did not fail;
/// none when no such run is known.
pub(super) fn linked_before(
    connection: &Connection,
    job: &str,
    ftrack: &str,
) -> rusqlite::Result<Option<LinkedUsers>> {
    let query = "SELECT owned, linked FROM runs WHERE job = ?1 AND ftrack = ?2 AND dry_run = 0 \
                 AND outcome <> 'failed' ORDER BY run DESC LIMIT 1";
    let users = |row: &rusqlite::Row<'_>| {
        let (Count(owned), of_all): (_, Option<Count>) = (row.get("owned")?, row.get("linked")?);
        Ok(LinkedUsers {
            owned,
            of_all: of_all.map(|Count(of_all)| of_all),
        })
    };
    connection
        .query_row(query, params![job, ftrack], users)
        .optional()
}

/// Whether a run of the job wrote what it should, but for single records.
pub(super) fn has_succeeded(
    connection: &Connection,
    job: &str,
    ftrack: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare(
            "SELECT 1 FROM runs WHERE job = ?1 AND ftrack = ?2 AND dry_run = 0 \
             AND outcome IN ('succeeded', 'partial')",
        )?
        .exists(params![job, ftrack])
}

/// Adds one run, or replaces its counts.
pub(super) fn add(connection: &Connection, run: &RunSummary) -> rusqlite::Result<()> {
    let RunSummary {
        run,
        job,
        trigger,
        dry_run,
        started_at,
        finished_at,
        outcome,
        error_kind,
        error,
        ftrack,
        entries,
        owned,
        owned_active,
        linked,
        held,
        failed,
        unsettled,
    } = run;
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO runs (job, run, \"trigger\", dry_run, started_at, finished_at, \
         outcome, error_kind, error, ftrack, entries, owned, owned_active, linked, held, failed, \
         unsettled) VALUES (:job, :run, :trigger, :dry_run, :started_at, :finished_at, :outcome, \
         :error_kind, :error, :ftrack, :entries, :owned, :owned_active, :linked, :held, :failed, \
         :unsettled)",
    )?;
    statement.execute(named_params! {
        ":job": job,
        ":run": run,
        ":trigger": EnumText(trigger),
        ":dry_run": dry_run,
        ":started_at": Time(*started_at),
        ":finished_at": Time(*finished_at),
        ":outcome": EnumText(outcome),
        ":error_kind": error_kind.map(EnumText),
        ":error": error,
        ":ftrack": ftrack,
        ":entries": Count(*entries),
        ":owned": Count(*owned),
        ":owned_active": Count(*owned_active),
        ":linked": linked.map(Count),
        ":held": Count(*held),
        ":failed": Count(*failed),
        ":unsettled": Count(*unsettled),
    })?;
    Ok(())
}

/// Removes the old runs of a job. The last successful one stays: it tells how many users the job
/// owned, and when it last succeeded.
pub(super) fn prune(connection: &Connection, job: &str, keep: usize) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM runs WHERE job = ?1
            AND run NOT IN (SELECT run FROM runs WHERE job = ?1 ORDER BY run DESC LIMIT ?2)
            AND run NOT IN (SELECT max(run) FROM runs WHERE job = ?1 AND dry_run = 0 AND outcome \
         <> 'failed' GROUP BY ftrack)",
        params![job, Count(keep.max(1))],
    )?;
    Ok(())
}

/// The failed runs at the end of a job's history, oldest first; those that were stopped or
/// interrupted say nothing about the servers.
pub(super) fn failures_at_the_end(
    connection: &Connection,
    job: &str,
) -> rusqlite::Result<Vec<RunSummary>> {
    let mut statement =
        connection.prepare("SELECT * FROM runs WHERE job = ?1 ORDER BY run DESC")?;
    let mut failures = Vec::new();
    for run in statement.query_map(params![job], columns::run)? {
        let run = run?;
        match run.outcome {
            Outcome::Succeeded | Outcome::Partial | Outcome::Held => break,
            Outcome::Failed if run.error_kind == Some(FailureKind::Stopped) => {}
            Outcome::Failed => failures.push(run),
        }
    }
    failures.reverse();
    Ok(failures)
}

/// The newest run of each job, by its id.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare("SELECT job, max(run) FROM runs GROUP BY job")?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
