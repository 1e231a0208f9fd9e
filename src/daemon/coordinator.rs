//! The one who knows what every job is doing: hears ticks, orders, ends of runs and of contacts,
//! and lets follow from them what the roster says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    accounts::Accounts,
    contacts::{Contacts, Reached},
    metrics::Metrics,
    orders::{Order, Refusal},
    pulse::Pulse,
    roster::{Roster, Start, Ticked},
    runner::{self, Run, Shown},
    setup::{Setup, Source},
    status::Status,
    system::System,
    ticks::{Tick, Ticks},
};
use crate::{
    config::Config,
    event::{Known, Outage, Quiet, daemon::DaemonEvent},
    run::{report::FailureKind, servers::Servers, state::State, summary::RunSummary},
};

mod bars;
mod contact;
mod ends;
mod listeners;
mod memory;
mod pauses;
mod reload;
mod shown;

use listeners::Listener;
use memory::Recalled;
use reload::Reloading;

/// How long a run may take to finish its batch and its report after the daemon was told to stop.
pub const TO_FINISH: Duration = Duration::from_secs(8);

/// How long a run or a contact waits before it looks again whether another one has found out about
/// a server.
const IN_TURN: TimeDelta = TimeDelta::milliseconds(100);

/// What comes back from what was started.
#[derive(Debug)]
pub enum Word {
    /// A run ended.
    Ran {
        /// The job.
        job: String,
        /// How it ended.
        result: runner::Result,
    },
    /// A contact ended.
    Contacted {
        /// The server.
        server: String,
        /// How it ended.
        reached: Reached,
    },
    /// The configuration was read anew.
    Loaded(Result<Box<Setup>, String>),
}

/// The daemon at work.
pub struct Coordinator {
    house: House,
    source: Source,
    setup: Setup,
    system: System,
    roster: Roster,
    accounts: Accounts,
    contacts: Contacts,
    underway: BTreeMap<String, Underway>,
    listeners: BTreeMap<String, Listener>,
    /// The marks of the refused credentials that were said, by server.
    refusals_said: BTreeMap<String, Option<String>>,
    /// The marks of the credentials that would be used at each server that refused some.
    marks: BTreeMap<String, Option<String>>,
    past: BTreeMap<String, Past>,
    cut: CancellationToken,
    begun_with: Arc<Config>,
    started_at: DateTime<Utc>,
    beat_at: DateTime<Utc>,
    stopping: bool,
    reloading: Reloading,
    /// Whether it was said that the state cannot be kept, and nothing could be kept since.
    state_failed: bool,
    restart_for: Vec<String>,
    config_error: Option<String>,
    reload_failures: u64,
}

/// What the coordinator works with: made once, and lent to everybody who asks or watches.
pub struct House {
    /// What is remembered over a restart.
    pub state: Arc<State>,
    /// Carries the runs.
    pub runs: Handle,
    /// Ticks.
    pub ticks: Ticks,
    /// Brings back what was started.
    pub words: mpsc::Sender<Word>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Shows that the coordinator works.
    pub pulse: Arc<Pulse>,
    /// Shows what is true.
    pub shown: watch::Sender<Arc<Status>>,
    /// The connections in use, for their figures.
    pub servers: watch::Sender<Servers>,
}

/// What is known of a job's runs that ended.
#[derive(Debug, Default)]
struct Past {
    run: Option<RunSummary>,
    success: Option<DateTime<Utc>>,
    /// What they said and need not say again.
    said: Arc<Known>,
}

/// A run that is under way, as far as it must be reached.
struct Underway {
    shown: Shown,
    cancel: CancellationToken,
    /// By a clock that nobody can set.
    began: std::time::Instant,
    /// The connections that it began with.
    servers: Servers,
    /// The names of the servers that it reads.
    reads: Vec<String>,
}

/// What the coordinator hears.
pub struct Ears {
    /// From the scheduler.
    pub ticks: mpsc::Receiver<Tick>,
    /// From people.
    pub orders: mpsc::Receiver<Order>,
    /// From what was started.
    pub words: mpsc::Receiver<Word>,
}

impl Coordinator {
    /// A coordinator that has done nothing yet.
    #[must_use]
    pub fn new(setup: Setup, source: Source, house: House) -> Self {
        let now = Utc::now();
        Self {
            accounts: Accounts::new(memory::kept(house.state.refusals()).unwrap_or_default()),
            begun_with: Arc::clone(&setup.config),
            house,
            source,
            setup,
            system: System::new(),
            roster: Roster::default(),
            contacts: Contacts::default(),
            underway: BTreeMap::new(),
            listeners: BTreeMap::new(),
            refusals_said: BTreeMap::new(),
            marks: BTreeMap::new(),
            past: BTreeMap::new(),
            cut: CancellationToken::new(),
            started_at: now,
            beat_at: now,
            stopping: false,
            reloading: Reloading::default(),
            state_failed: false,
            restart_for: Vec::new(),
            config_error: None,
            reload_failures: 0,
        }
    }

    /// Works until told to stop, and until the runs under way have ended.
    pub async fn work(mut self, mut ears: Ears, stop: CancellationToken) {
        self.begin().await;
        let mut cut_at: Option<Instant> = None;
        loop {
            self.publish();
            if cut_at.is_some() && !self.roster.is_at_work() {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if cut_at.is_none() => {
                    self.stop();
                    cut_at = Some(Instant::now() + TO_FINISH);
                }
                // Before the orders: however many there are, the end is not put off.
                () = tokio::time::sleep_until(cut_at.unwrap_or_else(Instant::now)), if cut_at.is_some() => {
                    if self.cut.is_cancelled() {
                        // Not even cutting helped: its journal becomes its report at the next
                        // start.
                        break;
                    }
                    self.cut.cancel();
                    cut_at = Some(Instant::now() + Duration::from_secs(1));
                }
                Some(word) = ears.words.recv() => self.hear(word).await,
                Some(tick) = ears.ticks.recv() => self.tick(tick).await,
                Some(order) = ears.orders.recv() => self.obey(order).await,
            }
            self.start_runs();
            self.tell_who_waits();
        }
        // No tick is sent any more, whatever the scheduler says.
        let _ = self.house.ticks.stop().await;
        DaemonEvent::Stopped.emit();
    }

    /// What is done once, at the start.
    async fn begin(&mut self) {
        let now = Utc::now();
        let jobs = self.setup.job_names();
        for job in &jobs {
            // Killed with an earlier daemon, perhaps.
            self.mend(job).await;
        }
        let recalled = self.recall(jobs).await;
        self.take_setup(recalled);
        let made_up: Vec<String> = self
            .roster
            .names()
            .filter(|job| self.was_missed(job, now))
            .map(str::to_owned)
            .collect();
        for job in made_up {
            if self.roster.make_up(&job, now) {
                DaemonEvent::RunMissed { job: &job }.emit();
            }
        }
        self.set_ticks().await;
        self.bar_anew(now).await;
        self.look_at_credentials().await;
        self.say_what_is_barred(now);
        self.make_contacts(now);
        self.system.ready();
        DaemonEvent::Started {
            version: crate::VERSION,
            jobs: self.setup.config.jobs.len(),
        }
        .emit();
    }

    /// Takes over what the configuration in use says, with what is remembered of its jobs.
    fn take_setup(&mut self, recalled: Recalled) {
        let Recalled {
            mut remembered,
            past,
        } = recalled;
        let rules = self.setup.rules();
        self.roster
            .set(self.setup.config.parallel_runs, rules, |job| {
                remembered.remove(job).unwrap_or_default()
            });
        self.contacts.set(self.setup.server_names());
        self.past.extend(past);
    }

    /// Takes over the schedules.
    async fn set_ticks(&mut self) {
        if let Err(error) = self.house.ticks.set(self.setup.schedules()).await {
            DaemonEvent::SchedulerFailed {
                error: &error.to_string(),
            }
            .emit();
        }
    }

    /// Whether the schedule asked for a run since the last one, while no daemon was there.
    fn was_missed(&self, job: &str, now: DateTime<Utc>) -> bool {
        let catches_up = self
            .setup
            .config
            .jobs
            .get(job)
            .is_some_and(|job| job.catch_up);
        let (true, Some(schedule)) = (catches_up, self.setup.schedule(job)) else {
            return false;
        };
        match self.past.get(job).and_then(|past| past.run.as_ref()) {
            // A run that was told to stop, or cut off, did not do what it was there for.
            Some(last) if last.error_kind == Some(FailureKind::Stopped) => true,
            Some(last) => schedule.missed_since(last.started_at, now),
            None => false,
        }
    }

    async fn tick(&mut self, tick: Tick) {
        let now = Utc::now();
        match tick {
            Tick::Beat => self.beat(now).await,
            Tick::Job { name, .. } => match self.roster.tick(&name, now) {
                Ticked::Skipped { first } => {
                    self.house.metrics.tick_skipped(&name);
                    if first {
                        DaemonEvent::TickSkipped { job: &name }.emit();
                    }
                }
                Ticked::Wanted | Ticked::Ignored => {}
            },
        }
    }

    /// Once a second: a sign of life, and whatever has become due.
    async fn beat(&mut self, now: DateTime<Utc>) {
        self.house.pulse.beat();
        self.beat_at = now;
        self.system.beat();
        if self.stopping {
            return;
        }
        self.end_pauses(now).await;
        let ages = |job: &str| TimeDelta::from_std(self.underway.get(job)?.began.elapsed()).ok();
        for job in self.roster.stuck(now, ages) {
            DaemonEvent::RunStuck { job: &job }.emit();
        }
        self.bar_anew(now).await;
        self.roster.retry(now);
        self.look_at_credentials().await;
        self.make_contacts(now);
    }

    async fn hear(&mut self, word: Word) {
        match word {
            Word::Ran { job, result } => self.ran(&job, result).await,
            Word::Contacted { server, reached } => self.learn(&server, &reached, Utc::now()).await,
            Word::Loaded(loaded) => self.loaded(loaded.map(|setup| *setup)).await,
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Trigger {
                job,
                dry_run,
                told,
                answer,
            } => {
                let accepted = self.trigger(&job, dry_run).await;
                if accepted.is_ok() {
                    self.listeners.insert(job, Listener::new(told));
                }
                // Whoever left before the answer is no error, here and below.
                let _ = answer.send(accepted);
            }
            Order::TriggerAll => {
                let jobs: Vec<String> = self.roster.names().map(str::to_owned).collect();
                for job in jobs {
                    if let Err(refusal) = self.trigger(&job, false).await {
                        DaemonEvent::TriggerRefused {
                            job: &job,
                            error: &refusal.to_string(),
                        }
                        .emit();
                    }
                }
            }
            Order::Pause { job, pause, answer } => {
                let _ = answer.send(self.pause(&job, pause).await);
            }
            Order::Resume { job, answer } => {
                let _ = answer.send(self.resume(&job).await);
            }
            Order::Reload => self.reload(),
        }
    }

    async fn trigger(&mut self, job: &str, dry_run: bool) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        let now = Utc::now();
        self.look_at_credentials().await;
        if let Some(barred) = self.accounts.barred(&self.servers_of(job), now) {
            return Err(barred.into());
        }
        self.roster.trigger(job, dry_run, now)
    }

    /// Lets everything follow that may follow from what was heard.
    fn start_runs(&mut self) {
        if self.stopping {
            return;
        }
        let now = Utc::now();
        let barred: BTreeMap<String, DateTime<Utc>> = self
            .roster
            .names()
            .filter_map(|job| Some((job.to_owned(), self.barred(job, now)?)))
            .collect();
        // Credentials that were refused are tried again by one alone, who finds out for all.
        let (accounts, setup) = (&self.accounts, &self.setup);
        let and_twins = |server: String| setup.twins(&server).into_iter().chain([server]);
        let tries = |job: &str| {
            setup
                .servers_of(job)
                .flat_map(and_twins)
                .filter(|server| accounts.has_refused(server))
                .collect::<Vec<_>>()
        };
        let mut tried: BTreeSet<String> = self.underway.keys().flat_map(|job| tries(job)).collect();
        tried.extend(self.contacts.underway().into_iter().flat_map(and_twins));
        let starts = self.roster.start(now, |job| {
            barred.get(job).copied().or_else(|| {
                let tries = tries(job);
                if tries.iter().any(|server| tried.contains(server)) {
                    return Some(now + IN_TURN);
                }
                tried.extend(tries);
                None
            })
        });
        for start in starts {
            self.start_run(start);
        }
    }

    fn start_run(&mut self, start: Start) {
        let Some(prepared) = self.setup.prepared(&start.job) else {
            return;
        };
        let (job, began) = (start.job.clone(), std::time::Instant::now());
        let (shown, cancel) = (Shown::default(), CancellationToken::new());
        let quiet = Quiet {
            outage: if start.in_outage {
                Outage::Lasts
            } else {
                Outage::Over
            },
            known: self
                .past
                .get(&job)
                .map(|past| Arc::clone(&past.said))
                .unwrap_or_default(),
        };
        let run = Run {
            prepared,
            state: Arc::clone(&self.house.state),
            told: self.listener(&start),
            shown: Arc::clone(&shown),
            cancel: cancel.clone(),
            quiet,
            cut: self.cut.clone(),
            start,
        };
        let words = self.house.words.clone();
        let underway = Underway {
            shown,
            cancel,
            began,
            servers: self.setup.servers.clone(),
            reads: self.setup.servers_of(&job).collect(),
        };
        self.underway.insert(job.clone(), underway);
        runner::start(&self.house.runs, run, |result| async move {
            // A daemon that has gone does not wait for an end.
            let _ = words.send(Word::Ran { job, result }).await;
        });
    }

    /// Nothing new begins; what is under way is told to finish.
    fn stop(&mut self) {
        self.stopping = true;
        DaemonEvent::Stopping.emit();
        self.system.stopping(TO_FINISH + Duration::from_secs(2));
        for underway in self.underway.values() {
            underway.cancel.cancel();
        }
    }
}
