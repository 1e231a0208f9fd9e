//! The only connection to ftrack: a POST of a list of operations, with time limits, bounds, strict
//! errors, and retries of what may be repeated.

mod attempts;
mod observed;
mod received;
mod upload;
mod writer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

pub(in crate::ftrack) use upload::Destination;
pub use writer::Writer;

use observed::Observed;

use super::{
    answer::{AnyAnswer, Expected, ResponseItem},
    budget::Budget,
    client::{client, endpoint, storage_client},
    error::{FtrackError, FtrackErrorKind, SetupProblem, excerpt},
    key::Keys,
    operation::Operation,
    proxy::Proxy,
    window::{TooMuch, Window},
};
use crate::{
    config::{self, Credential},
    event::RunName,
    ftrack::signer::Signer,
    model::call_sizes::CallSizes,
};

/// Bounds every wait for ftrack: it ends at the deadline, or when a stop is requested.
#[derive(Debug, Clone)]
pub struct Until {
    /// The deadline of the run.
    pub deadline: Instant,
    /// Requests a stop.
    pub cancel: CancellationToken,
}

/// How many calls were made: each attempt counts, except those without a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Calls that only read.
    pub reads: u64,
    /// Calls that write.
    pub writes: u64,
}

/// Counts since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct FtrackFigures {
    /// Calls that only read.
    pub read_calls: u64,
    pub write_calls: u64,
    /// Repeated calls.
    pub retries: u64,
}

/// A refusal of the user or the key by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRefusal {
    /// When, by a monotonic clock.
    pub at: Instant,
    /// The mark of the refused key, from [`Session::credential_mark`].
    pub mark: String,
}

/// The connections to one ftrack server as one API user, which all jobs share, with the limit of
/// calls in flight. It is used through a [`Reader`] or a [`Writer`].
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

/// Calls that read: it cannot send anything else. Clones share the key and the counts.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
    keys: Arc<Mutex<Arc<Keys>>>,
    /// For the rows of lists.
    budget: Arc<Budget>,
    observed: Arc<Observed>,
    /// A mark of the run, unique on all machines: it is written into the links of the users that
    /// the run creates.
    run_mark: Arc<str>,
    /// The job and the run that events name; empty outside of a run.
    run: Arc<(String, String)>,
}

/// The number of calls.
#[derive(Debug, Default)]
struct Calls {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Calls {
    fn of(&self, kind: CallKind) -> &AtomicU64 {
        match kind {
            CallKind::Read => &self.reads,
            CallKind::Write => &self.writes,
        }
    }
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// For the storage to which files are sent.
    storage: Client,
    endpoint: Url,
    server: String,
    api_user: String,
    key: Credential,
    signer: Signer,
    /// The key as it was last read.
    keys: Mutex<Arc<Keys>>,
    last_refusal: Mutex<Option<(Instant, Arc<Keys>)>>,
    last_acceptance: Mutex<Option<Arc<Keys>>>,
    /// Where the key is sent, and what is trusted there, for marks.
    way: String,
    total: Calls,
    retries: AtomicU64,
    connect_timeout: Duration,
    request_timeout: Duration,
    attempts: usize,
    window: Window,
    /// For the answers in flight.
    bodies: Arc<Budget>,
    /// Held by the one that goes beyond that.
    beyond: tokio::sync::Mutex<()>,
    proxy: Option<Proxy>,
}

#[derive(Clone, Copy)]
enum CallKind {
    Read,
    Write,
}

fn run_mark() -> Arc<str> {
    uuid::Uuid::new_v4().simple().to_string().into()
}

/// A failed attempt, and how long the server asked to wait.
struct Failed {
    trouble: FtrackErrorKind,
    retry_after: Option<Duration>,
}

impl From<FtrackErrorKind> for Failed {
    fn from(trouble: FtrackErrorKind) -> Self {
        Self {
            trouble,
            retry_after: None,
        }
    }
}

impl Session {
    /// Prepares the client; no connection is made.
    ///
    /// # Errors
    /// [`FtrackErrorKind::Setup`] when the CA file cannot be read or contains no certificate, or a value is
    /// not valid in an HTTP header.
    pub fn new(config: &config::Ftrack) -> Result<Self, FtrackError> {
        let server = config.server.origin().ascii_serialization();
        let fail = |problem: SetupProblem| {
            FtrackError::new(
                "preparing the connection",
                &server,
                1,
                FtrackErrorKind::Setup(problem),
            )
        };
        let endpoint = endpoint(&config.server)
            .ok_or_else(|| fail("ftrack.server is not an HTTP address".to_owned().into()))?;
        let client = client(config).map_err(fail)?;
        let storage = storage_client(config).map_err(fail)?;
        let proxy = Proxy::of(&endpoint);
        let keys = Arc::new(
            Keys::new(config.api_key.loaded().clone()).map_err(|problem| fail(problem.into()))?,
        );
        let shared = Shared {
            client,
            storage,
            endpoint,
            server,
            api_user: config.api_user.clone(),
            key: config.api_key.clone(),
            signer: Signer::new(config.link_key.as_ref().map(Credential::loaded)),
            keys: Mutex::new(Arc::clone(&keys)),
            last_refusal: Mutex::default(),
            last_acceptance: Mutex::default(),
            way: format!("{} {:?}", config.server, config.ca_file),
            total: Calls::default(),
            retries: AtomicU64::new(0),
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            attempts: config.attempts.max(1),
            window: Window::new(CallSizes {
                page_rows: config.page_size,
                calls: config.connections,
                changes: config.batch_size,
            }),
            bodies: Budget::in_flight(),
            beyond: tokio::sync::Mutex::default(),
            proxy,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// A reader outside of a run, with counts of its own.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let none = RunName { job: "", run: "" };
        self.for_run(none).0
    }

    /// A writer outside of a run.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer::of(self.reader())
    }

    /// A reader and a writer for one run, with counts of their own.
    #[must_use]
    pub fn for_run(&self, of: RunName<'_>) -> (Reader, Writer) {
        let reader = Reader {
            shared: Arc::clone(&self.shared),
            calls: Arc::default(),
            keys: Arc::new(Mutex::new(self.shared.last_keys())),
            budget: Budget::of_each_list(),
            observed: Arc::default(),
            run_mark: run_mark(),
            run: Arc::new((of.job.to_owned(), of.run.to_owned())),
        };
        (reader.clone(), Writer::of(reader))
    }

    /// Signs and verifies links.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.shared.signer
    }

    /// The server's scheme, host and port, for reports.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.shared.server
    }

    /// A mark of the key that the next run would use, made with a secret salt: it shows whether the
    /// key is still the same, and does not help to guess it.
    ///
    /// # Errors
    /// [`FtrackErrorKind::Setup`] when the key's file no longer contains one.
    pub async fn credential_mark(&self, salt: &str) -> Result<String, FtrackError> {
        let next = self.reader();
        next.take_key().await?;
        Ok(self.shared.mark(&next.keys(), salt))
    }

    /// The mark of the user and the key that the server accepted, if it did and refused none.
    #[must_use]
    pub fn accepted_mark(&self, salt: &str) -> Option<String> {
        let accepted = self.shared.last_acceptance.lock();
        let keys = accepted.unwrap_or_else(PoisonError::into_inner).clone()?;
        let refused = self.shared.last_refusal.lock();
        let is_refused = refused.unwrap_or_else(PoisonError::into_inner).is_some();
        (!is_refused).then(|| self.shared.mark(&keys, salt))
    }

    /// The last time that the server refused the user or the key, in any run; none if it never did.
    #[must_use]
    pub fn last_refusal(&self, salt: &str) -> Option<CredentialRefusal> {
        let last = self
            .shared
            .last_refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        last.map(|(at, keys)| CredentialRefusal {
            at,
            mark: self.shared.mark(&keys, salt),
        })
    }

    /// Counts over all runs.
    #[must_use]
    pub fn figures(&self) -> FtrackFigures {
        FtrackFigures {
            read_calls: self.shared.total.reads.load(Ordering::Relaxed),
            write_calls: self.shared.total.writes.load(Ordering::Relaxed),
            retries: self.shared.retries.load(Ordering::Relaxed),
        }
    }
}

impl Reader {
    /// Signs and verifies links.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.shared.signer
    }

    /// The mark of the run that uses the session.
    #[must_use]
    pub fn run_mark(&self) -> &str {
        &self.run_mark
    }

    /// Reloads the key from its file, for all further calls of this run, and of readers made from now
    /// on.
    ///
    /// # Errors
    /// [`FtrackErrorKind::Setup`] when the file no longer contains a key.
    pub async fn take_key(&self) -> Result<(), FtrackError> {
        let fail = |reason: String| {
            self.error_of(
                "preparing the connection",
                FtrackErrorKind::Setup(reason.into()),
            )
        };
        let current = self
            .shared
            .key
            .current()
            .await
            .map_err(|unreadable| fail(format!("ftrack.api_key_file: {unreadable}")))?;
        let mut last = self
            .shared
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !last.is_in_use(&current) {
            *last = Arc::new(last.followed_by(current).map_err(fail)?);
        }
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&last);
        Ok(())
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends operations that only read, and repeats them when that may help (429, 5xx, an answer
    /// that is not JSON, broken connections, timeouts), up to `attempts` times.
    ///
    /// # Errors
    /// The last attempt's error; never an answer of another length than the operations.
    pub async fn read_call(
        &self,
        operations: &[Operation],
        until: &Until,
    ) -> Result<Vec<Value>, FtrackError> {
        let answers = self.read_as::<AnyAnswer>(operations, 0, until).await?;
        Ok(answers
            .into_iter()
            .map(|AnyAnswer(answer)| answer)
            .collect())
    }

    /// The same reader, for lists that are kept together: all of them share one budget of memory.
    pub(super) fn for_one_reading(&self) -> Self {
        Self {
            budget: Budget::of_one_reading(),
            ..self.clone()
        }
    }

    /// For the rows of lists.
    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The number of calls so far.
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

    /// As [`Reader::read_call`], with the answers parsed into types of the caller's: pages of at
    /// most so many rows.
    pub(super) async fn read_as<A: ResponseItem>(
        &self,
        operations: &[Operation],
        rows: usize,
        until: &Until,
    ) -> Result<Vec<A>, FtrackError> {
        let again = |failed: &Failed| failed.trouble.passes();
        let (answers, _) = self.read_while(operations, rows, until, again).await?;
        Ok(answers)
    }

    /// As [`Reader::read_as`], of one page, with how long its call took. Where it has more rows than any
    /// server answers, only calls that the server did not take are repeated.
    pub(super) async fn read_page<A: ResponseItem>(
        &self,
        operation: &Operation,
        rows: u32,
        until: &Until,
    ) -> Result<(Vec<A>, Duration), FtrackError> {
        let operations = std::slice::from_ref(operation);
        let is_sure = rows <= self.window().sure_rows();
        let again = |failed: &Failed| {
            failed.trouble.passes() && (is_sure || !TooMuch::of(&failed.trouble).rows)
        };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.read_while(operations, rows, until, again).await
    }

    async fn read_while<A: ResponseItem>(
        &self,
        operations: &[Operation],
        rows: usize,
        until: &Until,
        again: impl Fn(&Failed) -> bool,
    ) -> Result<(Vec<A>, Duration), FtrackError> {
        let body = self.body(operations)?;
        let expected = Expected {
            answers: operations.len(),
            rows,
            budget: Arc::clone(&self.budget),
        };
        let call = (&*body, &expected);
        let reading = self.attempts(call, operations, until, CallKind::Read, again);
        tokio::select! {
            biased;
            () = until.cancel.cancelled() => Err(self.error(operations, 1, FtrackErrorKind::Cancelled)),
            outcome = tokio::time::timeout_at(until.deadline.into(), reading) => {
                outcome.unwrap_or_else(|_| Err(self.error(operations, 1, FtrackErrorKind::DeadlinePassed)))
            }
        }
    }

    /// How much the server is asked for at a time.
    pub(super) fn window(&self) -> &Window {
        &self.shared.window
    }

    /// Begins with what fitted the server in an earlier run, unless this process knows better.
    pub fn begin_with(&self, known: CallSizes) {
        self.shared.window.begin_with(known);
    }

    /// What fits the server, as far as that is known.
    #[must_use]
    pub fn sizes(&self) -> CallSizes {
        self.shared.window.sizes()
    }

    /// Calls in flight at the same time; at least one.
    pub(super) fn connections(&self) -> usize {
        self.sizes().calls
    }

    /// An error about data that was read from this server.
    pub(super) fn error_of(&self, doing: &str, trouble: FtrackErrorKind) -> FtrackError {
        FtrackError::new(doing, &self.shared.server, 1, trouble)
    }

    /// A text of the server, safe to show.
    pub(super) fn excerpt(&self, text: &str) -> String {
        excerpt(text, &self.keys())
    }

    fn error(&self, operations: &[Operation], tries: u32, trouble: FtrackErrorKind) -> FtrackError {
        let doing = match operations {
            [] => "an empty call".to_owned(),
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first} and {} more operations", rest.len()),
        };
        FtrackError::new(&doing, &self.shared.server, tries, trouble)
    }

    fn body(&self, operations: &[Operation]) -> Result<Vec<u8>, FtrackError> {
        serde_json::to_vec(operations).map_err(|error| {
            self.error(
                operations,
                1,
                FtrackErrorKind::Setup(error.to_string().into()),
            )
        })
    }
}

impl Shared {
    /// The mark of a key: see `Secret::mark_on`.
    fn mark(&self, keys: &Keys, salt: &str) -> String {
        keys.mark(salt, &self.api_user, &self.way)
    }

    /// The key as it was last read.
    fn last_keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
