//! Adds to a database what is in the reports: the runs, and the back-offs after failed ones.

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

/// The maximum number of reports of one job that are read.
const MOST: usize = 500;

/// Everything that is in the reports.
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

/// Adds the runs of reports that are newer than the newest known run of their job: a program that
/// was killed, or ran out of space, left them out.
///
/// Only names are compared, and at most the newest 500 reports of a job are read; a damaged one is
/// skipped. A directory that cannot be read is not an error here: what is known stays, and a run
/// that cannot save its report says so.
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
        // A report in the wrong place says nothing about either job.
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

/// Delays jobs whose last run failed, as the daemon would have, and servers that refused the
/// credentials.
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

/// The back-off after these failures in a row.
fn backoff(failures: &[RunSummary], retry: &Retry) -> Option<Backoff> {
    failures.iter().fold(None, |before, run| {
        let failed = Failed {
            at: run.finished_at,
            kind: run.error_kind.unwrap_or(FailureKind::Internal),
            error: run.error.as_deref().unwrap_or_default(),
            asked: None,
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

/// The server that refuses with this kind of failure, as named in `refusals`.
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
