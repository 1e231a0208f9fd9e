//! Every log event: its name, level, fields and message. The only user of the tracing macros.

use std::time::Duration;

use tracing::Level;

use crate::{
    escape::escape_control,
    model::{
        report::{ChangeResult, Outcome, Report, Reported, Trigger},
        set_aside::SetAside,
    },
};

/// Like tracing's own macros, with a level that is only known at run time.
macro_rules! say {
    ($level:expr, $($said:tt)+) => {
        match $level {
            Level::ERROR => tracing::error!($($said)+),
            Level::WARN => tracing::warn!($($said)+),
            Level::INFO => tracing::info!($($said)+),
            _ => tracing::debug!($($said)+),
        }
    };
}

mod builtin;
mod change;
pub mod daemon;
mod hold;
pub mod notification;
pub mod program;
mod repeats;
pub mod web;

pub use builtin::{Builtin, BuiltinAlarm};
pub use hold::HoldEvent;
pub use repeats::{AlreadyLogged, LoggedBefore, OutageLogged, without_repeats};

/// A log event.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Event<'a> {
    /// The program cannot do what it was asked to, for one of these reasons.
    ProgramFailed {
        /// The error message.
        error: &'a str,
    },
    RunStarted {
        of: RunName<'a>,
        /// Whether nothing is to be written.
        dry_run: bool,
        /// What started it.
        trigger: Trigger,
    },
    /// The directory was read completely.
    DirectoryRead {
        of: RunName<'a>,
        /// The URL of the server.
        server: &'a str,
        /// Entries that were read.
        entries: usize,
        took: Duration,
    },
    /// ftrack was read.
    FtrackRead {
        of: RunName<'a>,
        /// Users that were read.
        users: usize,
        took: Duration,
    },
    /// A call to ftrack failed with a temporary error, and is retried.
    FtrackRetried {
        /// The run; its names are empty when no run makes the call.
        of: RunName<'a>,
        /// The error.
        trouble: &'a str,
        /// The delay before the retry.
        delay: Duration,
        logged: RetryLogged,
    },
    /// The plan is complete.
    RunPlanned {
        of: RunName<'a>,
        dry_run: bool,
        /// Changes that may be written.
        changes: usize,
        /// Changes that are held.
        held: usize,
        /// Skipped entries.
        skipped: usize,
    },
    /// Something about ftrack's own synchronisation.
    Builtin {
        of: RunName<'a>,
        what: Builtin<'a>,
    },
    /// A numbered hold began or ended, or a person decided about it.
    Hold {
        of: RunName<'a>,
        what: HoldEvent<'a>,
    },
    /// The result of one change.
    Change {
        of: RunName<'a>,
        change: &'a Reported,
    },
    /// The result of a change of an earlier run, now that it is found out.
    EarlierChange {
        of: RunName<'a>,
        change: &'a Reported,
    },
    /// The results of an earlier run that its report did not know are found out.
    RunConfirmed {
        of: RunName<'a>,
        found: Confirmed,
    },
    /// An entry was skipped.
    EntrySkipped {
        of: RunName<'a>,
        dn: &'a str,
        reason: &'a str,
    },
    RunWarning {
        of: RunName<'a>,
        warning: &'a str,
    },
    /// A run ended.
    RunFinished(&'a Report),
    /// A run's report, results or counts cannot be saved.
    StateFailed {
        of: RunName<'a>,
        error: &'a str,
    },
    /// The state database was damaged; it was set aside and recreated.
    StateSetAside(&'a SetAside),
    /// An interrupted run got its report.
    RunRecovered(RunName<'a>),
    /// A reading of what changed found nothing to do, and is no run.
    NothingChanged {
        job: &'a str,
    },
}

/// How many changes of an earlier run, whose results its report did not know, turned out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Confirmed {
    /// Also by another run, which reports them.
    pub in_effect: usize,
    /// The next run that writes does what is left of them.
    pub not_in_effect: usize,
    /// A call may still arrive, or it cannot be found out.
    pub unconfirmed: usize,
}

/// Whether the same run has logged a retry for the same cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryLogged {
    /// It has not.
    Not,
    /// It has: the number of all is logged at its end.
    Before,
}

/// A job and one of its runs.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct RunName<'a> {
    pub job: &'a str,
    /// The run's id.
    pub run: &'a str,
}

/// The fields of an event about a change that was not written, or is not known to be.
const OF_AN_UNWRITTEN_CHANGE: &[&str] = &[
    "job",
    "run",
    "action",
    "username",
    "dn",
    "directory_id",
    "ftrack_id",
    "reason",
    "cause",
    "fields",
    "error",
];

/// Every event's name with its fields beyond `timestamp`, `level`, `event` and `message`; log
/// monitors rely on these.
pub const EVENTS: &[(&str, &str, &[&str])] = &[
    ("program.failed", "ERROR", &["error"]),
    (
        "run.started",
        "INFO; DEBUG during an outage",
        &["job", "run", "dry_run", "trigger"],
    ),
    (
        "directory.read",
        "INFO; DEBUG during an outage",
        &["job", "run", "server", "entries", "seconds"],
    ),
    (
        "ftrack.read",
        "INFO; DEBUG during an outage",
        &["job", "run", "users", "seconds"],
    ),
    (
        "ftrack.retried",
        "WARN once for each cause in a run, else DEBUG; DEBUG during an outage",
        &["job", "run", "trouble", "seconds"],
    ),
    (
        "run.planned",
        "INFO; DEBUG during an outage",
        &["job", "run", "dry_run", "changes", "held", "skipped"],
    ),
    (
        "builtin.started",
        "INFO; DEBUG during an outage",
        &["job", "run", "server_job", "status"],
    ),
    (
        "builtin.finished",
        "INFO; DEBUG during an outage",
        &["job", "run", "server_job", "status", "text", "seconds"],
    ),
    (
        "builtin.alarm",
        "ERROR",
        &[
            "job",
            "run",
            "active",
            "deactivated",
            "deactivate_limit",
            "renamed",
            "rename_limit",
        ],
    ),
    (
        "change.applied",
        "INFO",
        &[
            "job",
            "run",
            "action",
            "username",
            "dn",
            "directory_id",
            "ftrack_id",
            "reason",
            "cause",
            "fields",
            "work",
            "note",
        ],
    ),
    (
        "change.held",
        "WARN, INFO when a later run writes it by itself; DEBUG when the previous run logged the same",
        &[
            "job",
            "run",
            "action",
            "username",
            "dn",
            "directory_id",
            "ftrack_id",
            "reason",
            "cause",
            "fields",
            "work",
            "error",
        ],
    ),
    (
        "change.failed",
        "ERROR; DEBUG when the previous run logged the same, or a later run found it out",
        OF_AN_UNWRITTEN_CHANGE,
    ),
    (
        "change.unsettled",
        "WARN; DEBUG when the previous run logged the same",
        OF_AN_UNWRITTEN_CHANGE,
    ),
    ("change.unconfirmed", "ERROR", OF_AN_UNWRITTEN_CHANGE),
    (
        "hold.opened",
        "WARN, INFO when a later run writes it by itself",
        &["job", "run", "hold", "held_by", "kind", "changes"],
    ),
    (
        "hold.closed",
        "INFO",
        &["job", "run", "hold", "held_by", "kind", "ended_by"],
    ),
    (
        "hold.rejected",
        "INFO",
        &["job", "run", "hold", "held_by", "kind", "people", "by"],
    ),
    (
        "hold.unrejected",
        "INFO",
        &["job", "run", "hold", "people", "by"],
    ),
    (
        "entry.skipped",
        "WARN; DEBUG when the previous run logged the same",
        &["job", "run", "dn", "reason"],
    ),
    (
        "run.warning",
        "WARN; DEBUG when the previous run logged the same",
        &["job", "run", "warning"],
    ),
    (
        "run.finished",
        "INFO, WARN when partial or held, ERROR when failed; DEBUG when failed during an outage",
        &[
            "job",
            "run",
            "dry_run",
            "outcome",
            "error",
            "seconds",
            "created",
            "updated",
            "deactivated",
            "reactivated",
            "adopted",
            "role_changes",
            "group_changes",
            "unchanged",
            "skipped",
            "held",
            "failed",
            "unconfirmed",
            "ftrack_retries",
        ],
    ),
    ("state.failed", "ERROR", &["job", "run", "error"]),
    ("state.set_aside", "WARN", &["path", "error"]),
    ("run.recovered", "WARN", &["job", "run"]),
    ("changes.none", "DEBUG", &["job"]),
    (
        "run.confirmed",
        "WARN",
        &["job", "run", "in_effect", "not_in_effect", "unconfirmed"],
    ),
];

impl Event<'_> {
    /// The level at which it is logged: see [`quietly`].
    fn level(&self) -> Level {
        if repeats::is_repeat(self) {
            return Level::DEBUG;
        }
        match self {
            Self::RunStarted { .. }
            | Self::DirectoryRead { .. }
            | Self::FtrackRead { .. }
            | Self::RunPlanned { .. } => Level::INFO,
            Self::Builtin { what, .. } => what.level(),
            Self::Hold { what, .. } => what.level(),
            Self::FtrackRetried {
                logged: RetryLogged::Before,
                ..
            }
            | Self::NothingChanged { .. } => Level::DEBUG,
            Self::FtrackRetried {
                logged: RetryLogged::Not,
                ..
            }
            | Self::EntrySkipped { .. }
            | Self::RunWarning { .. }
            | Self::RunRecovered(_)
            | Self::RunConfirmed { .. }
            | Self::StateSetAside(_) => Level::WARN,
            Self::ProgramFailed { .. } | Self::StateFailed { .. } => Level::ERROR,
            // A run that was killed did not fail to write what the next one writes.
            Self::EarlierChange { change, .. } if change.result == ChangeResult::Failed => {
                Level::DEBUG
            }
            Self::Change { change, .. } | Self::EarlierChange { change, .. } => match change.result
            {
                ChangeResult::Applied | ChangeResult::Planned | ChangeResult::Rejected => {
                    Level::INFO
                }
                ChangeResult::Held if !change.waits_for_a_person() => Level::INFO,
                ChangeResult::Held | ChangeResult::Unsettled => Level::WARN,
                ChangeResult::Failed | ChangeResult::Unconfirmed => Level::ERROR,
            },
            Self::RunFinished(report) => match report.outcome {
                Outcome::Succeeded => Level::INFO,
                Outcome::Partial | Outcome::Held => Level::WARN,
                Outcome::Failed => Level::ERROR,
            },
        }
    }

    /// Logs the event once.
    pub fn emit(self) {
        let level = self.level();
        match self {
            Self::ProgramFailed { error } => {
                say!(level, event = "program.failed", error = %escape_control(error), "stopped")
            }
            Self::RunStarted {
                of,
                dry_run,
                trigger,
            } => emit_started(level, of, dry_run, trigger),
            Self::DirectoryRead {
                of: RunName { job, run },
                server,
                entries,
                took,
            } => {
                say!(
                    level,
                    event = "directory.read",
                    job,
                    run,
                    server,
                    entries,
                    seconds = took.as_secs_f64(),
                    "directory read completely"
                );
            }
            Self::FtrackRead {
                of: RunName { job, run },
                users,
                took,
            } => {
                say!(
                    level,
                    event = "ftrack.read",
                    job,
                    run,
                    users,
                    seconds = took.as_secs_f64(),
                    "ftrack read"
                );
            }
            Self::FtrackRetried {
                of: RunName { job, run },
                trouble,
                delay,
                logged: _,
            } => {
                let trouble = escape_control(trouble);
                say!(level, event = "ftrack.retried", job, run, %trouble, seconds = delay.as_secs_f64(), "retrying a call to ftrack");
            }
            Self::RunPlanned {
                of: RunName { job, run },
                dry_run,
                changes,
                held,
                skipped,
            } => {
                say!(
                    level,
                    event = "run.planned",
                    job,
                    run,
                    dry_run,
                    changes,
                    held,
                    skipped,
                    "planned"
                );
            }
            Self::Builtin { of, what } => what.emit(level, of),
            Self::Hold { of, what } => what.emit(level, of),
            Self::Change { of, change } | Self::EarlierChange { of, change } => {
                change::emit(level, of, change)
            }
            Self::EntrySkipped {
                of: RunName { job, run },
                dn,
                reason,
            } => {
                let (dn, reason) = (escape_control(dn), escape_control(reason));
                say!(level, event = "entry.skipped", job, run, %dn, %reason, "entry skipped");
            }
            Self::RunWarning {
                of: RunName { job, run },
                warning,
            } => {
                let warning = escape_control(warning);
                say!(level, event = "run.warning", job, run, %warning, "worth knowing");
            }
            Self::RunFinished(report) => emit_finished(level, report),
            Self::StateFailed {
                of: RunName { job, run },
                error,
            } => {
                let error = escape_control(error);
                say!(level, event = "state.failed", job, run, %error, "state not saved");
            }
            Self::StateSetAside(set_aside) => emit_set_aside(level, set_aside),
            Self::NothingChanged { job } => emit_nothing_changed(level, job),
            Self::RunRecovered(RunName { job, run }) => say!(
                level,
                event = "run.recovered",
                job,
                run,
                "{}",
                was_interrupted(run)
            ),
            Self::RunConfirmed { of, found } => emit_confirmed(level, of, found),
        }
    }
}

fn emit_started(level: Level, RunName { job, run }: RunName<'_>, dry_run: bool, trigger: Trigger) {
    say!(
        level,
        event = "run.started",
        job,
        run,
        dry_run,
        trigger = trigger.as_str(),
        "run started"
    );
}

/// What is said of a run that was interrupted, now that its report is saved.
#[must_use]
pub fn was_interrupted(run: &str) -> String {
    format!("the run {run} was interrupted; `runs show {run}` shows its report")
}

fn emit_confirmed(level: Level, RunName { job, run }: RunName<'_>, found: Confirmed) {
    let Confirmed {
        in_effect,
        not_in_effect,
        unconfirmed,
    } = found;
    say!(
        level,
        event = "run.confirmed",
        job,
        run,
        in_effect,
        not_in_effect,
        unconfirmed,
        "the report of run {run} is complete now"
    );
}

fn emit_nothing_changed(level: Level, job: &str) {
    say!(
        level,
        event = "changes.none",
        job,
        "nothing changed in the directory that concerns the users"
    );
}

fn emit_set_aside(level: Level, set_aside: &SetAside) {
    let (path, error) = (set_aside.path.display().to_string(), set_aside.to_string());
    let (path, error) = (escape_control(&path), escape_control(&error));
    say!(
        level,
        event = "state.set_aside",
        %path,
        %error,
        "damaged state database set aside and recreated"
    );
}

fn emit_finished(level: Level, report: &Report) {
    let Report {
        job,
        run,
        dry_run,
        outcome,
        counts,
        ..
    } = report;
    let (job, run, outcome) = (job.as_str(), run.as_str(), outcome.as_str());
    let seconds = report
        .finished_at
        .signed_duration_since(report.started_at)
        .as_seconds_f64()
        .max(0.0);
    let error = escape_control(report.error.as_deref().unwrap_or_default());
    say!(
        level,
        event = "run.finished",
        job,
        run,
        dry_run,
        outcome,
        %error,
        seconds,
        created = counts.created,
        updated = counts.updated,
        deactivated = counts.deactivated,
        reactivated = counts.reactivated,
        adopted = counts.adopted,
        role_changes = counts.role_changes,
        group_changes = counts.group_changes,
        unchanged = counts.unchanged,
        skipped = counts.skipped,
        held = counts.held,
        failed = counts.failed,
        unconfirmed = counts.unconfirmed,
        ftrack_retries = report.ftrack.retries,
        "run finished"
    );
}
