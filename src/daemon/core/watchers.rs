//! Those who triggered a run, and are told of it: that it has to wait, how it ended, or that it
//! will not begin.

use super::{Core, Effect, effect::RequestId};
use crate::daemon::{
    commands::{CommandError, RunUpdate},
    job_table::StartRun,
};

/// One who triggered a run.
#[derive(Debug)]
pub(super) struct Watcher {
    to: RequestId,
    /// Whether it was told that the run has to wait.
    told_to_wait: bool,
}

impl Watcher {
    pub(super) fn new(to: RequestId) -> Self {
        Self {
            to,
            told_to_wait: false,
        }
    }
}

impl Core {
    /// Who is told of a run that begins: whoever triggered it, and nobody else.
    pub(super) fn watcher_of(&self, start: &StartRun) -> Option<RequestId> {
        let watcher = self.watchers.get(&start.job).filter(|_| start.is_asked);
        watcher.map(|watcher| watcher.to)
    }

    /// Tells those whose runs have not begun that they have to wait, or, when their runs will not
    /// begin any more, why not.
    pub(super) fn send_updates(&mut self) {
        // Whoever waits while the daemon stops is told of the stop, whatever else is wrong.
        if !self.stopping {
            self.end_locked_waits();
        }
        let mut never_run = Vec::new();
        for (job, watcher) in &mut self.watchers {
            if self.runs.contains_key(job) {
                continue;
            }
            if self.stopping || !self.jobs.is_asked(job) {
                never_run.push(job.clone());
            } else if !std::mem::replace(&mut watcher.told_to_wait, true) {
                self.effects.push(Effect::Update {
                    to: watcher.to,
                    update: RunUpdate::Waiting,
                });
            }
        }
        for job in never_run {
            let why = if self.stopping {
                Err(CommandError::Stopping)
            } else {
                self.jobs.state(&job)
            };
            let error = why.err().map_or_else(
                || "it will not run".to_owned(),
                |refusal| refusal.to_string(),
            );
            self.send_last(&job, RunUpdate::Ended { error });
        }
    }

    /// Ends the wait for runs whose servers refused the credentials meanwhile: each attempt that is
    /// allowed is the probe's, so such a run might wait for as long as they are wrong.
    fn end_locked_waits(&mut self) {
        let waiting = self.watchers.keys();
        let waiting: Vec<String> = waiting
            .filter(|job| !self.runs.contains_key(*job) && self.jobs.is_asked(job))
            .cloned()
            .collect();
        for job in waiting {
            let servers = self.configuration.servers_of(&job);
            if servers.iter().any(|server| self.is_unknown(server)) {
                continue;
            }
            let credentials = self.credentials_of(&job);
            if let Some(locked) = self.lockouts.locked_out(&credentials, self.now.time) {
                let error = CommandError::from(locked).to_string();
                self.jobs.cancel_trigger(&job);
                self.send_last(&job, RunUpdate::Ended { error });
            }
        }
    }

    /// Another program runs the job, so that the run which was told to have started has to wait
    /// after all.
    pub(super) fn waits_again(&mut self, job: &str) {
        if let Some(watcher) = self.watchers.get_mut(job) {
            watcher.told_to_wait = false;
        }
    }

    /// Tells the one who triggered a run how it ended.
    pub(super) fn send_last(&mut self, job: &str, update: RunUpdate) {
        if let Some(Watcher { to, .. }) = self.watchers.remove(job) {
            self.effect(Effect::LastUpdate { to, update });
        }
    }
}
