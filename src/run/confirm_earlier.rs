//! The reports of earlier runs that do not know every result, since the program was killed or ftrack
//! could not be read back: a run that reads ftrack finds out which of the changes are in effect, before
//! it changes anything itself.

use std::collections::BTreeSet;

use super::{RunContext, failure::Failure, ldap_work::LdapWork, outcome};
use crate::{
    event::{Confirmed, Event, RunName},
    ftrack::{
        unconfirmed::{self, EarlierRun, UserNow},
        user_state::states,
    },
    model::{
        report::{ChangeResult, Counts, Outcome, Report, Reported},
        summary::RunSummary,
        user::{Current, EntityId},
    },
    state::{Remembered, State, Written, journal, journal::Unconfirmed},
};

/// The runs whose results were not all known.
#[derive(Debug, Default)]
pub(super) struct EarlierRuns {
    /// Their marks in the links that they made, or may make still: a call may arrive late.
    pub marks: Vec<String>,
    /// Those whose reports are complete.
    complete: Vec<String>,
    /// Whether a report was completed just now.
    pub is_changed: bool,
}

impl RunContext<'_, LdapWork> {
    /// Completes the reports of earlier runs.
    pub(super) async fn confirm_earlier(
        &self,
        state: &State,
        remembered: &Remembered,
        current: &Current,
    ) -> Result<EarlierRuns, Failure> {
        let (job, config) = (&self.prepared.name, &self.prepared.config);
        let mut earlier = EarlierRuns::default();
        for unconfirmed in journal::unconfirmed(&config.state_dir, job)? {
            let Ok(mut report) = self.history.load(job, &unconfirmed.run) else {
                // It was removed, or is damaged: nothing can be completed.
                journal::confirmed(&config.state_dir, job, &unconfirmed.run);
                continue;
            };
            if report.ftrack.server != self.reader.server() {
                continue;
            }
            if unknown(&mut report.changes).next().is_some() {
                let is_confirmed = self.confirm_one(&mut report, &unconfirmed, current).await;
                if !is_confirmed {
                    // What went wrong stops this run as well, or the next one finds out.
                    continue;
                }
                self.history.keep(&report)?;
                state.add_run(&RunSummary::of(&report), &config.reports)?;
                state.count_written(job, &counted(remembered, &report))?;
                earlier.is_changed = true;
            }
            earlier.marks.extend(unconfirmed.run_mark);
            earlier.complete.push(unconfirmed.run);
        }
        Ok(earlier)
    }

    /// The journals of these runs are of no more use: what they had begun, this one has finished.
    pub(super) fn forget_earlier(&self, earlier: EarlierRuns) {
        for run in earlier.complete {
            let state_dir = &self.prepared.config.state_dir;
            journal::confirmed(state_dir, &self.prepared.name, &run);
        }
    }

    /// Completes one report; false where the users could not be read.
    async fn confirm_one(
        &self,
        report: &mut Report,
        unconfirmed: &Unconfirmed,
        current: &Current,
    ) -> bool {
        let custom_attributes = &current.custom_attributes;
        let ids: BTreeSet<EntityId> = unknown(&mut report.changes)
            .map(|change| change.ftrack_id.clone())
            .collect();
        let ids: Vec<EntityId> = ids.into_iter().collect();
        let seen = states(&self.reader, &ids, custom_attributes, &self.until).await;
        let Ok(seen) = seen else { return false };
        let run = EarlierRun {
            started_at: report.started_at,
            run_mark: unconfirmed.run_mark.as_deref(),
            deactivated_at: unconfirmed.deactivated_at,
            custom_attributes,
        };
        let of = RunName {
            job: &self.prepared.name,
            run: &unconfirmed.run,
        };
        let were_so = so_already(&report.changes);
        let mut found = Confirmed::default();
        for change in unknown(&mut report.changes) {
            let is_there = || {
                let users = &current.users;
                users
                    .binary_search_by(|user| user.id.cmp(&change.ftrack_id))
                    .is_ok()
            };
            let now = match seen.get(&change.ftrack_id) {
                Some(user) => UserNow::Seen(user),
                None if is_there() => UserNow::Odd,
                None => UserNow::Missing,
            };
            unconfirmed::settle(change, now, run);
            count(&mut found, change.result);
            Event::EarlierChange { of, change }.emit();
        }
        Event::RunConfirmed { of, found }.emit();
        report.counts.unchanged += so_already(&report.changes) - were_so;
        conclude(report);
        true
    }
}

/// The changes whose result is not known.
fn unknown(changes: &mut [Reported]) -> impl Iterator<Item = &mut Reported> {
    let is_unknown = |change: &&mut Reported| change.result == ChangeResult::Unconfirmed;
    changes.iter_mut().filter(is_unknown)
}

/// Counts a change whose result is found out.
fn count(found: &mut Confirmed, result: ChangeResult) {
    match result {
        ChangeResult::Applied | ChangeResult::Planned => found.in_effect += 1,
        ChangeResult::Failed | ChangeResult::Held => found.not_in_effect += 1,
        ChangeResult::Unconfirmed => found.unconfirmed += 1,
    }
}

/// How many changes did not have to be written.
fn so_already(changes: &[Reported]) -> usize {
    changes
        .iter()
        .filter(|change| change.is_so_already())
        .count()
}

/// Brings what a report says as a whole in step with its changes.
fn conclude(report: &mut Report) {
    let counts = Counts::of_results(&report.changes);
    report.counts = Counts {
        unchanged: report.counts.unchanged,
        skipped: report.counts.skipped,
        unsettled: report.counts.unsettled,
        ..counts
    };
    let error = report.error.as_deref();
    if error.is_some_and(journal::is_in_the_middle) {
        report.error = Some(journal::in_the_middle(match report.counts.unconfirmed {
            0 => journal::Unknown::Nothing,
            changes => journal::Unknown::ForGood(changes),
        }));
    }
    match report.outcome {
        Outcome::Failed => {}
        Outcome::Succeeded | Outcome::Partial | Outcome::Held => {
            report.outcome = outcome(&report.counts);
        }
    }
}

/// What counts for the limits of a run whose report is complete: what it wrote, and what it may have
/// written.
fn counted(remembered: &Remembered, report: &Report) -> Vec<Written> {
    let of_run = remembered
        .written
        .iter()
        .filter(|written| written.run == report.run);
    let counted = of_run.map(|written| {
        let is_written = |change: &&Reported| {
            let may_be = matches!(
                change.result,
                ChangeResult::Applied | ChangeResult::Unconfirmed
            );
            may_be && change.is_of(written.kind)
        };
        let number = report.changes.iter().filter(is_written).count();
        Written {
            number: written.number.min(number),
            is_settled: true,
            ..written.clone()
        }
    });
    counted.collect()
}
