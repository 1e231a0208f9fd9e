//! What the limits count is in the reports as well, where the database is damaged.

use std::fs;

use ftrack_ldap_sync::model::report::{Outcome, Report};

use super::database;
use crate::studio::{Studio, dn};

/// A sync after these people got other logins.
fn renamed(studio: &Studio, people: &[usize]) -> Report {
    for number in people {
        let new = [format!("new{number}")];
        let new: Vec<&str> = new.iter().map(String::as_str).collect();
        let dn = dn(&format!("user{number}"));
        studio.tree().replace(&dn, "employeeNumber", &new).unwrap();
    }
    studio.sync()
}

#[test]
fn a_damaged_database_forgets_no_rename_that_a_limit_counts() {
    let all: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let mut studio = Studio::of(&all.iter().map(String::as_str).collect::<Vec<_>>()).end_to_end();
    studio.attributes = studio.attributes.replace("\"uid\"", "\"employeeNumber\"");
    studio.job = "limits = { rename = 2 }\nconfig_change = \"apply\"".into();
    for uid in &all {
        let tree = studio.tree();
        tree.replace(&dn(uid), "employeeNumber", &[uid]).unwrap();
    }
    studio.sync();
    assert_eq!(renamed(&studio, &[0]).counts.updated, 1);
    fs::write(database(&studio), "garbage").unwrap();
    // One of two is left.
    let report = renamed(&studio, &[1]);
    assert_eq!(
        (report.counts.updated, report.counts.held),
        (1, 0),
        "{report:#?}"
    );
    fs::write(database(&studio), "garbage").unwrap();
    let report = renamed(&studio, &[2]);
    assert_eq!(
        (report.outcome, report.counts.held),
        (Outcome::Held, 1),
        "{report:#?}"
    );
    let why = report.changes[0].error.as_deref().unwrap();
    assert!(why.contains("2 written within limits.per before"), "{why}");

    // What a person approved is in a report as well, and does not count.
    let file = studio.folder().join("plan.json");
    let file = file.to_str().unwrap();
    assert_eq!(studio.run(&["plan", "--out", file]).status, 0);
    assert_eq!(studio.run(&["apply", file]).status, 0);
    studio.job = "limits = { rename = 3 }\nconfig_change = \"apply\"".into();
    fs::write(database(&studio), "garbage").unwrap();
    let report = renamed(&studio, &[3]);
    assert_eq!(
        (report.counts.updated, report.counts.held),
        (1, 0),
        "{report:#?}"
    );
}
