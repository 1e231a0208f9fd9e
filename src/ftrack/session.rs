//! The one way to ftrack: a POST of a list of operations, with time limits, bounds, strict errors, and retries of what may be sent again.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{
    Certificate, Client, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
    redirect,
};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    answer::{self, Acknowledged, Answer},
    error::{FtrackError, Trouble, WriteFailure, excerpt},
    network,
    operation::Operation,
};
use crate::{
    config::{self, Secret},
    event::Event,
};

/// The most bytes of one answer, unpacked.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
/// The longest that a server's Retry-After is heeded.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The first delay before something is tried again; doubles, with jitter.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest delay of our own.
const LONGEST_DELAY: Duration = Duration::from_secs(20);
/// How long an unused connection is kept: shorter than common balancers do, which would otherwise cut it under a request.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Until when something may go on: each wait for ftrack ends at the deadline, or when somebody asks to stop.
#[derive(Debug, Clone)]
pub struct Until {
    /// When the time of the run is used up.
    pub deadline: Instant,
    /// Asks to stop.
    pub cancel: CancellationToken,
}

/// How many calls were made: each attempt counts, save those that found no connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls that only read.
    pub reads: u64,
    /// Calls that write.
    pub writes: u64,
}

/// A way to one ftrack server as one API user. Clones share the connections, the bound on calls in flight, and the counts.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
}

/// Calls that were made.
#[derive(Debug, Default)]
struct Calls {
    reads: AtomicU64,
    writes: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    endpoint: Url,
    server: String,
    key: Secret,
    connect_timeout: Duration,
    request_timeout: Duration,
    attempts: usize,
    page_size: u32,
    connections: usize,
    in_flight: Semaphore,
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Write,
}

/// An attempt that failed, and how long the server asked to wait.
struct Failed {
    trouble: Trouble,
    retry_after: Option<Duration>,
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, retry_after: None }
    }
}

impl Session {
    /// Prepares the client; no connection is made.
    ///
    /// # Errors
    ///
    /// [`Trouble::Setup`] when the CA file cannot be read or holds no certificate, or a value does not fit into an HTTP header.
    pub fn new(config: &config::Ftrack) -> Result<Self, FtrackError> {
        let server = config.server.origin().ascii_serialization();
        let fail = |reason: String| FtrackError::new("preparing the connection", &server, 1, Trouble::Setup(reason));
        let endpoint = endpoint(&config.server).ok_or_else(|| fail("ftrack.server is not the address of a web server".to_owned()))?;
        let client = client(config).map_err(fail)?;
        let connections = config.connections.clamp(1, Semaphore::MAX_PERMITS);
        let shared = Shared {
            client,
            endpoint,
            server,
            key: config.api_key.clone(),
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            attempts: config.attempts.max(1),
            // Pages overlap by one row, so that a page needs two.
            page_size: config.page_size.max(2),
            connections,
            in_flight: Semaphore::new(connections),
        };
        Ok(Self {
            shared: Arc::new(shared),
            calls: Arc::default(),
        })
    }

    /// The same way for one run: over the same connections and within the same bound, with counts of its own.
    #[must_use]
    pub fn for_run(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            calls: Arc::default(),
        }
    }

    /// Sends operations that only read, and again when that may help (429, 5xx, what is not JSON, broken connections, time-outs), as often as `attempts` says.
    ///
    /// # Errors
    ///
    /// The last attempt's trouble; never an answer of another length than the operations.
    pub async fn read_call(&self, operations: &[Operation], until: &Until) -> Result<Vec<Value>, FtrackError> {
        self.read_as(operations, until).await
    }

    /// Sends operations that write: once, save where the server provably did not look at them (no connection, 429), which is tried again.
    ///
    /// An attempt that is under way is not cut off by `until`, only by the request's own time limit: its outcome is worth the wait.
    ///
    /// # Errors
    ///
    /// Sorted by what is known about the operations: see [`WriteFailure`].
    pub async fn write_call(&self, operations: &[Operation], until: &Until) -> Result<(), WriteFailure> {
        let body = self.body(operations).map_err(WriteFailure::of)?;
        let again = |failed: &Failed| failed.trouble.passes() && matches!(failed.trouble, Trouble::Unreachable { .. } | Trouble::Busy(_));
        let written = self.attempts::<Acknowledged>(&body, operations, until, Kind::Write, again).await;
        written.map(drop).map_err(WriteFailure::of)
    }

    /// How many calls were made so far.
    #[must_use]
    pub fn calls(&self) -> CallCounts {
        CallCounts {
            reads: self.calls.reads.load(Ordering::Relaxed),
            writes: self.calls.writes.load(Ordering::Relaxed),
        }
    }

    /// The server's scheme, host and port, for reports.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// As [`Session::read_call`], with the answers read into types of the caller's.
    pub(super) async fn read_as<A: Answer>(&self, operations: &[Operation], until: &Until) -> Result<Vec<A>, FtrackError> {
        let body = self.body(operations)?;
        let reading = self.attempts(&body, operations, until, Kind::Read, |failed| failed.trouble.passes());
        tokio::select! {
            biased;
            () = until.cancel.cancelled() => Err(self.error(operations, 1, Trouble::Cancelled)),
            outcome = tokio::time::timeout_at(until.deadline.into(), reading) => {
                outcome.unwrap_or_else(|_| Err(self.error(operations, 1, Trouble::DeadlinePassed)))
            }
        }
    }

    /// Rows asked for at a time; at least two.
    pub(super) fn page_size(&self) -> u32 {
        self.shared.page_size
    }

    /// Calls in flight at the same time; at least one.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections
    }

    /// An error about something that was read from this server.
    pub(super) fn trouble(&self, doing: &str, trouble: Trouble) -> FtrackError {
        FtrackError::new(doing, &self.shared.server, 1, trouble)
    }

    /// A text of the server, fit for showing.
    pub(super) fn excerpt(&self, text: &str) -> String {
        excerpt(text, &self.shared.key)
    }

    fn error(&self, operations: &[Operation], tries: u32, trouble: Trouble) -> FtrackError {
        let doing = match operations {
            [] => "an empty call".to_owned(),
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first} and {} more operations", rest.len()),
        };
        FtrackError::new(&doing, &self.shared.server, tries, trouble)
    }

    fn body(&self, operations: &[Operation]) -> Result<Vec<u8>, FtrackError> {
        serde_json::to_vec(operations).map_err(|error| self.error(operations, 1, Trouble::Setup(error.to_string())))
    }

    async fn attempts<A: Answer>(
        &self,
        body: &[u8],
        operations: &[Operation],
        until: &Until,
        kind: Kind,
        again: impl Fn(&Failed) -> bool,
    ) -> Result<Vec<A>, FtrackError> {
        let tries = AtomicU64::new(0);
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(self.shared.attempts - 1)
            .with_jitter();
        let attempt = || async {
            tries.fetch_add(1, Ordering::Relaxed);
            self.attempt(body.to_vec(), operations.len(), until, kind).await
        };
        let cancel = until.cancel.clone();
        let outcome = attempt
            .retry(backoff)
            .when(again)
            .adjust(|failed: &Failed, delay: Option<Duration>| {
                let delay = failed
                    .retry_after
                    .map_or(delay?, |asked| asked.min(LONGEST_WAIT).max(delay.unwrap_or_default()));
                // Waiting past the deadline would only hide what went wrong.
                (delay < until.deadline.saturating_duration_since(Instant::now())).then_some(delay)
            })
            .notify(|failed: &Failed, delay| {
                Event::FtrackRetried {
                    trouble: &failed.trouble.to_string(),
                    delay,
                }
                .emit()
            })
            .sleep(move |delay| {
                let cancel = cancel.clone();
                async move {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            })
            .await;
        outcome.map_err(|failed| self.error(operations, u32::try_from(tries.into_inner()).unwrap_or(u32::MAX), failed.trouble))
    }

    async fn attempt<A: Answer>(&self, body: Vec<u8>, expected: usize, until: &Until, kind: Kind) -> Result<Vec<A>, Failed> {
        let permit = tokio::select! {
            biased;
            () = until.cancel.cancelled() => return Err(Trouble::Cancelled.into()),
            () = tokio::time::sleep_until(until.deadline.into()) => return Err(Trouble::DeadlinePassed.into()),
            permit = self.shared.in_flight.acquire() => permit.map_err(|_| Trouble::Cancelled)?,
        };
        let count = match kind {
            Kind::Read => &self.calls.reads,
            Kind::Write => &self.calls.writes,
        };
        // Counted before it is sent, since a page that turns out not to be needed is dropped while it is under way.
        count.fetch_add(1, Ordering::Relaxed);
        let sent = self.shared.client.post(self.shared.endpoint.clone()).body(body).send().await;
        if sent.as_ref().is_err_and(reqwest::Error::is_connect) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        let response = sent.map_err(|error| self.lost(&error))?;
        let outcome = self.received(response, expected).await;
        drop(permit);
        outcome
    }

    async fn received<A: Answer>(&self, mut response: Response, expected: usize) -> Result<Vec<A>, Failed> {
        let status = response.status();
        if status.is_redirection() {
            return Err(Trouble::Redirected {
                status: status.as_u16(),
                host: self.redirect_host(response.headers()),
            }
            .into());
        }
        let retry_after = retry_after(response.headers());
        let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        if announced > LARGEST_BODY {
            return Err(Trouble::TooLarge(LARGEST_BODY).into());
        }
        let mut body = Vec::with_capacity(announced);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(Trouble::TooLarge(LARGEST_BODY).into());
            }
            body.extend_from_slice(&chunk);
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            let trouble = Trouble::Busy(excerpt(&String::from_utf8_lossy(body.get(..8192).unwrap_or(&body)), &self.shared.key));
            return Err(Failed { trouble, retry_after });
        }
        answer::read(status.as_u16(), &body, expected, &self.shared.key).map_err(|trouble| Failed { trouble, retry_after })
    }

    fn lost(&self, error: &reqwest::Error) -> Failed {
        network::lost(error, self.shared.connect_timeout, self.shared.request_timeout, &self.shared.key).into()
    }

    /// The host that a redirect names, which may also be a path of the same server.
    fn redirect_host(&self, headers: &HeaderMap) -> String {
        let target = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| self.shared.endpoint.join(location).ok());
        match target.as_ref().and_then(|target| Some((target.host_str()?, target.port()))) {
            Some((host, Some(port))) => excerpt(&format!("{host}:{port}"), &self.shared.key),
            Some((host, None)) => excerpt(host, &self.shared.key),
            None => "an address that it does not name".to_owned(),
        }
    }
}

fn endpoint(server: &Url) -> Option<Url> {
    let mut endpoint = server.clone();
    endpoint.path_segments_mut().ok()?.pop_if_empty().push("api");
    endpoint.set_query(None);
    endpoint.set_fragment(None);
    endpoint.set_username("").ok()?;
    endpoint.set_password(None).ok()?;
    Some(endpoint)
}

fn client(config: &config::Ftrack) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers(config)?)
        .redirect(redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        .timeout(config.request_timeout)
        .read_timeout(config.request_timeout)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(config.connections.max(1))
        .referer(false);
    if config.server.host().is_some_and(|host| is_loopback(&host)) {
        // A proxy elsewhere cannot reach this machine's own servers, and plain HTTP would show it the key.
        builder = builder.no_proxy();
    }
    if let Some(file) = &config.ca_file {
        let pem = fs::read(file).map_err(|error| format!("ftrack.ca_file {} cannot be read: {error}", file.display()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| format!("ftrack.ca_file {} is not PEM: {error}", file.display()))?;
        if certificates.is_empty() {
            return Err(format!("ftrack.ca_file {} holds no certificate", file.display()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| {
        let reasons = network::reasons(&error);
        match &config.ca_file {
            Some(file) => format!(
                "the HTTP client cannot be made: {reasons}; check that ftrack.ca_file {} holds whole certificates",
                file.display()
            ),
            None => format!("the HTTP client cannot be made: {reasons}; check this system's certificates, or set ftrack.ca_file"),
        }
    })
}

fn headers(config: &config::Ftrack) -> Result<HeaderMap, String> {
    let user = HeaderValue::from_bytes(config.api_user.as_bytes()).map_err(|_| "ftrack.api_user holds a character that no HTTP header may have".to_owned())?;
    let mut key = HeaderValue::from_bytes(config.api_key.expose().as_bytes())
        .map_err(|_| "ftrack.api_key holds a character that no HTTP header may have, such as a line end".to_owned())?;
    key.set_sensitive(true);
    Ok(HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (HeaderName::from_static("ftrack-strict-api"), HeaderValue::from_static("true")),
        (
            HeaderName::from_static("ftrack-api-options"),
            HeaderValue::from_static("strict:1;denormalize:1"),
        ),
        (HeaderName::from_static("ftrack-user"), user),
        (HeaderName::from_static("ftrack-api-key"), key),
    ]))
}

fn is_loopback(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    }
}

/// How long the server asks to wait (RFC 9110 section 10.2.3): seconds, or a date, which is compared with the server's own clock where it tells it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(asked).ok()?;
    let now = headers
        .get(DATE)
        .and_then(|date| date.to_str().ok())
        .and_then(|date| httpdate::parse_http_date(date).ok());
    Some(date.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}
