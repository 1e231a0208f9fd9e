//! The journal: what a run is about to write, saved before it writes it, so that a run that is
//! killed leaves a report too.

mod unsettled;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ftrack::unconfirmed::INTERRUPTED,
    model::{
        change::Action,
        edit::Field,
        report::{BuiltinPart, ChangeResult, Counts, FailureKind, Outcome, Report, Reported},
        user::EntityId,
    },
    state::{files::StateError, folder::Folder, history::is_run},
};

pub use unsettled::{UnsettledRun, keep_unsettled, remove_unsettled, set_ended, unsettled};

/// The longest line of a journal, in bytes.
const LONGEST_LINE: u64 = 1 << 30;

/// The journal of one run: the report so far, with the old values of everything that is to be
/// written, then a line for each result.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// What a run leaves in the links that it writes, by which its writes are told from others.
#[derive(Debug, Clone, Copy)]
pub struct RunMarks<'a> {
    /// Its mark in the links that it makes.
    pub run_mark: &'a str,
    /// The time in the links of the users that it deactivates; none where it deactivates nobody.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// The latest time that it may have been, by all clocks, when it began to write.
    pub began_at: DateTime<Utc>,
}

/// The first line of a journal.
#[derive(Serialize)]
struct Begun<'a> {
    #[serde(flatten)]
    report: &'a Report,
    run_mark: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deactivated_at: Option<DateTime<Utc>>,
    began_at: DateTime<Utc>,
}

/// What the first line has beside the report, and whom the run was to create.
#[derive(Deserialize)]
struct FirstLine {
    run_mark: Option<String>,
    deactivated_at: Option<DateTime<Utc>>,
    began_at: Option<DateTime<Utc>>,
    #[serde(default)]
    ftrack: BegunAt,
    #[serde(default)]
    changes: Vec<BegunChange>,
}

#[derive(Default, Deserialize)]
struct BegunAt {
    server: String,
}

#[derive(Deserialize)]
struct BegunChange {
    action: Action,
    ftrack_id: EntityId,
    result: ChangeResult,
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
    /// The values that were written of a change that failed as a whole.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub written: BTreeSet<Field>,
}

impl Journal {
    /// Saves the report so far, with what is to be written, and returns when it is on disk;
    /// replaces an existing journal.
    ///
    /// # Errors
    /// It cannot be written durably; then nothing may be written to ftrack.
    pub fn open(
        state_dir: &Path,
        report: &Report,
        marks: RunMarks<'_>,
    ) -> Result<Self, StateError> {
        let folder = Folder::make(state_dir)?
            .make_sub(FOLDER)?
            .make_sub(&report.job)?;
        let name = file_name(&report.run);
        let path = folder.path().join(&name);
        let RunMarks {
            run_mark,
            deactivated_at,
            began_at,
        } = marks;
        let begun = Begun {
            report,
            run_mark,
            deactivated_at,
            began_at,
        };
        folder.replace_by(&name, |file| {
            serde_json::to_writer(&mut *file, &begun)?;
            file.write_all(b"\n")
        })?;
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

/// The report that a run has beside its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavedReport {
    /// None, or a damaged one.
    None,
    /// One that does not know so many results.
    Unconfirmed(usize),
    /// It cannot be read now, which may pass.
    Unreadable,
}

/// Makes the reports of interrupted runs of this job, also in place of damaged ones, and removes
/// journals that are no longer needed; `saved` tells which report a run has.
///
/// # Errors
/// The directory cannot be read. A damaged journal gives a report as far as it can be read, or is
/// set aside, as is one that names another job or run than its own.
pub fn recover(
    state_dir: &Path,
    job: &str,
    saved: impl Fn(&str) -> SavedReport,
) -> Result<Vec<Report>, StateError> {
    let Some(folder) = find(state_dir, job)? else {
        return Ok(Vec::new());
    };
    let mut reports = Vec::new();
    for name in folder.names()? {
        let Some(run) = name.strip_suffix(END).filter(|run| is_run(run)) else {
            continue;
        };
        match saved(run) {
            SavedReport::None => {}
            SavedReport::Unreadable => continue,
            SavedReport::Unconfirmed(0) => {
                let _ = folder.remove(&name);
                continue;
            }
            SavedReport::Unconfirmed(_) => {
                unsettled::leave_unsettled(&folder, run);
                continue;
            }
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

/// The users that runs of a job may have begun to create in an ftrack server: those whose results
/// the journals do not know.
///
/// # Errors
/// The directory cannot be read.
pub fn begun_creates(
    state_dir: &Path,
    job: &str,
    ftrack: &str,
) -> Result<BTreeSet<EntityId>, StateError> {
    let Some(folder) = find(state_dir, job)? else {
        return Ok(BTreeSet::new());
    };
    let names = folder.names()?;
    let is_journal = |name: &&String| unsettled::run_of(name).is_some();
    let journals = names
        .iter()
        .filter(is_journal)
        .filter_map(|name| begun(&folder, name));
    let here = journals.filter(|(first, _)| first.ftrack.server == ftrack);
    Ok(here
        .flat_map(|(first, results)| without_result(first.changes, results))
        .filter(|change| change.action == Action::Create)
        .map(|change| change.ftrack_id)
        .collect())
}

/// The changes that may have been sent, and whose results are not known.
fn without_result(
    changes: Vec<BegunChange>,
    results: impl Iterator<Item = Line>,
) -> impl Iterator<Item = BegunChange> {
    let results: BTreeMap<usize, ChangeResult> =
        results.map(|line| (line.change, line.result)).collect();
    let changes = changes.into_iter().enumerate();
    changes.filter_map(move |(place, change)| {
        let is_open = match results.get(&place) {
            None => change.result == ChangeResult::Planned,
            Some(result) => *result == ChangeResult::Unconfirmed,
        };
        is_open.then_some(change)
    })
}

fn begun(folder: &Folder, name: &str) -> Option<(FirstLine, impl Iterator<Item = Line> + use<>)> {
    let (first, reader) = first_line(folder.open(name).ok().flatten()?)?;
    Some((serde_json::from_slice(&first).ok()?, results(reader)))
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

fn first_line<R: Read>(journal: R) -> Option<(Vec<u8>, BufReader<io::Take<R>>)> {
    let mut reader = BufReader::new(journal.take(LONGEST_LINE));
    let mut first = Vec::new();
    reader.read_until(b'\n', &mut first).ok()?;
    Some((first, reader))
}

/// The results after the first line. What a run that was killed wrote last may be truncated, also in
/// the middle of a character: its content stays unknown.
fn results(reader: impl BufRead) -> impl Iterator<Item = Line> {
    let lines = reader.split(b'\n').map_while(Result::ok);
    lines.filter_map(|line| serde_json::from_slice(&line).ok())
}

/// The report of an interrupted run, from its journal.
fn cut_off(journal: File) -> Option<Report> {
    let (first, reader) = first_line(journal)?;
    let mut report: Report = serde_json::from_slice(&first).ok()?;
    for line in results(reader) {
        if let Some(change) = report.changes.get_mut(line.change) {
            change.result = line.result;
            change.error = line.error;
            change.note = line.note;
            change.written = line.written;
        }
    }
    let is_unknown =
        |change: &&mut Reported| change.result == ChangeResult::Planned && !change.is_so_already();
    for change in report.changes.iter_mut().filter(is_unknown) {
        change.result = ChangeResult::Unconfirmed;
        change.error = Some(INTERRUPTED.to_owned());
    }
    recount(&mut report.counts, &report.changes);
    report.outcome = Outcome::Failed;
    report.error_kind = Some(FailureKind::Stopped);
    report.error = Some(match (&report.builtin, report.changes.len()) {
        (Some(builtin), _) => cut_off_while_ftrack_worked(builtin),
        (None, 0) => "the program ended while it was reading, and nothing was written".into(),
        (None, _) => in_the_middle(match report.counts.unconfirmed {
            0 => Unknown::Nothing,
            changes => Unknown::Yet(changes),
        }),
    });
    Some(report)
}

/// The beginning of the error of a run whose program ended while it wrote.
const IN_THE_MIDDLE: &str = "the program ended in the middle of the run";

/// What is not known of a run whose program ended while it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing.
    Nothing,
    /// The result of so many changes, until a run reads ftrack.
    Yet(usize),
    /// The result of so many changes, for good.
    ForGood(usize),
}

/// Why the run of a program that ended while it wrote has failed.
#[must_use]
pub fn in_the_middle(unknown: Unknown) -> String {
    let changes = |count: usize| match count {
        1 => "1 change".to_owned(),
        _ => format!("{count} changes"),
    };
    match unknown {
        Unknown::Nothing => {
            format!("{IN_THE_MIDDLE}; what it had written by then is in this report")
        }
        Unknown::Yet(count) => {
            let changes = changes(count);
            format!("{IN_THE_MIDDLE}; the result of {changes} is not known yet")
        }
        Unknown::ForGood(count) => {
            let changes = changes(count);
            format!(
                "{IN_THE_MIDDLE}; what it had written by then is in this report, but of {changes} \
                 it cannot be found out"
            )
        }
    }
}

/// Whether an error is that of a run whose program ended before the run did.
#[must_use]
pub fn is_interrupted(error: &str) -> bool {
    error.starts_with("the program ended ")
}

/// Whether an error is that of a run whose program ended while it wrote.
#[must_use]
pub fn is_in_the_middle(error: &str) -> bool {
    error.starts_with(IN_THE_MIDDLE)
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
        unsettled: counts.unsettled + of_changes.unsettled,
        ..of_changes
    };
}
