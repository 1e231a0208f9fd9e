//! The daemon's core: it is told what happens, one input at a time, and decides what is to be done.
//! It does no I/O and reads no clock, so that nothing can hold it up, and tests give it the time.
//!
//! Its parts: the job table, the lockouts of refused credentials, readiness, and the configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    job_table::{JobTable, TickEffect},
    lockouts::Lockouts,
    readiness::{Access, Readiness},
};
use crate::config::schedule::Due;
use crate::state::RefusedAccount;

mod commands;
pub(crate) mod configuration;
pub(crate) mod effect;
mod fingerprints;
mod persist;
mod reload;
mod runs;
mod servers;
mod status;
#[cfg(test)]
mod tests;
mod watchers;
mod watches;

pub use effect::{Effect, Input};
pub use status::{View, summary};

use commands::ParkedTrigger;
use configuration::{Configuration, Loaded};
use effect::{Counter, LastRuns, Notice, Notification};
use fingerprints::Fingerprints;
use persist::Writes;
use watchers::Watcher;
use watches::Watch;

/// How long a run or a probe waits before it looks again whether another one has found out about a
/// server.
const IN_TURN: TimeDelta = TimeDelta::milliseconds(100);

/// A clock that is off by no more than this is being adjusted.
const ADJUSTED: TimeDelta = TimeDelta::minutes(1);

/// The moment of an input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// By the system's clock.
    pub time: DateTime<Utc>,
    /// Since the daemon's start, by a clock that nobody can set.
    pub uptime: Duration,
    /// A random number from 0 to 1.
    pub jitter: f64,
}

/// What the daemon is.
#[derive(Debug, Clone)]
pub struct About {
    /// Its process.
    pub pid: u32,
    /// The main file of its configuration.
    pub file: PathBuf,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

/// The daemon's decisions.
#[derive(Debug)]
pub struct Core {
    about: About,
    now: Now,
    configuration: Configuration,
    jobs: JobTable,
    lockouts: Lockouts,
    readiness: Readiness,
    fingerprints: Fingerprints<ParkedTrigger>,
    /// The runs under way, by job.
    runs: BTreeMap<String, ActiveRun>,
    last_runs: BTreeMap<String, LastRuns>,
    watchers: BTreeMap<String, Watcher>,
    /// The watches of directories, by job.
    watches: BTreeMap<String, Watch>,
    writes: Writes,
    /// The fingerprints of the refused credentials that were logged, by server.
    logged_refusals: BTreeMap<String, Option<String>>,
    /// The jobs of which people were told that they are not run, since a server refused the
    /// credentials.
    refusal_reported: BTreeSet<String>,
    /// Whether the lockouts of an earlier daemon are still to be logged.
    lockouts_to_log: bool,
    beat_at: DateTime<Utc>,
    /// The uptime at that moment.
    beat_uptime: Duration,
    stopping: bool,
    effects: Vec<Effect>,
}

/// A run that is under way.
#[derive(Debug)]
struct ActiveRun {
    /// The uptime at its start.
    began: Duration,
    /// The servers that it uses, and what it reaches them with.
    reads: Vec<(String, Access)>,
}

impl Core {
    /// A daemon that has done nothing yet, with the refusals that are remembered.
    #[must_use]
    pub fn new(
        about: About,
        loaded: Loaded,
        refusals: BTreeMap<String, RefusedAccount>,
        now: Now,
    ) -> Self {
        Self {
            beat_at: about.started_at,
            beat_uptime: now.uptime,
            about,
            now,
            configuration: Configuration::new(loaded),
            jobs: JobTable::default(),
            lockouts_to_log: !refusals.is_empty(),
            lockouts: Lockouts::new(refusals),
            readiness: Readiness::default(),
            fingerprints: Fingerprints::default(),
            runs: BTreeMap::new(),
            last_runs: BTreeMap::new(),
            watchers: BTreeMap::new(),
            watches: BTreeMap::new(),
            writes: Writes::default(),
            logged_refusals: BTreeMap::new(),
            refusal_reported: BTreeSet::new(),
            stopping: false,
            effects: Vec::new(),
        }
    }

    /// Decides what follows from an input; the effects are to be done in this order.
    pub fn step(&mut self, input: Input, now: Now) -> Vec<Effect> {
        self.now = now;
        match input {
            Input::Start(persisted) => self.on_start(persisted),
            Input::Tick(Due::Everything(job)) => self.on_tick(job),
            Input::Tick(Due::Changes(job)) => self.jobs.tick_changes(&job, self.now.time),
            Input::Second => self.on_second(),
            Input::Command { from, command } => self.on_command(from, command),
            Input::RunEnded {
                job,
                outcome,
                servers,
            } => self.on_run_ended(&job, outcome, servers),
            Input::ProbeEnded {
                server,
                access,
                result,
            } => self.on_server_known(&server, access, &result),
            Input::Watch { job, id, news } => self.on_watch(&job, id, news),
            Input::Loaded(loaded) => self.on_loaded(loaded.map(|loaded| *loaded)),
            Input::Persisted { id, result } => self.on_persisted(id, result),
            Input::RunsSaved(saved) => self.on_runs_saved(saved),
            Input::PausesSaved(saved) => self.on_pauses_saved(saved),
            Input::Fingerprints {
                id,
                fingerprints,
                lifted,
            } => self.on_fingerprints(id, fingerprints, lifted),
            Input::Stop => self.on_stop(),
        }
        self.update_watches();
        self.start_runs();
        self.report_refusal();
        self.send_updates();
        std::mem::take(&mut self.effects)
    }

    /// Whether the daemon was told to stop, no run is under way any more, and nobody waits for an
    /// answer that is still to come.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.stopping && !self.jobs.is_at_work() && !self.writes.anybody_waits()
    }

    /// The jobs that the configuration has.
    pub fn job_names(&self) -> impl Iterator<Item = &str> {
        self.jobs.names()
    }

    fn on_tick(&mut self, job: String) {
        match self.jobs.tick(&job, self.now.time) {
            TickEffect::Skipped { first } => {
                self.effect(Effect::Count(Counter::TickSkipped(job.clone())));
                if first {
                    self.notice(Notice::TickSkipped(job));
                }
            }
            TickEffect::Wanted | TickEffect::Ignored => {}
        }
    }

    /// Once a second: a sign of life, and whatever has become due.
    fn on_second(&mut self) {
        self.effect(Effect::Beat);
        let now = self.now;
        let passed = now.uptime.saturating_sub(self.beat_uptime);
        let passed = TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX);
        self.notice_leap(now.time - self.beat_at - passed);
        (self.beat_at, self.beat_uptime) = (now.time, now.uptime);
        if self.stopping {
            return;
        }
        self.end_expired_pauses();
        let runs = &self.runs;
        let age = |job: &str| {
            let age = now.uptime.checked_sub(runs.get(job)?.began)?;
            TimeDelta::from_std(age).ok()
        };
        for job in self.jobs.stuck(now.time, age) {
            self.notice(Notice::RunStuck(job));
        }
        self.correct_lockouts_after_clock_change();
        self.jobs.retry(now.time);
        if !self.fingerprints.is_under_way() {
            self.compute_fingerprints();
        }
        self.start_probes();
    }

    /// Says that the clock was set, unless it is only being adjusted.
    fn notice_leap(&mut self, by: TimeDelta) {
        if by.abs() > ADJUSTED {
            self.notice(Notice::ClockLeapt(by.num_seconds()));
        }
    }

    /// Nothing new begins; what is under way is told to finish.
    fn on_stop(&mut self) {
        self.stopping = true;
        self.notice(Notice::Stopping);
        self.effect(Effect::Notify(Notification::Stopping));
        self.effect(Effect::StopRuns);
        for parked in self.fingerprints.take_waiting() {
            self.decide_trigger(parked);
        }
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn notice(&mut self, notice: Notice) {
        self.effects.push(Effect::Emit(notice));
    }
}
