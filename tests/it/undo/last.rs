//! Which run `undo last` means.

use std::{fs, process::Command};

use ftrack_ldap_sync::model::report::{ChangeResult, Outcome};

use super::{eventful, nothing_is_done_again, put_back, seen, undo};
use crate::{
    rules::{add_config, leave},
    studio::{Ended, Studio},
};

#[test]
fn it_is_the_last_run_that_wrote_anything() {
    let studio = eventful();
    let before = seen(&studio);
    let run = studio.sync();
    // Runs that write nothing, of every kind.
    studio.sync();
    put_back(&studio, &["undo", "last", "--dry-run"]);
    put_back(&studio, &["sync", "--dry-run"]);
    let report = put_back(&studio, &["undo", "last"]);
    assert_eq!(report.undoes.as_ref(), Some(&run.run));
    let mut now = seen(&studio);
    now.remove(&studio.user("gus").id);
    assert_eq!(now, before);
    nothing_is_done_again(&studio);

    // Whoever says so once more does not mean the undo itself.
    let after = seen(&studio);
    let ended = studio.run(&["undo", "last"]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    for run in [&report.run, report.undoes.as_ref().unwrap()] {
        let names = format!("`undo {run}`");
        assert!(ended.stderr.contains(&names), "{}", ended.stderr);
    }
    assert_eq!(seen(&studio), after);
}

#[test]
fn a_run_that_wrote_nothing_is_none() {
    let studio = Studio::of(&[]);
    let nothing = |what: &str| {
        let ended = studio.run(&["undo", "last"]);
        assert_eq!(ended.status, 2);
        assert!(ended.stderr.contains(what), "{}", ended.stderr);
    };
    nothing("no saved runs yet");
    let report = studio.run(&["sync", "--dry-run", "--format", "json"]);
    report.report();
    nothing("no saved run wrote anything");
}

#[test]
fn among_several_jobs_it_has_to_be_named() {
    let studio = eventful();
    studio.sync();
    add_config(&studio, "[jobs.nightly]\nkind = \"ftrack-ldap\"\n");
    let ended = studio.run(&["undo", "last"]);
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("--job"), "{}", ended.stderr);
    let report = put_back(&studio, &["undo", "last", "--job", "artists"]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
}

#[test]
fn where_the_job_of_the_last_run_is_gone_the_others_are_named() {
    let studio = eventful();
    studio.sync();
    let text = fs::read_to_string(studio.config()).unwrap();
    let other = studio.folder().join("other.toml");
    fs::write(&other, text.replace("[jobs.artists]", "[jobs.others]")).unwrap();
    let undo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        command.arg("--config").arg(&other).arg("undo");
        let ended = Ended::of(command.args(arguments).env_clear().output().unwrap());
        assert_eq!((ended.status, &*ended.stdout), (2, ""), "{arguments:?}");
        ended.stderr
    };
    let said = undo(&["last"]);
    for told in [
        "the job \\\"artists\\\", which is not configured any more",
        "`undo last --job others`",
    ] {
        assert!(said.contains(told), "{said}");
    }
    // Whoever names the job means it.
    let said = undo(&["last", "--job", "artists"]);
    assert!(!said.contains("`undo last"), "{said}");
}

#[test]
fn a_trial_is_approved_by_nobody() {
    const BY: &str = "  approved   by uid ";
    let studio = eventful();
    studio.sync();
    let text = |arguments: &[&str]| {
        let ended = studio.run(arguments);
        assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
        ended.stdout
    };
    let uid = rustix::process::getuid().as_raw();
    let by = format!("{BY}{uid}\n");
    for command in ["undo", "restore"] {
        let trial = text(&[command, "last", "--dry-run"]);
        assert!(
            trial.contains(", dry run: ") && !trial.contains(BY),
            "{trial}"
        );
        let shown = text(&["runs", "show", "last"]);
        assert!(!shown.contains(BY), "{shown}");
    }
    for command in ["undo", "restore"] {
        let done = text(&[command, "last"]);
        assert!(done.contains(&by), "{done}");
        assert!(text(&["runs", "show", "last"]).contains(&by));
        let listed = text(&["runs", "--changes", "--limit", "1"]);
        assert!(
            listed.contains(&format!("({command} by uid {uid})")),
            "{listed}"
        );
    }
}

/// An undone restore leaves everybody as before it: also whose deactivation was due.
#[test]
fn whoever_was_due_before_a_restore_is_due_after_its_undo() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.job = "limits = { deactivate = 0, reactivate = 9 }".into();
    let first = studio.sync();
    leave(&studio, "cyd");
    let due = |studio: &Studio| {
        let report = studio.sync();
        let mut changes = report.changes.iter();
        let cyd = changes.find(|change| change.username == "cyd").unwrap();
        cyd.result
    };
    assert_eq!(due(&studio), ChangeResult::Held);
    let restored = put_back(&studio, &["restore", &first.run]);
    assert_eq!(restored.counts.deactivated, 3);
    let report = undo(&studio, &restored);
    assert_eq!(report.counts.reactivated, 3);
    assert_eq!(due(&studio), ChangeResult::Held);
    assert!(studio.user("cyd").is_active);
    // Nobody else has anything due.
    let report = studio.sync();
    assert_eq!(report.changes.len(), 1, "{report:#?}");
}
