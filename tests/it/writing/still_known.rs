//! Values that ftrack stores otherwise than they are written stay known over runs that do not
//! compare them.

use super::otherwise::{known, storing};
use crate::{
    faults::NO_LIMIT,
    rules::{by_hand, come_back, leave},
    studio::{Studio, dn, person},
};
use ftrack_ldap_sync::{demo::ftrack::Stores, model::report::Report};
use serde_json::json;

const MAIL: &str = "Casey.Mixed@Studio.Test";
/// With a login that an entry may lack.
const ATTRIBUTES: &str = "username = \"employeeNumber\", email = \"mail\", last_name = \"sn\"";

/// A synced studio of several people; ftrack stores the mail address of one of them otherwise.
fn synced() -> Studio {
    let mut studio = Studio::with(storing(&[("email", Stores::LowerCase)]));
    studio.job = NO_LIMIT.into();
    studio.attributes = ATTRIBUTES.into();
    for uid in ["ada", "bob", "casey", "dan"] {
        let entry = person(uid, "Given", uid).with("employeeNumber", uid);
        studio.tree().add(entry).unwrap();
    }
    studio
        .tree()
        .replace(&dn("casey"), "mail", &[MAIL])
        .unwrap();
    assert_eq!(studio.sync().counts.created, 4);
    assert_eq!(known(&studio), 1);
    studio.sync_changes_nothing();
    studio
}

/// What a change sets of mail addresses.
fn writes_mail(report: &Report) -> bool {
    let mut changes = report.changes.iter();
    changes.any(|change| {
        let mut fields = change.fields.keys();
        fields.any(|field| field.name() == "email")
    })
}

/// The value stays known over a run under other circumstances, and is not written after them.
fn stays_known(what: &str, is_so: impl FnOnce(&mut Studio), is_over: impl FnOnce(&mut Studio)) {
    let mut studio = synced();
    is_so(&mut studio);
    let report = studio.sync();
    assert_eq!(known(&studio), 1, "{what}: {report:#?}");
    is_over(&mut studio);
    let report = studio.sync();
    assert!(!writes_mail(&report), "{what}: {report:#?}");
    studio.sync_changes_nothing();
    assert_eq!(known(&studio), 1, "{what}");
}

#[test]
fn while_the_entry_cannot_be_used() {
    let login = |studio: &mut Studio, values: &[&str]| {
        studio
            .tree()
            .replace(&dn("casey"), "employeeNumber", values)
            .unwrap();
    };
    stays_known(
        "without a login",
        |studio| login(studio, &[]),
        |studio| login(studio, &["casey"]),
    );
    stays_known(
        "with a login that somebody has",
        |studio| login(studio, &["ada"]),
        |studio| login(studio, &["casey"]),
    );
}

#[test]
fn while_the_person_is_away() {
    stays_known(
        "deactivated",
        |studio| leave(studio, "casey"),
        |studio| come_back(studio, "casey"),
    );
}

#[test]
fn while_the_entry_has_no_value() {
    let mail = |studio: &mut Studio, values: &[&str]| {
        studio.tree().replace(&dn("casey"), "mail", values).unwrap();
    };
    stays_known(
        "kept at ftrack",
        |studio| mail(studio, &[]),
        |studio| mail(studio, &[MAIL]),
    );
}

#[test]
fn while_nothing_is_updated() {
    stays_known(
        "no updates",
        |studio| studio.job.push_str("\nusers.update = false\n"),
        |studio| studio.job = NO_LIMIT.into(),
    );
}

#[test]
fn while_the_attribute_is_not_mapped() {
    stays_known(
        "not mapped",
        |studio| studio.attributes = "username = \"employeeNumber\"".into(),
        |studio| studio.attributes = ATTRIBUTES.into(),
    );
}

#[test]
fn while_another_value_is_held() {
    let mail = |studio: &mut Studio, value: &str| {
        studio
            .tree()
            .replace(&dn("casey"), "mail", &[value])
            .unwrap();
    };
    stays_known(
        "held",
        |studio| {
            crate::rules::make_administrator(studio, "casey");
            mail(studio, "Another@Studio.Test");
        },
        |studio| mail(studio, MAIL),
    );
}

#[test]
fn until_ftrack_has_another_value() {
    let studio = synced();
    studio.ftrack().change_rules(|rules| rules.stores.clear());
    by_hand(&studio, "casey", &json!({"email": MAIL}));
    studio.sync_changes_nothing();
    assert_eq!(known(&studio), 0);
}
