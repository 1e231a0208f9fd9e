//! The saved reports: written, listed, found, and removed when they are old.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use crate::{
    config,
    model::report::Report,
    state::{files, files::StateError},
};

/// The maximum size of a report, in bytes.
const LARGEST: u64 = 1 << 30;
/// The most reports that are removed at once because of their age: a clock that is wrong does not
/// remove them all.
const AGED_AT_ONCE: usize = 10;

/// The reports under one state directory: `reports/JOB/RUN.json`.
#[derive(Debug, Clone)]
pub struct History {
    folder: PathBuf,
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
    /// There are no runs yet.
    #[error("no saved runs yet")]
    Empty,
}

impl History {
    /// The history under a state directory, which need not exist yet.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            folder: state_dir.join("reports"),
        }
    }

    /// Saves a report, and removes those that are too old or too many.
    ///
    /// # Errors
    /// The report cannot be written; failing to remove old ones is not an error.
    pub fn keep(
        &self,
        report: &Report,
        retention: &config::Reports,
        now: DateTime<Utc>,
    ) -> Result<PathBuf, StateError> {
        let folder = self.folder.join(&report.job);
        files::make_folder(&folder)?;
        let path = folder.join(format!("{}.json", report.run));
        let mut content = serde_json::to_vec(report)
            .map_err(|error| StateError::new("write", &path, error.into()))?;
        content.push(b'\n');
        files::replace(&path, &content)?;
        remove_old(&folder, retention, now);
        Ok(path)
    }

    /// Whether a run has a report.
    #[must_use]
    pub fn has(&self, job: &str, run: &str) -> bool {
        self.folder.join(job).join(format!("{run}.json")).exists()
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
        for folder in folders(&self.folder)? {
            let name = file_name(&folder);
            if job.is_none_or(|job| job == name) {
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

    /// The report of exactly this run.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn load(&self, job: &str, run: &str) -> Result<Report, HistoryError> {
        let path = self.folder.join(job).join(format!("{run}.json"));
        let wrong = |source| StateError::new("read", &path, source);
        let mut content = Vec::new();
        fs::File::open(&path)
            .map_err(wrong)?
            .take(LARGEST)
            .read_to_end(&mut content)
            .map_err(wrong)?;
        serde_json::from_slice(&content).map_err(|error| HistoryError::Damaged {
            path: path.display().to_string(),
            why: error.to_string(),
        })
    }
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

/// Removes reports beyond the newest `keep` or older than `keep_for`; failed removals are retried
/// after the next run.
fn remove_old(folder: &Path, retention: &config::Reports, now: DateTime<Utc>) {
    let Ok(mut runs) = reports(folder) else {
        return;
    };
    runs.sort_unstable_by(|a, b| b.cmp(a));
    let oldest = TimeDelta::from_std(retention.keep_for)
        .ok()
        .and_then(|age| believed(&runs, now).checked_sub_signed(age))
        .map(|time| time.format("%Y%m%d-%H%M%S").to_string());
    let is_too_old = |run: &str| oldest.as_deref().is_some_and(|oldest| run < oldest);
    let kept = runs.len().min(retention.keep.max(1));
    let (newer, beyond) = runs.split_at(kept);
    let aged = newer.iter().skip(1).rev();
    let aged = aged.filter(|run| is_too_old(run)).take(AGED_AT_ONCE);
    for run in beyond.iter().chain(aged) {
        let _ = fs::remove_file(folder.join(format!("{run}.json")));
    }
}

/// The time by which reports are old: a clock that is far ahead of the report before this one may be
/// wrong, and is believed when later reports agree.
fn believed(newest_first: &[String], now: DateTime<Utc>) -> DateTime<Utc> {
    let before = newest_first.get(1).and_then(|run| time_of(run));
    let next = before.and_then(|before| before.checked_add_signed(TimeDelta::days(1)));
    next.map_or(now, |next| next.min(now))
}

fn time_of(run: &str) -> Option<DateTime<Utc>> {
    let (second, _) = run.rsplit_once('-')?;
    let second = NaiveDateTime::parse_from_str(second, "%Y%m%d-%H%M%S").ok()?;
    Some(second.and_utc())
}

fn folders(path: &Path) -> Result<Vec<PathBuf>, StateError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StateError::new("read the directory", path, error)),
    };
    Ok(entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect())
}

fn reports(folder: &Path) -> Result<Vec<String>, StateError> {
    let entries = fs::read_dir(folder)
        .map_err(|error| StateError::new("read the directory", folder, error))?;
    let names = entries
        .filter_map(Result::ok)
        .map(|entry| file_name(&entry.path()));
    Ok(names
        .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
        .filter(|name| is_run(name))
        .collect())
}

/// Whether a name is that of a run, such as `20260131-235959-0f3c`: other files in the directory
/// are neither shown nor removed.
fn is_run(name: &str) -> bool {
    let form = "00000000-000000-xxxx";
    let fits = |(shown, form): (char, char)| match form {
        '0' => shown.is_ascii_digit(),
        'x' => shown.is_ascii_hexdigit(),
        _ => shown == form,
    };
    name.chars().count() == form.len() && name.chars().zip(form.chars()).all(fits)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::time::Duration;

    use super::*;

    fn day(number: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::days(number)
    }

    /// The number of reports after one more is saved at each of these times.
    fn left<const N: usize>(folder: &Path, times: [DateTime<Utc>; N]) -> [usize; N] {
        let retention = config::Reports {
            keep: 500,
            keep_for: Duration::from_secs(30 * 24 * 3600),
        };
        times.map(|now| {
            fs::write(folder.join(format!("{}.json", id_at(now))), "{}").unwrap();
            remove_old(folder, &retention, now);
            reports(folder).unwrap().len()
        })
    }

    #[test]
    fn a_clock_that_is_a_year_ahead_removes_nothing_at_once() {
        let folder = tempfile::TempDir::new().unwrap();
        assert_eq!(left(folder.path(), [20, 21, 22].map(day)), [1, 2, 3]);
        for number in 0..20 {
            left(folder.path(), [day(20) + TimeDelta::hours(number)]);
        }
        let (before, ahead) = (reports(folder.path()).unwrap().len(), day(400));
        let next = |minutes: i64| ahead + TimeDelta::minutes(minutes);
        // Nothing by the first report of that time, and little by each of those that agree.
        assert_eq!(
            left(folder.path(), [next(0), next(15)]),
            [before + 1, before + 2 - AGED_AT_ONCE]
        );
    }

    #[test]
    fn what_is_too_old_goes() {
        let folder = tempfile::TempDir::new().unwrap();
        let days = [0, 1, 2, 31, 32, 33].map(day);
        assert_eq!(left(folder.path(), days), [1, 2, 3, 4, 3, 3]);
    }
}
