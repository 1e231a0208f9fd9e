//! Takes one person out of what runs left: reports, snapshots, and what the database keeps of the past.
//!
//! Each file is replaced at one stroke, and which person that is stands in a file of its own until
//! everything is done: an erasure that was interrupted goes on with the next one.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    model::{
        erasure::{Identity, Sought},
        report::Report,
        snapshot::Snapshot,
    },
    state::{
        ErasedRows, State,
        files::StateError,
        folder::Folder,
        history::History,
        lock::{JobLock, LockError},
        snapshots::{SnapshotError, Snapshots},
    },
};

/// The file with whom an erasure that has begun erases.
const UNDER_WAY: &str = "erasure.json";
/// Its longest content, in bytes.
const LARGEST: u64 = 1 << 24;
/// Copies of the database that were set aside.
const DAMAGED: &str = "state.db.damaged-";

/// Why nobody is erased, or not everywhere.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum EraseError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("no report, snapshot or hold names {0}; `runs --person` looks in the same places")]
    Unknown(String),
    /// The name is that of several people.
    #[error("{who} may be any of {}; name the person by directory id or ftrack id", .people.join(", "))]
    Ambiguous { who: String, people: Vec<String> },
    #[error(
        "the job {job} still has this person: the next run would save the same again. Take the person \
         out of the directory, let a run see it, and erase then (`explain {who}` shows how it stands)"
    )]
    InStep { job: String, who: String },
    #[error("a run of the job {job} is in progress; erase when it has ended: {error}")]
    Busy { job: String, error: StateError },
    /// A file cannot be read, so what it has of the person cannot be taken out.
    #[error(
        "{path} cannot be read, and nothing was erased from it: {why}; remove it, or repair it"
    )]
    Damaged { path: String, why: String },
}

impl From<LockError> for EraseError {
    fn from(error: LockError) -> Self {
        let (LockError::Taken(error) | LockError::State(error)) = error;
        Self::State(error)
    }
}

/// What was erased, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Erased {
    pub reports: usize,
    /// Changes in these reports, which stay as changes of nobody.
    pub changes: usize,
    /// Skipped entries in them, likewise.
    pub skipped: usize,
    /// Other texts in them that named the person.
    pub texts: usize,
    pub snapshots: usize,
    pub database: ErasedRows,
    /// Copies of the database that were set aside as damaged, which are removed.
    pub damaged_databases: usize,
}

/// Who is erased, as it is saved while that is under way.
#[derive(Debug, Serialize, Deserialize)]
struct UnderWay {
    people: Vec<Identity>,
}

/// Keeps runs from beginning as long as somebody is erased.
#[derive(Debug)]
pub struct Locks {
    _jobs: Vec<JobLock>,
}

/// Takes the locks of these jobs, and of all that have reports.
///
/// # Errors
/// A run is in progress.
pub fn lock(state_dir: &Path, jobs: impl Iterator<Item = String>) -> Result<Locks, EraseError> {
    let mut names: Vec<String> = History::new(state_dir).jobs()?;
    names.extend(jobs);
    names.sort_unstable();
    names.dedup();
    let mut locks = Vec::new();
    for job in names {
        match JobLock::take(state_dir, &job) {
            Ok(lock) => locks.push(lock),
            Err(LockError::Taken(error)) => return Err(EraseError::Busy { job, error }),
            Err(LockError::State(error)) => return Err(error.into()),
        }
    }
    Ok(Locks { _jobs: locks })
}

/// Who that is, by everything that is saved.
///
/// # Errors
/// Nobody, several people, or one of whom a job still has the entry; or something cannot be read.
pub fn find(state: &State, state_dir: &Path, who: &str) -> Result<Identity, EraseError> {
    let mut sought = Sought::new(who);
    let history = History::new(state_dir);
    for (run, job) in history.runs(None)? {
        sought.report(&report(&history, &job, &run)?);
    }
    for (job, run) in snapshots(state_dir)? {
        sought.snapshot(&snapshot(state_dir, &job, &run)?);
    }
    for person in state.people_of_holds()? {
        sought.held(&person);
    }
    let identity = match sought.found() {
        Ok(Some(identity)) => identity,
        Ok(None) => {
            let begun = under_way(state_dir)?;
            let named = begun.into_iter().find(|begun| begun.is_named(who));
            return named.ok_or_else(|| EraseError::Unknown(format!("{who:?}")));
        }
        Err(people) => {
            return Err(EraseError::Ambiguous {
                who: format!("{who:?}"),
                people,
            });
        }
    };
    if let Some(job) = state.job_of_person(identity.directory_ids())? {
        let who = who.to_owned();
        return Err(EraseError::InStep { job, who });
    }
    Ok(identity)
}

/// Erases a person, and whoever an interrupted erasure had begun with; the caller holds the locks.
///
/// # Errors
/// Something cannot be read or written: what comes after it is not erased, until the next time.
pub fn erase(state: &State, state_dir: &Path, person: Identity) -> Result<Erased, EraseError> {
    let mut people = under_way(state_dir)?;
    people.push(person);
    let folder = Folder::make(state_dir)?;
    let begun = UnderWay { people };
    let content = serde_json::to_vec(&begun)
        .map_err(|error| StateError::new("write", &folder.path().join(UNDER_WAY), error.into()))?;
    folder.replace(UNDER_WAY, &content)?;
    let mut erased = Erased::default();
    for person in &begun.people {
        work(state, state_dir, person, (&mut erased, Mode::Write))?;
    }
    erased.damaged_databases = damaged(&folder, Mode::Write)?;
    folder.remove(UNDER_WAY)?;
    Ok(erased)
}

/// What erasing a person would do.
///
/// # Errors
/// Something cannot be read.
pub fn look(state: &State, state_dir: &Path, person: &Identity) -> Result<Erased, EraseError> {
    let mut erased = Erased::default();
    work(state, state_dir, person, (&mut erased, Mode::Look))?;
    if let Some(folder) = Folder::find(state_dir)? {
        erased.damaged_databases = damaged(&folder, Mode::Look)?;
    }
    Ok(erased)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Look,
    Write,
}

fn work(
    state: &State,
    state_dir: &Path,
    person: &Identity,
    (erased, mode): (&mut Erased, Mode),
) -> Result<(), EraseError> {
    let history = History::new(state_dir);
    for (run, job) in history.runs(None)? {
        let mut content = report(&history, &job, &run)?;
        let found = person.take_out_of_report(&mut content);
        if found.is_nothing() {
            continue;
        }
        erased.reports += 1;
        erased.changes += found.changes;
        erased.skipped += found.skipped;
        erased.texts += found.texts;
        if mode == Mode::Write {
            let kept = serde_json::from_value::<Report>(content);
            let kept = kept.map_err(|error| EraseError::Damaged {
                path: format!("the report of {run}"),
                why: error.to_string(),
            })?;
            history.keep(&kept)?;
        }
    }
    for (job, run) in snapshots(state_dir)? {
        let mut found = snapshot(state_dir, &job, &run)?;
        let before = found.users.len();
        found.users.retain(|user| !person.is_user(user));
        if found.users.len() == before {
            continue;
        }
        erased.snapshots += 1;
        if mode == Mode::Write {
            found.head.users = found.users.len();
            Snapshots::new(state_dir).replace(found)?;
        }
    }
    let rows = state.erase_person(person, mode == Mode::Write)?;
    erased.database.add(rows);
    Ok(())
}

fn report(history: &History, job: &str, run: &str) -> Result<Value, EraseError> {
    history.raw(job, run).map_err(|error| EraseError::Damaged {
        path: format!("the report of {run} (job {job})"),
        why: error.to_string(),
    })
}

fn snapshots(state_dir: &Path) -> Result<Vec<(String, String)>, EraseError> {
    let names = Snapshots::new(state_dir).all()?;
    Ok(names.into_iter().map(|(run, job)| (job, run)).collect())
}

fn snapshot(state_dir: &Path, job: &str, run: &str) -> Result<Snapshot, EraseError> {
    Snapshots::new(state_dir)
        .load(job, run)
        .map_err(|error| match error {
            SnapshotError::State(error) => error.into(),
            SnapshotError::Damaged { path, why } => EraseError::Damaged { path, why },
            error @ (SnapshotError::Unknown(_)
            | SnapshotError::Ambiguous { .. }
            | SnapshotError::Empty) => EraseError::Damaged {
                path: format!("the snapshot {run} (job {job})"),
                why: error.to_string(),
            },
        })
}

fn under_way(state_dir: &Path) -> Result<Vec<Identity>, EraseError> {
    let content = match Folder::find(state_dir)? {
        Some(folder) => folder.read(UNDER_WAY, LARGEST)?,
        None => None,
    };
    let Some(content) = content else {
        return Ok(Vec::new());
    };
    let begun = serde_json::from_slice::<UnderWay>(&content);
    begun.map(|begun| begun.people).map_err(|error| {
        let path = state_dir.join(UNDER_WAY);
        StateError::new("use", &path, io::Error::other(error)).into()
    })
}

fn damaged(folder: &Folder, mode: Mode) -> Result<usize, StateError> {
    let names = folder.names()?.into_iter();
    let copies: Vec<String> = names.filter(|name| name.starts_with(DAMAGED)).collect();
    if mode == Mode::Write {
        for name in &copies {
            folder.remove(name)?;
        }
    }
    Ok(copies.len())
}
