//! The saved snapshots: written before a run writes anything, listed, found, and removed.
//!
//! One file each, `snapshots/JOB/RUN.jsonl.gz`: a line about the snapshot, then one for each user.

use std::{
    fs::File,
    io,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use crate::{
    config,
    model::snapshot::{FORMAT, Snapshot, SnapshotHead, SnapshotUser},
    state::{files::StateError, folder::Folder, history::is_run},
};

/// The directory of the snapshots in the state directory, with one for each job.
const FOLDER: &str = "snapshots";
/// The end of a snapshot's name, after its run.
const END: &str = ".jsonl.gz";
/// The most bytes that are unpacked of a snapshot.
const LARGEST: u64 = 1 << 30;
/// The longest line, in bytes.
const LONGEST_LINE: u64 = 1 << 24;
/// The most snapshots that are removed at once because of their age: a clock that is wrong does not
/// remove them all.
const AGED_AT_ONCE: usize = 10;

/// The snapshots under one state directory.
#[derive(Debug, Clone)]
pub struct Snapshots {
    state_dir: PathBuf,
}

/// A snapshot cannot be shown or used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum SnapshotError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file is not a snapshot, or not all of one.
    #[error("{path} is not a snapshot that can be used: {why}")]
    Damaged { path: String, why: String },
    #[error("there is no snapshot {0:?}; `snapshots` lists them")]
    Unknown(String),
    /// The name matches several.
    #[error("{name:?} matches {count} snapshots, such as {one} and {other}; give more of the id")]
    Ambiguous {
        name: String,
        count: usize,
        one: String,
        other: String,
    },
    #[error("no snapshots yet: one is taken before a run writes anything")]
    Empty,
}

/// The snapshots that were found.
#[derive(Debug, Default)]
pub struct ListedSnapshots {
    /// Newest first.
    pub snapshots: Vec<SnapshotHead>,
    /// Those that cannot be read.
    pub damaged: Vec<SnapshotError>,
}

impl Snapshots {
    /// The snapshots under a state directory, which need not exist yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
        }
    }

    /// Saves a snapshot, which is on disk when this returns, and removes those of its job that are too
    /// many or too old.
    ///
    /// # Errors
    /// It cannot be written durably; then nothing may be written to ftrack.
    pub fn keep(
        &self,
        head: &SnapshotHead,
        users: impl Iterator<Item = SnapshotUser>,
        retention: &config::Snapshots,
    ) -> Result<(), StateError> {
        let SnapshotHead {
            job, run, taken_at, ..
        } = head;
        let folder = Folder::make(&self.state_dir)?
            .make_sub(FOLDER)?
            .make_sub(job)?;
        let name = file_of(run);
        let packed = packed(head, users)
            .map_err(|error| StateError::new("write", &folder.path().join(&name), error))?;
        folder.replace(&name, &packed)?;
        prune(&folder, (run, *taken_at), retention);
        Ok(())
    }

    /// The heads of all snapshots, newest first; of one job if given.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self, job: Option<&str>) -> Result<ListedSnapshots, StateError> {
        let mut listed = ListedSnapshots::default();
        for (run, job) in self.names(job)? {
            match self.opened(&job, &run).and_then(|mut lines| lines.head()) {
                Ok(head) => listed.snapshots.push(head),
                Err(error) => listed.damaged.push(error),
            }
        }
        Ok(listed)
    }

    /// The snapshot of this id, of any part of it that matches only one, or the `last` one.
    ///
    /// # Errors
    /// There is no such snapshot, several match, or it is damaged.
    pub fn find(&self, name: &str, job: Option<&str>) -> Result<Snapshot, SnapshotError> {
        let all = self.names(job)?;
        let fitting: Vec<&(String, String)> = match name {
            "last" => all.iter().take(1).collect(),
            _ => match all
                .iter()
                .filter(|(run, _)| run == name)
                .collect::<Vec<_>>()
            {
                exact if !exact.is_empty() => exact,
                _ => all.iter().filter(|(run, _)| run.contains(name)).collect(),
            },
        };
        match fitting.as_slice() {
            [] if all.is_empty() => Err(SnapshotError::Empty),
            [] => Err(SnapshotError::Unknown(name.to_owned())),
            [(run, job)] => self.load(job, run),
            [(one, _), (other, _), ..] => Err(SnapshotError::Ambiguous {
                name: name.to_owned(),
                count: fitting.len(),
                one: one.clone(),
                other: other.clone(),
            }),
        }
    }

    /// The snapshot that was taken before exactly this run.
    ///
    /// # Errors
    /// There is none, or it cannot be read, or is damaged.
    pub fn load(&self, job: &str, run: &str) -> Result<Snapshot, SnapshotError> {
        let mut lines = self.opened(job, run)?;
        let head = lines.head()?;
        if head.job != job || head.run != run {
            return Err(lines.damaged("it is the snapshot of another run"));
        }
        let mut users: Vec<SnapshotUser> = Vec::new();
        while let Some(user) = lines.next()? {
            users.push(user);
        }
        if users.len() != head.users {
            let why = format!("it has {} users instead of {}", users.len(), head.users);
            return Err(lines.damaged(&why));
        }
        users.sort_by(|one, other| one.ftrack_id.cmp(&other.ftrack_id));
        Ok(Snapshot { head, users })
    }

    /// Whether there is one that was taken before this run.
    #[must_use]
    pub fn has(&self, job: &str, run: &str) -> bool {
        let folder = self.of_job(job).ok().flatten();
        folder.is_some_and(|folder| folder.has(&file_of(run)))
    }

    /// The runs and jobs of all snapshots, newest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> Result<Vec<(String, String)>, StateError> {
        self.names(None)
    }

    /// Puts a snapshot in the place of the one that its run has.
    ///
    /// # Errors
    /// It cannot be written; then the other one stays.
    pub fn replace(&self, snapshot: Snapshot) -> Result<(), StateError> {
        let Snapshot { head, users } = snapshot;
        let folder = Folder::make(&self.state_dir)?
            .make_sub(FOLDER)?
            .make_sub(&head.job)?;
        let name = file_of(&head.run);
        let packed = packed(&head, users.into_iter())
            .map_err(|error| StateError::new("write", &folder.path().join(&name), error))?;
        folder.replace(&name, &packed)
    }

    fn names(&self, job: Option<&str>) -> Result<Vec<(String, String)>, StateError> {
        let mut names = Vec::new();
        let Some(all) = self.folder()? else {
            return Ok(names);
        };
        for name in all.names()? {
            if job.is_some_and(|job| job != name) {
                continue;
            }
            // What is not a directory is not ours.
            if let Ok(Some(folder)) = all.sub(&name) {
                names.extend(runs(&folder)?.into_iter().map(|run| (run, name.clone())));
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    fn opened(&self, job: &str, run: &str) -> Result<Lines, SnapshotError> {
        let name = file_of(run);
        let path = self.state_dir.join(FOLDER).join(job).join(&name);
        let file = match self.of_job(job)? {
            Some(folder) => folder.open(&name)?,
            None => None,
        };
        let file = file.ok_or_else(|| SnapshotError::Unknown(run.to_owned()))?;
        Ok(Lines {
            path: path.display().to_string(),
            unpacked: BufReader::new(GzDecoder::new(BufReader::new(file)).take(LARGEST)),
        })
    }

    fn folder(&self) -> Result<Option<Folder>, StateError> {
        let state = Folder::find(&self.state_dir)?;
        state.map_or(Ok(None), |state| state.sub(FOLDER))
    }

    fn of_job(&self, job: &str) -> Result<Option<Folder>, StateError> {
        self.folder()?.map_or(Ok(None), |all| all.sub(job))
    }
}

/// The lines of a snapshot, unpacked as they are read: a small file may unpack to an endless one.
struct Lines {
    path: String,
    unpacked: BufReader<io::Take<GzDecoder<BufReader<File>>>>,
}

impl Lines {
    fn head(&mut self) -> Result<SnapshotHead, SnapshotError> {
        let head: SnapshotHead = self.parsed()?.ok_or_else(|| self.damaged("it is empty"))?;
        if head.format == FORMAT {
            return Ok(head);
        }
        let why = format!(
            "its format version is {}, and this program uses {FORMAT}",
            head.format
        );
        Err(self.damaged(&why))
    }

    fn next(&mut self) -> Result<Option<SnapshotUser>, SnapshotError> {
        self.parsed()
    }

    fn parsed<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, SnapshotError> {
        let mut line = Vec::new();
        let read = (&mut self.unpacked)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line);
        match read {
            Err(error) => Err(self.damaged(&error.to_string())),
            Ok(0) if self.unpacked.get_ref().limit() == 0 => {
                Err(self.damaged("it unpacks to more than a gigabyte"))
            }
            Ok(0) => Ok(None),
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(parsed) => Ok(Some(parsed)),
                Err(error) => Err(self.damaged(&error.to_string())),
            },
        }
    }

    fn damaged(&self, why: &str) -> SnapshotError {
        SnapshotError::Damaged {
            path: self.path.clone(),
            why: why.to_owned(),
        }
    }
}

fn packed(head: &SnapshotHead, users: impl Iterator<Item = SnapshotUser>) -> io::Result<Vec<u8>> {
    // Most of the gain at a fraction of the time.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut packed, head)?;
    packed.write_all(b"\n")?;
    let mut line = Vec::new();
    for user in users {
        line.clear();
        serde_json::to_writer(&mut line, &user)?;
        line.push(b'\n');
        packed.write_all(&line)?;
    }
    packed.finish()
}

fn file_of(run: &str) -> String {
    format!("{run}{END}")
}

fn runs(folder: &Folder) -> Result<Vec<String>, StateError> {
    let names = folder.names()?.into_iter();
    Ok(names
        .filter_map(|name| name.strip_suffix(END).map(str::to_owned))
        .filter(|name| is_run(name))
        .collect())
}

/// Removes the snapshots of a job that are too many or too old, as far as it can; that of this run
/// stays. After a clock was set back, its id follows the one before, and its time tells how old others
/// are.
fn prune(
    folder: &Folder,
    (newest, taken_at): (&str, DateTime<Utc>),
    retention: &config::Snapshots,
) {
    let mut runs = runs(folder).unwrap_or_default();
    runs.retain(|run| run != newest);
    runs.sort_unstable_by(|a, b| b.cmp(a));
    let too_many = thinned(&mut runs, retention.keep.max(1) - 1);
    let oldest = taken_about(newest)
        .zip(TimeDelta::from_std(retention.keep_for).ok())
        .and_then(|(now, age)| now.min(taken_at).checked_sub_signed(age));
    let is_old = |run: &&String| {
        let time = taken_about(run).zip(oldest);
        time.is_some_and(|(taken, oldest)| taken < oldest)
    };
    let too_old = runs.iter().rev().filter(is_old).take(AGED_AT_ONCE);
    for run in too_many.iter().chain(too_old) {
        // One that cannot be removed is removed after a later run.
        let _ = folder.remove(&file_of(run));
    }
}

/// Takes the runs, newest first, that are more than `most`, and returns them: the newest half stays,
/// and of those before, the first of each day for as long as there is room. So many runs in an hour
/// leave the snapshots from before that day, which whoever wants to go back needs.
fn thinned(runs: &mut Vec<String>, most: usize) -> Vec<String> {
    let older = runs.split_off(runs.len().min(most.div_ceil(2)));
    let day = |place: usize| older.get(place)?.split('-').next();
    // Behind the last one, there is no day.
    let is_first = |place: usize| day(place) != day(place + 1);
    let firsts = (0..older.len()).filter(|place| is_first(*place));
    let others = (0..older.len()).filter(|place| !is_first(*place));
    let room = most.saturating_sub(runs.len());
    let mut kept: Vec<usize> = firsts.chain(others).take(room).collect();
    kept.sort_unstable();
    let (stays, goes): (Vec<_>, Vec<_>) = older
        .iter()
        .cloned()
        .enumerate()
        .partition(|(place, _)| kept.binary_search(place).is_ok());
    runs.extend(stays.into_iter().map(|(_, run)| run));
    goes.into_iter().map(|(_, run)| run).collect()
}

/// The time in the id of a run.
fn taken_about(run: &str) -> Option<DateTime<Utc>> {
    let (second, _) = run.rsplit_once('-')?;
    let time = NaiveDateTime::parse_from_str(second, "%Y%m%d-%H%M%S").ok()?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests;
