//! Which job is to run when, and what follows from how a run ended. Pure: the time, the jitter and
//! what is barred are given; whoever asks does what is decided.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{backoff::Backoff, commands::CommandError, pause::Pause, status::JobPhase};
use crate::{
    config::Retry,
    run::{
        failure::NotPlannable,
        report::{FailureKind, Trigger},
    },
};

mod blocks;
mod job;
mod running;
#[cfg(test)]
mod tests;

use job::Job;
pub use job::RunningJob;

/// The jobs, what each one does, and who waits for whom.
#[derive(Debug, Default)]
pub struct JobTable {
    jobs: BTreeMap<String, Job>,
    parallel: usize,
}

/// What the configuration says of a job that matters here.
#[derive(Debug, Clone)]
pub struct JobRules {
    /// What it reads, and so beside what it may run.
    pub reads: Reads,
    /// How failed runs are repeated.
    pub retry: Retry,
    /// How long a run may take.
    pub time_limit: TimeDelta,
}

/// What a job reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reads {
    /// This directory: one run at a time on each.
    Directory(String),
    /// ftrack alone, which synchronises by itself meanwhile: no other run at the same time, so that
    /// each one reports its own changes.
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

/// What is remembered of a job over a restart.
#[derive(Debug, Clone, Default)]
pub struct PersistedJob {
    /// Its failures in a row.
    pub backoff: Option<Backoff>,
    /// Its pause.
    pub pause: Option<Pause>,
}

/// What becomes of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickEffect {
    /// The job is to run.
    Wanted,
    /// The job is at work already: counted, and to be said when it is the first one during this
    /// run.
    Skipped {
        /// Whether to say it.
        first: bool,
    },
    /// The job is paused, failed and waits for its next attempt, or is unknown.
    Ignored,
}

/// A run that is to begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRun {
    /// The job.
    pub job: String,
    /// What starts it.
    pub trigger: Trigger,
    /// Whether it is to write nothing.
    pub dry_run: bool,
    /// Whether the job is in an outage that was said already.
    pub in_outage: bool,
}

/// How a run ended, as far as it matters for what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd<'a> {
    /// It came to its end.
    Well,
    /// It failed.
    Failed {
        /// Which kind of failure it was.
        kind: FailureKind,
        /// In words.
        error: &'a str,
    },
    /// It was told to stop: nobody's failure.
    Stopped,
    /// It did not begin, since another program runs the job.
    Busy,
}

/// What is to be said of an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutageChange {
    /// It began.
    Began(Backoff),
    /// Another kind of failure, or the job is suspended now.
    Changed(Backoff),
    /// It is over.
    Ended(Backoff),
    /// There is none, but another program runs the job.
    Elsewhere,
}

impl JobTable {
    /// Takes the jobs of a configuration: known ones keep what they do, and `remembered` tells
    /// about new ones.
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

    /// A job's schedule says that it is to run.
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

    /// A run that was missed while nobody watched is to be made up for, unless the job is paused or
    /// waits for its next attempt anyway.
    pub fn make_up(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        let job = self.jobs.get_mut(name);
        let Some(job) = job.filter(|job| job.is_quiet() && job.backoff().is_none()) else {
            return false;
        };
        job.queue(Trigger::Startup, now);
        true
    }

    /// A person wants a run of a job now: neither its schedule nor its back-off matters, but its
    /// pause does. A dry run takes nothing from what the schedule wants.
    ///
    /// # Errors
    /// There is no such job, it is at work already, or it is paused.
    pub fn trigger(
        &mut self,
        name: &str,
        dry_run: bool,
        now: DateTime<Utc>,
    ) -> Result<(), CommandError> {
        self.standing_order(name)?;
        let job = self.job_mut(name)?;
        if dry_run && job.rules.reads == Reads::Ftrack {
            return Err(CommandError::CannotTell(NotPlannable {
                job: name.to_owned(),
            }));
        }
        if job.trigger(dry_run, now) {
            Ok(())
        } else {
            Err(CommandError::AlreadyRunning(name.to_owned()))
        }
    }

    /// Why nothing that a person wants of a job is done.
    ///
    /// # Errors
    /// There is no such job, or it is paused.
    pub fn standing_order(&self, name: &str) -> Result<(), CommandError> {
        let job = self
            .jobs
            .get(name)
            .filter(|job| !job.retired)
            .ok_or_else(|| self.unknown(name))?;
        job.pause().map_or(Ok(()), |pause| {
            Err(CommandError::Paused {
                job: name.to_owned(),
                pause: pause.clone(),
            })
        })
    }

    /// Whether a run that a person wanted is still to come, or under way.
    #[must_use]
    pub fn is_asked(&self, name: &str) -> bool {
        self.jobs.get(name).is_some_and(Job::is_asked)
    }

    /// Lets a job wait; a run that is under way goes on, one that waits for its turn does not
    /// begin.
    ///
    /// # Errors
    /// There is no such job.
    pub fn pause(&mut self, name: &str, pause: Pause) -> Result<(), CommandError> {
        self.job_mut(name)?.block_by_pause(pause);
        Ok(())
    }

    /// Lets a job go on, and gives back the pause that it had.
    ///
    /// # Errors
    /// There is no such job.
    pub fn resume(&mut self, name: &str) -> Result<Option<Pause>, CommandError> {
        Ok(self.job_mut(name)?.end_pause())
    }

    /// The jobs whose pause is over by itself.
    #[must_use]
    pub fn rested(&self, now: DateTime<Utc>) -> Vec<String> {
        let over = |job: &Job| job.pause().is_some_and(|pause| pause.is_over(now));
        self.jobs
            .iter()
            .filter(|(_, job)| over(job))
            .map(|(name, _)| name.clone())
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

    /// A server's credentials have changed: a job that failed because of those from before is tried
    /// at once.
    pub fn hasten(&mut self, name: &str, now: DateTime<Utc>) {
        let is_refused = |backoff: &Backoff| backoff.kind.is_refusal();
        if let Some(job) = self.jobs.get_mut(name)
            && job.is_quiet()
            && job.backoff().is_some_and(is_refused)
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

    /// A job's failures in a row.
    #[must_use]
    pub fn backoff(&self, name: &str) -> Option<&Backoff> {
        self.jobs.get(name).and_then(Job::backoff)
    }

    /// What a job is doing, at this moment.
    #[must_use]
    pub fn standing(&self, name: &str, now: DateTime<Utc>) -> Option<Standing<'_>> {
        let job = self.jobs.get(name)?;
        let put_off = job.put_off(now);
        let phase = match (job.running(), job.pause(), job.next(), job.backoff()) {
            (Some(_), ..) => JobPhase::Running,
            (None, Some(_), ..) => JobPhase::Paused,
            (None, None, Some(_), _) if put_off.is_none() => JobPhase::Waiting,
            (None, None, _, Some(backoff)) if backoff.suspended => JobPhase::Suspended,
            (None, None, Some(_), _) | (None, None, _, Some(_)) => JobPhase::BackingOff,
            (None, None, None, None) => JobPhase::Idle,
        };
        Some(Standing {
            phase,
            underway: job.running(),
            pause: job.pause(),
            backoff: job.backoff(),
            put_off,
            ticks_skipped: job.ticks_skipped,
        })
    }

    /// Whether anything is under way.
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

/// What a job is doing.
#[derive(Debug)]
pub struct Standing<'a> {
    /// In a word.
    pub phase: JobPhase,
    /// The run that is under way.
    pub underway: Option<&'a RunningJob>,
    /// Its pause.
    pub pause: Option<&'a Pause>,
    /// Its failures in a row.
    pub backoff: Option<&'a Backoff>,
    /// Until when a run that is wanted is put off.
    pub put_off: Option<DateTime<Utc>>,
    /// Ticks that came while it was at work.
    pub ticks_skipped: u64,
}
