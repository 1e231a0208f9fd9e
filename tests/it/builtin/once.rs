//! Nothing is started twice: after an unclear answer, a kill, or a stop.

use std::time::Duration;

use ftrack_ldap_sync::{
    demo::ftrack::{BuiltinSync, CallKind, Fault},
    model::report::{FailureKind, Outcome},
};
use serde_json::json;

use super::{becomes, started, studio, synced};
use crate::{
    slapd::wait_until,
    studio::{Ended, Studio},
};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn the_one_job_that_came_about_after_an_unclear_answer_is_followed() {
    for fault in [
        Fault::ResetAfter,
        Fault::TruncatedJson,
        Fault::CutBody,
        Fault::ErrorAfter,
    ] {
        let studio = studio("");
        // Another person's job was there before.
        studio
            .ftrack()
            .insert("Job", &json!({"status": "running", "type": "api_job"}))
            .unwrap();
        becomes(&studio, "ada", |user| user.is_active = false);
        studio
            .ftrack()
            .fail_next(Some(CallKind::Write), fault.clone());
        let report = synced(&studio, 1);
        assert_eq!(
            (report.outcome, report.counts.deactivated),
            (Outcome::Succeeded, 1),
            "{fault:?}: {report:#?}"
        );
        assert_eq!(started(&studio), 2);
    }
}

#[test]
fn with_no_new_job_the_run_fails_and_says_so() {
    let studio = studio("");
    studio
        .ftrack()
        .fail_next(Some(CallKind::Write), Fault::ResetBefore);
    let report = synced(&studio, 1);
    let error = report.error.unwrap();
    assert!(
        error.starts_with(
            "it is not known whether ftrack started it, since starting ftrack's own LDAP \
             synchronisation at "
        ),
        "{error}"
    );
    assert!(
        error.ends_with(
            "; no job was created meanwhile, so none is followed, and none is started again \
             before the next scheduled or manual run"
        ),
        "{error}"
    );
    assert_eq!(
        (report.error_kind, started(&studio)),
        (Some(FailureKind::FtrackUnclear), 0)
    );
    // A person may start another one.
    let report = synced(&studio, 1);
    assert_eq!(
        (report.outcome, started(&studio)),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
}

/// A run whose answer never comes, while something else happens at ftrack after that many jobs are
/// there.
fn meanwhile(
    fault: Fault,
    jobs: usize,
    happens: impl FnOnce(&Studio),
) -> ftrack_ldap_sync::model::report::Report {
    let mut studio = studio("");
    studio.ftrack_settings = "request_timeout = \"2s\"".into();
    studio.ftrack().fail_next(Some(CallKind::Write), fault);
    let child = studio.start(&["sync", "nightly", "--format", "json"]);
    assert!(wait_until(LIMIT, || studio.ftrack().counters().write_calls
        == 1
        && started(&studio) == jobs));
    happens(&studio);
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(studio.ftrack().counters().write_calls, 1);
    ended.report()
}

#[test]
fn with_several_new_jobs_none_is_followed() {
    let report = meanwhile(Fault::StallAfter, 1, |studio| {
        let user = studio.user("ldap-sync").id;
        studio
            .ftrack()
            .insert("Job", &json!({"status": "queued", "user_id": user}))
            .unwrap();
    });
    let error = report.error.unwrap();
    assert!(
        error.contains("; 2 jobs were created meanwhile, so none is followed"),
        "{error}"
    );
    assert_eq!(report.error_kind, Some(FailureKind::FtrackUnclear));
}

#[test]
fn a_job_of_somebody_else_is_not_taken_for_it() {
    let report = meanwhile(Fault::StallBefore, 0, |studio| {
        let user = studio.user("admin").id;
        studio
            .ftrack()
            .insert("Job", &json!({"status": "done", "user_id": user}))
            .unwrap();
    });
    let error = report.error.unwrap();
    assert!(
        error.contains("; no job was created meanwhile, so none is followed"),
        "{error}"
    );
}

#[test]
fn a_run_that_is_killed_leaves_the_job_to_the_next_one() {
    let studio = studio("");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Hangs);
    let mut child = studio.start(&["sync", "nightly"]);
    let running = || {
        studio
            .ftrack()
            .rows("Job")
            .unwrap()
            .iter()
            .any(|job| job["status"] == "running")
    };
    assert!(wait_until(LIMIT, running));
    becomes(&studio, "ada", |user| user.is_active = false);
    child.kill().unwrap();
    child.wait().unwrap();
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let report = synced(&studio, 0);
    assert_eq!(
        (report.outcome, report.counts.deactivated),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
    assert_eq!(started(&studio), 1);
    let killed = &studio.reports()[0];
    let id = studio.ftrack().rows("Job").unwrap()[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        killed.error.as_deref().unwrap(),
        format!(
            "the program ended while ftrack's own LDAP synchronisation (its job {id}) was \
             running; the next run follows it"
        )
    );
    assert_eq!(killed.error_kind, Some(FailureKind::Stopped));
}

#[test]
fn a_run_that_is_told_to_stop_says_that_ftrack_goes_on() {
    let studio = studio("");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Hangs);
    let child = studio.start(&["sync", "nightly", "--format", "json"]);
    let running = || {
        studio
            .ftrack()
            .rows("Job")
            .unwrap()
            .iter()
            .any(|job| job["status"] == "running")
    };
    assert!(wait_until(LIMIT, running));
    crate::rules::by_hand(&studio, "ada", &json!({"is_active": false}));
    let terminated = std::process::Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(terminated.success());
    let ended = Ended::of(child.wait_with_output().unwrap());
    let report = ended.report();
    assert_eq!(
        (ended.status, report.error_kind),
        (1, Some(FailureKind::Stopped)),
        "{report:#?}"
    );
    let error = report.error.unwrap();
    assert!(
        error.starts_with(
            "the run was stopped on request while ftrack's own LDAP synchronisation (its job "
        ) && error.contains("it continues in ftrack, and the next run follows it"),
        "{error}"
    );
    assert_eq!(
        report.counts.deactivated, 1,
        "what it did so far is reported"
    );
    becomes(&studio, "bob", |user| user.is_active = false);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let report = synced(&studio, 0);
    assert_eq!(
        (report.counts.deactivated, report.alarm, started(&studio)),
        (1, true, 1),
        "{report:#?}"
    );
}

#[test]
fn another_job_of_the_kind_follows_the_same_synchronisation() {
    let studio = studio("time_limit = \"2s\"\n[jobs.second]\nkind = \"ftrack-ldap\"");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Hangs);
    assert_eq!(synced(&studio, 1).outcome, Outcome::Failed);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let report = studio.synced(&["sync", "second", "--format", "json"]);
    assert_eq!(
        (report.outcome, report.ftrack.write_calls, started(&studio)),
        (Outcome::Succeeded, 0, 1),
        "{report:#?}"
    );
    let checked = studio.run(&["check", "--offline"]).stdout;
    assert!(
        checked.contains("it starts the same ftrack synchronisation as second"),
        "{checked}"
    );
}

#[test]
fn two_runs_at_once_have_ftrack_synchronise_once() {
    let studio = studio("[jobs.second]\nkind = \"ftrack-ldap\"");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Hangs);
    let child = studio.start(&["sync", "nightly", "--format", "json"]);
    assert!(wait_until(LIMIT, || started(&studio) == 1));
    let second = studio.run(&["sync", "second"]);
    assert_eq!(second.status, 1);
    assert!(
        second.stderr.contains(
            "another run of ftrack's own synchronisation is in progress; wait for its \
                end"
        ),
        "{}",
        second.stderr
    );
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    assert_eq!(Ended::of(child.wait_with_output().unwrap()).status, 0);
    assert_eq!(started(&studio), 1);
}

#[test]
fn a_record_that_is_damaged_starts_nothing() {
    let studio = studio("");
    synced(&studio, 1);
    std::fs::write(
        studio.state_dir().join("ftrack-ldap-sync-under-way.json"),
        "{\"run\": 7",
    )
    .unwrap();
    let report = synced(&studio, 0);
    let error = report.error.unwrap();
    assert!(
        error.contains("it is damaged (") && error.contains("delete it"),
        "{error}"
    );
    assert_eq!(
        (report.error_kind, started(&studio)),
        (Some(FailureKind::State), 1)
    );
}

#[test]
fn a_server_that_is_away_for_a_while_is_sat_out() {
    let mut studio = studio("");
    studio.ftrack_settings = "attempts = 1".into();
    let mut reads_after_start = 0;
    studio.ftrack().fail_when(move |call| {
        let is_after = call.kind == CallKind::Read && call.number > call.number_of_kind;
        reads_after_start += u32::from(is_after);
        (is_after && reads_after_start <= 3).then_some(Fault::Html(503))
    });
    let report = synced(&studio, 1);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
}
