//! A group of 3,100 members, which an Active Directory by Microsoft shows in parts of 1,500; and one
//! that grows beyond the first part.

use std::collections::BTreeSet;

use super::{
    OF_389, OF_SAMBA,
    servers::RealDirectory,
    views::{PATIENT, behind},
};
use crate::{
    ability::must_skip_as_root, ldap_proxy::quirks::OF_MICROSOFT, situations::Situation,
    slapd::ldif_entry,
};

const CROWD: usize = 3_100;
const UNIT: &str = "ou=crowd,dc=studio,dc=test";
const GROUP: &str = "cn=crowd,ou=crowd,dc=studio,dc=test";

#[test]
fn a_crowd_on_openldap() {
    count(&RealDirectory::openldap_of(&entries()));
}

#[test]
fn a_crowd_on_389_directory_server() {
    if !must_skip_as_root("a_crowd_on_389_directory_server", OF_389) {
        count(&RealDirectory::ds389_of(&entries()));
    }
}

#[test]
fn a_crowd_on_active_directory() {
    if !must_skip_as_root("a_crowd_on_active_directory", OF_SAMBA) {
        count(&RealDirectory::samba_of(CROWD));
    }
}

fn count(directory: &RealDirectory) {
    let proxy = directory.proxy();
    if directory.kind.is_active_directory() {
        proxy.set_quirks(OF_MICROSOFT);
    }
    let mut situation = behind(directory, &proxy)
        .job(&format!(
            "limits = {{ create = {CROWD}, deactivate = 10 }}\nmember_of = [{GROUP:?}]"
        ))
        .config(&format!(
            "[directories.studio]\nbind_dn = {:?}\nallow_plaintext = true\n{PATIENT}",
            directory.bind_dn
        ));
    situation.search_base = UNIT.into();
    directory.group(GROUP, &dns(0..1498));
    let report = situation.sync();
    assert_eq!(report.counts.created, 1498, "{:?}", report.error);
    directory.add_members(GROUP, &dns(1498..1501));
    let report = situation.sync();
    assert_eq!((report.counts.created, report.changes.len()), (3, 3));
    situation.sync_changes_nothing();
    directory.add_members(GROUP, &dns(1501..CROWD));
    let report = situation.sync();
    let counts = (report.counts.created, report.changes.len());
    assert_eq!(counts, (CROWD - 1501, CROWD - 1501));
    let is_everybody = active(&situation) == (0..CROWD).map(name).collect();
    assert!(is_everybody);
    // One of the first part, the last of it, and the last of all.
    for nth in [0, 1499, CROWD - 1] {
        directory.members(GROUP, "delete", &dns(nth..nth + 1)[0]);
    }
    let report = situation.sync();
    assert_eq!((report.counts.deactivated, report.changes.len()), (3, 3));
    situation.sync_changes_nothing();
}

fn name(nth: usize) -> String {
    format!("c{nth:04}")
}

fn dns(people: std::ops::Range<usize>) -> Vec<String> {
    people
        .map(|nth| format!("cn={},{UNIT}", name(nth)))
        .collect()
}

fn active(situation: &Situation) -> BTreeSet<String> {
    let users = situation.ftrack().users().into_iter();
    users
        .filter(|user| user.is_active && user.username.starts_with('c'))
        .map(|user| user.username.to_string())
        .collect()
}

/// The people, for servers other than a domain's.
fn entries() -> String {
    let unit = [("objectClass", "organizationalUnit"), ("ou", "crowd")];
    let person = |nth| {
        let name = name(nth);
        ldif_entry(
            &format!("cn={name},{UNIT}"),
            &[
                ("objectClass", "inetOrgPerson"),
                ("uid", &name),
                ("cn", &name),
                ("givenName", "Given"),
                ("sn", &name),
                ("mail", &format!("{name}@studio.test")),
            ],
        )
    };
    ldif_entry(UNIT, &unit) + &(0..CROWD).map(person).collect::<String>()
}
