//! The HTTP listener for probes, Prometheus and people. It is read-only, and never waits for a run.

use std::{fmt, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use chrono::Utc;
use chrono_tz::Tz;
use minijinja::{AutoEscape, Environment, Value, context, value::Serde};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::{
    commands::Commands,
    heartbeat::Heartbeat,
    metrics::{ConnectionFigures, Metrics},
    places::Peer,
    serve::serve,
    status::Status,
    status_text::StatusRow,
};
use crate::{escape::escape_control, model::readable_time::readable_time};

/// The template of the status page.
const PAGE: &str = include_str!("page.html");

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
}

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
pub async fn listen(listener: TcpListener, site: HttpState, end: &CancellationToken) {
    let peer = |_: &_, address: &SocketAddr| Peer::host(address.ip());
    serve(listener, peer, router(site), end).await;
}

fn router(site: HttpState) -> Router {
    let pages = Router::new()
        .route("/", get(page))
        .route_layer(from_fn_with_state(site.clone(), only_known_hosts));
    // The kubelet and Prometheus ask at an address, or at a name that nobody knows before.
    let probes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics));
    pages
        .merge(probes)
        .fallback(nothing_here)
        .method_not_allowed_fallback(other_methods)
        .with_state(site)
}

/// Refuses requests for a page under a name that is not this daemon's: somebody else's name that
/// leads to this address lets that somebody's page read this one (DNS rebinding).
async fn only_known_hosts(State(site): State<HttpState>, request: Request, next: Next) -> Response {
    let host = request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| request.headers().get(header::HOST)?.to_str().ok());
    if host.is_some_and(|host| is_known(host, &site.hosts)) {
        return next.run(request).await;
    }
    let named = escape_control(host.unwrap_or_default());
    text(
        StatusCode::MISDIRECTED_REQUEST,
        format!(
            "this page is not served under the name \"{named}\"; use this machine's address, or add the \
             name to http.hosts\n"
        ),
    )
}

/// Whether a host, with or without a port, is an address, `localhost`, or one of these names.
fn is_known(host: &str, hosts: &[String]) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else {
        return false;
    };
    match url.host() {
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
        }
        None => false,
    }
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
        "only GET and HEAD are supported\n".to_owned(),
    )
}

async fn healthz(State(site): State<HttpState>) -> Response {
    if site.heartbeat.is_healthy() {
        return text(StatusCode::OK, "the scheduler makes progress\n".to_owned());
    }
    let seconds = site.heartbeat.age().as_secs();
    text(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("the scheduler has made no progress for {seconds} s\n"),
    )
}

async fn readyz(State(site): State<HttpState>) -> Response {
    let status = site.commands.status();
    if status.is_ready() {
        return text(StatusCode::OK, "every server was reached\n".to_owned());
    }
    let mut missing = missing(&status).join("\n");
    if missing.is_empty() {
        "no servers are known yet".clone_into(&mut missing);
    }
    text(StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n"))
}

async fn metrics(State(site): State<HttpState>) -> Response {
    match site
        .metrics
        .render(&site.commands.status(), &(site.figures)())
    {
        Ok(metrics) => ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn page(State(site): State<HttpState>) -> Response {
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    match rendered(&site.commands.status(), &site.heartbeat) {
        Ok(page) => (headers, Html(page)).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")),
    }
}

/// The status page; every value is escaped by the template.
fn rendered(status: &Status, heartbeat: &Heartbeat) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let mut troubles = missing(status);
    if !heartbeat.is_healthy() {
        troubles.push(format!(
            "the scheduler has made no progress for {} s",
            heartbeat.age().as_secs()
        ));
    }
    if let Some(error) = &status.config.error {
        troubles.push(format!(
            "the last configuration reload was refused: {}",
            escape_control(error)
        ));
    }
    if !status.config.restart_for.is_empty() {
        troubles.push(format!(
            "takes effect after a restart: {}",
            escape_control(&status.config.restart_for.join(", "))
        ));
    }
    let zone = status.zone().unwrap_or(Tz::UTC);
    environment.render_named_str(
        "page.html",
        PAGE,
        context! {
            version => status.version.as_str(),
            pid => status.pid,
            stopping => status.stopping,
            started => readable_time(status.started_at, &zone),
            now => readable_time(Utc::now(), &zone),
            troubles,
            jobs => Value::from(Serde(status.jobs.iter().map(StatusRow::of).collect::<Vec<_>>())),
        },
    )
}

/// Which servers were not reached, and why.
fn missing(status: &Status) -> Vec<String> {
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
