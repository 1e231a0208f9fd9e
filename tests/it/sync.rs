//! Syncs, situation by situation, with the real program between a directory and an ftrack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::report::Outcome,
};

use crate::{
    slapd::wait_until,
    studio::{Studio, dn, person},
};

#[test]
fn people_become_users_and_a_second_run_changes_nothing() {
    let studio = Studio::of(&["ada", "bob"]).end_to_end();
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(report.counts.created, 2);
    let ada = studio.user("ada");
    assert_eq!(
        (
            ada.first_name.as_deref(),
            ada.last_name.as_deref(),
            ada.email.as_deref()
        ),
        (Some("Given"), Some("ada"), Some("ada@studio.test"))
    );
    assert!(ada.is_active);
    studio.sync_changes_nothing();
}

#[test]
fn a_leaver_is_deactivated_and_reactivated_when_back() {
    let studio = Studio::of(&["ada", "bob", "cyd"]).end_to_end();
    studio.sync();
    let elsewhere = "uid=bob,ou=services,dc=studio,dc=test";
    studio.tree().rename(&dn("bob"), elsewhere).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.deactivated, report.outcome),
        (1, Outcome::Succeeded),
        "{report:#?}"
    );
    assert!(!studio.user("bob").is_active);
    studio.sync_changes_nothing();

    studio.tree().rename(elsewhere, &dn("bob")).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.reactivated, report.changes.len()),
        (1, 1),
        "{report:#?}"
    );
    assert!(studio.user("bob").is_active);
    studio.sync_changes_nothing();
}

#[test]
fn a_rename_is_one_update_of_one_user() {
    let studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    let before = studio.user("ada");
    studio
        .tree()
        .replace(&dn("ada"), "mail", &["ada@elsewhere.test"])
        .unwrap();
    studio.tree().rename(&dn("ada"), &dn("adele")).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.counts.updated, report.changes.len()),
        (1, 1),
        "{report:#?}"
    );
    assert_eq!(studio.user("adele").id, before.id);
    studio.sync_changes_nothing();
}

#[test]
fn one_bad_entry_is_named_and_stops_nobody_else() {
    let studio = Studio::of(&["ada"]).end_to_end();
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
    let mut studio = Studio::of(&["ada"]).end_to_end();
    studio.attributes = "username = \"uid\", full_name = \"{{ cn | lowre }}\"".into();
    let ended = studio.run(&["sync"]);
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("jobs.artists.attributes.full_name")
            && ended.stderr.contains("lowre"),
        "{}",
        ended.stderr
    );
}

#[test]
fn another_id_attribute_tells_nothing_about_people_who_are_known_by_the_first() {
    let studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    studio.tree().remove(&dn("bob")).unwrap();
    std::fs::create_dir(studio.folder().join("config.d")).unwrap();
    std::fs::write(
        studio.folder().join("config.d/id.toml"),
        "[directories.studio]\nid_attribute = \"uid\"\n",
    )
    .unwrap();
    let report = studio.sync();
    assert_eq!(
        (
            report.outcome,
            report.changes.len(),
            report.ftrack.write_calls
        ),
        (Outcome::Failed, 0, 0),
        "{report:#?}"
    );
    let error = report.error.unwrap();
    assert!(
        error.contains("are identified by the id attribute entryUUID")
            && error.contains("set id_attribute = \"entryUUID\""),
        "{error}"
    );
    assert!(studio.user("bob").is_active);

    std::fs::remove_file(studio.folder().join("config.d/id.toml")).unwrap();
    assert_eq!(studio.sync().counts.deactivated, 1);
}

#[test]
fn a_damaged_report_hides_no_other() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let run = studio.sync().run;
    std::fs::write(
        studio
            .state_dir()
            .join("reports/artists/20000101-000000-0000.json"),
        "{",
    )
    .unwrap();
    let ended = studio.run(&["runs"]);
    assert_eq!(ended.status, 1);
    assert!(
        ended.stdout.contains(&run) && ended.stderr.contains("20000101-000000-0000.json"),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn a_run_that_is_killed_while_it_reads_leaves_a_report_too() {
    let studio = Studio::of(&["ada"]).end_to_end();
    studio
        .ftrack()
        .fail_next(Some(CallKind::Read), Fault::StallBefore);
    let mut program = studio.start(&["sync"]);
    assert!(wait_until(Duration::from_secs(20), || studio
        .ftrack()
        .counters()
        .requests
        > 0));
    program.kill().unwrap();
    program.wait().unwrap();
    studio.ftrack().heal();
    assert_eq!(studio.sync().outcome, Outcome::Succeeded);
    let runs: serde_json::Value =
        serde_json::from_str(&studio.run(&["runs", "--format", "json"]).stdout).unwrap();
    assert_eq!(runs[1]["outcome"], "failed");
    assert_eq!(
        runs[1]["error"],
        "the program ended while it was reading, and nothing was written"
    );
}

#[test]
fn somebody_who_moves_from_one_jobs_part_of_the_tree_to_anothers_keeps_the_user() {
    let mut studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.job = "[jobs.movers]\ndirectory = \"studio\"\nsearch_bases = \
                  [\"ou=services,dc=studio,dc=test\"]\nmin_entries = 0\n"
        .replace(
            "min_entries = 0\n",
            "filter = \"(objectClass=inetOrgPerson)\"\nattributes = { username = \"uid\" \
             }\nlimits = { min_entries = 0 }\n",
        );
    studio.synced(&["sync", "artists", "--format", "json"]);
    let before = studio.user("bob");
    studio
        .tree()
        .rename(&dn("bob"), "uid=bob,ou=services,dc=studio,dc=test")
        .unwrap();

    let report = studio.synced(&["sync", "artists", "--format", "json"]);
    assert_eq!(
        report.changes,
        [],
        "nobody is locked out between the runs of the two jobs: {report:#?}"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("in the job \"movers\"")),
        "{report:#?}"
    );
    let report = studio.synced(&["sync", "movers", "--format", "json"]);
    assert_eq!(
        (report.counts.updated, report.changes.len()),
        (1, 1),
        "{report:#?}"
    );
    let after = studio.user("bob");
    assert!(after.is_active && after.id == before.id);

    for job in ["artists", "movers"] {
        let report = studio.synced(&["sync", job, "--format", "json"]);
        assert_eq!(
            (report.changes.len(), report.ftrack.write_calls),
            (0, 0),
            "{report:#?}"
        );
    }
}

#[test]
fn a_job_that_was_renamed_without_its_source_is_told_so() {
    let studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    std::fs::create_dir(studio.folder().join("config.d")).unwrap();
    std::fs::write(
        studio.folder().join("config.d/name.toml"),
        "[jobs.artists]\nsource = \"painters\"\n",
    )
    .unwrap();
    let report = studio.sync();
    assert_eq!(
        (
            report.outcome,
            report.changes.len(),
            report.ftrack.write_calls
        ),
        (Outcome::Failed, 0, 0),
        "{report:#?}"
    );
    let error = report.error.unwrap();
    assert!(
        error.contains("which no job has") && error.contains("set source = \"artists\""),
        "{error}"
    );
}
