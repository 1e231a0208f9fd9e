//! Receivers that are slow or dead: the daemon's runs go on, and what is not delivered is counted.

use std::time::{Duration, Instant};

use super::{
    SIGNED, is_of_changes, occasions, told,
    web::{Answer, WebSink},
};
use crate::{
    daemon::{
        Daemon, LIMIT,
        control::{page, watched},
        must,
    },
    slapd::wait_until,
    studio::{Studio, dn},
};

/// How many messages may wait for one receiver.
const WAITING: usize = 16;

#[test]
fn a_receiver_that_never_answers_delays_and_fails_no_run() {
    let mut studio = watched(Studio::of(&["ada"]).for_a_daemon(""));
    studio.job.push_str("schedule = \"@yearly\"\n");
    let sink = WebSink::start(studio.runtime());
    sink.answer_all(Answer::Never);
    told(
        &studio,
        &sink,
        "on = [\"changes\"]\ntime_limit = \"1h\"",
        SIGNED,
    );
    let daemon = Daemon::start(&studio);
    // One is under way, all others wait, and for the last there is no room.
    let began = Instant::now();
    for nth in 0..WAITING + 2 {
        studio
            .tree()
            .replace(&dn("ada"), "sn", &[&format!("Name {nth}")])
            .unwrap();
        must(&studio, 0, &["trigger"]);
        if nth == 0 {
            sink.received_when(1);
        }
    }
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    let dropped = daemon.event("notification.dropped");
    is_of_changes(&dropped, "too many newer messages wait for its receiver");
    let counted = "ftrack_ldap_sync_notifications_total{job=\"artists\",receiver=\"webhook\",result=\"dropped\"} 1\n";
    let is_counted = || page(&studio, &daemon, "/metrics").1.contains(counted);
    assert!(
        wait_until(LIMIT, is_counted),
        "{}",
        page(&studio, &daemon, "/metrics").1
    );
    assert_eq!(daemon.events("notification.failed").len(), 0);
    let runs = studio.reports();
    assert_eq!(runs.len(), WAITING + 2);
    assert_eq!(sink.received().len(), 1);
    let (status, took) = daemon.stop();
    assert!(status.success());
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn what_is_not_delivered_at_the_end_is_told() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"\n");
    studio.ftrack_settings = "attempts = 1".into();
    let sink = WebSink::start(studio.runtime());
    sink.answer_all(Answer::Never);
    told(&studio, &sink, "on = [\"changes\"]", SIGNED);
    let mut daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    sink.received_when(1);
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    let failed = daemon.event("notification.failed");
    assert_eq!(
        (&failed["attempts"], failed["error"].as_str().unwrap()),
        (
            &1.into(),
            "the program ended before it was delivered; a later one tries it again"
        )
    );
}

#[test]
fn a_daemon_tells_of_an_outage_once_and_of_a_changed_configuration_it_knows() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"@yearly\"\nretry = { initial = \"1s\", max = \"1s\" }\n");
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, "", SIGNED);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    studio
        .ftrack()
        .fail_when(|_| Some(ftrack_ldap_sync::demo::ftrack::Fault::Html(404)));
    must(&studio, 1, &["trigger"]);
    studio.reports_when(4);
    studio.ftrack().heal();
    daemon.event("outage.ended");
    assert_eq!(
        occasions(&sink.received_when(2)),
        [["failed"], ["recovered"]]
    );
    // Whoever is told from now on.
    let other = WebSink::start(studio.runtime());
    told(&studio, &other, "on = [\"changes\"]", SIGNED);
    daemon.signal("HUP");
    daemon.event("config.reloaded");
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    must(&studio, 0, &["trigger"]);
    assert_eq!(occasions(&other.received_when(1)), [["changes"]]);
    assert_eq!(sink.received().len(), 2);
    daemon.stop();
}

#[test]
fn what_a_receiver_did_not_take_it_gets_after_a_later_run() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"@yearly\"\nretry = { initial = \"1h\", max = \"1h\" }\n");
    let sink = WebSink::start(studio.runtime());
    sink.answer_all(Answer::Status(503));
    told(&studio, &sink, "attempts = 1", SIGNED);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    studio
        .ftrack()
        .fail_when(|_| Some(ftrack_ldap_sync::demo::ftrack::Fault::Html(404)));
    must(&studio, 1, &["trigger"]);
    daemon.event("notification.failed");
    sink.answer_all(Answer::Status(200));
    // That it fails is nothing new.
    must(&studio, 1, &["trigger"]);
    let received = sink.received_when(2);
    assert_eq!(occasions(&received), [["failed"], ["failed"]]);
    assert_eq!(received[0].json()["id"], received[1].json()["id"]);
    daemon.event("notification.sent");
    must(&studio, 1, &["trigger"]);
    studio.ftrack().heal();
    must(&studio, 0, &["trigger"]);
    assert_eq!(
        occasions(&sink.received_when(3)),
        [["failed"], ["failed"], ["recovered"]]
    );
    daemon.stop();
}

#[test]
fn a_run_that_leaves_no_report_is_told_once_as_well() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"@yearly\"\nretry = { initial = \"1s\", max = \"1s\" }\n");
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, "", SIGNED);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    let locks = studio.state_dir().join("locks");
    let aside = studio.state_dir().join("locks-aside");
    std::fs::rename(&locks, &aside).unwrap();
    std::fs::write(&locks, "in the way").unwrap();
    must(&studio, 1, &["trigger"]);
    let failed = sink.received_when(1)[0].json();
    assert_eq!(failed["occasions"], serde_json::json!(["failed"]));
    assert!(
        failed["error"].as_str().unwrap().contains("locks"),
        "{failed:#}"
    );
    assert_eq!(failed["run"], serde_json::Value::Null);
    // It is retried, and fails again.
    daemon.event("outage.began");
    let failures = || crate::daemon::job(&studio)["backoff"]["failures"].as_u64();
    assert!(wait_until(LIMIT, || failures().is_some_and(|failures| failures > 1)));
    std::fs::remove_file(&locks).unwrap();
    std::fs::rename(&aside, &locks).unwrap();
    assert_eq!(
        occasions(&sink.received_when(2)),
        [["failed"], ["recovered"]]
    );
    daemon.stop();
}

#[test]
fn what_an_approval_changes_is_told_where_changes_are() {
    let mut studio =
        Studio::of(&["ada", "bob"]).for_a_daemon("schedule = \"@yearly\"\nlimits.deactivate = 0\n");
    studio.top.push('\n');
    let sink = WebSink::start(studio.runtime());
    told(&studio, &sink, "on = [\"held\", \"changes\"]", SIGNED);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    studio.tree().remove(&dn("ada")).unwrap();
    must(&studio, 3, &["trigger"]);
    let hold = sink.received_when(2)[1].json()["holds"][0]["hold"].to_string();
    must(&studio, 0, &["approve", &hold]);
    let received = sink.received_when(3);
    assert_eq!(occasions(&received), [["changes"], ["held"], ["changes"]]);
    assert_eq!(received[2].json()["people"][0]["action"], "deactivate");
    daemon.stop();
}
