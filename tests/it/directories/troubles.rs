//! What goes wrong while a directory is read: on each kind of server it fails the run, and nobody is
//! changed.

use ftrack_ldap_sync::model::{
    change::HeldBy,
    report::{ChangeResult, FailureKind, Outcome, Report},
};

use super::{
    servers::RealDirectory,
    views::{PATIENT, behind},
};
use crate::{
    ldap_proxy::{Fault, LdapProxy, Trouble},
    situations::Situation,
    slapd::{PEOPLE, ldif_entry},
};

/// In the middle of the search for people.
const TROUBLES: [(&str, Trouble); 8] = [
    ("the limit for its time", Trouble::Result(3)),
    ("the limit for its size", Trouble::Result(4)),
    (
        "the limit for pages, or for what is looked through",
        Trouble::Result(11),
    ),
    ("a busy server", Trouble::Result(51)),
    ("a reference to another server", Trouble::Reference),
    (
        "a page that does not say whether more follow",
        Trouble::NoControl,
    ),
    ("a connection that is closed", Trouble::Close),
    ("a connection that is reset", Trouble::Reset),
];

pub fn follow(directory: &RealDirectory, proxy: &LdapProxy) {
    proxy.set_quirks(None);
    let situation = behind(directory, proxy);
    situation.sync();
    let leaves = |name: &str| {
        directory.change(&format!("dn: cn={name},{PEOPLE}\nchangetype: delete\n"));
    };
    let users = situation.users();
    leaves("p18");
    for (what, trouble) in TROUBLES {
        proxy.set_fault(Fault::in_any_search(3, trouble));
        let report = situation.sync();
        assert!(proxy.injected(), "{what}");
        assert_failed(&report, what);
        assert_eq!(situation.users(), users, "{what}");
    }
    proxy.set_fault(None);
    assert_eq!(situation.sync().counts.deactivated, 1);
    if !directory.kind.is_active_directory() {
        refer(directory, &situation);
    }
    let situation = situation.config(&format!(
        "[directories.studio]\nurls = [{:?}, {:?}]\nbind_dn = {:?}\nca_file = {:?}\nallow_plaintext = \
         true\npage_size = 7\n{PATIENT}",
        proxy.url(),
        directory.url,
        directory.bind_dn,
        directory.ca_file,
    ));
    directory.join("zoe");
    leaves("p17");
    let users = situation.users();
    proxy.set_fault(Fault::in_any_search(3, Trouble::Close));
    assert_failed(&situation.sync(), "the server fails in the middle");
    assert_eq!(situation.users(), users);
    proxy.set_fault(Fault::at_every_bind(Trouble::Close));
    let report = situation.sync();
    assert_eq!(
        (report.counts.created, held(&report)),
        (1, vec![HeldBy::Replica])
    );
    proxy.set_fault(None);
    let report = situation.sync();
    assert_eq!((report.counts.deactivated, held(&report)), (1, Vec::new()));
    situation.sync_changes_nothing();
}

/// Of those who are missing where more refers elsewhere than before, nobody knows whether they are
/// there. A domain has no such entries.
fn refer(directory: &RealDirectory, situation: &Situation) {
    let elsewhere = "ou=elsewhere,ou=people,dc=studio,dc=test";
    directory.change(&ldif_entry(
        elsewhere,
        &[
            ("objectClass", "referral"),
            ("objectClass", "extensibleObject"),
            ("ou", "elsewhere"),
            (
                "ref",
                "ldap://127.0.0.1:1/ou=elsewhere,ou=people,dc=studio,dc=test",
            ),
        ],
    ));
    directory.change(&format!("dn: cn=p16,{PEOPLE}\nchangetype: delete\n"));
    let report = situation.sync();
    assert_eq!(
        (report.outcome, held(&report)),
        (Outcome::Held, vec![HeldBy::Doubt])
    );
    directory.change_referral(&format!("dn: {elsewhere}\nchangetype: delete\n"));
    assert_eq!(situation.sync().counts.deactivated, 1);
}

fn assert_failed(report: &Report, what: &str) {
    assert_eq!(
        (report.outcome, report.error_kind, report.changes.len()),
        (Outcome::Failed, Some(FailureKind::Directory), 0),
        "{what}: {report:#?}"
    );
}

/// By what its changes are held.
fn held(report: &Report) -> Vec<HeldBy> {
    let changes = report.changes.iter();
    changes
        .filter(|change| change.result == ChangeResult::Held)
        .filter_map(|change| change.held_by)
        .collect()
}
