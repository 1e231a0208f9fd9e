//! What a change does, as its report lists it.

use ftrack_ldap_sync::model::report::Report;
use serde_json::{Value, json};

use super::{
    Situation,
    roles::{leads, set_members},
};
use crate::rules::leave;

/// The edits of somebody in a report, as scripts read them.
pub(super) fn edits(report: &Report, username: &str) -> Value {
    let report = serde_json::to_value(report).unwrap();
    let changes = report["changes"].as_array().unwrap().iter();
    let mut of_user = changes.filter(|change| change["username"] == username);
    of_user
        .next()
        .map_or(Value::Null, |change| change["edits"].clone())
}

#[test]
fn a_report_lists_what_each_change_does_by_kind() {
    let situation = leads(&["ada", "bob", "cyd"], &["ada"]);
    let report = situation.sync();
    let set = |attribute: &str, new: &str| json!({"kind": "set", "attribute": attribute, "old": null, "new": new});
    assert_eq!(
        edits(&report, "ada"),
        json!([
            set("username", "ada"),
            set("first_name", "Given"),
            set("last_name", "ada"),
            set("email", "ada@studio.test"),
            {"kind": "activate"},
            {"kind": "grant", "role": "Project Manager"},
        ])
    );
    set_members(&situation, "leads", &[]);
    leave(&situation, "bob");
    let report = situation.sync();
    assert_eq!(
        edits(&report, "ada"),
        json!([{"kind": "revoke", "role": "Project Manager"}])
    );
    assert_eq!(edits(&report, "bob"), json!([{"kind": "deactivate"}]));
}

#[test]
fn a_report_of_before_there_were_edits_is_read() {
    let situation = Situation::of(&["ada"]);
    let mut report = serde_json::to_value(situation.sync()).unwrap();
    for change in report["changes"].as_array_mut().unwrap() {
        assert!(change.as_object_mut().unwrap().remove("edits").is_some());
    }
    let read: Report = serde_json::from_value(report.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), report);
}
