//! Jobs that are told to wait, and to go on; kept over a restart, or not done.

use super::Coordinator;
use crate::{
    daemon::{orders::Refusal, pause::Pause, status::JobStatus},
    event::daemon::DaemonEvent,
};

impl Coordinator {
    /// Lets a job wait.
    pub(super) async fn pause(&mut self, job: &str, pause: Pause) -> Result<JobStatus, Refusal> {
        self.job_status(job)?;
        let (name, kept) = (job.to_owned(), pause.clone());
        self.keep(move |state| state.set_pause(&name, Some(&kept)))
            .await
            .map_err(Refusal::NotKept)?;
        self.roster.pause(job, pause.clone())?;
        DaemonEvent::JobPaused { job, pause: &pause }.emit();
        self.job_status(job)
    }

    /// Lets a job go on; one that was not paused stays as it is.
    pub(super) async fn resume(&mut self, job: &str) -> Result<JobStatus, Refusal> {
        self.job_status(job)?;
        let name = job.to_owned();
        let forgotten = self.keep(move |state| state.set_pause(&name, None)).await;
        forgotten.map_err(Refusal::NotKept)?;
        if self.roster.resume(job)?.is_some() {
            DaemonEvent::JobResumed { job }.emit();
        }
        self.job_status(job)
    }

    /// Pauses that are over by themselves: a full disk does not prolong them, since they are over
    /// after a restart as well.
    pub(super) async fn end_pauses(&mut self, now: chrono::DateTime<chrono::Utc>) {
        for job in self.roster.rested(now) {
            let name = job.clone();
            let _ = self.keep(move |state| state.set_pause(&name, None)).await;
            if let Ok(Some(_)) = self.roster.resume(&job) {
                DaemonEvent::JobResumed { job: &job }.emit();
            }
        }
    }
}
