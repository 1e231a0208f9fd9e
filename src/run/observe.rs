//! The end of a run of a job that only observes.

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    event::Event,
    model::{
        report::{Observed, Outcome},
        user::Current,
    },
    state::{Remembered, State, files::StateError},
    sync::{became::became, decision::Plan, guard::Vetted},
};

impl RunContext<'_, LdapWork> {
    /// Reports what would be written, and what became of that in the observing run before. Later runs
    /// know for how long people have been missing, and nothing else: whatever they might take for
    /// written or approved stays as it was.
    pub(super) fn observe(
        &mut self,
        state: &State,
        remembered: &Remembered,
        (plan, vetted): (&Plan<'_>, &Vetted),
        current: &Current,
    ) -> Result<(), Failure> {
        self.report.observed = Some(self.observed_since(state, current)?);
        self.record_plan(plan, vetted);
        self.remember_absences(state, remembered, plan)?;
        self.report.outcome = Outcome::Succeeded;
        Ok(())
    }

    /// What became of what the observing run before would have done.
    fn observed_since(&self, state: &State, current: &Current) -> Result<Observed, StateError> {
        let job = &self.prepared.name;
        let Some(before) = state.last_observed(job)?.map(|before| before.run) else {
            return Ok(Observed::default());
        };
        match self.history.load(job, &before) {
            Ok(report) => Ok(Observed {
                run: Some(before),
                changes: became(&report.changes, current),
            }),
            // Without it there is nothing to compare with, and nothing else depends on it.
            Err(error) => {
                Event::StateFailed {
                    of: self.name(),
                    error: &error.to_string(),
                }
                .emit();
                Ok(Observed::default())
            }
        }
    }
}
