//! The daemon's schedule, back-off, overlap, pause and metrics of a job of kind `ftrack-ldap`.

use std::time::Duration;

use ftrack_ldap_sync::{
    demo::ftrack::{BuiltinSync, CallKind, Fault},
    model::report::{FailureKind, Outcome, Trigger},
};
use serde_json::Value;

use super::{becomes, set, started, studio};
use crate::{
    daemon::{
        Daemon, LIMIT,
        control::{page, watched},
        must, status,
    },
    slapd::wait_until,
    studio::Studio,
};

/// What a daemon shows of the job.
fn nightly(studio: &Studio) -> Value {
    let jobs = status(studio)["jobs"].as_array().unwrap().clone();
    jobs.into_iter()
        .find(|job| job["job"] == "nightly")
        .unwrap()
}

fn for_a_daemon(settings: &str) -> Studio {
    watched(studio(settings).for_a_daemon(""))
}

/// One metric of the job, as the daemon's listener tells it.
fn metric(studio: &Studio, daemon: &Daemon, name: &str) -> Option<f64> {
    let (_, text) = page(studio, daemon, "/metrics");
    let series = format!("ftrack_ldap_sync_{name}{{job=\"nightly\"}} ");
    text.lines()
        .find_map(|line| line.strip_prefix(&series))
        .map(|value| value.parse().unwrap())
}

#[test]
fn it_runs_on_its_schedule_and_an_alarm_is_counted() {
    let studio = for_a_daemon("schedule = \"*/2 * * * * *\"");
    for name in ["ada", "bob", "cyd"] {
        becomes(&studio, name, |user| user.is_active = false);
    }
    let daemon = Daemon::start(&studio);
    let report = studio.reports_when(1).remove(0);
    assert_eq!(
        (report.trigger, report.outcome, report.alarm),
        (Trigger::Schedule, Outcome::Partial, true),
        "{report:#?}"
    );
    daemon.event("builtin.alarm");
    assert!(wait_until(LIMIT, || metric(
        &studio,
        &daemon,
        "builtin_alarms_total"
    ) == Some(1.0)));
    assert!(
        wait_until(LIMIT, || metric(
            &studio,
            &daemon,
            "last_success_timestamp_seconds"
        )
        .is_some()),
        "it came to its end"
    );
    for absent in ["directory_entries", "owned_users"] {
        assert_eq!(
            metric(&studio, &daemon, absent),
            None,
            "there is no directory"
        );
    }
    let next = studio.reports_when(2).remove(1);
    assert_eq!(
        (next.outcome, next.counts.unchanged),
        (Outcome::Succeeded, 10),
        "{next:#?}"
    );
    assert_eq!(metric(&studio, &daemon, "builtin_alarms_total"), Some(1.0));
}

#[test]
fn a_person_triggers_and_pauses_it_and_is_told_how_far_it_is() {
    let studio = for_a_daemon("");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Hangs);
    let daemon = Daemon::start(&studio);
    let waiting = studio.start(&["trigger", "nightly", "--format", "json"]);
    let running = || nightly(&studio)["running"]["progress"] == "server_job_running";
    assert!(wait_until(LIMIT, running), "{}", nightly(&studio));
    let shown = must(&studio, 0, &["status"]).stdout;
    assert!(
        shown.contains("ftrack's own synchronisation is running"),
        "{shown}"
    );
    // A second one does not begin, and none beside it.
    assert!(
        must(&studio, 1, &["trigger", "nightly"])
            .stderr
            .contains("is already in progress")
    );
    let beside = studio.start(&["trigger", "artists", "--format", "json"]);
    assert!(
        wait_until(LIMIT, || status(&studio)["jobs"][0]["phase"] == "waiting"),
        "{}",
        status(&studio)
    );
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    beside.wait_with_output().unwrap();
    let reports = studio.reports_when(2);
    assert_eq!(
        (reports[0].job.as_str(), reports[1].job.as_str()),
        ("nightly", "artists")
    );
    assert!(
        reports[1].started_at >= reports[0].finished_at,
        "they do not overlap"
    );
    // Nothing can be told beforehand.
    let refused = must(&studio, 2, &["trigger", "nightly", "--dry-run"]);
    assert!(
        refused.stderr.contains("cannot be planned"),
        "{}",
        refused.stderr
    );
    let refused = must(&studio, 2, &["pause", "nightly", "--only", "deactivate"]);
    assert!(
        refused
            .stderr
            .contains("`pause nightly` pauses the whole job"),
        "{}",
        refused.stderr
    );
    must(&studio, 0, &["pause", "nightly"]);
    assert!(
        must(&studio, 1, &["trigger", "nightly"])
            .stderr
            .contains("is paused")
    );
    assert_eq!(started(&studio), 1);
    drop(daemon);
}

#[test]
fn a_failure_is_backed_off_from_but_one_that_is_unclear_waits_for_the_schedule() {
    let studio =
        for_a_daemon("schedule = \"0 0 1 1 *\"\nretry = { initial = \"1s\", max = \"1s\" }");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Fails("no".into()));
    let daemon = Daemon::start(&studio);
    must(&studio, 1, &["trigger", "nightly"]);
    let again = studio.reports_when(2).remove(1);
    assert_eq!(
        (again.trigger, again.error_kind),
        (Trigger::Retry, Some(FailureKind::Ftrack)),
        "{again:#?}"
    );
    must(&studio, 0, &["pause", "nightly"]);
    assert!(wait_until(LIMIT, || nightly(&studio)["phase"] == "paused"));

    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let before = studio.reports().len();
    must(&studio, 0, &["resume", "nightly"]);
    // The retry that is due by now, or the person's run: one of them meets the unclear answer.
    studio
        .ftrack()
        .fail_next(Some(CallKind::Write), Fault::ResetBefore);
    let reports = studio.reports_when(before + 1);
    let unclear = reports.last().unwrap();
    assert_eq!(
        unclear.error_kind,
        Some(FailureKind::FtrackUnclear),
        "{unclear:#?}"
    );
    assert!(
        wait_until(LIMIT, || nightly(&studio)["phase"] == "backing_off"),
        "{}",
        nightly(&studio)
    );
    let shown = nightly(&studio);
    assert!(
        shown["next_run"]
            .as_str()
            .unwrap()
            .contains("-01-01T00:00:00"),
        "{shown}"
    );
    assert!(
        must(&studio, 0, &["status"])
            .stdout
            .contains("no retry before its next run")
    );
    // Ten times the longest delay of a retry is long enough to see that there is none; a run of the
    // other job is the clock.
    let (calls, began) = (
        studio.ftrack().counters().write_calls,
        std::time::Instant::now(),
    );
    assert!(wait_until(LIMIT, || {
        must(&studio, 0, &["status"]);
        began.elapsed() > Duration::from_secs(4)
    }));
    assert_eq!(
        (
            studio.ftrack().counters().write_calls,
            studio.reports().len()
        ),
        (calls, before + 1)
    );
    assert_eq!(
        metric(&studio, &daemon, "backoff_until_timestamp_seconds"),
        None
    );
    // Its schedule starts it again, and so the outage is over.
    set(
        &studio,
        "schedule = \"* * * * * *\"\nretry = { initial = \"1s\", max = \"1s\" }",
    );
    studio.config();
    daemon.signal("HUP");
    daemon.event("outage.ended");
    let healed = studio.reports_when(before + 2).remove(before + 1);
    assert_eq!(
        (healed.trigger, healed.outcome),
        (Trigger::Schedule, Outcome::Succeeded),
        "{healed:#?}"
    );
}

#[test]
fn one_that_vanishes_is_not_started_again_by_a_retry_nor_by_a_restart() {
    let studio =
        for_a_daemon("schedule = \"0 0 1 1 *\"\nretry = { initial = \"1s\", max = \"1s\" }");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Vanishes);
    let daemon = Daemon::start(&studio);
    must(&studio, 1, &["trigger", "nightly"]);
    assert!(wait_until(LIMIT, || nightly(&studio)["phase"] == "backing_off"));
    let began = std::time::Instant::now();
    assert!(wait_until(LIMIT, || {
        must(&studio, 0, &["status"]);
        began.elapsed() > Duration::from_secs(3)
    }));
    assert_eq!(starts(&studio), 1);
    assert!(daemon.stop().0.success());
    let again = Daemon::start(&studio);
    assert!(
        wait_until(LIMIT, || nightly(&studio)["phase"] == "backing_off"),
        "{}",
        nightly(&studio)
    );
    assert_eq!((starts(&studio), studio.reports().len()), (1, 1));
    drop(again);
}

#[test]
fn a_restart_in_the_middle_follows_the_same_synchronisation_and_raises_its_alarm() {
    let studio = for_a_daemon("schedule = \"0 0 1 1 *\"");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Hangs);
    let daemon = Daemon::start(&studio);
    let mut waiting = studio.start(&["trigger", "nightly"]);
    assert!(wait_until(
        LIMIT,
        || nightly(&studio)["running"]["progress"] == "server_job_running"
    ));
    daemon.kill();
    waiting.wait().unwrap();
    for name in ["ada", "bob", "cyd"] {
        becomes(&studio, name, |user| user.is_active = false);
    }
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let daemon = Daemon::start(&studio);
    daemon.event("builtin.alarm");
    let report = studio.reports_when(2).remove(1);
    assert_eq!(
        (report.trigger, report.outcome, report.counts.deactivated),
        (Trigger::Startup, Outcome::Partial, 3),
        "{report:#?}"
    );
    assert_eq!(started(&studio), 1);
}

/// How often ftrack was made to start one.
fn starts(studio: &Studio) -> usize {
    studio
        .ftrack()
        .applied()
        .iter()
        .filter(|applied| applied.action == "delayed_job")
        .count()
}
