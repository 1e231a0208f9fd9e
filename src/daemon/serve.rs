//! The connections of both listeners, with limits so that no client can block the daemon: one
//! request per connection, and a limit on everything that a client sends, receives, or keeps open.

use std::{
    io,
    net::IpAddr,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    serve::Listener,
};
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::places::{Peer, Place, Places};

/// Time limit for the head of a request from the start of its connection, and for its body after
/// that.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// The largest head of a request, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;

/// The largest body of a request, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;

/// How long a client may not read an answer before its connection is closed.
const WRITE_STALL_LIMIT: Duration = Duration::from_secs(30);

/// How long answers in flight may continue after the end.
const GRACE: Duration = Duration::from_secs(1);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// As far as limits go.
    pub peer: Peer,
    /// The address of a host.
    pub address: Option<IpAddr>,
}

/// Serves clients until `end` is cancelled; then lets the answers in flight finish, within a
/// second. If it is dropped, no connection outlives it for longer either.
///
/// Each connection carries one request, so that an idle client keeps no place; `peer` says whose
/// limits it counts against. Handlers find its [`Place`], its [`Peer`] and the [`Client`] among the
/// request's extensions. When no file descriptor is left, `axum`'s listener waits for a second before it tries again.
pub async fn serve<L: Listener>(
    mut listener: L,
    client: impl Fn(&L::Io, &L::Addr) -> Client,
    router: Router,
    end: &CancellationToken,
) {
    let places = Places::default();
    let connections = TaskTracker::new();
    let end = end.child_token();
    let _ends_when_dropped = end.clone().drop_guard();
    loop {
        let (stream, address) = tokio::select! {
            biased;
            () = end.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let client = client(&stream, &address);
        let place = places.queue(client.peer);
        let (router, end) = (router.clone(), end.clone());
        connections.spawn(async move {
            let admitted = tokio::select! {
                biased;
                () = end.cancelled() => false,
                admitted = place.admitted() => admitted,
            };
            if admitted {
                connection(stream, (client, place), router, &end).await;
            }
        });
        // Of many that connect at once, each is read before the next one can push it out.
        tokio::task::yield_now().await;
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// One connection from its first byte to its last. Its errors concern only the client.
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    (client, place): (Client, Place),
    router: Router,
    end: &CancellationToken,
) {
    let stream = StallLimit::new(stream, WRITE_STALL_LIMIT);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        place.head_arrived();
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(client.peer);
        request.extensions_mut().insert(client);
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_LIMIT)
        .max_buf_size(HEAD_LIMIT)
        .keep_alive(false);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = place.closed() => return,
        () = end.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = timeout(GRACE, connection).await;
}

/// Why the body of a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is too long, or incomplete.
    #[error("the body is longer than {BODY_LIMIT} bytes, or incomplete")]
    Unreadable,
    /// It took too long.
    #[error("the body did not arrive within {} s", REQUEST_LIMIT.as_secs())]
    Slow,
}

/// The body of a request.
///
/// # Errors
/// It is too long, incomplete, or did not arrive in time.
pub async fn body(body: Body) -> Result<Bytes, BodyError> {
    match timeout(REQUEST_LIMIT, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(BodyError::Unreadable),
        Err(_) => Err(BodyError::Slow),
    }
}

/// A stream that fails when the peer does not read for too long.
struct StallLimit<S> {
    stream: S,
    taking: Duration,
    waits: Option<Pin<Box<Sleep>>>,
}

impl<S> StallLimit<S> {
    fn new(stream: S, taking: Duration) -> Self {
        let waits = None;
        Self {
            stream,
            taking,
            waits,
        }
    }

    /// Passes on the result of a write, and ends a wait that is too long.
    fn limit<T>(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waits = None;
            return outcome;
        }
        let taking = self.taking;
        let wait = self.waits.get_or_insert_with(|| Box::pin(sleep(taking)));
        ready!(wait.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallLimit<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.limit(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.limit(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limit(context, outcome)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::{io::ErrorKind, time::Duration};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::StallLimit;

    #[tokio::test]
    async fn a_stream_of_which_nothing_is_taken_fails() {
        let (near, mut far) = duplex(16);
        let mut near = StallLimit::new(near, Duration::from_millis(50));
        near.write_all(&[0; 16]).await.unwrap();
        let failed = near.write_all(&[0]).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::TimedOut);
        far.read_exact(&mut [0; 16]).await.unwrap();
        near.write_all(&[0; 16]).await.unwrap();
    }
}
