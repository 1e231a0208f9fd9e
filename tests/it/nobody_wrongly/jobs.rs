//! Several jobs: one person has one user, and one owner, over all sources.

use ftrack_ldap_sync::model::{
    change::{Action, HeldBy},
    report::{Outcome, Report},
};
use serde_json::json;

use super::{add_unit, holds, person_in, stored_link, unit};
use crate::{
    rules::{add_config, approve, by_hand, logins},
    studio::{Studio, dn, person},
};

/// Two jobs on one directory: artists in the people's unit, and another with these bases and
/// filter, on a table of its own or the same.
fn beside(studio: &Studio, table: &str, bases: &str, filter: &str) {
    let url = &studio.directory_url;
    let own_table = match table {
        "studio" => String::new(),
        other => format!(
            "[directories.{other}]\nurls = [{url:?}]\nbind_dn = \
             \"cn=ldap-sync,ou=services,dc=studio,dc=test\"\nbind_password_file = \
             \"ldap-password\"\n"
        ),
    };
    add_config(
        studio,
        &format!(
            "{own_table}[jobs.others]\ndirectory = \"{table}\"\nsearch_bases = \
             [\"{bases}\"]\nfilter = \"{filter}\"\nattributes = {{ username = \"uid\", email = \
             \"mail\", first_name = \"givenName\", last_name = \"sn\" }}\nlimits = {{ min_entries \
             = 0, deactivate = \"100%\" }}\n"
        ),
    );
}

fn sync(studio: &Studio, job: &str) -> Report {
    studio.synced(&["sync", job, "--format", "json"])
}

/// One user for each person, and each of them active or not as is said.
fn assert_users(studio: &Studio, expected: &[(&str, bool)]) {
    let users = studio.ftrack().users();
    let linked = users
        .iter()
        .filter(|user| user.metadata.contains_key("ftrack-ldap-sync"));
    let mut shown: Vec<(&str, bool)> = linked
        .map(|user| (user.username.as_str(), user.is_active))
        .collect();
    shown.sort_unstable();
    assert_eq!(shown, expected);
}

fn assert_nothing_to_do(studio: &Studio) {
    for job in ["artists", "others"] {
        let report = sync(studio, job);
        assert_eq!(
            (
                report.outcome,
                report.changes.len(),
                report.ftrack.write_calls
            ),
            (Outcome::Succeeded, 0, 0),
            "{report:#?}"
        );
    }
}

#[test]
fn overlapping_jobs_and_a_rename_make_no_second_user() {
    for table in ["studio", "again"] {
        let studio = Studio::of(&["ada", "bob"]);
        beside(
            &studio,
            table,
            "dc=studio,dc=test",
            "(objectClass=inetOrgPerson)",
        );
        assert_eq!(sync(&studio, "artists").counts.created, 2);
        studio.tree().rename(&dn("bob"), &dn("robert")).unwrap();
        let report = sync(&studio, "others");
        assert_eq!(
            (report.changes.len(), report.counts.skipped),
            (0, 0),
            "{report:#?}"
        );
        assert!(
            report
                .warnings
                .iter()
                .any(|warning| warning.contains("2 of these people")
                    && warning.contains("\"artists\"")),
            "{report:#?}"
        );
        assert_users(&studio, &[("ada", true), ("bob", true)]);
        assert_eq!(
            logins(&sync(&studio, "artists"), Action::Update),
            ["robert"]
        );
        assert_users(&studio, &[("ada", true), ("robert", true)]);
        assert_nothing_to_do(&studio);
    }
}

#[test]
fn a_job_that_was_renamed_with_a_person_that_was_makes_no_second_user() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    add_config(&studio, "[jobs.artists]\nsource = \"painters\"\n");
    studio.tree().rename(&dn("bob"), &dn("robert")).unwrap();
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
            .contains("3 of 3 people have users that belong to the source \"artists\""),
        "{report:#?}"
    );
    assert_users(&studio, &[("ada", true), ("bob", true), ("cyd", true)]);
}

#[test]
fn a_few_people_of_a_source_that_no_job_has_are_handed_over_by_a_person() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    beside(
        &studio,
        "studio",
        &unit("london"),
        "(objectClass=inetOrgPerson)",
    );
    add_unit(&studio, "london");
    studio.tree().add(person_in("london", "lou")).unwrap();
    sync(&studio, "artists");
    sync(&studio, "others");
    // The job goes, its people come to the other one's, and one of them is renamed.
    std::fs::remove_dir_all(studio.folder().join("config.d")).unwrap();
    studio
        .tree()
        .rename("uid=lou,ou=london,dc=studio,dc=test", &dn("louise"))
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Update),
        [("louise", HeldBy::Configuration)],
        "{report:#?}"
    );
    assert!(
        report.changes[0]
            .error
            .as_ref()
            .unwrap()
            .contains("the source \"others\""),
        "{report:#?}"
    );
    assert_eq!(approve(&studio).counts.updated, 1);
    assert_eq!(stored_link(&studio, "louise")["source"], "artists");
    studio.sync_changes_nothing();
}

#[test]
fn who_moves_from_one_jobs_bases_to_anothers_is_never_locked_out() {
    for (table, first) in [
        ("studio", "artists"),
        ("studio", "others"),
        ("again", "artists"),
        ("again", "others"),
    ] {
        let studio = Studio::of(&["ada", "bob"]);
        beside(
            &studio,
            table,
            &unit("london"),
            "(objectClass=inetOrgPerson)",
        );
        add_unit(&studio, "london");
        studio.tree().add(person_in("london", "lou")).unwrap();
        sync(&studio, "artists");
        sync(&studio, "others");
        let before = studio.user("bob").id;
        studio
            .tree()
            .rename(&dn("bob"), "uid=robert,ou=london,dc=studio,dc=test")
            .unwrap();
        let second = if first == "artists" {
            "others"
        } else {
            "artists"
        };
        for job in [first, second, first, second] {
            let report = sync(&studio, job);
            assert_eq!(
                report.counts.deactivated + report.counts.held + report.counts.created,
                0,
                "{table} {first} {job}: {report:#?}"
            );
        }
        assert_users(&studio, &[("ada", true), ("lou", true), ("robert", true)]);
        assert_eq!(studio.user("robert").id, before, "with its history");
        assert_eq!(stored_link(&studio, "robert")["source"], "others");
        assert_nothing_to_do(&studio);
    }
}

#[test]
fn who_moves_keeps_the_activity_that_a_person_gave() {
    let studio = Studio::of(&["ada", "bob"]);
    beside(
        &studio,
        "studio",
        &unit("london"),
        "(objectClass=inetOrgPerson)",
    );
    add_unit(&studio, "london");
    sync(&studio, "artists");
    by_hand(&studio, "bob", &json!({"is_active": false}));
    studio
        .tree()
        .rename(&dn("bob"), "uid=bob,ou=london,dc=studio,dc=test")
        .unwrap();
    let report = sync(&studio, "others");
    assert_eq!(
        (report.counts.updated, report.counts.reactivated),
        (1, 0),
        "{report:#?}"
    );
    assert!(
        !studio.user("bob").is_active,
        "deactivated by hand, it stays so"
    );
    assert_nothing_to_do(&studio);
}

#[test]
fn who_moves_to_where_no_job_has_them_in_scope_is_gone() {
    let studio = Studio::of(&["ada", "bob"]);
    beside(
        &studio,
        "studio",
        &unit("london"),
        "(&(objectClass=inetOrgPerson)(departmentNumber=*))",
    );
    add_unit(&studio, "london");
    sync(&studio, "artists");
    studio
        .tree()
        .rename(&dn("bob"), "uid=bob,ou=london,dc=studio,dc=test")
        .unwrap();
    assert_eq!(
        logins(&sync(&studio, "artists"), Action::Deactivate),
        ["bob"]
    );
    assert!(!studio.user("bob").is_active);
    // Once the other job has the person in scope, it takes the user over, and lets the person in.
    studio
        .tree()
        .replace(
            "uid=bob,ou=london,dc=studio,dc=test",
            "departmentNumber",
            &["7"],
        )
        .unwrap();
    let report = sync(&studio, "others");
    assert_eq!(logins(&report, Action::Reactivate), ["bob"], "{report:#?}");
    assert_nothing_to_do(&studio);
}

#[test]
fn a_locked_person_stays_out_whichever_job_runs() {
    let studio = Studio::of(&["ada", "bob"]);
    beside(
        &studio,
        "studio",
        "dc=studio,dc=test",
        "(objectClass=inetOrgPerson)",
    );
    let more = std::fs::read_to_string(studio.folder().join("config.d/more.toml")).unwrap();
    add_config(
        &studio,
        &format!(
            "{more}[jobs.artists]\nfilter = \
             \"(&(objectClass=inetOrgPerson)(!(employeeType=locked)))\"\n"
        ),
    );
    sync(&studio, "artists");
    studio
        .tree()
        .replace(&dn("bob"), "employeeType", &["locked"])
        .unwrap();
    for _ in 0..3 {
        for job in ["artists", "others"] {
            let report = sync(&studio, job);
            assert_eq!(
                report.counts.reactivated + report.counts.created,
                0,
                "{report:#?}"
            );
        }
    }
    assert_users(&studio, &[("ada", true), ("bob", false)]);
    studio
        .tree()
        .replace(&dn("bob"), "employeeType", &[])
        .unwrap();
    assert_eq!(
        logins(&sync(&studio, "artists"), Action::Reactivate),
        ["bob"]
    );
    studio.tree().add(person("new", "New", "Face")).unwrap();
    assert_eq!(
        sync(&studio, "others").counts.created,
        1,
        "whom nobody owns the first job takes that sees them"
    );
    assert_nothing_to_do(&studio);
}
