//! Entries that were deleted and made again, and people who ask for what others have.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::{
    rules::{account, approve, by_hand, decide},
    studio::{Studio, dn, person},
};

/// Deletes the entry, and makes it again with another id.
fn made_again(studio: &Studio, uid: &str) {
    studio.tree().remove(&dn(uid)).unwrap();
    studio.tree().add(person(uid, "Given", uid)).unwrap();
}

#[test]
fn an_entry_that_was_made_again_locks_nobody_out() {
    let situation = Situation::of(&["ada", "bob"])
        .job("limits = { deactivate = \"100%\" }")
        .after_sync()
        .then(|studio| made_again(studio, "ada"));
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
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.unsettled),
        (Outcome::Held, 1)
    );
    assert_eq!(situation.sync().counts.held, 1);
    // The same person.
    for command in [&["unlink", "ada"][..], &["link", &dn("ada"), "ada"]] {
        let ended = situation.run(command);
        assert_eq!(ended.status, 0, "{}", ended.stderr);
    }
    situation.sync_changes_nothing();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
}

#[test]
fn another_person_gets_a_user_of_their_own() {
    let situation = Situation::of(&["ada", "bob"])
        .job("limits = { deactivate = \"100%\" }")
        .after_sync()
        .then(|studio| made_again(studio, "ada"));
    let report = approve(&situation);
    assert_eq!(
        (report.counts.deactivated, report.outcome),
        (1, Outcome::Partial)
    );
    // The person has no user, for a reason that only a person can settle.
    assert_eq!(report.counts.unsettled, 1);
    by_hand(&situation, "ada", &json!({ "username": "ada.former" }));
    decide(&situation, &situation.sync(), "reject");
    assert_eq!(situation.sync().counts.created, 1);
    assert_snapshot!(situation.users(), @r#"
    ada.former: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
}

#[test]
fn a_mail_address_that_differs_tells_a_successor_from_the_same_person() {
    let situation = Situation::of(&["ada", "bob"])
        .job("limits = { deactivate = \"100%\" }")
        .after_sync()
        .then(|studio| {
            made_again(studio, "ada");
            let mail = ["ada.two@studio.test"];
            studio.tree().replace(&dn("ada"), "mail", &mail).unwrap();
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 entry skipped

      - deactivate ada  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the username "ada" belongs to another ftrack user, of a person who left (directory id [id]); a successor never inherits it: rename that user to free the login
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Partial);
}

/// Where the DN does not say the login: the person came back with everything else anew.
#[test]
fn an_entry_in_the_place_of_somebodys_locks_nobody_out_whatever_it_says() {
    let named = |login: &str| {
        let mut entry = person(login, "Ada", "Lovelace");
        entry.dn = "cn=Ada Lovelace,ou=people,dc=studio,dc=test".into();
        entry
    };
    let situation = Situation::of(&["bob"])
        .job("limits = { deactivate = \"100%\" }")
        .entry(named("ada"))
        .after_sync()
        .then(|studio| {
            studio.tree().remove(&named("ada").dn).unwrap();
            studio.tree().add(named("ada.lovelace")).unwrap();
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create, 1 to deactivate, 2 of them held

      + create     ada.lovelace HELD  cn=Ada Lovelace,ou=people,dc=studio,dc=test
          username: ada.lovelace
          first_name: Ada
          last_name: Lovelace
          email: ada.lovelace@studio.test
          is_active: true
          the person is in the directory and has no user

      - deactivate ada HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      2 changes are held: the new entry "cn=Ada Lovelace,ou=people,dc=studio,dc=test" (directory id [id], login "ada.lovelace") has the name of the entry of the user "ada" (directory id [id]), which is gone: it was most likely deleted and made again. If it is the same person, end the link of the user (`unlink "ada"`), and give the user to the new entry (`link "cn=Ada Lovelace,ou=people,dc=studio,dc=test" "ada"`). If it is another person, approve this (`holds` shows its number)
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Held);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Ada" "Lovelace" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    let report = approve(&situation);
    assert_eq!((report.counts.deactivated, report.counts.created), (1, 1));
}

#[test]
fn whoever_asks_for_a_colleagues_login_stands_in_nobodys_way() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| {
        let tree = studio.tree();
        tree.replace(&dn("bob"), "uid", &["bob", "ADA"]).unwrap();
        tree.replace(&dn("ada"), "sn", &["Changed"]).unwrap();
        let mut eve = person("ada", "Eve", "New");
        eve.dn = "cn=eve,ou=people,dc=studio,dc=test".into();
        tree.add(eve).unwrap();
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to update, 1 entry skipped

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> Changed
          the directory has other values

      1 entry skipped:
        cn=eve,ou=people,dc=studio,dc=test
          the username "ada" belongs to another ftrack user, of uid=ada,ou=people,dc=studio,dc=test

      Warnings:
        uid has several values in 1 of 3 entries: the one that ftrack has is kept, and a new user gets the one in the entry's name, or the shortest; one is uid=bob,ou=people,dc=studio,dc=test
    "#);
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.unsettled),
        (Outcome::Partial, 1)
    );
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "Changed" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
}

#[test]
fn whoever_shows_a_colleagues_number_stands_in_nobodys_way() {
    let situation = Situation::of(&[])
        .config("[directories.studio]\nid_attribute = \"employeeNumber\"\n")
        .numbered("ada", "7")
        .numbered("bob", "8")
        .after_sync()
        .numbered("eve", "7")
        .then(|studio| {
            studio
                .tree()
                .replace(&dn("ada"), "sn", &["Changed"])
                .unwrap()
        });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update, 1 entry skipped

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> Changed
          the directory has other values

      1 entry skipped:
        uid=eve,ou=people,dc=studio,dc=test
          the directory id 7 is also claimed by uid=ada,ou=people,dc=studio,dc=test; none of them gets it
    ");
}

#[test]
fn adoption_after_the_first_contact_waits_for_a_person() {
    let situation = Situation::of(&["ada"])
        .stranger("ada")
        .after_sync()
        .stranger("bob")
        .entry(person("bob", "Given", "bob"));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to adopt, 1 of them held

      = adopt      bob HELD  uid=bob,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: bob
          the user "bob" has no owner, and matches the person by login (users.adopt)

      1 change is held: an existing user would become the person's after the job's first contact; if the user is the person's, approve it: `plan --out FILE`, then `apply FILE`; users.adopt_always = true adopts without asking
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Held);
    let situation = situation.job("users = { adopt_always = true }");
    assert_eq!(situation.sync().counts.adopted, 1);
}

#[test]
fn nobody_gets_a_second_user_where_logins_are_mail_addresses() {
    let uids = ["ada", "bob", "cyd"];
    let situation = uids.iter().fold(Situation::of(&uids), |situation, uid| {
        let mut known = account(&format!("{uid}@studio.test"));
        known.email = Some(format!("{uid}@studio.test"));
        situation.account(known)
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 3 to create, 3 of them held

      + create     ada HELD  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
          email: ada@studio.test
          is_active: true
          the person is in the directory and has no user

      + create     bob HELD  uid=bob,ou=people,dc=studio,dc=test
          username: bob
          first_name: Given
          last_name: bob
          email: bob@studio.test
          is_active: true
          the person is in the directory and has no user

      + create     cyd HELD  uid=cyd,ou=people,dc=studio,dc=test
          username: cyd
          first_name: Given
          last_name: cyd
          email: cyd@studio.test
          is_active: true
          the person is in the directory and has no user

      3 changes are held: 3 of 3 people to be created have the mail addresses of ftrack users with other logins, and would get a second user ("ada" is "ada@studio.test", "bob" is "bob@studio.test", "cyd" is "cyd@studio.test"): set users.adopt = "email", with which they get the one they have, and look at `plan` again; or, if they should get a new one, approve it: `plan --out FILE`, then `apply FILE`
    "#);
    assert_eq!(situation.sync().outcome, Outcome::Held);
    let situation = situation.job("users = { adopt = \"email\" }");
    assert_eq!(situation.sync().counts.adopted, 3);
}

#[test]
fn nobody_gets_a_second_user_however_few_they_are() {
    let mut known = account("c.charisse");
    known.email = Some("CYD@studio.test".into());
    let situation = Situation::of(&["ada", "bob", "cyd"]).account(known);
    let plan = situation.plan_text();
    assert!(
        plan.starts_with("Plan for artists: 3 to create, 1 of them held"),
        "{plan}"
    );
    assert!(plan.contains("  + create     cyd HELD"), "{plan}");
    let held = plan.lines().find(|line| line.contains("second user"));
    assert_snapshot!(held.unwrap_or_default(), @r#"  1 change is held: 1 of 3 people to be created has the mail address of an ftrack user with another login, and would get a second user ("cyd" is "c.charisse"): set users.adopt = "email", with which they get the one they have, and look at `plan` again; or, if they should get a new one, approve it: `plan --out FILE`, then `apply FILE`"#);
    // Nor later: the others are created, and she waits.
    assert_eq!(situation.sync().outcome, Outcome::Held);
    let report = situation.sync();
    assert_eq!((report.counts.held, report.counts.unchanged), (1, 2));
    // Somebody who looked at it can give her a new user all the same.
    approve(&situation);
    assert_eq!(
        situation.user("cyd").email.as_deref(),
        Some("cyd@studio.test")
    );
    situation.sync_changes_nothing();
}

#[test]
fn an_address_that_is_a_colleagues_too_is_no_second_user() {
    let shared = |uid: &str| person(uid, "Given", uid).with("mail", "desk@studio.test");
    let mut known = account("bob");
    known.email = Some("desk@studio.test".into());
    let situation = Situation::of(&[])
        .entry(shared("ada"))
        .entry(shared("bob"))
        .account(known);
    let report = situation.sync();
    assert_eq!(
        (
            report.counts.created,
            report.counts.adopted,
            report.counts.held
        ),
        (1, 1, 0)
    );
}
