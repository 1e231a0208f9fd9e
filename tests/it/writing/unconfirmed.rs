//! Writes that ftrack accepted, and that cannot be read back: neither written nor failed, as far as
//! is known.

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, CallKind, Fault, Gate, Rules, Stores},
    model::{
        edit::Field,
        report::{Outcome, Report},
    },
};
use serde_json::{Value, json};

use super::{
    otherwise::{known, storing},
    studio_of,
};
use crate::{
    crash::{LIMIT, late::pass_time},
    rules::{account, by_hand, leave},
    slapd::wait_until,
    studio::{Studio, dn, person},
    truth::witness,
};

/// The last report, as the program prints it.
fn last(studio: &Studio) -> Value {
    report_of(studio, "last")
}

/// The report of a run, as the program prints it.
fn report_of(studio: &Studio, run: &str) -> Value {
    let ended = studio.run(&["runs", "show", run, "--format", "json"]);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// What `runs` lists of a run.
fn in_the_list(studio: &Studio, run: &str) -> Value {
    let ended = studio.run(&["runs", "--format", "json"]);
    let runs: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    runs.into_iter()
        .find(|listed| listed["run"] == run)
        .unwrap()
}

/// The counts of the last report: created, failed, unconfirmed.
fn counts(report: &Value) -> [u64; 3] {
    ["created", "failed", "unconfirmed"].map(|count| report["counts"][count].as_u64().unwrap_or(99))
}

#[test]
fn a_server_that_is_gone_after_it_accepted() {
    let mut studio = studio_of(3, Rules::default());
    studio.ftrack_settings = "attempts = 1\nbatch_size = 2".into();
    let mut written = false;
    studio.ftrack().fail_when(move |call| {
        written |= call.kind == CallKind::Write;
        (written && call.kind == CallKind::Read).then_some(Fault::Html(503))
    });
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    let shown = last(&studio);
    // Of the second batch nothing was sent.
    assert_eq!(counts(&shown), [0, 1, 2], "{shown:#}");
    let text = studio.run(&["runs", "show", "last"]).stdout;
    assert!(
        text.contains("UNCONFIRMED") && text.contains("1 failed, 2 unconfirmed"),
        "{text}"
    );
    let listed = studio.run(&["runs"]).stdout;
    assert!(listed.contains("2 unconfirmed"), "{listed}");
    studio.ftrack().heal();
    let next = studio.sync();
    assert_eq!(
        (next.outcome, next.counts.created),
        (Outcome::Succeeded, 1),
        "{next:#?}"
    );
    // What became of the first batch is known since.
    let completed = report_of(&studio, &report.run);
    assert_eq!(counts(&completed), [2, 1, 0], "{completed:#}");
    assert_eq!(completed["outcome"], "failed");
    assert_eq!(counts(&in_the_list(&studio, &report.run)), [2, 1, 0]);
    studio.sync_changes_nothing();
}

/// One person whose mail address ftrack stores in lower case, written by a run that could not read it
/// back.
fn not_read_back() -> (Studio, Report) {
    let mut studio = studio_of(1, storing(&[("email", Stores::LowerCase)]));
    studio.ftrack_settings = "attempts = 1".into();
    let mail = ["User.000@Studio.Test"];
    studio
        .tree()
        .replace(&dn("user000"), "mail", &mail)
        .unwrap();
    let mut written = false;
    studio.ftrack().fail_when(move |call| {
        written |= call.kind == CallKind::Write;
        (written && call.kind == CallKind::Read).then_some(Fault::Html(503))
    });
    let report = studio.sync();
    studio.ftrack().heal();
    (studio, report)
}

#[test]
fn the_error_of_a_run_stays_true_when_everything_is_found_in_effect() {
    let (studio, report) = not_read_back();
    studio.sync();
    let completed = report_of(&studio, &report.run);
    assert_eq!(counts(&completed), [1, 0, 0], "{completed:#}");
    let error = completed["error"].as_str().unwrap();
    assert!(
        error.starts_with("the writing ended early: ") && !error.contains("not everything"),
        "{error}"
    );
}

#[test]
fn what_ftrack_stores_otherwise_is_known_when_the_report_is_completed() {
    let (studio, report) = not_read_back();
    // Only the mark of a change that is not finished is left.
    let next = studio.sync();
    let fields: Vec<_> = next.changes[0].fields.keys().collect();
    assert_eq!(fields, [&Field::Link], "{next:#?}");
    studio.sync_changes_nothing();
    let completed = report_of(&studio, &report.run);
    let note = completed["changes"][0]["note"].as_str().unwrap();
    assert!(note.contains("ftrack stores email as"), "{note}");
    assert_eq!(known(&studio), 1);
}

#[test]
fn what_is_refused_may_have_been_sent_before() {
    let mut studio = studio_of(1, Rules::default());
    studio.sync();
    studio.ftrack_settings = "request_timeout = \"300ms\"".into();
    studio.job = "limits.create = 1".into();
    studio.tree().add(person("ada", "New", "Face")).unwrap();
    studio.ftrack().change_rules(|rules| {
        rules.refused_users.insert("ada".to_owned());
    });
    let late = Gate::new();
    let held = late.clone();
    studio.ftrack().fail_when(move |call| {
        let is_first = (call.kind, call.number_of_kind) == (CallKind::Write, 1);
        is_first.then(|| Fault::HoldRequest(held.clone()))
    });
    let report = studio.sync();
    let shown = last(&studio);
    assert_eq!(counts(&shown), [0, 0, 1], "{shown:#}");
    let error = shown["changes"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("was not clearly answered") && error.contains("\"ada\" is not valid"),
        "{error}"
    );
    studio.ftrack().heal();
    let nobody_refused = |rules: &mut Rules| rules.refused_users.clear();
    studio.ftrack().change_rules(nobody_refused);
    late.open();
    assert!(late.wait_for_done(1, LIMIT));
    // It arrived after all, and counts.
    studio.tree().add(person("zoe", "New", "Face")).unwrap();
    let next = studio.sync();
    assert_eq!((next.counts.created, next.counts.held), (0, 1), "{next:#?}");
    let completed = report_of(&studio, &report.run);
    assert_eq!(counts(&completed), [1, 0, 0], "{completed:#}");
}

#[test]
fn what_is_refused_and_never_arrives_has_failed_in_the_end() {
    let studio = studio_of(1, Rules::default());
    studio.ftrack().change_rules(|rules| {
        rules.refused_users.insert("user000".to_owned());
    });
    let fault = Fault::ResetBefore;
    studio.ftrack().fail_next(Some(CallKind::Write), fault);
    let report = studio.sync();
    assert_eq!(counts(&last(&studio)), [0, 0, 1]);
    studio.sync();
    assert_eq!(counts(&report_of(&studio, &report.run)), [0, 0, 1]);
    pass_time(&studio);
    studio.sync();
    let completed = report_of(&studio, &report.run);
    assert_eq!(counts(&completed), [0, 1, 0], "{completed:#}");
    let error = completed["changes"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("did not find it in effect") && error.contains("is not valid"),
        "{error}"
    );
}

#[test]
fn of_a_change_that_is_written_in_part_the_rest_has_failed_where_no_call_is_left() {
    for (fault, expected) in [
        // The call has arrived, as the link shows: ftrack refused the rest of it.
        (Fault::TruncatedJson, [0, 1, 0]),
        (Fault::ResetAfter, [0, 1, 0]),
        // Another one wrote that part.
        (Fault::ResetBefore, [0, 0, 1]),
    ] {
        let studio = studio_of(
            1,
            Rules {
                atomicity: Atomicity::PartialUntilError,
                ..Rules::default()
            },
        );
        studio.ftrack().add_user(&account("user000")).unwrap();
        studio.ftrack().change_rules(|rules| {
            rules.refused_users.insert("user000".to_owned());
        });
        studio
            .ftrack()
            .fail_next(Some(CallKind::Write), fault.clone());
        let report = witness::sync(&studio);
        let shown = last(&studio);
        assert_eq!(counts(&shown), expected, "{fault:?}: {shown:#}");
        assert!(!studio.user("user000").metadata.is_empty());
        studio.ftrack().heal();
        let nobody_refused = |rules: &mut Rules| rules.refused_users.clear();
        studio.ftrack().change_rules(nobody_refused);
        assert_eq!(studio.sync().counts.updated, 1);
        pass_time(&studio);
        studio.sync_changes_nothing();
        let completed = report_of(&studio, &report.run);
        assert_eq!(counts(&completed), [0, 1, 0], "{completed:#}");
    }
}

#[test]
fn a_report_that_cannot_be_read_now_is_completed_later() {
    let (studio, report) = not_read_back();
    let reports = studio.state_dir().join("reports/artists");
    let file = reports.join(format!("{}.json", report.run));
    let aside = reports.join("aside");
    std::fs::rename(&file, &aside).unwrap();
    // In its place there is nothing that can be read, and something all the same.
    std::fs::create_dir(&file).unwrap();
    studio.sync();
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    studio.sync();
    let completed = report_of(&studio, &report.run);
    assert_eq!(counts(&completed), [1, 0, 0], "{completed:#}");
    // Of a report that was removed, nothing is left.
    let (studio, report) = not_read_back();
    let file = studio
        .state_dir()
        .join(format!("reports/artists/{}.json", report.run));
    std::fs::remove_file(file).unwrap();
    studio.sync();
    let journals = studio.state_dir().join("journals/artists");
    assert_eq!(std::fs::read_dir(journals).unwrap().count(), 0);
}

#[test]
fn users_who_are_not_shown_after_they_were_accepted() {
    let studio = studio_of(3, Rules::default());
    let gate = studio.hold(CallKind::Write);
    let mut program = studio.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT), "it does not write");
    studio.ftrack().change_rules(|rules| {
        rules.unreadable.insert("User".to_owned());
    });
    gate.open();
    assert!(wait_until(LIMIT, || program.try_wait().unwrap().is_some()));
    let status = program.wait().unwrap().code();
    let shown = last(&studio);
    assert_eq!(counts(&shown), [0, 0, 3], "{shown:#}");
    assert_eq!(
        (&shown["outcome"], status, &shown["ftrack"]["write_calls"]),
        (&"partial".into(), Some(4), &1.into()),
        "{shown:#}"
    );
    studio.ftrack().heal();
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable.clear());
    let next = studio.run(&["sync", "--log-format", "json"]);
    assert_eq!(next.status, 0, "{}", next.stderr);
    let run = shown["run"].as_str().unwrap();
    let completed = report_of(&studio, run);
    for report in [&completed, &in_the_list(&studio, run)] {
        assert_eq!(counts(report), [3, 0, 0], "{report:#}");
        assert_eq!(report["outcome"], "succeeded", "{report:#}");
    }
    let note = "a later run found it in effect";
    let lines = next
        .stderr
        .lines()
        .filter(|line| line.contains("change.applied"));
    let of_run = lines.filter(|line| line.contains(run) && line.contains(note));
    assert_eq!(of_run.count(), 3, "{}", next.stderr);
    studio.sync_changes_nothing();
    let journals = studio.state_dir().join("journals/artists");
    assert_eq!(std::fs::read_dir(journals).unwrap().count(), 0);
}

/// Synced people, of whom `user000` and `user001` are renamed, with a limit of one rename, while
/// ftrack answers no write.
fn renamed_without_an_answer() -> (Studio, Report) {
    let mut studio = studio_of(4, Rules::default());
    studio.sync();
    studio.job = "limits.rename = 1".into();
    studio.ftrack_settings = "request_timeout = \"300ms\"\nattempts = 1".into();
    studio.tree().rename(&dn("user000"), &dn("zoe")).unwrap();
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Write).then_some(Fault::StallBefore));
    let report = studio.sync();
    let counts = &report.counts;
    assert_eq!((counts.failed, counts.unconfirmed), (0, 1), "{report:#?}");
    studio.ftrack().heal();
    studio.tree().rename(&dn("user001"), &dn("yan")).unwrap();
    (studio, report)
}

#[test]
fn what_arrives_after_the_last_attempt_counts_for_the_limits() {
    let (studio, report) = renamed_without_an_answer();
    by_hand(&studio, "user000", &json!({"username": "zoe"}));
    let next = studio.sync();
    assert_eq!((next.counts.updated, next.counts.held), (0, 1), "{next:#?}");
    let completed = report_of(&studio, &report.run);
    assert_eq!(completed["counts"]["updated"], 1, "{completed:#}");
}

#[test]
fn what_never_arrives_counts_for_no_limit() {
    let (studio, report) = renamed_without_an_answer();
    studio.tree().rename(&dn("yan"), &dn("user001")).unwrap();
    let next = studio.sync();
    assert_eq!((next.counts.updated, next.counts.held), (1, 0), "{next:#?}");
    // It could arrive while the next run did the same.
    let completed = report_of(&studio, &report.run);
    assert_eq!(counts(&completed), [0, 0, 1], "{completed:#}");
    studio.sync_changes_nothing();
    let completed = report_of(&studio, &report.run);
    assert_eq!(counts(&completed), [0, 0, 0], "{completed:#}");
    let error = completed["changes"][0]["error"].as_str().unwrap();
    assert!(error.ends_with("another run of the job did the same, and reports it"));
}

#[test]
fn what_a_failed_run_could_not_write_counts_for_no_limit() {
    let mut studio = studio_of(4, Rules::default());
    studio.sync();
    studio.job = "limits.rename = 1\nlimits.create = 1".into();
    studio.tree().rename(&dn("user000"), &dn("zoe")).unwrap();
    studio.tree().add(person("new", "New", "Face")).unwrap();
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Write).then_some(Fault::KeyRefused));
    let report = studio.sync();
    assert_eq!((report.outcome, report.counts.failed), (Outcome::Failed, 2));
    studio.ftrack().heal();
    let next = studio.sync();
    let done = &next.counts;
    assert_eq!(
        (done.created, done.updated, done.held),
        (1, 1, 0),
        "{next:#?}"
    );
}

#[test]
fn an_answer_is_missing_and_then_the_key_is_refused() {
    let mut studio = studio_of(3, Rules::default());
    studio.ftrack_settings = "request_timeout = \"300ms\"".into();
    studio
        .ftrack()
        .fail_when(|call| match (call.kind, call.number_of_kind) {
            (CallKind::Write, 1) => Some(Fault::StallBefore),
            (CallKind::Write, _) => Some(Fault::KeyRefused),
            (CallKind::Read, _) => None,
        });
    studio.sync();
    assert_eq!(counts(&last(&studio)), [0, 0, 3]);
}

#[test]
fn what_is_refused_has_failed_also_when_the_key_is_refused_then() {
    let studio = studio_of(3, Rules::default());
    studio.ftrack().change_rules(|rules| {
        rules.refused_users.insert("user000".to_owned());
    });
    studio.ftrack().fail_when(|call| {
        (call.kind == CallKind::Write && call.number_of_kind > 1).then_some(Fault::KeyRefused)
    });
    studio.sync();
    assert_eq!(counts(&last(&studio)), [0, 3, 0]);
}

#[test]
fn a_user_who_is_deleted_while_it_is_written_is_gone() {
    let studio = studio_of(2, Rules::default());
    studio.sync();
    for uid in ["user000", "user001"] {
        studio.tree().replace(&dn(uid), "sn", &["New"]).unwrap();
    }
    let gate = studio.hold(CallKind::Write);
    let mut program = studio.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT), "it does not write");
    let id = studio.user("user001").id;
    studio.ftrack().remove("User", &json!([id])).unwrap();
    gate.open();
    assert!(wait_until(LIMIT, || program.try_wait().unwrap().is_some()));
    studio.ftrack().heal();
    let shown = last(&studio);
    assert_eq!(counts(&shown), [0, 1, 0], "{shown:#}");
    let text = studio.run(&["runs", "show", "last"]).stdout;
    assert!(
        text.contains("the user no longer exists in ftrack"),
        "{text}"
    );
}

#[test]
fn what_two_runs_did_without_an_answer_counts_once() {
    let mut studio = studio_of(4, Rules::default());
    studio.sync();
    studio.job = "limits.deactivate = 2".into();
    studio.ftrack_settings = "request_timeout = \"3s\"\nattempts = 1".into();
    leave(&studio, "user000");
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Write).then_some(Fault::StallBefore));
    let first = studio.sync();
    assert_eq!(counts(&last(&studio)), [0, 0, 1], "{first:#?}");
    studio.ftrack().heal();
    let late = Gate::new();
    let held = late.clone();
    studio.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Write).then(|| Fault::HoldRequest(held.clone()))
    });
    let second = studio.sync();
    assert_eq!(counts(&last(&studio)), [0, 0, 1], "{second:#?}");
    studio.ftrack().heal();
    late.open();
    assert!(late.wait_for_done(1, LIMIT));
    assert!(!studio.user("user000").is_active, "{second:#?}");
    leave(&studio, "user001");
    let next = studio.sync();
    let done = (next.counts.deactivated, next.counts.held);
    assert_eq!(done, (1, 0), "{next:#?}");
    let results = [&first, &second].map(|report| {
        let completed = report_of(&studio, &report.run);
        completed["changes"][0]["result"].clone()
    });
    assert_eq!(results, ["planned", "applied"]);
}
