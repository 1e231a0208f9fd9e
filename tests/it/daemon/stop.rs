//! SIGTERM at any point of a run: the report is written, and the daemon ends within ten seconds.
//! When killed, it leaves nothing that blocks the next start.

use std::{process::Command, time::Duration};

use ftrack_ldap_sync::{
    demo::ftrack::{Call, CallKind, Fault, RetryAfter},
    model::report::{ChangeResult, FailureKind, Outcome, Trigger},
};

use super::{Daemon, LIMIT, wait_for_phase};
use crate::{
    crash::{Effect, moment},
    ldap_proxy::{Fault as LdapFault, LdapProxy, Trouble},
    slapd::wait_until,
    studio::{Studio, dn},
};

fn studio() -> Studio {
    let mut studio = Studio::of(&["a1", "a2", "a3", "b1", "b2", "b3"])
        .for_a_daemon("schedule = \"* * * * * *\"");
    studio.ftrack_settings = "batch_size = 3".into();
    studio
}

fn stop_in_time(daemon: Daemon) {
    let (status, took) = daemon.stop();
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn while_it_reads() {
    let studio = studio();
    // The first call is the first contact's.
    let moment = moment(&studio, Effect::Lost, |call: &Call| call.number > 1);
    let daemon = Daemon::start(&studio);
    moment.recv_timeout(LIMIT).unwrap();
    stop_in_time(daemon);
    studio.ftrack().heal();
    let reports = studio.reports();
    assert_eq!(
        (reports.len(), reports[0].error_kind),
        (1, Some(FailureKind::Stopped))
    );
    assert_eq!(studio.ftrack().counters().write_calls, 0);

    // What was stopped is made up for.
    let daemon = Daemon::start(&studio);
    let reports = studio.reports_when(2);
    assert_eq!(
        (reports[1].trigger, reports[1].counts.created),
        (Trigger::Startup, 6)
    );
    stop_in_time(daemon);
}

#[test]
fn while_it_plans() {
    let mut studio = studio();
    studio.job += "\nlimits.deactivate = \"100%\"";
    studio.sync();
    let users = studio.ftrack().users();
    studio.tree().remove(&dn("a1")).unwrap();
    // What is planned is looked at once more in the directory, which never answers.
    let proxy = LdapProxy::start(
        studio.directory().address(),
        LdapFault::in_search(2, 0, Trouble::Stall),
    );
    studio.directory_url = proxy.url();
    let daemon = Daemon::start(&studio);
    assert!(wait_until(LIMIT, || proxy.injected()));
    stop_in_time(daemon);
    let last = studio.reports().pop().unwrap();
    assert_eq!(
        (last.outcome, last.error_kind),
        (Outcome::Failed, Some(FailureKind::Stopped)),
        "{last:#?}"
    );
    assert_eq!(studio.ftrack().users(), users, "nothing was written");
}

#[test]
fn while_it_writes() {
    let studio = studio();
    let gate = studio.hold_when(|call| call.kind == CallKind::Write && call.number_of_kind == 1);
    let mut daemon = Daemon::start(&studio);
    assert!(gate.wait_for(1, LIMIT), "it does not write");
    daemon.signal("TERM");
    assert!(daemon.notified(|line| line == "STOPPING=1").is_some());
    let began = std::time::Instant::now();
    gate.open();
    assert!(daemon.wait().success());
    assert!(began.elapsed() < Duration::from_secs(10));
    studio.ftrack().heal();
    let report = studio.reports().remove(0);
    assert_eq!(
        (report.outcome, report.error_kind),
        (Outcome::Failed, Some(FailureKind::Stopped))
    );
    assert!(
        (1..6).contains(&report.counts.created),
        "{:#?}",
        report.counts
    );
    assert_eq!(studio.sync().counts.created, 6 - report.counts.created);
}

#[test]
fn while_a_write_is_never_answered() {
    let studio = studio();
    let moment = moment(&studio, Effect::Done, |call: &Call| {
        call.kind == CallKind::Write
    });
    let daemon = Daemon::start(&studio);
    moment.recv_timeout(LIMIT).unwrap();
    stop_in_time(daemon);
    studio.ftrack().heal();
    let reports = studio.reports();
    assert_eq!(
        reports.len(),
        1,
        "it is written although the run was cut off"
    );
    assert_eq!(
        (reports[0].outcome, reports[0].error_kind),
        (Outcome::Failed, Some(FailureKind::Stopped))
    );
    studio.sync();
    studio.sync_changes_nothing();
    assert_eq!(
        studio.ftrack().users().len(),
        6 + 2,
        "nobody was created twice"
    );
}

#[test]
fn while_a_write_waits_for_its_next_attempt() {
    let studio = studio();
    studio.ftrack().fail_when(|call| {
        (call.kind == CallKind::Write)
            .then_some(Fault::TooManyRequests(Some(RetryAfter::Seconds(60))))
    });
    let daemon = Daemon::start(&studio);
    let retried = daemon.event("ftrack.retried");
    stop_in_time(daemon);
    studio.ftrack().heal();
    let report = studio.reports().remove(0);
    assert_eq!(retried["seconds"], 60.0);
    assert_eq!(report.error_kind, Some(FailureKind::Stopped));
    let not_tried = report.changes.iter().filter(|change| {
        change.result == ChangeResult::Failed
            && change
                .error
                .as_deref()
                .is_some_and(|error| error.starts_with("not tried"))
    });
    assert_eq!(not_tried.count(), 6, "{report:#?}");
}

#[test]
fn while_it_backs_off() {
    let studio = studio();
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    let daemon = Daemon::start(&studio);
    wait_for_phase(&studio, "backing_off");
    stop_in_time(daemon);
}

#[test]
fn killed_it_leaves_no_lock_and_its_run_gets_a_report() {
    let studio = studio();
    let moment = moment(&studio, Effect::Done, |call: &Call| {
        call.kind == CallKind::Write && call.number_of_kind == 2
    });
    let daemon = Daemon::start(&studio);
    moment.recv_timeout(LIMIT).unwrap();
    daemon.kill();
    studio.ftrack().heal();
    let daemon = Daemon::start(&studio);
    let reports = studio.reports_when(2);
    assert_eq!(
        (reports[0].outcome, reports[0].error_kind),
        (Outcome::Failed, Some(FailureKind::Stopped)),
        "{reports:#?}"
    );
    assert_eq!(
        (reports[1].outcome, reports[1].trigger),
        (Outcome::Succeeded, Trigger::Startup)
    );
    assert_eq!(studio.ftrack().users().len(), 6 + 2);
    stop_in_time(daemon);
}

#[test]
fn a_second_daemon_on_the_same_state_does_not_start() {
    let studio = studio();
    let daemon = Daemon::start(&studio);
    let second = studio.run(&["daemon"]);
    assert_eq!(second.status, 1);
    assert!(
        second.stderr.contains("another daemon")
            && second.stderr.contains(&daemon.id().to_string()),
        "{}",
        second.stderr
    );
    stop_in_time(daemon);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let studio = studio();
    let moment = moment(&studio, Effect::Done, |call: &Call| {
        call.kind == CallKind::Write
    });
    let mut daemon = Daemon::start(&studio);
    moment.recv_timeout(LIMIT).unwrap();
    daemon.signal("TERM");
    daemon.event("daemon.stopping");
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(130));
    studio.ftrack().heal();
}

#[test]
fn a_daemon_that_was_stopped_by_the_system_gives_no_sign_of_life() {
    let studio = studio();
    let mut daemon = Daemon::start_with(&studio, |command| {
        command.env("WATCHDOG_USEC", "900000");
    });
    assert!(daemon.notified(|line| line == "WATCHDOG=1").is_some());
    let signs = |daemon: &Daemon| {
        daemon
            .notified
            .all()
            .iter()
            .filter(|line| *line == "WATCHDOG=1")
            .count()
    };
    let before = signs(&daemon);
    assert!(wait_until(LIMIT, || signs(&daemon) > before + 1));
    daemon.signal("STOP");
    let stopped = || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", daemon.id())).unwrap();
        state
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('T')
    };
    assert!(wait_until(LIMIT, stopped));
    let before = signs(&daemon);
    assert!(!wait_until(Duration::from_secs(2), || signs(&daemon) > before + 1));
    let status = Command::new("kill")
        .args(["-CONT", &daemon.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    assert!(wait_until(LIMIT, || signs(&daemon) > before + 1));
    daemon.signal("TERM");
    assert!(daemon.wait().success());
}
