//! Several who want the same: a login, a user, an id; and successors of those who left.

use ftrack_ldap_sync::demo::{directory::TreeEntry, ftrack::Account};
use insta::assert_snapshot;

use super::Situation;
use crate::{
    rules::{account, approve, come_back, decide, leave},
    studio::{dn, person},
};

const NUMBERED: &str = "[directories.studio]\nid_attribute = \"employeeNumber\"\n";

#[test]
fn whoever_asks_for_a_colleagues_login_is_left_out_and_named() {
    let mut twin = person("ADA", "Other", "Ada");
    twin.dn = "cn=twin,ou=people,dc=studio,dc=test".into();
    let situation = Situation::synced(&["ada", "bob"])
        .entry(twin)
        .then(|studio| {
            let changed = studio.tree().replace(&dn("ada"), "sn", &["Changed"]);
            changed.unwrap();
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to update, 1 entry skipped

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> Changed
          the directory has other values

      1 entry skipped:
        cn=twin,ou=people,dc=studio,dc=test
          the username "ADA" belongs to another ftrack user, of uid=ada,ou=people,dc=studio,dc=test
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "Changed" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
}

#[test]
fn entries_that_want_one_username_are_both_left_out_and_both_named() {
    let mut twin = person("ADA", "Other", "Ada");
    twin.dn = "cn=twin,ou=people,dc=studio,dc=test".into();
    let situation = Situation::of(&["ada", "bob"]).entry(twin);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create, 2 entries skipped

      + create     bob  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: Given
          last_name: bob
          email: bob@studio.test
          is_active: true
          the person is in the directory and has no user

      2 entries skipped:
        cn=twin,ou=people,dc=studio,dc=test
          the username "ADA" is also claimed by uid=ada,ou=people,dc=studio,dc=test; none of them gets it
        uid=ada,ou=people,dc=studio,dc=test
          the username "ada" is also claimed by cn=twin,ou=people,dc=studio,dc=test; none of them gets it

      Warnings:
        2 of 3 people are skipped because of their values, or because others have or ask for them; see the skipped entries, and check the job's attributes
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"bob: active, "Given" "bob" <bob@studio.test>; artists, settled"#);
}

#[test]
fn entries_that_want_one_user_are_both_left_out_and_both_named() {
    let situation = Situation::of(&["ada", "bob"])
        .job("users = { adopt = \"email\" }")
        .account(Account {
            username: "x".into(),
            ..account("ada")
        })
        .then(|studio| {
            let mail = ["ada@studio.test"];
            studio.tree().replace(&dn("bob"), "mail", &mail).unwrap();
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 2 entries skipped

      2 entries skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the ftrack user "x" is also claimed by uid=bob,ou=people,dc=studio,dc=test; none of them gets it
        uid=bob,ou=people,dc=studio,dc=test
          the ftrack user "x" is also claimed by uid=ada,ou=people,dc=studio,dc=test; none of them gets it

      Warnings:
        2 of 2 people are skipped because of their values, or because others have or ask for them; see the skipped entries, and check the job's attributes
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn users_that_differ_by_case_alone_are_not_chosen_among() {
    let situation = Situation::of(&["ada"]).stranger("Ada").stranger("aDa");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          2 ftrack users could be adopted for it: "Ada", "aDa"
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn entries_that_show_one_id_are_nobody() {
    let situation = Situation::of(&[])
        .config(NUMBERED)
        .numbered("ada", "7")
        .numbered("bob", "7")
        .numbered("cyd", "8");
    assert_snapshot!(situation.plan_text(), @"
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
          the directory id 7 is also claimed by uid=bob,ou=people,dc=studio,dc=test; none of them gets it
        uid=bob,ou=people,dc=studio,dc=test
          the directory id 7 is also claimed by uid=ada,ou=people,dc=studio,dc=test; none of them gets it
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled"#);
}

#[test]
fn an_id_in_another_case_is_no_absence() {
    let situation = Situation::of(&[])
        .config(NUMBERED)
        .numbered("ada", "Ab-7")
        .numbered("bob", "Ab-8")
        .after_sync()
        .then(|studio| {
            let number = ["AB-7"];
            studio
                .tree()
                .replace(&dn("ada"), "employeeNumber", &number)
                .unwrap();
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the username "ada" belongs to another ftrack user, of a person who left (directory id Ab-7); a successor never inherits it: rename that user to free the login

      Warnings:
        the person with the directory id Ab-7 was missing from the read, but was found by id; the user is unchanged
    "#);
    situation.sync_changes_nothing();
    assert!(situation.user("ada").is_active);
}

/// Whichever rule adopts users, the successor has the leaver's login or mail.
fn successor(adopt: &str) -> (Situation, Account) {
    let situation = Situation::of(&["ada", "bob"])
        .job(&format!("users = {{ adopt = \"{adopt}\" }}"))
        .after_sync();
    let leaver = situation.user("ada");
    situation.tree().remove(&dn("ada")).unwrap();
    let situation = situation.entry(person("ada", "Another", "Person"));
    (situation, leaver)
}

#[test]
fn a_successor_never_gets_the_leavers_account_by_the_login() {
    let (situation, leaver) = successor("username");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held, 1 entry skipped

      - deactivate ada HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      1 change is held: the new entry "uid=ada,ou=people,dc=studio,dc=test" (directory id [id]) has the login and mail address of the user "ada", whose entry (directory id [id]) is gone: it was most likely deleted and made again. If it is the same person, end the link of the user (`unlink "ada"`), and give the user to the new entry (`link "uid=ada,ou=people,dc=studio,dc=test" "ada"`). If it is another person, approve the deactivation (`holds` shows its number) and rename the user in ftrack, which frees the login

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the username "ada" belongs to another ftrack user, of an entry that is gone (directory id [id]) and was most likely this one; the deactivation of that user says what to do
    "#);
    approve(&situation);
    let now = situation.user("ada");
    assert_eq!(
        (&now.id, &now.first_name, now.is_active),
        (&leaver.id, &leaver.first_name, false)
    );
    // With a login of their own, but the leaver's mail.
    let situation = situation.then(|studio| {
        studio.tree().rename(&dn("ada"), &dn("ada2")).unwrap();
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to reactivate, 1 of them held

      ^ reactivate ada2 HELD  uid=ada2,ou=people,dc=studio,dc=test
          username: ada -> ada2
          first_name: Given -> Another
          last_name: ada -> Person
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      1 change is held: the new entry "uid=ada2,ou=people,dc=studio,dc=test" has the mail address of the user "ada", which this program deactivated when the entry with the directory id [id] left. If it is the same person, who is back, approve this, and the user is theirs again; if it is another person, reject it, and they get a user of their own
    "#);
    let report = situation.sync();
    assert_eq!(report.counts.held, 1);
    decide(&situation, &report, "reject");
    situation.sync();
    assert_ne!(situation.user("ada2").id, leaver.id);
    assert_snapshot!(situation.users(), @r#"
    ada2: active, "Another" "Person" <ada@studio.test>; artists, settled
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    // The link says no more what was rejected.
    situation.sync();
    situation.sync_changes_nothing();
}

#[test]
fn a_successor_never_gets_the_leavers_account_by_the_mail() {
    let (situation, leaver) = successor("email");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held, 1 entry skipped

      - deactivate ada HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      1 change is held: the new entry "uid=ada,ou=people,dc=studio,dc=test" (directory id [id]) has the login and mail address of the user "ada", whose entry (directory id [id]) is gone: it was most likely deleted and made again. If it is the same person, end the link of the user (`unlink "ada"`), and give the user to the new entry (`link "uid=ada,ou=people,dc=studio,dc=test" "ada"`). If it is another person, approve the deactivation (`holds` shows its number) and rename the user in ftrack, which frees the login

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the username "ada" belongs to another ftrack user, of an entry that is gone (directory id [id]) and was most likely this one; the deactivation of that user says what to do
    "#);
    approve(&situation);
    let now = situation.user("ada");
    assert_eq!(
        (&now.id, &now.first_name, now.is_active),
        (&leaver.id, &leaver.first_name, false)
    );
    let situation = situation.then(|studio| {
        studio.tree().rename(&dn("ada"), &dn("ada2")).unwrap();
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to reactivate, 1 of them held

      ^ reactivate ada2 HELD  uid=ada2,ou=people,dc=studio,dc=test
          username: ada -> ada2
          first_name: Given -> Another
          last_name: ada -> Person
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      1 change is held: the new entry "uid=ada2,ou=people,dc=studio,dc=test" has the mail address of the user "ada", which this program deactivated when the entry with the directory id [id] left. If it is the same person, who is back, approve this, and the user is theirs again; if it is another person, reject it, and they get a user of their own
    "#);
    let report = situation.sync();
    assert_eq!(report.counts.held, 1);
    decide(&situation, &report, "reject");
    situation.sync();
    assert_ne!(situation.user("ada2").id, leaver.id);
    assert_snapshot!(situation.users(), @r#"
    ada2: active, "Another" "Person" <ada@studio.test>; artists, settled
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    // The link says no more what was rejected.
    situation.sync();
    situation.sync_changes_nothing();
}

#[test]
fn who_comes_back_gets_access_though_the_new_login_is_taken() {
    let situation = Situation::synced(&["ada", "bob"])
        .then(|studio| leave(studio, "ada"))
        .after_sync()
        .stranger("lovelace")
        .then(|studio| {
            come_back(studio, "ada");
            let name = ["Lovelace"];
            studio.tree().replace(&dn("ada"), "sn", &name).unwrap();
            studio.tree().rename(&dn("ada"), &dn("lovelace")).unwrap();
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to reactivate, 1 entry skipped

      ^ reactivate ada  uid=lovelace,ou=people,dc=studio,dc=test
          last_name: ada -> Lovelace
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      1 entry skipped:
        uid=lovelace,ou=people,dc=studio,dc=test
          the username "lovelace" belongs to another ftrack user, which has no owner: if it is the person's, `link lovelace lovelace` gives it to them; or else rename that user in ftrack
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "Lovelace" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    lovelace: active, "" "" <lovelace@studio.test>; no link
    "#);
    let again = situation.sync_changes_nothing();
    assert_eq!(again.skipped.len(), 1, "{again:#?}");
}

#[test]
fn logins_and_addresses_that_nobody_can_tell_apart_are_left_out_and_named() {
    let named = |uid: &str, mail: &str, cn: &str| {
        TreeEntry::new(format!("cn={cn},ou=people,dc=studio,dc=test"))
            .with("objectClass", "inetOrgPerson")
            .with("uid", uid)
            .with("cn", cn)
            .with("sn", "Name")
            .with("description", mail)
    };
    let mut situation = Situation::synced(&["ada"])
        .entry(named("ada\u{200b}", "a@studio.test", "zero width"))
        .entry(named(
            "\u{ff41}\u{ff44}\u{ff41}",
            "b@studio.test",
            "fullwidth",
        ))
        .entry(named("a\u{ad}da", "c@studio.test", "soft hyphen"))
        .entry(named("eve", "eve\u{e0041}@studio.test", "tag"))
        .job("limits = { unusable = \"100%\" }");
    "username = \"uid\", email = \"description\", last_name = \"sn\""
        .clone_into(&mut situation.attributes);
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 4 entries skipped

      4 entries skipped:
        cn=fullwidth,ou=people,dc=studio,dc=test
          the username "ａｄａ" belongs to another ftrack user, of uid=ada,ou=people,dc=studio,dc=test
        cn=soft hyphen,ou=people,dc=studio,dc=test
          its login a\u{ad}da contains the character U+00AD, which shows nothing, so that it looks like another login
        cn=tag,ou=people,dc=studio,dc=test
          its mail address eve\u{e0041}@studio.test contains the character U+E0041, which shows nothing, so that it looks like another mail address
        cn=zero width,ou=people,dc=studio,dc=test
          its login ada\u{200b} contains the character U+200B, which shows nothing, so that it looks like another login
    "#);
    situation.sync_changes_nothing();
}
