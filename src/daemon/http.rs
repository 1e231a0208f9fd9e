//! The HTTP listener: probes and metrics, which need no token and never wait for a run, and beside them
//! the pages for people, which are another room's.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use axum::{
    Router, extract,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::SecondsFormat;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    commands::Commands,
    heartbeat::Heartbeat,
    metrics::{ConnectionFigures, Metrics},
    places::Peer,
    serve::{Client, serve},
    status::Status,
};
use crate::{
    config::{Config, Network, Token},
    escape::escape_control,
    state::State,
};

/// The content type of Prometheus's text format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The sources of the answers.
#[derive(Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct HttpState {
    pub commands: Commands,
    /// Whether the scheduler makes progress.
    pub heartbeat: Arc<Heartbeat>,
    pub metrics: Arc<Metrics>,
    /// The current counts of the connections; never blocks.
    pub figures: Arc<dyn Fn() -> ConnectionFigures + Send + Sync>,
    /// The names under which pages are served, besides addresses and `localhost`.
    pub hosts: Arc<[String]>,
    /// Whether the configuration names hosts: those of a proxy in front of the pages.
    pub has_named_hosts: bool,
    /// The proxies that are believed for whom they ask.
    pub trusted_proxies: Arc<[Network]>,
    /// With what people sign in to the pages, as the configuration in use has it.
    pub tokens: watch::Receiver<Arc<[Token]>>,
    /// The state database.
    pub state: Arc<State>,
    /// The directory of the reports.
    pub state_dir: Arc<Path>,
}

impl HttpState {
    /// With what people sign in to the pages now.
    #[must_use]
    pub fn tokens(&self) -> Arc<[Token]> {
        Arc::clone(&self.tokens.borrow())
    }

    /// Whether a proxy may stand before the pages: then nobody is believed to be on this machine.
    /// Without a token, nobody could look any more.
    #[must_use]
    pub fn is_behind_proxy(&self) -> bool {
        self.has_named_hosts && !self.tokens().is_empty()
    }

    /// Whether a peer is believed for whom it asks.
    #[must_use]
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        let mut trusted = self.trusted_proxies.iter();
        trusted.any(|trusted| trusted.has(peer))
    }
}

/// The tokens of a configuration.
#[must_use]
pub fn tokens_of(config: &Config) -> Arc<[Token]> {
    let http = config.http.iter();
    http.flat_map(|http| http.tokens.clone()).collect()
}

/// Makes the pages, which are beside the probes and the metrics.
pub type Pages = fn(HttpState) -> Router;

impl fmt::Debug for HttpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("orders", &self.commands)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}

/// Cannot listen on the address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (http.listen): {error}")]
pub struct BindError {
    address: SocketAddr,
    error: io::Error,
}

/// Binds the address.
///
/// # Errors
/// It is in use, not this machine's, or needs more permission.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| BindError { address, error })
}

/// Serves requests until `end` is cancelled.
pub async fn listen(listener: TcpListener, site: HttpState, pages: Pages, end: &CancellationToken) {
    let peer = |_: &_, address: &SocketAddr| Client {
        peer: Peer::host(address.ip()),
        address: Some(address.ip().to_canonical()),
    };
    serve(listener, peer, router(site, pages), end).await;
}

fn router(site: HttpState, pages: Pages) -> Router {
    // The kubelet and Prometheus ask at an address, or at a name that nobody knows before.
    let probes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(site.clone());
    pages(site)
        .merge(probes)
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_methods)
}

async fn nothing_here() -> Response {
    text(
        StatusCode::NOT_FOUND,
        "there is nothing here; try /, /healthz, /readyz or /metrics\n".to_owned(),
    )
}

async fn other_methods() -> Response {
    text(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not support that method\n".to_owned(),
    )
}

async fn healthz(extract::State(site): extract::State<HttpState>) -> Response {
    if site.heartbeat.is_healthy() {
        return text(StatusCode::OK, "the scheduler makes progress\n".to_owned());
    }
    let seconds = site.heartbeat.age().as_secs();
    text(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the scheduler has made no progress for {seconds} s\n"),
    )
}

async fn readyz(extract::State(site): extract::State<HttpState>) -> Response {
    let status = site.commands.status();
    if status.is_ready() {
        return text(StatusCode::OK, reached(&status));
    }
    let mut missing = missing(&status).join("\n");
    if missing.is_empty() {
        "no servers are known yet".clone_into(&mut missing);
    }
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n"))
}

async fn metrics(extract::State(site): extract::State<HttpState>) -> Response {
    match site
        .metrics
        .render(&site.commands.status(), &(site.figures)())
    {
        Ok(metrics) => ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// When each server was first reached with what it is reached with now; whether it answers at this
/// moment is what the runs show.
fn reached(status: &Status) -> String {
    let contacts = status.contacts.iter().filter_map(|contact| {
        let since = contact.since?.to_rfc3339_opts(SecondsFormat::Secs, true);
        Some(format!(
            "{} was first reached at {since}\n",
            escape_control(&contact.server)
        ))
    });
    contacts.collect()
}

/// Which servers were not reached, and why.
#[must_use]
pub fn missing(status: &Status) -> Vec<String> {
    let missing = status
        .contacts
        .iter()
        .filter(|contact| contact.since.is_none());
    missing
        .map(|contact| {
            let why = contact.error.as_deref().unwrap_or("not tried yet");
            format!(
                "{} has not been reached: {}",
                escape_control(&contact.server),
                escape_control(why)
            )
        })
        .collect()
}

fn text(status: StatusCode, words: String) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
    ];
    (status, headers, words).into_response()
}
