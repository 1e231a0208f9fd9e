//! The reports of runs that were interrupted.

use chrono::Utc;

use super::{CompiledJob, failure::RunStartError};
use crate::{
    event::{Event, RunName},
    model::summary::RunSummary,
    state::{
        State,
        files::StateError,
        history::{History, HistoryError},
        journal,
        journal::SavedReport,
        lock::JobLock,
    },
};

impl CompiledJob {
    /// Makes the reports of interrupted runs of this job, when none is in progress, and returns these
    /// runs.
    ///
    /// # Errors
    /// A run of this job is in progress, or the state directory cannot be used.
    pub fn recover_interrupted(&self, state: &State) -> Result<Vec<String>, RunStartError> {
        let _lock = JobLock::take(&self.config.state_dir, &self.name)?;
        Ok(self.recover(&History::new(&self.config.state_dir), state)?)
    }

    /// Makes the reports of interrupted runs.
    pub(super) fn recover(
        &self,
        history: &History,
        state: &State,
    ) -> Result<Vec<String>, StateError> {
        let (job, retention) = (&self.name, &self.config.reports);
        let state_dir = &self.config.state_dir;
        let saved = |run: &str| match history.summary(job, run) {
            Ok(summary) => SavedReport::Unconfirmed(summary.counts.unconfirmed),
            Err(HistoryError::Damaged { .. }) => SavedReport::None,
            Err(_) if history.is_without(job, run) => SavedReport::None,
            Err(_) => SavedReport::Unreadable,
        };
        let mut interrupted = Vec::new();
        for mut report in journal::recover(state_dir, job, saved)? {
            report.finished_at = Utc::now();
            history.keep(&report)?;
            state.add_run(&RunSummary::of(&report), retention)?;
            if report.counts.unconfirmed > 0 {
                // No run has looked since, and when it ended is not known.
                journal::keep_unsettled(state_dir, job, &report.run, None);
            } else {
                journal::remove(state_dir, job, &report.run);
            }
            Event::RunRecovered(RunName {
                job,
                run: &report.run,
            })
            .emit();
            interrupted.push(report.run);
        }
        Ok(interrupted)
    }
}
