//! Several servers or addresses of a directory, of which some do not answer: each costs its time
//! once.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ftrack_ldap_sync::{
    config::Directory,
    directory::{DirectoryError, DirectoryPool, ReadFailure, ask, read},
    model::{entry::DirectoryId, id::IdAttribute},
};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    directory::{people, request},
    slapd::{Over, Setup, Slapd},
};

/// An address that drops whatever is sent to it, like a machine that is switched off: its queue of
/// connections is full.
pub struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _queue: Vec<std::net::TcpStream>,
}

impl BlackHole {
    /// At this address, or at any free port where it names none.
    pub fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let moment = Duration::from_millis(300);
        let connect = || std::net::TcpStream::connect_timeout(&address, moment);
        let queue = std::iter::from_fn(|| connect().ok()).collect();
        Self {
            address,
            _listener: listener,
            _queue: queue,
        }
    }

    fn anywhere() -> Self {
        Self::at(([127, 0, 0, 1], 0).into())
    }
}

async fn people_read(pool: &DirectoryPool) -> Result<String, ReadFailure> {
    let nobody = CancellationToken::new();
    let reading = read(pool, &request(), |_, _| (), &nobody, |_| ()).await?;
    assert_eq!(reading.entries().len(), 3);
    Ok(reading.server().to_owned())
}

/// A pool of servers at these addresses, with one second for each connection.
fn pool(slapd: &Slapd, addresses: &[SocketAddr]) -> DirectoryPool {
    let urls = addresses.iter().map(|address| format!("ldap://{address}"));
    let directory = Directory {
        urls: urls.map(|url| url.parse().unwrap()).collect(),
        connect_timeout: Duration::from_secs(1),
        ..slapd.directory(Over::Plain)
    };
    DirectoryPool::new("studio", &directory).unwrap()
}

fn address(slapd: &Slapd) -> SocketAddr {
    let url = slapd.url();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    format!("{host}:{port}").parse().unwrap()
}

#[tokio::test]
async fn a_dead_first_server_costs_its_time_once() {
    let slapd = Setup::new(people(3)).start();
    let dead = BlackHole::anywhere();
    let pool = pool(&slapd, &[dead.address, address(&slapd)]);
    let began = Instant::now();
    for _ in 0..20 {
        let server = people_read(&pool).await.unwrap();
        assert_eq!(server, format!("ldap://{}", address(&slapd)));
    }
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(900) && took < Duration::from_secs(5),
        "{took:?}"
    );
    // It is known not to answer: the second look does not wait for it either.
    let ids = [DirectoryId::new("00000000-0000-0000-0000-000000000001").unwrap()];
    let server = format!("ldap://{}", dead.address);
    let began = Instant::now();
    let nobody = CancellationToken::new();
    let attribute = IdAttribute::EntryUuid;
    let failure = ask(&pool, Some(&server), &request(), &attribute, &ids, &nobody)
        .await
        .unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::NotAsked { .. })
            && failure.error.concerns_one_server()
            && failure.to_string().contains("took longer than 1s"),
        "{failure}"
    );
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_server_that_did_not_answer_is_asked_when_no_other_does() {
    let slapd = Setup::new(people(3)).start();
    let port = Setup::new(people(3)).start();
    let dead = BlackHole::anywhere();
    let back = dead.address;
    let pool = pool(&slapd, &[back, address(&port)]);
    people_read(&pool).await.unwrap();
    drop(port);
    assert!(people_read(&pool).await.is_err());
    drop(dead);
    let forwarding = Forwarding::start(back, address(&slapd)).await;
    let server = people_read(&pool).await.unwrap();
    assert_eq!(server, format!("ldap://{back}"));
    drop(forwarding);
    let failure = people_read(&pool).await.unwrap_err();
    assert!(
        matches!(failure.error, DirectoryError::AllServers(_)),
        "{failure}"
    );
}

/// Forwards to a server; its connections can be forgotten, as by a firewall: nothing passes any more
/// and neither end hears of it.
struct Forwarding {
    address: SocketAddr,
    forgotten: Arc<watch::Sender<u32>>,
    accepting: JoinHandle<()>,
}

impl Forwarding {
    async fn start(at: SocketAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (forgotten, _) = watch::channel(0);
        let forgotten = Arc::new(forgotten);
        let told = Arc::clone(&forgotten);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let mut told = told.subscribe();
                connections.spawn(async move {
                    let (mut client, mut server) = (client, TcpStream::connect(to).await.unwrap());
                    told.mark_unchanged();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = told.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self {
            address,
            forgotten,
            accepting,
        }
    }

    /// Forgets the connections that there are.
    fn forget(&self) {
        self.forgotten.send_modify(|times| *times += 1);
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[tokio::test]
async fn connections_that_were_dropped_in_silence_cost_no_read() {
    let slapd = Setup::new(people(3)).start();
    let forwarding = Forwarding::start(([127, 0, 0, 1], 0).into(), address(&slapd)).await;
    let directory = Directory {
        urls: vec![format!("ldap://{}", forwarding.address).parse().unwrap()],
        operation_timeout: Duration::from_secs(1),
        pool_size: 3,
        ..slapd.directory(Over::Plain)
    };
    let pool = DirectoryPool::new("studio", &directory).unwrap();
    for _ in 0..2 {
        // Several are idle.
        let server = &pool.servers()[0];
        let lent = [
            server.get().await.unwrap(),
            server.get().await.unwrap(),
            server.get().await.unwrap(),
        ];
        for connection in lent {
            connection.give_back();
        }
        forwarding.forget();
        let began = Instant::now();
        people_read(&pool).await.unwrap();
        let took = began.elapsed();
        assert!(took < Duration::from_millis(2500), "{took:?}");
    }
}

#[tokio::test]
async fn a_dead_address_of_a_name_costs_a_moment() {
    let slapd = Setup::new(people(3)).start();
    let dead = [BlackHole::anywhere(), BlackHole::anywhere()];
    let directory = Directory {
        connect_timeout: Duration::from_secs(20),
        ..slapd.directory(Over::Plain)
    };
    let pool = DirectoryPool::new("studio", &directory).unwrap();
    let connector = &pool.servers()[0].connector;
    let began = Instant::now();
    let addresses = [dead[0].address, dead[1].address, address(&slapd)];
    let stream = connector.tcp(&addresses, connector.until()).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address(&slapd));
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}
