//! Every event that leaves the program: its name, level, fields and words. The only user of the tracing macros.

pub mod daemon;

use std::time::Duration;

use crate::{
    printable::printable,
    run::{
        report::{ChangeResult, Report, Reported},
        state::SetAside,
    },
};

/// Something that happened, as logs tell it.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The program cannot do what it was asked to, for one of these reasons.
    ProgramFailed {
        /// What went wrong, in words.
        error: &'a str,
    },
    /// A run began.
    RunStarted(RunName<'a>),
    /// The directory was read completely.
    DirectoryRead {
        /// The run.
        of: RunName<'a>,
        /// Which server was read.
        server: &'a str,
        /// Entries that were read.
        entries: usize,
        /// How long it took.
        took: Duration,
    },
    /// ftrack was read.
    FtrackRead {
        /// The run.
        of: RunName<'a>,
        /// Users that were read.
        users: usize,
        /// How long it took.
        took: Duration,
    },
    /// A call to ftrack failed in a way that passes, and is tried again.
    FtrackRetried {
        /// What went wrong, in words.
        trouble: &'a str,
        /// How long it waits first.
        delay: Duration,
    },
    /// The plan is made.
    RunPlanned {
        /// The run.
        of: RunName<'a>,
        /// Changes that may be written.
        changes: usize,
        /// Changes that are held.
        held: usize,
        /// Entries that were left out.
        skipped: usize,
    },
    /// What became of one change.
    Change {
        /// The run.
        of: RunName<'a>,
        /// The change with its result.
        change: &'a Reported,
    },
    /// An entry was left out.
    EntrySkipped {
        /// The run.
        of: RunName<'a>,
        /// The entry's DN.
        dn: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// Something a person should know.
    RunWarning {
        /// The run.
        of: RunName<'a>,
        /// What.
        warning: &'a str,
    },
    /// A run ended.
    RunFinished(&'a Report),
    /// A run's report, results or figures cannot be kept.
    StateFailed {
        /// The run.
        of: RunName<'a>,
        /// What went wrong, in words.
        error: &'a str,
    },
    /// The state database was damaged; it was set aside, and made anew.
    StateSetAside(&'a SetAside),
    /// A run that was cut off before got its report.
    RunRecovered(RunName<'a>),
}

/// A job and one run of it.
#[derive(Debug, Clone, Copy)]
pub struct RunName<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The run's id.
    pub run: &'a str,
}

/// Every event's name with its fields beyond `timestamp`, `level`, `event` and `message`; log monitors build on these.
pub const EVENTS: &[(&str, &str, &[&str])] = &[
    ("program.failed", "ERROR", &["error"]),
    ("run.started", "INFO", &["job", "run"]),
    ("directory.read", "INFO", &["job", "run", "server", "entries", "seconds"]),
    ("ftrack.read", "INFO", &["job", "run", "users", "seconds"]),
    ("ftrack.retried", "WARN", &["trouble", "seconds"]),
    ("run.planned", "INFO", &["job", "run", "changes", "held", "skipped"]),
    (
        "change.applied",
        "INFO",
        &["job", "run", "action", "username", "dn", "directory_id", "ftrack_id"],
    ),
    (
        "change.held",
        "WARN",
        &["job", "run", "action", "username", "dn", "directory_id", "ftrack_id", "error"],
    ),
    (
        "change.failed",
        "ERROR",
        &["job", "run", "action", "username", "dn", "directory_id", "ftrack_id", "error"],
    ),
    ("entry.skipped", "WARN", &["job", "run", "dn", "reason"]),
    ("run.warning", "WARN", &["job", "run", "warning"]),
    (
        "run.finished",
        "INFO, WARN when partial or held, ERROR when failed",
        &[
            "job",
            "run",
            "outcome",
            "error",
            "seconds",
            "created",
            "updated",
            "deactivated",
            "reactivated",
            "adopted",
            "unchanged",
            "skipped",
            "held",
            "failed",
        ],
    ),
    ("state.failed", "ERROR", &["job", "run", "error"]),
    ("state.set_aside", "WARN", &["path", "error"]),
    ("run.recovered", "WARN", &["job", "run"]),
];

impl Event<'_> {
    /// Says the event once, to whoever listens.
    pub fn emit(self) {
        match self {
            Self::ProgramFailed { error } => {
                let error = printable(error);
                tracing::error!(event = "program.failed", %error, "stopped");
            }
            Self::RunStarted(RunName { job, run }) => tracing::info!(event = "run.started", job, run, "run started"),
            Self::DirectoryRead {
                of: RunName { job, run },
                server,
                entries,
                took,
            } => {
                tracing::info!(
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
                tracing::info!(event = "ftrack.read", job, run, users, seconds = took.as_secs_f64(), "ftrack read");
            }
            Self::FtrackRetried { trouble, delay } => {
                let trouble = printable(trouble);
                tracing::warn!(event = "ftrack.retried", %trouble, seconds = delay.as_secs_f64(), "ftrack is asked again");
            }
            Self::RunPlanned {
                of: RunName { job, run },
                changes,
                held,
                skipped,
            } => {
                tracing::info!(event = "run.planned", job, run, changes, held, skipped, "planned");
            }
            Self::Change { of, change } => emit_change(of, change),
            Self::EntrySkipped {
                of: RunName { job, run },
                dn,
                reason,
            } => {
                let (dn, reason) = (printable(dn), printable(reason));
                tracing::warn!(event = "entry.skipped", job, run, %dn, %reason, "entry left out");
            }
            Self::RunWarning {
                of: RunName { job, run },
                warning,
            } => {
                let warning = printable(warning);
                tracing::warn!(event = "run.warning", job, run, %warning, "worth knowing");
            }
            Self::RunFinished(report) => emit_finished(report),
            Self::StateFailed {
                of: RunName { job, run },
                error,
            } => {
                let error = printable(error);
                tracing::error!(event = "state.failed", job, run, %error, "state not kept");
            }
            Self::StateSetAside(set_aside) => emit_set_aside(set_aside),
            Self::RunRecovered(RunName { job, run }) => tracing::warn!(event = "run.recovered", job, run, "a run that was cut off got its report"),
        }
    }
}

fn emit_change(RunName { job, run }: RunName<'_>, change: &Reported) {
    let action = change.action.as_str();
    let (username, dn) = (printable(&change.username), printable(change.dn.as_deref().unwrap_or_default()));
    let (directory_id, ftrack_id) = (&*change.directory_id, change.ftrack_id.as_str());
    let error = printable(change.error.as_deref().unwrap_or_default());
    match change.result {
        ChangeResult::Applied => tracing::info!(event = "change.applied", job, run, action, %username, %dn, directory_id, ftrack_id, "changed"),
        ChangeResult::Held => tracing::warn!(event = "change.held", job, run, action, %username, %dn, directory_id, ftrack_id, %error, "held"),
        ChangeResult::Failed => tracing::error!(event = "change.failed", job, run, action, %username, %dn, directory_id, ftrack_id, %error, "not applied"),
        ChangeResult::Planned => {}
    }
}

fn emit_set_aside(set_aside: &SetAside) {
    let (path, error) = (set_aside.path.display().to_string(), set_aside.to_string());
    let (path, error) = (printable(&path), printable(&error));
    tracing::warn!(event = "state.set_aside", %path, %error, "damaged state set aside, and made anew");
}

fn emit_finished(report: &Report) {
    use crate::run::report::Outcome;
    let Report { job, run, outcome, counts, .. } = report;
    let (job, run, outcome_word) = (job.as_str(), run.as_str(), outcome.as_str());
    let seconds = report.finished_at.signed_duration_since(report.started_at).as_seconds_f64();
    let error = printable(report.error.as_deref().unwrap_or_default());
    macro_rules! finished {
        ($level:ident) => {
            tracing::$level!(
                event = "run.finished",
                job,
                run,
                outcome = outcome_word,
                %error,
                seconds,
                created = counts.created,
                updated = counts.updated,
                deactivated = counts.deactivated,
                reactivated = counts.reactivated,
                adopted = counts.adopted,
                unchanged = counts.unchanged,
                skipped = counts.skipped,
                held = counts.held,
                failed = counts.failed,
                "run finished"
            )
        };
    }
    match outcome {
        Outcome::Succeeded => finished!(info),
        Outcome::Partial | Outcome::Held => finished!(warn),
        Outcome::Failed => finished!(error),
    }
}
