//! Somebody whom the program deactivated is back, with an entry that has another id: the former user
//! is proposed, and never given without a person's approval.

use ftrack_ldap_sync::model::{
    change::{Action, HeldBy},
    report::{Outcome, Report},
};
use insta::assert_snapshot;
use serde_json::json;

use super::{
    Situation,
    jobs::{beside, sync},
};
use crate::{
    rules::{by_hand, decide, leave, logins},
    studio::{Studio, dn, person},
};

/// A studio of ada and bob.
fn both() -> Situation {
    Situation::of(&["ada", "bob"]).job("limits = { deactivate = \"100%\" }")
}

/// The same after a sync, when ada left and was deactivated.
fn without_ada(situation: Situation) -> Situation {
    let situation = situation.after_sync().then(|studio| leave(studio, "ada"));
    assert_eq!(logins(&situation.sync(), Action::Deactivate), ["ada"]);
    situation
}

/// Adds somebody, with a new id.
fn arrives(studio: &Studio, uid: &str, mail: &str) {
    studio.tree().add(person(uid, "Given", uid)).unwrap();
    studio.tree().replace(&dn(uid), "mail", &[mail]).unwrap();
}

/// Gives an entry the employee number of all of them.
fn has_number(studio: &Studio, uid: &str) {
    let number = studio.tree().replace(&dn(uid), "employeeNumber", &["4711"]);
    number.unwrap();
}

/// What is held, and by what.
fn held(report: &Report) -> Vec<(Action, &str, HeldBy)> {
    let changes = report.changes.iter();
    changes
        .filter_map(|change| Some((change.action, &*change.username, change.held_by?)))
        .collect()
}

#[test]
fn who_is_back_gets_the_former_user_once_that_is_approved() {
    let situation = without_ada(both());
    let former = situation.user("ada").id;
    arrives(&situation, "ada", "ada@studio.test");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to reactivate, 1 of them held

      ^ reactivate ada HELD  uid=ada,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]

      1 change is held: the new entry "uid=ada,ou=people,dc=studio,dc=test" has the login of the user "ada", which this program deactivated when the entry with the directory id [id] left. If it is the same person, who is back, approve this, and the user is theirs again; if it is another person, reject it, and they get a user of their own, once you renamed that user in ftrack, which frees the login
    "#);
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Held);
    assert_eq!(
        held(&report),
        [(Action::Reactivate, "ada", HeldBy::Returner)]
    );
    // It is held for as long as nobody decides.
    let again = situation.sync();
    assert_eq!((again.counts.held, again.ftrack.write_calls), (1, 0));
    decide(&situation, &report, "approve");
    assert_eq!(situation.user("ada").id, former);
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn who_is_somebody_else_gets_a_user_of_their_own_once_that_is_rejected() {
    let situation = without_ada(both());
    arrives(&situation, "ada", "ada@studio.test");
    let report = situation.sync();
    decide(&situation, &report, "reject");
    // The login is still the former user's.
    let report = situation.sync();
    assert_eq!(
        (report.counts.unsettled, report.outcome),
        (1, Outcome::Partial)
    );
    assert_eq!(situation.sync().counts.unsettled, 1);
    by_hand(&situation, "ada", &json!({ "username": "ada.former" }));
    let report = situation.sync();
    assert_eq!(logins(&report, Action::Create), ["ada"]);
    assert_snapshot!(situation.users(), @r#"
    ada.former: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    // The link says no more what was rejected.
    situation.sync();
    situation.sync_changes_nothing();
}

#[test]
fn what_was_rejected_of_one_person_is_not_of_the_next() {
    let situation = without_ada(both());
    arrives(&situation, "ada", "ada@studio.test");
    let report = situation.sync();
    decide(&situation, &report, "reject");
    // Somebody else comes in their place, to whom the same user is proposed with the same values.
    situation.tree().remove(&dn("ada")).unwrap();
    arrives(&situation, "ada", "ada@studio.test");
    let report = situation.sync();
    let proposed = (Action::Reactivate, "ada", HeldBy::Returner);
    assert_eq!(held(&report), [proposed]);
    assert_eq!(report.counts.rejected, 0);
    decide(&situation, &report, "approve");
    assert!(situation.user("ada").is_active);
    situation.sync_changes_nothing();
}

#[test]
fn the_same_mail_address_is_enough() {
    let situation = without_ada(both());
    arrives(&situation, "ada.lovelace", "Ada@studio.test");
    let report = situation.sync();
    let proposed = (Action::Reactivate, "ada.lovelace", HeldBy::Returner);
    assert_eq!(held(&report), [proposed]);
    decide(&situation, &report, "approve");
    assert_snapshot!(situation.users(), @r#"
    ada.lovelace: active, "Given" "ada.lovelace" <Ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn the_same_employee_number_counts_before_the_login() {
    let numbered = "[jobs.artists.attributes]\n\
        \"custom_attributes.employee_number\" = \"employeeNumber\"\n";
    let numbered = both().config(numbered).then(|studio| {
        let attribute = studio
            .ftrack()
            .add_custom_attribute("employee_number", "text");
        attribute.unwrap();
        has_number(studio, "ada");
    });
    let situation = without_ada(numbered);
    arrives(&situation, "al", "al@studio.test");
    has_number(&situation, "al");
    let report = situation.sync();
    let proposed = (Action::Reactivate, "al", HeldBy::Returner);
    assert_eq!(held(&report), [proposed]);
}

#[test]
fn where_several_may_be_meant_the_new_user_waits() {
    let situation = without_ada(both());
    arrives(&situation, "ann", "ada@studio.test");
    arrives(&situation, "amy", "ada@studio.test");
    let report = situation.sync();
    let mut all = held(&report);
    all.sort_by_key(|(_, login, _)| *login);
    let waits = |login| (Action::Create, login, HeldBy::Returner);
    assert_eq!(all, [waits("amy"), waits("ann")]);
    decide(&situation, &report, "approve");
    assert!(situation.user("amy").is_active);
    situation.sync_changes_nothing();
}

#[test]
fn the_former_user_of_another_job_is_not_given_away() {
    let guests = "(employeeType=guest)";
    let mut situation = beside(&["ada", "bob"], "studio", "dc=studio,dc=test", guests)
        .job("limits = { deactivate = \"100%\" }");
    situation.filter = format!("(&(objectClass=inetOrgPerson)(!{guests}))");
    sync(&situation, "artists");
    leave(&situation, "ada");
    sync(&situation, "artists");
    let guest = person("guest", "Given", "ada")
        .with("employeeType", "guest")
        .with("mail", "ada@studio.test");
    let situation = situation.entry(guest);
    let report = sync(&situation, "others");
    assert_eq!(held(&report), [(Action::Create, "guest", HeldBy::Returner)]);
    decide(&situation, &report, "approve");
    assert!(situation.user("guest").is_active);
}

#[test]
fn whoever_is_there_is_nobodys_former_self() {
    // Bob was deactivated, since his account is disabled; he is still in the directory.
    let situation = Situation::of(&["ada", "bob"])
        .job("disabled = \"(employeeType=locked)\"\nlimits = { deactivate = \"100%\" }")
        .after_sync();
    let locked = ["locked"];
    situation
        .tree()
        .replace(&dn("bob"), "employeeType", &locked)
        .unwrap();
    assert_eq!(logins(&situation.sync(), Action::Deactivate), ["bob"]);
    arrives(&situation, "bo", "bob@studio.test");
    assert_eq!(logins(&situation.sync(), Action::Create), ["bo"]);
}
