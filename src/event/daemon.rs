//! Events of the daemon apart from its runs: one at each change of state, none while nothing
//! changes.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    escape::escape_control,
    model::{backoff::Backoff, change_kind::ChangeKind, pause::Pause},
};

/// A log event of the daemon.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum DaemonEvent<'a> {
    /// The daemon has started: the configuration is valid, and the schedule runs.
    Started {
        version: &'a str,
        /// The number of jobs.
        jobs: usize,
    },
    /// A stop was requested.
    Stopping,
    /// The daemon has stopped.
    Stopped,
    /// A server was reached for the first time, and accepted the credentials.
    ContactMade { server: &'a str },
    /// A server could not be reached at the first attempt.
    ContactFailed {
        server: &'a str,
        /// Why, and what to do.
        error: &'a str,
    },
    /// A server refused the credentials; they are not tried for a while.
    CredentialsRefused {
        server: &'a str,
        /// When they are tried again, unless they change before.
        next: DateTime<Utc>,
        /// The server's message.
        error: &'a str,
    },
    /// A run that was missed while no daemon ran is made up for.
    RunMissed { job: &'a str },
    /// A job is due while a run of it is in progress; logged once per run.
    TickSkipped { job: &'a str },
    /// Another program runs the job; it is retried soon.
    RunElsewhere { job: &'a str },
    /// A run is far beyond its time limit and does not end; it no longer blocks other runs.
    RunStuck { job: &'a str },
    /// A run ended without a report of its own.
    RunBroken { job: &'a str, error: &'a str },
    /// A job cannot be triggered now.
    TriggerRefused {
        job: &'a str,
        /// Why.
        error: &'a str,
    },
    /// A job failed after it had worked.
    OutageBegan { job: &'a str, backoff: &'a Backoff },
    /// The kind of failure changed, or the job is suspended.
    OutageChanged { job: &'a str, backoff: &'a Backoff },
    /// A job that failed works again.
    OutageEnded {
        job: &'a str,
        /// The failures that are over.
        backoff: &'a Backoff,
    },
    /// A person paused a job, or of its changes only this kind.
    JobPaused {
        job: &'a str,
        only: Option<ChangeKind>,
        pause: &'a Pause,
    },
    /// A job was resumed, or of its changes only this kind.
    JobResumed {
        job: &'a str,
        only: Option<ChangeKind>,
    },
    /// Whatever changes in the directory of a watched job is noticed from now on.
    WatchStarted { job: &'a str, server: &'a str },
    /// The directory of a watched job is not watched any more, or cannot be reached; that is tried
    /// again.
    WatchLost { job: &'a str, error: &'a str },
    /// The directory of a watched job offers nothing by which it could be watched.
    WatchUnavailable { job: &'a str, error: &'a str },
    /// A changed configuration is used for the next run.
    ConfigReloaded {
        /// Keys whose change takes effect after a restart.
        restart_for: &'a str,
    },
    /// A changed configuration is invalid; the old one stays.
    ConfigRefused {
        /// The findings.
        error: &'a str,
    },
    /// The system's clock was set, or the last run is dated in the future.
    ClockLeapt {
        /// By how many seconds it went ahead; negative where it went back.
        seconds: i64,
    },
    /// The scheduler cannot use the new schedules; the old ones stay.
    SchedulerFailed { error: &'a str },
    /// The daemon's own state cannot be saved or read.
    StateFailed { error: &'a str },
}

/// Every event of the daemon with its level and fields; log monitors rely on these.
pub const EVENTS: &[(&str, &str, &[&str])] = &[
    ("daemon.started", "INFO", &["version", "jobs"]),
    ("daemon.stopping", "INFO", &[]),
    ("daemon.stopped", "INFO", &[]),
    ("contact.made", "INFO", &["server"]),
    ("contact.failed", "WARN", &["server", "error"]),
    (
        "credentials.refused",
        "ERROR",
        &["server", "retry_at", "error"],
    ),
    ("run.missed", "INFO", &["job"]),
    ("tick.skipped", "WARN", &["job"]),
    ("run.elsewhere", "INFO", &["job"]),
    ("run.stuck", "ERROR", &["job"]),
    ("run.broken", "ERROR", &["job", "error"]),
    ("trigger.refused", "WARN", &["job", "error"]),
    (
        "outage.began",
        "ERROR",
        &[
            "job",
            "kind",
            "failures",
            "since",
            "retry_at",
            "suspended",
            "error",
        ],
    ),
    (
        "outage.changed",
        "ERROR",
        &[
            "job",
            "kind",
            "failures",
            "since",
            "retry_at",
            "suspended",
            "error",
        ],
    ),
    ("outage.ended", "INFO", &["job", "failures", "since"]),
    ("job.paused", "WARN", &["job", "kind", "until", "reason"]),
    ("job.resumed", "INFO", &["job", "kind"]),
    ("watch.started", "INFO", &["job", "server"]),
    ("watch.lost", "WARN", &["job", "error"]),
    ("watch.unavailable", "ERROR", &["job", "error"]),
    ("config.reloaded", "INFO", &["restart_for"]),
    ("config.refused", "ERROR", &["error"]),
    ("clock.leapt", "WARN", &["seconds"]),
    ("scheduler.failed", "ERROR", &["error"]),
    ("daemon.state_failed", "ERROR", &["error"]),
];

macro_rules! emit_outage {
    ($name:literal, $job:ident, $backoff:ident, $words:literal) => {{
        let Backoff {
            failures,
            since,
            retry_at,
            suspended,
            kind,
            error,
            asked: _,
        } = $backoff;
        tracing::error!(
            event = $name,
            job = $job,
            kind = kind.as_str(),
            failures,
            since = time(*since),
            retry_at = time(*retry_at),
            suspended,
            error = %escape_control(error),
            $words
        )
    }};
}

impl DaemonEvent<'_> {
    /// Logs the event once.
    pub fn emit(self) {
        match self {
            Self::Started { version, jobs } => {
                tracing::info!(event = "daemon.started", version, jobs, "the schedule runs")
            }
            Self::Stopping => tracing::info!(event = "daemon.stopping", "stop requested"),
            Self::Stopped => tracing::info!(event = "daemon.stopped", "stopped"),
            Self::ContactMade { server } => {
                tracing::info!(event = "contact.made", server, "reached")
            }
            Self::ContactFailed { server, error } => {
                tracing::warn!(event = "contact.failed", server, error = %escape_control(error), "not reached");
            }
            Self::CredentialsRefused {
                server,
                next,
                error,
            } => {
                tracing::error!(event = "credentials.refused", server, retry_at = time(next), error = %escape_control(error), "credentials refused");
            }
            Self::RunMissed { job } => {
                tracing::info!(event = "run.missed", job, "missed run started")
            }
            Self::TickSkipped { job } => {
                tracing::warn!(event = "tick.skipped", job, "due during a run, skipped")
            }
            Self::RunElsewhere { job } => {
                tracing::info!(event = "run.elsewhere", job, "another program runs the job")
            }
            Self::RunStuck { job } => {
                tracing::error!(event = "run.stuck", job, "far beyond its time limit")
            }
            Self::RunBroken { job, error } => {
                tracing::error!(event = "run.broken", job, error = %escape_control(error), "no report of its own")
            }
            Self::TriggerRefused { job, error } => {
                tracing::warn!(event = "trigger.refused", job, error = %escape_control(error), "not triggered")
            }
            Self::OutageBegan { job, backoff } => {
                emit_outage!("outage.began", job, backoff, "failed")
            }
            Self::OutageChanged { job, backoff } if backoff.suspended => {
                emit_outage!(
                    "outage.changed",
                    job,
                    backoff,
                    "suspended: failed too often, now only probed"
                );
            }
            Self::OutageChanged { job, backoff } => {
                emit_outage!("outage.changed", job, backoff, "the failure changed")
            }
            Self::OutageEnded { job, backoff } => {
                tracing::info!(
                    event = "outage.ended",
                    job,
                    failures = backoff.failures,
                    since = time(backoff.since),
                    "works again"
                );
            }
            Self::JobPaused { job, only, pause } => {
                let kind = only.map_or("", ChangeKind::as_str);
                let until = pause.until.map(time).unwrap_or_default();
                let reason = pause.reason.as_deref().unwrap_or_default();
                tracing::warn!(event = "job.paused", job, kind, until, reason = %escape_control(reason), "paused");
            }
            Self::JobResumed { job, only } => {
                let kind = only.map_or("", ChangeKind::as_str);
                tracing::info!(event = "job.resumed", job, kind, "resumed");
            }
            Self::WatchStarted { job, server } => {
                tracing::info!(
                    event = "watch.started",
                    job,
                    server,
                    "the directory is watched"
                )
            }
            Self::WatchLost { job, error } => {
                tracing::warn!(event = "watch.lost", job, error = %escape_control(error), "the directory is not watched, which is tried again");
            }
            Self::WatchUnavailable { job, error } => {
                tracing::error!(event = "watch.unavailable", job, error = %escape_control(error), "the directory cannot be watched");
            }
            Self::ConfigReloaded { restart_for } => tracing::info!(
                event = "config.reloaded",
                restart_for,
                "configuration reloaded"
            ),
            Self::ConfigRefused { error } => {
                tracing::error!(event = "config.refused", error = %escape_control(error), "the new configuration is invalid; the old one stays");
            }
            Self::ClockLeapt { seconds } => {
                tracing::warn!(event = "clock.leapt", seconds);
            }
            Self::SchedulerFailed { error } => {
                tracing::error!(event = "scheduler.failed", error = %escape_control(error), "the schedules cannot be applied")
            }
            Self::StateFailed { error } => {
                tracing::error!(event = "daemon.state_failed", error = %escape_control(error), "state not saved")
            }
        }
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
