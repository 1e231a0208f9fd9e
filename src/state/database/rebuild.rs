//! What the reports tell a database that does not know it: the runs, and how long to wait after
//! those that failed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::Connection;

use crate::{
    config::{Config, Job},
    model::{
        backoff::{AFTER_REFUSAL, Backoff, Failed, Retry},
        report::FailureKind,
        summary::RunSummary,
    },
    state::{
        database::{corruption, put, runs, values::RefusedAccount},
        files::StateError,
        history::History,
    },
};

/// The most reports of one job that are read.
const MOST: usize = 500;

/// Everything that the reports tell.
pub(super) fn from_reports(
    connection: &mut Connection,
    path: &Path,
    config: &Config,
) -> Result<(), StateError> {
    let reported = unknown(&BTreeMap::new(), config)?;
    add(connection, &reported, config.reports.keep)
        .map_err(|error| corruption::failed("write", path, &error))?;
    hold_up(connection, config).map_err(|error| corruption::failed("write", path, &error))
}

/// Adds the runs of reports that are newer than the newest run that is known of their job: a
/// program that was killed, or found no room, left them out.
///
/// Only names are compared, and at most the newest 500 reports of a job are read; one that is
/// damaged is passed over. A folder that cannot be read is no error here: what is known is known,
/// and a run that cannot keep its report says so.
pub(super) fn catch_up(
    connection: &mut Connection,
    path: &Path,
    config: &Config,
) -> Result<(), StateError> {
    let newest =
        runs::newest(connection).map_err(|error| corruption::failed("read", path, &error))?;
    let unknown = unknown(&newest, config).unwrap_or_default();
    if unknown.is_empty() {
        return Ok(());
    }
    add(connection, &unknown, config.reports.keep)
        .map_err(|error| corruption::failed("write", path, &error))
}

/// The runs that are newer than the newest one of their job.
fn unknown(
    newest: &BTreeMap<String, String>,
    config: &Config,
) -> Result<Vec<RunSummary>, StateError> {
    let history = History::new(&config.state_dir);
    let mut by_job: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (run, job) in history.runs(None)? {
        by_job.entry(job).or_default().push(run);
    }
    let mut unknown = Vec::new();
    for (job, names) in by_job {
        let newer = names
            .iter()
            .take_while(|run| newest.get(&job).is_none_or(|newest| *run > newest));
        let reports = newer
            .take(MOST.min(config.reports.keep))
            .filter_map(|run| history.load(&job, run).ok());
        // A report in another place than its own says nothing about either job.
        unknown.extend(
            reports
                .filter(|report| report.job == job)
                .map(|report| RunSummary::of(&report)),
        );
    }
    Ok(unknown)
}

fn add(connection: &mut Connection, unknown: &[RunSummary], keep: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for run in unknown {
        runs::add(&transaction, run)?;
    }
    let jobs: BTreeSet<&str> = unknown.iter().map(|run| run.job.as_str()).collect();
    for job in jobs {
        runs::prune(&transaction, job, keep)?;
    }
    transaction.commit()
}

/// Lets jobs wait that failed to the last, as the daemon would have let them, and servers that
/// refused the credentials.
fn hold_up(connection: &mut Connection, config: &Config) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut refusals: BTreeMap<String, RefusedAccount> = BTreeMap::new();
    for (name, job) in &config.jobs {
        let failures = runs::failures_at_the_end(&transaction, name)?;
        if let Some(backoff) = backoff(&failures, &job.retry) {
            put::put_backoff(&transaction, name, Some(&backoff))?;
        }
        if let Some((server, refused)) = refusal(&failures, job) {
            match refusals.get(&server) {
                Some(other) if other.refused_at >= refused.refused_at => {}
                Some(_) | None => {
                    refusals.insert(server, refused);
                }
            }
        }
    }
    for (server, refused) in &refusals {
        put::put_refusal(&transaction, server, Some(refused))?;
    }
    transaction.commit()
}

/// What follows these failures in a row, each after the one before.
fn backoff(failures: &[RunSummary], retry: &Retry) -> Option<Backoff> {
    failures.iter().fold(None, |before, run| {
        let failed = Failed {
            at: run.finished_at,
            kind: run.error_kind.unwrap_or(FailureKind::Internal),
            error: run.error.as_deref().unwrap_or_default(),
        };
        Some(Backoff::after(before.as_ref(), failed, retry, 0.0))
    })
}

/// The server that refused the credentials in the last of these failures.
fn refusal(failures: &[RunSummary], job: &Job) -> Option<(String, RefusedAccount)> {
    let last = failures.last()?;
    let server = refused_by(last.error_kind?, job)?;
    let in_a_row = failures
        .iter()
        .rev()
        .take_while(|run| run.error_kind == last.error_kind)
        .count();
    let refused = RefusedAccount {
        mark: None,
        failures: u32::try_from(in_a_row).unwrap_or(u32::MAX),
        refused_at: last.finished_at,
        next_at: last
            .finished_at
            .checked_add_signed(AFTER_REFUSAL)
            .unwrap_or(last.finished_at),
        error: last.error.clone().unwrap_or_default(),
    };
    Some((server, refused))
}

/// The server that refuses with this kind of failure, as `refusals` names it.
fn refused_by(kind: FailureKind, job: &Job) -> Option<String> {
    match kind {
        FailureKind::DirectoryRefused => {
            job.ldap().map(|job| format!("directory {}", job.directory))
        }
        FailureKind::FtrackRefused => Some("ftrack".to_owned()),
        FailureKind::Directory
        | FailureKind::Ftrack
        | FailureKind::FtrackUnclear
        | FailureKind::State
        | FailureKind::Refused
        | FailureKind::Stopped
        | FailureKind::TimeLimit
        | FailureKind::Internal => None,
    }
}
