//! `erase`: a person is taken out of the history, by the real program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, must},
    readme::leaving::naming,
    rules::leave,
    studio::{Studio, dn, person},
};

const WHO: &str = "sam.ortiz";

/// Somebody who joined, changed, and left, beside others.
fn studio() -> Studio {
    let studio = Studio::of(&["ada", "bob", WHO]);
    studio.sync();
    for who in [WHO, "ada"] {
        let mail = format!("new-{who}@studio.test");
        studio.tree().replace(&dn(who), "mail", &[&mail]).unwrap();
    }
    studio.sync();
    leave(&studio, WHO);
    assert_eq!(studio.sync().counts.deactivated, 1);
    studio.sync_changes_nothing();
    studio
}

/// The listed runs with their counts.
fn runs(studio: &Studio) -> Value {
    let listed = studio.run(&["runs", "--all", "--format", "json"]);
    assert_eq!(listed.status, 0, "{}", listed.stderr);
    serde_json::from_str(&listed.stdout).unwrap()
}

fn erased(studio: &Studio, arguments: &[&str]) -> Value {
    let all = [&["erase", "--format", "json"], arguments].concat();
    let ended = studio.run(&all);
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Nothing is erased, for this reason.
fn refused(studio: &Studio, arguments: &[&str], why: &str) {
    let ended = studio.run(arguments);
    assert_eq!(ended.status, 2, "{}", ended.stdout);
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
}

fn first_snapshot(studio: &Studio) -> PathBuf {
    let folder = studio.state_dir().join("snapshots/artists");
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.remove(0)
}

fn nowhere(studio: &Studio) {
    let state = studio.state_dir();
    let user = studio.user(WHO);
    let id = studio.user(WHO).id;
    for name in [WHO, "SAM.ORTIZ", &id, &user.email.unwrap_or_default()] {
        if !name.is_empty() {
            assert_eq!(naming(&state, name), [] as [PathBuf; 0], "{name}");
        }
    }
}

#[test]
fn a_person_who_left_is_in_no_file_any_more_and_the_counts_stay() {
    let studio = studio();
    let (before, users) = (runs(&studio), studio.ftrack().users());
    let would = erased(&studio, &[WHO, "--dry-run"]);
    assert!(
        naming(&studio.state_dir(), WHO).len() > 3,
        "nothing is changed"
    );
    let was = erased(&studio, &[WHO, "--yes"]);
    let counts = |of: &Value| {
        let numbers = ["reports", "changes", "snapshots"];
        numbers.map(|name| of[name].clone())
    };
    assert_eq!(counts(&was), counts(&would));
    assert_eq!(counts(&was), [json!(3), json!(3), json!(2)]);
    assert_eq!(
        (&would["dry_run"], &was["dry_run"]),
        (&json!(true), &json!(false))
    );
    nowhere(&studio);
    assert_eq!(runs(&studio), before);
    assert_eq!(studio.ftrack().users(), users);
    // What is left can be shown, and undone for everybody else.
    for run in before.as_array().unwrap() {
        let id = run["run"].as_str().unwrap();
        let shown = studio.run(&["runs", "show", id]);
        assert_eq!(shown.status, 0, "{}", shown.stderr);
        assert!(!shown.stdout.contains("sam"), "{}", shown.stdout);
    }
    let second = before[2]["run"].as_str().unwrap();
    let shown = studio.run(&["runs", "show", second]).stdout;
    assert!(
        shown.contains("(erased)") && shown.contains("new-ada@studio.test"),
        "{shown}"
    );
    let undone = studio.run(&["undo", second, "--yes", "--format", "json"]);
    let report = undone.report();
    assert_eq!(report.counts.updated, 1, "{report:#?}");
    assert_eq!(studio.user("ada").email.as_deref(), Some("ada@studio.test"));
    // Who still has a user of the job is in the next snapshot again: the page says what to do first.
    studio
        .ftrack()
        .remove("User", &json!([studio.user(WHO).id]))
        .unwrap();
    erased(&studio, &[WHO, "--yes"]);
    assert_eq!(naming(&studio.state_dir(), WHO), [] as [PathBuf; 0]);
    // Nobody is there any more.
    refused(
        &studio,
        &["erase", WHO, "--yes"],
        "no report, snapshot or hold names",
    );
}

#[test]
fn whom_a_job_still_has_is_not_erased_and_it_must_be_said() {
    let studio = studio();
    let state = studio.state_dir();
    let named = naming(&state, "ada");
    refused(
        &studio,
        &["erase", "ada", "--yes"],
        "the job artists still has this person",
    );
    assert_eq!(naming(&state, "ada"), named);
    refused(&studio, &["erase", WHO], "say --yes");
    let asked = studio.on_a_terminal(&format!("erase {WHO}"), "n\n");
    assert_eq!(asked.status, 1, "{}", asked.stdout);
    assert!(
        asked.stdout.contains("Erase this for good?"),
        "{}",
        asked.stdout
    );
    assert!(naming(&state, WHO).len() > 3);
    refused(
        &studio,
        &["erase", "nobody", "--yes"],
        "no report, snapshot or hold names",
    );
}

/// A name that two people had is not taken for either.
#[test]
fn a_login_that_somebody_else_had_as_well_needs_an_id() {
    let studio = studio();
    // The user goes, and somebody new has the login.
    let old = studio.user(WHO).id;
    studio.ftrack().remove("User", &json!([old])).unwrap();
    studio.tree().add(person(WHO, "Another", "Sam")).unwrap();
    assert_eq!(studio.sync().counts.created, 1);
    let ended = studio.run(&["erase", WHO, "--yes"]);
    assert_eq!(ended.status, 2, "{}", ended.stdout);
    assert!(
        ended.stderr.contains("may be any of") && ended.stderr.contains(&old),
        "{}",
        ended.stderr
    );
    let was = erased(&studio, &[&old, "--yes"]);
    // The last one warns of the link that is left of the user.
    assert_eq!(
        (&was["reports"], &was["texts"]),
        (&json!(4), &json!(1)),
        "{was}"
    );
    assert_eq!(naming(&studio.state_dir(), &old), [] as [PathBuf; 0]);
    // What is the other one's stays.
    let shown = studio.run(&["runs", "show", "last"]).stdout;
    assert!(shown.contains("+ create     sam.ortiz"), "{shown}");
}

/// What was interrupted goes on, though nothing that is left says who the name was.
#[test]
fn an_erasure_that_broke_off_is_finished_by_the_next_one() {
    let studio = studio();
    let snapshot = first_snapshot(&studio);
    let whole = fs::read(&snapshot).unwrap();
    let state = studio.state_dir();
    let erase = |who: &str| studio.run(&["erase", who, "--yes"]);
    // A file that cannot be read is named, and nothing was begun.
    fs::write(&snapshot, "damaged").unwrap();
    let ended = erase(WHO);
    assert_eq!(ended.status, 1, "{}", ended.stdout);
    assert!(
        ended.stderr.contains("is not a snapshot") || ended.stderr.contains("cannot be read"),
        "{}",
        ended.stderr
    );
    fs::write(&snapshot, &whole).unwrap();
    let named = naming(&state, WHO).len();
    // It is as if the program had been killed after its reports were written.
    let begun = state.join("erasure.json");
    let original = first_snapshot(&studio);
    let kept = fs::read(&original).unwrap();
    let done = erase(WHO);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert!(!begun.exists() && named > 3);
    let user = studio.user(WHO);
    let identity = json!({"people": [{
        "who": WHO, "directory_ids": [], "ftrack_ids": [user.id], "names": [WHO],
    }]});
    fs::write(&original, kept).unwrap();
    fs::write(&begun, identity.to_string()).unwrap();
    assert!(!naming(&state, WHO).is_empty());
    // Also by a name that only the interrupted one knew.
    let done = erase(WHO);
    assert_eq!(done.status, 0, "{}", done.stderr);
    assert_eq!(naming(&state, WHO), [] as [PathBuf; 0]);
    assert!(!begun.exists());
}

#[test]
fn a_person_is_erased_beside_a_daemon_whose_runs_go_on() {
    let studio = studio().for_a_daemon("schedule = \"@yearly\"");
    let daemon = Daemon::start(&studio);
    must(&studio, 0, &["trigger"]);
    // Without a user, no later snapshot has the person.
    let user = json!([studio.user(WHO).id]);
    studio.ftrack().remove("User", &user).unwrap();
    erased(&studio, &[WHO, "--yes"]);
    assert_eq!(naming(&studio.state_dir(), WHO), [] as [PathBuf; 0]);
    for name in ["One", "Two"] {
        studio.tree().replace(&dn("ada"), "sn", &[name]).unwrap();
        let ended = must(&studio, 0, &["trigger", "--format", "json"]);
        assert_eq!(ended.report().counts.updated, 1);
    }
    assert_eq!(naming(&studio.state_dir(), WHO), [] as [PathBuf; 0]);
    daemon.stop();
    assert_eq!(naming(&studio.state_dir(), WHO), [] as [PathBuf; 0]);
}

#[test]
fn it_waits_for_no_run_and_disturbs_none() {
    let studio = studio();
    let lock = studio.state_dir().join("locks/artists.lock");
    let file = fs::File::open(&lock).unwrap();
    file.lock().unwrap();
    let ended = studio.run(&["erase", WHO, "--yes"]);
    assert_eq!(ended.status, 1, "{}", ended.stdout);
    assert!(
        ended
            .stderr
            .contains("a run of the job artists is in progress"),
        "{}",
        ended.stderr
    );
    assert!(!naming(&studio.state_dir(), WHO).is_empty());
    drop(file);
    erased(&studio, &[WHO, "--yes"]);
    assert_eq!(
        naming(Path::new(&studio.state_dir()), WHO),
        [] as [PathBuf; 0]
    );
}
