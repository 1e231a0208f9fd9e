//! The daemon, which reads what changed on a schedule of its own.

use ftrack_ldap_sync::demo::ftrack::{CallKind, Fault};

use super::{
    openldap::{is_called, leaves, slapd},
    *,
};
use crate::{
    daemon::{Daemon, LIMIT, job, must, wait_for_phase},
    slapd::wait_until,
};

/// A studio of two whose daemon reads by these schedules.
fn daemons(schedules: &str) -> (Slapd, Studio) {
    let slapd = slapd(&["ada", "bea"], 100);
    let keys = format!(
        "{schedules}limits = {{ deactivate = 5 }}\nretry = {{ initial = \"1s\", max = \"1s\" }}\n"
    );
    let studio = studio(slapd.url().as_str()).for_a_daemon(&keys);
    (slapd, studio)
}

/// Everything once a year, and what changed each second.
const EACH_SECOND: &str = "schedule = \"@yearly\"\nchanges_schedule = \"* * * * * *\"\n";
/// Both once a year, and otherwise on request.
const ON_REQUEST: &str = "schedule = \"@yearly\"\nchanges_schedule = \"@yearly\"\n";

/// The report of the run that did this, as soon as it is there.
fn report_of(studio: &Studio, what: &str) -> Report {
    let find = || {
        let mut reports = studio.reports().into_iter();
        reports.find(|report| done(report).iter().any(|it| it == what))
    };
    assert!(
        wait_until(LIMIT, || find().is_some()),
        "{what}: {:#?}",
        studio.reports()
    );
    find().unwrap()
}

fn is_of_changes(report: &Report) -> bool {
    report.trigger == Trigger::Changes && part(report).is_some()
}

#[test]
fn a_change_reaches_ftrack_by_the_daemon_and_whoever_asks_is_told_how() {
    let (slapd, studio) = daemons(EACH_SECOND);
    let daemon = Daemon::start_with(&studio, |command| {
        command.env("RUST_LOG", "ftrack_ldap_sync=debug");
    });
    let first = report_of(&studio, "create ada applied");
    assert_eq!(first.trigger, Trigger::Changes);
    assert!(
        first.warnings[0].starts_with("everything was read instead of what changed: no run"),
        "{first:#?}"
    );
    slapd.change(&person("ida"));
    let report = report_of(&studio, "create ida applied");
    assert!(is_of_changes(&report), "{report:#?}");
    slapd.change(&leaves("bea"));
    assert!(is_of_changes(&report_of(&studio, "deactivate bea applied")));
    assert!(wait_until(
        LIMIT,
        || job(&studio)["last_run"]["counts"]["deactivated"] == 1
    ));
    assert_eq!(job(&studio)["last_run"]["trigger"], "changes");
    let text = must(&studio, 0, &["status"]).stdout;
    assert!(text.contains("succeeded (changes)"), "{text}");
    let text = must(&studio, 0, &["runs", "show", "last"]).stdout;
    assert!(
        text.contains("only what changed: 0 entries, and 1 person no longer there"),
        "{text}"
    );
    // A reading that finds nothing to do is no run, and leaves nothing.
    daemon.event("changes.none");
    assert_eq!(studio.reports().len(), 3);
    let started = daemon.events("run.started");
    assert!(
        started.iter().all(|line| line["trigger"] == "changes"),
        "{started:#?}"
    );
    assert!(daemon.stop().0.success());
}

#[test]
fn a_person_asks_for_what_changed() {
    let (slapd, studio) = daemons(ON_REQUEST);
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    let nothing = must(&studio, 0, &["trigger", "--changes"]);
    assert_eq!(studio.reports().len(), 1, "{}", nothing.stdout);
    slapd.change(&is_called("ada", "New"));
    let report = must(&studio, 0, &["trigger", "--changes", "--format", "json"]).report();
    assert!(is_of_changes(&report), "{report:#?}");
    assert_eq!(done(&report), ["update ada applied"]);
    assert!(daemon.stop().0.success());
}

#[test]
fn both_kinds_of_runs_are_never_in_progress_at_once() {
    let (slapd, studio) =
        daemons("schedule = \"*/3 * * * * *\"\nchanges_schedule = \"* * * * * *\"\n");
    let daemon = Daemon::start(&studio);
    report_of(&studio, "create ada applied");
    for number in 0..4 {
        let name = format!("Name {number}");
        slapd.change(&is_called("ada", &name));
        let has_it = || studio.user("ada").last_name.as_deref() == Some(name.as_str());
        assert!(wait_until(LIMIT, has_it), "{:#?}", studio.reports());
    }
    let is_whole = |report: &Report| report.trigger == Trigger::Schedule;
    assert!(wait_until(LIMIT, || {
        let reports = studio.reports();
        reports.iter().any(is_whole) && reports.iter().any(is_of_changes)
    }));
    assert!(daemon.stop().0.success());
    let reports = studio.reports();
    for two in reports.windows(2) {
        assert!(two[0].finished_at <= two[1].started_at, "{two:#?}");
    }
}

#[test]
fn a_run_of_changes_waits_for_one_that_reads_everything() {
    let (slapd, studio) = daemons(EACH_SECOND);
    let gate = studio.hold_when(|call| call.kind == CallKind::Read && call.number == 2);
    let daemon = Daemon::start(&studio);
    wait_for_phase(&studio, "running");
    slapd.change(&is_called("ada", "New"));
    must(&studio, 1, &["trigger"]);
    let ignored = daemon.events("run.started").len();
    gate.open();
    report_of(&studio, "create ada applied");
    assert_eq!(ignored, 1, "one run at a time");
    let has_it = || studio.user("ada").last_name.as_deref() == Some("New");
    assert!(wait_until(LIMIT, has_it), "{:#?}", studio.reports());
}

#[test]
fn after_a_failed_run_everything_is_read_and_then_what_changed_again() {
    let (slapd, studio) = daemons(EACH_SECOND);
    let daemon = Daemon::start(&studio);
    report_of(&studio, "create ada applied");
    studio.ftrack().fail_when(|_| Some(Fault::Html(500)));
    slapd.change(&is_called("ada", "New"));
    daemon.event("outage.began");
    studio.ftrack().heal();
    let report = report_of(&studio, "update ada applied");
    assert_eq!((report.trigger, part(&report)), (Trigger::Retry, None));
    slapd.change(&person("ida"));
    assert!(is_of_changes(&report_of(&studio, "create ida applied")));
    assert!(daemon.stop().0.success());
}

#[test]
fn what_changed_while_no_daemon_was_running_is_found_by_the_next_one() {
    let (slapd, studio) = daemons(EACH_SECOND);
    let daemon = Daemon::start(&studio);
    report_of(&studio, "create ada applied");
    assert!(daemon.stop().0.success());
    slapd.change(&leaves("bea"));
    let daemon = Daemon::start(&studio);
    assert!(is_of_changes(&report_of(&studio, "deactivate bea applied")));
    daemon.kill();
    slapd.change(&is_called("ada", "New"));
    let daemon = Daemon::start(&studio);
    assert!(is_of_changes(&report_of(&studio, "update ada applied")));
    assert!(daemon.stop().0.success());
}
