//! Adds to a database what is in the reports: the runs, the back-offs after failed ones, and what the
//! limits count.

use std::{collections::BTreeMap, path::Path};

use chrono::{TimeDelta, Utc};
use rusqlite::Connection;

use crate::{
    config::{Config, Job},
    model::{
        backoff::{AFTER_REFUSAL, Backoff, Failed, Retry},
        change_kind::ChangeKind,
        report::{FailureKind, Report, Trigger},
        summary::RunSummary,
    },
    state::{
        database::{
            corruption, holds, put, runs,
            values::{RefusedAccount, Written},
        },
        files::StateError,
        history::History,
    },
    sync::guard::LIMITED,
};

/// Everything that is in the reports.
pub(super) fn from_reports(
    connection: &mut Connection,
    path: &Path,
    config: &Config,
) -> Result<(), StateError> {
    let names = History::new(&config.state_dir).runs(None)?;
    add(connection, &names, config).map_err(|error| corruption::failed("write", path, &error))?;
    count_written(connection, &names, config)
        .map_err(|error| corruption::failed("write", path, &error))?;
    hold_up(connection, config).map_err(|error| corruption::failed("write", path, &error))
}

/// Adds the runs of reports that are not known: a program that was killed, or ran out of space, left
/// them out, or an earlier version saved them without counts.
///
/// A damaged report is skipped. A directory that cannot be read is not an error here: what is known
/// stays, and a run that cannot save its report says so.
pub(super) fn catch_up(
    connection: &mut Connection,
    path: &Path,
    config: &Config,
) -> Result<(), StateError> {
    let known =
        runs::names(connection).map_err(|error| corruption::failed("read", path, &error))?;
    let reported = History::new(&config.state_dir)
        .runs(None)
        .unwrap_or_default();
    let unknown: Vec<(String, String)> = reported
        .into_iter()
        .filter(|(run, job)| !known.contains(&(job.clone(), run.clone())))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    add(connection, &unknown, config).map_err(|error| corruption::failed("write", path, &error))
}

/// Adds the runs of these reports, one report in memory at a time.
fn add(
    connection: &mut Connection,
    unknown: &[(String, String)],
    config: &Config,
) -> rusqlite::Result<()> {
    let history = History::new(&config.state_dir);
    let transaction = connection.transaction()?;
    let summaries = unknown
        .iter()
        // A report in the wrong place says nothing about either job.
        .filter_map(|(run, job)| history.summary(job, run).ok());
    for run in summaries {
        runs::add(&transaction, &run)?;
        holds::count_from(&transaction, &run.hold_numbers)?;
    }
    transaction.commit()
}

/// Counts for the limits what the reports of late say that was written without a person's approval;
/// of deactivations, the links tell it, also of runs without a report.
fn count_written(
    connection: &mut Connection,
    all: &[(String, String)],
    config: &Config,
) -> rusqlite::Result<()> {
    let history = History::new(&config.state_dir);
    let now = Utc::now();
    let is_of_late = |job: &str, run: &str| {
        let limits = config
            .jobs
            .get(job)
            .and_then(Job::ldap)
            .map(|job| &job.limits);
        let per = limits.and_then(|limits| TimeDelta::from_std(limits.per).ok());
        let ended = history.summary(job, run).ok().map(|run| run.finished_at);
        ended
            .zip(per)
            .is_some_and(|(ended, per)| now.signed_duration_since(ended) < per)
    };
    let transaction = connection.transaction()?;
    for (run, job) in all.iter().filter(|(run, job)| is_of_late(job, run)) {
        // What cannot be read is left out, as in the history.
        let Ok(report) = history.load(job, run) else {
            continue;
        };
        for written in counted(&report) {
            put::put_written(&transaction, job, &written)?;
        }
    }
    transaction.commit()
}

/// What limits count of a run, but its deactivations.
fn counted(report: &Report) -> Vec<Written> {
    let is_approved = match report.trigger {
        Trigger::Approval | Trigger::Link | Trigger::Release | Trigger::Undo | Trigger::Restore => {
            true
        }
        Trigger::Schedule
        | Trigger::Manual
        | Trigger::Startup
        | Trigger::Retry
        | Trigger::Changes
        | Trigger::Watch => report.approved_by.is_some(),
    };
    if is_approved || report.dry_run {
        return Vec::new();
    }
    // No limit holds the creates of a first contact.
    let is_first = report.ftrack.owned == 0;
    let kinds = LIMITED.into_iter().filter(|kind| {
        *kind != ChangeKind::Deactivate && !(is_first && *kind == ChangeKind::Create)
    });
    let counted = kinds.map(|kind| Written {
        run: report.run.clone(),
        kind,
        at: report.finished_at.into(),
        number: report
            .changes
            .iter()
            .map(|change| change.number_written(kind))
            .sum(),
        since: report.finished_at,
        is_settled: true,
    });
    counted.filter(|written| written.number > 0).collect()
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
        | FailureKind::PlanRefused
        | FailureKind::Stopped
        | FailureKind::TimeLimit
        | FailureKind::Internal => None,
    }
}
