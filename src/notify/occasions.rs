//! What people are told of a run: what is new in it, compared with the run before.

use std::{collections::BTreeSet, ops::ControlFlow, path::Path};

use super::ended::{Ended, not_done};
use crate::{
    model::{
        occasion::Occasion,
        open_hold::OpenHold,
        report::{FailureKind, Outcome, Trigger},
        summary::RunSummary,
    },
    state::{
        database::{Holds, all_holds, each_run},
        history::History,
    },
};

/// What is known of a job before a run.
#[derive(Debug, Default)]
pub struct Before {
    /// Whether the last run failed.
    pub failed: bool,
    /// What was not made in it.
    pub not_done: BTreeSet<u64>,
}

/// Whether a run counts as the one before another: those that a person stopped, those that a
/// person made of single holds, and those that refused a person's plan, say nothing of the job.
pub fn counts(run: &RunSummary) -> bool {
    let says_nothing = matches!(
        run.error_kind,
        Some(FailureKind::Stopped | FailureKind::PlanRefused)
    );
    run.trigger.is_regular() && !run.dry_run && !says_nothing
}

/// What is known of a job before this run of it, or now. What cannot be read is not known.
pub fn before(state_dir: &Path, job: &str, ended: Option<&Ended>) -> Before {
    let run = ended.map(|ended| ended.summary.run.as_str());
    let mut found = None;
    let is_earlier = |other: &RunSummary| run.is_none_or(|run| other.run.as_str() < run);
    let mut look = |other: RunSummary| {
        if other.job == job && is_earlier(&other) && counts(&other) {
            found = Some(other);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    // The run itself says what failed; this only keeps it from being told again.
    let _ = each_run(state_dir, &mut look);
    let Some(last) = found else {
        return Before::default();
    };
    // A report may be long, and most runs need not be compared.
    let is_compared = ended.is_some_and(|ended| !ended.not_done.is_empty());
    let report = is_compared.then(|| History::new(state_dir).load(&last.job, &last.run));
    let report = report.and_then(Result::ok);
    Before {
        failed: last.outcome == Outcome::Failed,
        not_done: report
            .iter()
            .flat_map(not_done)
            .map(|not_done| not_done.key)
            .collect(),
    }
}

/// Those of the holds that a run opened for which a person has to decide.
pub fn waiting(state_dir: &Path, ended: &Ended) -> Vec<OpenHold> {
    if ended.opened.is_empty() {
        return Vec::new();
    }
    let mut holds = open_holds(state_dir, &ended.summary.job);
    holds.retain(|hold| ended.opened.contains(&hold.hold) && hold.held_by.waits_for_a_person());
    holds
}

/// The holds of a job that are open; what cannot be read is not known.
pub fn open_holds(state_dir: &Path, job: &str) -> Vec<OpenHold> {
    let mut holds = match all_holds(state_dir) {
        Ok(Holds::Known(holds)) => holds,
        Ok(Holds::Unusable) | Err(_) => Vec::new(),
    };
    holds.retain(|hold| hold.job == job && hold.ended.is_none());
    holds
}

/// What is told of a run, the most urgent first.
#[must_use]
pub fn of_run(ended: &Ended, before: &Before, is_waiting: bool) -> Vec<Occasion> {
    let run = &ended.summary;
    let has_failed = run.outcome == Outcome::Failed;
    // Who approves or undoes something sees how it ended.
    let is_regular = counts(run);
    let is_new = |occasion: &Occasion| match occasion {
        Occasion::Failed => is_regular && has_failed && !before.failed,
        Occasion::Recovered => is_regular && !has_failed && before.failed,
        Occasion::Held => is_waiting,
        Occasion::Partial => {
            is_regular && !has_failed && (run.alarm || new(ended, before).next().is_some())
        }
        Occasion::Changes => run.counts.changed() > 0,
        Occasion::Digest => false,
    };
    if run.dry_run {
        return Vec::new();
    }
    Occasion::ALL.into_iter().filter(is_new).collect()
}

/// What was not made, and was not the same in the run before.
pub fn new<'e>(
    ended: &'e Ended,
    before: &'e Before,
) -> impl Iterator<Item = &'e super::ended::NotDone> {
    let all = ended.not_done.iter();
    all.filter(|not_done| !before.not_done.contains(&not_done.key))
}

/// Whether a run shows that its job is alive: it was for everybody, and did not fail.
#[must_use]
pub fn is_alive(run: &RunSummary) -> bool {
    let is_of_everybody = match run.trigger {
        Trigger::Schedule | Trigger::Manual | Trigger::Startup | Trigger::Retry => true,
        Trigger::Changes
        | Trigger::Watch
        | Trigger::Approval
        | Trigger::Link
        | Trigger::Release
        | Trigger::Undo
        | Trigger::Restore => false,
    };
    is_of_everybody && !run.for_some && !run.dry_run && run.outcome != Outcome::Failed
}
