//! Triggered runs that are queued: the client is told that it waits, and always how the run ended.

use ftrack_ldap_sync::demo::ftrack::{CallKind, Gate};
use serde_json::Value;

use super::{Daemon, must, told, wait_for_phase};
use crate::studio::Studio;

const OTHER: &str = "[jobs.others]\nsearch_bases = [\"ou=none,dc=studio,dc=test\"]\nfilter = \
                     \"(uid=*)\"\nattributes = { username = \"uid\" }";

/// What a trigger of a job is told, line by line.
fn triggered(studio: &Studio, job: &str) -> impl Iterator<Item = Value> + use<> {
    told(studio, &format!("/v1/jobs/{job}/trigger"))
}

/// A daemon whose job `artists` is under way, and reads until the gate is opened.
fn at_work(studio: &Studio) -> (Daemon, Gate) {
    let daemon = Daemon::start(studio);
    daemon.nth_event(1, "contact.made");
    let gate = studio.hold(CallKind::Read);
    assert_eq!(
        triggered(studio, "artists").next().unwrap()["type"],
        "started"
    );
    (daemon, gate)
}

fn studio() -> Studio {
    Studio::of(&["ada"]).for_a_daemon(OTHER)
}

#[test]
fn a_run_that_waits_for_its_turn_says_so_and_runs() {
    let studio = studio();
    let (daemon, gate) = at_work(&studio);
    let mut told = triggered(&studio, "others");
    assert_eq!(told.next().unwrap()["type"], "waiting");
    gate.open();
    let rest: Vec<Value> = told.collect();
    assert_eq!(rest[0]["type"], "started", "{rest:#?}");
    assert_eq!(rest.last().unwrap()["type"], "finished");
    assert!(daemon.stop().0.success());
}

#[test]
fn whoever_waits_when_the_daemon_stops_hears_so() {
    let studio = studio();
    let (daemon, gate) = at_work(&studio);
    let mut told = triggered(&studio, "others");
    assert_eq!(told.next().unwrap()["type"], "waiting");
    daemon.signal("TERM");
    let end = told.next().unwrap();
    assert!(
        end["type"] == "ended" && end["error"].as_str().unwrap().contains("stopping"),
        "{end:#}"
    );
    let late = triggered(&studio, "others").next();
    assert!(late.is_none_or(|late| late["kind"] == "stopping"));
    gate.open();
}

#[test]
fn a_pause_outlives_a_job_that_goes_and_comes_back() {
    let studio = studio();
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["pause", "artists", "--reason", "the move"]);
    let artists = std::fs::read_to_string(studio.config()).unwrap();
    let path = studio.folder().join("config.toml");
    let start = artists.find("[jobs.artists]").unwrap();
    let others = artists.find("[jobs.others]").unwrap();
    let without = format!("{}{}", &artists[..start], &artists[others..])
        .replace("[jobs.others]", "[jobs.others]\ndirectory = \"studio\"");
    std::fs::write(&path, without).unwrap();
    daemon.signal("HUP");
    daemon.event("config.reloaded");
    std::fs::write(&path, artists).unwrap();
    daemon.signal("HUP");
    daemon.nth_event(1, "config.reloaded");
    assert_eq!(
        wait_for_phase(&studio, "paused")["pause"]["reason"],
        "the move"
    );
}
