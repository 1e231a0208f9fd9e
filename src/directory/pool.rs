//! Pools of connections to the servers of one directory; a connection has one user at a time.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use deadpool::{
    Runtime,
    managed::{
        self, Metrics, Object, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
    },
};

use super::{
    connection::Connection,
    connector::{Access, Connector},
    error::DirectoryError,
    outage::{Outage, Stage},
    srv,
};
use crate::config::Directory;

/// The maximum age of a connection: below the 15 minutes after which Active Directory closes idle
/// ones.
const MAX_AGE: Duration = Duration::from_secs(600);
/// After this idle time a connection is tested before it is used.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// Time limit for that test.
const PROOF_LIMIT: Duration = Duration::from_secs(3);

/// The servers of one directory, each with its pool of at most `pool_size` connections; cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct DirectoryPool {
    name: Arc<str>,
    access: Arc<Access>,
    known: Arc<Known>,
    page_size: i32,
    id_attribute: Option<Arc<str>>,
    id: Option<Arc<str>>,
    trusts_replicas: bool,
}

/// The servers that are known, by preference.
#[derive(Debug)]
struct Known {
    servers: Mutex<Arc<[Arc<Server>]>>,
    /// Where they are looked up, if they are not configured, and until when those are current.
    records: Option<(srv::Lookup, Mutex<Option<srv::Found>>)>,
    pool_size: usize,
}

/// One server and its connections.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Server {
    pub connector: Connector,
    pool: managed::Pool<Manager>,
    wait: Duration,
    outage: Outage,
}

impl DirectoryPool {
    /// The pool of a configured directory; reads the certificate files, but does not use the
    /// network.
    ///
    /// # Errors
    /// A certificate file cannot be used, or settings contradict each other.
    pub fn new(name: &str, directory: &Directory) -> Result<Self, DirectoryError> {
        let records = srv::Lookup::of(directory);
        if directory.urls.is_empty() && records.is_none() {
            return Err(DirectoryError::Settings {
                directory: name.into(),
                reason: "urls is empty".into(),
            });
        }
        let access = Arc::new(Access::new(name, directory)?);
        let pool_size = directory.pool_size;
        let server = |url| Server::new(name, Connector::new(&access, url)?, pool_size);
        let servers = directory.urls.iter().map(|url| server(url).map(Arc::new));
        let servers: Arc<[Arc<Server>]> = servers.collect::<Result<_, _>>()?;
        Ok(Self {
            name: name.into(),
            known: Arc::new(Known {
                servers: Mutex::new(servers),
                records: records.map(|lookup| (lookup, Mutex::default())),
                pool_size,
            }),
            access,
            page_size: directory.page_size,
            id_attribute: directory.id_attribute.as_deref().map(Into::into),
            id: directory.id.as_deref().map(Into::into),
            trusts_replicas: directory.trust_replicas,
        })
    }

    /// The directory's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The servers that are configured, or that were looked up last, in order of preference.
    #[must_use]
    pub fn servers(&self) -> Arc<[Arc<Server>]> {
        Arc::clone(&lock(&self.known.servers))
    }

    /// What the DNS records of a domain said last, if the servers are looked up there.
    #[must_use]
    pub fn records(&self) -> Option<srv::Found> {
        let (_, found) = self.known.records.as_ref()?;
        lock(found).clone()
    }

    /// The servers in order of preference, looked up again if what is known of them is outdated.
    ///
    /// # Errors
    /// `ServersNotFound`
    pub async fn look_up(&self) -> Result<Arc<[Arc<Server>]>, DirectoryError> {
        let Some((lookup, last)) = &self.known.records else {
            return Ok(self.servers());
        };
        let is_current = |found: &srv::Found| Instant::now() < found.until;
        if lock(last).as_ref().is_some_and(is_current) {
            return Ok(self.servers());
        }
        let found = lookup.look_up().await?;
        let before = self.servers();
        let server = |url| {
            let connector = Connector::new(&self.access, url)?;
            let same = before
                .iter()
                .find(|server| server.connector.server() == connector.server());
            match same {
                Some(server) => Ok(Arc::clone(server)),
                None => Server::new(&self.name, connector, self.known.pool_size).map(Arc::new),
            }
        };
        let servers: Arc<[Arc<Server>]> =
            found.urls.iter().map(server).collect::<Result<_, _>>()?;
        *lock(&self.known.servers) = Arc::clone(&servers);
        *lock(last) = Some(found);
        Ok(servers)
    }

    /// In the order in which they are asked: by preference, but those that did not answer lately come
    /// last, so that they cost their time limit only when no other server can be used.
    ///
    /// # Errors
    /// As for `look_up`.
    pub(super) async fn in_order(&self) -> Result<Vec<Arc<Server>>, DirectoryError> {
        let servers = self.look_up().await?;
        let (last, first): (Vec<_>, Vec<_>) = servers
            .iter()
            .cloned()
            .partition(|server| server.outage.is_recent());
        Ok(first.into_iter().chain(last).collect())
    }

    /// The id attribute from the configuration.
    #[must_use]
    pub fn id_attribute(&self) -> Option<&str> {
        self.id_attribute.as_deref()
    }

    /// The directory's id from the configuration.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether a reading of that server shows who is absent: it is the first one, or
    /// `trust_replicas` is set.
    #[must_use]
    pub fn is_preferred(&self, server: &str) -> bool {
        self.trusts_replicas
            || self
                .servers()
                .first()
                .is_some_and(|first| first.connector.server() == server)
    }

    /// A mark of what the next bind would try, made with a secret salt: it shows whether the name,
    /// the password, the addresses and the TLS settings are still the same, and does not help to
    /// guess the password.
    ///
    /// # Errors
    /// `File` when the password's file no longer contains one.
    pub async fn credential_mark(&self, salt: &str) -> Result<String, DirectoryError> {
        self.access.mark(salt).await
    }

    /// The mark of what the servers accepted, if one did and none refused anything.
    #[must_use]
    pub fn accepted_mark(&self, salt: &str) -> Option<String> {
        let known = self.servers();
        let mut servers = known.iter().map(|server| &server.connector);
        if servers.clone().any(|server| server.binds().refused() > 0) {
            return None;
        }
        servers.find_map(|server| {
            let password = server.binds().last_acceptance()?;
            Some(self.access.mark_of(password.as_ref(), salt))
        })
    }

    /// The last time that a server refused the credentials, including refusals that a run did not
    /// see because it ended first; none if there was none.
    #[must_use]
    pub fn last_refusal(&self, salt: &str) -> Option<CredentialRefusal> {
        let servers = self.servers();
        let refusals = servers.iter().filter_map(|server| {
            let connector = &server.connector;
            let (at, password) = connector.binds().last_refusal()?;
            Some(CredentialRefusal {
                server: connector.server().to_owned(),
                at,
                mark: self.access.mark_of(password.as_ref(), salt),
            })
        });
        refusals.max_by_key(|refusal| refusal.at)
    }

    /// Whether a server refused the credentials within that time; the server with this URL, or any.
    #[must_use]
    pub fn was_refused_within(&self, server: Option<&str>, time: Duration) -> bool {
        let servers = self.servers();
        let asked = servers
            .iter()
            .filter(|one| server.is_none_or(|server| one.connector.server() == server));
        let mut refusals = asked.filter_map(|one| one.connector.binds().last_refusal());
        refusals.any(|(at, _)| at.elapsed() < time)
    }

    /// The state of each server's connections, and the number of binds so far.
    #[must_use]
    pub fn figures(&self) -> Vec<PoolFigures> {
        let of = |server: &Arc<Server>| {
            let (connector, pool) = (&server.connector, &server.pool);
            let status = pool.status();
            PoolFigures {
                server: connector.server().to_owned(),
                open: status.size,
                idle: status.available,
                waiting: status.waiting,
                binds_tried: connector.binds().tried(),
                binds_refused: connector.binds().refused(),
            }
        };
        self.servers().iter().map(of).collect()
    }

    pub(super) fn page_size(&self) -> i32 {
        self.page_size
    }
}

/// A refusal of credentials by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct CredentialRefusal {
    pub server: String,
    /// When, by a monotonic clock.
    pub at: Instant,
    /// The mark of what was tried, as of `DirectoryPool::credential_mark`.
    pub mark: String,
}

/// The counts of one server since the program started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFigures {
    /// The server's URL, as shown in reports.
    pub server: String,
    /// Connections that are open or being opened.
    pub open: usize,
    /// Open connections that are idle.
    pub idle: usize,
    /// Callers that wait for a connection.
    pub waiting: usize,
    /// Binds that were sent.
    pub binds_tried: u64,
    /// Binds whose credentials were refused.
    pub binds_refused: u64,
}

impl Server {
    fn new(name: &str, connector: Connector, pool_size: usize) -> Result<Self, DirectoryError> {
        // Connecting has its own time limits, with more specific errors; the pool's is only a
        // fallback.
        let behind = connector.limit().saturating_add(Duration::from_secs(5));
        let wait = connector.limit();
        let pool = managed::Pool::builder(Manager {
            connector: connector.clone(),
        })
        .max_size(pool_size.max(1))
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(wait),
            create: Some(behind),
            recycle: Some(PROOF_LIMIT.saturating_add(Duration::from_secs(1))),
        })
        .build()
        .map_err(|error| DirectoryError::Settings {
            directory: name.into(),
            reason: format!("no pool: {error}"),
        })?;
        Ok(Self {
            connector,
            pool,
            wait,
            outage: Outage::default(),
        })
    }

    /// A connection to this server, for the exclusive use of the caller.
    ///
    /// # Errors
    /// The step of connecting that failed, or `PoolExhausted`.
    pub async fn get(&self) -> Result<PooledConnection, DirectoryError> {
        let began = Instant::now();
        let lent = self.lend().await;
        match &lent {
            Ok(_) => self.outage.over(),
            Err(error) => self
                .outage
                .failed(error, Stage::Connecting, began.elapsed()),
        }
        lent
    }

    /// The same, unless a connection could not be made a moment ago.
    ///
    /// # Errors
    /// As for `get`, and `NotAsked`.
    pub(super) async fn get_unless_just_tried(&self) -> Result<PooledConnection, DirectoryError> {
        match self.outage.just_tried() {
            None => self.get().await,
            Some((ago, reason)) => Err(DirectoryError::NotAsked {
                server: self.connector.server().to_owned(),
                ago,
                reason: reason
                    .strip_prefix(&format!("{}: ", self.connector.server()))
                    .map(str::to_owned)
                    .unwrap_or(reason),
            }),
        }
    }

    /// A search did not begin to answer.
    pub(super) fn did_not_answer(&self, error: &DirectoryError) {
        self.outage.failed(error, Stage::Connected, Duration::ZERO);
    }

    /// Closes the connections that nobody uses: one of them did not answer, and what made it so, such
    /// as a firewall that forgot it, is as true of the others.
    pub(super) fn close_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    async fn lend(&self) -> Result<PooledConnection, DirectoryError> {
        let server = self.connector.server().to_owned();
        match self.pool.get().await {
            Ok(object) => Ok(PooledConnection {
                is_fresh: Object::metrics(&object).recycle_count == 0,
                is_sound: false,
                object,
            }),
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(DirectoryError::PoolExhausted {
                server,
                limit: self.wait,
            }),
            Err(PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)) => {
                Err(DirectoryError::TimedOut {
                    server,
                    tried: "making a connection".into(),
                    limit: self.wait,
                })
            }
            Err(
                error @ (PoolError::Closed
                | PoolError::NoRuntimeSpecified
                | PoolError::PostCreateHook(_)),
            ) => Err(DirectoryError::Lost {
                server,
                tried: "making a connection".into(),
                reason: error.to_string(),
            }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection taken from the pool; it is closed when dropped, unless it was returned after
/// everything on it succeeded.
#[derive(Debug)]
pub struct PooledConnection {
    object: Object<Manager>,
    is_fresh: bool,
    is_sound: bool,
}

impl PooledConnection {
    /// Whether the connection is new.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Whether an error may only say that the connection was unused for a while: one from the pool may
    /// have been closed already, or forgotten by a firewall in silence, which says nothing about the
    /// server.
    pub(super) fn may_have_been_dead(&self, error: &DirectoryError) -> bool {
        let is_loss = matches!(
            error,
            DirectoryError::Lost { .. } | DirectoryError::TimedOut { .. }
        );
        is_loss && !self.is_fresh
    }

    /// Returns the connection: every request on it was answered completely.
    pub fn give_back(mut self) {
        self.is_sound = true;
    }
}

impl Deref for PooledConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.object
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.object
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        if !self.is_sound {
            // It is closed at once, even while the server still sends; the pool finds it closed and
            // drops it.
            self.object.end();
        }
    }
}

/// Opens and tests connections for the pool.
#[derive(Debug)]
pub struct Manager {
    connector: Connector,
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = DirectoryError;

    async fn create(&self) -> Result<Connection, DirectoryError> {
        self.connector.connect().await
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        metrics: &Metrics,
    ) -> RecycleResult<DirectoryError> {
        if connection.is_closed() {
            return Err(RecycleError::message("it has ended"));
        }
        if connection.age() > MAX_AGE {
            return Err(RecycleError::message("it is too old"));
        }
        if !self.connector.is_bound_with_the_current(connection).await {
            return Err(RecycleError::message(
                "it was bound with a password that has changed",
            ));
        }
        if metrics.last_used() > MAX_IDLE && !connection.answers(PROOF_LIMIT).await {
            return Err(RecycleError::message("it does not answer"));
        }
        Ok(())
    }
}
