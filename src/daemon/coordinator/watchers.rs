//! Those who triggered a run, and hear of it: that it has to wait, how it ended, or that it will
//! not begin.

use std::time::Duration;

use tokio::sync::mpsc;

use super::Coordinator;
use crate::{
    daemon::{
        commands::{CommandError, RunUpdate},
        job_table::StartRun,
    },
    model::report::Trigger,
};

/// How long one who reads slowly has to take the last word.
const LAST_UPDATE_LIMIT: Duration = Duration::from_secs(10);

/// One who triggered a run.
#[derive(Debug)]
pub(super) struct Watcher {
    to: mpsc::Sender<RunUpdate>,
    /// Whether it knows that the run has to wait.
    knows_of_waiting: bool,
}

impl Watcher {
    /// One who has heard nothing yet.
    pub(super) fn new(to: mpsc::Sender<RunUpdate>) -> Self {
        Self {
            to,
            knows_of_waiting: false,
        }
    }
}

impl Coordinator {
    /// The one who hears of a run that begins: whoever triggered it, and nobody else.
    pub(super) fn watch(&self, start: &StartRun) -> Option<mpsc::Sender<RunUpdate>> {
        let listener = self
            .watchers
            .get(&start.job)
            .filter(|_| start.trigger == Trigger::Manual);
        listener.map(|listener| listener.to.clone())
    }

    /// Tells those whose runs have not begun that they have to wait, or, when their runs will not
    /// begin any more, why not.
    pub(super) fn send_updates(&mut self) {
        let mut in_vain = Vec::new();
        for (job, listener) in &mut self.watchers {
            if self.active_runs.contains_key(job) {
                continue;
            }
            if self.stopping || !self.job_table.is_asked(job) {
                in_vain.push(job.clone());
            } else if !std::mem::replace(&mut listener.knows_of_waiting, true) {
                // One who does not listen any more is no error.
                let _ = listener.to.try_send(RunUpdate::Waiting);
            }
        }
        for job in in_vain {
            let why = if self.stopping {
                Err(CommandError::Stopping)
            } else {
                self.job_table.standing_order(&job)
            };
            let error = why.err().map_or_else(
                || "it will not run".to_owned(),
                |refusal| refusal.to_string(),
            );
            self.send_last(&job, RunUpdate::Ended { error });
        }
    }

    /// Another program runs the job, so that the run which was told to have started has to wait
    /// after all.
    pub(super) fn send_waiting_again(&mut self, job: &str) {
        if let Some(listener) = self.watchers.get_mut(job) {
            listener.knows_of_waiting = false;
        }
    }

    /// Tells the one who triggered a run how it ended; whoever does not listen any more keeps
    /// nobody waiting.
    pub(super) fn send_last(&mut self, job: &str, told: RunUpdate) {
        if let Some(Watcher { to, .. }) = self.watchers.remove(job) {
            tokio::spawn(async move { to.send_timeout(told, LAST_UPDATE_LIMIT).await });
        }
    }
}
