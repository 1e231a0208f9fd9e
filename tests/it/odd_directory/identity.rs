//! The ids of entries: sent twice, several, or of another attribute than before.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::{Odd, OddDirectory, attribute, situation};

/// Somebody's id of 389-ds.
fn unique_id(nth: usize) -> String {
    format!("{nth:08}-11111111-22222222-33333333")
}

/// A server of no known kind whose people have nsUniqueId alone.
fn before() -> Odd {
    let people = ["ada", "ben", "cleo"];
    let mut odd = Odd::of(&people);
    for (nth, uid) in people.iter().enumerate() {
        odd.put(uid, "entryUUID", &[]);
        odd.put(uid, "nsUniqueId", &[&unique_id(nth)]);
    }
    odd
}

#[test]
fn the_attribute_by_which_people_are_known_is_kept() {
    let directory = OddDirectory::start(before());
    let situation = situation(&directory);
    situation.sync();
    // After an upgrade, new entries have an entryUUID as well, and one of them comes first.
    directory.set(|odd| {
        let mut dora = super::odd_person("dora");
        dora.1.push(attribute("nsUniqueId", &[&unique_id(9)]));
        odd.entries.insert(0, dora);
    });
    let report = situation.sync();
    assert_eq!(
        (
            report.outcome,
            report.counts.created,
            report.counts.unchanged
        ),
        (Outcome::Succeeded, 1, 3)
    );
    let id_attribute = report.directory.unwrap().id_attribute;
    assert_eq!(id_attribute.as_deref(), Some("nsUniqueId"));
    // Then everybody has one.
    directory.set(|odd| {
        for (nth, uid) in ["ada", "ben", "cleo"].iter().enumerate() {
            odd.put(
                uid,
                "entryUUID",
                &[&format!("00000000-0000-4000-8000-{nth:012}")],
            );
        }
    });
    situation.sync_changes_nothing();
    directory.set(|odd| odd.entries.retain(|(dn, _)| !dn.starts_with("uid=ben,")));
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
}

#[test]
fn the_first_entry_alone_does_not_decide_which_attribute_identifies_people() {
    let directory = OddDirectory::start(before());
    directory.set(|odd| {
        let mut dora = super::odd_person("dora");
        dora.1.push(attribute("nsUniqueId", &[&unique_id(9)]));
        odd.entries.insert(0, dora);
    });
    let situation = situation(&directory);
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 4)
    );
    situation.sync_changes_nothing();
}

#[test]
fn an_id_that_is_sent_twice_is_one_and_several_are_said() {
    let directory = OddDirectory::start(Odd::of(&["ada", "bob"]));
    let situation = situation(&directory);
    situation.sync();
    directory.set(|odd| {
        let id = odd
            .person("ada")
            .iter_mut()
            .find(|(name, _)| name == "entryUUID");
        let (_, values) = id.unwrap();
        values.push(values[0].to_ascii_uppercase());
        values.push(values[0].clone());
    });
    situation.sync_changes_nothing();
    directory.set(|odd| {
        odd.person("ada").push(attribute(
            "entryUUID",
            &["00000000-0000-4000-8000-000000000001"],
        ));
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: nothing to do, 1 entry skipped

      1 entry skipped:
        uid=ada,ou=people,dc=studio,dc=test
          it has 2 values of the id attribute, so it cannot be identified

      Warnings:
        the person with the directory id [id] was missing from the read, but was found by id; the user is unchanged
    ");
}
