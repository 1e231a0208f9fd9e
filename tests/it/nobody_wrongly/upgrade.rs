//! State and links of the previous version: the next run completes the links, and writes and holds
//! nothing else.

use std::fs;

use ftrack_ldap_sync::model::{
    change::{Action, HeldBy},
    edit::Field,
    report::Outcome,
};

use super::{holds, make_links_earlier, stored_link};
use crate::{
    rules::{approve, come_back, leave, logins},
    studio::Studio,
};

/// The tables of the first form of the database.
const FIRST_FORM: &str = include_str!("first_form.sql");

/// Puts state and links back to what the version before would have left.
fn make_earlier(studio: &Studio) {
    make_links_earlier(studio);
    let path = studio.state_dir().join("state.db");
    let rows = |query: &str| -> Vec<Vec<rusqlite::types::Value>> {
        let database = rusqlite::Connection::open(&path).unwrap();
        let mut statement = database.prepare(query).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            (0..columns).map(|column| row.get(column)).collect()
        });
        rows.unwrap().map(Result::unwrap).collect()
    };
    let columns = "job, run, \"trigger\", dry_run, started_at, finished_at, outcome, error_kind, \
                   error, ftrack, entries, owned, owned_active, held, failed";
    let (runs, absences) = (
        rows(&format!("SELECT {columns} FROM runs")),
        rows("SELECT job, directory_id, since, reads FROM absences"),
    );
    fs::remove_file(&path).unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch(FIRST_FORM).unwrap();
    for (table, names, rows) in [
        ("runs", columns, runs),
        ("absences", "job, directory_id, since, reads", absences),
    ] {
        for row in rows {
            let places = vec!["?"; row.len()].join(", ");
            let insert = format!("INSERT INTO {table} ({names}) VALUES ({places})");
            database
                .execute(&insert, rusqlite::params_from_iter(row))
                .unwrap();
        }
    }
    // Reports of that version know nothing of the later fields.
    for entry in fs::read_dir(studio.state_dir().join("reports/artists")).unwrap() {
        let path = entry.unwrap().path();
        let mut report: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        report["directory"].as_object_mut().unwrap().remove("asked");
        report["ftrack"].as_object_mut().unwrap().remove("linked");
        for change in report["changes"].as_array_mut().unwrap() {
            change.as_object_mut().unwrap().remove("held_by");
        }
        fs::write(&path, report.to_string()).unwrap();
    }
}

#[test]
fn the_first_run_of_this_version_completes_links_and_nothing_else() {
    let studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve"]);
    studio.sync();
    leave(&studio, "ada");
    assert_eq!(studio.sync().counts.deactivated, 1);
    make_earlier(&studio);
    let before = studio.ftrack().users();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.held, report.counts.updated),
        (Outcome::Succeeded, 0, 4),
        "{report:#?}"
    );
    for change in &report.changes {
        assert_eq!(
            (change.action, change.fields.keys().collect::<Vec<_>>()),
            (Action::Update, vec![&Field::Link]),
            "{change:#?}"
        );
        assert_eq!(change.reason, "the user's link is incomplete");
    }
    let without_links = |users: Vec<ftrack_ldap_sync::demo::ftrack::Account>| -> Vec<_> {
        users
            .into_iter()
            .map(|mut user| {
                user.metadata.clear();
                user
            })
            .collect()
    };
    assert_eq!(
        without_links(studio.ftrack().users()),
        without_links(before)
    );
    for uid in ["bob", "cyd", "dan", "eve"] {
        let link = stored_link(&studio, uid);
        assert!(
            link["version"] == 2
                && link["user"] == studio.user(uid).id.as_str()
                && link["directory"].is_string(),
            "{link}"
        );
    }
    studio.sync_changes_nothing();
    // Who was deactivated before is still the program's own doing.
    come_back(&studio, "ada");
    assert_eq!(logins(&studio.sync(), Action::Reactivate), ["ada"]);
    assert_eq!(stored_link(&studio, "ada")["version"], 2);
    studio.sync_changes_nothing();
}

#[test]
fn who_left_before_the_directory_showed_them_to_this_version_waits_for_a_person() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    make_earlier(&studio);
    leave(&studio, "ada");
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("ada", HeldBy::Doubt)],
        "{report:#?}"
    );
    assert_eq!(report.counts.updated, 2);
    assert_eq!(logins(&approve(&studio), Action::Deactivate), ["ada"]);
    studio.sync_changes_nothing();
}
