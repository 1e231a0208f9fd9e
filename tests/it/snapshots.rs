//! `snapshots`: what ftrack held before each run that wrote something.

use std::fs;

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::report::{FailureKind, Outcome},
};
use serde_json::{Value, json};

use crate::{
    rules::{account, by_hand, leave},
    studio::{Studio, dn, person},
};

fn json_of(studio: &Studio, arguments: &[&str]) -> Value {
    let ended = studio.run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn each_run_that_writes_has_one_and_no_other() {
    let studio = Studio::of(&["ada", "bob"]);
    let old = Account {
        first_name: Some("Another".into()),
        ..account("ada")
    };
    studio.ftrack().add_user(&old).unwrap();
    assert_eq!(json_of(&studio, &["snapshots"]), json!([]));
    studio.run(&["sync", "--dry-run"]);
    let first = studio.sync();
    studio.sync_changes_nothing();
    studio
        .tree()
        .replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    let second = studio.sync();
    let all = json_of(&studio, &["snapshots"]);
    let listed: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["run"].clone(), one["users"].clone()))
        .collect();
    assert_eq!(
        listed,
        [(json!(second.run), json!(2)), (json!(first.run), json!(1))]
    );
    let keys: Vec<&String> = all[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["snapshot", "job", "run", "taken_at", "users"]);
    assert_eq!(
        (&all[0]["job"], &all[0]["snapshot"]),
        (&json!("artists"), &json!(second.run))
    );

    // Whoever is to be adopted is in it as it was.
    let shown = json_of(&studio, &["snapshots", "show", &first.run]);
    assert_eq!(shown["people"][0]["fields"]["first_name"], "Another");
    assert_eq!(shown["people"][0]["link"], "none");
    let shown = json_of(&studio, &["snapshots", "show", "last", "--person", "ada"]);
    assert_eq!(shown["people"].as_array().unwrap().len(), 1);
    let ada = &shown["people"][0];
    assert_eq!(ada["fields"]["email"], "ada@studio.test");
    assert_eq!(ada["link"]["link"]["source"], "artists");
    let text = studio.run(&["snapshots", "show", "last"]).stdout;
    assert!(
        text.contains("  ada, active\n      first_name: Given\n"),
        "{text}"
    );
    // By login, and not by id.
    for uid in ["zoe", "Abe", "max", "bea"] {
        studio.tree().add(person(uid, "Given", uid)).unwrap();
    }
    studio.sync();
    studio.tree().replace(&dn("zoe"), "sn", &["Holm"]).unwrap();
    studio.sync();
    let text = studio.run(&["snapshots", "show", "last"]).stdout;
    let logins: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once(", active"))
        .map(|(login, _)| login)
        .collect();
    assert_eq!(logins, ["Abe", "ada", "bea", "bob", "max", "zoe"], "{text}");
    let list = studio.run(&["snapshots"]).stdout;
    assert!(
        list.contains(&second.run) && list.contains("restore S --dry-run"),
        "{list}"
    );
    let ended = studio.run(&["snapshots", "show", "last", "--person", "nobody"]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    let ended = studio.run(&["snapshots", "show", "2020"]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
}

#[test]
fn they_are_found_without_the_configuration_and_the_old_ones_go() {
    let mut studio = Studio::of(&["ada"]);
    studio.top = "[snapshots]\nkeep = 2\n".into();
    for nth in 0..4 {
        let uid = format!("new{nth}");
        studio.tree().add(person(&uid, "Given", &uid)).unwrap();
        assert_eq!(studio.sync().outcome, Outcome::Succeeded);
    }
    studio.job = "no = key".into();
    assert_eq!(studio.run(&["sync"]).status, 2);
    let state_dir = studio.state_dir();
    let all = json_of(
        &studio,
        &["snapshots", "--state-dir", state_dir.to_str().unwrap()],
    );
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[test]
fn where_none_can_be_saved_nothing_is_written() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let folder = studio.state_dir().join("snapshots");
    fs::rename(&folder, studio.state_dir().join("away")).unwrap();
    fs::write(&folder, "").unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.error_kind, report.ftrack.write_calls),
        (Outcome::Failed, Some(FailureKind::State), 0)
    );
    let error = report.error.unwrap();
    assert!(
        error.contains("the snapshot of the users could not be saved, and nothing was written"),
        "{error}"
    );
    assert_eq!(studio.user("ada").last_name.unwrap(), "ada");
    fs::remove_file(&folder).unwrap();
    assert_eq!(studio.sync().counts.updated, 1);
}

#[test]
fn a_damaged_one_is_named_and_the_others_are_listed() {
    let studio = Studio::of(&["ada"]);
    let first = studio.sync();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    let second = studio.sync();
    let folder = studio.state_dir().join("snapshots/artists");
    let path = folder.join(format!("{}.jsonl.gz", first.run));
    fs::write(&path, "no gzip").unwrap();
    let ended = studio.run(&["snapshots"]);
    assert_eq!(ended.status, 1);
    assert!(ended.stdout.contains(&second.run), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("is not a snapshot that can be used"),
        "{}",
        ended.stderr
    );
    let ended = studio.run(&["restore", &first.run, "--yes"]);
    assert_eq!(ended.status, 1);
    assert!(
        ended.stderr.contains("is not a snapshot that can be used"),
        "{}",
        ended.stderr
    );
    // An undo has the report.
    let ended = studio.run(&["undo", &first.run, "--yes"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("the snapshot before the run cannot be used"),
        "{}",
        ended.stdout
    );
    assert!(!studio.user("ada").is_active);
    by_hand(&studio, "ada", &json!({"is_active": true}));
    leave(&studio, "ada");
}
