//! What people do in ftrack is theirs: whom they deactivate or reactivate stays so.

use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::{
    rules::{by_hand, come_back, leave},
    studio::{Studio, dn},
};

fn deactivate(studio: &Studio) {
    by_hand(studio, "ada", &json!({"is_active": false}));
}

fn reactivate(studio: &Studio) {
    by_hand(studio, "ada", &json!({"is_active": true}));
}

#[test]
fn who_was_deactivated_by_hand_stays_so() {
    let situation = Situation::synced(&["ada", "bob"]).then(deactivate);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: nothing to do

      Warnings:
        users were deactivated by somebody else since the previous run, and stay inactive: ada
    ");
    situation.sync_changes_nothing();
    leave(&situation, "ada");
    assert_snapshot!(situation.plan_text(), @"Plan for artists: nothing to do");
    let report = situation.sync_changes_nothing();
    assert_eq!(report.counts.active_leavers, 0);
    come_back(&situation, "ada");
    situation
        .tree()
        .replace(&dn("ada"), "sn", &["New"])
        .unwrap();
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> New
          the directory has other values
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "New" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
}

#[test]
fn whom_somebody_reactivated_is_reported_and_left() {
    let situation = Situation::synced(&["ada", "bob"])
        .then(|studio| leave(studio, "ada"))
        .after_sync()
        .then(reactivate);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to update

      ~ update     ada
          somebody reactivated the user, although the person left; the program leaves it alone from now on

      Warnings:
        the user "ada" is active, although the person left: this program deactivated it, and somebody reactivated it
    "#);
    assert_eq!(situation.sync().counts.active_leavers, 1);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, released
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do

      Warnings:
        the user "ada" is active, although the person left: this program deactivated it, and somebody reactivated it
    "#);
    situation.sync_changes_nothing();
    come_back(&situation, "ada");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          the change that an earlier run began is complete
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn what_somebody_does_after_reactivating_a_leaver_is_theirs() {
    let situation = Situation::synced(&["ada", "bob"])
        .then(|studio| leave(studio, "ada"))
        .after_sync()
        .then(reactivate)
        .after_sync()
        .then(deactivate);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: nothing to do

      Warnings:
        users were deactivated by somebody else since the previous run, and stay inactive: ada
    ");
    situation.sync_changes_nothing();
    come_back(&situation, "ada");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          the change that an earlier run began is complete
    ");
    situation.sync();
    // Deactivated by hand, it stays so.
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}
