//! Runs whose reports are saved, and do not know the result of every change: their journals are kept
//! until a later run has found out.

use std::{
    fs::File,
    io::{BufRead, Write},
    path::Path,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{END, FirstLine, file_name, find, first_line};
use crate::{
    model::clocks::Clocks,
    state::{files::StateError, folder::Folder, history::is_run},
};

/// The end of the name of such a journal, after its run.
pub(super) const UNSETTLED: &str = ".unconfirmed";

/// A run whose report does not know the result of every change, or whose journal no later run has
/// used up.
#[derive(Debug)]
pub struct UnsettledRun {
    pub run: String,
    /// Its mark in the links that it made; none where an earlier version wrote the journal.
    pub run_mark: Option<String>,
    /// The time in the links of the users that it deactivated; none where it deactivated nobody, or
    /// an earlier version wrote the journal.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// What the clocks showed when it had ended; none where no run has looked since it was killed.
    pub ended: Option<Clocks>,
}

/// The line after the results.
#[derive(Serialize, Deserialize)]
struct Ended {
    ended: Clocks,
}

/// Keeps the journal of a run whose report is saved; the clocks are those of its end, as far as that
/// is known.
pub fn keep_unsettled(state_dir: &Path, job: &str, run: &str, ended: Option<Clocks>) {
    if let Ok(Some(folder)) = find(state_dir, job) {
        leave_unsettled(&folder, run);
    }
    if let Some(ended) = ended {
        set_ended(state_dir, job, run, ended);
    }
}

pub(super) fn leave_unsettled(folder: &Folder, run: &str) {
    let _ = folder.rename(&file_name(run), &format!("{run}{UNSETTLED}"));
}

/// Saves what the clocks show of a run that has ended; if that fails, the next run does it.
pub fn set_ended(state_dir: &Path, job: &str, run: &str, ended: Clocks) {
    let name = format!("{run}{UNSETTLED}");
    if let (Ok(Some(folder)), Ok(line)) = (
        find(state_dir, job),
        serde_json::to_string(&Ended { ended }),
    ) && folder.has(&name)
        && let Ok(mut file) = folder.append(&name)
    {
        // The last line of a run that was killed may be truncated.
        let _ = file.write_all(format!("\n{line}\n").as_bytes());
    }
}

/// The unsettled runs of a job, oldest first.
///
/// # Errors
/// The directory cannot be read.
pub fn unsettled(state_dir: &Path, job: &str) -> Result<Vec<UnsettledRun>, StateError> {
    let Some(folder) = find(state_dir, job)? else {
        return Ok(Vec::new());
    };
    let mut runs = Vec::new();
    for name in folder.names()? {
        let Some(run) = name.strip_suffix(UNSETTLED).filter(|run| is_run(run)) else {
            continue;
        };
        let journal = folder.open(&name).ok().flatten();
        runs.push(
            journal
                .and_then(|journal| of_journal(run, journal))
                .unwrap_or_else(|| UnsettledRun {
                    run: run.to_owned(),
                    run_mark: None,
                    deactivated_at: None,
                    ended: None,
                }),
        );
    }
    runs.sort_unstable_by(|a, b| a.run.cmp(&b.run));
    Ok(runs)
}

fn of_journal(run: &str, journal: File) -> Option<UnsettledRun> {
    let (first, reader) = first_line(journal)?;
    let first: FirstLine = serde_json::from_str(&first).ok()?;
    let lines = reader.lines().map_while(Result::ok);
    let ended = lines.filter_map(|line| serde_json::from_str::<Ended>(&line).ok());
    Some(UnsettledRun {
        run: run.to_owned(),
        run_mark: first.run_mark,
        deactivated_at: first.deactivated_at,
        ended: ended.last().map(|Ended { ended }| ended),
    })
}

/// Removes the journal of a run whose report knows every result that can be known.
pub fn remove_unsettled(state_dir: &Path, job: &str, run: &str) {
    if let Ok(Some(folder)) = find(state_dir, job) {
        let _ = folder.remove(&format!("{run}{UNSETTLED}"));
    }
}

/// The run of a journal, whether or not its report is saved.
pub(super) fn run_of(name: &str) -> Option<&str> {
    let run = name.strip_suffix(END).or(name.strip_suffix(UNSETTLED));
    run.filter(|run| is_run(run))
}
