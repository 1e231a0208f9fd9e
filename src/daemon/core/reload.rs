//! The configuration: what the daemon starts with, and what it is told to load anew.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    ADJUSTED, Core, Effect,
    configuration::Loaded,
    effect::{Counter, Notice, Notification, Persisted},
};
use crate::{daemon::setup::FTRACK, model::report::FailureKind};

impl Core {
    /// What is done once, at the start.
    pub(super) fn on_start(&mut self, persisted: Persisted) {
        let now = self.now.time;
        self.use_configuration(persisted);
        let ended = self.last_runs.values().filter_map(|past| past.run.as_ref());
        if let Some(ahead) = ended.map(|last| last.finished_at - now).max() {
            self.notice_leap((-ahead).min(TimeDelta::zero()));
        }
        let missed: Vec<String> = self
            .jobs
            .names()
            .filter(|job| self.was_missed(job, now))
            .map(str::to_owned)
            .collect();
        for job in missed {
            if self.jobs.make_up(&job, now) {
                self.notice(Notice::RunMissed(job));
            }
        }
        self.correct_lockouts_after_clock_change();
        self.compute_fingerprints();
        self.start_probes();
        self.effect(Effect::Notify(Notification::Ready));
        self.notice(Notice::Started(self.configuration.loaded().jobs.len()));
    }

    /// Takes over what the configuration says, with what is remembered of jobs that are new.
    fn use_configuration(&mut self, persisted: Persisted) {
        let Persisted {
            mut jobs,
            last_runs,
            error,
        } = persisted;
        if let Some(error) = error {
            self.log_state_failure(&error);
        }
        for (job, runs) in last_runs {
            // Of a job that is known already, the daemon knows more.
            if !self.jobs.has(&job) {
                self.last_runs.insert(job, runs);
            }
        }
        let loaded = self.configuration.loaded();
        let changed: Vec<String> = loaded
            .servers
            .iter()
            .filter(|server| self.readiness.is_otherwise(&server.name, server.access))
            .map(|server| server.name.clone())
            .collect();
        let rules = loaded
            .jobs
            .iter()
            .map(|(name, job)| (name.clone(), job.rules.clone()))
            .collect();
        self.jobs.set(loaded.parallel_runs, rules, |job| {
            jobs.remove(job).unwrap_or_default()
        });
        self.readiness.set(
            loaded
                .servers
                .iter()
                .map(|server| (server.name.clone(), server.access)),
        );
        for server in changed {
            let after = if server == FTRACK {
                [FailureKind::FtrackRefused, FailureKind::Ftrack]
            } else {
                [FailureKind::DirectoryRefused, FailureKind::Directory]
            };
            self.retry_now(&server, &after);
        }
    }

    pub(super) fn reload(&mut self) {
        if !self.stopping && self.configuration.reload() {
            self.effect(Effect::Notify(Notification::Reloading));
            self.effect(Effect::LoadConfiguration);
        }
    }

    pub(super) fn on_loaded(&mut self, loaded: Result<(Loaded, Persisted), String>) {
        if self.stopping {
            return;
        }
        match loaded {
            Ok((loaded, persisted)) => {
                let restart_for = loaded.restart_for.join(", ");
                self.configuration.use_loaded(loaded);
                self.use_configuration(persisted);
                self.renew_watches();
                self.fingerprints.forget_all();
                self.compute_fingerprints();
                self.start_probes();
                self.effect(Effect::UseConfiguration);
                self.notice(Notice::ConfigReloaded(restart_for));
            }
            Err(error) => {
                self.effect(Effect::Count(Counter::ReloadFailed));
                let error = error.lines().collect::<Vec<_>>().join("; ");
                self.configuration.refuse(error.clone());
                self.notice(Notice::ConfigRefused(error));
            }
        }
        self.effect(Effect::Notify(Notification::Ready));
        if self.configuration.reload_ended() {
            self.reload();
        }
    }

    /// Whether the schedule asked for a run since the last one, while no daemon was there.
    fn was_missed(&self, job: &str, now: DateTime<Utc>) -> bool {
        let configured = self.configuration.job(job).filter(|job| job.catch_up);
        let Some(schedule) = configured.and_then(|job| job.schedule.as_ref()) else {
            return false;
        };
        match self.last_runs.get(job).and_then(|past| past.run.as_ref()) {
            // A run that was told to stop, or cut off, did not do what it was there for.
            Some(last) if last.error_kind == Some(FailureKind::Stopped) => true,
            // A clock that was ahead then says nothing about what was missed since.
            Some(last) if last.started_at - now > ADJUSTED => true,
            Some(last) => schedule.missed_since(last.started_at, now),
            None => false,
        }
    }
}
