//! `runs` and `runs show`: the history of runs.

use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};
use serde::Serialize;

use super::{print, print_json, sync::show};
use crate::{
    cli::{Exit, Format, RunsArgs, RunsCommand, Stop},
    config::Config,
    escape::escape_control,
    model::report::{Counts, Outcome, Report, Trigger},
    state::history::{History, HistoryError},
};

/// The longest reason shown in a list, in characters.
const REASON: usize = 60;

/// One run in a list.
#[derive(Debug, Serialize)]
struct Row {
    run: String,
    job: String,
    trigger: Trigger,
    dry_run: bool,
    started_at: chrono::DateTime<chrono::Utc>,
    finished_at: chrono::DateTime<chrono::Utc>,
    outcome: Outcome,
    error: Option<String>,
    counts: Counts,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    alarm: bool,
}

/// `runs`: the newest runs, or one report.
///
/// # Errors
/// The history cannot be read, or there is no such run.
pub fn runs(config: &Config, args: &RunsArgs) -> Result<Exit, Stop> {
    let history = History::new(&config.state_dir);
    let job = args.job.as_deref();
    if job.is_some() {
        super::job(config, job)?;
    }
    match &args.command {
        Some(RunsCommand::Show { run }) => {
            show(&history.find(run, job).map_err(stop)?, args.format)
        }
        None => list(&history, job, args),
    }
}

fn stop(error: HistoryError) -> Stop {
    match error {
        HistoryError::State(_) | HistoryError::Damaged { .. } => Stop::failed(&error),
        HistoryError::Unknown(_) | HistoryError::Ambiguous { .. } | HistoryError::Empty => {
            Stop::usage(&error)
        }
    }
}

fn list(history: &History, job: Option<&str>, args: &RunsArgs) -> Result<Exit, Stop> {
    let names = history.runs(job).map_err(|error| Stop::failed(&error))?;
    let mut rows = Vec::new();
    let mut damaged = Vec::new();
    for (run, job) in names.iter().take(args.limit) {
        match history.load(job, run) {
            Ok(report) => rows.push(row(report)),
            Err(error) => damaged.push(error.to_string()),
        }
    }
    match args.format {
        Format::Json => print_json(&rows)?,
        Format::Text if names.is_empty() => print("No saved runs yet.\n")?,
        Format::Text => print(&without_trailing_blanks(&table(&rows).to_string()))?,
    };
    if damaged.is_empty() {
        Ok(Exit::Done)
    } else {
        Err(Stop {
            exit: Exit::Failed,
            lines: damaged,
        })
    }
}

fn row(report: Report) -> Row {
    let Report {
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
    } = report;
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

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    *table.style_mut() = NOTHING;
    table.set_header([
        "RUN",
        "JOB",
        "OUTCOME",
        "TOOK",
        "CREATED",
        "UPDATED",
        "DEACTIVATED",
        "REACTIVATED",
        "ADOPTED",
        "HELD",
        "FAILED",
        "SKIPPED",
        "REASON",
    ]);
    for row in rows {
        let seconds = row
            .finished_at
            .signed_duration_since(row.started_at)
            .as_seconds_f64()
            .max(0.0);
        let outcome = if row.dry_run {
            format!("{} (dry run)", row.outcome.as_str())
        } else {
            row.outcome.as_str().to_owned()
        };
        let counts = &row.counts;
        let mut cells = vec![
            Cell::new(&row.run),
            Cell::new(&row.job),
            Cell::new(outcome),
            number(format!("{seconds:.1} s")),
        ];
        let numbers = [
            counts.created,
            counts.updated,
            counts.deactivated,
            counts.reactivated,
            counts.adopted,
            counts.held,
            counts.failed,
            counts.skipped,
        ];
        cells.extend(numbers.into_iter().map(|count| number(count.to_string())));
        let reason = match (&row.error, row.alarm) {
            (Some(error), _) => error.as_str(),
            (None, true) => "ALARM: above the job's limits",
            (None, false) => "",
        };
        cells.push(Cell::new(first_words(reason)));
        table.add_row(cells);
    }
    table
}

fn without_trailing_blanks(text: &str) -> String {
    text.lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect()
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

fn number(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}
