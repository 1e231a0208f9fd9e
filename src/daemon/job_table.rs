//! Which job runs when, and what follows from the end of a run. Pure: the time, the jitter and the
//! locked servers are given; the caller executes the decisions.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{commands::CommandError, status::JobPhase};
use crate::{
    model::{
        backoff::{Backoff, Failed, Retry},
        pause::Pause,
        report::{FailureKind, Trigger},
    },
    run::failure::NotPlannable,
};

mod job;
#[cfg(test)]
mod tests;

pub use job::RunningJob;
use job::{Job, QueuedRun};

/// How long after its time limit a run still counts as working.
const GRACE: TimeDelta = TimeDelta::seconds(60);

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
    /// Whether the job is in an outage that was already reported.
    pub in_outage: bool,
}

/// The relevant part of a run's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum RunEnd<'a> {
    /// It succeeded.
    Well,
    /// It failed.
    Failed {
        kind: FailureKind,
        /// The message.
        error: &'a str,
    },
    /// It was stopped on request, which is not a failure.
    Stopped,
    /// It did not start, since another program runs the job.
    Busy,
}

/// What to report about an outage.
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
            .retain(|_, job| !job.retired || job.underway.is_some());
    }

    /// A job is due by its schedule.
    pub fn tick(&mut self, name: &str, now: DateTime<Utc>) -> TickEffect {
        let Some(job) = self
            .jobs
            .get_mut(name)
            .filter(|job| !job.retired && job.pause.is_none())
        else {
            return TickEffect::Ignored;
        };
        if job
            .backoff
            .as_ref()
            .is_some_and(|backoff| !backoff.kind.waits_for_schedule())
        {
            // It waits for its retry, or is retrying.
            return TickEffect::Ignored;
        }
        // A dry run does not replace a scheduled run.
        let waits = job.wanted.is_some() || job.asked.is_some_and(|asked| !asked.dry_run);
        match &mut job.underway {
            Some(underway) if waits || !underway.dry_run => {
                job.ticks_skipped = job.ticks_skipped.saturating_add(1);
                let first = !std::mem::replace(&mut underway.skip_said, true);
                TickEffect::Skipped { first }
            }
            // It is already queued; this tick changes nothing.
            None if waits => {
                job.ticks_skipped = job.ticks_skipped.saturating_add(1);
                TickEffect::Skipped { first: false }
            }
            Some(_) | None => {
                job.queue(Trigger::Schedule, now);
                TickEffect::Wanted
            }
        }
    }

    /// A missed run is to be made up for, unless the job is paused or waits for its retry anyway.
    pub fn make_up(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        let job = self.jobs.get_mut(name);
        let Some(job) =
            job.filter(|job| job.pause.is_none() && job.backoff.is_none() && job.wanted.is_none())
        else {
            return false;
        };
        job.queue(Trigger::Startup, now);
        true
    }

    /// A person requests a run of a job now: its schedule and its back-off do not matter, but its
    /// pause does. A dry run does not replace a scheduled run.
    ///
    /// # Errors
    /// There is no such job, it is already running, or it is paused.
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
        let waits_its_turn =
            job.asked.is_some() || (job.wanted.is_some() && job.put_off(now).is_none());
        if job.underway.is_some() || waits_its_turn {
            return Err(CommandError::AlreadyRunning(name.to_owned()));
        }
        if !dry_run {
            job.wanted = None;
        }
        if let Some(elsewhere) = &mut job.elsewhere {
            elsewhere.next_at = now;
        }
        job.asked = Some(QueuedRun {
            trigger: Trigger::Manual,
            dry_run,
            since: now,
        });
        Ok(())
    }

    /// Why a person's request for a job is refused.
    ///
    /// # Errors
    /// There is no such job, or it is paused.
    pub fn standing_order(&self, name: &str) -> Result<(), CommandError> {
        let job = self
            .jobs
            .get(name)
            .filter(|job| !job.retired)
            .ok_or_else(|| self.unknown(name))?;
        job.pause.as_ref().map_or(Ok(()), |pause| {
            Err(CommandError::Paused {
                job: name.to_owned(),
                pause: pause.clone(),
            })
        })
    }

    /// Whether a requested run is queued or in progress.
    #[must_use]
    pub fn is_asked(&self, name: &str) -> bool {
        let manual = |underway: RunningJob| underway.trigger == Trigger::Manual;
        self.jobs
            .get(name)
            .is_some_and(|job| job.asked.is_some() || job.underway.is_some_and(manual))
    }

    /// Pauses a job; a run in progress continues, a queued one does not start.
    ///
    /// # Errors
    /// There is no such job.
    pub fn pause(&mut self, name: &str, pause: Pause) -> Result<(), CommandError> {
        let job = self.job_mut(name)?;
        job.pause = Some(pause);
        job.clear_queue();
        Ok(())
    }

    /// Resumes a job, and returns its pause.
    ///
    /// # Errors
    /// There is no such job.
    pub fn resume(&mut self, name: &str) -> Result<Option<Pause>, CommandError> {
        Ok(self.job_mut(name)?.pause.take())
    }

    /// The jobs whose pause has expired.
    #[must_use]
    pub fn rested(&self, now: DateTime<Utc>) -> Vec<String> {
        let over = |job: &Job| job.pause.as_ref().is_some_and(|pause| pause.is_over(now));
        self.jobs
            .iter()
            .filter(|(_, job)| over(job))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Queues a run of each job whose retry is due.
    pub fn retry(&mut self, now: DateTime<Utc>) {
        for job in self
            .jobs
            .values_mut()
            .filter(|job| !job.retired && job.is_quiet())
        {
            if job
                .backoff
                .as_ref()
                .is_some_and(|backoff| backoff.is_due(now, &job.rules.retry))
            {
                job.queue(Trigger::Retry, now);
            }
        }
    }

    /// A server's credentials have changed: a job that failed because of the old ones is retried at
    /// once.
    pub fn hasten(&mut self, name: &str, now: DateTime<Utc>) {
        let waits = |job: &&mut Job| {
            job.is_quiet()
                && job
                    .backoff
                    .as_ref()
                    .is_some_and(|backoff| backoff.kind.is_refusal())
        };
        if let Some(job) = self.jobs.get_mut(name).filter(waits) {
            job.queue(Trigger::Retry, now);
        }
    }

    /// The runs that start now, the longest waiting first: one at a time on each directory, none
    /// beside one that has ftrack synchronise, and at most so many in all. `barred` is called for
    /// each that could start, and returns until when it must not contact its servers.
    pub fn start(
        &mut self,
        now: DateTime<Utc>,
        mut barred: impl FnMut(&str) -> Option<DateTime<Utc>>,
    ) -> Vec<StartRun> {
        let mut waiting: Vec<(DateTime<Utc>, String)> = Vec::new();
        for (name, job) in &self.jobs {
            waiting.extend(job.next().map(|next| (next.since, name.clone())));
        }
        waiting.sort();
        let mut starts = Vec::new();
        for (_, name) in waiting {
            match self.start_one(&name, now, &mut barred) {
                Some(start) => starts.push(start),
                // Later ones let it go first, or it would never be alone.
                None if self.waits_to_be_alone(&name, now) => break,
                None => {}
            }
        }
        starts
    }

    /// Whether a job that must run alone waits only for the end of other runs.
    fn waits_to_be_alone(&self, name: &str, now: DateTime<Utc>) -> bool {
        let is_held_up = |job: &Job| {
            job.underway.is_some()
                || job.is_elsewhere(now)
                || job.barred.is_some_and(|until| until > now)
        };
        self.jobs
            .get(name)
            .is_some_and(|job| job.rules.reads == Reads::Ftrack && !is_held_up(job))
    }

    fn start_one(
        &mut self,
        name: &str,
        now: DateTime<Utc>,
        barred: &mut impl FnMut(&str) -> Option<DateTime<Utc>>,
    ) -> Option<StartRun> {
        let busy: Vec<&Reads> = self.working().map(|job| &job.rules.reads).collect();
        let job = self.jobs.get(name)?;
        let waits =
            busy.len() >= self.parallel || busy.iter().any(|busy| busy.excludes(&job.rules.reads));
        if waits || job.underway.is_some() || job.is_elsewhere(now) {
            return None;
        }
        let job = self.jobs.get_mut(name)?;
        // Checked again each time: the reason may have changed since.
        job.barred = barred(name);
        if job.barred.is_some() {
            return None;
        }
        let QueuedRun {
            trigger, dry_run, ..
        } = job.asked.take().or_else(|| job.wanted.take())?;
        job.underway = Some(RunningJob {
            trigger,
            dry_run,
            since: now,
            skip_said: false,
            stuck: false,
        });
        Some(StartRun {
            job: name.to_owned(),
            trigger,
            dry_run,
            in_outage: job.backoff.is_some(),
        })
    }

    /// A run has ended: counts it, and returns what to report about an outage.
    pub fn ended(
        &mut self,
        name: &str,
        ended: RunEnd<'_>,
        now: DateTime<Utc>,
        jitter: f64,
    ) -> Option<OutageChange> {
        let job = self.jobs.get_mut(name)?;
        let underway = job.underway.take()?;
        if ended != RunEnd::Busy {
            job.elsewhere = None;
        }
        let outage = match ended {
            // The result of a dry run does not show whether a real run would succeed.
            RunEnd::Stopped => None,
            RunEnd::Well | RunEnd::Failed { .. } if underway.dry_run => None,
            RunEnd::Busy => job.runs_elsewhere(underway, now),
            RunEnd::Well => {
                job.said.clear();
                job.backoff.take().map(OutageChange::Ended)
            }
            RunEnd::Failed { kind, error } => job.failed(
                Failed {
                    at: now,
                    kind,
                    error,
                },
                jitter,
            ),
        };
        if job.retired {
            self.jobs.remove(name);
        }
        outage
    }

    /// The jobs with a run, here or in another program, that is so far beyond its time limit that
    /// it no longer takes a slot; each is returned once. `age` is the duration of a job's run here,
    /// by a monotonic clock.
    pub fn stuck(
        &mut self,
        now: DateTime<Utc>,
        age: impl Fn(&str) -> Option<TimeDelta>,
    ) -> Vec<String> {
        let mut stuck = Vec::new();
        for (name, job) in &mut self.jobs {
            let limit = job
                .rules
                .time_limit
                .checked_add(&GRACE)
                .unwrap_or(TimeDelta::MAX);
            let here = job
                .underway
                .as_mut()
                .and_then(|underway| Some((age(name)?, &mut underway.stuck)));
            let elsewhere = job
                .elsewhere
                .as_mut()
                .map(|elsewhere| (now - elsewhere.since, &mut elsewhere.stuck));
            for (age, said) in here.into_iter().chain(elsewhere) {
                if age > limit && !std::mem::replace(said, true) {
                    stuck.push(name.clone());
                }
            }
        }
        stuck
    }

    /// The names of all configured jobs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.jobs
            .iter()
            .filter(|(_, job)| !job.retired)
            .map(|(name, _)| name.as_str())
    }

    /// A job's failures in a row.
    #[must_use]
    pub fn backoff(&self, name: &str) -> Option<&Backoff> {
        self.jobs.get(name).and_then(|job| job.backoff.as_ref())
    }

    /// The current state of a job.
    #[must_use]
    pub fn standing(&self, name: &str, now: DateTime<Utc>) -> Option<Standing<'_>> {
        let job = self.jobs.get(name)?;
        let put_off = job.put_off(now);
        let phase = match (&job.underway, &job.pause, job.next(), &job.backoff) {
            (Some(_), ..) => JobPhase::Running,
            (None, Some(_), ..) => JobPhase::Paused,
            (None, None, Some(_), _) if put_off.is_none() => JobPhase::Waiting,
            (None, None, _, Some(backoff)) if backoff.suspended => JobPhase::Suspended,
            (None, None, Some(_), _) | (None, None, _, Some(_)) => JobPhase::BackingOff,
            (None, None, None, None) => JobPhase::Idle,
        };
        Some(Standing {
            phase,
            underway: job.underway.as_ref(),
            pause: job.pause.as_ref(),
            backoff: job.backoff.as_ref(),
            put_off,
            ticks_skipped: job.ticks_skipped,
        })
    }

    /// Whether anything is in progress.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.jobs.values().any(|job| job.underway.is_some())
    }

    fn working(&self) -> impl Iterator<Item = &Job> {
        self.jobs
            .values()
            .filter(|job| job.underway.is_some_and(|underway| !underway.stuck))
    }

    /// Whether it has this job, also when it only waits for the end of its run.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.jobs.contains_key(name)
    }

    fn job_mut(&mut self, name: &str) -> Result<&mut Job, CommandError> {
        let unknown = self.unknown(name);
        self.jobs
            .get_mut(name)
            .filter(|job| !job.retired)
            .ok_or(unknown)
    }

    fn unknown(&self, name: &str) -> CommandError {
        CommandError::UnknownJob {
            job: name.to_owned(),
            known: self.names().collect::<Vec<_>>().join(", "),
        }
    }
}

/// The state of a job.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Standing<'a> {
    /// As one word.
    pub phase: JobPhase,
    /// The run in progress.
    pub underway: Option<&'a RunningJob>,
    pub pause: Option<&'a Pause>,
    /// Its failures in a row.
    pub backoff: Option<&'a Backoff>,
    /// Until when a queued run is delayed.
    pub put_off: Option<DateTime<Utc>>,
    /// Ticks during a run.
    pub ticks_skipped: u64,
}
