//! The control API, version 1: requests and answers.

use std::io::{BufRead, BufReader, Write};

use ftrack_ldap_sync::{
    daemon::{commands::RunUpdate, control::StatusReply},
    model::report::Outcome,
    run::Progress,
};

use super::{Daemon, LIMIT, job, report, request};

#[test]
fn the_status_is_whole_and_tells_the_age_of_the_beat() {
    let daemon = Daemon::of(&["artists", "nightly"]);
    let answer = daemon.order("GET", "/v1/status", "");
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("content-type: application/json"),
        "{}",
        answer.head
    );
    let now: StatusReply = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(now.status, **daemon.status.borrow());
    assert!(now.beat_age_seconds < 15.0);
    assert_eq!(answer.json()["jobs"][0]["phase"], "idle");
}

#[test]
fn a_run_is_told_line_by_line_as_it_happens() {
    let mut daemon = Daemon::of(&["artists"]);
    let mut stream = daemon.connect();
    stream
        .write_all(request("POST", "/v1/jobs/artists/trigger", r#"{"dry_run": true}"#).as_bytes())
        .unwrap();
    let run = daemon.next_run();
    assert_eq!((run.job.as_str(), run.dry_run), ("artists", true));
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(
        head[0].ends_with("200 OK")
            && head.contains(&"content-type: application/x-ndjson".to_owned()),
        "{head:?}"
    );
    let report = Box::new(report("artists", Outcome::Held));
    let said = [
        RunUpdate::Waiting,
        RunUpdate::Started,
        RunUpdate::Progress(Progress::Entries(412)),
        RunUpdate::Progress(Progress::Changes(1, 3)),
        RunUpdate::Finished { report },
    ];
    let mut lines = lines.filter(|line| line.starts_with('{'));
    for told in said {
        // The next word is spoken only when the one before has arrived.
        run.say(told.clone());
        let line = lines.next().unwrap();
        assert_eq!(
            serde_json::from_str::<RunUpdate>(&line).unwrap(),
            told,
            "{line}"
        );
    }
    assert_eq!(lines.next(), None);
}

#[test]
fn a_run_that_ends_without_a_word_is_ended_by_one() {
    let mut daemon = Daemon::of(&["artists"]);
    let mut stream = daemon.connect();
    stream
        .write_all(request("POST", "/v1/jobs/artists/trigger", "").as_bytes())
        .unwrap();
    let run = daemon.next_run();
    assert!(!run.dry_run);
    drop(run);
    let answer = super::Answer::rest(stream);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["type"], "ended");
}

#[test]
fn one_who_leaves_does_not_hold_the_run_up() {
    let mut daemon = Daemon::of(&["artists"]);
    let mut stream = daemon.connect();
    stream
        .write_all(request("POST", "/v1/jobs/artists/trigger", "").as_bytes())
        .unwrap();
    let run = daemon.next_run();
    run.say(RunUpdate::Started);
    drop(stream);
    daemon
        .runtime
        .block_on(async { tokio::time::timeout(LIMIT, run.told.closed()).await })
        .expect("the daemon is to notice that nobody listens");
    assert_eq!(daemon.order("GET", "/v1/status", "").status, 200);
}

#[test]
fn a_pause_is_kept_with_its_end_and_its_reason() {
    let daemon = Daemon::of(&["artists"]);
    let answer = daemon.order(
        "POST",
        "/v1/jobs/artists/pause",
        "{\"until\": \"2040-01-01T00:00:00Z\", \"reason\": \" moving \\u001b[2J house \"}",
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["pause"]["until"], "2040-01-01T00:00:00Z");
    assert_eq!(answer.json()["pause"]["reason"], "moving \\u{1b}[2J house");
    let refused = daemon.order("POST", "/v1/jobs/artists/trigger", "");
    assert_eq!((refused.status, refused.kind().as_str()), (409, "paused"));

    let answer = daemon.order("POST", "/v1/jobs/artists/resume", "");
    assert_eq!(
        (answer.status, &answer.json()["pause"]),
        (200, &serde_json::Value::Null)
    );
    let answer = daemon.order(
        "POST",
        "/v1/jobs/artists/pause",
        "{\"until\": null, \"reason\": \"  \"}",
    );
    assert_eq!(
        (answer.status, &answer.json()["pause"]["reason"]),
        (200, &serde_json::Value::Null)
    );
}

#[test]
fn what_cannot_be_done_is_said_with_a_kind() {
    let daemon = Daemon::of(&["artists", "busy"]);
    daemon.status.send_modify(|status| {
        let mut now = (**status).clone();
        now.jobs[1] = job("busy");
        now.jobs[1].phase = ftrack_ldap_sync::daemon::status::JobPhase::Running;
        *status = now.into();
    });
    let long = format!("{{\"reason\": \"{}\"}}", "x".repeat(501));
    for (method, path, body, status, kind) in [
        ("POST", "/v1/jobs/nobody/trigger", "", 404, "unknown_job"),
        ("POST", "/v1/jobs/nobody/pause", "{}", 404, "unknown_job"),
        ("POST", "/v1/jobs/nobody/resume", "", 404, "unknown_job"),
        ("POST", "/v1/jobs/busy/trigger", "", 409, "already_running"),
        ("POST", "/v1/jobs/artists/trigger", "{", 400, "malformed"),
        (
            "POST",
            "/v1/jobs/artists/trigger",
            "[true]",
            400,
            "malformed",
        ),
        (
            "POST",
            "/v1/jobs/artists/trigger",
            "{\"dry_run\": 1}",
            400,
            "malformed",
        ),
        (
            "POST",
            "/v1/jobs/artists/trigger",
            "{\"dryrun\": true}",
            400,
            "malformed",
        ),
        (
            "POST",
            "/v1/jobs/artists/pause",
            "{\"until\": \"2020-01-01T00:00:00Z\"}",
            400,
            "malformed",
        ),
        (
            "POST",
            "/v1/jobs/artists/pause",
            "{\"until\": \"tomorrow\"}",
            400,
            "malformed",
        ),
        (
            "POST",
            "/v1/jobs/artists/pause",
            "{\"why\": \"\"}",
            400,
            "malformed",
        ),
        ("POST", "/v1/jobs/artists/pause", &long, 400, "malformed"),
        (
            "POST",
            "/v1/jobs/artists/resume",
            "{\"now\": true}",
            400,
            "malformed",
        ),
        ("POST", "/v1/jobs/%ff/resume", "", 400, "malformed"),
        (
            "GET",
            "/v1/jobs/artists/trigger",
            "",
            405,
            "method_not_allowed",
        ),
        (
            "BREW",
            "/v1/jobs/artists/trigger",
            "",
            405,
            "method_not_allowed",
        ),
        ("POST", "/v1/status", "", 405, "method_not_allowed"),
        ("GET", "/", "", 404, "not_found"),
        ("GET", "/v2/status", "", 404, "not_found"),
        ("POST", "/v1/jobs/artists/delete", "", 404, "not_found"),
    ] {
        let answer = daemon.order(method, path, body);
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (status, kind),
            "{method} {path} {body}"
        );
    }
    let longest = format!("{{\"reason\": \"{}\"}}", "ö".repeat(500));
    assert_eq!(
        daemon
            .order("POST", "/v1/jobs/artists/pause", &longest)
            .status,
        200
    );
}
