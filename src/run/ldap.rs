//! A run that reads a directory: from the two readings to the writes.

use std::time::Instant;

use super::{
    Progress, Purpose, RunContext, failure::Failure, ldap_work::LdapWork, memory, outcome,
    read_and_plan::PlannedRun, record, saved::SavedPlan,
};
use crate::{
    event::{Event, RunName},
    ftrack,
    ftrack::{session::Until, stopped::WriteStopped, write::WriteLimits},
    model::{
        change::Plan,
        report::{Counts, DirectoryPart, FailureKind, RunPhase},
        user::Current,
    },
    state::{Remembered, State, journal::Journal},
    sync::{
        guard,
        guard::{Approval, Vetted},
    },
};

impl RunContext<'_, LdapWork> {
    /// The whole run.
    pub(super) async fn execute(&mut self, purpose: Purpose, state: &State) -> Result<(), Failure> {
        let remembered = state.remembered(&self.prepared.name, self.session.server())?;
        let worked = self.read_and_plan(&remembered).await?;
        let (plan, mut vetted, approval) = match &purpose {
            Purpose::Sync | Purpose::DryRun => {
                if let Some(fall) = self.fall_of_links(&worked.plan, &remembered) {
                    return Err(Failure::refused(fall));
                }
                let vetted = guard::vet(&worked.plan, self.bounds(&worked.plan, &remembered));
                (worked.plan, vetted, Approval::None)
            }
            Purpose::Approved(saved) => {
                let held_now = guard::vet(&worked.plan, self.bounds(&worked.plan, &remembered));
                let approved = saved
                    .approved(&worked.plan, &held_now)
                    .map_err(Failure::refused)?;
                let vetted = guard::approve(&approved);
                (approved, vetted, Approval::Given)
            }
        };
        let _lock = match self.report.dry_run {
            true => None,
            false => self.look_at_administrators(&mut vetted, approval).await?,
        };
        self.record_plan(&plan, &vetted);
        if self.report.dry_run {
            self.report.outcome = outcome(&self.report.counts);
            return Ok(());
        }
        self.remember(
            state,
            &remembered,
            &plan,
            &worked.current,
            &vetted,
            approval,
        )?;
        let mut counted = memory::deactivations(&self.report.run, &vetted, approval);
        if let Some(written) = &counted {
            // Before they are written, so that a run that is killed counts as well.
            state.count_deactivations(&self.prepared.name, written)?;
        }
        let applied = self.apply(&plan, &vetted, &worked.current).await;
        if let (Some(written), Ok(())) = (&mut counted, &applied) {
            if approval == Approval::None {
                written.number = self.report.counts.deactivated;
            }
            written.is_settled = true;
            state.count_deactivations(&self.prepared.name, written)?;
        }
        applied
    }

    /// Plans, without saving anything.
    pub(super) async fn plan_only(
        &mut self,
        remembered: &Remembered,
    ) -> Result<SavedPlan, Failure> {
        let PlannedRun { mut plan, .. } = self.read_and_plan(remembered).await?;
        plan.warnings.extend(self.fall_of_links(&plan, remembered));
        let vetted = guard::vet(&plan, self.bounds(&plan, remembered));
        Ok(SavedPlan::new(
            &self.prepared.name,
            chrono::Utc::now(),
            &plan,
            &vetted,
        ))
    }

    /// The directory part of the report.
    pub(super) fn directory_part(&mut self) -> &mut DirectoryPart {
        self.report.directory.get_or_insert_default()
    }

    /// Writes the allowed changes, with the old values on disk before the first write.
    async fn apply(
        &mut self,
        plan: &Plan,
        vetted: &Vetted,
        current: &Current,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let changes = vetted.allowed().len();
        let mut stopped = None;
        let mut journal_failed = None;
        if changes > 0 {
            let mut journal = Journal::open(&self.prepared.config.state_dir, &self.report)?;
            let until = Until {
                deadline: self.until.deadline,
                cancel: self.until.cancel.child_token(),
            };
            let limits = WriteLimits {
                batch_size: self.prepared.config.ftrack.batch_size,
                attempts: self.prepared.config.ftrack.attempts,
                until: &until,
            };
            let mut done_so_far = 0;
            let progress = self.progress;
            let reported = &mut self.report.changes;
            let of = RunName {
                job: &self.prepared.name,
                run: &self.report.run,
            };
            stopped = ftrack::write::write(&self.session, vetted, current, limits, |done| {
                done_so_far += done.len();
                progress(Progress::Changes(done_so_far, changes));
                let lines = record::record_results(reported, done, of);
                if let (Err(error), None) = (journal.add(&lines), &journal_failed) {
                    Event::StateFailed {
                        of,
                        error: &error.to_string(),
                    }
                    .emit();
                    journal_failed = Some(error);
                    // Writes from here on would be in no report if the program were killed.
                    until.cancel.cancel();
                }
            })
            .await;
        }
        self.record_phase(RunPhase::Writing, began.elapsed());
        self.report.counts = Counts::of(plan, &self.report.changes);
        self.report.outcome = outcome(&self.report.counts);
        match (stopped, journal_failed) {
            (Some(_), Some(error)) => Err(Failure {
                kind: FailureKind::State,
                why: format!("not everything was written, since results cannot be saved: {error}"),
            }),
            (Some(WriteStopped { why, cause }), None) => Err(Failure {
                kind: cause.into(),
                why: format!("not everything was written: {why}"),
            }),
            (None, _) => Ok(()),
        }
    }
}
