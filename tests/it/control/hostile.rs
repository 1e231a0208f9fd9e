//! Hostile clients of a listener: slow ones, greedy ones, many at once, and ones that never read.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use ftrack_ldap_sync::daemon::{commands::RunUpdate, places::WATCHERS_PER_PEER};
use socket2::{Domain, Socket, Type};

use super::{Answer, Daemon, LIMIT, request, tcp};

/// What the server says before it closes the connection; nothing when it only closes it.
fn all(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let daemon = Daemon::of(&["artists"]);
    for beginning in ["", "GET", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let begun = Instant::now();
        let mut stream = tcp(daemon.address);
        stream.write_all(beginning.as_bytes()).unwrap();
        let said = all(stream);
        assert!(!said.contains("200 OK"), "{said}");
        assert!(
            (Duration::from_secs(4)..Duration::from_secs(10)).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn a_body_that_does_not_come_or_is_too_long_is_refused() {
    let daemon = Daemon::of(&["artists"]);
    let head = "POST /v1/jobs/artists/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";
    let mut stream = daemon.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let answer = Answer::rest(stream);
    assert_eq!((answer.status, answer.kind().as_str()), (400, "malformed"));

    let head =
        "POST /v1/jobs/artists/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n";
    let mut stream = daemon.connect();
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b' '; 8192];
    let mut sent = 0;
    while sent < 10_000_000 && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 10_000_000, "the server took {sent} bytes");
    assert!(daemon.status.borrow().jobs[0].pause.is_none());
    assert_eq!(daemon.order("GET", "/v1/status", "").status, 200);
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let daemon = Daemon::of(&["artists"]);
    let with = |headers: String| {
        Answer::to(
            tcp(daemon.address),
            &format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{headers}\r\n"),
        )
    };
    assert_eq!(
        with(format!("X-Long: {}\r\n", "x".repeat(10_000))).status,
        200
    );
    assert_eq!(
        with(format!("X-Long: {}\r\n", "x".repeat(20_000))).status,
        431
    );
    assert_eq!(with("X: y\r\n".repeat(150)).status, 431);
}

#[test]
fn what_is_no_request_is_refused() {
    let daemon = Daemon::of(&["artists"]);
    for request in [
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = tcp(daemon.address);
        stream.write_all(request.as_bytes()).unwrap();
        let said = all(stream);
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 4") || said.starts_with("HTTP/1.1 5"),
            "{request:?}: {said}"
        );
    }
    let half = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    let mut stream = tcp(daemon.address);
    stream.write_all(half.as_bytes()).unwrap();
    drop(stream);
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn of_many_at_once_each_has_its_turn() {
    let daemon = Daemon::of(&["artists"]);
    let idle: Vec<TcpStream> = (0..200).map(|_| tcp(daemon.address)).collect();
    let begun = Instant::now();
    let last = tcp(daemon.address);
    assert_eq!(Answer::to(last, &request("GET", "/readyz", "")).status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(19),
        "{:?}",
        begun.elapsed()
    );
    // The other listener has places of its own.
    assert_eq!(daemon.order("GET", "/v1/status", "").status, 200);
    drop(idle);
}

#[test]
fn the_end_lets_an_answer_in_flight_finish_and_waits_for_nobody() {
    let mut daemon = Daemon::of(&["artists"]);
    let idle = tcp(daemon.address);
    let mut watching = daemon.connect();
    watching
        .write_all(request("POST", "/v1/jobs/artists/trigger", "").as_bytes())
        .unwrap();
    let mut other = daemon.connect();
    other
        .write_all(request("POST", "/v1/jobs/artists/trigger", "").as_bytes())
        .unwrap();
    let (first, second) = (daemon.next_run(), daemon.next_run());
    first.say(RunUpdate::Started);
    second.say(RunUpdate::Started);
    daemon.end.cancel();
    first.say(RunUpdate::Ended {
        error: "stopped".into(),
    });
    let begun = Instant::now();
    daemon.stop();
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    let said = [all(watching), all(other)];
    assert_eq!(
        said.iter()
            .filter(|said| said.contains("\"stopped\""))
            .count(),
        1,
        "{said:?}"
    );
    assert!(all(idle).is_empty());
    drop(second);
}

#[test]
fn those_who_follow_runs_take_nobody_elses_place() {
    let mut daemon = Daemon::of(&["artists"]);
    let following: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = daemon.connect();
            let trigger = request("POST", "/v1/jobs/artists/trigger", "");
            stream.write_all(trigger.as_bytes()).unwrap();
            (stream, daemon.next_run())
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(daemon.order("GET", "/v1/status", "").status, 200);
    assert_eq!(
        daemon.order("POST", "/v1/jobs/artists/pause", "").status,
        200
    );
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    drop(following);
}

#[test]
fn no_run_is_triggered_whose_end_cannot_be_told() {
    let mut daemon = Daemon::of(&["artists"]);
    let mut following = Vec::new();
    for _ in 0..WATCHERS_PER_PEER {
        let mut stream = daemon.connect();
        let trigger = request("POST", "/v1/jobs/artists/trigger", "");
        stream.write_all(trigger.as_bytes()).unwrap();
        following.push((stream, daemon.next_run()));
    }
    let refused = daemon.order("POST", "/v1/jobs/artists/trigger", "");
    assert_eq!(
        (refused.status, refused.kind().as_str()),
        (503, "too_many_watchers")
    );
    assert!(daemon.triggered.try_recv().is_err());
    let (stream, run) = following.pop().unwrap();
    run.say(RunUpdate::Ended {
        error: "stopped".into(),
    });
    assert!(all(stream).contains("stopped"));
    let mut stream = daemon.connect();
    stream
        .write_all(request("POST", "/v1/jobs/artists/trigger", "").as_bytes())
        .unwrap();
    drop(daemon.next_run());
}

#[test]
fn half_open_connections_hold_up_no_probe() {
    let daemon = Daemon::of(&["artists"]);
    let half = "GET /healthz HTTP/1.1\r\nHost: x\r\n";
    let half_open = |count: usize| -> Vec<TcpStream> {
        let begin = |_| {
            let mut stream = tcp(daemon.address);
            stream.write_all(half.as_bytes()).unwrap();
            stream
        };
        (0..count).map(begin).collect()
    };
    let mut waiting = half_open(64);
    let begun = Instant::now();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(daemon.get(path).status, 200, "{path}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    // Another host's connection is not closed for them.
    let mut other = from([127, 0, 0, 2], daemon.address);
    other.write_all(half.as_bytes()).unwrap();
    waiting.extend(half_open(100));
    assert_eq!(daemon.get("/healthz").status, 200);
    other.write_all(b"\r\n").unwrap();
    assert_eq!(Answer::rest(other).status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

/// A connection from another address of this machine.
fn from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}
