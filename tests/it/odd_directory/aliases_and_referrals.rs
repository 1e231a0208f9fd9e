//! Entries that are no people: aliases, and referral objects.

use ftrack_ldap_sync::model::{change::HeldBy, report::Outcome};
use insta::assert_snapshot;

use super::{Odd, OddDirectory, OddEntry, entry, situation};

const EVERYWHERE: &str = "filter = \"(uid=*)\"\n";

/// An alias entry with the login of somebody.
fn alias(uid: &str) -> OddEntry {
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, uid.as_bytes()).to_string();
    let of = crate::studio::dn(uid);
    entry(
        &format!("uid={uid},ou=vpn,dc=studio,dc=test"),
        &[
            ("objectClass", &["Alias", "extensibleObject"]),
            ("uid", &[uid]),
            ("aliasedObjectName", &[&of]),
            ("entryUUID", &[&id]),
        ],
    )
}

fn referral(name: &str) -> OddEntry {
    entry(
        &format!("ou={name},ou=people,dc=studio,dc=test"),
        &[
            ("objectClass", &["referral"]),
            ("ref", &["ldap://elsewhere.test/"]),
        ],
    )
}

#[test]
fn an_alias_entry_is_nobody_and_no_rival() {
    let directory = OddDirectory::start(Odd::of(&["ada", "bob"]));
    let mut situation = situation(&directory);
    situation.search_base = "dc=studio,dc=test".into();
    situation.sync();
    directory.set(|odd| {
        odd.entries.extend([alias("ada"), alias("left-long-ago")]);
        odd.put("ada", "sn", &["Lovelace"]);
    });
    let situation = situation.then(|studio| {
        crate::rules::add_config(studio, &format!("[jobs.artists]\n{EVERYWHERE}"));
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to update, 2 entries skipped

      ~ update     ada  uid=ada,ou=people,dc=studio,dc=test
          last_name: ada -> Lovelace
          the directory has other values

      2 entries skipped:
        uid=ada,ou=vpn,dc=studio,dc=test
          it is an alias entry (objectClass alias), and nobody's own
        uid=left-long-ago,ou=vpn,dc=studio,dc=test
          it is an alias entry (objectClass alias), and nobody's own
    ");
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.updated),
        (Outcome::Succeeded, 1)
    );
    // Aliases count in no limit.
    directory.set(|odd| odd.entries.extend(["a", "b", "c", "d"].map(alias)));
    let report = situation.sync_changes_nothing();
    assert_eq!(
        (report.outcome, report.counts.skipped),
        (Outcome::Succeeded, 6)
    );
}

#[test]
fn referral_objects_are_counted_and_when_their_number_changes_nobody_is_deactivated() {
    let directory = OddDirectory::start(Odd::of(&["ada", "bob", "cyd"]));
    directory.set(|odd| odd.root[0].1.push("2.16.840.1.113730.3.4.2".into()));
    let situation = situation(&directory).config("[jobs.artists.limits]\ndeactivate = \"100%\"\n");
    situation.sync();
    directory.set(|odd| odd.entries.push(referral("london")));
    let report = situation.sync_changes_nothing();
    assert_eq!(report.directory.unwrap().searches[0].referrals, 1);
    // People who leave with the number as before are deactivated.
    directory.set(|odd| odd.entries.retain(|(dn, _)| !dn.starts_with("uid=cyd,")));
    assert_eq!(situation.sync().counts.deactivated, 1);
    directory.set(|odd| {
        odd.entries.retain(|(dn, _)| !dn.starts_with("uid=bob,"));
        odd.entries.push(referral("oslo"));
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate bob HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      1 change is held: people are missing, and the search bases have 2 referral objects, after 1 before: are these people on another server now? If not, approve it

      Warnings:
        the search bases have 2 referral objects; what they refer to is on other servers, and is not read
    ");
    for _ in 0..2 {
        let report = situation.sync();
        let held: Vec<_> = report
            .changes
            .iter()
            .filter_map(|change| change.held_by)
            .collect();
        assert_eq!((report.outcome, held), (Outcome::Held, vec![HeldBy::Doubt]));
    }
    // As before: it was not the cause.
    directory.set(|odd| {
        odd.entries.pop();
    });
    assert_eq!(situation.sync().counts.deactivated, 1);
}
