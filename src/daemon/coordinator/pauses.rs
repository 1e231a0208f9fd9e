//! Jobs that are told to wait, and to go on; kept over a restart, or not done.

use super::Coordinator;
use crate::{
    daemon::{commands::CommandError, status::JobStatus},
    event::daemon::DaemonEvent,
    model::pause::Pause,
};

impl Coordinator {
    /// Lets a job wait.
    pub(super) async fn pause(
        &mut self,
        job: &str,
        pause: Pause,
    ) -> Result<JobStatus, CommandError> {
        self.job_status(job)?;
        let (name, kept) = (job.to_owned(), pause.clone());
        self.save(move |state| state.set_pause(&name, Some(&kept)))
            .await
            .map_err(CommandError::NotKept)?;
        self.job_table.pause(job, pause.clone())?;
        DaemonEvent::JobPaused { job, pause: &pause }.emit();
        self.job_status(job)
    }

    /// Lets a job go on; one that was not paused stays as it is.
    pub(super) async fn resume(&mut self, job: &str) -> Result<JobStatus, CommandError> {
        self.job_status(job)?;
        let name = job.to_owned();
        let forgotten = self.save(move |state| state.set_pause(&name, None)).await;
        forgotten.map_err(CommandError::NotKept)?;
        if self.job_table.resume(job)?.is_some() {
            DaemonEvent::JobResumed { job }.emit();
        }
        self.job_status(job)
    }

    /// Pauses that are over by themselves: a full disk does not prolong them, since they are over
    /// after a restart as well.
    pub(super) async fn end_expired_pauses(&mut self, now: chrono::DateTime<chrono::Utc>) {
        for job in self.job_table.rested(now) {
            let name = job.clone();
            let _ = self.save(move |state| state.set_pause(&name, None)).await;
            if let Ok(Some(_)) = self.job_table.resume(&job) {
                DaemonEvent::JobResumed { job: &job }.emit();
            }
        }
    }
}
