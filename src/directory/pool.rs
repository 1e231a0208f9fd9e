//! Connections to the servers of one directory, kept for a while and lent to one user at a time.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
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
    connector::{Connector, connectors},
    error::DirectoryError,
};
use crate::config::Directory;

/// The greatest age of a connection: below the 15 minutes after which Active Directory hangs up on
/// idle ones.
const MAX_AGE: Duration = Duration::from_secs(600);
/// After how long without use a connection is asked whether it still answers.
const MAX_IDLE: Duration = Duration::from_secs(15);
/// How long such an answer may take.
const PROOF_LIMIT: Duration = Duration::from_secs(3);

/// The servers of one directory, each with its pool of at most `pool_size` connections; cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct DirectoryPool {
    name: Arc<str>,
    servers: Arc<[Server]>,
    page_size: i32,
    id_attribute: Option<Arc<str>>,
    id: Option<Arc<str>>,
    trusts_replicas: bool,
}

/// One server and its connections.
#[derive(Debug)]
pub struct Server {
    /// How connections to it are made.
    pub connector: Connector,
    pool: managed::Pool<Manager>,
    wait: Duration,
}

impl DirectoryPool {
    /// The pool of a configured directory; reads the certificate files, but does not touch the
    /// network.
    ///
    /// # Errors
    /// A certificate file that cannot be used, or settings that contradict each other.
    pub fn new(name: &str, directory: &Directory) -> Result<Self, DirectoryError> {
        let servers = connectors(name, directory)?
            .into_iter()
            .map(|connector| Server::new(name, connector, directory))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: name.into(),
            servers,
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

    /// The servers, in order of preference.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The attribute that the operator named as the id.
    #[must_use]
    pub fn id_attribute(&self) -> Option<&str> {
        self.id_attribute.as_deref()
    }

    /// What identifies the directory itself, where the operator named it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether a reading of that server shows who is absent: it is the first one, or the operator
    /// trusts all alike.
    #[must_use]
    pub fn is_preferred(&self, server: &str) -> bool {
        self.trusts_replicas
            || self
                .servers
                .first()
                .is_some_and(|first| first.connector.server() == server)
    }

    /// A mark of the password that the next bind would send, made with a salt that is kept secret:
    /// it tells whether the password is still the same, and is of no use to whoever wants to guess
    /// it. None where no password is sent.
    ///
    /// # Errors
    /// `File` when the password's file holds none any more.
    pub async fn credential_mark(&self, salt: &str) -> Result<Option<String>, DirectoryError> {
        match self.servers.first() {
            Some(server) => server.connector.mark(salt).await,
            None => Ok(None),
        }
    }

    /// The last time that a server refused the credentials, also in a run that ended before it
    /// heard of it; none while none did.
    #[must_use]
    pub fn last_refusal(&self, salt: &str) -> Option<CredentialRefusal> {
        let refusals = self.servers.iter().filter_map(|Server { connector, .. }| {
            let (at, password) = connector.binds().last_refusal()?;
            Some(CredentialRefusal {
                server: connector.server().to_owned(),
                at,
                mark: password.map(|password| password.mark(salt, connector.who())),
            })
        });
        refusals.max_by_key(|refusal| refusal.at)
    }

    /// Whether a server refused the credentials within that time; of this URL, or any.
    #[must_use]
    pub fn was_refused_within(&self, server: Option<&str>, time: Duration) -> bool {
        let asked = self
            .servers
            .iter()
            .filter(|one| server.is_none_or(|server| one.connector.server() == server));
        let mut refusals = asked.filter_map(|one| one.connector.binds().last_refusal());
        refusals.any(|(at, _)| at.elapsed() < time)
    }

    /// What each server's connections are doing at this moment, and how often was bound so far.
    #[must_use]
    pub fn figures(&self) -> Vec<PoolFigures> {
        let of = |Server {
                      connector, pool, ..
                  }: &Server| {
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
        self.servers.iter().map(of).collect()
    }

    pub(super) fn page_size(&self) -> i32 {
        self.page_size
    }
}

/// The refusal of credentials by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRefusal {
    /// Which server.
    pub server: String,
    /// When, by a clock that nobody can set.
    pub at: Instant,
    /// The mark of the password that was refused, as `DirectoryPool::credential_mark` makes it;
    /// none where none was sent.
    pub mark: Option<String>,
}

/// The figures of one server since the program started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolFigures {
    /// The server's URL, as it is shown.
    pub server: String,
    /// Connections that are open or being made.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Callers who wait for one.
    pub waiting: usize,
    /// Binds that were sent.
    pub binds_tried: u64,
    /// Binds whose credentials were refused.
    pub binds_refused: u64,
}

impl Server {
    fn new(
        name: &str,
        connector: Connector,
        directory: &Directory,
    ) -> Result<Self, DirectoryError> {
        // Making a connection has its own limits, which say more; the pool's only stands behind
        // them.
        let behind = connector.limit().saturating_add(Duration::from_secs(5));
        let wait = connector.limit();
        let pool = managed::Pool::builder(Manager {
            connector: connector.clone(),
        })
        .max_size(directory.pool_size.max(1))
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
        })
    }

    /// A connection to this server, for the sole use of the caller.
    ///
    /// # Errors
    /// The step of connecting that failed, or `PoolExhausted`.
    pub async fn get(&self) -> Result<PooledConnection, DirectoryError> {
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

/// A connection on loan; it is ended when dropped, unless it was given back after everything on it
/// ended well.
#[derive(Debug)]
pub struct PooledConnection {
    object: Object<Manager>,
    is_fresh: bool,
    is_sound: bool,
}

impl PooledConnection {
    /// Whether nobody used the connection before.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Gives the connection back: everything that was asked over it was answered to the end.
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
            // It ends here and now, even while the server still sends; the pool finds it ended and
            // drops it.
            self.object.end();
        }
    }
}

/// Makes and proves connections for the pool.
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
