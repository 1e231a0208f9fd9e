//! Every metric: its name, kind, labels and help text. Dashboards and alerts rely on these.

use prometheus::Error;

/// The prefix of the names, except those of the process itself.
pub const PREFIX: &str = "ftrack_ldap_sync_";

/// One metric, with all its series.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Family {
    /// Without [`PREFIX`].
    pub name: &'static str,
    pub kind: MetricKind,
    pub labels: &'static [&'static str],
    /// The help text.
    pub help: &'static str,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Up and down.
    Gauge,
    /// Only up.
    Counter,
    /// The distribution of values.
    Histogram,
}

impl Family {
    /// The family of this name.
    ///
    /// # Errors
    /// There is none: a bug in the program.
    pub(super) fn named(name: &str) -> Result<&'static Self, Error> {
        let found = FAMILIES.iter().find(|family| family.name == name);
        found.ok_or_else(|| Error::Msg(format!("there is no metric {name}")))
    }

    /// The full name.
    #[must_use]
    pub fn full_name(&self) -> String {
        let prefix = if self.name.starts_with("process_") {
            ""
        } else {
            PREFIX
        };
        format!("{prefix}{}", self.name)
    }
}

const JOB: &[&str] = &["job"];

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    let kind = MetricKind::Gauge;
    Family {
        name,
        kind,
        labels,
        help,
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    let kind = MetricKind::Counter;
    Family {
        name,
        kind,
        labels,
        help,
    }
}

/// All metrics.
pub const FAMILIES: &[Family] = &[
    gauge(
        "last_attempt_timestamp_seconds",
        JOB,
        "When the last run started; absent before the first.",
    ),
    gauge(
        "last_success_timestamp_seconds",
        JOB,
        "When a run last came to its end without failing; absent before the first.",
    ),
    gauge(
        "next_run_timestamp_seconds",
        JOB,
        "When the job runs next by itself; absent when it does not.",
    ),
    gauge("running", JOB, "Whether a run is under way."),
    counter(
        "runs_total",
        &["job", "outcome"],
        "Runs that ended, by outcome; dry runs are not counted.",
    ),
    Family {
        name: "run_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["job", "phase"],
        help: "How long runs took, by phase; the phase whole is all of them.",
    },
    counter(
        "changes_total",
        &["job", "action", "result"],
        "Changes of runs that ended, by action and what became of them.",
    ),
    gauge(
        "directory_entries",
        JOB,
        "Entries that the last run that did not fail read from the directory.",
    ),
    gauge(
        "owned_users",
        &["job", "active"],
        "Users that the job owned after the last run that did not fail.",
    ),
    gauge(
        "held_changes",
        JOB,
        "Changes that the last run that did not fail held for a person.",
    ),
    gauge(
        "failed_changes",
        JOB,
        "Changes that the last run that did not fail could not apply.",
    ),
    gauge("consecutive_failures", JOB, "Failed runs in a row."),
    gauge(
        "backoff_until_timestamp_seconds",
        JOB,
        "When a failed job is tried again; absent when it did not fail.",
    ),
    gauge(
        "suspended",
        JOB,
        "Whether the job failed so often that it is only probed.",
    ),
    gauge("paused", JOB, "Whether a person told the job to wait."),
    counter(
        "ticks_skipped_total",
        JOB,
        "Ticks that came while the job was at work.",
    ),
    counter(
        "builtin_alarms_total",
        JOB,
        "Runs in which ftrack's own synchronisation deactivated or renamed more users than the \
         job's limits say.",
    ),
    counter(
        "log_lines_dropped_total",
        &[],
        "Log lines that were dropped because their reader was too slow or had left.",
    ),
    counter(
        "config_reload_failures_total",
        &[],
        "Reloads of the configuration that were refused.",
    ),
    gauge(
        "config_last_reload_successful",
        &[],
        "Whether the last reload of the configuration was taken.",
    ),
    gauge(
        "ready",
        &[],
        "Whether the first contact with every server came about.",
    ),
    gauge(
        "ldap_connections",
        &["directory", "state"],
        "Open connections of a directory's pool, idle or used.",
    ),
    gauge(
        "ldap_waiting",
        &["directory"],
        "How many wait for a connection of a directory's pool.",
    ),
    counter(
        "ldap_binds_total",
        &["directory", "server"],
        "Binds that were tried.",
    ),
    counter(
        "ldap_binds_refused_total",
        &["directory", "server"],
        "Binds that the server refused.",
    ),
    counter(
        "ftrack_calls_total",
        &["kind"],
        "Calls to ftrack that read or wrote.",
    ),
    counter(
        "ftrack_retries_total",
        &[],
        "Calls to ftrack that were tried again.",
    ),
    gauge(
        "build_info",
        &["version", "commit"],
        "Always 1; what the program was built of.",
    ),
    gauge(
        "process_start_time_seconds",
        &[],
        "When the daemon started.",
    ),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Memory that is resident.",
    ),
    gauge("process_open_fds", &[], "File descriptors that are open."),
];
