//! Who rejected a change, had it undone or had a restore put it back, and when, is told.

use ftrack_ldap_sync::model::{
    explanation::Verdict,
    report::{ChangeResult, Report},
};

use crate::{
    rules::leave,
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
