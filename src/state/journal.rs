//! The journal: what a run is about to write, saved before it writes it, so that a run that is
//! killed leaves a report too.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    model::report::{BuiltinPart, ChangeResult, Counts, FailureKind, Outcome, Report, Reported},
    state::{files::StateError, folder::Folder, history::is_run},
};

/// The longest line of a journal, in bytes.
const LONGEST_LINE: u64 = 1 << 30;

/// The journal of one run: the report so far, with the old values of everything that is to be
/// written, then a line for each result.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// The result of one change, by its index in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Line {
    pub change: usize,
    pub result: ChangeResult,
    /// Why it failed.
    pub error: Option<String>,
    /// What is to be known of it although it was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Journal {
    /// Saves the report so far, with what is to be written, and returns when it is on disk;
    /// replaces an existing journal.
    ///
    /// # Errors
    /// It cannot be written durably; then nothing may be written to ftrack.
    pub fn open(state_dir: &Path, report: &Report) -> Result<Self, StateError> {
        let folder = Folder::make(state_dir)?
            .make_sub(FOLDER)?
            .make_sub(&report.job)?;
        let name = file_name(&report.run);
        let path = folder.path().join(&name);
        let mut content = serde_json::to_vec(report)
            .map_err(|error| StateError::new("write", &path, error.into()))?;
        content.push(b'\n');
        folder.replace(&name, &content)?;
        let file = folder.append(&name)?;
        Ok(Self { file, path })
    }

    /// Appends results; they are on disk when this returns.
    ///
    /// # Errors
    /// They cannot be written; earlier results stay.
    pub fn add(&mut self, lines: &[Line]) -> Result<(), StateError> {
        let wrong = |source| StateError::new("write", &self.path, source);
        let mut content = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut content, line).map_err(|error| wrong(error.into()))?;
            content.push(b'\n');
        }
        self.file
            .write_all(&content)
            .and_then(|()| self.file.sync_data())
            .map_err(wrong)
    }
}

/// Makes the reports of interrupted runs of this job, and removes journals that are no longer
/// needed.
///
/// # Errors
/// The directory cannot be read. A damaged journal gives a report as far as it can be read, or is
/// set aside, as is one that names another job or run than its own.
pub fn recover(
    state_dir: &Path,
    job: &str,
    has_report: impl Fn(&str) -> bool,
) -> Result<Vec<Report>, StateError> {
    let Some(folder) = find(state_dir, job)? else {
        return Ok(Vec::new());
    };
    let mut reports = Vec::new();
    for name in folder.names()? {
        let Some(run) = name.strip_suffix(END).filter(|run| is_run(run)) else {
            continue;
        };
        if has_report(run) {
            let _ = folder.remove(&name);
            continue;
        }
        let report = folder.open(&name).ok().flatten().and_then(cut_off);
        match report.filter(|report| report.job == job && report.run == run) {
            Some(report) => reports.push(report),
            None => {
                let _ = folder.rename(&name, &format!("{name}.damaged"));
            }
        }
    }
    Ok(reports)
}

/// Removes the journal of a run whose report is saved; if that fails, the next run removes it.
pub fn remove(state_dir: &Path, job: &str, run: &str) {
    if let Ok(Some(folder)) = find(state_dir, job) {
        let _ = folder.remove(&file_name(run));
    }
}

/// The directory of the journals in the state directory, with one for each job.
const FOLDER: &str = "journals";
/// The end of a journal's name, after its run.
const END: &str = ".jsonl";

fn find(state_dir: &Path, job: &str) -> Result<Option<Folder>, StateError> {
    let Some(folder) = Folder::find(state_dir)? else {
        return Ok(None);
    };
    let journals = folder.sub(FOLDER)?;
    journals.map_or(Ok(None), |journals| journals.sub(job))
}

fn file_name(run: &str) -> String {
    format!("{run}{END}")
}

/// The report of an interrupted run, from its journal.
fn cut_off(journal: File) -> Option<Report> {
    let mut reader = BufReader::new(journal.take(LONGEST_LINE));
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut report: Report = serde_json::from_str(&first).ok()?;
    for line in reader.lines() {
        // The last line may be truncated: its content stays unknown.
        let Ok(line) = line
            .map_err(drop)
            .and_then(|line| serde_json::from_str::<Line>(&line).map_err(drop))
        else {
            break;
        };
        if let Some(change) = report.changes.get_mut(line.change) {
            change.result = line.result;
            change.error = line.error;
            change.note = line.note;
        }
    }
    let mut unknown = 0;
    let is_unknown =
        |change: &&mut Reported| change.result == ChangeResult::Planned && !change.is_so_already();
    for change in report.changes.iter_mut().filter(is_unknown) {
        unknown += 1;
        change.result = ChangeResult::Failed;
        change.error = Some(
            "the run was interrupted before the result was known; the next run checks ftrack and \
             does what is left"
                .into(),
        );
    }
    report.outcome = Outcome::Failed;
    report.error_kind = Some(FailureKind::Stopped);
    report.error = Some(match (&report.builtin, report.changes.len()) {
        (Some(builtin), _) => cut_off_while_ftrack_worked(builtin),
        (None, 0) => "the program ended while it was reading, and nothing was written".into(),
        (None, _) => format!(
            "the program ended in the middle of the run; the result of {unknown} changes is not \
             known"
        ),
    });
    recount(&mut report.counts, &report.changes);
    Some(report)
}

fn cut_off_while_ftrack_worked(builtin: &BuiltinPart) -> String {
    match &builtin.job_id {
        Some(id) => format!(
            "the program ended while ftrack's own LDAP synchronisation (its job {id}) was \
             running; the next run follows it"
        ),
        None => "the program ended while it started ftrack's own LDAP synchronisation; the next \
            run checks whether it was started"
            .to_owned(),
    }
}

/// Counts the results again, and keeps the counts that do not come from results.
fn recount(counts: &mut Counts, changes: &[Reported]) {
    let of_changes = Counts::of_results(changes);
    *counts = Counts {
        unchanged: counts.unchanged + of_changes.unchanged,
        skipped: counts.skipped,
        ..of_changes
    };
}
