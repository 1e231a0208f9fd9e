//! The jobs on their schedules, until told to stop: one coordinator that knows what every job is
//! doing, and around it the scheduler, the runs, and those who ask and watch.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    event::Event,
    run::{lock::DaemonLock, state::State, store::StateError},
};

pub mod accounts;
pub mod backoff;
pub mod contacts;
pub mod control;
mod coordinator;
pub mod http;
pub mod metrics;
pub mod orders;
pub mod pause;
pub mod pulse;
pub mod roster;
mod runner;
pub mod schedule;
pub mod serve;
pub mod setup;
pub mod shown;
pub mod socket;
pub mod status;
pub mod system;
pub mod ticks;

use coordinator::{Coordinator, Ears, House};
use http::Site;
use metrics::{Figures, Metrics};
use orders::Orders;
use pulse::Pulse;
use setup::{Setup, Source};
use socket::ControlSocket;
use status::Status;
use ticks::{Clock, Ticks};

/// How long answers that are under way may take at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How many ticks, orders and ends may wait for the coordinator; it answers within milliseconds.
const WAITING: usize = 256;

/// Where a daemon that has started can be reached.
#[derive(Debug)]
pub struct Listening {
    /// The way to give it orders.
    pub orders: Orders,
    /// Where it answers over HTTP, if it does.
    pub http: Option<SocketAddr>,
}

/// The daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder cannot be used, or another daemon uses it.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nobody can be let in.
    #[error(transparent)]
    Control(#[from] socket::SocketError),
    /// Nobody can watch.
    #[error(transparent)]
    Http(#[from] http::BindError),
    /// Nothing ticks.
    #[error("the scheduler cannot start: {0}")]
    Ticks(#[from] ticks::TicksError),
    /// Nothing counts.
    #[error("the metrics cannot be made: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Runs the jobs of a configuration on their schedules until `stop` is cancelled, and until what
/// was under way then has ended. Must be called on the runtime that carries the house; `runs`
/// carries the runs and their connections. `listening` is told as soon as it can be reached.
///
/// # Errors
/// The daemon cannot start; nothing has run then.
pub async fn run(
    setup: Setup,
    source: Source,
    runs: Handle,
    stop: CancellationToken,
    listening: impl FnOnce(Listening),
) -> Result<(), StartError> {
    let config = Arc::clone(&setup.config);
    let _lock = DaemonLock::take(&config.state_dir)?;
    let (state, set_aside) = State::open(&config)?;
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
    let (to_ticks, ticks) = mpsc::channel(WAITING);
    let (to_orders, ordered) = mpsc::channel(WAITING);
    let (to_words, words) = mpsc::channel(WAITING);
    let (metrics, pulse) = (Arc::new(Metrics::new()?), Arc::new(Pulse::new()));
    let (shown, status) = watch::channel(Arc::new(Status::starting(&source.file, setup.loaded_at)));
    let (servers, connected) = watch::channel(setup.servers.clone());
    let way_in = Orders::new(to_orders, status);
    let end = CancellationToken::new();
    let doors = TaskTracker::new();
    {
        let (way_in, pulse, end) = (way_in.clone(), Arc::clone(&pulse), end.clone());
        doors.spawn(async move { control::listen(control, way_in, pulse, &end).await });
    }
    if let Some(listener) = listener {
        let site = Site {
            orders: way_in.clone(),
            pulse: Arc::clone(&pulse),
            metrics: Arc::clone(&metrics),
            figures: Arc::new(move || Figures::of(&connected.borrow())),
        };
        let end = end.clone();
        doors.spawn(async move { http::listen(listener, site, &end).await });
    }
    listening(Listening {
        orders: way_in,
        http: address,
    });
    let house = House {
        state: Arc::new(state),
        runs,
        ticks: Ticks::start(Clock::system(), to_ticks).await?,
        words: to_words,
        metrics,
        pulse,
        shown,
        servers,
    };
    let ears = Ears {
        ticks,
        orders: ordered,
        words,
    };
    Coordinator::new(setup, source, house)
        .work(ears, stop)
        .await;
    end.cancel();
    doors.close();
    // Answers that are under way get a moment; whoever reads more slowly is not waited for.
    let _ = tokio::time::timeout(LAST_ANSWERS, doors.wait()).await;
    Ok(())
}
