//! Mail addresses that are missing, or those of several people: said once, and nothing else changes.

use ftrack_ldap_sync::model::report::Outcome;

use super::Situation;
use crate::studio::{Studio, dn};

fn mail(studio: &Studio, uid: &str, values: &[&str]) {
    studio.tree().replace(&dn(uid), "mail", values).unwrap();
}

fn without(counted: &str, logins: &str) -> String {
    format!(
        "{counted} people have no mail address in the directory, so ftrack gets none from it: {logins}"
    )
}

#[test]
fn who_has_no_mail_address_is_named_in_every_run() {
    let situation = Situation::of(&["ada", "bob", "cyd"]).then(|studio| mail(studio, "bob", &[]));
    for _ in 0..2 {
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Succeeded);
        assert_eq!(report.warnings, [without("1 of 3", "bob")]);
    }
    let text = situation.plan_text();
    assert!(text.contains(&without("1 of 3", "bob")), "{text}");
    let situation = situation.then(|studio| {
        mail(studio, "bob", &["bob@studio.test"]);
        mail(studio, "cyd", &[]);
        studio.tree().remove(&dn("cyd")).unwrap();
    });
    assert_eq!(situation.sync().warnings, [""; 0]);
}

#[test]
fn of_many_without_a_mail_address_a_few_are_named() {
    let uids: Vec<String> = (0..12).map(|number| format!("p{number:02}")).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let situation = Situation::of(&uids).then(|studio| {
        for uid in uids.iter().skip(2) {
            mail(studio, uid, &[]);
        }
    });
    let named = "p02, p03, p04, p05, p06, p07, p08, p09, and 2 more";
    assert_eq!(situation.sync().warnings, [without("10 of 12", named)]);
}

#[test]
fn where_nobody_has_one_that_is_said_of_the_mapping_alone() {
    let situation = Situation::of(&["ada", "bob"]).then(|studio| {
        mail(studio, "ada", &[]);
        mail(studio, "bob", &[]);
    });
    let warnings = situation.sync().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let of_mapping = "nobody has a value for attributes.email";
    assert!(warnings[0].starts_with(of_mapping), "{warnings:?}");
}

#[test]
fn one_mail_address_of_several_people_is_named_with_them() {
    let situation = Situation::of(&["ada", "bob", "cyd", "dan", "eva", "fay"]).then(|studio| {
        for (uid, address) in [("bob", "Ops@studio.test"), ("ada", "ops@studio.test")] {
            mail(studio, uid, &[address]);
        }
    });
    let one = "1 mail address is that of several people, whose users all get it: ops@studio.test \
               (ada, bob)";
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 6)
    );
    assert_eq!(report.warnings, [one]);
    let situation = situation.then(|studio| {
        for uid in ["cyd", "dan", "eva", "fay"] {
            mail(studio, uid, &["edit@studio.test"]);
        }
    });
    let two = "2 mail addresses are those of several people, whose users all get it: \
               edit@studio.test (cyd, dan, eva, and 1 more), ops@studio.test (ada, bob)";
    assert_eq!(situation.sync().warnings, [two]);
    // Whoever gets no user, or loses it, has none of them.
    let situation = situation
        .job("users = { protect = [\"bob\"] }")
        .then(|studio| {
            for uid in ["eva", "fay", "dan"] {
                studio.tree().remove(&dn(uid)).unwrap();
            }
        });
    let warnings = situation.sync().warnings;
    assert!(
        warnings
            .iter()
            .all(|warning| !warning.contains("edit@studio.test")),
        "{warnings:?}"
    );
}
