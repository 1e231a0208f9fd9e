//! Which job runs when, and what follows from the end of a run. Pure: the time, the jitter and the
//! locked servers are given; the caller executes the decisions.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{
    commands::{CommandError, Wish},
    status::JobPhase,
};
use crate::{
    model::{
        backoff::{Backoff, Retry},
        change_kind::ChangeKind,
        pause::Pause,
        report::{FailureKind, Trigger},
    },
    run::failure::{NoChanges, NotPlannable},
};

mod blocks;
mod job;
mod running;
#[cfg(test)]
mod tests;

use job::Job;
pub use job::RunningJob;

/// The jobs, what each one does, and which one waits for which.
#[derive(Debug, Default)]
pub struct JobTable {
    jobs: BTreeMap<String, Job>,
    parallel: usize,
}

/// The relevant part of a job's configuration.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct JobRules {
    /// What it reads, which determines what may run beside it.
    pub reads: Reads,
    /// Whether runs of it read only what changed.
    pub has_changes: bool,
    /// Whether its directory is watched.
    pub is_watched: bool,
    pub retry: Retry,
    pub time_limit: TimeDelta,
}

/// What a job reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// This directory: one run at a time on each.
    Directory(String),
    /// Only ftrack, which synchronises meanwhile: no other run at the same time, so that each one
    /// reports its own changes.
    Ftrack,
}

impl Reads {
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => one == other,
            (Self::Ftrack, _) | (_, Self::Ftrack) => true,
        }
    }
}

/// The state of a job that survives a restart.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct PersistedJob {
    /// Its failures in a row.
    pub backoff: Option<Backoff>,
    pub pause: Option<Pause>,
    /// The pauses of single kinds of change.
    pub paused_kinds: BTreeMap<ChangeKind, Pause>,
}

/// The result of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickEffect {
    /// The job is to run.
    Wanted,
    /// The job is already running: counted, and logged if it is the first one during this run.
    Skipped {
        /// Whether to log it.
        first: bool,
    },
    /// The job is paused, waits for its retry, or is unknown.
    Ignored,
}

/// A run that is to start now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StartRun {
    pub job: String,
    pub trigger: Trigger,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// Whether a person asked for it.
    pub is_asked: bool,
    /// Whether the job is in an outage that was already reported.
    pub in_outage: bool,
}

/// The relevant part of a run's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum RunEnd<'a> {
    /// It succeeded.
    Well,
    /// It was to read what changed, and there was nothing to do.
    Nothing,
    Failed {
        kind: FailureKind,
        /// The message.
        error: &'a str,
        /// How long the server asked to wait.
        asked: Option<Duration>,
    },
    /// It was stopped on request, which is not a failure.
    Stopped,
    /// It did not start, since another program runs the job.
    Busy,
}

/// What to report about an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutageChange {
    Began(Backoff),
    /// Another kind of failure, or the job is suspended now.
    Changed(Backoff),
    /// It is over.
    Ended(Backoff),
    /// There is none, but another program runs the job.
    Elsewhere,
}

impl JobTable {
    /// Sets the jobs of a configuration: known ones keep their state, and `remembered` has the
    /// state of new ones.
    pub fn set(
        &mut self,
        parallel: usize,
        rules: BTreeMap<String, JobRules>,
        mut remembered: impl FnMut(&str) -> PersistedJob,
    ) {
        self.parallel = parallel.max(1);
        for (name, job) in &mut self.jobs {
            job.retired = !rules.contains_key(name);
            if job.retired {
                job.clear_queue();
            }
        }
        for (name, rules) in rules {
            match self.jobs.get_mut(&name) {
                Some(job) => job.rules = rules,
                None => {
                    let job = Job::new(rules, remembered(&name));
                    self.jobs.insert(name, job);
                }
            }
        }
        self.jobs
            .retain(|_, job| !job.retired || job.running().is_some());
    }

    /// A job is due by its schedule.
    pub fn tick(&mut self, name: &str, now: DateTime<Utc>) -> TickEffect {
        let job = self.jobs.get_mut(name);
        let Some(job) = job.filter(|job| !job.retired && job.pause().is_none()) else {
            return TickEffect::Ignored;
        };
        let retries = job.backoff().and_then(Backoff::retries_at).is_some();
        if retries {
            // It waits for its next attempt, or makes it.
            TickEffect::Ignored
        } else {
            job.tick(now)
        }
    }

    /// What changed is due to be read. It is no loss where the job does anything else: a run that
    /// reads everything finds it as well.
    pub fn tick_changes(&mut self, name: &str, now: DateTime<Utc>) {
        let job = self.jobs.get_mut(name);
        if let Some(job) = job.filter(|job| !job.retired && job.is_quiet())
            && job.backoff().and_then(Backoff::retries_at).is_none()
        {
            job.queue(Trigger::Changes, now);
        }
    }

    /// The directory of a watched job says that something changed; says whether a run follows. A job
    /// that waits for its retry reads everything then.
    pub fn notify_changed(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        let job = self.jobs.get_mut(name);
        let Some(job) = job.filter(|job| !job.retired && job.pause().is_none()) else {
            return false;
        };
        job.backoff().and_then(Backoff::retries_at).is_none() && job.notify_changed(now)
    }

    /// Whether a person paused the job.
    #[must_use]
    pub fn is_paused(&self, name: &str) -> bool {
        self.jobs.get(name).is_some_and(|job| job.pause().is_some())
    }

    /// A missed run is to be made up for, unless the job is paused or waits for its retry anyway.
    pub fn make_up(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        let job = self.jobs.get_mut(name);
        let Some(job) = job.filter(|job| job.is_quiet() && job.backoff().is_none()) else {
            return false;
        };
        job.queue(Trigger::Startup, now);
        true
    }

    /// A person requests a run of a job now: its schedule and its back-off do not matter, but its
    /// pause does. A dry run writes nothing, so a pause does not hold it up either; it does not
    /// replace a scheduled run.
    ///
    /// # Errors
    /// There is no such job, it is already running, or it is paused.
    pub fn trigger(
        &mut self,
        name: &str,
        wish: Wish,
        now: DateTime<Utc>,
    ) -> Result<(), CommandError> {
        if wish != Wish::DryRun {
            self.state(name)?;
        }
        let (job, name_of_it) = (self.job_mut(name)?, name.to_owned());
        if wish == Wish::DryRun && job.rules.reads == Reads::Ftrack {
            let job = name_of_it;
            return Err(CommandError::CannotTell(NotPlannable { job }));
        }
        if wish == Wish::Changes && !job.rules.has_changes {
            let job = name_of_it;
            return Err(CommandError::NoChanges(NoChanges { job }));
        }
        if job.trigger(wish, now) {
            Ok(())
        } else {
            Err(CommandError::AlreadyRunning(name.to_owned()))
        }
    }

    /// Why a person's request for a job is refused.
    ///
    /// # Errors
    /// There is no such job, or it is paused.
    pub fn state(&self, name: &str) -> Result<(), CommandError> {
        let job = self
            .jobs
            .get(name)
            .filter(|job| !job.retired)
            .ok_or_else(|| self.unknown(name))?;
        job.pause().map_or(Ok(()), |pause| {
            Err(CommandError::Paused {
                job: name.to_owned(),
                pause: pause.clone(),
                zone: Tz::UTC,
            })
        })
    }

    /// Drops the run of a job that a person wants, where it has not begun.
    pub fn cancel_trigger(&mut self, name: &str) {
        if let Some(job) = self.jobs.get_mut(name) {
            job.cancel_trigger();
        }
    }

    /// Whether a requested run is queued or in progress.
    #[must_use]
    pub fn is_asked(&self, name: &str) -> bool {
        self.jobs.get(name).is_some_and(Job::is_asked)
    }

    /// Pauses a job: a run in progress continues, a queued one does not start; or of its changes only
    /// one kind, which its runs then do not write.
    ///
    /// # Errors
    /// There is no such job.
    pub fn pause(
        &mut self,
        name: &str,
        only: Option<ChangeKind>,
        pause: Pause,
    ) -> Result<(), CommandError> {
        let job = self.job_mut(name)?;
        match only {
            None => job.block_by_pause(pause),
            Some(kind) => drop(job.paused_kinds.insert(kind, pause)),
        }
        Ok(())
    }

    /// Resumes a job, or of its changes only one kind, and returns its pause.
    ///
    /// # Errors
    /// There is no such job.
    pub fn resume(
        &mut self,
        name: &str,
        only: Option<ChangeKind>,
    ) -> Result<Option<Pause>, CommandError> {
        let job = self.job_mut(name)?;
        Ok(match only {
            None => job.end_pause(),
            Some(kind) => job.paused_kinds.remove(&kind),
        })
    }

    /// The pauses of a job: its own, and those of single kinds of change.
    #[must_use]
    pub fn pauses(&self, name: &str) -> BTreeMap<Option<ChangeKind>, Pause> {
        let Some(job) = self.jobs.get(name) else {
            return BTreeMap::new();
        };
        let kinds = job.paused_kinds.iter();
        let kinds = kinds.map(|(kind, pause)| (Some(*kind), pause.clone()));
        let whole = job.pause().map(|pause| (None, pause.clone()));
        whole.into_iter().chain(kinds).collect()
    }

    /// The jobs, and their kinds of change, whose pause has expired.
    #[must_use]
    pub fn rested(&self, now: DateTime<Utc>) -> Vec<(String, Option<ChangeKind>)> {
        let jobs = self.jobs.iter();
        let pauses = jobs.flat_map(|(name, job)| {
            let of_kinds = job.paused_kinds.iter();
            let of_kinds = of_kinds.map(|(kind, pause)| (Some(*kind), pause));
            let of_job = job.pause().map(|pause| (None, pause));
            let all = of_job.into_iter().chain(of_kinds);
            all.map(move |(only, pause)| (name, only, pause))
        });
        pauses
            .filter(|(_, _, pause)| pause.is_over(now))
            .map(|(name, only, _)| (name.clone(), only))
            .collect()
    }

    /// Queues a run of each job whose next attempt is due.
    pub fn retry(&mut self, now: DateTime<Utc>) {
        for job in self.jobs.values_mut() {
            let is_due = |backoff: &Backoff| backoff.is_due(now, &job.rules.retry);
            if !job.retired && job.is_quiet() && job.backoff().is_some_and(is_due) {
                job.queue(Trigger::Retry, now);
            }
        }
    }

    /// What is tried at a server has changed: a job whose last run failed in one of these ways is
    /// retried at once.
    pub fn hasten(&mut self, name: &str, after: &[FailureKind], now: DateTime<Utc>) {
        let failed_so = |backoff: &Backoff| after.contains(&backoff.kind);
        if let Some(job) = self.jobs.get_mut(name)
            && job.is_quiet()
            && job.backoff().is_some_and(failed_so)
        {
            job.queue(Trigger::Retry, now);
        }
    }

    /// The names of all jobs that the configuration has.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.jobs
            .iter()
            .filter(|(_, job)| !job.retired)
            .map(|(name, _)| name.as_str())
    }

    /// The jobs that are to run by themselves, none of which has failed, is paused or runs.
    pub fn due_without_failures(&self) -> impl Iterator<Item = &str> {
        let is_due = |job: &Job| {
            !job.retired
                && job.pause().is_none()
                && job.backoff().is_none()
                && job.next().is_some()
                && !job.is_asked()
        };
        self.jobs
            .iter()
            .filter(move |(_, job)| is_due(job))
            .map(|(name, _)| name.as_str())
    }

    /// A job's failures in a row.
    #[must_use]
    pub fn backoff(&self, name: &str) -> Option<&Backoff> {
        self.jobs.get(name).and_then(Job::backoff)
    }

    /// The current state of a job.
    #[must_use]
    pub fn standing(&self, name: &str, now: DateTime<Utc>) -> Option<JobState<'_>> {
        let job = self.jobs.get(name)?;
        let put_off = job.put_off(now);
        let elsewhere_since = job.elsewhere_since(now);
        let phase = match (job.running(), job.pause(), job.next(), job.backoff()) {
            (Some(_), ..) => JobPhase::Running,
            (None, Some(_), ..) => JobPhase::Paused,
            (None, None, Some(_), _) if put_off.is_none() => JobPhase::Waiting,
            (None, None, _, Some(backoff)) if backoff.suspended => JobPhase::Suspended,
            // Nothing failed.
            (None, None, Some(_), None) if elsewhere_since.is_some() => JobPhase::Waiting,
            (None, None, Some(_), _) | (None, None, _, Some(_)) => JobPhase::BackingOff,
            (None, None, None, None) => JobPhase::Idle,
        };
        Some(JobState {
            phase,
            underway: job.running(),
            pause: job.pause(),
            paused_kinds: &job.paused_kinds,
            backoff: job.backoff(),
            put_off,
            elsewhere_since,
            ticks_skipped: job.ticks_skipped,
        })
    }

    /// Whether anything is in progress.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.jobs.values().any(|job| job.running().is_some())
    }

    /// Whether it has this job, also when it only waits for the end of its run.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.jobs.contains_key(name)
    }

    /// Whether the configuration has this job.
    ///
    /// # Errors
    /// There is no such job.
    pub fn check_known(&self, name: &str) -> Result<(), CommandError> {
        let known = self.jobs.get(name).is_some_and(|job| !job.retired);
        if known {
            Ok(())
        } else {
            Err(self.unknown(name))
        }
    }

    /// Whether it, or of its changes this kind, can be paused and resumed.
    ///
    /// # Errors
    /// There is no such job, or only ftrack knows what it changes.
    pub fn check_pausable(&self, name: &str, only: Option<ChangeKind>) -> Result<(), CommandError> {
        self.check_known(name)?;
        let job = self.jobs.get(name).filter(|_| only.is_some());
        match job.map(|job| &job.rules.reads) {
            Some(Reads::Ftrack) => Err(CommandError::NoKinds(name.to_owned())),
            Some(Reads::Directory(_)) | None => Ok(()),
        }
    }

    fn job_mut(&mut self, name: &str) -> Result<&mut Job, CommandError> {
        let unknown = self.unknown(name);
        self.jobs
            .get_mut(name)
            .filter(|job| !job.retired)
            .ok_or(unknown)
    }

    /// The error that says which jobs there are.
    #[must_use]
    pub fn unknown(&self, name: &str) -> CommandError {
        CommandError::UnknownJob {
            job: name.to_owned(),
            known: self.names().collect::<Vec<_>>().join(", "),
        }
    }
}

#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct JobState<'a> {
    /// As one word.
    pub phase: JobPhase,
    /// The run in progress.
    pub underway: Option<&'a RunningJob>,
    pub pause: Option<&'a Pause>,
    /// The pauses of single kinds of change.
    pub paused_kinds: &'a BTreeMap<ChangeKind, Pause>,
    /// Its failures in a row.
    pub backoff: Option<&'a Backoff>,
    /// Until when a queued run is delayed.
    pub put_off: Option<DateTime<Utc>>,
    /// Since when a queued run waits for another program that runs the job.
    pub elsewhere_since: Option<DateTime<Utc>>,
    /// Ticks during a run.
    pub ticks_skipped: u64,
}
