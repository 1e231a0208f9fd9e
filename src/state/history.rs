//! The saved reports: written, listed, found, and removed.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use serde::de::DeserializeOwned;

use crate::{
    model::{
        report::Report,
        summary::{ReportHead, RunSummary},
    },
    state::{files::StateError, folder::Folder},
};

mod listing;

pub use listing::{Listed, RunFilter};

/// The maximum size of a report, in bytes.
const LARGEST: u64 = 1 << 30;

/// The reports under one state directory: `reports/JOB/RUN.json`.
#[derive(Debug, Clone)]
pub struct History {
    state_dir: PathBuf,
}

/// A report cannot be shown.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum HistoryError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file under `reports` is not a report.
    #[error("{path} is not a report of this program: {why}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    #[error("there is no run {0:?}; `runs` lists the saved runs")]
    Unknown(String),
    /// The name matches several runs.
    #[error("{name:?} matches {count} runs, such as {one} and {other}; give more of the id")]
    Ambiguous {
        /// The requested name.
        name: String,
        /// How many match.
        count: usize,
        /// One of them.
        one: String,
        /// Another one.
        other: String,
    },
    #[error("no saved run wrote anything that could be undone; `runs` lists them")]
    NothingWritten,
    /// There are no runs yet.
    #[error("no saved runs yet")]
    Empty,
}

/// The directory of the reports, in the state directory.
const FOLDER: &str = "reports";

impl History {
    /// The history under a state directory, which need not exist yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            state_dir: state_dir.to_owned(),
        }
    }

    /// Saves a report.
    ///
    /// # Errors
    /// The report cannot be written.
    pub fn keep(&self, report: &Report) -> Result<PathBuf, StateError> {
        let folder = Folder::make(&self.state_dir)?
            .make_sub(FOLDER)?
            .make_sub(&report.job)?;
        let name = file_of(&report.run);
        let path = folder.path().join(&name);
        folder.replace_by(&name, |file| {
            serde_json::to_writer(&mut *file, report)?;
            file.write_all(b"\n")
        })?;
        Ok(path)
    }

    /// Removes the reports of these runs, as far as it can.
    pub fn remove(&self, job: &str, runs: &[String]) {
        if let Ok(Some(folder)) = self.of_job(job) {
            for run in runs {
                let _ = folder.remove(&file_of(run));
            }
        }
    }

    /// Whether a run has a report.
    #[must_use]
    pub fn has(&self, job: &str, run: &str) -> bool {
        let folder = self.of_job(job).ok().flatten();
        folder.is_some_and(|folder| folder.has(&file_of(run)))
    }

    /// Whether it is certain that a run has no report; an error that may pass proves nothing.
    #[must_use]
    pub fn is_without(&self, job: &str, run: &str) -> bool {
        match self.of_job(job) {
            Ok(None) => true,
            Ok(Some(folder)) => matches!(folder.open(&file_of(run)), Ok(None)),
            Err(_) => false,
        }
    }

    /// The id of a run that starts now. Ids sort by time, also within a second: the last four
    /// hexadecimal digits are the fraction of the second in units of 1/65,536. After the clock was
    /// set back, an id follows the newest one instead, so that the newest run has the greatest id.
    #[must_use]
    pub fn next_id(&self, now: DateTime<Utc>) -> String {
        let by_clock = id_at(now);
        let newest = self
            .runs(None)
            .ok()
            .and_then(|runs| runs.into_iter().next());
        newest
            .filter(|(newest, _)| *newest >= by_clock)
            .and_then(|(newest, _)| successor(&newest))
            .unwrap_or(by_clock)
    }

    /// The names of all saved runs, newest first, with their jobs; of one job if given.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn runs(&self, job: Option<&str>) -> Result<Vec<(String, String)>, StateError> {
        let mut runs = Vec::new();
        let all = self.folder()?;
        let names = all.as_ref().map_or(Ok(Vec::new()), Folder::names)?;
        for name in names {
            if job.is_some_and(|job| job != name) {
                continue;
            }
            // What is not a directory is not ours.
            let folder = all.as_ref().and_then(|all| all.sub(&name).ok().flatten());
            if let Some(folder) = folder {
                runs.extend(reports(&folder)?.into_iter().map(|run| (run, name.clone())));
            }
        }
        runs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    /// The report of a run, named by its id, by any part of it that matches only one run, or
    /// `last`.
    ///
    /// # Errors
    /// There is no such run, several match, or the report is damaged.
    pub fn find(&self, name: &str, job: Option<&str>) -> Result<Report, HistoryError> {
        let runs = self.runs(job)?;
        let fitting: Vec<&(String, String)> = match name {
            "last" => runs.iter().take(1).collect(),
            _ => match runs
                .iter()
                .filter(|(run, _)| run == name)
                .collect::<Vec<_>>()
            {
                exact if !exact.is_empty() => exact,
                _ => runs.iter().filter(|(run, _)| run.contains(name)).collect(),
            },
        };
        match fitting.as_slice() {
            [] if runs.is_empty() => Err(HistoryError::Empty),
            [] => Err(HistoryError::Unknown(name.to_owned())),
            [(run, job)] => self.load(job, run),
            [(one, _), (other, _), ..] => Err(HistoryError::Ambiguous {
                name: name.to_owned(),
                count: fitting.len(),
                one: one.clone(),
                other: other.clone(),
            }),
        }
    }

    /// The last run that wrote anything, also where its report does not know everything.
    ///
    /// # Errors
    /// There is none, or a report is damaged.
    pub fn last_that_wrote(&self, job: Option<&str>) -> Result<RunSummary, HistoryError> {
        let runs = self.runs(job)?;
        for (run, job) in &runs {
            let summary = self.summary(job, run)?;
            if summary.has_written() {
                return Ok(summary);
            }
        }
        Err(if runs.is_empty() {
            HistoryError::Empty
        } else {
            HistoryError::NothingWritten
        })
    }

    /// The report of exactly this run.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn load(&self, job: &str, run: &str) -> Result<Report, HistoryError> {
        let report: Report = self.part(job, run)?;
        if report.job == job && report.run == run {
            return Ok(report);
        }
        Err(self.of_another(job, run))
    }

    /// The summary of exactly this run; its changes are not read.
    ///
    /// # Errors
    /// The report cannot be read, is damaged, or is that of another run.
    pub fn summary(&self, job: &str, run: &str) -> Result<RunSummary, HistoryError> {
        let summary = RunSummary::from(self.part::<ReportHead>(job, run)?);
        if summary.job == job && summary.run == run {
            return Ok(summary);
        }
        Err(self.of_another(job, run))
    }

    fn of_another(&self, job: &str, run: &str) -> HistoryError {
        HistoryError::Damaged {
            path: self.path(job, run).display().to_string(),
            why: "it is the report of another run".to_owned(),
        }
    }

    fn path(&self, job: &str, run: &str) -> PathBuf {
        self.state_dir.join(FOLDER).join(job).join(file_of(run))
    }

    /// Everything that a report has.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn raw(&self, job: &str, run: &str) -> Result<serde_json::Value, HistoryError> {
        self.part(job, run)
    }

    /// A part of a report.
    fn part<T: DeserializeOwned>(&self, job: &str, run: &str) -> Result<T, HistoryError> {
        let path = self.path(job, run);
        let content = match self.of_job(job)? {
            Some(folder) => folder.read(&file_of(run), LARGEST)?,
            None => None,
        };
        let missing = || StateError::new("read", &path, std::io::ErrorKind::NotFound.into());
        serde_json::from_slice(&content.ok_or_else(missing)?).map_err(|error| {
            HistoryError::Damaged {
                path: path.display().to_string(),
                why: error.to_string(),
            }
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

/// The name of a run's report.
fn file_of(run: &str) -> String {
    format!("{run}.json")
}

fn id_at(time: DateTime<Utc>) -> String {
    let part = u64::from(time.timestamp_subsec_nanos().min(999_999_999)) * 0x1_0000 / 1_000_000_000;
    format!("{}-{part:04x}", time.format("%Y%m%d-%H%M%S"))
}

/// The smallest id after this one; none where it is no id, or the last possible one.
fn successor(id: &str) -> Option<String> {
    let (second, part) = id.rsplit_once('-')?;
    if let Some(part) = u16::from_str_radix(part, 16).ok()?.checked_add(1) {
        return Some(format!("{second}-{part:04x}"));
    }
    let second = NaiveDateTime::parse_from_str(second, "%Y%m%d-%H%M%S").ok()?;
    Some(id_at(
        second.and_utc().checked_add_signed(TimeDelta::seconds(1))?,
    ))
}

fn reports(folder: &Folder) -> Result<Vec<String>, StateError> {
    let names = folder.names()?.into_iter();
    Ok(names
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| is_run(name))
        .collect())
}

/// Whether a name is that of a run, such as `20260131-235959-0f3c`: other files in the directory
/// are neither shown nor removed.
pub(super) fn is_run(name: &str) -> bool {
    let form = "00000000-000000-xxxx";
    let fits = |(shown, form): (char, char)| match form {
        '0' => shown.is_ascii_digit(),
        'x' => shown.is_ascii_hexdigit(),
        _ => shown == form,
    };
    name.chars().count() == form.len() && name.chars().zip(form.chars()).all(fits)
}
