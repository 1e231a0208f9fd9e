//! The one who knows what every job is doing: hears ticks, orders, ends of runs and of contacts,
//! and lets follow from them what the job_table says.

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
    commands::{CommandError, DaemonCommand},
    heartbeat::Heartbeat,
    job_table::{JobTable, StartRun, TickEffect},
    lockouts::Lockouts,
    metrics::Metrics,
    readiness::{ProbeResult, Readiness},
    runner::{self, Run, SharedProgress},
    scheduler::{Scheduler, Tick},
    setup::{Setup, Source},
    status::Status,
    systemd::Systemd,
};
use crate::{
    config::Config,
    event::{AlreadyLogged, LoggedBefore, OutageLogged, daemon::DaemonEvent},
    model::{report::FailureKind, summary::RunSummary},
    run::servers::Servers,
    state::State,
};

mod lockouts;
mod pauses;
mod persistence;
mod probes;
mod publish;
mod reload;
mod run_ended;
mod watchers;

use persistence::Persisted;
use reload::Reloading;
use watchers::Watcher;

/// How long a run may take to finish its batch and its report after the daemon was told to stop.
pub const TO_FINISH: Duration = Duration::from_secs(8);

/// How long a run or a contact waits before it looks again whether another one has found out about
/// a server.
const IN_TURN: TimeDelta = TimeDelta::milliseconds(100);

/// What comes back from what was started.
#[derive(Debug)]
pub enum Completion {
    /// A run ended.
    Ran {
        /// The job.
        job: String,
        /// How it ended.
        result: runner::RunOutcome,
    },
    /// A contact ended.
    Contacted {
        /// The server.
        server: String,
        /// How it ended.
        reached: ProbeResult,
    },
    /// The configuration was read anew.
    Loaded(Result<Box<Setup>, String>),
}

/// The daemon at work.
pub struct Coordinator {
    context: Context,
    source: Source,
    setup: Setup,
    systemd: Systemd,
    job_table: JobTable,
    lockouts: Lockouts,
    readiness: Readiness,
    active_runs: BTreeMap<String, ActiveRun>,
    watchers: BTreeMap<String, Watcher>,
    /// The marks of the refused credentials that were said, by server.
    logged_refusals: BTreeMap<String, Option<String>>,
    /// The marks of the credentials that would be used at each server that refused some.
    fingerprints: BTreeMap<String, Option<String>>,
    last_runs: BTreeMap<String, LastRuns>,
    cut: CancellationToken,
    started_with: Arc<Config>,
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
pub struct Context {
    /// What is remembered over a restart.
    pub state: Arc<State>,
    /// Carries the runs.
    pub runs: Handle,
    /// Ticks.
    pub scheduler: Scheduler,
    /// Brings back what was started.
    pub completions: mpsc::Sender<Completion>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Shows that the coordinator works.
    pub heartbeat: Arc<Heartbeat>,
    /// Shows what is true.
    pub status: watch::Sender<Arc<Status>>,
    /// The connections in use, for their figures.
    pub servers: watch::Sender<Servers>,
}

/// What is known of a job's runs that ended.
#[derive(Debug, Default)]
struct LastRuns {
    run: Option<RunSummary>,
    success: Option<DateTime<Utc>>,
    /// What they said and need not say again.
    said: Arc<LoggedBefore>,
}

/// A run that is under way, as far as it must be reached.
struct ActiveRun {
    shown: SharedProgress,
    cancel: CancellationToken,
    /// By a clock that nobody can set.
    began: std::time::Instant,
    /// The connections that it began with.
    servers: Servers,
    /// The names of the servers that it reads.
    reads: Vec<String>,
}

/// What the coordinator hears.
pub struct Inbox {
    /// From the scheduler.
    pub ticks: mpsc::Receiver<Tick>,
    /// From people.
    pub commands: mpsc::Receiver<DaemonCommand>,
    /// From what was started.
    pub completions: mpsc::Receiver<Completion>,
}

impl Coordinator {
    /// A coordinator that has done nothing yet.
    #[must_use]
    pub fn new(setup: Setup, source: Source, context: Context) -> Self {
        let now = Utc::now();
        Self {
            lockouts: Lockouts::new(
                persistence::or_log(context.state.refusals()).unwrap_or_default(),
            ),
            started_with: Arc::clone(&setup.config),
            context,
            source,
            setup,
            systemd: Systemd::new(),
            job_table: JobTable::default(),
            readiness: Readiness::default(),
            active_runs: BTreeMap::new(),
            watchers: BTreeMap::new(),
            logged_refusals: BTreeMap::new(),
            fingerprints: BTreeMap::new(),
            last_runs: BTreeMap::new(),
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
    pub async fn run(mut self, mut inbox: Inbox, stop: CancellationToken) {
        self.start().await;
        let mut cut_at: Option<Instant> = None;
        loop {
            self.publish();
            if cut_at.is_some() && !self.job_table.is_at_work() {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if cut_at.is_none() => {
                    self.on_stop();
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
                Some(word) = inbox.completions.recv() => self.on_completion(word).await,
                Some(tick) = inbox.ticks.recv() => self.on_tick(tick).await,
                Some(order) = inbox.commands.recv() => self.on_command(order).await,
            }
            self.start_runs();
            self.send_updates();
        }
        // No tick is sent any more, whatever the scheduler says.
        let _ = self.context.scheduler.stop().await;
        DaemonEvent::Stopped.emit();
    }

    /// What is done once, at the start.
    async fn start(&mut self) {
        let now = Utc::now();
        let jobs = self.setup.job_names();
        for job in &jobs {
            // Killed with an earlier daemon, perhaps.
            self.recover_interrupted(job).await;
        }
        let recalled = self.load(jobs).await;
        self.apply_setup(recalled);
        let made_up: Vec<String> = self
            .job_table
            .names()
            .filter(|job| self.was_missed(job, now))
            .map(str::to_owned)
            .collect();
        for job in made_up {
            if self.job_table.make_up(&job, now) {
                DaemonEvent::RunMissed { job: &job }.emit();
            }
        }
        self.set_schedules().await;
        self.correct_lockouts_after_clock_change(now).await;
        self.check_for_new_credentials().await;
        self.log_lockouts(now);
        self.start_probes(now);
        self.systemd.ready();
        DaemonEvent::Started {
            version: crate::VERSION,
            jobs: self.setup.config.jobs.len(),
        }
        .emit();
    }

    /// Takes over what the configuration in use says, with what is remembered of its jobs.
    fn apply_setup(&mut self, recalled: Persisted) {
        let Persisted {
            mut remembered,
            past,
        } = recalled;
        let rules = self.setup.rules();
        self.job_table
            .set(self.setup.config.parallel_runs, rules, |job| {
                remembered.remove(job).unwrap_or_default()
            });
        self.readiness.set(self.setup.server_names());
        self.last_runs.extend(past);
    }

    /// Takes over the schedules.
    async fn set_schedules(&mut self) {
        if let Err(error) = self.context.scheduler.set(self.setup.schedules()).await {
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
        match self.last_runs.get(job).and_then(|past| past.run.as_ref()) {
            // A run that was told to stop, or cut off, did not do what it was there for.
            Some(last) if last.error_kind == Some(FailureKind::Stopped) => true,
            Some(last) => schedule.missed_since(last.started_at, now),
            None => false,
        }
    }

    async fn on_tick(&mut self, tick: Tick) {
        let now = Utc::now();
        match tick {
            Tick::Beat => self.on_second(now).await,
            Tick::Job { name, .. } => match self.job_table.tick(&name, now) {
                TickEffect::Skipped { first } => {
                    self.context.metrics.tick_skipped(&name);
                    if first {
                        DaemonEvent::TickSkipped { job: &name }.emit();
                    }
                }
                TickEffect::Wanted | TickEffect::Ignored => {}
            },
        }
    }

    /// Once a second: a sign of life, and whatever has become due.
    async fn on_second(&mut self, now: DateTime<Utc>) {
        self.context.heartbeat.beat();
        self.beat_at = now;
        self.systemd.feed_watchdog();
        if self.stopping {
            return;
        }
        self.end_expired_pauses(now).await;
        let ages = |job: &str| TimeDelta::from_std(self.active_runs.get(job)?.began.elapsed()).ok();
        for job in self.job_table.stuck(now, ages) {
            DaemonEvent::RunStuck { job: &job }.emit();
        }
        self.correct_lockouts_after_clock_change(now).await;
        self.job_table.retry(now);
        self.check_for_new_credentials().await;
        self.start_probes(now);
    }

    async fn on_completion(&mut self, word: Completion) {
        match word {
            Completion::Ran { job, result } => self.on_run_ended(&job, result).await,
            Completion::Contacted { server, reached } => {
                self.on_probe_ended(&server, &reached, Utc::now()).await
            }
            Completion::Loaded(loaded) => self.on_config_loaded(loaded.map(|setup| *setup)).await,
        }
    }

    async fn on_command(&mut self, order: DaemonCommand) {
        match order {
            DaemonCommand::Trigger {
                job,
                dry_run,
                told,
                answer,
            } => {
                let accepted = self.trigger(&job, dry_run).await;
                if accepted.is_ok() {
                    self.watchers.insert(job, Watcher::new(told));
                }
                // Whoever left before the answer is no error, here and below.
                let _ = answer.send(accepted);
            }
            DaemonCommand::TriggerAll => {
                let jobs: Vec<String> = self.job_table.names().map(str::to_owned).collect();
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
            DaemonCommand::Pause { job, pause, answer } => {
                let _ = answer.send(self.pause(&job, pause).await);
            }
            DaemonCommand::Resume { job, answer } => {
                let _ = answer.send(self.resume(&job).await);
            }
            DaemonCommand::Reload => self.reload(),
        }
    }

    async fn trigger(&mut self, job: &str, dry_run: bool) -> Result<(), CommandError> {
        if self.stopping {
            return Err(CommandError::Stopping);
        }
        let now = Utc::now();
        self.check_for_new_credentials().await;
        if let Some(barred) = self.lockouts.locked_out(&self.servers_of(job), now) {
            return Err(barred.into());
        }
        self.job_table.trigger(job, dry_run, now)
    }

    /// Lets everything follow that may follow from what was heard.
    fn start_runs(&mut self) {
        if self.stopping {
            return;
        }
        let now = Utc::now();
        let barred: BTreeMap<String, DateTime<Utc>> = self
            .job_table
            .names()
            .filter_map(|job| Some((job.to_owned(), self.locked_until(job, now)?)))
            .collect();
        // Credentials that were refused are tried again by one alone, who finds out for all.
        let (accounts, setup) = (&self.lockouts, &self.setup);
        let and_twins = |server: String| setup.same_account(&server).into_iter().chain([server]);
        let tries = |job: &str| {
            setup
                .servers_of(job)
                .flat_map(and_twins)
                .filter(|server| accounts.has_refused(server))
                .collect::<Vec<_>>()
        };
        let mut tried: BTreeSet<String> =
            self.active_runs.keys().flat_map(|job| tries(job)).collect();
        tried.extend(self.readiness.under_way().into_iter().flat_map(and_twins));
        let starts = self.job_table.start(now, |job| {
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

    fn start_run(&mut self, start: StartRun) {
        let Some(prepared) = self.setup.compiled(&start.job) else {
            return;
        };
        let (job, began) = (start.job.clone(), std::time::Instant::now());
        let (shown, cancel) = (SharedProgress::default(), CancellationToken::new());
        let quiet = AlreadyLogged {
            outage: if start.in_outage {
                OutageLogged::Lasts
            } else {
                OutageLogged::Over
            },
            known: self
                .last_runs
                .get(&job)
                .map(|past| Arc::clone(&past.said))
                .unwrap_or_default(),
        };
        let run = Run {
            prepared,
            state: Arc::clone(&self.context.state),
            told: self.watch(&start),
            shown: Arc::clone(&shown),
            cancel: cancel.clone(),
            quiet,
            cut: self.cut.clone(),
            start,
        };
        let words = self.context.completions.clone();
        let underway = ActiveRun {
            shown,
            cancel,
            began,
            servers: self.setup.servers.clone(),
            reads: self.setup.servers_of(&job).collect(),
        };
        self.active_runs.insert(job.clone(), underway);
        runner::start(&self.context.runs, run, |result| async move {
            // A daemon that has gone does not wait for an end.
            let _ = words.send(Completion::Ran { job, result }).await;
        });
    }

    /// Nothing new begins; what is under way is told to finish.
    fn on_stop(&mut self) {
        self.stopping = true;
        DaemonEvent::Stopping.emit();
        self.systemd.stopping(TO_FINISH + Duration::from_secs(2));
        for underway in self.active_runs.values() {
            underway.cancel.cancel();
        }
    }
}
