//! `runs` and `runs show`: the history of runs.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, Utc};
use comfy_table::{Cell, CellAlignment};
use serde::Serialize;

use super::{moment, print, print_json, print_text, sync::show, terminal, terminal::Screen};
use crate::{
    cli::{Exit, Format, RunsArgs, RunsCommand, Stop},
    config::{self, Environment},
    escape::escape_control,
    model::{
        report::{Counts, Outcome, Trigger},
        summary::RunSummary,
    },
    state::history::{History, HistoryError, Listed, RunFilter},
};

/// The longest reason shown in a list, in characters.
const REASON: usize = 60;

/// The width from which on a list also shows how long each run took, in columns.
const WIDE: usize = 100;

/// One run in a list.
#[derive(Debug, Serialize)]
struct Row {
    run: String,
    job: String,
    trigger: Trigger,
    dry_run: bool,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    outcome: Outcome,
    error: Option<String>,
    counts: Counts,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    alarm: bool,
}

/// `runs`: the newest runs, or one report. Of the configuration only the state directory is used.
///
/// # Errors
/// The history cannot be read, or there is no such run.
pub fn runs(file: &Path, args: &RunsArgs) -> Result<Exit, Stop> {
    let history = History::new(&state_dir(file, args)?);
    check_job(&history, args.job.as_deref(), file)?;
    match &args.command {
        Some(RunsCommand::Show { run }) => show(
            &history.find(run, args.job.as_deref()).map_err(stop)?,
            args.format,
        ),
        None => list(&history, args),
    }
}

fn state_dir(file: &Path, args: &RunsArgs) -> Result<PathBuf, Stop> {
    if let Some(state_dir) = &args.state_dir {
        return Ok(state_dir.clone());
    }
    config::paths(file, &Environment::of_process())
        .map(|paths| paths.state_dir)
        .map_err(|findings| {
            let mut stop = Stop::usage(&findings);
            stop.lines.push(
                "it does not say where the reports are; give the directory with --state-dir DIR"
                    .to_owned(),
            );
            stop
        })
}

/// A job may have runs and not be configured any more, or be configured and have no runs yet.
fn check_job(history: &History, job: Option<&str>, file: &Path) -> Result<(), Stop> {
    let Some(job) = job else { return Ok(()) };
    let mut known = history.jobs().map_err(|error| Stop::failed(&error))?;
    known.extend(config::job_names(file, &Environment::of_process()));
    known.sort_unstable();
    known.dedup();
    if known.iter().any(|known| known == job) {
        return Ok(());
    }
    let known = if known.is_empty() {
        "there are none yet".to_owned()
    } else {
        format!("the jobs are {}", known.join(", "))
    };
    Err(Stop::usage(&escape_control(&format!(
        "there is no job {job:?}, and no run of one ({known})"
    ))))
}

fn stop(error: HistoryError) -> Stop {
    match error {
        HistoryError::State(_) | HistoryError::Damaged { .. } => Stop::failed(&error),
        HistoryError::Unknown(_) | HistoryError::Ambiguous { .. } | HistoryError::Empty => {
            Stop::usage(&error)
        }
    }
}

fn list(history: &History, args: &RunsArgs) -> Result<Exit, Stop> {
    let filter = filter(args, Utc::now())?;
    let Listed { runs, damaged } = history
        .list(&filter, args.limit)
        .map_err(|error| Stop::failed(&error))?;
    let rows: Vec<Row> = runs.into_iter().map(row).collect();
    let none = || {
        let is_empty = history.runs(None).is_ok_and(|runs| runs.is_empty());
        if is_empty {
            "No saved runs yet.\n"
        } else {
            "No saved run matches.\n"
        }
    };
    match args.format {
        Format::Json => print_json(&rows)?,
        Format::Text if rows.is_empty() && damaged.is_empty() => print_text(none())?,
        Format::Text => print(&table(&rows, Screen::of_stdout()))?,
    };
    if damaged.is_empty() {
        Ok(Exit::Done)
    } else {
        Err(Stop {
            exit: Exit::Failed,
            lines: damaged.iter().map(ToString::to_string).collect(),
        })
    }
}

fn filter(args: &RunsArgs, now: DateTime<Utc>) -> Result<RunFilter, Stop> {
    let time = |option: &str, text: &Option<String>| {
        let read = |text: &String| {
            moment::before(text, now, &Local, "the zone of this machine").map_err(|error| {
                Stop::usage(&format!("{option} {}: {error}", escape_control(text)))
            })
        };
        text.as_ref().map(read).transpose()
    };
    Ok(RunFilter {
        job: args.job.clone(),
        since: time("--since", &args.since)?,
        until: time("--until", &args.until)?,
        changed: args.changed,
        outcomes: args.outcome.clone(),
        person: args.person.clone(),
    })
}

fn row(run: RunSummary) -> Row {
    let RunSummary {
        run,
        job,
        trigger,
        dry_run,
        started_at,
        finished_at,
        outcome,
        error,
        counts,
        alarm,
        ..
    } = run;
    Row {
        run,
        job,
        trigger,
        dry_run,
        started_at,
        finished_at,
        outcome,
        error,
        counts,
        alarm,
    }
}

/// One line for each run, with times in the zone of this machine.
fn table(rows: &[Row], screen: Screen) -> String {
    let mut table = screen.table();
    let is_wide = screen.columns().is_none_or(|columns| columns >= WIDE);
    let mut header = vec!["RUN", "STARTED", "JOB", "OUTCOME"];
    header.extend(is_wide.then_some("TOOK"));
    header.push("WHAT");
    table.set_header(header);
    for row in rows {
        let started = row.started_at.with_timezone(&Local);
        let outcome = if row.dry_run {
            format!("{} (dry run)", row.outcome.as_str())
        } else {
            row.outcome.as_str().to_owned()
        };
        let mut cells = vec![
            Cell::new(&row.run),
            Cell::new(started.format("%Y-%m-%d %H:%M")),
            Cell::new(escape_control(&row.job)),
            Cell::new(outcome),
        ];
        if is_wide {
            let seconds = row
                .finished_at
                .signed_duration_since(row.started_at)
                .as_seconds_f64()
                .max(0.0);
            cells.push(Cell::new(format!("{seconds:.1} s")).set_alignment(CellAlignment::Right));
        }
        cells.push(Cell::new(what(row)));
        table.add_row(cells);
    }
    terminal::unbroken(&mut table, &[0, 1, 2]);
    terminal::lines(&table)
}

/// What a run did, or why it failed.
fn what(row: &Row) -> String {
    let counts = &row.counts;
    let numbers = [
        (counts.created, "created"),
        (counts.adopted, "adopted"),
        (counts.updated, "updated"),
        (counts.reactivated, "reactivated"),
        (counts.deactivated, "deactivated"),
        (counts.held, "held"),
        (counts.failed, "failed"),
        (counts.unconfirmed, "unconfirmed"),
        (counts.skipped, "skipped"),
    ];
    let mut what: Vec<String> = numbers
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if row.alarm {
        what.insert(0, "ALARM: above the job's limits".to_owned());
    }
    if let Some(error) = &row.error {
        what.push(first_words(cause(error)));
    } else if what.is_empty() {
        let nothing = if row.dry_run {
            "nothing was written"
        } else {
            "nothing to do"
        };
        what.push(nothing.to_owned());
    }
    what.join(", ")
}

/// An error without the words that every failed run has.
fn cause(error: &str) -> &str {
    error
        .split_once("nothing was written: ")
        .map_or(error, |(_, cause)| cause)
}

/// The beginning of a reason; `runs show` prints all of it.
fn first_words(reason: &str) -> String {
    let mut characters = reason.chars();
    let beginning: String = characters.by_ref().take(REASON).collect();
    let cut = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("{}{cut}", escape_control(&beginning))
}
