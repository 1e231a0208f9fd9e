//! The status of the daemon at one moment, for `status`, the metrics and the probes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        backoff::Backoff,
        change_kind::ChangeKind,
        pause::Pause,
        report::{Outcome, Trigger},
        summary::RunSummary,
    },
    run::Progress,
};

/// The daemon at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The process id.
    pub pid: u32,
    pub started_at: DateTime<Utc>,
    /// Whether a stop was requested.
    pub stopping: bool,
    /// When the scheduler last made progress.
    pub beat_at: DateTime<Utc>,
    pub config: ConfigStatus,
    /// The first contact with each server, ftrack's first.
    pub contacts: Vec<Contact>,
    /// By name.
    pub jobs: Vec<JobStatus>,
}

/// The configuration in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ConfigStatus {
    /// The main file.
    pub file: PathBuf,
    pub loaded_at: DateTime<Utc>,
    /// How many reloads were refused since the start.
    pub reload_failures: u64,
    /// Why the last reload was refused; absent when it was not.
    pub error: Option<String>,
    /// Keys whose change takes effect after a restart.
    pub restart_for: Vec<String>,
}

/// The first contact with a server: a connection, and credentials that were accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// `ftrack`, or `directory` and its name.
    pub server: String,
    /// When it succeeded; absent until then.
    pub since: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// One job at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct JobStatus {
    /// The job's name.
    pub job: String,
    pub phase: JobPhase,
    /// Its schedule; absent if it runs only on request.
    pub schedule: Option<String>,
    /// The time zone of its schedule.
    pub timezone: String,
    /// When it will run next by itself, considering everything that delays it.
    pub next_run: Option<DateTime<Utc>>,
    /// When it will read next what changed, if it has a schedule for that and nothing delays it.
    pub next_changes: Option<DateTime<Utc>>,
    /// When it last read what changed, since the start, whether anything had or not.
    pub last_changes: Option<DateTime<Utc>>,
    /// Whether its directory is watched; omitted where it is not to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchStatus>,
    /// The run in progress.
    pub running: Option<Running>,
    pub pause: Option<Pause>,
    /// The pauses of single kinds of change; omitted where there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paused_kinds: BTreeMap<ChangeKind, Pause>,
    /// Since when a run of it waits for another program that runs it, such as a command of a person;
    /// omitted where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere_since: Option<DateTime<Utc>>,
    /// The server that refused the credentials, where the job is not run because of it although no run
    /// has failed; omitted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedCredentials>,
    /// Its failures in a row.
    pub backoff: Option<Backoff>,
    /// Its last run that ended.
    pub last_run: Option<RunSummary>,
    /// When a run last succeeded, except dry runs.
    pub last_success: Option<DateTime<Utc>>,
    /// The second time after the last success at which it was due: later than that, it has missed two.
    /// Absent without a schedule or a success, and during a pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_due: Option<DateTime<Utc>>,
    /// Ticks during a run, since the start.
    pub ticks_skipped: u64,
}

/// A server refused the credentials, and they are not tried for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCredentials {
    /// `ftrack`, or `directory` and its name.
    pub server: String,
    /// When it refused them.
    pub since: DateTime<Utc>,
    /// When they are tried again.
    pub next: DateTime<Utc>,
    /// What the server said.
    pub error: String,
}

/// Whether the directory of a job is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchStatus {
    /// Whether whatever changes is noticed.
    pub watching: bool,
    /// Since when that is so.
    pub since: DateTime<Utc>,
    /// Why it is not watched; omitted while it is, and before the first attempt has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// It waits for its schedule.
    Idle,
    /// It is to run, and waits for another run on its directory, for a free slot, or for another
    /// program that runs it.
    Waiting,
    /// A run is in progress.
    Running,
    /// A person paused it.
    Paused,
    /// It failed, or a server refused the credentials, and it waits for its retry.
    BackingOff,
    /// It failed so often that it is only probed.
    Suspended,
}

impl JobPhase {
    /// The word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::BackingOff => "backing off",
            Self::Suspended => "suspended",
        }
    }
}

/// A run in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Running {
    /// What started it.
    pub trigger: Trigger,
    /// Whether it is a dry run.
    pub dry_run: bool,
    pub started_at: DateTime<Utc>,
    pub progress: Option<Progress>,
}

impl Status {
    /// The zone that the schedules of all jobs have, if it is one.
    #[must_use]
    pub fn zone(&self) -> Option<Tz> {
        let mut jobs = self.jobs.iter().map(|job| job.timezone.as_str());
        let first = jobs.next()?;
        jobs.all(|zone| zone == first).then(|| first.parse().ok())?
    }

    /// A daemon that has just started.
    #[must_use]
    pub fn starting(file: &Path, now: DateTime<Utc>) -> Self {
        Self {
            version: crate::VERSION.to_owned(),
            pid: std::process::id(),
            started_at: now,
            stopping: false,
            beat_at: now,
            config: ConfigStatus {
                file: file.to_owned(),
                loaded_at: now,
                reload_failures: 0,
                error: None,
                restart_for: Vec::new(),
            },
            contacts: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Whether every server was reached once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.stopping
            && !self.contacts.is_empty()
            && self.contacts.iter().all(|contact| contact.since.is_some())
    }

    /// The job with this name.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<&JobStatus> {
        self.jobs.iter().find(|job| job.job == name)
    }
}

/// Whether an outcome counts as a success for the schedule: the run came to its end. Held and
/// failed changes are reported separately.
#[must_use]
pub fn came_to_its_end(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Succeeded | Outcome::Partial | Outcome::Held => true,
        Outcome::Failed => false,
    }
}
