//! The ids of entries: sent twice, several, or of another attribute than before.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::{Odd, OddDirectory, attribute, situation};
use crate::faults::NO_LIMIT;

/// Somebody's id of 389-ds.
fn unique_id(nth: usize) -> String {
    format!("{nth:08}-11111111-22222222-33333333")
}

/// A server of no known kind whose people have nsUniqueId alone.
pub fn before() -> Odd {
    let people = ["ada", "ben", "cleo"];
    let mut odd = Odd::of(&people);
    for (nth, uid) in people.iter().enumerate() {
        odd.put(uid, "entryUUID", &[]);
        odd.put(uid, "nsUniqueId", &[&unique_id(nth)]);
    }
    odd
}

/// Gives everybody an entryUUID as well.
pub fn upgrade(odd: &mut Odd) {
    for (nth, uid) in ["ada", "ben", "cleo"].iter().enumerate() {
        let id = format!("00000000-0000-4000-8000-{nth:012}");
        odd.put(uid, "entryUUID", &[&id]);
    }
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
    directory.set(upgrade);
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

#[test]
fn an_entry_in_the_same_place_that_cannot_be_used_may_be_the_same_person() {
    let directory = OddDirectory::start(Odd::of(&["ada", "bob", "cyd"]));
    let situation = situation(&directory).job(NO_LIMIT);
    situation.sync();
    directory.set(|odd| {
        odd.put(
            "bob",
            "entryUUID",
            &["b0b0b0b0-0000-4000-8000-000000000000"],
        );
        odd.put("bob", "uid", &[]);
    });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: 1 to deactivate, 1 of them held, 1 entry skipped

      - deactivate bob HELD  not in the directory
          is_active: true -> false
          the person is no longer in the directory, as complete reads show

      1 change is held: the entry "uid=bob,ou=people,dc=studio,dc=test" has the name of the entry of the user "bob" (directory id [id]), but not its id, and cannot be used: it has no uid, which is required. It was most likely deleted and made again: correct the entry; or, if the person is gone, approve the deactivation (`plan --out FILE`, then `apply FILE`)

      1 entry skipped:
        uid=bob,ou=people,dc=studio,dc=test
          it has no uid, which is required
    "#);
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: active, "Given" "ada" <ada@studio.test>; artists, settled
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    cyd: active, "Given" "cyd" <cyd@studio.test>; artists, settled
    "#);
}
