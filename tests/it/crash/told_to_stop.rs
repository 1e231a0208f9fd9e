//! SIGTERM during a run: the batch in flight is finished and the report written; a second one ends
//! the program at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    process::{Child, Command},
    sync::mpsc,
    time::Duration,
};

use ftrack_ldap_sync::{
    demo::ftrack::{Call, CallKind, Fault, RetryAfter},
    model::report::{ChangeResult, FailureKind, Outcome, Report},
};

use super::{Effect, LIMIT, assert_the_killed_run_is_told, late::pass_time, moment};
use crate::{slapd::wait_until, studio::Studio};

fn studio() -> Studio {
    let mut studio =
        Studio::of(&["a1", "a2", "a3", "b1", "b2", "b3", "c1", "c2", "c3"]).end_to_end();
    studio.ftrack_settings = "batch_size = 3".into();
    studio
}

fn terminate(child: &Child) {
    let status = Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Whether no signal to the process is pending.
fn is_delivered(child: &Child) -> bool {
    fs::read_to_string(format!("/proc/{}/status", child.id()))
        .unwrap()
        .lines()
        .any(|line| line == "ShdPnd:\t0000000000000000")
}

fn nth_write(nth: u64) -> impl FnMut(&Call) -> bool + Send + 'static {
    move |call| call.kind == CallKind::Write && call.number_of_kind == nth
}

#[test]
fn the_batch_in_flight_is_finished_and_told() {
    let studio = studio();
    // The links of the first batch come with its third call at most: so this is in the middle.
    let gate = studio.hold_when(nth_write(3));
    let child = studio.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT), "it does not write");
    terminate(&child);
    assert!(wait_until(LIMIT, || is_delivered(&child)));
    gate.open();
    let ended = child.wait_with_output().unwrap();
    studio.ftrack().heal();
    assert_eq!(ended.status.code(), Some(1));
    let report: Report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(
        report
            .error
            .as_ref()
            .is_some_and(|error| error.contains("stopped on request")),
        "{report:#?}"
    );
    let created = studio.ftrack().users().len() - 2;
    assert!(
        created > 0 && created < 9 && created.is_multiple_of(3),
        "{created}: {report:#?}"
    );
    assert_eq!(
        (report.counts.created, report.counts.failed),
        (created, 9 - created),
        "{report:#?}"
    );
    for change in report
        .changes
        .iter()
        .filter(|change| change.result == ChangeResult::Failed)
    {
        let error = change.error.as_deref().unwrap_or_default();
        assert!(
            error.contains("not tried") && error.contains("stopped on request"),
            "{change:?}"
        );
    }
    assert_eq!(
        studio
            .run(&["runs", "show", "last", "--format", "json"])
            .report(),
        report
    );
    assert_eq!(studio.sync().counts.created, 9 - created);
    studio.sync_changes_nothing();
}

/// Terminates a sync as soon as a write from the given one on is answered with 429 and this wait,
/// and gives its report; it must end within the limit.
fn stopped_while_it_waits(studio: &Studio, from: u64, wait: u64, limit: Duration) -> Report {
    let (say, heard) = mpsc::channel();
    studio.ftrack().forget();
    studio.ftrack().fail_when(move |call| {
        let now = call.kind == CallKind::Write && call.number_of_kind >= from;
        (now && say.send(()).is_ok())
            .then_some(Fault::TooManyRequests(Some(RetryAfter::Seconds(wait))))
    });
    let mut child = studio.start(&["sync", "--format", "json"]);
    heard.recv_timeout(LIMIT).unwrap();
    // From here on, every call is answered as usual.
    drop(heard);
    terminate(&child);
    let ended = wait_until(limit, || child.try_wait().unwrap().is_some());
    if !ended {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert!(ended, "it waits for the next attempt");
    studio.ftrack().heal();
    let report: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), report.outcome, report.error_kind),
        (Some(1), Outcome::Failed, Some(FailureKind::Stopped)),
        "{report:#?}"
    );
    report
}

fn were_not_tried(report: &Report) -> usize {
    let failed = report
        .changes
        .iter()
        .filter(|change| change.result == ChangeResult::Failed);
    failed
        .inspect(|change| {
            let error = change.error.as_deref().unwrap_or_default();
            assert!(
                error.contains("not tried") && error.contains("stopped on request"),
                "{change:?}"
            );
        })
        .count()
}

#[test]
fn a_batch_of_which_nothing_was_sent_is_not_waited_for() {
    let studio = studio();
    let report = stopped_while_it_waits(&studio, 1, 60, Duration::from_secs(5));
    assert_eq!(were_not_tried(&report), 9, "{report:#?}");
    assert_eq!(studio.ftrack().users().len(), 2);
    assert_eq!(studio.sync().counts.created, 9);
    studio.sync_changes_nothing();
}

#[test]
fn a_batch_that_began_has_its_grace_and_no_more() {
    // The third call is for the links of the users that the first two created.
    for (wait, limit) in [(1, LIMIT), (60, Duration::from_secs(20))] {
        let studio = studio();
        let report = stopped_while_it_waits(&studio, 3, wait, limit);
        assert_eq!(
            (report.counts.created, were_not_tried(&report)),
            (6, 3),
            "{report:#?}"
        );
        assert_eq!(studio.ftrack().users().len(), 6 + 2);
        let writes = studio.ftrack().counters().write_calls;
        assert_eq!(writes, if wait == 1 { 4 } else { 3 }, "{report:#?}");
        assert_eq!(studio.sync().counts.created, 3);
        studio.sync_changes_nothing();
    }
}

#[test]
fn a_run_that_only_reads_ends_soon_and_writes_nothing() {
    let studio = studio();
    let moment = moment(&studio, Effect::Lost, |call| call.number == 1);
    let child = studio.start(&["sync", "--format", "json"]);
    moment.recv_timeout(LIMIT).unwrap();
    terminate(&child);
    let ended = child.wait_with_output().unwrap();
    studio.ftrack().heal();
    let report: Report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (
            ended.status.code(),
            report.outcome,
            studio.ftrack().counters().write_calls
        ),
        (Some(1), Outcome::Failed, 0)
    );
    let error = report.error.unwrap_or_default();
    assert!(
        error.contains("nothing was written") && error.contains("stopped on request"),
        "{error}"
    );
    assert_eq!(studio.sync().counts.created, 9);
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let studio = studio();
    let moment = moment(&studio, Effect::Done, nth_write(2));
    let mut child = studio.start(&["sync", "--format", "json"]);
    moment.recv_timeout(LIMIT).unwrap();
    terminate(&child);
    // Two signals that are not yet delivered would be one.
    assert!(wait_until(LIMIT, || is_delivered(&child)));
    assert!(
        child.try_wait().unwrap().is_none(),
        "the first signal ended it"
    );
    terminate(&child);
    let ended = wait_until(Duration::from_secs(5), || {
        child.try_wait().unwrap().is_some()
    });
    if !ended {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(ended, "the second signal did not end it");
    assert_eq!(status.code(), Some(130));
    studio.ftrack().heal();
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!(studio.ftrack().users().len(), 9 + 2);
    pass_time(&studio);
    studio.sync_changes_nothing();
    assert_the_killed_run_is_told(&studio, &report);
}
