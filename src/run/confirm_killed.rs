//! The reports of killed runs: a run that reads ftrack finds out which of the changes whose results
//! are not known are in effect, before it changes anything itself.

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    ftrack::{
        killed::{self, KilledRun},
        user_state::states,
    },
    model::{
        change_kind::ChangeKind,
        report::{ChangeResult, Counts, Report, Reported},
        summary::RunSummary,
        user::{Current, EntityId},
    },
    state::{Remembered, State, journal, journal::Unconfirmed},
};

impl RunContext<'_, LdapWork> {
    /// Completes the reports of killed runs.
    pub(super) async fn confirm_killed(
        &self,
        state: &State,
        remembered: &Remembered,
        current: &Current,
    ) -> Result<(), Failure> {
        let (job, config) = (&self.prepared.name, &self.prepared.config);
        for killed in journal::unconfirmed(&config.state_dir, job)? {
            let Ok(mut report) = self.history.load(job, &killed.run) else {
                // It was removed, or is damaged: nothing can be completed.
                journal::confirmed(&config.state_dir, job, &killed.run);
                continue;
            };
            if report.ftrack.server != self.reader.server() {
                continue;
            }
            let is_confirmed = self
                .confirm_one(&mut report, &killed, remembered, current)
                .await;
            if !is_confirmed {
                // What went wrong stops this run as well, or the next one finds out.
                continue;
            }
            self.history.keep(&report)?;
            state.add_run(&RunSummary::of(&report), &config.reports)?;
            journal::confirmed(&config.state_dir, job, &killed.run);
        }
        Ok(())
    }

    /// Completes one report; false where the users could not be read.
    async fn confirm_one(
        &self,
        report: &mut Report,
        killed: &Unconfirmed,
        remembered: &Remembered,
        current: &Current,
    ) -> bool {
        let custom_attributes = &current.custom_attributes;
        let ids: Vec<EntityId> = unknown(&mut report.changes)
            .map(|change| change.ftrack_id.clone())
            .collect();
        let seen = states(&self.reader, &ids, custom_attributes, &self.until).await;
        let Ok(seen) = seen else { return false };
        let deactivations = remembered
            .written
            .iter()
            .find(|written| written.run == killed.run && written.kind == ChangeKind::Deactivate);
        let run = KilledRun {
            run_mark: killed.run_mark.as_deref(),
            deactivated_at: deactivations.map(|written| written.since),
            custom_attributes,
        };
        for change in unknown(&mut report.changes) {
            let user = seen.get(&change.ftrack_id);
            killed::settle(change, user, run);
        }
        if report
            .error
            .as_deref()
            .is_some_and(journal::is_in_the_middle)
        {
            report.error = Some(journal::in_the_middle(0));
        }
        report.counts = Counts {
            unchanged: report.counts.unchanged,
            skipped: report.counts.skipped,
            unsettled: report.counts.unsettled,
            ..Counts::of_results(&report.changes)
        };
        true
    }
}

/// The changes whose result is not known.
fn unknown(changes: &mut [Reported]) -> impl Iterator<Item = &mut Reported> {
    let is_unknown = |change: &&mut Reported| change.result == ChangeResult::Unconfirmed;
    changes.iter_mut().filter(is_unknown)
}
