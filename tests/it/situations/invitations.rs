//! Invitations of users that the program creates: each is sent once, or not at all, and then named.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault, Full},
    model::report::{Outcome, Report},
};
use insta::assert_snapshot;
use serde_json::json;

use super::Situation;
use crate::studio::person;

/// The call that asks for the first invitation: after the one that creates, and the one that writes
/// the links of users who are known to be active.
const ASKING: u64 = 3;

fn inviting(uids: &[&str]) -> Situation {
    Situation::of(uids).job("users = { invite = true }")
}

/// Who was invited, in the order in which ftrack was asked.
fn invited(situation: &Situation) -> Vec<String> {
    let users = situation.ftrack().users();
    let login = |id: &String| users.iter().find(|user| user.id == *id).unwrap();
    let applied = situation.ftrack().applied();
    let asked = applied
        .iter()
        .filter(|applied| applied.action == "send_user_invite");
    let mut asked: Vec<String> = asked
        .map(|asked| login(&asked.key[0]).username.clone())
        .collect();
    asked.sort();
    asked
}

/// What the user's link says of the invitation.
fn noted(situation: &Situation, login: &str) -> String {
    let link = &situation.user(login).metadata["ftrack-ldap-sync"];
    let link: serde_json::Value = serde_json::from_str(link).unwrap();
    link["invitation"].as_str().unwrap_or("nothing").to_owned()
}

fn told(report: &Report) -> String {
    let notes = report
        .changes
        .iter()
        .filter_map(|change| change.note.clone());
    let told: Vec<String> = report.warnings.iter().cloned().chain(notes).collect();
    told.join("\n")
}

#[test]
fn nobody_is_invited_unless_the_job_says_so() {
    let situation = Situation::of(&["ada"]).after_sync();
    assert!(invited(&situation).is_empty());
    assert_eq!(noted(&situation, "ada"), "nothing");
    // Who was created without an invitation gets none later either.
    let situation = situation.job("users = { invite = true }");
    situation.sync_changes_nothing();
    assert!(invited(&situation).is_empty());
}

#[test]
fn each_user_that_is_created_is_invited_once_and_nobody_who_is_adopted() {
    let situation = inviting(&["ada", "bob"]).stranger("bob");
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to create, 1 to adopt

      + create     ada  uid=ada,ou=people,dc=studio,dc=test
          username: ada
          first_name: Given
          last_name: ada
          email: ada@studio.test
          is_active: true
          invitation: true
          the person is in the directory and has no user

      = adopt      bob  uid=bob,ou=people,dc=studio,dc=test
          first_name: Given
          last_name: bob
          the user "bob" has no owner, and matches the person by login (users.adopt)
    "#);
    let report = situation.sync();
    assert_eq!(told(&report), "");
    assert_eq!(invited(&situation), ["ada"]);
    assert_eq!(noted(&situation, "ada"), "sent");
    assert_eq!(noted(&situation, "bob"), "nothing");
    situation.sync_changes_nothing();
    let situation = situation.entry(person("cyd", "C", "D")).after_sync();
    assert_eq!(invited(&situation), ["cyd"]);
    situation.sync_changes_nothing();
}

#[test]
fn who_has_no_seat_is_invited_once_there_is_one() {
    let situation = inviting(&["ada"]);
    situation.ftrack().change_rules(|rules| {
        rules.seats = Some(2);
        rules.full = Full::StoreInactive;
    });
    situation.sync();
    assert!(invited(&situation).is_empty());
    assert_eq!(noted(&situation, "ada"), "due");
    situation.ftrack().change_rules(|rules| rules.seats = None);
    situation.sync();
    assert_eq!(invited(&situation), ["ada"]);
    situation.sync_changes_nothing();
    assert!(invited(&situation).is_empty());
}

/// What is left of a fault of the call that asks for an invitation: what the report says, what the
/// link notes, and who was invited in this run and the next one.
fn after(fault: Fault) -> (Situation, Report) {
    let situation = inviting(&["ada"]);
    situation.ftrack().fail_when(move |call| {
        let asks = call.kind == CallKind::Write && call.number_of_kind == ASKING;
        asks.then(|| fault.clone())
    });
    let report = situation.sync();
    situation.ftrack().heal();
    assert_eq!(report.counts.created, 1);
    (situation, report)
}

#[test]
fn an_invitation_whose_answer_is_lost_is_not_sent_again() {
    for fault in [Fault::ResetAfter, Fault::CutBody, Fault::ErrorAfter] {
        let (situation, report) = after(fault.clone());
        assert_eq!(invited(&situation), ["ada"], "{fault:?}");
        assert!(told(&report).contains("ada"), "{report:#?}");
        situation.sync_changes_nothing();
        assert!(invited(&situation).is_empty(), "{fault:?}");
    }
    let (situation, report) = after(Fault::ResetAfter);
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!(noted(&situation, "ada"), "unknown");
    let told = told(&report);
    assert!(
        told.starts_with(
            "the invitation of ada: whether ftrack sent it is not known, and it is not asked again; ask \
             the user, or invite them in ftrack: "
        ),
        "{told}"
    );
}

#[test]
fn an_invitation_that_never_arrived_is_not_sent_again_either() {
    let (situation, report) = after(Fault::ResetBefore);
    assert!(told(&report).contains("ada"), "{report:#?}");
    situation.sync_changes_nothing();
    assert!(invited(&situation).is_empty());
}

#[test]
fn a_refused_invitation_is_named_once() {
    let situation = inviting(&["ada"]);
    situation.ftrack().change_rules(|rules| {
        rules.refused_actions.insert("send_user_invite".to_owned());
    });
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 1)
    );
    assert_snapshot!(situation.plain(&told(&report)), @"
    the invitation of ada: ftrack refused to send it; invite the user in ftrack: sending an invitation at http://ftrack failed: the server refused it: ValidationError: send_user_invite is refused by this workspace (a retry alone does not help)
    the invitation: ftrack refused to send it; invite the user in ftrack: sending an invitation at http://ftrack failed: the server refused it: ValidationError: send_user_invite is refused by this workspace (a retry alone does not help)
    ");
    assert_eq!(noted(&situation, "ada"), "refused");
    situation
        .ftrack()
        .change_rules(|rules| rules.refused_actions.clear());
    let report = situation.sync_changes_nothing();
    assert_eq!(told(&report), "");
    assert!(invited(&situation).is_empty());
}

#[test]
fn an_invitation_that_was_noted_by_a_run_that_was_killed_is_named_once_and_not_sent() {
    let situation = inviting(&["ada"]).after_sync();
    let user = situation.user("ada");
    let link = user.metadata["ftrack-ldap-sync"].replace("\"sent\"", "\"asked\"");
    let key = json!([user.id, "ftrack-ldap-sync"]);
    let asked = json!({"value": link});
    situation.ftrack().change("Metadata", &key, &asked).unwrap();
    situation.ftrack().forget();
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          the change that an earlier run began is complete

      Warnings:
        an earlier run ended while ftrack was asked for invitations: whether these users got one is not known, and none is sent again; ask them, or invite them in ftrack: ada
    ");
    let report = situation.sync();
    assert!(told(&report).contains("ada"), "{report:#?}");
    assert_eq!(noted(&situation, "ada"), "unknown");
    let report = situation.sync_changes_nothing();
    assert_eq!(told(&report), "");
    assert!(invited(&situation).is_empty());
}
