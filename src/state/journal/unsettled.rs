//! Runs whose reports are saved, and do not know the result of every change: their journals are kept
//! until a later run has found out.

use std::{
    io::{BufRead, Read, Write},
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
    /// The latest time that it may have been when it began to write; none where an earlier version
    /// wrote the journal.
    pub began_at: Option<DateTime<Utc>>,
    /// What the clocks showed when it had ended; none where no run has looked since it was killed.
    pub ended: Option<Clocks>,
    /// Whether its journal can be read, so that what is added to it is known later.
    pub is_readable: bool,
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
        runs.push(of_journal(run, journal));
    }
    runs.sort_unstable_by(|a, b| a.run.cmp(&b.run));
    Ok(runs)
}

/// What a journal tells, as far as it can be read: a line that is no text, or not whole, is skipped.
fn of_journal(run: &str, journal: Option<impl Read>) -> UnsettledRun {
    let mut unsettled = UnsettledRun {
        run: run.to_owned(),
        run_mark: None,
        deactivated_at: None,
        began_at: None,
        ended: None,
        is_readable: false,
    };
    let Some((first, reader)) = journal.and_then(first_line) else {
        return unsettled;
    };
    if let Ok(first) = serde_json::from_slice::<FirstLine>(&first) {
        unsettled.run_mark = first.run_mark;
        unsettled.deactivated_at = first.deactivated_at;
        unsettled.began_at = first.began_at;
    }
    for line in reader.split(b'\n') {
        let Ok(line) = line else { return unsettled };
        if let Ok(Ended { ended }) = serde_json::from_slice(&line) {
            unsettled.ended = Some(ended);
        }
    }
    unsettled.is_readable = true;
    unsettled
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const ENDED: &[u8] = b"\n{\"ended\":{\"here\":\"2026-11-25T12:00:00Z\"}}\n";

    #[test]
    fn a_line_that_is_no_text_hides_no_other_one() {
        for torn in [
            &b"{\"run_mark\":\"mark\"}\n{\"change\":0,\"error\":\"\xc3"[..],
            b"{\"run_mark\":\"\xc3",
            b"",
        ] {
            let content = [torn, ENDED].concat();
            let unsettled = of_journal("run", Some(content.as_slice()));
            assert!(unsettled.ended.is_some(), "{torn:?}");
            assert!(unsettled.is_readable);
        }
        assert!(!of_journal("run", None::<&[u8]>).is_readable);
    }

    #[test]
    fn the_results_around_a_torn_line_are_known() {
        let line =
            |change| format!("{{\"change\":{change},\"result\":\"applied\",\"error\":null}}\n");
        let content = [line(0).as_bytes(), b"\xc3\n", line(1).as_bytes(), ENDED].concat();
        let known: Vec<usize> = super::super::results(content.as_slice())
            .map(|line| line.change)
            .collect();
        assert_eq!(known, [0, 1]);
    }
}
