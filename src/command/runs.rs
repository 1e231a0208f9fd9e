//! `runs` and `runs show`: the history of runs.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Local, Utc};
use comfy_table::{Cell, CellAlignment};

use super::{moment, print, print_json, print_text, sync::show, terminal, terminal::Screen};
use crate::{
    cli::{Exit, Format, RunsArgs, RunsCommand, Stop},
    config::{self, Environment},
    escape::escape_control,
    model::{change::Action, readable_time::readable_times, summary::RunSummary},
    state::{
        history::{History, HistoryError, Listed, RunFilter},
        journal,
    },
};

/// The longest reason shown in a list, in characters.
const REASON: usize = 60;

/// The width from which on a list also shows how long each run took, in columns.
const WIDE: usize = 100;

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
    let none = || {
        let is_empty = history.runs(None).is_ok_and(|runs| runs.is_empty());
        if is_empty {
            "No saved runs yet.\n"
        } else {
            "No saved run matches.\n"
        }
    };
    match args.format {
        Format::Json => print_json(&runs)?,
        Format::Text if runs.is_empty() && damaged.is_empty() => print_text(none())?,
        Format::Text => print(&table(&runs, Screen::of_stdout()))?,
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

/// One line for each run, with times in the zone of this machine.
fn table(runs: &[RunSummary], screen: Screen) -> String {
    let mut table = screen.table();
    let is_wide = screen.columns().is_none_or(|columns| columns >= WIDE);
    let started: Vec<DateTime<Utc>> = runs.iter().map(|run| run.started_at).collect();
    let (started, zone) = readable_times(&started, &Local, "%Y-%m-%d %H:%M");
    let zone = zone.map(|zone| format!(" ({zone})")).unwrap_or_default();
    let mut header = vec!["RUN".to_owned(), format!("STARTED{zone}"), "JOB".to_owned()];
    header.push("OUTCOME".to_owned());
    header.extend(is_wide.then(|| "TOOK".to_owned()));
    header.push("WHAT".to_owned());
    table.set_header(header);
    for (run, started) in runs.iter().zip(started) {
        let mut cells = vec![
            Cell::new(&run.run),
            Cell::new(started),
            Cell::new(escape_control(&run.job)),
            Cell::new(run.outcome.as_str()),
        ];
        if is_wide {
            let seconds = run
                .finished_at
                .signed_duration_since(run.started_at)
                .as_seconds_f64()
                .max(0.0);
            cells.push(Cell::new(format!("{seconds:.1} s")).set_alignment(CellAlignment::Right));
        }
        cells.push(Cell::new(what(run)));
        table.add_row(cells);
    }
    terminal::unbroken(&mut table, &[0, 1, 2]);
    terminal::lines(&table)
}

/// What a run did, or would do, or why it failed.
fn what(run: &RunSummary) -> String {
    let counts = &run.counts;
    let written = [
        (counts.created, "created"),
        (counts.adopted, "adopted"),
        (counts.updated, "updated"),
        (counts.reactivated, "reactivated"),
        (counts.deactivated, "deactivated"),
    ];
    let planned = Action::ALL
        .map(|action| (run.planned.get(&action).copied(), action.as_str()))
        .map(|(count, action)| (count.unwrap_or_default(), format!("to {action}")));
    let error = run.error.as_deref();
    let is_in_the_middle = error.is_some_and(journal::is_in_the_middle);
    let not_written = [
        (counts.held, "held"),
        (
            counts.failed,
            if is_in_the_middle {
                "not written"
            } else {
                "failed"
            },
        ),
        (counts.unconfirmed, "unconfirmed"),
        (counts.skipped, "skipped"),
    ];
    let changes: Vec<(usize, String)> = if run.dry_run {
        planned.into()
    } else {
        in_words(&written)
    };
    let mut what: Vec<String> = changes
        .into_iter()
        .chain(in_words(&not_written))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    if run.alarm {
        what.insert(0, "ALARM: above the job's limits".to_owned());
    }
    if is_in_the_middle {
        what.insert(0, "interrupted".to_owned());
    } else if let Some(error) = error {
        what.push(first_words(cause(error)));
    } else if what.is_empty() {
        what.push("nothing to do".to_owned());
    }
    let dry = if run.dry_run { "dry run: " } else { "" };
    format!("{dry}{}", what.join(", "))
}

fn in_words(counts: &[(usize, &str)]) -> Vec<(usize, String)> {
    let counts = counts.iter();
    counts
        .map(|(count, words)| (*count, (*words).to_owned()))
        .collect()
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
