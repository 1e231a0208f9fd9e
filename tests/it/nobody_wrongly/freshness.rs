//! A server that shows less than what was seen before locks nobody out and restores no old values:
//! a replica that lags behind, and a server that was restored from a backup.

use ftrack_ldap_sync::model::{
    change::{Action, HeldBy},
    report::{Outcome, Report},
};

use super::holds;
use crate::{
    rules::{add_config, approve},
    slapd::{Setup, Slapd, ldif_entry},
    studio::{Studio, dn},
};

fn person(uid: &str) -> String {
    let attributes = [
        ("objectClass", "inetOrgPerson"),
        ("uid", uid),
        ("cn", uid),
        ("sn", uid),
    ];
    ldif_entry(&dn(uid), &attributes)
}

fn provider() -> Slapd {
    let provider = Setup::new("").provider(1).start();
    for uid in ["ada", "bob"] {
        provider.change(&person(uid));
    }
    provider
}

/// The entries of a server, and its newest change, which a server that runs has not written down.
fn export(provider: &Slapd) -> (String, String) {
    let export = provider.export();
    let csns = export
        .lines()
        .filter_map(|line| line.strip_prefix("entryCSN: "));
    let newest = csns.filter(|csn| csn.contains("#001#")).max().unwrap();
    let newest = newest.to_owned();
    (export, newest)
}

/// The same with the newest changes of servers, at the first entry.
fn with_newest(export: &str, newest: &[&str]) -> String {
    let lines: String = newest
        .iter()
        .map(|csn| format!("contextCSN: {csn}\n"))
        .collect();
    export.replacen("\n\n", &format!("\n{lines}\n"), 1)
}

/// All of a server.
fn whole_export(provider: &Slapd) -> String {
    let (export, newest) = export(provider);
    with_newest(&export, &[&newest])
}

/// A copy of a server as it was when it was exported.
fn copy(export: &str) -> Slapd {
    Setup::new("").provider(1).export(export).start()
}

/// A studio whose servers are equivalent, by configuration.
fn studio_of(servers: &[&Slapd]) -> Studio {
    let mut studio = Studio::empty();
    studio.job = "limits.deactivate = \"100%\"".into();
    ask(&studio, servers);
    studio
}

/// The servers to be asked.
fn ask(studio: &Studio, servers: &[&Slapd]) {
    let urls: Vec<String> = servers.iter().map(|server| server.url().into()).collect();
    add_config(
        studio,
        &format!("[directories.studio]\nurls = {urls:?}\ntrust_replicas = true\n"),
    );
}

/// The export of a provider, which then has one person more and another last name.
fn moves_on(provider: &Slapd) -> String {
    let export = whole_export(provider);
    provider.change(&person("cyd"));
    provider.change(&format!(
        "dn: {}\nchangetype: modify\nreplace: sn\nsn: Holm\n",
        dn("bob")
    ));
    export
}

/// What is held, which is everything.
fn all_held(report: &Report) -> Vec<(&str, HeldBy)> {
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Held, 0),
        "{report:#?}"
    );
    let mut held = holds(report, Action::Deactivate);
    held.extend(holds(report, Action::Update));
    held
}

fn warnings(report: &Report) -> String {
    report.warnings.join("\n")
}

#[test]
fn a_replica_that_is_known_to_lag_behind_is_not_trusted_though_replicas_are() {
    let provider = provider();
    let lagging = copy(&moves_on(&provider));
    let studio = studio_of(&[&provider, &lagging]);
    let report = studio.sync();
    assert_eq!(report.counts.created, 3, "{report:#?}");
    let freshness = &report.directory.as_ref().unwrap().freshness;
    assert_eq!(freshness.len(), 1, "{report:#?}");
    assert!(
        freshness[0].starts_with("dc=studio,dc=test: the newest change of server 1 is of 20"),
        "{freshness:?}"
    );
    let before = studio.ftrack().users();
    let current = whole_export(&provider);
    drop(provider);

    for _ in 0..2 {
        let report = studio.sync();
        let expected = [("cyd", HeldBy::Replica), ("bob", HeldBy::Replica)];
        assert_eq!(all_held(&report), expected, "{report:#?}");
        let warnings = warnings(&report);
        assert!(
            warnings
                .contains("lags behind: its newest change of the directory's server 1 is of 20"),
            "{warnings}"
        );
        assert_eq!(studio.ftrack().users(), before);
    }
    let caught_up = copy(&current);
    ask(&studio, &[&caught_up]);
    studio.sync_changes_nothing();
}

#[test]
fn a_server_that_was_restored_waits_for_a_person_once() {
    let provider = provider();
    let studio = studio_of(&[&provider]);
    let export = moves_on(&provider);
    assert_eq!(studio.sync().counts.created, 3);
    drop(provider);
    let restored = copy(&export);
    ask(&studio, &[&restored]);
    let report = studio.sync();
    assert_eq!(all_held(&report).len(), 2, "{report:#?}");
    let why = report.changes[0].error.clone().unwrap();
    assert!(
        why.contains("once a person applied a plan, what this server shows counts"),
        "{why}"
    );
    let report = approve(&studio);
    assert_eq!(
        (report.counts.deactivated, report.counts.updated),
        (1, 1),
        "{report:#?}"
    );
    studio.sync_changes_nothing();
    restored.change(&format!("dn: {}\nchangetype: delete\n", dn("ada")));
    let report = studio.sync();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
}

#[test]
fn a_server_that_is_no_longer_among_the_replicas_waits_for_a_person_once() {
    let provider = provider();
    let (export, newest) = export(&provider);
    let of_another = newest.replace("#001#", "#002#");
    let both = copy(&with_newest(&export, &[&newest, &of_another]));
    let studio = studio_of(&[&both]);
    assert_eq!(studio.sync().counts.created, 2);
    ask(&studio, &[&provider]);
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "nothing is to be done");
    let told = warnings(&report);
    assert!(
        told.contains("it shows no change of the directory's server 2"),
        "{told}"
    );
    provider.change(&format!("dn: {}\nchangetype: delete\n", dn("ada")));
    let report = studio.sync();
    assert_eq!(all_held(&report), [("ada", HeldBy::Replica)], "{report:#?}");
    assert_eq!(approve(&studio).counts.deactivated, 1);
    let report = studio.sync_changes_nothing();
    assert!(!warnings(&report).contains("lags behind"), "{report:#?}");
}

#[test]
fn a_clock_that_was_far_ahead_holds_nothing_when_it_is_put_right() {
    let provider = provider();
    let (export, newest) = export(&provider);
    let leapt = newest.replacen("20", "21", 1);
    let leapt = copy(&with_newest(&export, &[&leapt]));
    let studio = studio_of(&[&leapt]);
    let report = studio.sync();
    assert_eq!(report.counts.created, 2, "{report:#?}");
    let told = warnings(&report);
    assert!(
        told.contains("the newest change of the directory's server 1 is dated 21"),
        "{told}"
    );
    ask(&studio, &[&provider]);
    provider.change(&format!("dn: {}\nchangetype: delete\n", dn("ada")));
    let report = studio.sync();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
}
