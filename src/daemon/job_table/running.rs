//! Which runs begin, and what follows for their jobs when they end.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Job, JobTable, OutageChange, Reads, RunEnd, RunningJob, StartRun};
use crate::model::backoff::Failed;

/// For how long after its time limit a run still counts as one that works.
const GRACE: TimeDelta = TimeDelta::seconds(60);

impl JobTable {
    /// The runs that start now, the longest waiting first: one at a time on each directory, none
    /// beside one of ftrack's own synchronisation, and at most `parallel` in all. `locked_until`
    /// says of a job that could start until when it may not reach its servers.
    pub fn start(
        &mut self,
        now: DateTime<Utc>,
        mut locked_until: impl FnMut(&str) -> Option<DateTime<Utc>>,
    ) -> Vec<StartRun> {
        let mut waiting: Vec<(DateTime<Utc>, String)> = Vec::new();
        for (name, job) in &self.jobs {
            waiting.extend(job.next().map(|next| (next.since, name.clone())));
        }
        waiting.sort();
        let mut starts = Vec::new();
        for (_, name) in waiting {
            match self.start_one(&name, now, &mut locked_until) {
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
        let is_held_up =
            |job: &Job| job.running().is_some() || job.is_elsewhere(now) || job.is_locked(now);
        self.jobs
            .get(name)
            .is_some_and(|job| job.rules.reads == Reads::Ftrack && !is_held_up(job))
    }

    fn start_one(
        &mut self,
        name: &str,
        now: DateTime<Utc>,
        locked_until: &mut impl FnMut(&str) -> Option<DateTime<Utc>>,
    ) -> Option<StartRun> {
        let busy: Vec<&Reads> = self.working().map(|underway| &underway.reads).collect();
        let job = self.jobs.get(name)?;
        let waits =
            busy.len() >= self.parallel || busy.iter().any(|busy| busy.excludes(&job.rules.reads));
        if waits || job.next().is_none() || job.is_elsewhere(now) {
            return None;
        }
        let job = self.jobs.get_mut(name)?;
        // Asked anew each time: what locked it may have changed since.
        let locked = locked_until(name);
        job.set_locked(locked);
        if locked.is_some() {
            return None;
        }
        job.start(name, now)
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
        let run = job.end()?;
        if ended != RunEnd::Busy {
            job.ran_here();
        }
        let outage = match ended {
            // What a dry run meets says nothing about whether a run would come to its end.
            RunEnd::Stopped => None,
            // That what changed can be read does not show that everything can.
            RunEnd::Nothing => None,
            RunEnd::Well if run.trigger.is_of_changes() => None,
            RunEnd::Well | RunEnd::Failed { .. } if run.dry_run => None,
            RunEnd::Busy => job.runs_elsewhere(&run, now),
            RunEnd::Well => job.worked().map(OutageChange::Ended),
            RunEnd::Failed { kind, error, asked } => job.failed(
                Failed {
                    at: now,
                    kind,
                    error,
                    asked,
                },
                jitter,
            ),
        };
        if job.retired {
            self.jobs.remove(name);
        }
        outage
    }

    /// A run of the job in another program came to its end at this time: failures before it are over.
    /// Says what to tell of the outage. A run that is under way here decides for itself.
    pub fn worked_elsewhere(&mut self, name: &str, at: DateTime<Utc>) -> Option<OutageChange> {
        let job = self.jobs.get_mut(name)?;
        let began = job.backoff()?.since;
        if job.running().is_some() || at < began {
            return None;
        }
        job.worked().map(OutageChange::Ended)
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
            let found = job.newly_stuck(limit, age(name), now);
            stuck.extend(std::iter::repeat_n(name.clone(), found));
        }
        stuck
    }

    /// The runs that keep a place.
    fn working(&self) -> impl Iterator<Item = &RunningJob> {
        let runs = self.jobs.values().filter_map(Job::running);
        runs.filter(|run| !run.stuck)
    }
}
