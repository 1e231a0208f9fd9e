//! What clients and signals want: at once where it can be decided at once, and otherwise when what
//! it depends on is known or saved.

use std::collections::BTreeMap;

use super::{
    Core, Effect,
    effect::{Command, Notice, Reply, RequestId, Write},
    persist::Then,
    watchers::Watcher,
};
use crate::{
    daemon::commands::{CommandError, Wish},
    model::{change_kind::ChangeKind, pause::Pause},
    state::Paused,
};

/// A trigger that waits for fingerprints.
#[derive(Debug)]
pub(super) struct ParkedTrigger {
    from: Option<RequestId>,
    job: String,
    /// None where somebody only looks, beside the runs.
    wish: Option<Wish>,
}

impl Core {
    pub(super) fn on_command(&mut self, from: Option<RequestId>, command: Command) {
        match command {
            Command::Trigger { job, wish } => {
                let wish = Some(wish);
                self.trigger(ParkedTrigger { from, job, wish });
            }
            Command::Look { job } => {
                let wish = None;
                self.trigger(ParkedTrigger { from, job, wish });
            }
            Command::TriggerAll => {
                let jobs: Vec<String> = self.jobs.names().map(str::to_owned).collect();
                let (from, wish) = (None, Some(Wish::Run));
                for job in jobs {
                    self.trigger(ParkedTrigger { from, job, wish });
                }
            }
            Command::Pause { job, only, pause } => self.pause(from, job, only, pause),
            Command::Resume { job, only } => self.resume(from, job, only),
            Command::Reload => self.reload(),
        }
    }

    /// Where a server refused credentials, whether there are others by now is looked up first.
    fn trigger(&mut self, trigger: ParkedTrigger) {
        let servers = self.configuration.servers_of(&trigger.job);
        if self.stopping || !servers.iter().any(|server| self.is_suspect(server)) {
            self.decide_trigger(trigger);
        } else {
            self.fingerprints.wait(trigger);
            self.compute_fingerprints();
        }
    }

    pub(super) fn decide_trigger(&mut self, trigger: ParkedTrigger) {
        let ParkedTrigger { from, job, wish } = trigger;
        let zone = self.configuration.zone_of(&job);
        let accepted = self
            .accept_trigger(&job, wish)
            .map_err(|error| error.in_zone(zone));
        match (from, accepted) {
            (Some(to), Ok(())) => {
                let reply = Ok(Reply::Accepted);
                self.effect(Effect::Reply { to, reply });
                if wish.is_some() {
                    self.watchers.insert(job, Watcher::new(to));
                }
            }
            (Some(to), Err(error)) => self.effect(Effect::Reply {
                to,
                reply: Err(error),
            }),
            (None, Ok(())) => {}
            (None, Err(error)) => self.notice(Notice::TriggerRefused {
                job,
                error: error.to_string(),
            }),
        }
    }

    fn accept_trigger(&mut self, job: &str, wish: Option<Wish>) -> Result<(), CommandError> {
        if self.stopping {
            return Err(CommandError::Stopping);
        }
        let now = self.now.time;
        if let Some(locked) = self.lockouts.locked_out(&self.credentials_of(job), now) {
            return Err(locked.into());
        }
        match wish {
            Some(wish) => self.jobs.trigger(job, wish, now),
            // Whether there is such a job is known where it is read.
            None => Ok(()),
        }
    }

    /// A pause is saved, since it outlasts a restart, or not done.
    fn pause(
        &mut self,
        from: Option<RequestId>,
        job: String,
        only: Option<ChangeKind>,
        pause: Pause,
    ) {
        match self.jobs.check_pausable(&job, only) {
            Ok(()) => {
                let write = Write::Pause(job.clone(), only, Some(pause.clone()));
                let then = Then::Pause {
                    from,
                    job,
                    only,
                    pause,
                };
                self.persist_then(write, then);
            }
            Err(error) => self.reply_error(from, error),
        }
    }

    /// A job that was not paused stays as it is.
    fn resume(&mut self, from: Option<RequestId>, job: String, only: Option<ChangeKind>) {
        match self.jobs.check_pausable(&job, only) {
            Ok(()) => {
                let write = Write::Pause(job.clone(), only, None);
                self.persist_then(write, Then::Resume { from, job, only });
            }
            Err(error) => self.reply_error(from, error),
        }
    }

    pub(super) fn pause_saved(
        &mut self,
        from: Option<RequestId>,
        job: String,
        only: Option<ChangeKind>,
        pause: Pause,
    ) {
        match self.jobs.pause(&job, only, pause.clone()) {
            Ok(()) => {
                self.notice(Notice::JobPaused {
                    job: job.clone(),
                    only,
                    pause,
                });
                self.reply_job(from, job);
            }
            Err(error) => self.reply_error(from, error),
        }
    }

    pub(super) fn resume_saved(
        &mut self,
        from: Option<RequestId>,
        job: String,
        only: Option<ChangeKind>,
    ) {
        match self.jobs.resume(&job, only) {
            Ok(pause) => {
                if pause.is_some() {
                    let job = job.clone();
                    self.notice(Notice::JobResumed { job, only });
                }
                self.reply_job(from, job);
            }
            Err(error) => self.reply_error(from, error),
        }
    }

    /// Pauses that are over by themselves: a full disk does not prolong them, since they are over
    /// after a restart as well.
    pub(super) fn end_expired_pauses(&mut self) {
        for (job, only) in self.jobs.rested(self.now.time) {
            // A pause that is being saved is not to be overwritten by the end of the one before.
            if self.writes.pauses(&job) {
                continue;
            }
            self.persist(Write::Pause(job.clone(), only, None));
            if let Ok(Some(_)) = self.jobs.resume(&job, only) {
                self.notice(Notice::JobResumed { job, only });
            }
        }
    }

    /// Takes over the pauses, and their ends, that another process saved. What is being saved here is
    /// not overwritten by what was read before.
    pub(super) fn on_pauses_saved(&mut self, saved: BTreeMap<String, Paused>) {
        let now = self.now.time;
        for (job, Paused { job: whole, kinds }) in saved {
            if self.writes.pauses(&job) {
                continue;
            }
            let kinds = kinds.into_iter().map(|(kind, pause)| (Some(kind), pause));
            let all = whole.map(|pause| (None, pause)).into_iter().chain(kinds);
            let saved: BTreeMap<Option<ChangeKind>, Pause> =
                all.filter(|(_, pause)| !pause.is_over(now)).collect();
            let known = self.jobs.pauses(&job);
            for only in known.keys().filter(|only| !saved.contains_key(only)) {
                self.resume_saved(None, job.clone(), *only);
            }
            for (only, pause) in saved {
                if known.get(&only) != Some(&pause) {
                    self.pause_saved(None, job.clone(), only, pause);
                }
            }
        }
    }

    /// A run did not begin, since the job was paused meanwhile.
    pub(super) fn run_paused(&mut self, job: &str, pause: Pause) {
        let is_known = self.jobs.pauses(job).get(&None) == Some(&pause);
        // What is being saved here is done when it is saved.
        if !is_known && !self.writes.pauses(job) {
            self.pause_saved(None, job.to_owned(), None, pause);
        }
    }

    fn reply_job(&mut self, from: Option<RequestId>, job: String) {
        if let Some(to) = from {
            let reply = Ok(Reply::Job(job));
            self.effect(Effect::Reply { to, reply });
        }
    }

    pub(super) fn reply_error(&mut self, from: Option<RequestId>, error: CommandError) {
        if let Some(to) = from {
            let reply = Err(error);
            self.effect(Effect::Reply { to, reply });
        }
    }
}
