//! What the core is told, and what it wants done: values only.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::configuration::Loaded;
use crate::{
    config::schedule::Due,
    daemon::{
        commands::{CommandError, RunUpdate, Wish},
        job_table::{OutageChange, PersistedJob, StartRun},
        readiness::{Access, ProbeResult},
    },
    event::{AlreadyLogged, LoggedBefore, daemon::DaemonEvent},
    model::{
        backoff::Backoff,
        change_kind::ChangeKind,
        pause::Pause,
        report::{FailureKind, Report},
        summary::RunSummary,
    },
    state::{Paused, RefusedAccount},
};

/// One request of a client; its answer and its updates go where its number leads.
pub type RequestId = u64;

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The daemon starts, with what is remembered of the jobs of its configuration.
    Start(Persisted),
    /// A job's schedule says that it is to run.
    Tick(Due),
    /// A second went by.
    Second,
    /// A client wants something.
    Command {
        /// Where the answer goes; nobody waits for one to a signal.
        from: Option<RequestId>,
        /// What it wants.
        command: Command,
    },
    RunEnded {
        job: String,
        /// How it ended.
        outcome: RunOutcome,
        /// What it found out about the servers that it used.
        servers: Vec<(String, Access, ProbeResult)>,
    },
    ProbeEnded {
        server: String,
        /// What it was asked with.
        access: Access,
        /// How it ended.
        result: ProbeResult,
    },
    /// What a watch of a job's directory says.
    Watch {
        job: String,
        /// Which one of the job.
        id: u64,
        /// What it says.
        news: WatchNews,
    },
    /// The configuration was loaded, with what is remembered of its jobs; or why it was not.
    Loaded(Result<Box<(Loaded, Persisted)>, String>),
    /// A write ended.
    Persisted {
        /// Which one.
        id: u64,
        /// Why it failed.
        result: Result<(), String>,
    },
    /// The last runs that are saved, also those of other processes.
    RunsSaved(BTreeMap<String, LastRuns>),
    /// The pauses that are saved, by job, also those of other processes.
    PausesSaved(BTreeMap<String, Paused>),
    /// Fingerprints were computed.
    Fingerprints {
        /// Which computation it was.
        id: u64,
        /// What they are; none where there are no credentials, or they cannot be read.
        fingerprints: BTreeMap<String, Option<String>>,
        /// When the servers refused what another process has found accepted since.
        lifted: BTreeMap<String, DateTime<Utc>>,
    },
    /// The daemon was told to stop.
    Stop,
}

/// What a watch of a directory says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchNews {
    /// Whatever changes from now on is noticed; with the server's URL.
    Begun(String),
    /// Something changed.
    Changed,
    /// It is over.
    Ended {
        /// Why.
        error: String,
        /// Whether the directory offers nothing by which it could be watched.
        is_unavailable: bool,
        /// The server that refused the credentials, with what it was reached with and their mark.
        refused: Option<(String, Access, Option<String>)>,
    },
}

/// What a client or a signal wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A run of this job now.
    Trigger {
        job: String,
        /// What is wanted.
        wish: Wish,
    },
    /// A run of every job that is not paused.
    TriggerAll,
    /// No run of this job until the pause is over.
    Pause {
        job: String,
        /// Of its changes, only this kind: runs go on without it.
        only: Option<ChangeKind>,
        /// Until when, and why.
        pause: Pause,
    },
    /// An end of the job's pause.
    Resume {
        job: String,
        /// Of its changes, only this kind.
        only: Option<ChangeKind>,
    },
    /// Reads at the servers of this job, beside its runs.
    Look { job: String },
    /// The configuration loaded anew.
    Reload,
}

/// How a run ended.
#[derive(Debug)]
pub enum RunOutcome {
    Reported(Box<Report>),
    /// It was to read what changed, and there was nothing to do: it is no run.
    NothingChanged,
    /// It did not begin: another program runs the job.
    Busy,
    /// It did not begin: a person paused the job, in this program or in another.
    Paused(Pause),
    /// It did not begin, or was cut off, and left no report of its own.
    Broken {
        /// Which kind of failure it was.
        kind: FailureKind,
        /// In words.
        error: String,
        /// The job's last run, as its journal tells it.
        recovered: Option<Box<RunSummary>>,
        /// Why its journal could not be read.
        state_error: Option<String>,
    },
}

/// What is remembered of some jobs over a restart.
#[derive(Debug, Default)]
pub struct Persisted {
    /// What the job table needs of them.
    pub jobs: BTreeMap<String, PersistedJob>,
    /// What became of their last runs.
    pub last_runs: BTreeMap<String, LastRuns>,
    /// Why something could not be recovered.
    pub error: Option<String>,
}

/// What is known of a job's runs that ended.
#[derive(Debug, Default)]
pub struct LastRuns {
    /// The last one.
    pub run: Option<RunSummary>,
    /// When one last came to its end without failing.
    pub success: Option<DateTime<Utc>>,
    /// When one last read what changed, since the start.
    pub changes: Option<DateTime<Utc>>,
    /// What they logged and need not log again.
    pub logged: std::sync::Arc<LoggedBefore>,
}

impl LastRuns {
    /// When the last run came to its end without failing; none where it failed, or was not for all.
    #[must_use]
    pub fn worked_last(&self) -> Option<DateTime<Utc>> {
        let last = self.run.as_ref()?.finished_at;
        self.success.filter(|success| *success == last)
    }
}

/// Something that is to be done; what comes of it is told as an [`Input`].
#[derive(Debug)]
pub enum Effect {
    StartRun {
        /// Of which job, and why.
        start: StartRun,
        /// Who follows it.
        watcher: Option<RequestId>,
        /// What of it need not be logged again.
        logged: AlreadyLogged,
        /// The servers that it uses, and what it reaches them with.
        reads: Vec<(String, Access)>,
    },
    /// Tell all runs to finish.
    StopRuns,
    /// Reach a server.
    Probe {
        /// Which one.
        server: String,
        /// With what.
        access: Access,
    },
    /// Watch the directory of a job.
    StartWatch {
        job: String,
        /// The number of this watch.
        id: u64,
        /// The directory's name among the servers, and what it is reached with.
        server: (String, Access),
    },
    /// Do not watch it any more.
    StopWatch { job: String },
    /// Write something down; in this order, and told as [`Input::Persisted`].
    Persist {
        /// The number of the write.
        id: u64,
        /// What is to be saved.
        write: Write,
    },
    /// Tell people that a job is not run, since a server refused the credentials.
    TellRefused {
        job: String,
        /// Which, and until when.
        error: String,
    },
    /// Log something.
    Emit(Notice),
    /// Count something.
    Count(Counter),
    /// Answer a client.
    Reply {
        /// Which one.
        to: RequestId,
        /// With what.
        reply: Result<Reply, CommandError>,
    },
    /// Tell a client how its run goes; lost when it reads too slowly.
    Update {
        /// Which one.
        to: RequestId,
        /// What.
        update: RunUpdate,
    },
    /// Tell a client how its run ended; the last that it is told.
    LastUpdate {
        /// Which one.
        to: RequestId,
        /// What.
        update: RunUpdate,
    },
    /// Show that the daemon makes progress.
    Beat,
    /// Tell the service manager.
    Notify(Notification),
    /// Compute the fingerprints of the credentials that would be used at these servers now.
    ComputeFingerprints {
        /// The number of the computation.
        id: u64,
        servers: Vec<String>,
    },
    /// Load the configuration, and what is remembered of its jobs.
    LoadConfiguration,
    /// Use the schedules, and show the connections, of the configuration that was loaded last.
    UseConfiguration,
}

/// What outlasts a restart, and is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A job's failures in a row, or that there are none.
    Backoff(String, Option<Backoff>),
    /// The pause of a job, or of a kind of its changes, or that there is none.
    Pause(String, Option<ChangeKind>, Option<Pause>),
    /// The credentials that a server refused, or that it accepted some since.
    Refusal(String, Option<RefusedAccount>),
}

/// A client's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Its run begins, or waits; updates follow.
    Accepted,
    /// The status of this job, as it is after what was done.
    Job(String),
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// A tick came while its job was at work.
    TickSkipped(String),
    /// A reading of what changed found nothing to do.
    NothingChanged(String),
    /// A watch of a directory started a run.
    WatchedChange(String),
    /// A reload was refused.
    ReloadFailed,
}

/// What the service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// The configuration is valid, and the schedule runs.
    Ready,
    /// The configuration is being loaded.
    Reloading,
    /// The daemon stops.
    Stopping,
}

/// An event that is to be logged, with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// See [`DaemonEvent::Started`]; with the number of jobs.
    Started(usize),
    /// See [`DaemonEvent::Stopping`].
    Stopping,
    /// See [`DaemonEvent::ContactMade`].
    ContactMade { server: String },
    /// See [`DaemonEvent::ContactFailed`].
    ContactFailed {
        server: String,
        /// Why.
        error: String,
    },
    /// See [`DaemonEvent::CredentialsRefused`].
    CredentialsRefused {
        server: String,
        /// When they are tried again.
        next: DateTime<Utc>,
        /// What the server said.
        error: String,
    },
    /// See [`DaemonEvent::ClockLeapt`].
    ClockLeapt(i64),
    /// See [`DaemonEvent::RunMissed`].
    RunMissed(String),
    /// See [`DaemonEvent::TickSkipped`].
    TickSkipped(String),
    /// See [`DaemonEvent::RunStuck`].
    RunStuck(String),
    /// See [`DaemonEvent::RunBroken`].
    RunBroken {
        job: String,
        /// How.
        error: String,
    },
    /// See [`DaemonEvent::TriggerRefused`].
    TriggerRefused {
        job: String,
        /// Why.
        error: String,
    },
    /// An outage of a job.
    Outage {
        job: String,
        /// What of it.
        change: OutageChange,
    },
    /// See [`DaemonEvent::JobPaused`].
    JobPaused {
        job: String,
        /// Of its changes, only this kind.
        only: Option<ChangeKind>,
        /// Until when, and why.
        pause: Pause,
    },
    /// See [`DaemonEvent::JobResumed`].
    JobResumed {
        job: String,
        /// Of its changes, only this kind.
        only: Option<ChangeKind>,
    },
    /// See [`DaemonEvent::WatchStarted`].
    WatchStarted { job: String, server: String },
    /// See [`DaemonEvent::WatchLost`].
    WatchLost {
        job: String,
        /// Why.
        error: String,
    },
    /// See [`DaemonEvent::WatchUnavailable`].
    WatchUnavailable {
        job: String,
        /// Why.
        error: String,
    },
    /// See [`DaemonEvent::ConfigReloaded`]; with the keys for which a restart is needed.
    ConfigReloaded(String),
    /// See [`DaemonEvent::ConfigRefused`].
    ConfigRefused(String),
    /// See [`DaemonEvent::StateFailed`].
    StateFailed(String),
}

impl Notice {
    #[must_use]
    pub fn event(&self) -> DaemonEvent<'_> {
        match self {
            Self::Started(jobs) => DaemonEvent::Started {
                version: crate::VERSION,
                jobs: *jobs,
            },
            Self::Stopping => DaemonEvent::Stopping,
            Self::ContactMade { server } => DaemonEvent::ContactMade { server },
            Self::ContactFailed { server, error } => DaemonEvent::ContactFailed { server, error },
            Self::CredentialsRefused {
                server,
                next,
                error,
            } => DaemonEvent::CredentialsRefused {
                server,
                next: *next,
                error,
            },
            Self::ClockLeapt(seconds) => DaemonEvent::ClockLeapt { seconds: *seconds },
            Self::RunMissed(job) => DaemonEvent::RunMissed { job },
            Self::TickSkipped(job) => DaemonEvent::TickSkipped { job },
            Self::RunStuck(job) => DaemonEvent::RunStuck { job },
            Self::RunBroken { job, error } => DaemonEvent::RunBroken { job, error },
            Self::TriggerRefused { job, error } => DaemonEvent::TriggerRefused { job, error },
            Self::Outage { job, change } => outage(job, change),
            Self::JobPaused { job, only, pause } => DaemonEvent::JobPaused {
                job,
                only: *only,
                pause,
            },
            Self::JobResumed { job, only } => DaemonEvent::JobResumed { job, only: *only },
            Self::WatchStarted { job, server } => DaemonEvent::WatchStarted { job, server },
            Self::WatchLost { job, error } => DaemonEvent::WatchLost { job, error },
            Self::WatchUnavailable { job, error } => DaemonEvent::WatchUnavailable { job, error },
            Self::ConfigReloaded(restart_for) => DaemonEvent::ConfigReloaded { restart_for },
            Self::ConfigRefused(error) => DaemonEvent::ConfigRefused { error },
            Self::StateFailed(error) => DaemonEvent::StateFailed { error },
        }
    }
}

fn outage<'a>(job: &'a str, change: &'a OutageChange) -> DaemonEvent<'a> {
    match change {
        OutageChange::Began(backoff) => DaemonEvent::OutageBegan { job, backoff },
        OutageChange::Changed(backoff) => DaemonEvent::OutageChanged { job, backoff },
        OutageChange::Ended(backoff) => DaemonEvent::OutageEnded { job, backoff },
        OutageChange::Elsewhere => DaemonEvent::RunElsewhere { job },
    }
}
