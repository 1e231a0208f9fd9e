//! The end of a run: its report is saved.

use chrono::Utc;

use super::{RunContext, approval, failure::Failure, only};
use crate::{
    event::Event,
    model::{
        report::{FailureKind, Outcome, Report, Trigger},
        summary::RunSummary,
    },
    state::{State, files::StateError, journal},
};

impl<W> RunContext<'_, W> {
    /// Saves the report; it is on disk before the journal is removed. A report that cannot be saved
    /// is returned all the same, and says so.
    pub(super) fn finish(mut self, ended: Result<(), Failure>, state: &State) -> Report {
        if let Err(Failure { kind, why }) = ended {
            self.report.outcome = Outcome::Failed;
            self.report.error = Some(why);
            self.report.error_kind = Some(kind);
            self.report.retry_after = self.reader.asked_to_wait().map(|asked| asked.as_secs());
        }
        if self.report.trigger == Trigger::Approval && self.report.error.is_none() {
            let (outcome, error) = approval::outcome(&self.report);
            self.report.outcome = outcome;
            self.report.error_kind = error.as_ref().map(|_| FailureKind::Refused);
            self.report.error = error;
        }
        self.record_calls();
        only::access::settle(&mut self.report);
        // Where it cannot be read, saving the run fails as well, and says so.
        let open = state.open_holds(&self.report.job).unwrap_or_default();
        (self.report.open_holds, self.report.oldest_hold) = open;
        self.report.last_hold = state.last_hold().unwrap_or_default();
        self.report.finished_at = Utc::now();
        let config = &self.prepared.config;
        match self.history.keep(&self.report) {
            Ok(_) if self.report.counts.unconfirmed > 0 => {
                let (job, run) = (&self.prepared.name, &self.report.run);
                let ended = Some(self.clocks());
                journal::keep_unsettled(&config.state_dir, job, run, ended);
            }
            Ok(_) => journal::remove(&config.state_dir, &self.prepared.name, &self.report.run),
            Err(error) => {
                let error = self.log_state_failure(&error);
                self.report.outcome = Outcome::Failed;
                self.report.error_kind.get_or_insert(FailureKind::State);
                let before = self
                    .report
                    .error
                    .take()
                    .map(|before| format!("{before}; "))
                    .unwrap_or_default();
                self.report.error = Some(format!(
                    "{before}this report could not be saved: \
                    {error}"
                ));
            }
        }
        // The report is valid without it, and the next process to open the database adds it.
        if let Err(error) = state.end_run(&RunSummary::of(&self.report), &config.reports) {
            self.log_state_failure(&error);
        }
        Event::RunFinished(&self.report).emit();
        self.report
    }

    /// Logs that something about this run cannot be saved, and returns why.
    pub(super) fn log_state_failure(&self, error: &StateError) -> String {
        let error = error.to_string();
        Event::StateFailed {
            of: self.name(),
            error: &error,
        }
        .emit();
        error
    }
}
