//! An undo of an undo is the contrary decision: what the first one rejected is rejected no more.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{eventful, nothing_is_done_again, undo, with_role};
use crate::{
    rules::by_hand,
    studio::Studio,
    undo::{ROLE, set_members},
};

/// What is rejected, by the login of before, as `holds --rejected` lists it: the kinds of the edits, and of values
/// what they would be.
fn listed(studio: &Studio) -> BTreeMap<String, Vec<String>> {
    let ended = studio.run(&["holds", "--rejected", "--format", "json"]);
    let all: Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let edit = |edit: &Value| match &edit["kind"] {
        kind if *kind == "set" => format!("{} {}", text(&edit["attribute"]), text(&edit["new"])),
        kind => text(kind),
    };
    let of_one = |one: &Value| {
        let mut edits: Vec<String> = one["edits"].as_array().unwrap().iter().map(edit).collect();
        edits.sort();
        (text(&one["username"]), edits)
    };
    all.as_array().unwrap().iter().map(of_one).collect()
}

/// How many rejected edits the link of a user names.
fn noted(studio: &Studio, login: &str) -> usize {
    let link = &studio.user(login).metadata["ftrack-ldap-sync"];
    let link: Value = serde_json::from_str(link).unwrap();
    link["rejected"].as_array().map_or(0, Vec::len)
}

fn expected(all: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let all = all.iter();
    all.map(|(login, edits)| ((*login).to_owned(), owned(edits)))
        .collect()
}

#[test]
fn the_rejections_of_the_first_end_with_the_second() {
    let studio = eventful();
    let run = studio.sync();
    let first = undo(&studio, &run);
    let ada: &[&str] = &["email new@studio.test", "last_name New"];
    assert_eq!(
        listed(&studio),
        expected(&[
            ("ada", ada),
            ("bobby", &["username bobby"]),
            ("cyd", &["deactivate"]),
            ("eve", &["activate"]),
            ("gus", &["activate"]),
        ])
    );
    assert_eq!((noted(&studio, "ada"), noted(&studio, "cyd")), (2, 1));

    // What it wrote, a later run could write again, were it not rejected; whom it activated or
    // deactivated has no cause of the first run's.
    let second = undo(&studio, &first);
    let ada: &[&str] = &["email ada@studio.test", "last_name ada"];
    assert_eq!(
        listed(&studio),
        expected(&[("ada", ada), ("bob", &["username bob"])])
    );
    for (login, number) in [("ada", 2), ("bobby", 1), ("cyd", 0), ("eve", 0), ("gus", 0)] {
        assert_eq!(noted(&studio, login), number, "{login}");
    }

    // And once more.
    undo(&studio, &second);
    assert_eq!(
        listed(&studio)["ada"],
        ["email new@studio.test", "last_name New"]
    );
    assert_eq!((noted(&studio, "ada"), noted(&studio, "cyd")), (2, 1));
    nothing_is_done_again(&studio);
}

#[test]
fn what_was_done_again_is_kept_up_by_later_runs() {
    let studio = eventful();
    let run = studio.sync();
    let first = undo(&studio, &run);
    undo(&studio, &first);
    // Before a run could forget anything, somebody writes the former value.
    by_hand(&studio, "ada", &json!({"email": "ada@studio.test"}));
    let report = studio.sync();
    assert_eq!(report.counts.updated, 1, "{report:#?}");
    assert_eq!(studio.user("ada").email.unwrap(), "new@studio.test");
}

#[test]
fn the_same_of_roles() {
    let studio = with_role(&["ada", "bob"], &["ada"]);
    studio.sync();
    set_members(&studio, &["bob"]);
    let run = studio.sync();
    let first = undo(&studio, &run);
    let of = |studio: &Studio| {
        let all = listed(studio);
        ["ada", "bob"].map(|login| all.get(login).cloned().unwrap_or_default())
    };
    assert_eq!(of(&studio), [["revoke"], ["grant"]]);
    let second = undo(&studio, &first);
    assert_eq!(second.counts.role_changes, 2, "{second:#?}");
    assert_eq!(of(&studio), [["grant"], ["revoke"]]);
    let bob = studio.user("bob");
    assert!(bob.roles.contains(ROLE));
    assert_eq!((noted(&studio, "ada"), noted(&studio, "bob")), (1, 1));
    nothing_is_done_again(&studio);
}
