//! What feeds the core and does what it decides. The loop waits for its inbox and for nothing else:
//! whatever may take time (runs, probes, files, the state) is done beside it, and tells it later.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, PoisonError},
    time::Duration,
};

use chrono::Utc;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    commands::{DaemonCommand, HoldRequest},
    core::{
        About, Core, Effect, Input, Now, View,
        effect::{Counter, LastRuns, Notification, Persisted, RequestId},
        summary,
    },
    heartbeat::Heartbeat,
    http::tokens_of,
    metrics::Metrics,
    runner::SharedProgress,
    scheduler::{Scheduler, Tick},
    setup::{Setup, Source},
    status::Status,
    systemd::Systemd,
};
use crate::{
    config::{Config, Token, schedule::Due},
    event::daemon::DaemonEvent,
    model::report::FailureKind,
    notify::Notifier,
    run::servers::Servers,
    state::State,
};

mod approvals;
mod explanations;
mod loading;
mod persistence;
mod probes;
mod requests;
mod runs;
mod schedules;
mod watches;

use persistence::Persistence;
use requests::Requests;
use schedules::Schedules;

/// How long a run may take to finish its batch and its report after the daemon was told to stop.
pub const TO_FINISH: Duration = Duration::from_secs(8);

/// How long a run that was cut off may take to end.
const TO_END: Duration = Duration::from_secs(1);

/// How long what is still to be written may take at the end.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// What comes back from what is done beside the loop.
#[derive(Debug)]
pub enum Completion {
    /// Something that the core is told as it is.
    Input(Input),
    /// What a person decided is saved: it is shown before the person is told.
    Decided {
        runs: BTreeMap<String, LastRuns>,
        shown: oneshot::Sender<()>,
    },
    /// The configuration was loaded, with what is remembered of its new jobs.
    Loaded(Result<Box<(Setup, Persisted)>, String>),
}

/// The interval between two looks for runs that other processes made.
const LOOK_AT_RUNS: Duration = Duration::from_secs(5);

/// The daemon at work.
pub struct Coordinator {
    core: Core,
    context: Context,
    source: Source,
    setup: Arc<Setup>,
    started_with: Arc<Config>,
    /// When the daemon started, by a clock that nobody can set.
    started: std::time::Instant,
    systemd: Systemd,
    persistence: Persistence,
    schedules: Schedules,
    requests: Requests,
    runs: BTreeMap<String, ActiveRun>,
    /// The watches of directories, by job; each ends when its guard is dropped.
    watches: BTreeMap<String, DropGuard>,
    cut: CancellationToken,
    /// Approvals under way.
    approvals: TaskTracker,
    stop_approvals: CancellationToken,
    /// One person is explained at a time.
    explains: Arc<Semaphore>,
    /// When runs of other processes are looked for again.
    look_at: Instant,
    /// Inputs that are known at once.
    backlog: VecDeque<Input>,
}

/// What the coordinator works with: made once, and lent to everybody who asks or watches.
pub struct Context {
    /// What is remembered over a restart.
    pub state: Arc<State>,
    /// Carries the runs.
    pub runs: Handle,
    /// Brings back what was started.
    pub completions: mpsc::Sender<Completion>,
    /// Tells people what happened.
    pub notifier: Arc<Notifier>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Shows that the coordinator works.
    pub heartbeat: Arc<Heartbeat>,
    /// Shows what is true.
    pub status: watch::Sender<Arc<Status>>,
    /// The connections in use, for their figures.
    pub servers: watch::Sender<Servers>,
    /// With what people sign in to the pages.
    pub tokens: watch::Sender<Arc<[Token]>>,
}

/// A run that is under way, as far as it must be reached.
struct ActiveRun {
    shown: SharedProgress,
    cancel: CancellationToken,
}

/// What the coordinator is told.
pub struct Inbox {
    /// By the scheduler.
    pub ticks: mpsc::Receiver<Tick>,
    /// By people.
    pub commands: mpsc::Receiver<DaemonCommand>,
    /// By what was started.
    pub completions: mpsc::Receiver<Completion>,
}

impl Coordinator {
    /// Starts the daemon: the schedules run, and what is remembered is known. Nothing else waits
    /// for this; the service manager limits how long a start may take.
    pub async fn start(
        setup: Setup,
        source: Source,
        context: Context,
        scheduler: Scheduler,
    ) -> Self {
        let refusals = persistence::or_log(context.state.refusals()).unwrap_or_default();
        let persistence =
            Persistence::start(Arc::clone(&context.state), context.completions.clone());
        let jobs = setup.job_names();
        // Runs that were cut off with an earlier daemon get their reports first.
        let interrupted = jobs.iter().filter_map(|job| setup.compiled(job)).collect();
        let persisted = persistence.read(interrupted, jobs).await;
        let about = About {
            pid: std::process::id(),
            file: source.file.clone(),
            started_at: Utc::now(),
        };
        let started = std::time::Instant::now();
        let mut coordinator = Self {
            core: Core::new(about, setup.loaded(&setup.config), refusals, now(started)),
            schedules: Schedules::start(scheduler, setup.schedules()).await,
            started_with: Arc::clone(&setup.config),
            context,
            source,
            setup: Arc::new(setup),
            started,
            systemd: Systemd::new(),
            persistence,
            requests: Requests::default(),
            runs: BTreeMap::new(),
            watches: BTreeMap::new(),
            cut: CancellationToken::new(),
            approvals: TaskTracker::new(),
            stop_approvals: CancellationToken::new(),
            explains: Arc::new(Semaphore::new(1)),
            look_at: Instant::now(),
            backlog: VecDeque::new(),
        };
        coordinator.handle(Input::Start(persisted));
        coordinator
    }

    /// Works until told to stop, and until the runs under way have ended.
    pub async fn run(mut self, mut inbox: Inbox, stop: CancellationToken) {
        let mut cut_at: Option<Instant> = None;
        loop {
            self.publish();
            if cut_at.is_some() && self.core.is_finished() && self.approvals.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if cut_at.is_none() => {
                    self.handle(Input::Stop);
                    cut_at = Some(Instant::now() + TO_FINISH);
                }
                // Before the commands: however many there are, the end is not put off.
                () = tokio::time::sleep_until(cut_at.unwrap_or_else(Instant::now)),
                    if cut_at.is_some() =>
                {
                    if self.cut.is_cancelled() {
                        // Not even cutting helped: its journal becomes its report at the next
                        // start.
                        break;
                    }
                    self.cut.cancel();
                    cut_at = Some(Instant::now() + TO_END);
                }
                Some(completion) = inbox.completions.recv() => self.on_completion(completion),
                Some(tick) = inbox.ticks.recv() => self.on_tick(tick),
                Some(command) = inbox.commands.recv() => {
                    match self.requests.input(command) {
                        Ok(input) => self.handle(input),
                        Err(HoldRequest::Approve(request)) => self.approve(request),
                        Err(HoldRequest::Reject(request)) => self.reject(request),
                        Err(HoldRequest::List(answer)) => self.list_holds(answer),
                        Err(HoldRequest::Show(hold, answer)) => self.show_hold(hold, answer),
                    }
                }
            }
        }
        // From now on nobody takes anything out of the inbox.
        drop(inbox);
        self.schedules.stop().await;
        self.persistence.stop(LAST_WRITES).await;
        DaemonEvent::Stopped.emit();
    }

    fn on_tick(&mut self, tick: Tick) {
        match tick {
            Tick::Beat => {
                let now = Instant::now();
                let jobs: Vec<String> = self.core.job_names().map(str::to_owned).collect();
                if now >= self.look_at {
                    self.look_at = now + LOOK_AT_RUNS;
                    self.persistence.look_at_runs(jobs.clone());
                }
                // An emergency stop counts at once, whoever saved it.
                self.persistence.look_at_pauses(jobs);
                self.handle(Input::Second);
            }
            Tick::Job { name, .. } => self.handle(Input::Tick(Due::named(name))),
        }
    }

    fn on_completion(&mut self, completion: Completion) {
        match completion {
            Completion::Input(input) => {
                if let Input::RunEnded { job, .. } = &input {
                    self.runs.remove(job);
                }
                self.handle(input);
            }
            Completion::Decided { runs, shown } => {
                self.handle(Input::RunsSaved(runs));
                self.publish();
                // Whoever left before is no error.
                let _ = shown.send(());
            }
            Completion::Loaded(Ok(loaded)) => {
                let (setup, persisted) = *loaded;
                let loaded = setup.loaded(&self.started_with);
                self.setup = Arc::new(setup);
                self.handle(Input::Loaded(Ok(Box::new((loaded, persisted)))));
            }
            Completion::Loaded(Err(error)) => self.handle(Input::Loaded(Err(error))),
        }
    }

    /// Tells the core, and does what it decides.
    fn handle(&mut self, input: Input) {
        self.backlog.push_back(input);
        while let Some(input) = self.backlog.pop_front() {
            for effect in self.core.step(input, now(self.started)) {
                self.apply(effect);
            }
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::StartRun {
                start,
                watcher,
                logged,
                reads,
            } => self.start_run(start, watcher, logged, reads),
            Effect::StopRuns => {
                self.runs.values().for_each(|run| run.cancel.cancel());
                self.stop_approvals.cancel();
            }
            Effect::Probe { server, access } => self.start_probe(server, access),
            Effect::StartWatch { job, id, server } => self.start_watch(job, id, server),
            Effect::StopWatch { job } => drop(self.watches.remove(&job)),
            Effect::Persist { id, write } => {
                if let Err(error) = self.persistence.write(id, write) {
                    let result = Err(error);
                    self.backlog.push_back(Input::Persisted { id, result });
                }
            }
            Effect::TellRefused { job, error } => {
                // Without a run there is no report; the next one that works ends it.
                let kind = FailureKind::DirectoryRefused;
                self.context.notifier.broken(&job, kind, &error);
            }
            Effect::Emit(notice) => notice.event().emit(),
            Effect::Count(Counter::TickSkipped(job)) => self.context.metrics.tick_skipped(&job),
            Effect::Count(Counter::NothingChanged(job)) => {
                self.context.metrics.nothing_changed(&job);
            }
            Effect::Count(Counter::WatchedChange(job)) => self.context.metrics.watched_change(&job),
            Effect::Count(Counter::ReloadFailed) => self.context.metrics.reload_failed(),
            Effect::Reply { to, reply } => self.reply(to, reply),
            Effect::Update { to, update } => self.requests.update(to, update),
            Effect::LastUpdate { to, update } => self.requests.last_update(to, update),
            Effect::Beat => {
                self.context.heartbeat.beat();
                self.systemd.feed_watchdog();
            }
            Effect::Notify(notification) => self.notify(notification),
            Effect::ComputeFingerprints { id, servers } => self.compute_fingerprints(id, servers),
            Effect::LoadConfiguration => self.load_configuration(),
            Effect::UseConfiguration => {
                self.schedules.set(self.setup.schedules());
                self.context.notifier.use_config(&self.setup.config);
                self.context
                    .servers
                    .send_replace(self.setup.servers.clone());
                let tokens = tokens_of(&self.setup.config);
                self.context.tokens.send_replace(tokens);
            }
        }
    }

    fn notify(&mut self, notification: Notification) {
        match notification {
            Notification::Ready => self.systemd.ready(),
            Notification::Reloading => self.systemd.reloading(),
            Notification::Stopping => self.systemd.stopping(TO_FINISH + Duration::from_secs(2)),
        }
    }

    /// Publishes what is true now.
    fn publish(&mut self) {
        let status = self.viewed(|core, view| core.status(view));
        self.systemd.set_status(summary(&status));
        self.context.status.send_replace(Arc::new(status));
    }

    /// What the core shows, with what it does not know by itself.
    fn viewed<T>(&self, show: impl FnOnce(&Core, View<'_>) -> T) -> T {
        let view = View {
            now: Utc::now(),
            next_tick: &|job| self.schedules.next(job),
            progress: &|job| {
                let shown = &self.runs.get(job)?.shown;
                *shown.lock().unwrap_or_else(PoisonError::into_inner)
            },
        };
        show(&self.core, view)
    }
}

fn now(started: std::time::Instant) -> Now {
    let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
    Now {
        time: Utc::now(),
        uptime: started.elapsed(),
        jitter: f64::from((random & 0xffff_ffff) as u32) / f64::from(u32::MAX),
    }
}
