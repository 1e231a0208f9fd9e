//! The runs: the counts that outlive their reports.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, named_params, params};

use crate::{
    config,
    model::{
        report::{FailureKind, Outcome, Trigger},
        summary::RunSummary,
    },
    state::{
        database::{
            State, columns,
            columns::{Count, EnumText, JsonText, Time},
            messages,
            values::LinkedUsers,
        },
        files::StateError,
        history::History,
    },
};

impl State {
    /// Saves a run's counts, replacing earlier ones, and removes the runs of its job that are too
    /// many or too old, with their reports.
    ///
    /// # Errors
    /// They cannot be written; then the earlier state stays.
    pub fn add_run(&self, run: &RunSummary, retention: &config::Reports) -> Result<(), StateError> {
        let removed = self.write(|transaction| {
            add(transaction, run)?;
            prune(transaction, run, retention)
        })?;
        // A report that cannot be removed is found, and removed, after a later run.
        History::new(&self.config.state_dir).remove(&run.job, &removed);
        Ok(())
    }

    /// The same of a run that has just ended, of which somebody may have to be told: that is noted at
    /// once, so that a program which is killed before it tells it loses nothing.
    ///
    /// # Errors
    /// As for [`Self::add_run`].
    pub fn end_run(&self, run: &RunSummary, retention: &config::Reports) -> Result<(), StateError> {
        let job = self.config.jobs.get(&run.job);
        let is_told = job.is_some_and(|job| {
            let receivers = &job.notifications;
            receivers.mail.is_some() || receivers.webhook.is_some()
        });
        let removed = self.write(|transaction| {
            add(transaction, run)?;
            if is_told && messages::is_to_be_told(run) {
                messages::note_untold(transaction, run)?;
            }
            prune(transaction, run, retention)
        })?;
        History::new(&self.config.state_dir).remove(&run.job, &removed);
        Ok(())
    }

    /// The newest run of a job by its id, dry runs among them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_run(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(job, "TRUE")
    }

    /// The newest run of a job but its dry runs, however it ended; one that refused a person's plan says
    /// nothing of the job.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_attempt(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(job, "dry_run = 0 AND error_kind IS NOT 'plan_refused'")
    }

    /// The newest run of a job but its dry runs that did not fail; one that only looked for what
    /// changed, or was for some people alone, does not count.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_success(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(
            job,
            "dry_run = 0 AND for_some = 0 AND outcome <> 'failed' AND \"trigger\" NOT IN ('changes', 'release')",
        )
    }

    /// The newest run of a job that was for everybody and did not fail, but its dry runs: what its
    /// counts say is so of all its people.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_of_everybody(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(
            job,
            "dry_run = 0 AND for_some = 0 AND outcome <> 'failed' AND \"trigger\" IN ('schedule', 'manual', 'startup', 'retry')",
        )
    }

    /// The newest run of a job that only observed, and did not fail.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_observed(&self, job: &str) -> Result<Option<RunSummary>, StateError> {
        self.newest(job, "observed = 1 AND outcome <> 'failed'")
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
/// none when no such run is known since a person released the job's users.
pub(super) fn linked_before(
    connection: &Connection,
    job: &str,
    ftrack: &str,
) -> rusqlite::Result<Option<LinkedUsers>> {
    let query = "SELECT owned, linked FROM runs WHERE job = ?1 AND ftrack = ?2 AND dry_run = 0 \
                 AND observed = 0 AND outcome <> 'failed' \
                 AND (for_some = 0 OR \"trigger\" IN ('undo', 'restore')) \
                 AND \"trigger\" NOT IN ('changes', 'release') \
                 AND run > (SELECT coalesce(max(run), '') FROM runs WHERE job = ?1 AND ftrack = ?2 \
                 AND \"trigger\" = 'release' AND outcome <> 'failed' AND dry_run = 0) \
                 ORDER BY run DESC LIMIT 1";
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

/// Whether a run of the job wrote what it should, but for single records, since a person released the
/// job's users, if one did.
pub(super) fn has_succeeded(
    connection: &Connection,
    job: &str,
    ftrack: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare(
            "SELECT 1 FROM runs WHERE job = ?1 AND ftrack = ?2 AND dry_run = 0 \
             AND observed = 0 AND for_some = 0 AND outcome IN ('succeeded', 'partial') \
             AND \"trigger\" <> 'release' \
             AND run > (SELECT coalesce(max(run), '') FROM runs WHERE job = ?1 AND ftrack = ?2 \
             AND \"trigger\" = 'release' AND outcome <> 'failed' AND dry_run = 0)",
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
        for_some,
        observed,
        started_at,
        finished_at,
        outcome,
        error_kind,
        error,
        ftrack,
        replica,
        entries,
        owned,
        owned_active,
        linked,
        held,
        failed,
        unsettled,
        counts,
        planned,
        alarm,
        open_holds,
        oldest_hold: _,
        hold_numbers: _,
    } = run;
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO runs (job, run, \"trigger\", dry_run, for_some, observed, started_at, finished_at, \
         outcome, error_kind, error, ftrack, replica, entries, owned, owned_active, linked, held, failed, \
         unsettled, changed, counts, planned, alarm, open_holds) VALUES (:job, :run, :trigger, :dry_run, :for_some, :observed, :started_at, \
         :finished_at, :outcome, :error_kind, :error, :ftrack, :replica, :entries, :owned, :owned_active, \
         :linked, :held, :failed, :unsettled, :changed, :counts, :planned, :alarm, \
         :open_holds)",
    )?;
    statement.execute(named_params! {
        ":job": job,
        ":run": run,
        ":trigger": EnumText(trigger),
        ":dry_run": dry_run,
        ":for_some": for_some,
        ":observed": observed,
        ":started_at": Time(*started_at),
        ":finished_at": Time(*finished_at),
        ":outcome": EnumText(outcome),
        ":error_kind": error_kind.map(EnumText),
        ":error": error,
        ":ftrack": ftrack,
        ":replica": replica,
        ":entries": Count(*entries),
        ":owned": Count(*owned),
        ":owned_active": Count(*owned_active),
        ":linked": linked.map(Count),
        ":held": Count(*held),
        ":failed": Count(*failed),
        ":unsettled": Count(*unsettled),
        ":changed": Count(counts.changed()),
        ":counts": JsonText(counts),
        ":planned": JsonText(planned),
        ":alarm": alarm,
        ":open_holds": Count(*open_holds),
    })?;
    Ok(())
}

/// Removes the old runs of a job, and returns them. Of those that changed, held and failed nothing
/// the newest `keep` stay, of the others those that ended within `keep_for` before this one; of
/// those that are too old, only a few go at once. The newest run stays, and the last successful one
/// with each ftrack server: it tells how many users the job owned, and when it last succeeded.
pub(super) fn prune(
    connection: &Connection,
    newest: &RunSummary,
    retention: &config::Reports,
) -> rusqlite::Result<Vec<String>> {
    const QUIET: &str = "(outcome = 'succeeded' AND ifnull(changed, 0) = 0 AND held = 0 AND \
                         failed = 0 AND alarm = 0)";
    let now = believed(connection, newest)?;
    let oldest = TimeDelta::from_std(retention.keep_for)
        .ok()
        .and_then(|age| now.checked_sub_signed(age))
        .unwrap_or_default();
    let mut statement = connection.prepare(&format!(
        "DELETE FROM runs WHERE job = ?1
            AND run <> (SELECT max(run) FROM runs WHERE job = ?1)
            AND run NOT IN (SELECT max(run) FROM runs WHERE job = ?1 AND dry_run = 0 AND observed \
         = 0 AND for_some = 0 AND outcome <> 'failed' AND \"trigger\" <> 'changes' GROUP BY ftrack)
            AND CASE WHEN {QUIET} THEN run NOT IN (SELECT run FROM runs WHERE job = ?1 AND {QUIET} \
         ORDER BY run DESC LIMIT ?2) ELSE run IN (SELECT run FROM runs WHERE job = ?1 AND NOT {QUIET} \
         AND finished_at < ?3 ORDER BY run LIMIT {AGED_AT_ONCE}) END
         RETURNING run"
    ))?;
    let keep = Count(retention.keep.max(1));
    statement
        .query_map(params![newest.job, keep, Time(oldest)], |row| row.get(0))?
        .collect()
}

/// The most runs that are removed at once because of their age: a clock that is wrong does not
/// remove them all.
const AGED_AT_ONCE: usize = 10;

/// The time by which runs are old: a clock that is far ahead of the run before this one may be
/// wrong, and is believed when later runs agree.
fn believed(connection: &Connection, newest: &RunSummary) -> rusqlite::Result<DateTime<Utc>> {
    let before = connection
        .query_row(
            "SELECT finished_at FROM runs WHERE job = ?1 AND run < ?2 ORDER BY run DESC LIMIT 1",
            params![newest.job, newest.run],
            |row| row.get("finished_at").map(|Time(time)| time),
        )
        .optional()?;
    let next = before.and_then(|before| before.checked_add_signed(TimeDelta::days(1)));
    Ok(next.map_or(newest.finished_at, |next| next.min(newest.finished_at)))
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
            Outcome::Failed
                if matches!(
                    run.error_kind,
                    Some(FailureKind::Stopped | FailureKind::PlanRefused)
                ) => {}
            // That nothing of a hold could be written delays no run.
            Outcome::Failed if run.trigger == Trigger::Approval => {}
            Outcome::Failed => failures.push(run),
        }
    }
    failures.reverse();
    Ok(failures)
}

/// The job and the id of each run whose counts are known.
pub(super) fn names(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String)>> {
    let mut statement = connection.prepare("SELECT job, run FROM runs WHERE counts NOT NULL")?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
