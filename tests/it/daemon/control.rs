//! Control and monitoring of a running daemon.

use std::{fs, time::Duration};

use chrono::{TimeDelta, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::report::{Approver, Report, Trigger},
};

use super::{Daemon, LIMIT, job, must, wait_for_phase};
use crate::{
    slapd::wait_until,
    studio::{Studio, dn},
};

/// A page of the daemon's HTTP listener.
pub fn page(studio: &Studio, daemon: &Daemon, path: &str) -> (u16, String) {
    let port = fs::read_to_string(studio.folder().join("port")).unwrap();
    let _ = daemon;
    studio.runtime().block_on(async {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        let answer = client
            .get(format!("http://127.0.0.1:{port}{path}"))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// A studio whose daemon listens on a free port.
fn watched_studio(job: &str) -> Studio {
    watched(Studio::of(&["ada", "bob"]).for_a_daemon(job))
}

/// A studio whose daemon listens on a free port.
pub fn watched(mut studio: Studio) -> Studio {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    fs::write(studio.folder().join("port"), port.to_string()).unwrap();
    studio.top += &format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
    studio
}

#[test]
fn trigger_tells_the_run_and_ends_as_it_ends() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]).for_a_daemon("limits.deactivate = 0");
    let daemon = Daemon::start(&studio);
    let dry: Report = must(&studio, 0, &["trigger", "--dry-run", "--format", "json"]).report();
    assert_eq!(
        (
            dry.dry_run,
            dry.changes.len(),
            studio.ftrack().users().len()
        ),
        (true, 3, 2)
    );
    let report = must(&studio, 0, &["trigger", "artists", "--format", "json"]).report();
    assert_eq!(
        (report.trigger, report.counts.created),
        (Trigger::Manual, 3)
    );
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(report.started_by, Some(Approver::of_user(uid, None)));
    let changes = must(&studio, 0, &["runs", "--changes"]).stdout;
    assert!(
        changes.contains(&format!(" (manual by uid {uid})\n")),
        "{changes}"
    );
    studio.tree().remove(&dn("bob")).unwrap();
    must(&studio, 3, &["trigger"]);
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    must(&studio, 1, &["trigger"]);
    studio.ftrack().heal();
    let unknown = must(&studio, 2, &["trigger", "artist"]);
    assert!(unknown.stderr.contains("artists"), "{}", unknown.stderr);
    studio.job = String::new();
    drop(daemon);
    let nobody = must(&studio, 1, &["trigger"]);
    assert!(nobody.stderr.contains("control.sock"), "{}", nobody.stderr);
}

#[test]
fn a_pause_survives_a_restart_and_ends_by_itself() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"* * * * * *\"");
    let daemon = Daemon::start(&studio);
    studio.reports_when(1);
    let until = (Utc::now() + TimeDelta::seconds(6)).to_rfc3339();
    must(
        &studio,
        0,
        &[
            "pause",
            "artists",
            "--until",
            &until,
            "--reason",
            "the move to the new server",
        ],
    );
    assert_eq!(
        daemon.event("job.paused")["reason"],
        "the move to the new server"
    );
    daemon.stop();
    let before = studio.reports().len();
    let daemon = Daemon::start(&studio);
    let shown = wait_for_phase(&studio, "paused");
    assert_eq!(shown["pause"]["reason"], "the move to the new server");
    let told = must(&studio, 1, &["trigger"]).stderr;
    assert!(
        told.contains("the move to the new server") && told.contains("resume"),
        "{told}"
    );
    assert_eq!(studio.reports().len(), before);
    daemon.event("job.resumed");
    assert!(Utc::now().to_rfc3339() >= until);
    studio.reports_when(before + 1);
    must(&studio, 0, &["pause"]);
    wait_for_phase(&studio, "paused");
    must(&studio, 0, &["resume"]);
    assert_ne!(job(&studio)["phase"], "paused");
}

#[test]
fn a_run_under_way_delays_no_answer() {
    let studio = watched_studio("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    assert!(wait_until(LIMIT, || page(&studio, &daemon, "/readyz").0 == 200));
    let (_, metrics) = page(&studio, &daemon, "/metrics");
    assert!(
        !metrics.contains("last_success_timestamp_seconds{"),
        "nothing claims a success before the first run"
    );
    let gate = studio.hold(CallKind::Write);
    daemon.signal("USR1");
    assert!(gate.wait_for(1, LIMIT), "nothing was written");
    for path in ["/healthz", "/readyz", "/metrics", "/"] {
        let began = std::time::Instant::now();
        assert_eq!(page(&studio, &daemon, path).0, 200, "{path}");
        assert!(began.elapsed() < Duration::from_secs(1), "{path}");
    }
    assert_eq!(job(&studio)["phase"], "running");
    gate.open();
    wait_for_phase(&studio, "idle");
    let (_, metrics) = page(&studio, &daemon, "/metrics");
    for line in [
        "ftrack_ldap_sync_runs_total{job=\"artists\",outcome=\"succeeded\"} 1",
        "ftrack_ldap_sync_changes_total{action=\"create\",job=\"artists\",result=\"applied\"} 2",
        "ftrack_ldap_sync_owned_users{active=\"true\",job=\"artists\"} 2",
        "ftrack_ldap_sync_directory_entries{job=\"artists\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("ftrack_ldap_sync_last_success_timestamp_seconds{job=\"artists\"}"));
}

#[test]
fn runs_in_the_foreground_are_known_to_status_page_and_metrics() {
    let studio = watched_studio("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    assert!(wait_until(LIMIT, || page(&studio, &daemon, "/readyz").0 == 200));
    let run = studio.sync().run;
    let is_known = || job(&studio)["last_run"]["run"] == run.as_str();
    assert!(wait_until(LIMIT, is_known), "{:#}", job(&studio));
    assert!(job(&studio)["last_success"].is_string());
    let (_, metrics) = page(&studio, &daemon, "/metrics");
    for line in [
        "ftrack_ldap_sync_owned_users{active=\"true\",job=\"artists\"} 2",
        "ftrack_ldap_sync_last_success_timestamp_seconds{job=\"artists\"}",
        "ftrack_ldap_sync_runs_total{job=\"artists\",outcome=\"succeeded\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let (_, shown) = page(&studio, &daemon, "/");
    assert!(shown.contains("succeeded"), "{shown}");
    // The daemon's own runs are the last ones again, and what one fails at is held against it.
    must(&studio, 0, &["trigger"]);
    assert_ne!(job(&studio)["last_run"]["run"], run.as_str());
    studio.directory().break_off_after(0);
    assert_eq!(studio.run(&["sync"]).status, 1);
    studio.directory().recover();
    let has_failed = || job(&studio)["last_run"]["outcome"] == "failed";
    assert!(wait_until(LIMIT, has_failed), "{:#}", job(&studio));
    assert_eq!(job(&studio)["phase"], "idle");
}

#[test]
fn an_applied_plan_ends_the_outage_of_the_daemons_job() {
    let studio = watched_studio("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    assert!(wait_until(LIMIT, || page(&studio, &daemon, "/readyz").0 == 200));
    studio.directory().break_off_after(0);
    must(&studio, 1, &["trigger"]);
    assert_eq!(job(&studio)["phase"], "backing_off");
    studio.directory().recover();
    let file = studio.folder().join("plan.json");
    let file = file.to_str().unwrap();
    must(&studio, 0, &["plan", "--out", file]);
    must(&studio, 0, &["apply", file]);
    wait_for_phase(&studio, "idle");
    let job = job(&studio);
    assert_eq!(job["last_run"]["outcome"], "succeeded");
    assert!(job["backoff"].is_null(), "{job:#}");
}

#[test]
fn it_is_not_ready_before_both_servers_were_reached() {
    let mut studio = watched_studio("schedule = \"@yearly\"");
    let right = std::mem::replace(&mut studio.directory_url, "ldap://127.0.0.1:1".into());
    let daemon = Daemon::start(&studio);
    assert_eq!(daemon.event("contact.failed")["server"], "directory studio");
    let (status, told) = page(&studio, &daemon, "/readyz");
    assert!(
        status == 503 && told.contains("directory studio"),
        "{status} {told}"
    );
    assert_eq!(page(&studio, &daemon, "/healthz").0, 200);
    studio.directory_url = right;
    studio.config();
    daemon.signal("HUP");
    assert!(wait_until(LIMIT, || page(&studio, &daemon, "/readyz").0 == 200));
}

#[test]
fn it_is_not_ready_after_a_reload_until_the_new_address_was_reached() {
    let mut studio = watched_studio("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    assert!(wait_until(LIMIT, || page(&studio, &daemon, "/readyz").0 == 200));
    let right = std::mem::replace(&mut studio.directory_url, "ldap://127.0.0.1:1".into());
    studio.config();
    daemon.signal("HUP");
    daemon.event("config.reloaded");
    assert_eq!(daemon.event("contact.failed")["server"], "directory studio");
    let (status, told) = page(&studio, &daemon, "/readyz");
    assert!(
        status == 503 && told.contains("directory studio"),
        "{status} {told}"
    );
    studio.directory_url = right;
    studio.config();
    daemon.signal("HUP");
    assert!(wait_until(LIMIT, || page(&studio, &daemon, "/readyz").0 == 200));
}
