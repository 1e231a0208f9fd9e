//! Import, change, leave, undo and restore on a real slapd, by the real program.

use std::{collections::BTreeMap, fmt::Write as _};

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::report::{Outcome, Report},
};

use super::{in_effect, without};
use crate::{
    rules::by_hand,
    slapd::{PEOPLE, Setup, Slapd, ldif_entry},
    studio::Studio,
    undo::{left, nothing_is_done_again, put_back},
};

const LEADS: &str = "cn=leads,ou=groups,dc=studio,dc=test";
const SENIORS: &str = "cn=seniors,ou=groups,dc=studio,dc=test";
const ROLE: &str = "Project Manager";

fn dn(uid: &str) -> String {
    format!("uid={uid},{PEOPLE}")
}

fn entry(uid: &str) -> String {
    let mail = format!("{uid}@studio.test");
    let attributes = [
        ("objectClass", "inetOrgPerson"),
        ("uid", uid),
        ("cn", uid),
        ("givenName", "Given"),
        ("sn", uid),
        ("mail", &*mail),
    ];
    ldif_entry(&dn(uid), &attributes)
}

fn person(nth: usize) -> String {
    format!("p{nth:02}")
}

/// Thirty people; the members of `leads` are p00 and those of `seniors`, p01 and p02.
fn slapd() -> Slapd {
    let mut ldif: String = (0..30).map(|nth| entry(&person(nth))).collect();
    for (group, members) in [
        (SENIORS, [dn("p01"), dn("p02")]),
        (LEADS, [dn("p00"), SENIORS.to_owned()]),
    ] {
        let members = members.iter().map(|member| ("member", member.as_str()));
        let attributes: Vec<_> = [("objectClass", "groupOfNames")]
            .into_iter()
            .chain(members)
            .collect();
        ldif += &ldif_entry(group, &attributes);
    }
    Setup::new(ldif).start()
}

fn replace(slapd: &Slapd, dn: &str, attribute: &str, value: &str) {
    slapd.change(&format!(
        "dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
    ));
}

fn leave(slapd: &Slapd, uids: impl IntoIterator<Item = usize>) {
    let mut ldif = String::new();
    for nth in uids {
        writeln!(ldif, "dn: {}\nchangetype: delete\n", dn(&person(nth))).unwrap();
    }
    slapd.change(&ldif);
}

fn done(studio: &Studio) -> Report {
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    report
}

fn managers(studio: &Studio) -> Vec<String> {
    let users = in_effect(studio).into_values();
    let with = users.filter(|user| user.is_active && user.roles.contains(ROLE));
    let mut with: Vec<String> = with.map(|user| user.username).collect();
    with.sort_unstable();
    with
}

/// The day on which everything changed, and the day after on which many left.
struct Campaign {
    studio: Studio,
    slapd: Slapd,
    imported: BTreeMap<String, Account>,
    changed: Report,
    after_change: BTreeMap<String, Account>,
    left: Report,
}

fn campaign() -> Campaign {
    let slapd = slapd();
    let mut studio = Studio::empty().end_to_end();
    studio.directory_url = slapd.url().to_string();
    studio.job = format!(
        "roles = {{ {ROLE:?} = [{LEADS:?}] }}\nlimits = {{ deactivate = 10, rename = 10, revoke = 10 }}"
    );
    assert_eq!(done(&studio).counts.created, 30);
    assert_eq!(managers(&studio), ["p00", "p01", "p02"]);
    studio.sync_changes_nothing();
    let imported = in_effect(&studio);

    replace(&slapd, &dn("p05"), "mail", "new@studio.test");
    replace(&slapd, &dn("p06"), "sn", "Ünger");
    slapd.change(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n",
        dn("p07")
    ));
    // p01 leaves the inner group, p08 joins it.
    slapd.change(&format!(
        "dn: {SENIORS}\nchangetype: modify\ndelete: member\nmember: {}\n-\nadd: member\nmember: {}\n",
        dn("p01"),
        dn("p08")
    ));
    slapd.change(&entry("joiner"));
    leave(&slapd, [9]);
    let changed = done(&studio);
    let counts = &changed.counts;
    assert_eq!((counts.created, counts.deactivated), (1, 1), "{changed:#?}");
    assert_eq!(managers(&studio), ["p00", "p02", "p08"]);
    studio.sync_changes_nothing();
    let after_change = in_effect(&studio);

    leave(&slapd, 10..17);
    let left = done(&studio);
    assert_eq!(left.counts.deactivated, 7, "{left:#?}");
    studio.sync_changes_nothing();
    Campaign {
        studio,
        slapd,
        imported,
        changed,
        after_change,
        left,
    }
}

#[test]
fn both_days_are_undone_the_last_one_first() {
    let campaign = campaign();
    let studio = &campaign.studio;
    let report = put_back(studio, &["undo", &campaign.left.run, "--dry-run"]);
    assert_eq!(report.changes.len(), 7, "{report:#?}");
    let report = put_back(studio, &["undo", &campaign.left.run]);
    assert_eq!(left(&report), []);
    assert_eq!(in_effect(studio), campaign.after_change);
    nothing_is_done_again(studio);
    let report = put_back(studio, &["undo", &campaign.changed.run]);
    assert_eq!(left(&report), []);
    assert_eq!(without(studio, &["joiner"]), campaign.imported);
    assert_eq!(managers(studio), ["p00", "p01", "p02"]);
    nothing_is_done_again(studio);
    // What happens from now on is done as ever.
    replace(&campaign.slapd, &dn("p05"), "mail", "newer@studio.test");
    leave(&campaign.slapd, [20]);
    let report = done(studio);
    assert_eq!((report.counts.deactivated, report.counts.updated), (1, 1));
    assert!(!studio.user("p20").is_active);
    assert_eq!(studio.user("p05").email.unwrap(), "newer@studio.test");
    assert!(studio.user("p10").is_active, "as the undo left it");
}

#[test]
fn both_days_are_restored_at_once_whatever_people_did_since() {
    let campaign = campaign();
    let studio = &campaign.studio;
    by_hand(
        studio,
        "p03",
        &serde_json::json!({"first_name": "Vandal", "is_active": false}),
    );
    by_hand(studio, "p12", &serde_json::json!({"is_active": true}));
    let report = put_back(studio, &["restore", &campaign.changed.run]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(left(&report), []);
    assert_eq!(without(studio, &["joiner"]), campaign.imported);
    assert_eq!(managers(studio), ["p00", "p01", "p02"]);
    nothing_is_done_again(studio);
    // And back, by an undo of the restore.
    let report = put_back(studio, &["undo", &report.run]);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert!(studio.user("joiner").is_active && !studio.user("p11").is_active);
    assert_eq!(studio.user("p03").first_name.unwrap(), "Vandal");
    assert_eq!(managers(studio), ["p00", "p02", "p08"]);
}
