//! A reading with mostly unusable entries fails, writes nothing, and reports what they lack.

use ftrack_ldap_sync::model::report::{Outcome, Report};

use crate::{
    rules::{add_config, leave},
    studio::{Studio, dn},
};

fn assert_failed(studio: &Studio, report: &Report, said: &[&str]) {
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
    for said in said {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert!(studio.ftrack().users().iter().all(|user| user.is_active));
    let plan = studio.run(&["plan"]);
    assert_eq!(plan.status, 1, "{}", plan.stdout);
}

#[test]
fn a_login_attribute_that_nobody_shows_fails_the_run_and_is_named() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    let succeeded = studio.run(&["runs", "--format", "json"]).stdout;
    leave(&studio, "cyd");
    studio.attributes = "username = \"uidd\", email = \"mail\"".into();
    assert_failed(
        &studio,
        &studio.sync(),
        &["2 of 2 entries cannot be used", "limits.unusable", "uidd"],
    );
    let runs = studio.run(&["runs", "--format", "json"]).stdout;
    assert_eq!(
        runs.matches("succeeded").count(),
        succeeded.matches("succeeded").count()
    );
}

#[test]
fn an_id_attribute_that_nobody_shows_fails_the_run() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    leave(&studio, "cyd");
    add_config(
        &studio,
        "[directories.studio]\nid_attribute = \"employeeNumber\"\n",
    );
    assert_failed(
        &studio,
        &studio.sync(),
        &[
            "2 of 2 entries cannot be used",
            "it shows no id attribute",
            "(2 of them)",
        ],
    );
}

#[test]
fn another_id_attribute_fails_the_run_and_names_the_one_by_which_people_are_known() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    leave(&studio, "cyd");
    for (uid, number) in [("ada", "1"), ("bob", "2")] {
        studio
            .tree()
            .replace(&dn(uid), "employeeNumber", &[number])
            .unwrap();
    }
    add_config(
        &studio,
        "[directories.studio]\nid_attribute = \"employeeNumber\"\n",
    );
    assert_failed(
        &studio,
        &studio.sync(),
        &[
            "2 of 2 people",
            "identified by the id attribute entryUUID",
            "set id_attribute",
        ],
    );
}

#[test]
fn the_limit_is_what_it_says() {
    for (limit, left_out, failed) in [
        ("\"50%\"", 2, false),
        ("\"50%\"", 3, true),
        ("\"0%\"", 1, true),
        ("\"100%\"", 4, false),
        ("1", 1, false),
        ("1", 2, true),
        ("0", 0, false),
    ] {
        let mut studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
        studio.job = format!("limits.unusable = {limit}");
        for uid in ["ada", "bob", "cyd", "dan"].into_iter().take(left_out) {
            studio
                .tree()
                .replace(&dn(uid), "mail", &["no address"])
                .unwrap();
        }
        let report = studio.sync();
        assert_eq!(
            report.outcome == Outcome::Failed,
            failed,
            "{limit}, {left_out}: {report:#?}"
        );
        assert_eq!(
            report.counts.created,
            if failed { 0 } else { 4 - left_out },
            "{limit}, {left_out}: {report:#?}"
        );
    }
}
