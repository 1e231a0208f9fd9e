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

/// How Prometheus takes a metric's values.
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

    /// With the program's prefix.
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
        "When a run last ended without failing; absent before the first.",
    ),
    gauge(
        "next_run_timestamp_seconds",
        JOB,
        "When the job runs next by itself; absent when it does not.",
    ),
    gauge(
        "success_due_timestamp_seconds",
        JOB,
        "The second time after the last success at which the job is due; absent before the first \
         success, without a schedule, and during a pause.",
    ),
    gauge("running", JOB, "Whether a run is in progress."),
    gauge(
        "watching",
        JOB,
        "Whether the directory is watched; absent for jobs without watch.",
    ),
    counter(
        "runs_total",
        &["job", "outcome"],
        "Runs that ended, by outcome; dry runs are not counted.",
    ),
    Family {
        name: "run_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["job", "phase"],
        help: "Duration of runs, by phase; the phase whole is all of them.",
    },
    counter(
        "changes_total",
        &["job", "action", "result"],
        "Changes of runs that ended, by action and result.",
    ),
    counter(
        "deactivations_total",
        &["job", "cause"],
        "Users that runs deactivated, by cause.",
    ),
    counter(
        "notifications_total",
        &["job", "receiver", "result"],
        "Messages to people, by receiver and what became of them; dropped ones were not sent.",
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
        "Changes that the last run that did not fail held.",
    ),
    gauge("open_holds", JOB, "Numbered holds that wait for a person."),
    gauge(
        "oldest_open_hold_timestamp_seconds",
        JOB,
        "When the oldest hold was opened that waits for a person; absent where none waits.",
    ),
    counter(
        "holds_opened_total",
        JOB,
        "Numbered holds that runs opened: each counts once, not in each run.",
    ),
    gauge(
        "failed_changes",
        JOB,
        "Changes that the last run that did not fail could not apply.",
    ),
    gauge(
        "unconfirmed_changes",
        JOB,
        "Changes that the last run that did not fail sent, and could not read back.",
    ),
    gauge(
        "unsettled_people",
        JOB,
        "People without an active user after the last run that did not fail, for a reason that a \
         person must settle.",
    ),
    gauge(
        "active_leavers",
        JOB,
        "Users that the last run that did not fail left active although their person left or may not \
         sign in: a person rejected the deactivation or reactivated them, or the job deactivates nobody.",
    ),
    gauge("consecutive_failures", JOB, "Failed runs in a row."),
    gauge(
        "backoff_until_timestamp_seconds",
        JOB,
        "When a failed job is retried; absent when it did not fail.",
    ),
    gauge(
        "suspended",
        JOB,
        "Whether the job is suspended: it failed too often and is only probed.",
    ),
    gauge(
        "paused",
        &["job", "kind"],
        "Whether a person paused the job; with kind, 1 for each kind of change that a person paused.",
    ),
    counter(
        "ticks_skipped_total",
        JOB,
        "Ticks skipped during a run of the job.",
    ),
    counter(
        "changes_reads_without_changes_total",
        JOB,
        "Readings of what changed in the directory that found nothing to do, and are no runs.",
    ),
    counter(
        "watch_starts_total",
        JOB,
        "Runs that a watch of the directory started, whether anything was to be done or not.",
    ),
    counter(
        "builtin_alarms_total",
        JOB,
        "Runs in which ftrack's own synchronisation deactivated or renamed more users than the \
         job's limits allow.",
    ),
    counter(
        "log_lines_dropped_total",
        &[],
        "Log lines dropped because their reader was too slow or had gone.",
    ),
    counter(
        "config_reload_failures_total",
        &[],
        "Reloads of the configuration that were refused.",
    ),
    gauge(
        "config_last_reload_successful",
        &[],
        "Whether the last reload of the configuration was accepted.",
    ),
    gauge(
        "ready",
        &[],
        "Whether every server was reached at least once.",
    ),
    gauge(
        "ldap_connections",
        &["directory", "state"],
        "Open connections of a directory's pool, idle or used.",
    ),
    gauge(
        "ldap_waiting",
        &["directory"],
        "Callers waiting for a connection of a directory's pool.",
    ),
    counter(
        "ldap_binds_total",
        &["directory", "server"],
        "Bind attempts.",
    ),
    counter(
        "ldap_binds_refused_total",
        &["directory", "server"],
        "Binds that the server refused.",
    ),
    gauge(
        "certificate_expiry_timestamp_seconds",
        &["server"],
        "When the first certificate expires of those that the server showed last; absent without \
         TLS.",
    ),
    counter(
        "ftrack_calls_total",
        &["kind"],
        "Calls to ftrack that read or wrote.",
    ),
    counter(
        "ftrack_retries_total",
        &[],
        "Calls to ftrack that were retried.",
    ),
    gauge(
        "build_info",
        &["version", "commit"],
        "Always 1; the version and commit of the build.",
    ),
    gauge(
        "process_start_time_seconds",
        &[],
        "When the daemon started.",
    ),
    gauge("process_resident_memory_bytes", &[], "Resident memory."),
    gauge("process_open_fds", &[], "Open file descriptors."),
];
