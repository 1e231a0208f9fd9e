//! What a sync does, situation by situation, with the real program between a directory and an ftrack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ftrack_ldap_sync::run::report::Outcome;

use crate::studio::{Studio, dn, person};

#[test]
fn people_become_users_and_a_second_run_changes_nothing() {
    let studio = Studio::of(&["ada", "bob"]);
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(report.counts.created, 2);
    let ada = studio.user("ada");
    assert_eq!(
        (ada.first_name.as_deref(), ada.last_name.as_deref(), ada.email.as_deref()),
        (Some("Given"), Some("ada"), Some("ada@studio.test"))
    );
    assert!(ada.is_active);
    studio.sync_changes_nothing();
}

#[test]
fn a_leaver_is_deactivated_and_reactivated_when_back() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    let bob = studio.user("bob");
    let entry = studio.tree().find(&dn("bob")).unwrap();
    studio.tree().remove(&dn("bob")).unwrap();
    let report = studio.sync();
    assert_eq!((report.counts.deactivated, report.outcome), (1, Outcome::Succeeded), "{report:#?}");
    assert!(!studio.user("bob").is_active);
    studio.sync_changes_nothing();
    drop(entry);
    drop(bob);
}

#[test]
fn a_rename_is_one_update_of_one_user() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    let before = studio.user("ada");
    studio.tree().replace(&dn("ada"), "mail", &["ada@elsewhere.test"]).unwrap();
    studio.tree().rename(&dn("ada"), &dn("adele")).unwrap();
    let report = studio.sync();
    assert_eq!((report.counts.updated, report.changes.len()), (1, 1), "{report:#?}");
    assert_eq!(studio.user("adele").id, before.id);
    studio.sync_changes_nothing();
}

#[test]
fn one_bad_entry_is_named_and_stops_nobody_else() {
    let studio = Studio::of(&["ada"]);
    let mut nobody = person("x", "No", "Login");
    nobody.dn = "cn=nobody,ou=people,dc=studio,dc=test".into();
    nobody.attributes.retain(|(name, _)| name != "uid");
    studio.tree().add(nobody).unwrap();
    let report = studio.sync();
    assert_eq!((report.counts.created, report.counts.skipped), (1, 1));
    assert_eq!(report.skipped[0].reason, "it has no uid, which is required");
}

#[test]
fn a_template_that_can_never_work_stops_the_run_before_it_begins() {
    let mut studio = Studio::of(&["ada"]);
    studio.attributes = "username = \"uid\", full_name = \"{{ cn | lowre }}\"".into();
    let ended = studio.run(&["sync"]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("jobs.artists.attributes.full_name") && ended.stderr.contains("lowre"), "{}", ended.stderr);
}
