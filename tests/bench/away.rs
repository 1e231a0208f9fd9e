//! A proxy that delays what passes, each way by half of a round trip, does not limit how much passes,
//! and counts it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::answers;

/// The most that is read at a time.
const CHUNK: usize = 256 * 1024;

/// What has passed.
#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    /// Bytes to the server.
    sent: AtomicU64,
    /// Bytes from the server.
    received: AtomicU64,
}

/// Serves a port of this machine as if it were so far away, until standard input ends. Prints its own
/// port, and at each line of standard input what has passed so far.
pub async fn serve(port: u16, round_trip: Duration) {
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind(anywhere).await.expect("a free port");
    println!("{}", listener.local_addr().expect("its address").port());
    let counts = Arc::new(Counts::default());
    let counted = Arc::clone(&counts);
    tokio::spawn(async move {
        loop {
            if let Ok((client, _)) = listener.accept().await {
                let counts = Arc::clone(&counts);
                // It fails where one of both ends goes away.
                tokio::spawn(async move { connected(client, port, round_trip, &counts).await });
            }
        }
    });
    answers::until_the_end(move || {
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({
            "connections": number(&counted.connections),
            "sent": number(&counted.sent),
            "received": number(&counted.received),
        })
    })
    .await;
}

/// Carries one connection, which is there after a round trip.
async fn connected(
    client: TcpStream,
    port: u16,
    round_trip: Duration,
    counts: &Counts,
) -> io::Result<()> {
    counts.connections.fetch_add(1, Ordering::Relaxed);
    sleep_until(Instant::now() + round_trip).await;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let half = round_trip / 2;
    tokio::join!(
        one_way(from_client, to_server, half, &counts.sent),
        one_way(from_server, to_client, half, &counts.received),
    );
    Ok(())
}

/// Carries one direction: what arrives is sent after the delay, whatever arrives meanwhile.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
    count: &AtomicU64,
) {
    let (later, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut chunk = vec![0; CHUNK];
        // An error is an end as well; it passes like anything else.
        loop {
            let read = from.read(&mut chunk).await.unwrap_or(0);
            count.fetch_add(read as u64, Ordering::Relaxed);
            let part = (Instant::now() + delay, chunk[..read].to_vec());
            if later.send(part).is_err() || read == 0 {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, chunk)) = due.recv().await {
            // A timer takes a millisecond, even for what is due.
            if at > Instant::now() {
                sleep_until(at).await;
            }
            if chunk.is_empty() || to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
