//! Failures: retried after a growing delay, logged briefly, and remembered over a restart.

use std::time::Duration;

use ftrack_ldap_sync::{
    demo::ftrack::Fault,
    model::report::{FailureKind, Outcome, Trigger},
};

use super::{Daemon, job, must, wait_for_phase};
use crate::studio::Studio;

const OFTEN: &str =
    "schedule = \"* * * * * *\"\nretry = { initial = \"1s\", max = \"2s\", suspend_after = 3 }";

#[test]
fn an_outage_is_told_at_its_beginning_at_each_change_and_at_its_end() {
    let studio = Studio::of(&["ada"]).for_a_daemon(OFTEN);
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    let daemon = Daemon::start(&studio);
    let began = daemon.event("outage.began");
    assert_eq!(
        (&began["kind"], &began["failures"], &began["suspended"]),
        (&"ftrack".into(), &1.into(), &false.into())
    );
    let suspended = daemon.event("outage.changed");
    assert_eq!(
        (&suspended["failures"], &suspended["suspended"]),
        (&3.into(), &true.into())
    );
    let shown = wait_for_phase(&studio, "suspended");
    assert!(
        shown["backoff"]["error"].as_str().unwrap().contains("404"),
        "{shown:#}"
    );
    let failed = studio.reports_when(6);
    assert!(
        failed
            .iter()
            .all(|report| report.outcome == Outcome::Failed)
    );
    assert!(
        failed
            .iter()
            .skip(1)
            .all(|report| report.trigger == Trigger::Retry),
        "{failed:#?}"
    );
    studio.ftrack().heal();
    let ended = daemon.event("outage.ended");
    assert!(ended["failures"].as_u64().unwrap() >= 6);
    wait_for_phase(&studio, "idle");
    let said = daemon.logged();
    let runs = said
        .iter()
        .filter(|line| line["event"] == "run.finished" && line["level"] == "ERROR")
        .count();
    assert_eq!(runs, 1, "the failure is said once: {said:#?}");
    assert_eq!(
        (
            daemon.events("outage.began").len(),
            daemon.events("outage.changed").len()
        ),
        (1, 1)
    );
    assert_eq!(
        studio.ftrack().counters().write_calls,
        1 + studio
            .reports()
            .iter()
            .map(|report| report.ftrack.write_calls)
            .sum::<u64>()
            - 1
    );
}

#[test]
fn a_back_off_survives_a_restart() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"* * * * * *\"\nretry = { initial = \"1h\", max = \"1h\" }");
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    let daemon = Daemon::start(&studio);
    daemon.event("outage.began");
    let before = wait_for_phase(&studio, "backing_off")["backoff"].clone();
    daemon.kill();
    studio.ftrack().heal();
    let daemon = Daemon::start(&studio);
    daemon.nth_event(1, "contact.made");
    let after = job(&studio);
    assert_eq!(
        (&after["backoff"], &after["phase"]),
        (&before, &"backing_off".into())
    );
    assert_eq!(studio.reports().len(), 1, "nothing ran before its time");
    // A person does not have to wait.
    must(&studio, 0, &["trigger", "artists"]);
    wait_for_phase(&studio, "idle");
    assert_eq!(daemon.event("outage.ended")["failures"], 1);
}

#[test]
fn a_run_beyond_its_time_limit_is_ended() {
    let studio = Studio::of(&["ada"])
        .for_a_daemon("schedule = \"* * * * * *\"\ntime_limit = \"1s\"\nretry.initial = \"1h\"");
    studio
        .ftrack()
        .fail_when(|call| (call.number > 1).then_some(Fault::StallBefore));
    let daemon = Daemon::start(&studio);
    daemon.event("outage.began");
    let report = studio.reports_when(1).remove(0);
    assert_eq!(
        report.error_kind,
        Some(FailureKind::TimeLimit),
        "{report:#?}"
    );
    let took = report.finished_at - report.started_at;
    assert!(took.to_std().unwrap() < Duration::from_secs(10), "{took}");
    studio.ftrack().heal();
    assert!(daemon.stop().0.success());
}
