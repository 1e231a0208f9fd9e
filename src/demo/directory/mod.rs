//! A small LDAP directory in memory that speaks the real protocol (RFC 4511) over TCP, for the demo
//! and the tests.
//!
//! It serves one tree: simple binds, Who am I?, searches with every kind of filter, paging (RFC
//! 2696), a root DSE and its schema. Entries are only changed through [`Tree`]; over the wire it
//! refuses every change.

mod attribute_types;
mod connection;
mod filter;
mod name;
mod object_classes;
mod page;
mod root_dse;
mod schema;
mod search;
mod selection;
mod stored;
mod tree;
mod wire;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use name::InvalidDn;
pub use tree::{Tree, TreeEntry, TreeError};

/// Connections at the same time; more wait in the listener's queue.
const CONNECTIONS: usize = 256;
/// How long `stop` waits for connections to close.
const GOODBYE: Duration = Duration::from_secs(5);
/// The delay after a failed accept, as when descriptors run out.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// A running directory; it stops when it is dropped.
#[derive(Debug)]
pub struct DirectoryServer {
    address: SocketAddr,
    tree: Tree,
    tally: Arc<Tally>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Bind requests, refused ones included.
    pub binds: usize,
    /// Search requests; each page is one.
    pub searches: usize,
    /// Open connections.
    pub connections: usize,
}

/// The live counts, and the server's health.
#[derive(Debug)]
struct Tally {
    binds: AtomicUsize,
    searches: AtomicUsize,
    connections: AtomicUsize,
    /// The number of entries after which a search ends with an error.
    busy_after: AtomicUsize,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            binds: AtomicUsize::default(),
            searches: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            busy_after: AtomicUsize::new(usize::MAX),
        }
    }
}

impl DirectoryServer {
    /// Serves a tree on an address; port 0 selects a free one. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(listen: SocketAddr, tree: Tree) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let server = Self {
            address: listener.local_addr()?,
            tree: tree.clone(),
            tally: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (tally, stop, tasks) = (
            Arc::clone(&server.tally),
            server.stop.clone(),
            server.tasks.clone(),
        );
        server.tasks.spawn(async move {
            let accepting = accept(listener, tree, tally, stop.clone(), tasks);
            stop.run_until_cancelled(accepting).await;
        });
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as an `ldap://` URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// The tree that it serves; it may be changed while it is served.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            binds: self.tally.binds.load(Ordering::SeqCst),
            searches: self.tally.searches.load(Ordering::SeqCst),
            connections: self.tally.connections.load(Ordering::SeqCst),
        }
    }

    /// From the next search on, every search that would return more than this many entries, over
    /// all pages, ends after them with `busy` (51).
    pub fn break_off_after(&self, entries: usize) {
        self.tally.busy_after.store(entries, Ordering::SeqCst);
    }

    /// Lets every search end normally again.
    pub fn recover(&self) {
        self.break_off_after(usize::MAX);
    }

    /// Stops listening, notifies every client, and waits at most five seconds until the connections
    /// are closed.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        // Connections that are still open are closed with the runtime.
        let _ = timeout(GOODBYE, self.tasks.wait()).await;
    }
}

impl Drop for DirectoryServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Accepts connections until the server stops.
async fn accept(
    listener: TcpListener,
    tree: Tree,
    tally: Arc<Tally>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed, so the loop only ends with the server.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (tree, tally, stop) = (tree.clone(), Arc::clone(&tally), stop.clone());
                tasks.spawn(async move {
                    serve(stream, tree, &tally, stop).await;
                    drop(place);
                });
            }
            Err(_) => sleep(ACCEPT_REST).await,
        }
    }
}

async fn serve(stream: TcpStream, tree: Tree, tally: &Tally, stop: CancellationToken) {
    let _open = Open::new(&tally.connections);
    connection::serve(stream, tree, tally, &stop).await;
}

/// Counts a connection for as long as it is open, however it ends.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn new(connections: &'a AtomicUsize) -> Self {
        connections.fetch_add(1, Ordering::SeqCst);
        Self(connections)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
