//! Lowers the level of repeated events: the progress of a run while a reported outage lasts, and
//! messages that the previous run has logged in the same words.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::{Builtin, Event};
use crate::model::report::{ChangeResult, Outcome, Report, Reported};

tokio::task_local! {
    static QUIET: AlreadyLogged;
}

/// What is logged at DEBUG.
#[derive(Debug, Clone, Default)]
pub struct AlreadyLogged {
    /// Whether the run is another attempt in an outage.
    pub outage: OutageLogged,
    /// The messages of the previous run.
    pub known: Arc<LoggedBefore>,
}

/// Whether a run is another attempt in an outage that was reported when it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutageLogged {
    /// It is not: everything about the run is logged.
    #[default]
    Over,
    /// It is: its progress, its end if it fails again, and retries of ftrack calls are logged at
    /// DEBUG.
    Lasts,
}

/// The skipped entries, warnings, and held or failed changes that a job has logged; 8 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoggedBefore(HashSet<u64>);

/// Runs a future whose events are lowered; those of tasks that it spawns are not.
pub async fn without_repeats<F: Future>(quiet: AlreadyLogged, work: F) -> F::Output {
    QUIET.scope(quiet, work).await
}

/// Whether the current run has to lower this event.
pub(super) fn is_repeat(event: &Event<'_>) -> bool {
    QUIET
        .try_with(|quiet| quiet.suppresses(event))
        .unwrap_or(false)
}

impl AlreadyLogged {
    fn suppresses(&self, event: &Event<'_>) -> bool {
        let lasts = self.outage == OutageLogged::Lasts;
        match event {
            Event::RunStarted { .. }
            | Event::DirectoryRead { .. }
            | Event::FtrackRead { .. }
            | Event::FtrackRetried { .. }
            | Event::RunPlanned { .. }
            | Event::Builtin {
                what: Builtin::Started(_) | Builtin::Finished(..),
                ..
            } => lasts,
            Event::RunFinished(report) => lasts && report.outcome == Outcome::Failed,
            Event::EntrySkipped { dn, reason, .. } => {
                self.known.0.contains(&of_skipped(dn, reason))
            }
            Event::RunWarning { warning, .. } => self.known.0.contains(&of_warning(warning)),
            Event::Change { change, .. } => {
                stays(change) && self.known.0.contains(&of_change(change))
            }
            Event::ProgramFailed { .. }
            | Event::StateFailed { .. }
            | Event::StateSetAside(_)
            | Event::EarlierChange { .. }
            | Event::Hold { .. }
            | Event::RunConfirmed { .. }
            | Event::RunRecovered(_)
            | Event::NothingChanged { .. } => false,
            Event::Builtin {
                what: Builtin::Alarm(_),
                ..
            } => false,
        }
    }
}

impl LoggedBefore {
    /// What is known after another run of the job: what that run has logged. A run without a plan
    /// has logged none of these, so that the earlier state is kept over an outage.
    #[must_use]
    pub fn after(self: &Arc<Self>, report: &Report) -> Arc<Self> {
        let says_nothing =
            report.skipped.is_empty() && report.warnings.is_empty() && report.changes.is_empty();
        if report.outcome == Outcome::Failed && says_nothing {
            return Arc::clone(self);
        }
        let skipped = report
            .skipped
            .iter()
            .map(|skipped| of_skipped(&skipped.dn, &skipped.reason));
        let warnings = report.warnings.iter().map(|warning| of_warning(warning));
        let changes = report
            .changes
            .iter()
            .filter(|change| stays(change))
            .map(of_change);
        Arc::new(Self(skipped.chain(warnings).chain(changes).collect()))
    }
}

fn of_skipped(dn: &str, reason: &str) -> u64 {
    mark(("skipped", dn, reason))
}

fn of_warning(warning: &str) -> u64 {
    mark(("warning", warning))
}

/// Whether the next run finds the same change again as long as nobody acts.
fn stays(change: &Reported) -> bool {
    matches!(
        change.result,
        ChangeResult::Held | ChangeResult::Failed | ChangeResult::Unsettled
    )
}

fn of_change(change: &Reported) -> u64 {
    mark((
        change.result.as_str(),
        change.action.as_str(),
        &change.username,
        &change.dn,
        &change.directory_id,
        super::change::values(change),
        &change.error,
    ))
}

fn mark(said: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    said.hash(&mut hasher);
    hasher.finish()
}
