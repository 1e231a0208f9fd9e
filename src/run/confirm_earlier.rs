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
        stored_value::StoredValue,
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
        let mut stored = remembered.stored_otherwise.clone();
        for unconfirmed in journal::unconfirmed(&config.state_dir, job)? {
            let Ok(mut report) = self.history.load(job, &unconfirmed.run) else {
                if self.history.is_without(job, &unconfirmed.run) {
                    // It was removed: nothing can be completed.
                    journal::confirmed(&config.state_dir, job, &unconfirmed.run);
                } else {
                    // That it cannot be read may pass; what its run sent may arrive still.
                    earlier.marks.extend(unconfirmed.run_mark);
                }
                continue;
            };
            if report.ftrack.server != self.reader.server() {
                continue;
            }
            if unknown(&mut report.changes).next().is_some() {
                let confirmed = self.confirm_one(&mut report, &unconfirmed, current).await;
                let Some(values) = confirmed else {
                    // What went wrong stops this run as well, or the next one finds out.
                    continue;
                };
                self.history.keep(&report)?;
                state.add_run(&RunSummary::of(&report), &config.reports)?;
                state.count_written(job, &counted(remembered, &report))?;
                values
                    .iter()
                    .for_each(|(user, value)| stored.add(user.clone(), value));
                let before = &remembered.stored_otherwise;
                state.set_stored_otherwise(job, self.reader.server(), before, &stored)?;
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

    /// Completes one report; returns the values that ftrack stored otherwise, none where the users
    /// could not be read.
    async fn confirm_one(
        &self,
        report: &mut Report,
        unconfirmed: &Unconfirmed,
        current: &Current,
    ) -> Option<Vec<(EntityId, StoredValue)>> {
        let custom_attributes = &current.custom_attributes;
        let ids: BTreeSet<EntityId> = unknown(&mut report.changes)
            .map(|change| change.ftrack_id.clone())
            .collect();
        let ids: Vec<EntityId> = ids.into_iter().collect();
        let seen = states(&self.reader, &ids, custom_attributes, &self.until).await;
        let seen = seen.ok()?;
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
        let mut stored = Vec::new();
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
            for value in unconfirmed::settle(change, now, run) {
                stored.push((change.ftrack_id.clone(), value));
            }
            count(&mut found, change.result);
            Event::EarlierChange { of, change }.emit();
        }
        Event::RunConfirmed { of, found }.emit();
        report.counts.unchanged += so_already(&report.changes) - were_so;
        conclude(report);
        Some(stored)
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
        let may_have_written = |change: &&Reported| change.may_have_written(written.kind);
        let number = report.changes.iter().filter(may_have_written).count();
        Written {
            number: written.number.min(number),
            is_settled: true,
            ..written.clone()
        }
    });
    counted.collect()
}
