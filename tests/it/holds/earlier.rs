//! What an earlier version of the program saved of rejections, which named no person, stays rejected.

use ftrack_ldap_sync::model::link_notes::EditDigest;
use serde_json::json;

use super::{
    json_of, left, only_hold,
    rejecting::{NO_LIMIT, noted, reject, rejected},
};
use crate::{
    rules::missing::{links, set_link},
    studio::Studio,
};

/// The deactivation of somebody who left the bases, as earlier versions saved it.
const EDIT: &str = r#"[{"kind":"deactivate"},"out_of_scope"]"#;

/// Two people whose deactivation was rejected by an earlier version; with the number of the hold.
fn rejected_before() -> (Studio, String) {
    let mut studio = left(&[0, 1]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let number = number.to_string();
    assert_eq!(reject(&studio, &[&number]).0, 0);
    for (user, mut link) in links(&studio) {
        if !link["rejected"].is_null() {
            link["rejected"] = json!([EditDigest::of(EDIT).to_string()]);
            set_link(&studio, &user, &link);
        }
    }
    let state = rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap();
    let rows = state.execute("UPDATE rejected SET edit = ?1", [EDIT]);
    assert_eq!(rows.unwrap(), 2);
    studio.job = NO_LIMIT.into();
    (studio, number)
}

#[test]
fn what_an_earlier_version_rejected_stays_so_and_is_taken_back_by_its_number() {
    let (studio, number) = rejected_before();
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(rejected(&report), ["user0", "user1"]);
        assert_eq!(report.ftrack.write_calls, 0);
    }
    let listed = json_of(&studio, &["holds", "--rejected"]);
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(listed[0]["edits"], json!([{ "kind": "deactivate" }]));
    assert_eq!(listed[0]["cause"], "out_of_scope");

    let said = studio.run(&["unreject", &number, "--only", "user0"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    let report = studio.sync();
    assert_eq!(rejected(&report), ["user1"]);
    // It is held as before.
    assert_eq!(only_hold(&studio).1, ["user0"]);
}

#[test]
fn what_only_links_of_an_earlier_version_say_stays_rejected_and_is_listed() {
    let (studio, _) = rejected_before();
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    for _ in 0..2 {
        assert_eq!(rejected(&studio.sync()), ["user0", "user1"]);
    }
    let listed = json_of(&studio, &["holds", "--rejected"]);
    assert_eq!(listed[0]["username"], "user0", "{listed}");
    let said = studio.run(&["unreject", "--only", "user0"]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    assert_eq!(noted(&studio, "user0"), Vec::<String>::new());
    assert_eq!(studio.sync().counts.deactivated, 1);
    assert!(!studio.user("user0").is_active && studio.user("user1").is_active);
}
