//! Two installations whose jobs have one source and different directories: what each puts back, lists,
//! releases and writes into links are its own people alone.

use ftrack_ldap_sync::model::{
    change::Action,
    report::{ChangeResult, Outcome, Report},
};
use serde_json::{Value, json};

use super::{installations::office, many, of, stored_link};
use crate::{
    rules::{by_hand, leave, logins},
    studio::{Studio, dn, person},
    undo::{left, put_back},
};

const OTHERS: [&str; 4] = ["ada", "bob", "cyd", "dan"];

/// A studio of three users, and another installation with users of its own, whom it creates later.
fn two() -> (Studio, Studio) {
    let first = of(&many(3));
    let second = office(&first, OTHERS);
    first.sync();
    let tree = first.tree();
    tree.replace(&dn("user00"), "sn", &["New"]).unwrap();
    first.sync();
    assert_eq!(second.sync().counts.created, 4);
    (first, second)
}

/// The users of the other installation, as they are.
fn others(first: &Studio) -> Value {
    let users = first.ftrack().users().into_iter();
    let others = users.filter(|user| OTHERS.contains(&&*user.username));
    json!(others.map(|user| format!("{user:?}")).collect::<Vec<_>>())
}

fn names_the_others(report: &Report) -> bool {
    let mut warnings = report.warnings.iter();
    warnings.any(|warning| {
        warning.contains("4 users have links") && warning.contains("from another directory")
    })
}

fn listed(studio: &Studio) -> Vec<String> {
    let ended = studio.run(&["users", "--format", "json"]);
    let users: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let logins = users.iter().map(|user| user["username"].as_str().unwrap());
    logins.map(ToOwned::to_owned).collect()
}

#[test]
fn a_restore_leaves_the_other_ones_users_alone() {
    let (first, _second) = two();
    let before = others(&first);
    for arguments in [
        &["restore", "last", "--dry-run"] as &[&str],
        &["restore", "last"],
    ] {
        let report = put_back(&first, arguments);
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert_eq!(logins(&report, Action::Deactivate), [] as [&str; 0]);
        assert_eq!(logins(&report, Action::Update), ["user00"]);
        assert_eq!((report.ftrack.owned, report.ftrack.linked), (3, Some(7)));
        assert!(names_the_others(&report), "{report:#?}");
    }
    assert_eq!(others(&first), before);
    assert_eq!(listed(&first), many(3));
}

#[test]
fn nor_does_it_put_back_what_the_other_one_wrote_since() {
    let (first, second) = two();
    // The snapshot is of a time at which the others were there.
    let tree = first.tree();
    tree.replace(&dn("user01"), "sn", &["New"]).unwrap();
    let run = first.sync();
    let shown = first.run(&["snapshots", "--format", "json"]);
    let shown: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    let users: Vec<_> = shown.iter().map(|snapshot| &snapshot["users"]).collect();
    assert_eq!(users, [3, 3, 0]);
    let tree = second.tree();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    leave(&second, "bob");
    second.sync();
    let before = others(&first);
    let undone = put_back(&first, &["undo", &run.run]);
    assert_eq!(logins(&undone, Action::Update), ["user01"]);
    assert_eq!(undone.ftrack.owned, 3);
    assert!(names_the_others(&undone), "{undone:#?}");
    let restored = put_back(&first, &["restore", &run.run]);
    assert_eq!((restored.changes.len(), restored.counts.failed), (0, 0));
    assert_eq!(others(&first), before);
}

#[test]
fn a_user_who_became_the_other_ones_is_named_and_stays() {
    let (first, _second) = two();
    let tree = first.tree();
    tree.add(person("gus", "Given", "gus")).unwrap();
    let run = first.sync();
    let tree = first.tree();
    tree.replace(&dn("gus"), "sn", &["New"]).unwrap();
    let later = first.sync();
    // The other installation took the user over.
    let mut link = stored_link(&first, "gus");
    link["directory"] = stored_link(&first, "ada")["directory"].clone();
    super::forge_link(&first, "gus", &link);
    by_hand(&first, "gus", &json!({"last_name": "Theirs"}));
    let before = first.user("gus");
    for arguments in [
        ["undo", &run.run],
        ["restore", &later.run],
        ["undo", &later.run],
    ] {
        let report = put_back(&first, &arguments);
        assert_eq!(report.changes, [], "{arguments:?}");
        let [(who, why)] = left(&report)[..] else {
            panic!("{report:#?}");
        };
        assert!(who == "gus" && why.contains("another directory"), "{why}");
    }
    let ended = first.run(&["unlink", "gus"]);
    assert_ne!(ended.status, 0);
    assert!(
        format!("{}{}", ended.stdout, ended.stderr).contains("another directory"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert_eq!(first.user("gus"), before);
}

#[test]
fn where_it_is_not_known_whose_they_are_nothing_is_put_back() {
    let (first, _second) = two();
    let database = first.state_dir().join("state.db");
    std::fs::remove_file(&database).unwrap();
    let before = first.ftrack().users();
    let report = put_back(&first, &["restore", "last"]);
    assert_eq!(report.outcome, Outcome::Failed);
    let why = report.error.unwrap();
    assert!(
        why.contains("several directories") && why.contains("`sync`"),
        "{why}"
    );
    assert_eq!(first.ftrack().users(), before);
    // A reading tells.
    first.sync();
    assert_eq!(put_back(&first, &["restore", "last"]).ftrack.owned, 3);
}

#[test]
fn a_run_leaves_the_rejections_in_the_other_ones_links() {
    let (first, mut second) = two();
    second.job = "limits.deactivate = 0".into();
    leave(&second, "ada");
    let held = second.sync();
    let hold = held.holds_opened[0].to_string();
    assert_eq!(second.run(&["reject", &hold]).status, 0);
    let link = stored_link(&first, "ada");
    assert_eq!(link["rejected"].as_array().unwrap().len(), 1);
    second.job = "limits.deactivate = \"100%\"".into();
    for _ in 0..2 {
        let report = first.sync_changes_nothing();
        assert!(names_the_others(&report), "{report:#?}");
        assert_eq!(stored_link(&first, "ada"), link);
        let report = second.sync();
        let results = report.changes.iter().map(|change| change.result);
        assert!(results.eq([ChangeResult::Rejected]), "{report:#?}");
    }
    // Nor does a rejection of its own touch theirs.
    leave(&first, "user00");
    let held = first.sync();
    assert_eq!(held.outcome, Outcome::Succeeded, "one is allowed");
    leave(&first, "user01");
    let hold = first.sync().holds_opened[0].to_string();
    assert_eq!(first.run(&["reject", &hold]).status, 0);
    assert_eq!(stored_link(&first, "ada"), link);
    assert_eq!(
        stored_link(&first, "user01")["rejected"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
