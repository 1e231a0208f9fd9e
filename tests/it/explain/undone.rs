//! Who rejected a change, had it undone or had a restore put it back, and when, is told.

use ftrack_ldap_sync::model::{
    explanation::Verdict,
    report::{ChangeResult, Report},
};

use serde_json::Value;

use crate::{
    rules::{come_back, leave},
    studio::Studio,
    undo::{put_back, undo},
};

/// Two people who left and were deactivated, with that run.
fn deactivated() -> (Studio, Report) {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    studio.job = "limits = { deactivate = \"100%\" }".into();
    studio.sync();
    leave(&studio, "ada");
    leave(&studio, "bob");
    let run = studio.sync();
    assert_eq!(run.counts.deactivated, 2);
    (studio, run)
}

/// Why nothing is written about ada, in the reason and in the last step.
fn told(studio: &Studio) -> String {
    let explained = studio.explain(&["ada"]).unwrap();
    assert_eq!(explained.verdict, Verdict::Rejected, "{explained:#?}");
    assert_eq!(explained.changes[0].result, ChangeResult::Rejected);
    let step = &explained.steps.last().unwrap().detail;
    assert!(explained.reason.contains(step), "{explained:#?}");
    assert!(explained.reason.contains("until its cause has ended"));
    step.clone()
}

#[test]
fn what_was_undone_is_told_with_the_run_that_did_it() {
    let (studio, run) = deactivated();
    let undone = undo(&studio, &run);
    let by = undone.approved_by.as_ref().unwrap();
    let words = format!("it was undone by the run {}, by {by}, at ", undone.run);
    assert!(told(&studio).starts_with(&words), "{}", told(&studio));
    // Also once a run has noted it.
    studio.sync();
    assert!(told(&studio).starts_with(&words), "{}", told(&studio));
}

#[test]
fn what_was_restored_is_told_with_the_run_that_did_it() {
    let (studio, run) = deactivated();
    let restored = put_back(&studio, &["restore", &run.run]);
    let by = restored.approved_by.as_ref().unwrap();
    let words = format!("the restore {} put it back, by {by}, at ", restored.run);
    assert!(told(&studio).starts_with(&words), "{}", told(&studio));
}

#[test]
fn what_was_rejected_is_told_with_its_hold_and_what_only_a_link_says_without() {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    studio.sync();
    studio.job = "limits = { deactivate = 0 }".into();
    leave(&studio, "ada");
    let hold = studio.sync().holds_opened[0];
    let rejected = studio.run(&["reject", &hold.to_string()]);
    assert_eq!(rejected.status, 0, "{}", rejected.stderr);
    let words = format!("a person rejected it (hold {hold}, by ");
    assert!(told(&studio).starts_with(&words), "{}", told(&studio));
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    studio.sync();
    assert_eq!(told(&studio), "a person rejected it, or had it undone");
}

/// What `explain --run` says of ada's change in a run, as text and in JSON.
fn of_past(studio: &Studio, run: &str) -> (String, Value) {
    let ended = studio.run(&["explain", "ada", "--run", run, "--format", "json"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let explained: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(explained["verdict"], "rejected", "{explained:#}");
    let text = studio.run(&["explain", "ada", "--run", run]).stdout;
    let text: Vec<&str> = text.split_whitespace().collect();
    (text.join(" "), explained)
}

#[test]
fn of_a_past_run_who_rejected_is_told_although_it_is_rejected_no_more() {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    studio.sync();
    studio.job = "limits = { deactivate = 0 }".into();
    leave(&studio, "ada");
    let hold = studio.sync().holds_opened[0];
    let rejected = studio.run(&["reject", &hold.to_string()]);
    assert_eq!(rejected.status, 0, "{}", rejected.stderr);
    let run = studio.sync().run;
    let words = told(&studio);
    assert!(
        words.starts_with(&format!("a person rejected it (hold {hold}, by uid ")),
        "{words}"
    );
    // The cause ends, and the state is lost as well.
    come_back(&studio, "ada");
    studio.sync();
    std::fs::remove_file(studio.state_dir().join("state.db")).unwrap();
    let (text, explained) = of_past(&studio, &run);
    let whole = format!("{words}, so it is not written until its cause has ended");
    assert!(text.contains(&whole), "{text}");
    let reason = explained["reason"].as_str().unwrap();
    assert!(reason.ends_with(&whole), "{explained:#}");
    let steps = explained["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["detail"], *whole);
    let report = studio
        .run(&["runs", "show", &run, "--format", "json"])
        .report();
    assert_eq!(report.changes[0].error.as_ref(), Some(&whole));
}

#[test]
fn of_a_past_run_what_was_undone_is_told_with_the_run_that_did_it() {
    let (studio, run) = deactivated();
    let undone = undo(&studio, &run);
    let next = studio.sync();
    let by = undone.approved_by.as_ref().unwrap();
    let words = format!("it was undone by the run {}, by {by}, at ", undone.run);
    let (text, explained) = of_past(&studio, &next.run);
    let reason = explained["reason"].as_str().unwrap();
    assert!(text.contains(&words) && reason.contains(&words), "{text}");
}
