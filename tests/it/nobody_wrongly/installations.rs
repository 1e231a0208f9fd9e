//! Several directories with one job name in one ftrack, and a directory whose id has changed.

use ftrack_ldap_sync::model::{
    change::{Action, HeldBy},
    report::{Outcome, Report},
};
use serde_json::json;

use super::{forge_link, holds, make_links_earlier, many, of, slapd, stored_link};
use crate::{
    rules::{add_config, approve, leave, logins},
    slapd::{Setup, ldif_entry},
    studio::{Studio, dn, person},
};

/// Another office: a studio with a directory and a state of its own, and the ftrack of the first.
pub(super) fn office<'a>(first: &Studio, uids: impl IntoIterator<Item = &'a str>) -> Studio {
    let office = Studio::empty();
    for uid in uids {
        office.tree().add(person(uid, "Given", uid)).unwrap();
    }
    add_config(
        &office,
        &format!("[ftrack]\nserver = {:?}\n", first.ftrack_url()),
    );
    office
}

/// One sync of an office; what is written is seen at the first one's ftrack.
fn sync(office: &Studio) -> Report {
    office.sync()
}

#[test]
fn two_offices_with_one_job_name_leave_each_other_alone() {
    let first = of(&many(30));
    let second = office(&first, ["ada", "bob", "cyd", "dan", "eve"]);
    first.sync();
    assert_eq!(sync(&second).counts.created, 5);
    for _ in 0..2 {
        let report = first.sync_changes_nothing();
        assert_eq!(
            (report.ftrack.owned, report.counts.held),
            (30, 0),
            "{report:#?}"
        );
        assert!(
            report
                .warnings
                .iter()
                .any(|warning| warning.contains("5 users have links of this job's source")),
            "{report:#?}"
        );
        let report = sync(&second);
        assert_eq!(
            (report.outcome, report.ftrack.owned, report.changes.len()),
            (Outcome::Succeeded, 5, 0),
            "{report:#?}"
        );
    }
    leave(&second, "ada");
    assert_eq!(logins(&sync(&second), Action::Deactivate), ["ada"]);
    assert!(
        first
            .ftrack()
            .users()
            .iter()
            .filter(|user| !user.is_active)
            .map(|user| &user.username)
            .eq(["ada"])
    );
}

#[test]
fn links_of_before_are_carried_over_by_whoever_shows_the_person() {
    let first = Studio::of(&["user1", "user2", "user3"]);
    let second = office(&first, ["ada", "bob"]);
    first.sync();
    sync(&second);
    make_links_earlier(&first);
    // Both think that all five are theirs, by links that say nothing of a directory.
    let report = first.sync();
    assert_eq!(
        (report.counts.updated, report.counts.deactivated),
        (3, 0),
        "{report:#?}"
    );
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("ada", HeldBy::Doubt), ("bob", HeldBy::Doubt)],
        "{report:#?}"
    );
    let report = sync(&second);
    assert_eq!(
        (report.outcome, report.counts.updated),
        (Outcome::Succeeded, 2),
        "{report:#?}"
    );
    first.sync_changes_nothing();
    assert!(first.ftrack().users().iter().all(|user| user.is_active));
}

#[test]
fn a_directory_that_is_called_otherwise_is_held_for_a_person_while_its_people_are_the_same() {
    let before = slapd(
        "d1d1d1d1-0000-4000-8000-000000000001",
        &["ada", "bob", "cyd", "dan"],
    );
    let mut studio = Studio::empty();
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.directory_url = before.url().to_string();
    studio.sync();
    // Loaded anew from an export: the people keep their ids, and the root does not.
    let after = slapd(
        "d2d2d2d2-0000-4000-8000-000000000002",
        &["ada", "bob", "cyd"],
    );
    studio.directory_url = after.url().to_string();
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(
            (
                report.outcome,
                report.ftrack.write_calls,
                report.counts.held
            ),
            (Outcome::Held, 0, 4),
            "{report:#?}"
        );
        assert!(
            report
                .changes
                .iter()
                .all(|change| change.held_by == Some(HeldBy::Configuration)),
            "{report:#?}"
        );
    }
    let report = approve(&studio);
    assert_eq!(
        (report.counts.updated, report.counts.deactivated),
        (3, 1),
        "{report:#?}"
    );
    assert_eq!(
        stored_link(&studio, "ada")["directory"],
        "d2d2d2d2-0000-4000-8000-000000000002"
    );
    studio.sync();
    studio.sync_changes_nothing();
}

#[test]
fn another_directory_with_other_people_fails_the_run() {
    let before = slapd(
        "d1d1d1d1-0000-4000-8000-000000000001",
        &["ada", "bob", "cyd"],
    );
    let mut studio = Studio::empty();
    studio.job = "limits.deactivate = \"100%\"".into();
    studio.directory_url = before.url().to_string();
    studio.sync();
    let other = Studio::of(&["xen", "yan"]);
    studio.directory_url = other.directory_url.clone();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0),
        "{report:#?}"
    );
    assert!(
        report
            .error
            .as_ref()
            .unwrap()
            .contains("the directory is not the same as before"),
        "{report:#?}"
    );
    // Also for a plan, and also where the state was lost and the logins are the same.
    assert_eq!(studio.plan(&[]).unwrap_err(), report.error.unwrap());
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    let same_logins = Studio::of(&["ada", "bob", "cyd"]);
    studio.directory_url = same_logins.directory_url.clone();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0),
        "{report:#?}"
    );
    assert!(
        report
            .error
            .as_ref()
            .unwrap()
            .contains("from another directory"),
        "{report:#?}"
    );
}

#[test]
fn where_the_directory_cannot_be_told_nobody_is_deactivated() {
    let people = |uids: &[&str]| -> String {
        uids.iter()
            .map(|uid| {
                ldif_entry(
                    &dn(uid),
                    &[
                        ("objectClass", "inetOrgPerson"),
                        ("uid", uid),
                        ("cn", uid),
                        ("sn", uid),
                    ],
                )
            })
            .collect()
    };
    let hidden = Setup::new(people(&["ada", "bob", "cyd"]))
        .access("access to dn.exact=\"dc=studio,dc=test\" by * none")
        .start();
    let mut studio = Studio::empty();
    studio.directory_url = hidden.url().to_string();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 3),
        "{report:#?}"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("naming context's own entry cannot be read")),
        "{report:#?}"
    );
    assert!(stored_link(&studio, "ada").get("directory").is_none());
    studio.sync_changes_nothing();
    hidden.change(&format!("dn: {}\nchangetype: delete\n", dn("ada")));
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("ada", HeldBy::Doubt)],
        "{report:#?}"
    );
    // Named by the operator, the directory is known: links are completed, and whoever left before
    // that waits for a person.
    add_config(&studio, "[directories.studio]\nid = \"headquarters\"\n");
    let report = studio.sync();
    assert_eq!(report.counts.updated, 2, "{report:#?}");
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("ada", HeldBy::Doubt)],
        "{report:#?}"
    );
    assert_eq!(stored_link(&studio, "bob")["directory"], "headquarters");
    assert_eq!(approve(&studio).counts.deactivated, 1);
    hidden.change(&format!("dn: {}\nchangetype: delete\n", dn("bob")));
    studio.job = "limits.deactivate = 2".into();
    assert_eq!(logins(&studio.sync(), Action::Deactivate), ["bob"]);
    assert!(!studio.user("bob").is_active);
}

#[test]
fn a_link_of_a_newer_version_is_left_alone_and_named() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    let mut link = stored_link(&studio, "ada");
    link["version"] = json!(3);
    forge_link(&studio, "ada", &link);
    leave(&studio, "ada");
    let report = studio.sync_changes_nothing();
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("\"ada\" cannot be read")),
        "{report:#?}"
    );
    assert!(studio.user("ada").is_active);
}
