//! Each fault once, by name: every result code, a real server that dies, and answers that are
//! well-formed but too short.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, time::Duration};

use ftrack_ldap_sync::model::report::{ChangeResult, Outcome, Report};

use super::{CODES, Expected, NO_LIMIT, assert_done, assert_failed_and_wrote_nothing, settings};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    slapd::{SYNC_PASSWORD, Setup, ldif_entry, wait_until},
    studio::{Studio, dn},
};

#[test]
fn every_result_code_in_every_place_fails_the_run() {
    let mut studio = Studio::of(&["ada", "bob", "cyd", "dan", "eve", "fay"]).end_to_end();
    studio.job = NO_LIMIT.into();
    settings(&studio, 2, "");
    let proxy = LdapProxy::start(studio.directory().address(), None);
    studio.directory_url = proxy.url();
    studio.sync();
    studio.tree().remove(&dn("ada")).unwrap();
    let before = studio.ftrack().users();
    for code in CODES {
        let trouble = Trouble::Result(code);
        for fault in [
            Fault::at_bind(1, trouble),
            Fault::in_search(1, 0, trouble),
            Fault::in_search(1, 3, trouble),
            Fault::in_search(1, 5, trouble),
            Fault::in_search(2, 0, trouble),
        ] {
            proxy.set_fault(fault);
            let report = studio.sync();
            assert!(proxy.injected(), "{fault:?}");
            assert_failed_and_wrote_nothing(&studio, &report);
            assert_eq!(studio.ftrack().users(), before, "{fault:?}");
        }
    }
    proxy.set_fault(None);
    let expected = Expected {
        deactivated: 1,
        ..Expected::default()
    };
    assert_done(&studio.sync(), expected);
    studio.sync_changes_nothing();
}

/// People with ids that are the same on every server.
fn ldif(people: std::ops::Range<usize>) -> String {
    let entry = |nth: usize| {
        let (login, uuid) = (
            format!("p{nth}"),
            format!("00000000-0000-4000-8000-{nth:012}"),
        );
        ldif_entry(
            &dn(&login),
            &[
                ("objectClass", "inetOrgPerson"),
                ("uid", &login),
                ("cn", &login),
                ("sn", &login),
                ("mail", &format!("{login}@studio.test")),
                ("entryUUID", &uuid),
            ],
        )
    };
    people.map(entry).collect()
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_read() {
    const PEOPLE: usize = 400;
    let mut studio = Studio::empty().end_to_end();
    studio.job = NO_LIMIT.into();
    fs::write(studio.folder().join("slapd-password"), SYNC_PASSWORD).unwrap();
    let password = "bind_password_file = \"slapd-password\"";
    let slapd = Setup::new(ldif(0..PEOPLE)).start();
    studio.directory_url = slapd.url().to_string();
    settings(&studio, 100, password);
    assert_eq!(studio.sync().counts.created, PEOPLE);

    settings(&studio, 1, password);
    studio.ftrack().forget();
    let before = studio.ftrack().users();
    let searches = slapd.logged("SRCH base=\"ou=people");
    let child = studio.start(&["sync", "--format", "json"]);
    let reading = || slapd.logged("SRCH base=\"ou=people") > searches + 20;
    assert!(
        wait_until(Duration::from_secs(20), reading),
        "the read does not begin"
    );
    slapd.signal("KILL");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let report: Report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_failed_and_wrote_nothing(&studio, &report);
    assert!(
        report.directory.as_ref().unwrap().searches[0].entries < PEOPLE as u64,
        "{report:#?}"
    );
    assert_eq!(studio.ftrack().users(), before);

    let slapd = Setup::new(ldif(1..PEOPLE)).start();
    studio.directory_url = slapd.url().to_string();
    settings(&studio, 100, password);
    let expected = Expected {
        deactivated: 1,
        ..Expected::default()
    };
    assert_done(&studio.sync(), expected);
    assert!(!studio.user("p0").is_active);
    studio.sync_changes_nothing();
}

/// Access rules that hide half of the people look like success with fewer entries: no server says
/// so.
#[test]
fn half_of_the_people_hidden_is_held_by_the_limit() {
    let uids = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];
    let mut studio = Studio::of(&uids).end_to_end();
    studio.sync();
    for uid in &uids[..4] {
        studio.tree().rename(&dn(uid), &hidden(uid)).unwrap();
    }
    studio
        .tree()
        .replace(&dn("hal"), "mail", &["hal@new.test"])
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.held, report.counts.updated),
        (Outcome::Held, 4, 1),
        "{report:#?}"
    );
    assert!(
        report
            .changes
            .iter()
            .filter(|change| change.result == ChangeResult::Held)
            .all(|change| {
                let why = change.error.as_deref().unwrap_or_default();
                why.contains("limits.deactivate")
            })
    );
    assert!(uids.iter().all(|uid| studio.user(uid).is_active));

    studio.job = "limits = { deactivate = \"100%\", min_entries = 6 }".into();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, &report.changes[..]),
        (Outcome::Failed, &[][..]),
        "{report:#?}"
    );
    assert!(
        report
            .error
            .as_ref()
            .is_some_and(|error| error.contains("min_entries")),
        "{report:#?}"
    );
    assert_eq!(studio.ftrack().counters().write_calls, 0);

    for uid in &uids[..4] {
        studio.tree().rename(&hidden(uid), &dn(uid)).unwrap();
    }
    studio.sync_changes_nothing();
}

fn hidden(uid: &str) -> String {
    format!("uid={uid},ou=services,dc=studio,dc=test")
}

#[test]
fn an_empty_answer_is_nobodys_departure() {
    let mut studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.job = NO_LIMIT.into();
    studio.sync();
    for uid in ["ada", "bob"] {
        studio.tree().rename(&dn(uid), &hidden(uid)).unwrap();
    }
    let report = studio.sync();
    assert_eq!(
        (report.outcome, &report.changes[..]),
        (Outcome::Failed, &[][..]),
        "{report:#?}"
    );
    assert_eq!(studio.ftrack().counters().write_calls, 0);
}
