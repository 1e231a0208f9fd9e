//! The HTTP listener: the probes and the status page.

use std::time::{Duration, Instant};

use ftrack_ldap_sync::{
    daemon::{
        heartbeat::Heartbeat,
        status::{Contact, JobPhase},
    },
    model::{
        backoff::Backoff,
        pause::Pause,
        report::{FailureKind, Outcome},
        summary::RunSummary,
    },
};

use super::{Answer, Daemon, at, job, report, request, status, tcp};

#[test]
fn healthy_is_a_scheduler_that_makes_progress() {
    let daemon = Daemon::of(&["artists"]);
    assert_eq!(daemon.get("/healthz").status, 200);

    let long_ago = Instant::now()
        .checked_sub(Duration::from_secs(100))
        .unwrap();
    let daemon = Daemon::with(
        status(vec![job("artists")]),
        Heartbeat::starting_at(long_ago),
    );
    let answer = daemon.get("/healthz");
    assert_eq!(answer.status, 503);
    // Whoever asks may have had to wait.
    let seconds = answer.body.split("no progress for ").nth(1).unwrap();
    let seconds: u64 = seconds.split(' ').next().unwrap().parse().unwrap();
    assert!((100..600).contains(&seconds), "{}", answer.body);
    daemon.pulse.beat();
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn ready_is_a_daemon_that_reached_every_server() {
    let mut now = status(vec![job("artists")]);
    now.contacts.push(Contact {
        server: "directory studio".into(),
        since: None,
        error: Some("the password is refused\n\u{1b}".into()),
    });
    let daemon = Daemon::with(now, Heartbeat::new());
    let answer = daemon.get("/readyz");
    assert_eq!(answer.status, 503);
    assert_eq!(
        answer.body,
        "directory studio has not been reached: the password is refused\\u{a}\\u{1b}\n"
    );
    assert!(
        answer.head.contains("content-type: text/plain"),
        "{}",
        answer.head
    );

    daemon
        .status
        .send_replace(status(vec![job("artists")]).into());
    let answer = daemon.get("/readyz");
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.starts_with("ftrack was first reached at 20") && answer.body.ends_with("Z\n"),
        "{}",
        answer.body
    );
}

#[test]
fn heads_are_answered_and_other_methods_refused() {
    let daemon = Daemon::of(&["artists"]);
    for path in ["/style.css", "/healthz", "/readyz", "/metrics"] {
        let answer = Answer::to(tcp(daemon.address), &request("HEAD", path, ""));
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        for method in ["POST", "DELETE", "BREW", "OPTIONS"] {
            assert_eq!(
                Answer::to(tcp(daemon.address), &request(method, path, "")).status,
                405,
                "{method} {path}"
            );
        }
    }
    for path in ["/v1/status", "/metrics/", "/%00", "//"] {
        assert_eq!(daemon.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_page_shows_each_job_and_nothing_in_it_is_markup() {
    let mut bad = job("artists");
    bad.phase = JobPhase::Suspended;
    bad.last_run = Some(RunSummary::of(&report("artists", Outcome::Failed)));
    bad.backoff = Some(Backoff {
        failures: 12,
        since: at("2026-01-01T00:00:00Z"),
        retry_at: at("2026-01-02T00:00:00Z"),
        suspended: true,
        kind: FailureKind::Directory,
        error: "<script>alert('1')</script> & \"quotes\" \u{202e}\n".into(),
        asked: None,
    });
    bad.pause = Some(Pause {
        since: at("2026-01-01T00:00:00Z"),
        until: Some(at("2026-01-05T11:00:00Z")),
        reason: Some("<img src=x onerror=alert(1)>".into()),
        by: Some("<b>eva</b>".into()),
    });
    let mut now = status(vec![bad, job("nightly")]);
    now.config.error = Some("<b>line 3</b>".into());
    let daemon = Daemon::with(now, Heartbeat::new());
    let answer = Answer::to(
        tcp(daemon.address),
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(answer.status, 200);
    for header in [
        "content-security-policy: default-src 'none'; style-src 'self'",
        "cache-control: no-store",
        "content-type: text/html; charset=utf-8",
    ] {
        assert!(answer.head.contains(header), "{}", answer.head);
    }
    let page = &answer.body;
    for shown in [
        "suspended",
        "failed 12 times in a row since 2026-01-01 01:00:00 CET",
        "retry at 2026-01-02 01:00:00 CET",
        "&lt;script&gt;",
        "&amp;",
        "\\u{202e}\\u{a}",
        "paused until 2026-01-05 12:00:00 CET: &lt;img src=x onerror=alert(1)&gt; (since 2026-01-01 \
         01:00:00 CET, by &lt;b&gt;eva",
        "&lt;b&gt;line 3&lt;",
        "nightly",
        "never",
        "2030-01-01 01:00:00 CET",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.contains(shown), "{shown} is missing:\n{page}");
    }
    for markup in ["<script", "<img", "<b>", "\u{202e}"] {
        assert!(!page.contains(markup), "{markup}:\n{page}");
    }
}

#[test]
fn pages_are_served_under_known_names_and_probes_under_any() {
    let daemon = Daemon::of(&["artists"]);
    let answer = |path: &str, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        Answer::to(tcp(daemon.address), &request)
    };
    let host = |name: &str| format!("Host: {name}\r\n");
    let port = daemon.address.port();
    for known in [
        "daemon",
        "DAEMON:9464",
        "daemon.",
        "localhost",
        "127.0.0.1",
        "10.1.2.3:80",
        "[::1]:9464",
        &daemon.address.to_string(),
        &format!("localhost:{port}"),
    ] {
        // Who asks by another name than this machine's own needs a token.
        let is_local = ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|own| known.starts_with(own));
        let status = answer("/", &host(known)).status;
        assert_eq!(status, if is_local { 200 } else { 403 }, "{known}");
        assert_eq!(answer("/style.css", &host(known)).status, 200, "{known}");
    }
    for unknown in [
        "attacker.test",
        "attacker.test:9464",
        "daemon.attacker.test",
        "localhost.attacker.test",
        "daemon@attacker.test",
        "127.0.0.1.attacker.test",
        "",
        "a b",
    ] {
        let refused = answer("/", &host(unknown));
        assert!(
            [400, 421].contains(&refused.status),
            "{unknown}: {}",
            refused.status
        );
        assert!(!refused.body.contains("artists"), "{unknown}");
        for path in ["/healthz", "/readyz", "/metrics"] {
            let is_name = !unknown.is_empty() && !unknown.contains(' ');
            assert!(
                !is_name || answer(path, &host(unknown)).status == 200,
                "{path} {unknown}"
            );
        }
    }
    let refused = answer("/", &host("attacker.test"));
    assert_eq!(refused.status, 421);
    assert!(refused.body.contains("http.hosts"), "{}", refused.body);
    assert!(answer("/", "").status >= 400, "without a name");

    let page = answer("/", &host("localhost"));
    for part in [
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'none'",
    ] {
        assert!(page.head.contains(part), "{}", page.head);
    }
}
