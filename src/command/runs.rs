//! `runs` and `runs show`: the history of runs.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Local, TimeZone, Utc};
use comfy_table::{Cell, CellAlignment, Table};

use super::{moment, print, print_json, print_text, terminal::Screen};
use crate::{
    cli::{Exit, ReportFormat, RunsArgs, RunsCommand, Stop},
    config::{self, Environment},
    escape::escape_control,
    model::{readable_time::readable_times, report::Report, summary::RunSummary},
    run::{text, text::summary::what},
    state::history::{History, HistoryError, Listed, RunFilter},
    wrap::{beginning, display_width},
};

mod changes;

/// Before what a run did, where it is on a line of its own; a cell begins with one blank.
const INDENT: &str = "   ";

/// How many runs are listed where nothing else is asked for.
const LIMIT: usize = 20;

/// The width from which on a list also shows how long each run took, in columns.
const WIDE: usize = 100;

/// `runs`: the newest runs, or one report. Of the configuration only the state directory is used.
///
/// # Errors
/// The history cannot be read, or there is no such run.
pub fn runs(file: &Path, args: &RunsArgs) -> Result<Exit, Stop> {
    let history = History::new(&state_dir(
        file,
        args.saved.state_dir.as_deref(),
        "the reports are",
    )?);
    check_job(&history, args.saved.job.as_deref(), file)?;
    match &args.command {
        Some(RunsCommand::Show { run }) => {
            let report = history.find(run, args.saved.job.as_deref()).map_err(stop)?;
            let zone = config::job_zone(file, &Environment::of_process(), &report.job);
            match zone {
                Some(zone) => show(&report, args.format, &zone),
                None => show(&report, args.format, &Local),
            }
        }
        None if args.changes => changes::list(&history, &filter(args, Utc::now())?, args),
        None => list(&history, args),
    }
}

fn show<Z: TimeZone<Offset: Display>>(
    report: &Report,
    format: ReportFormat,
    zone: &Z,
) -> Result<Exit, Stop> {
    let page = |page: Result<String, minijinja::Error>| page.map_err(|error| Stop::failed(&error));
    match format {
        ReportFormat::Json => print_json(report),
        ReportFormat::Text => print_text(&text::whole(report, zone)),
        ReportFormat::Html => print(&page(text::page::html(report, zone))?),
        ReportFormat::Markdown => print(&page(text::page::markdown(report, zone))?),
        ReportFormat::Csv => print(&text::csv::report(report)),
    }
}

/// Whether a list is for programs; a page or a table is only that of a report.
fn is_json(format: ReportFormat) -> Result<bool, Stop> {
    match format {
        ReportFormat::Text => Ok(false),
        ReportFormat::Json => Ok(true),
        ReportFormat::Html | ReportFormat::Markdown | ReportFormat::Csv => Err(Stop::usage(
            "a list of runs is text or json; html, markdown and csv show one report: `runs show RUN`",
        )),
    }
}

/// The state directory that is named, or that of the configuration, of which nothing else is used;
/// `what` is looked for in it.
pub(super) fn state_dir(file: &Path, named: Option<&Path>, what: &str) -> Result<PathBuf, Stop> {
    if let Some(state_dir) = named {
        if !state_dir.is_dir() {
            return Err(Stop::usage(&format!(
                "--state-dir {}: there is no such directory, or it is not readable",
                escape_control(&state_dir.display().to_string())
            )));
        }
        return Ok(state_dir.to_owned());
    }
    config::paths(file, &Environment::of_process())
        .map(|paths| paths.state_dir)
        .map_err(|findings| {
            Stop::usage(&findings).with_way_out(format!(
                "it does not say where {what}; give the directory with --state-dir DIR"
            ))
        })
}

/// A job may have runs and not be configured any more, or be configured and have no runs yet.
pub(super) fn check_job(history: &History, job: Option<&str>, file: &Path) -> Result<(), Stop> {
    let configured = config::job_names(file, &Environment::of_process());
    check_known(history, job, configured)
}

/// The same where it is known which jobs are configured.
pub(super) fn check_known(
    history: &History,
    job: Option<&str>,
    configured: impl IntoIterator<Item = String>,
) -> Result<(), Stop> {
    let Some(job) = job else { return Ok(()) };
    let mut known = history.jobs().map_err(|error| Stop::failed(&error))?;
    known.extend(configured);
    known.sort_unstable();
    known.dedup();
    if known.iter().any(|known| known == job) {
        return Ok(());
    }
    let others = config::other_jobs(job, known.iter().map(String::as_str));
    Err(Stop::usage(&escape_control(&format!(
        "there is no job {job:?}, and no run of one{others}"
    ))))
}

pub(super) fn stop(error: HistoryError) -> Stop {
    match error {
        HistoryError::State(_) | HistoryError::Damaged { .. } => Stop::failed(&error),
        HistoryError::Unknown(_)
        | HistoryError::Ambiguous { .. }
        | HistoryError::NothingWritten
        | HistoryError::Empty => Stop::usage(&error),
    }
}

fn list(history: &History, args: &RunsArgs) -> Result<Exit, Stop> {
    let is_json = is_json(args.format)?;
    let filter = filter(args, Utc::now())?;
    let limit = if args.all {
        usize::MAX
    } else {
        args.limit.unwrap_or(LIMIT)
    };
    let Listed { runs, all, damaged } = history
        .list(&filter, limit)
        .map_err(|error| Stop::failed(&error))?;
    let none = || {
        let is_empty = history.runs(None).is_ok_and(|runs| runs.is_empty());
        if is_empty {
            "No saved runs yet.\n".to_owned()
        } else {
            format!("No saved run matches{}.\n", on_day(args, &filter))
        }
    };
    match is_json {
        true => print_json(&runs)?,
        false if runs.is_empty() && damaged.is_empty() => print_text(&none())?,
        false => {
            print(&table(&runs, Screen::of_stdout()))?;
            print_text(&left_out(runs.len(), all, limit))?
        }
    };
    if_whole(&damaged)
}

/// Fails where some reports cannot be read.
fn if_whole(damaged: &[HistoryError]) -> Result<Exit, Stop> {
    if damaged.is_empty() {
        Ok(Exit::Done)
    } else {
        Err(Stop {
            exit: Exit::Failed,
            lines: damaged.iter().map(ToString::to_string).collect(),
        })
    }
}

/// Says that there are more runs than are listed.
fn left_out(shown: usize, all: Option<usize>, limit: usize) -> String {
    match all {
        Some(all) if all > shown => {
            format!("\n{shown} of {all} runs; `--limit N` lists more of them, and `--all` all.\n")
        }
        None if shown == limit => {
            format!("\nThe newest {shown}; `--limit N` lists more, and `--all` all.\n")
        }
        Some(_) | None => String::new(),
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
    let (mut since, mut until) = (time("--since", &args.since)?, time("--until", &args.until)?);
    if let Some(day) = &args.on {
        let (first, next) = moment::whole_day(day, now, &Local, "the zone of this machine")
            .map_err(|error| Stop::usage(&format!("--on {}: {error}", escape_control(day))))?;
        (since, until) = (Some(first), Some(next));
    }
    Ok(RunFilter {
        job: args.saved.job.clone(),
        since,
        until,
        changed: args.changed,
        outcomes: args.outcome.clone(),
        person: args.person.clone(),
    })
}

/// The day that is meant by a word such as `friday`; empty where no day is.
fn on_day(args: &RunsArgs, filter: &RunFilter) -> String {
    let day = filter.since.filter(|_| args.on.is_some());
    let day = day.map(|day| day.with_timezone(&Local).format("%A, %Y-%m-%d"));
    day.map_or_else(String::new, |day| format!(" on {day}"))
}

/// Each run with times in the zone of this machine. What it did is on the same line, or, where it
/// does not fit there, on a second one; only a terminal shows of a long reason no more than fits. Where
/// the names of jobs leave no room for how the runs ended, that is on the second line as well.
fn table(runs: &[RunSummary], screen: Screen) -> String {
    let beside = rows(runs, screen, Outcomes::Beside);
    let is_wider = |columns| {
        let mut lines = beside.lines();
        lines.any(|line| display_width(line.trim_end()) > columns)
    };
    let (table, header, outcomes) = match screen.columns() {
        Some(columns) if is_wider(columns) => {
            let table = rows(runs, screen, Outcomes::Below);
            (table, "OUTCOME, WHAT", Outcomes::Below)
        }
        Some(_) | None => (beside, "WHAT", Outcomes::Beside),
    };
    let whats = runs.iter().map(|run| match outcomes {
        Outcomes::Beside => what(run),
        Outcomes::Below => format!("{}, {}", run.outcome.as_str(), what(run)),
    });
    let whats = std::iter::once(header.to_owned()).chain(whats);
    let lines = table.lines().zip(whats);
    lines
        .map(|(line, what)| row(&line, &what, screen))
        .collect()
}

/// Where the list shows how the runs ended.
enum Outcomes {
    /// In a column.
    Beside,
    /// On the second line.
    Below,
}

fn rows(runs: &[RunSummary], screen: Screen, outcomes: Outcomes) -> Table {
    let mut table = Screen::Unbounded.table();
    let is_wide = screen.columns().is_none_or(|columns| columns >= WIDE);
    let started: Vec<DateTime<Utc>> = runs.iter().map(|run| run.started_at).collect();
    let (started, zone) = readable_times(&started, &Local, "%Y-%m-%d %H:%M");
    let zone = zone.map(|zone| format!(" ({zone})")).unwrap_or_default();
    let started_header = format!("STARTED{zone}");
    let has_outcome = matches!(outcomes, Outcomes::Beside);
    let mut header = vec!["RUN", &started_header, "JOB"];
    header.extend(has_outcome.then_some("OUTCOME"));
    header.extend(is_wide.then_some("TOOK"));
    table.set_header(header);
    for (run, started) in runs.iter().zip(started) {
        let mut cells = vec![
            Cell::new(&run.run),
            Cell::new(started),
            Cell::new(escape_control(&run.job)),
        ];
        cells.extend(has_outcome.then(|| Cell::new(run.outcome.as_str())));
        if is_wide {
            cells.push(Cell::new(took(run)).set_alignment(CellAlignment::Right));
        }
        table.add_row(cells);
    }
    table
}

/// A run as one line, or two.
fn row(line: &str, what: &str, screen: Screen) -> String {
    let whole = format!("{line} {what}");
    match screen.columns() {
        Some(columns) if display_width(&whole) > columns => {
            let what = beginning(what, columns.saturating_sub(INDENT.len()));
            screen.fit(&format!("{}\n{INDENT}{what}\n", line.trim_end()))
        }
        Some(_) | None => format!("{whole}\n"),
    }
}

fn took(run: &RunSummary) -> String {
    let took = run.finished_at.signed_duration_since(run.started_at);
    format!("{:.1} s", took.as_seconds_f64().max(0.0))
}

#[cfg(test)]
mod tests;
