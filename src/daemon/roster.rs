//! Which job is to run when, and what follows from how a run ended. Pure: the time, the jitter and what is barred are given; whoever asks does what is decided.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    backoff::{Backoff, Failed, PutOff},
    orders::Refusal,
    pause::Pause,
    status::Phase,
};
use crate::{
    config::Retry,
    run::report::{FailureKind, Trigger},
};

#[cfg(test)]
mod tests;

/// After how long a job is tried again whose lock another program holds: somebody runs it by hand.
const WHILE_BUSY: TimeDelta = TimeDelta::seconds(30);
/// For how long after its time limit a run still counts as one that works.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// The jobs, what each one does, and who waits for whom.
#[derive(Debug, Default)]
pub struct Roster {
    jobs: BTreeMap<String, Job>,
    parallel: usize,
}

/// What the configuration says of a job that matters here.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The directory that it reads: one run at a time on each.
    pub directory: String,
    /// How failed runs are repeated.
    pub retry: Retry,
    /// How long a run may take.
    pub time_limit: TimeDelta,
}

/// What is remembered of a job over a restart.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// Its failures in a row.
    pub backoff: Option<Backoff>,
    /// Its pause.
    pub pause: Option<Pause>,
}

/// One job.
#[derive(Debug)]
struct Job {
    rules: Rules,
    /// Whether the configuration has it no more; it goes when its run has ended.
    retired: bool,
    wanted: Option<Wanted>,
    underway: Option<Underway>,
    backoff: Option<Backoff>,
    pause: Option<Pause>,
    /// Which kinds of failure were said in this outage.
    said: BTreeSet<FailureKind>,
    ticks_skipped: u64,
}

/// A run that is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    trigger: Trigger,
    dry_run: bool,
    since: DateTime<Utc>,
    put_off: Option<PutOff>,
    /// Until when it was barred as it was last asked; asked again each time, since a bar may fall earlier.
    barred_until: Option<DateTime<Utc>>,
}

/// A run that began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Underway {
    /// What started it.
    pub trigger: Trigger,
    /// Whether it writes nothing.
    pub dry_run: bool,
    /// When it began.
    pub since: DateTime<Utc>,
    /// Whether a tick that came meanwhile was said to be skipped.
    skip_said: bool,
    /// Whether it is far beyond its time limit, and no longer keeps a place.
    stuck: bool,
}

/// What becomes of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ticked {
    /// The job is to run.
    Wanted,
    /// The job is at work already: counted, and to be said when it is the first one during this run.
    Skipped {
        /// Whether to say it.
        first: bool,
    },
    /// The job is paused, failed and waits for its next attempt, or is unknown.
    Ignored,
}

/// A run that is to begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
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
pub enum Ended<'a> {
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
pub enum Outage {
    /// It began.
    Began(Backoff),
    /// Another kind of failure, or the job is suspended now.
    Changed(Backoff),
    /// It is over.
    Ended(Backoff),
}

impl Roster {
    /// Takes the jobs of a configuration: known ones keep what they do, and `remembered` tells about new ones.
    pub fn set(&mut self, parallel: usize, rules: BTreeMap<String, Rules>, mut remembered: impl FnMut(&str) -> Remembered) {
        self.parallel = parallel.max(1);
        for (name, job) in &mut self.jobs {
            job.retired = !rules.contains_key(name);
            if job.retired {
                job.wanted = None;
            }
        }
        for (name, rules) in rules {
            match self.jobs.get_mut(&name) {
                Some(job) => job.rules = rules,
                None => {
                    let Remembered { backoff, pause } = remembered(&name);
                    let said = backoff.iter().map(|backoff| backoff.kind).collect();
                    self.jobs.insert(
                        name,
                        Job {
                            rules,
                            retired: false,
                            wanted: None,
                            underway: None,
                            backoff,
                            pause,
                            said,
                            ticks_skipped: 0,
                        },
                    );
                }
            }
        }
        self.jobs.retain(|_, job| !job.retired || job.underway.is_some());
    }

    /// A job's schedule says that it is to run.
    pub fn tick(&mut self, name: &str, now: DateTime<Utc>) -> Ticked {
        let Some(job) = self.jobs.get_mut(name).filter(|job| !job.retired && job.pause.is_none()) else {
            return Ticked::Ignored;
        };
        if job.backoff.is_some() {
            // It waits for its next attempt, or makes it.
            return Ticked::Ignored;
        }
        match (&mut job.underway, job.wanted) {
            (Some(underway), _) => {
                job.ticks_skipped = job.ticks_skipped.saturating_add(1);
                let first = !std::mem::replace(&mut underway.skip_said, true);
                Ticked::Skipped { first }
            }
            // It waits for its turn, and this tick says nothing new.
            (None, Some(_)) => {
                job.ticks_skipped = job.ticks_skipped.saturating_add(1);
                Ticked::Skipped { first: false }
            }
            (None, None) => {
                job.want(Trigger::Schedule, false, now);
                Ticked::Wanted
            }
        }
    }

    /// A run that was missed while nobody watched is to be made up for, unless the job is paused or waits for its next attempt anyway.
    pub fn make_up(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        let job = self.jobs.get_mut(name);
        let Some(job) = job.filter(|job| job.pause.is_none() && job.backoff.is_none() && job.wanted.is_none()) else {
            return false;
        };
        job.want(Trigger::Startup, false, now);
        true
    }

    /// A person wants a run of a job now: neither its schedule nor its back-off matters, but its pause does.
    ///
    /// # Errors
    /// There is no such job, it is at work already, or it is paused.
    pub fn trigger(&mut self, name: &str, dry_run: bool, now: DateTime<Utc>) -> Result<(), Refusal> {
        let job = self.job_mut(name)?;
        let waits_its_turn = job.wanted.is_some_and(|wanted| wanted.put_off.is_none() && wanted.barred_until.is_none());
        if job.underway.is_some() || waits_its_turn {
            return Err(Refusal::AlreadyRunning(name.to_owned()));
        }
        if let Some(pause) = &job.pause {
            return Err(Refusal::Paused {
                job: name.to_owned(),
                pause: pause.clone(),
            });
        }
        job.want(Trigger::Manual, dry_run, now);
        Ok(())
    }

    /// Lets a job wait; a run that is under way goes on, one that waits for its turn does not begin.
    ///
    /// # Errors
    /// There is no such job.
    pub fn pause(&mut self, name: &str, pause: Pause) -> Result<(), Refusal> {
        let job = self.job_mut(name)?;
        job.pause = Some(pause);
        job.wanted = None;
        Ok(())
    }

    /// Lets a job go on, and gives back the pause that it had.
    ///
    /// # Errors
    /// There is no such job.
    pub fn resume(&mut self, name: &str) -> Result<Option<Pause>, Refusal> {
        Ok(self.job_mut(name)?.pause.take())
    }

    /// The jobs whose pause is over by itself.
    #[must_use]
    pub fn rested(&self, now: DateTime<Utc>) -> Vec<String> {
        let over = |job: &Job| job.pause.as_ref().is_some_and(|pause| pause.is_over(now));
        self.jobs.iter().filter(|(_, job)| over(job)).map(|(name, _)| name.clone()).collect()
    }

    /// Wants a run of each job whose next attempt is due.
    pub fn retry(&mut self, now: DateTime<Utc>) {
        for job in self.jobs.values_mut().filter(|job| !job.retired && job.is_quiet()) {
            if job.backoff.as_ref().is_some_and(|backoff| backoff.is_due(now, &job.rules.retry)) {
                job.want(Trigger::Retry, false, now);
            }
        }
    }

    /// The jobs that wait because credentials were refused.
    pub fn refused(&self) -> impl Iterator<Item = &str> {
        let waits = |job: &Job| job.is_quiet() && job.backoff.as_ref().is_some_and(|backoff| backoff.kind.is_refusal());
        self.jobs.iter().filter(move |(_, job)| waits(job)).map(|(name, _)| name.as_str())
    }

    /// Wants a run of a job that waits for its next attempt, since what it waits for has come.
    pub fn hasten(&mut self, name: &str, now: DateTime<Utc>) {
        if let Some(job) = self.jobs.get_mut(name).filter(|job| job.is_quiet() && job.backoff.is_some()) {
            job.want(Trigger::Retry, false, now);
        }
    }

    /// The runs that begin now, the longest waiting first: one at a time on each directory, and so many in all. `barred` is asked of each
    /// that could begin, until when it may not reach its servers.
    pub fn start(&mut self, now: DateTime<Utc>, mut barred: impl FnMut(&str) -> Option<DateTime<Utc>>) -> Vec<Start> {
        let mut waiting: Vec<(DateTime<Utc>, String)> = Vec::new();
        for (name, job) in &self.jobs {
            waiting.extend(job.wanted.map(|wanted| (wanted.since, name.clone())));
        }
        waiting.sort();
        waiting.into_iter().filter_map(|(_, name)| self.start_one(&name, now, &mut barred)).collect()
    }

    fn start_one(&mut self, name: &str, now: DateTime<Utc>, barred: &mut impl FnMut(&str) -> Option<DateTime<Utc>>) -> Option<Start> {
        let busy: Vec<&str> = self.working().map(|job| job.rules.directory.as_str()).collect();
        let job = self.jobs.get(name)?;
        let Wanted { trigger, dry_run, put_off, .. } = job.wanted?;
        let too_early = put_off.is_some_and(|put_off| put_off.lasts(now));
        if too_early || busy.len() >= self.parallel || busy.contains(&job.rules.directory.as_str()) {
            return None;
        }
        let until = barred(name);
        let job = self.jobs.get_mut(name)?;
        if until.is_some() {
            job.wanted = job.wanted.map(|wanted| Wanted { barred_until: until, ..wanted });
            return None;
        }
        job.wanted = None;
        job.underway = Some(Underway {
            trigger,
            dry_run,
            since: now,
            skip_said: false,
            stuck: false,
        });
        Some(Start {
            job: name.to_owned(),
            trigger,
            dry_run,
            in_outage: job.backoff.is_some(),
        })
    }

    /// A run has ended: counts it, and says what to tell of an outage.
    pub fn ended(&mut self, name: &str, ended: Ended<'_>, now: DateTime<Utc>, jitter: f64) -> Option<Outage> {
        let job = self.jobs.get_mut(name)?;
        let underway = job.underway.take()?;
        let outage = match ended {
            // What a dry run meets says nothing about whether a run would come to its end.
            Ended::Stopped => None,
            Ended::Well | Ended::Failed { .. } if underway.dry_run => None,
            Ended::Busy => {
                job.wanted = Some(Wanted {
                    trigger: underway.trigger,
                    dry_run: underway.dry_run,
                    since: now,
                    put_off: now.checked_add_signed(WHILE_BUSY).map(|until| PutOff { since: now, until }),
                    barred_until: None,
                });
                None
            }
            Ended::Well => {
                job.said.clear();
                job.backoff.take().map(Outage::Ended)
            }
            Ended::Failed { kind, error } => job.failed(Failed { at: now, kind, error }, jitter),
        };
        if job.retired {
            self.jobs.remove(name);
        }
        outage
    }

    /// The runs that are so far beyond their time limit that they no longer keep a place; each is named once. `age` says how long a job's run has
    /// taken, by a clock that does not jump.
    pub fn stuck(&mut self, age: impl Fn(&str) -> Option<TimeDelta>) -> Vec<String> {
        let mut stuck = Vec::new();
        for (name, job) in &mut self.jobs {
            let limit = job.rules.time_limit.checked_add(&GRACE).unwrap_or(TimeDelta::MAX);
            if let Some(underway) = job
                .underway
                .as_mut()
                .filter(|underway| !underway.stuck && age(name).is_some_and(|age| age > limit))
            {
                underway.stuck = true;
                stuck.push(name.clone());
            }
        }
        stuck
    }

    /// The names of all jobs that the configuration has.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.jobs.iter().filter(|(_, job)| !job.retired).map(|(name, _)| name.as_str())
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
        let busy = job.wanted.and_then(|wanted| wanted.put_off).filter(|put_off| put_off.lasts(now));
        let barred = job.wanted.and_then(|wanted| wanted.barred_until).filter(|until| *until > now);
        let put_off = busy.map(|busy| busy.until).max(barred);
        let phase = match (&job.underway, &job.pause, job.wanted, &job.backoff) {
            (Some(_), ..) => Phase::Running,
            (None, Some(_), ..) => Phase::Paused,
            (None, None, Some(_), _) if put_off.is_none() => Phase::Waiting,
            (None, None, _, Some(backoff)) if backoff.suspended => Phase::Suspended,
            (None, None, Some(_), _) | (None, None, _, Some(_)) => Phase::BackingOff,
            (None, None, None, None) => Phase::Idle,
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

    fn working(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values().filter(|job| job.underway.is_some_and(|underway| !underway.stuck))
    }

    fn job_mut(&mut self, name: &str) -> Result<&mut Job, Refusal> {
        let known = self.names().collect::<Vec<_>>().join(", ");
        self.jobs
            .get_mut(name)
            .filter(|job| !job.retired)
            .ok_or_else(|| Refusal::UnknownJob { job: name.to_owned(), known })
    }
}

/// What a job is doing.
#[derive(Debug)]
pub struct Standing<'a> {
    /// In a word.
    pub phase: Phase,
    /// The run that is under way.
    pub underway: Option<&'a Underway>,
    /// Its pause.
    pub pause: Option<&'a Pause>,
    /// Its failures in a row.
    pub backoff: Option<&'a Backoff>,
    /// Until when a run that is wanted is put off.
    pub put_off: Option<DateTime<Utc>>,
    /// Ticks that came while it was at work.
    pub ticks_skipped: u64,
}

impl Job {
    fn want(&mut self, trigger: Trigger, dry_run: bool, since: DateTime<Utc>) {
        self.wanted = Some(Wanted {
            trigger,
            dry_run,
            since,
            put_off: None,
            barred_until: None,
        });
    }

    /// Whether nothing is under way, wanted or forbidden.
    fn is_quiet(&self) -> bool {
        self.underway.is_none() && self.wanted.is_none() && self.pause.is_none()
    }

    fn failed(&mut self, failed: Failed<'_>, jitter: f64) -> Option<Outage> {
        let before = self.backoff.take();
        let after = Backoff::after(before.as_ref(), failed, &self.rules.retry, jitter);
        self.backoff = Some(after.clone());
        let is_new = self.said.insert(after.kind);
        match before {
            None => Some(Outage::Began(after)),
            Some(before) if is_new || before.suspended != after.suspended => Some(Outage::Changed(after)),
            Some(_) => None,
        }
    }
}
