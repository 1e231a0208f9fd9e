//! Which job is to run when, and what follows from how a run ended. Pure: the time, the jitter and
//! what is barred are given; whoever asks does what is decided.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    backoff::{Backoff, Failed},
    commands::CommandError,
    pause::Pause,
    status::JobPhase,
};
use crate::{
    config::Retry,
    run::{
        failure::NotPlannable,
        report::{FailureKind, Trigger},
    },
};

mod job;
#[cfg(test)]
mod tests;

pub use job::RunningJob;
use job::{Job, QueuedRun};

/// For how long after its time limit a run still counts as one that works.
const GRACE: TimeDelta = TimeDelta::seconds(60);

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
            .retain(|_, job| !job.retired || job.underway.is_some());
    }

    /// A job's schedule says that it is to run.
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
            // It waits for its next attempt, or makes it.
            return TickEffect::Ignored;
        }
        // A dry run does nothing of what the schedule is for.
        let waits = job.wanted.is_some() || job.asked.is_some_and(|asked| !asked.dry_run);
        match &mut job.underway {
            Some(underway) if waits || !underway.dry_run => {
                job.ticks_skipped = job.ticks_skipped.saturating_add(1);
                let first = !std::mem::replace(&mut underway.skip_said, true);
                TickEffect::Skipped { first }
            }
            // It waits for its turn, and this tick says nothing new.
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

    /// A run that was missed while nobody watched is to be made up for, unless the job is paused or
    /// waits for its next attempt anyway.
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
        job.pause.as_ref().map_or(Ok(()), |pause| {
            Err(CommandError::Paused {
                job: name.to_owned(),
                pause: pause.clone(),
            })
        })
    }

    /// Whether a run that a person wanted is still to come, or under way.
    #[must_use]
    pub fn is_asked(&self, name: &str) -> bool {
        let manual = |underway: &RunningJob| underway.trigger == Trigger::Manual;
        self.jobs
            .get(name)
            .is_some_and(|job| job.asked.is_some() || job.underway.as_ref().is_some_and(manual))
    }

    /// Lets a job wait; a run that is under way goes on, one that waits for its turn does not
    /// begin.
    ///
    /// # Errors
    /// There is no such job.
    pub fn pause(&mut self, name: &str, pause: Pause) -> Result<(), CommandError> {
        let job = self.job_mut(name)?;
        job.pause = Some(pause);
        job.clear_queue();
        Ok(())
    }

    /// Lets a job go on, and gives back the pause that it had.
    ///
    /// # Errors
    /// There is no such job.
    pub fn resume(&mut self, name: &str) -> Result<Option<Pause>, CommandError> {
        Ok(self.job_mut(name)?.pause.take())
    }

    /// The jobs whose pause is over by itself.
    #[must_use]
    pub fn rested(&self, now: DateTime<Utc>) -> Vec<String> {
        let over = |job: &Job| job.pause.as_ref().is_some_and(|pause| pause.is_over(now));
        self.jobs
            .iter()
            .filter(|(_, job)| over(job))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Wants a run of each job whose next attempt is due.
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

    /// A server's credentials have changed: a job that failed because of those from before is tried
    /// at once.
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

    /// The runs that begin now, the longest waiting first: one at a time on each directory, none
    /// beside one that has ftrack synchronise, and so many in all. `barred` is asked of each that
    /// could begin, until when it may not reach its servers.
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
                // Those that came later let it go first, or it would never find itself alone.
                None if self.waits_to_be_alone(&name, now) => break,
                None => {}
            }
        }
        starts
    }

    /// Whether a job that must run alone waits for nothing but the end of other runs.
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
        let busy: Vec<&Reads> = self.working().map(|underway| &underway.reads).collect();
        let job = self.jobs.get(name)?;
        let waits =
            busy.len() >= self.parallel || busy.iter().any(|busy| busy.excludes(&job.rules.reads));
        if waits || job.underway.is_some() || job.is_elsewhere(now) {
            return None;
        }
        let job = self.jobs.get_mut(name)?;
        // Asked anew each time: what barred it may have changed since.
        job.barred = barred(name);
        if job.barred.is_some() {
            return None;
        }
        let QueuedRun {
            trigger, dry_run, ..
        } = job.asked.take().or_else(|| job.wanted.take())?;
        job.underway = Some(RunningJob {
            reads: job.rules.reads.clone(),
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

    /// A run has ended: counts it, and says what to tell of an outage.
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
            // What a dry run meets says nothing about whether a run would come to its end.
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
    /// it no longer keeps a place; each is named once. `age` says how long a job's run here has
    /// taken, by a clock that does not jump.
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
        self.jobs.get(name).and_then(|job| job.backoff.as_ref())
    }

    /// What a job is doing, at this moment.
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

    /// Whether anything is under way.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.jobs.values().any(|job| job.underway.is_some())
    }

    /// The runs that keep a place.
    fn working(&self) -> impl Iterator<Item = &RunningJob> {
        let runs = self.jobs.values().filter_map(|job| job.underway.as_ref());
        runs.filter(|underway| !underway.stuck)
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
