//! What is said of somebody whose user is deactivated: whose entry is gone, and whose is elsewhere.

use insta::assert_snapshot;
use serde_json::Value;

use super::Situation;
use crate::{
    rules::leave,
    studio::{dn, person},
};

/// The rule of a job that reads only who is employed.
fn employed(uids: &[&str]) -> Situation {
    let mut situation = Situation::of(&[]);
    situation.filter = "(&(objectClass=inetOrgPerson)(employeeType=staff))".into();
    uids.iter().fold(situation, |situation, uid| {
        let person = person(uid, "Given", uid);
        situation.entry(person.with("employeeType", "staff"))
    })
}

#[test]
fn whom_the_filter_excludes_is_not_called_gone() {
    let situation = employed(&["ada", "bob"]).after_sync().then(|studio| {
        studio
            .tree()
            .replace(&dn("ada"), "employeeType", &["former"])
            .unwrap();
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry no longer matches the job's filter
    ");
    let report = situation.sync();
    assert_snapshot!(situation.report_text(&report), @"
    succeeded
      - deactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry no longer matches the job's filter

    1 deactivated, 1 unchanged.
    ");
    // Programs find the entry too.
    let json: Value = serde_json::to_value(&report.changes).unwrap();
    assert_eq!(json[0]["dn"], dn("ada"));
    situation.sync_changes_nothing();
}

#[test]
fn who_is_outside_of_the_bases_is_not_called_gone() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| leave(studio, "ada"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
}

#[test]
fn who_is_too_deep_for_the_scope_is_not_called_gone() {
    let deeper = format!("uid=ada,{}", dn("bob"));
    let situation = Situation::of(&["ada", "bob"])
        .job("scope = \"one\"")
        .after_sync()
        .then(|studio| studio.tree().rename(&dn("ada"), &deeper).unwrap());
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,uid=bob,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
}

#[test]
fn whose_entry_is_deleted_is_called_gone() {
    let situation = employed(&["ada", "bob"])
        .after_sync()
        .then(|studio| studio.tree().remove(&dn("ada")).unwrap());
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show
    ");
}

#[test]
fn of_two_entries_with_one_number_neither_is_called_the_persons() {
    let situation = Situation::of(&[])
        .config("[directories.studio]\nid_attribute = \"employeeNumber\"\n")
        .numbered("ada", "1")
        .numbered("bob", "2")
        .after_sync()
        .then(|studio| {
            leave(studio, "ada");
            let mut again = person("ada.again", "Given", "ada").with("employeeNumber", "1");
            again.dn = "uid=ada.again,dc=studio,dc=test".into();
            studio.tree().add(again).unwrap();
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada
          is_active: true -> false
          complete reads no longer show the person; whether the entry is elsewhere in the directory could not be found out
    ");
}
