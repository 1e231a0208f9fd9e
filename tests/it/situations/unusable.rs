//! A reading with mostly unusable entries fails, writes nothing, and reports what they lack.

use ftrack_ldap_sync::{
    model::report::{Outcome, Report},
    run::text::{self, Extent},
};
use insta::assert_snapshot;

use super::Situation;
use crate::{rules::leave, studio::dn};

/// A sync fails for the reason that the plan has, and everybody stays active.
fn assert_fails(situation: &Situation, plan: &str) {
    let report: Report = situation.sync();
    assert_eq!(
        (
            report.outcome,
            report.changes.len(),
            report.ftrack.write_calls
        ),
        (Outcome::Failed, 0, 0),
        "{report:#?}"
    );
    let error = report.error.as_deref().unwrap();
    assert_eq!(plan, situation.plain(&format!("error: {error}\n")));
    assert!(situation.ftrack().users().iter().all(|user| user.is_active));
}

/// A synced studio, of whom one left.
fn after_one_left() -> Situation {
    Situation::synced(&["ada", "bob", "cyd"]).then(|studio| leave(studio, "cyd"))
}

#[test]
fn a_login_attribute_that_nobody_shows_fails_the_run_and_is_named() {
    let mut situation = after_one_left();
    let succeeded = situation.succeeded_runs();
    situation.attributes = "username = \"uidd\", email = \"mail\"".into();
    let plan = situation.plan_text();
    assert_snapshot!(plan, @"error: the directory could not be read completely, and nothing was written: ldap://directory: the directory's schema has no attribute uidd, and no entry shows it (did you mean uid?); write the attribute's name as the directory does");
    assert_fails(&situation, &plan);
    assert_eq!(situation.succeeded_runs(), succeeded);
}

#[test]
fn an_id_attribute_that_nobody_shows_fails_the_run() {
    let situation =
        after_one_left().config("[directories.studio]\nid_attribute = \"employeeNumber\"\n");
    let plan = situation.plan_text();
    assert_snapshot!(plan, @"error: 2 of 2 entries cannot be used, which is more than limits.unusable allows, so nothing was written: it shows no id attribute, so it cannot be identified (2 of them); check the job's attributes and id_attribute, and whether the bind account may read them");
    assert_fails(&situation, &plan);
}

#[test]
fn another_id_attribute_fails_the_run_and_names_the_one_by_which_people_are_known() {
    let situation = after_one_left()
        .then(|studio| {
            for (uid, number) in [("ada", "1"), ("bob", "2")] {
                let number = [number];
                studio
                    .tree()
                    .replace(&dn(uid), "employeeNumber", &number)
                    .unwrap();
            }
        })
        .config("[directories.studio]\nid_attribute = \"employeeNumber\"\n");
    let plan = situation.plan_text();
    assert_snapshot!(plan, @r#"error: 2 of 2 people have users that are identified by the id attribute entryUUID, and this reading uses employeeNumber, so nothing was written: set id_attribute = "entryUUID""#);
    assert_fails(&situation, &plan);
}

#[test]
fn the_limit_is_what_it_says() {
    let people = ["ada", "bob", "cyd", "dan"];
    let outcomes: String = [
        ("\"50%\"", 2),
        ("\"50%\"", 3),
        ("\"0%\"", 1),
        ("\"100%\"", 4),
        ("1", 1),
        ("1", 2),
        ("0", 0),
    ]
    .map(|(limit, left_out)| {
        let situation = Situation::of(&people)
            .job(&format!("limits.unusable = {limit}"))
            .then(|studio| {
                for uid in &people[..left_out] {
                    let mail = ["no address"];
                    studio.tree().replace(&dn(uid), "mail", &mail).unwrap();
                }
            });
        let report = situation.sync();
        let (outcome, created) = (report.outcome.as_str(), report.counts.created);
        format!("{limit}, {left_out} of 4 unusable: {outcome}, {created} created\n")
    })
    .concat();
    assert_snapshot!(outcomes, @r#"
    "50%", 2 of 4 unusable: succeeded, 2 created
    "50%", 3 of 4 unusable: failed, 0 created
    "0%", 1 of 4 unusable: failed, 0 created
    "100%", 4 of 4 unusable: succeeded, 0 created
    1, 1 of 4 unusable: succeeded, 3 created
    1, 2 of 4 unusable: failed, 0 created
    0, 0 of 4 unusable: succeeded, 4 created
    "#);
}

#[test]
fn where_most_people_claim_one_login_the_run_is_no_success() {
    let mut situation = Situation::synced(&["ada", "bob", "cyd"]);
    situation.attributes = "username = \"objectClass\"".into();
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do, 3 entries skipped

      3 entries skipped:
        uid=ada,ou=people,dc=studio,dc=test
          the username "inetOrgPerson" is also claimed by uid=bob,ou=people,dc=studio,dc=test and uid=cyd,ou=people,dc=studio,dc=test; none of them gets it
        uid=bob,ou=people,dc=studio,dc=test
          the username "inetOrgPerson" is also claimed by uid=ada,ou=people,dc=studio,dc=test and uid=cyd,ou=people,dc=studio,dc=test; none of them gets it
        uid=cyd,ou=people,dc=studio,dc=test
          the username "inetOrgPerson" is also claimed by uid=ada,ou=people,dc=studio,dc=test and uid=bob,ou=people,dc=studio,dc=test; none of them gets it

      Warnings:
        3 of 3 people are skipped because of their values, or because others have or ask for them; see the skipped entries, and check the job's attributes
    "#);
    let report = situation.sync();
    assert_eq!(
        (
            report.outcome,
            report.counts.unsettled,
            report.changes.len()
        ),
        (Outcome::Partial, 3, 0),
        "{report:#?}"
    );
    let text = text::report(&report, Extent::Whole);
    let why: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("decision"))
        .collect();
    assert_snapshot!(anstream::adapter::strip_str(&why.join("\n")), @"
      3 people need a decision: uid=ada,ou=people,dc=studio,dc=test; uid=bob,ou=people,dc=studio,dc=test; uid=cyd,ou=people,dc=studio,dc=test
    3 skipped (3 need a decision).
    ");
}
