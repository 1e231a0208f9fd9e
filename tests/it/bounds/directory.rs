//! What the directory's answers cost.

use std::sync::Arc;

use super::{Measured, PATIENT, tampering::Proxy};
use crate::{
    changes,
    faults::settings,
    ldap_proxy::ber::{Message, SEARCH_ENTRY, bare, entry_with, names_present, renamed},
    slapd::{Setup, Slapd},
    studio::{Studio, dn},
};

/// A sync of a studio of one person, whose entry comes so often, changed each time.
fn flooded(
    times: usize,
    change: impl Fn(usize, &[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> (Studio, Proxy) {
    let mut studio = Studio::of(&["ada"]).end_to_end();
    settings(&studio, 1000, PATIENT);
    let tamper = move |_, answer: Vec<u8>| {
        let message = Message::new(&answer);
        let person = dn("ada");
        let is_person = answer
            .windows(person.len())
            .any(|found| found == person.as_bytes());
        if message.tag != SEARCH_ENTRY || !is_person {
            return Some(answer);
        }
        let entries: Vec<Vec<u8>> = (0..times).map(|nth| change(nth, &answer)).collect();
        Some(entries.concat())
    };
    let proxy = Proxy::of_directory(studio.directory().address(), Arc::new(tamper));
    studio.directory_url = format!("ldap://{}", proxy.address);
    (studio, proxy)
}

#[test]
fn values_that_nobody_mapped_cost_nothing_that_stays() {
    // Twelve of the largest messages, of a few large values or of as many as may be.
    for (length, count) in [(5 << 20, 3), (60, 140_000)] {
        let value = vec![b'x'; length];
        let (studio, _proxy) = flooded(12, move |_, entry| {
            entry_with(entry, b"jpegPhoto", &value, count)
        });
        let report = Measured::sync(&studio).report();
        assert_eq!(report.counts.created, 1, "{report:#?}");
    }
}

#[test]
fn values_that_are_kept_have_a_budget() {
    let value = vec![b'x'; 1 << 20];
    let (mut studio, _proxy) = flooded(220, move |nth, entry| {
        let other = renamed(entry, &format!("uid=n{nth},ou=people,dc=studio,dc=test"));
        entry_with(&other, b"title", &value, 1)
    });
    studio
        .ftrack()
        .add_custom_attribute("title", "text")
        .unwrap();
    studio
        .attributes
        .push_str(", \"custom_attributes.title\" = \"title\"");
    let error = Measured::sync(&studio).failure();
    assert!(
        error.contains("what is kept of its entries needs more than 160 MiB of memory"),
        "{error}"
    );
}

#[test]
fn names_have_bounds_too() {
    let long = format!("uid={},dc=test", "n".repeat(20_000));
    let (studio, _proxy) = flooded(1, move |_, entry| renamed(entry, &long));
    let error = Measured::sync(&studio).failure();
    assert!(
        error.contains("an entry whose DN is longer than 16384 bytes"),
        "{error}"
    );
    let (studio, _proxy) = flooded(20, |nth, entry| {
        let name = format!("x{nth}{}", "n".repeat(10 << 20));
        entry_with(entry, name.as_bytes(), b"v", 1)
    });
    let report = Measured::sync(&studio).report();
    assert_eq!(report.counts.created, 1, "{report:#?}");
}

/// What the failure says.
const OVER_BUDGET: &str = "what is kept of its entries needs more than 160 MiB of memory";

#[test]
fn what_waits_for_more_values_has_no_budget_of_its_own() {
    let value = vec![b'x'; 1 << 20];
    let (mut studio, _proxy) = flooded(300, move |nth, entry| {
        let other = renamed(entry, &format!("uid=n{nth},ou=people,dc=studio,dc=test"));
        let name: &[u8] = match nth {
            ..140 => b"title",
            140.. => b"title;range=0-0",
        };
        entry_with(&other, name, &value, 1)
    });
    studio
        .ftrack()
        .add_custom_attribute("title", "text")
        .unwrap();
    studio
        .attributes
        .push_str(", \"custom_attributes.title\" = \"title\"");
    let error = Measured::sync(&studio).failure();
    assert!(error.contains(OVER_BUDGET), "{error}");
}

#[test]
fn the_names_of_entries_that_are_too_large_have_no_budget_of_their_own() {
    let long = "n".repeat(16_000);
    let (studio, _proxy) = flooded(20_000, move |nth, entry| {
        let dn = format!("uid={nth}{long},ou=people,dc=studio,dc=test");
        bare(entry, &dn, b"1.1;x-too-large")
    });
    let error = Measured::sync(&studio).failure();
    assert!(error.contains(OVER_BUDGET), "{error}");
}

/// A studio of one person and one group, whose directory names so many ids as present, in tens of
/// thousands, whenever it is asked what changed.
fn naming_as_present(times: u128) -> (Studio, Slapd, Proxy) {
    const SYNC_DONE: &[u8] = b"1.3.6.1.4.1.4203.1.9.1.3";
    let group = format!(
        "dn: {GROUP}\nobjectClass: groupOfNames\nmember: {}\n\n",
        dn("ada")
    );
    let mut setup = Setup::new(changes::person("ada") + &group);
    setup.global = "moduleload syncprov".into();
    let slapd = setup.database("overlay syncprov").start();
    let tamper = move |_, answer: Vec<u8>| {
        let is_end = answer
            .windows(SYNC_DONE.len())
            .any(|found| found == SYNC_DONE);
        if !is_end {
            return Some(answer);
        }
        let named = (0..times).map(|nth| names_present(&answer, nth * 10_000..(nth + 1) * 10_000));
        Some(named.chain([answer.clone()]).collect::<Vec<_>>().concat())
    };
    let upstream = slapd.url().socket_addrs(|| None).unwrap()[0];
    let proxy = Proxy::of_directory(upstream, Arc::new(tamper));
    let studio = changes::studio(&format!("ldap://{}", proxy.address));
    (studio, slapd, proxy)
}

const GROUP: &str = "cn=artists,ou=groups,dc=studio,dc=test";

#[test]
fn who_is_named_as_present_when_changes_are_asked_for_has_a_budget() {
    let (studio, _slapd, _proxy) = naming_as_present(90);
    settings(&studio, 1000, PATIENT);
    // Where only the cookie is asked for, none of them is kept.
    let report = Measured::sync(&studio).report();
    assert_eq!(report.counts.created, 1, "{report:#?}");
    let error = Measured::of(&studio, &["sync", "--changes"]).failure();
    assert!(error.contains(OVER_BUDGET), "{error}");
}

#[test]
fn groups_that_are_named_as_present_have_no_budget_of_their_own() {
    // Either would fit.
    let (mut studio, _slapd, _proxy) = naming_as_present(50);
    settings(&studio, 1000, PATIENT);
    studio.job += &format!("member_of = [{GROUP:?}]\n");
    let report = Measured::sync(&studio).report();
    assert_eq!(report.counts.created, 1, "{report:#?}");
    let error = Measured::of(&studio, &["sync", "--changes"]).failure();
    assert!(error.contains(OVER_BUDGET), "{error}");
}
