//! Protection belongs to a user, and not to the login that it has today.

use insta::assert_snapshot;

use super::Situation;
use crate::{
    rules::{approve, leave},
    studio::{dn, person},
};

const PROTECT: &str = "users = { protect = [\"svc-*\"] }";

/// Renames an entry, and with it the login.
fn rename(situation: Situation, from: &str, to: &str) -> Situation {
    situation.then(|studio| studio.tree().rename(&dn(from), &dn(to)).unwrap())
}

#[test]
fn a_protected_user_stays_protected_under_another_login() {
    let situation = Situation::synced(&["svc-render", "bob"]).job(PROTECT);
    // The link records the protection.
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     svc-render  uid=svc-render,ou=people,dc=studio,dc=test
          the user's link records whether users.protect protects the user
    ");
    situation.sync();
    situation.sync_changes_nothing();
    let situation = rename(situation, "svc-render", "render");
    assert_eq!(situation.sync().counts.held, 1);
    approve(&situation);
    let situation = situation.then(|studio| {
        studio
            .tree()
            .rename(&dn("render"), "uid=render,dc=studio,dc=test")
            .unwrap();
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate render HELD  uid=render,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      1 change is held: it is protected by users.protect, whose login, mail and activity change only with a person's approval; review it, and approve it: `plan --out FILE`, then `apply FILE`
    ");
    // When the patterns change, the logins of that day decide.
    let situation = situation
        .then(|studio| {
            let back = studio
                .tree()
                .rename("uid=render,dc=studio,dc=test", &dn("render"));
            back.unwrap();
        })
        .job("users = { protect = [\"bob\"] }");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 2 to update

      ~ update     bob  uid=bob,ou=people,dc=studio,dc=test
          the user's link records whether users.protect protects the user

      ~ update     render  uid=render,ou=people,dc=studio,dc=test
          the user's link records whether users.protect protects the user
    ");
}

#[test]
fn nobody_becomes_protected_by_taking_such_a_login() {
    let situation = Situation::of(&["ada", "bob"]).job(PROTECT).after_sync();
    let situation = rename(situation, "bob", "svc-bob");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     svc-bob  uid=svc-bob,ou=people,dc=studio,dc=test
          username: bob -> svc-bob
          the directory has other values
    ");
    situation.sync();
    let situation = situation.then(|studio| leave(studio, "svc-bob"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate svc-bob  uid=svc-bob,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
}

#[test]
fn an_entry_that_asks_for_a_protected_login_is_left_out() {
    let situation = Situation::of(&["ada"])
        .job(PROTECT)
        .after_sync()
        .entry(person("svc-new", "New", "Face"));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=svc-new,ou=people,dc=studio,dc=test
          users.protect reserves the username "svc-new", so no user is made for it
    "#);
    situation.sync_changes_nothing();
}
