//! Whose users the job may change, and which changes it may make.

use std::fs;

use ftrack_ldap_sync::{demo::ftrack::Account, model::change::HeldBy};
use insta::assert_snapshot;

use super::Situation;
use crate::{
    rules::{account, come_back, leave},
    studio::{dn, person},
};

#[test]
fn what_may_not_be_done_is_not_done() {
    let mut situation = Situation::synced(&["ada", "bob", "cyd"])
        .then(|studio| leave(studio, "cyd"))
        .after_sync()
        .job("users = { create = false, update = false, deactivate = false, reactivate = false }")
        .entry(person("new", "New", "Face"))
        .then(|studio| {
            let changed = ["Changed"];
            studio.tree().replace(&dn("ada"), "sn", &changed).unwrap();
            leave(studio, "bob");
            come_back(studio, "cyd");
        });
    let before = situation.ftrack().users();
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=new,ou=people,dc=studio,dc=test
          there is no user for it, and users.create is false

      Warnings:
        the person of the user "bob" left, and users.deactivate is false
    "#);
    situation.sync_changes_nothing();
    assert_eq!(situation.ftrack().users(), before);
    "limits.deactivate = 2".clone_into(&mut situation.job);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to create, 1 to update, 1 to reactivate, 1 to deactivate

      + create     new  uid=new,ou=people,dc=studio,dc=test
          username: new
          first_name: New
          last_name: Face
          email: new@studio.test
          is_active: true
          the person is in the directory and has no user

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> Changed
          the directory has other values

      ^ reactivate cyd  uid=cyd,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      - deactivate bob  uid=bob,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "Changed" <ada@studio.test>; artists, settled
    bob: inactive, "Given" "bob" <bob@studio.test>; artists, deactivated
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    new: active, "New" "Face" <new@studio.test>; artists, settled
    "#);
}

#[test]
fn users_of_another_source_and_links_that_nobody_understands_are_left_alone() {
    let linked = |username: &str, text: &str| Account {
        metadata: [("ftrack-ldap-sync".to_owned(), text.to_owned())].into(),
        ..account(username)
    };
    let others = r#"{"source":"painters","id":"0","attribute":"entryUUID","activity":"settled"}"#;
    let situation = Situation::of(&["ada", "bob", "cyd"])
        .account(linked("ada", others))
        .account(linked("bob", "{\"source\":"));
    let before = ["ada", "bob"].map(|username| situation.user(username));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create, 2 entries skipped

      + create     cyd  uid=cyd,ou=people,dc=studio,dc=test
          username: cyd
          first_name: Given
          last_name: cyd
          email: cyd@studio.test
          is_active: true
          the person is in the directory and has no user

      2 entries skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the username "ada" belongs to another ftrack user, which belongs to the source "painters"
        uid=bob,ou=people,dc=studio,dc=test
          the username "bob" belongs to another ftrack user, whose link cannot be read

      Warnings:
        2 of 3 people are skipped because of their values, or because others have or ask for them; see the skipped entries, and check the job's attributes
        the link of the user "bob" cannot be read; the user is left alone
    "#);
    situation.sync();
    let after = ["ada", "bob"].map(|username| situation.user(username));
    assert_eq!(after, before);
    assert!(situation.user("cyd").is_active);
}

#[test]
fn a_pattern_protects_in_every_case_of_every_alphabet() {
    let protected = ["\u{e5}sa", "\u{3bf}\u{3b4}\u{3cc}\u{3c2}", "strasse"];
    let without_mail = |uid: &str| {
        let mut entry = person(uid, "Given", uid);
        entry.attributes.retain(|(name, _)| name != "mail");
        entry
    };
    let situation = protected
        .map(without_mail)
        .into_iter()
        .fold(Situation::of(&["bob", "carla"]), Situation::entry)
        .after_sync()
        .job(
            "limits.deactivate = 9\nusers = { protect = [\"\u{c5}S*\", \
             \"\u{39f}\u{394}\u{38c}\u{3a3}\", \"STRA\u{1e9e}E\"] }",
        )
        .then(|studio| {
            for uid in protected.into_iter().chain(["bob"]) {
                studio.tree().remove(&dn(uid)).unwrap();
            }
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 4 to deactivate, 3 of them held

      - deactivate bob  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      - deactivate strasse HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      - deactivate åsa HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      - deactivate οδός HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      3 changes are held: it is protected by users.protect, whose login, mail and activity change only with a person's approval; review it, and approve it: `plan --out FILE`, then `apply FILE`
    ");
    let report = situation.sync();
    let held = report.changes.iter().filter_map(|change| change.held_by);
    assert_eq!(held.collect::<Vec<_>>(), [HeldBy::Protected; 3]);
    assert!(!situation.user("bob").is_active);
    assert!(protected.iter().all(|uid| situation.user(uid).is_active));
}

#[test]
fn a_job_is_renamed_by_keeping_its_source() {
    let situation = Situation::synced(&["ada", "bob"]).job("source = \"artists\"");
    let config = fs::read_to_string(situation.0.config()).unwrap();
    let renamed = situation.folder().join("renamed.toml");
    let text = config.replace("[jobs.artists]", "[jobs.painters]");
    fs::write(&renamed, text).unwrap();
    leave(&situation, "bob");
    let report = situation.synced_with(&renamed, &["sync"]);
    assert_snapshot!(situation.report_text(&report), @"
    succeeded
      - deactivate bob  uid=bob,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

    1 deactivated, 1 unchanged.
    ");
    assert_eq!(&*report.job, "painters");
}
