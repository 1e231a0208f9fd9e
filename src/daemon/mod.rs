//! The jobs on their schedules, until told to stop: a core that decides, a coordinator that does
//! what it decides, and around them the scheduler, the runs, and those who ask and watch.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::Config,
    event::Event,
    model::summary::RunSummary,
    notify,
    notify::{Notifier, Program},
    state::{State, files::StateError, lock::DaemonLock},
};

pub mod commands;
pub mod control;
mod coordinator;
pub(crate) mod core;
pub mod heartbeat;
pub mod http;
pub(crate) mod job_table;
pub(crate) mod lockouts;
pub mod metrics;
pub mod places;
pub(crate) mod readiness;
mod runner;
pub mod scheduler;
pub(crate) mod serve;
pub(crate) mod setup;
pub mod socket;
pub mod status;
pub(crate) mod status_text;
pub(crate) mod systemd;

use commands::Commands;
use coordinator::{Context, Coordinator, Inbox};
use heartbeat::Heartbeat;
use http::{HttpState, Pages};
use metrics::{ConnectionFigures, Metrics};
use scheduler::{Clock, Scheduler};
use setup::{Setup, Source};
use socket::ControlSocket;
use status::Status;

/// Time limit for answers in flight at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// Time limit for messages that are not delivered at the end.
const LAST_MESSAGES: Duration = Duration::from_millis(500);
/// How many ticks, commands and ends may wait for the coordinator; it answers within milliseconds.
const WAITING: usize = 256;

/// How a daemon that has started can be reached.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Listeners {
    pub commands: Commands,
    /// The address of the HTTP listener, if there is one.
    pub http: Option<SocketAddr>,
}

/// The daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used, or another daemon uses it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The control socket cannot be opened.
    #[error(transparent)]
    Control(#[from] socket::SocketError),
    /// The HTTP listener cannot be opened.
    #[error(transparent)]
    Http(#[from] http::BindError),
    /// The scheduler cannot start.
    #[error("the scheduler cannot start: {0}")]
    Ticks(#[from] scheduler::SchedulerError),
    /// The metrics cannot be created.
    #[error("the metrics cannot be created: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Runs the jobs of a configuration on their schedules until `stop` is cancelled, and until what
/// was under way then has ended. Must be called on the runtime that carries the coordinator and the
/// listeners; `runs` carries the runs and their connections. `pages` makes the pages of the HTTP
/// listener. `listening` is called as soon as it can
/// be reached.
///
/// # Errors
/// The daemon cannot start; nothing has run then.
pub async fn run(
    setup: Setup,
    source: Source,
    (runs, pages): (Handle, Pages),
    stop: CancellationToken,
    listening: impl FnOnce(Listeners),
) -> Result<(), StartError> {
    let config = Arc::clone(&setup.config);
    let _lock = DaemonLock::take(&config.state_dir)?;
    let (state, set_aside) = State::open(&config)?;
    let state = Arc::new(state);
    if let Some(set_aside) = &set_aside {
        Event::StateSetAside(set_aside).emit();
    }
    let control = ControlSocket::bind(&config.control_socket).await?;
    let listener: Option<TcpListener> = match &config.http {
        Some(http) => Some(http::bind(http.listen).await?),
        None => None,
    };
    let address = listener
        .as_ref()
        .and_then(|listener| listener.local_addr().ok());
    let (tick_sender, ticks) = mpsc::channel(WAITING);
    let (command_sender, command_receiver) = mpsc::channel(WAITING);
    let (completion_sender, completions) = mpsc::channel(WAITING);
    let (metrics, heartbeat) = (Arc::new(Metrics::new()?), Arc::new(Heartbeat::new()));
    let (status_sender, status) =
        watch::channel(Arc::new(Status::starting(&source.file, setup.loaded_at)));
    let (servers, connected) = watch::channel(setup.servers.clone());
    let (tokens, hears_tokens) = watch::channel(http::tokens_of(&config));
    let commands = Commands::new(command_sender, status);
    let end = CancellationToken::new();
    let hosts: Vec<String> = config
        .http
        .iter()
        .flat_map(|http| http.hosts.clone())
        .chain([source.host.clone()])
        .collect();
    let state_of_http = HttpState {
        commands: commands.clone(),
        heartbeat: Arc::clone(&heartbeat),
        metrics: Arc::clone(&metrics),
        figures: Arc::new(move || ConnectionFigures::of(&connected.borrow())),
        hosts: hosts.into(),
        has_named_hosts: config
            .http
            .as_ref()
            .is_some_and(|http| !http.hosts.is_empty()),
        trusted_proxies: config
            .http
            .iter()
            .flat_map(|http| http.trusted_proxies.clone())
            .collect(),
        tokens: hears_tokens,
        state: Arc::clone(&state),
        state_dir: config.state_dir.as_path().into(),
    };
    let listeners = start_listeners(control, listener, (state_of_http, pages), &end);
    listening(Listeners {
        commands,
        http: address,
    });
    let scheduler = Scheduler::start(Clock::system(), tick_sender).await?;
    metrics.begin_with(known_runs(&config, &state));
    let counted = Arc::clone(&metrics);
    let count: notify::Count =
        Arc::new(move |job, kind, result| counted.notification(job, kind, result));
    let kept = (Program::Daemon, Some(Arc::clone(&state)));
    let notifier = Notifier::start(&config, &source.host, kept, count, &runs);
    let notifier = Arc::new(notifier);
    let context = Context {
        notifier: Arc::clone(&notifier),
        state,
        runs,
        completions: completion_sender,
        metrics,
        heartbeat,
        status: status_sender,
        servers,
        tokens,
    };
    let inbox = Inbox {
        ticks,
        commands: command_receiver,
        completions,
    };
    let coordinator = Coordinator::start(setup, source, context, scheduler).await;
    coordinator.run(inbox, stop).await;
    notifier.stop(LAST_MESSAGES).await;
    end.cancel();
    listeners.close();
    // Answers in flight get a moment; slow readers are not waited for.
    let _ = tokio::time::timeout(LAST_ANSWERS, listeners.wait()).await;
    Ok(())
}

/// The last runs for everybody of earlier daemons; what cannot be read is not known until the next run.
fn known_runs(config: &Config, state: &State) -> impl Iterator<Item = RunSummary> {
    let jobs = config.jobs.keys();
    jobs.filter_map(|job| state.last_of_everybody(job).ok().flatten())
}

/// Answers at the control socket, and over HTTP where that is wanted, until `end` is cancelled.
fn start_listeners(
    control: ControlSocket,
    listener: Option<TcpListener>,
    (state, pages): (HttpState, Pages),
    end: &CancellationToken,
) -> TaskTracker {
    let listeners = TaskTracker::new();
    let (commands, heartbeat) = (state.commands.clone(), Arc::clone(&state.heartbeat));
    let end_of_control = end.clone();
    listeners.spawn(async move {
        control::listen(control, commands, heartbeat, &end_of_control).await;
    });
    if let Some(listener) = listener {
        let end = end.clone();
        listeners.spawn(async move { http::listen(listener, state, pages, &end).await });
    }
    listeners
}
