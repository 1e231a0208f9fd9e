//! What the daemon knows about itself at one moment: the answer to `status`, and what the metrics
//! and the probes are made of.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        backoff::Backoff,
        pause::Pause,
        report::{Outcome, Trigger},
        summary::RunSummary,
    },
    run::Progress,
};

/// The daemon at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The daemon's process.
    pub pid: u32,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Whether it was told to stop.
    pub stopping: bool,
    /// When the scheduler last made progress.
    pub beat_at: DateTime<Utc>,
    /// The configuration that it runs with.
    pub config: ConfigStatus,
    /// The first contact with each server, ftrack's first.
    pub contacts: Vec<Contact>,
    /// The jobs, by name.
    pub jobs: Vec<JobStatus>,
}

/// The configuration in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// The main file.
    pub file: PathBuf,
    /// When it was loaded.
    pub loaded_at: DateTime<Utc>,
    /// How often a reload was refused since the start.
    pub reload_failures: u64,
    /// Why the last reload was refused; absent when it was not.
    pub error: Option<String>,
    /// Keys whose change is used after a restart alone.
    pub restart_for: Vec<String>,
}

/// The first contact with a server: a connection, and credentials that were accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// `ftrack`, or `directory` and its name.
    pub server: String,
    /// When it came about; absent as long as it did not.
    pub since: Option<DateTime<Utc>>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// One job at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job's name.
    pub job: String,
    /// What it is doing.
    pub phase: JobPhase,
    /// Its schedule; it runs only when told to, if absent.
    pub schedule: Option<String>,
    /// The zone of its schedule.
    pub timezone: String,
    /// When it will run next by itself, all things considered.
    pub next_run: Option<DateTime<Utc>>,
    /// The run that is under way.
    pub running: Option<Running>,
    /// Its pause.
    pub pause: Option<Pause>,
    /// Its failures in a row.
    pub backoff: Option<Backoff>,
    /// Its last run that ended.
    pub last_run: Option<RunSummary>,
    /// When a run of it that was no dry run last came to its end without failing.
    pub last_success: Option<DateTime<Utc>>,
    /// Ticks that came while it was at work, since the start.
    pub ticks_skipped: u64,
}

/// What a job is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// It waits for its schedule.
    Idle,
    /// It is to run, and waits for another run on its directory, or for a free place.
    Waiting,
    /// A run is under way.
    Running,
    /// A person told it to wait.
    Paused,
    /// It failed, and waits for its next attempt.
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

/// A run that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// What started it.
    pub trigger: Trigger,
    /// Whether it writes nothing.
    pub dry_run: bool,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// How far it is.
    pub progress: Option<Progress>,
}

impl Status {
    /// A daemon that has done nothing yet.
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

    /// Whether the first contact with every server came about.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.stopping
            && !self.contacts.is_empty()
            && self.contacts.iter().all(|contact| contact.since.is_some())
    }

    /// A job.
    #[must_use]
    pub fn job(&self, name: &str) -> Option<&JobStatus> {
        self.jobs.iter().find(|job| job.job == name)
    }
}

/// Whether an outcome counts as a success for the schedule: the run came to its end. What it held
/// or could not apply is told apart from that.
#[must_use]
pub fn came_to_its_end(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Succeeded | Outcome::Partial | Outcome::Held => true,
        Outcome::Failed => false,
    }
}
