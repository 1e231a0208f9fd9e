//! A proxy that understands LDAP and breaks one search answer, or one bind, as programmed, and that
//! shows a server with limits that it has not; everything else passes byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod ber;
mod broken_answers;
mod connection;
pub mod quirks;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use self::quirks::Quirks;

/// One thing that goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    place: Place,
    trouble: Trouble,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is reset (RST).
    Reset,
    /// The connection is closed in an orderly way (FIN), without a word.
    Close,
    /// Nothing more comes, and the connection stays open.
    Stall,
    /// The operation ends with this result code (below 128) instead of the rest of its answer.
    Result(u8),
    /// A continuation reference is inserted, and the answer goes on.
    Reference,
    /// The end of each page carries a cookie, and the first page is served again for it.
    EndlessCookie,
    /// The end of a page comes without its paged-results control.
    NoControl,
}

/// Where it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Bind { nth: usize },
    EveryBind,
    Search { nth: usize, after: usize },
    AnySearch { after: usize },
}

/// The server behind the proxy.
#[derive(Clone)]
struct Upstream {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

/// The proxy, on a thread of its own, so that it also serves tests that wait for a program without
/// a runtime; it ends when it is dropped.
pub struct LdapProxy {
    address: SocketAddr,
    program: Arc<Mutex<Program>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// The fault and how far it is, over all connections.
#[derive(Default)]
struct Program {
    fault: Option<Fault>,
    quirks: Option<Quirks>,
    binds: usize,
    searches: usize,
    injected: bool,
}

impl Fault {
    /// In the n-th search (from 1), in place of what follows its first `after` entries, over all
    /// its pages.
    ///
    /// Pages of one search count as one search; reads of a single entry (root DSE, schema) pass
    /// without being counted. A search with fewer entries than that is not disturbed.
    /// `EndlessCookie` and `NoControl` wait for the end of that page.
    pub fn in_search(nth: usize, after: usize, trouble: Trouble) -> Self {
        assert!(nth > 0, "searches are counted from 1");
        Self {
            place: Place::Search { nth, after },
            trouble,
        }
    }

    /// The same in the first search that has so many entries.
    pub fn in_any_search(after: usize, trouble: Trouble) -> Self {
        Self {
            place: Place::AnySearch { after },
            trouble,
        }
    }

    /// In place of the answer to the n-th bind (from 1).
    pub fn at_bind(nth: usize, trouble: Trouble) -> Self {
        assert!(nth > 0, "binds are counted from 1");
        Self {
            place: Place::Bind { nth },
            ..Self::at_every_bind(trouble)
        }
    }

    /// In place of the answer to each bind.
    pub fn at_every_bind(trouble: Trouble) -> Self {
        let fits = matches!(
            trouble,
            Trouble::Reset | Trouble::Close | Trouble::Stall | Trouble::Result(_)
        );
        assert!(fits, "{trouble:?} cannot happen to a bind");
        Self {
            place: Place::EveryBind,
            trouble,
        }
    }
}

impl LdapProxy {
    /// Listens on a free loopback port and forwards to an LDAP server.
    pub fn start(upstream: SocketAddr, fault: impl Into<Option<Fault>>) -> Self {
        let upstream = Upstream {
            address: upstream,
            tls: None,
        };
        Self::before(upstream, fault.into())
    }

    /// The same to a server that is reached by TLS; the client needs none.
    pub fn over_tls(upstream: SocketAddr, ca_file: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(ca_file).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let upstream = Upstream {
            address: upstream,
            tls: Some(TlsConnector::from(Arc::new(config))),
        };
        Self::before(upstream, None)
    }

    fn before(upstream: Upstream, fault: Option<Fault>) -> Self {
        let program = Arc::new(Mutex::new(Program {
            fault,
            ..Program::default()
        }));
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepting, stopped) = (
            accept(listener, upstream, Arc::clone(&program)),
            stop.clone(),
        );
        // Connections are tasks of this runtime and end with it.
        let thread = std::thread::spawn(move || {
            runtime.block_on(stopped.run_until_cancelled(accepting));
        });
        Self {
            address,
            program,
            stop,
            thread: Some(thread),
        }
    }

    /// Where it listens, as an `ldap://` URL.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// Programs another fault, or none, and counts from the start again.
    pub fn set_fault(&self, fault: impl Into<Option<Fault>>) {
        let mut program = lock(&self.program);
        *program = Program {
            fault: fault.into(),
            quirks: program.quirks,
            ..Program::default()
        };
    }

    /// From now on the server has these limits, or its own again.
    pub fn set_quirks(&self, quirks: impl Into<Option<Quirks>>) {
        lock(&self.program).quirks = quirks.into();
    }

    /// Whether the fault has happened.
    pub fn injected(&self) -> bool {
        lock(&self.program).injected
    }
}

impl Drop for LdapProxy {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic in the proxy is a failure of the test, unless the test fails already.
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the proxy failed"
            );
        }
    }
}

impl Program {
    /// Counts a bind, and says what is to happen to it.
    fn bind(&mut self) -> Option<Trouble> {
        self.binds += 1;
        let is_due = |fault: &Fault| match fault.place {
            Place::Bind { nth } => nth == self.binds && !self.injected,
            Place::EveryBind => true,
            Place::Search { .. } | Place::AnySearch { .. } => false,
        };
        let due = self.fault.filter(is_due)?;
        self.injected = true;
        Some(due.trouble)
    }

    /// Counts a search, and says which one it is.
    fn search(&mut self) -> usize {
        self.searches += 1;
        self.searches
    }

    /// What is to happen now, when `sent` entries of a search have passed and the end of a page
    /// comes next, or does not.
    fn due(&mut self, search: usize, sent: usize, at_end: bool) -> Option<Trouble> {
        let fault = self.fault.filter(|_| !self.injected)?;
        let (is_meant, after) = match fault.place {
            Place::Search { nth, after } => (nth == search, after),
            Place::AnySearch { after } => (true, after),
            Place::Bind { .. } | Place::EveryBind => return None,
        };
        let waits_for_end = matches!(fault.trouble, Trouble::EndlessCookie | Trouble::NoControl);
        let due = is_meant && sent >= after && (at_end || !waits_for_end);
        self.injected = due;
        due.then_some(fault.trouble)
    }
}

fn lock(program: &Mutex<Program>) -> MutexGuard<'_, Program> {
    program.lock().unwrap()
}

async fn accept(listener: std::net::TcpListener, upstream: Upstream, program: Arc<Mutex<Program>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        tokio::spawn(connection::forward(
            client,
            upstream.clone(),
            Arc::clone(&program),
        ));
    }
}
