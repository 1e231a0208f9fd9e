//! Servers that do not say where the entry of somebody is who is deactivated.

use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::{Odd, OddDirectory, Whole, situation};
use crate::{situations::Situation, studio::dn};

/// Ada is moved out of the search base, and the server does that when it is asked for her.
fn ada_moves(whole: Whole, controls: &[&str]) -> (OddDirectory, Situation) {
    let directory = OddDirectory::start(Odd::of(&["ada", "bob"]));
    directory.set(|odd| {
        let controls = controls.iter().map(|oid| (*oid).to_owned());
        odd.root[0].1.extend(controls);
    });
    let situation = situation(&directory)
        .config("[directories.studio]\noperation_timeout = \"1s\"\n")
        .after_sync();
    directory.set(|odd| {
        odd.whole = whole;
        odd.below = vec!["dc=child,dc=studio,dc=test".into()];
        for (known, _) in &mut odd.entries {
            if *known == dn("ada") {
                *known = "uid=ada,ou=former,dc=studio,dc=test".into();
            }
        }
    });
    (directory, situation)
}

#[test]
fn a_server_that_does_not_say_where_somebody_is_changes_only_the_words() {
    for whole in [Whole::Refused, Whole::Silent, Whole::Referred] {
        let (_directory, situation) = ada_moves(whole, &[]);
        insta::allow_duplicates! {
            assert_snapshot!(situation.plan_text(), @"
            Plan for artists: 1 to deactivate

              - deactivate ada
                  is_active: true -> false
                  complete reads no longer show the person; whether the entry is elsewhere in the directory could not be found out
            ");
        }
        let report = situation.sync();
        assert_eq!(
            (report.outcome, report.counts.deactivated),
            (Outcome::Succeeded, 1),
            "{whole:?}"
        );
        situation.sync_changes_nothing();
    }
}

#[test]
fn a_server_of_a_forest_is_asked_for_its_own_domain_alone() {
    let (_directory, situation) = ada_moves(Whole::Referred, &["1.2.840.113556.1.4.1339"]);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,ou=former,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
}

#[test]
fn whom_the_filter_excludes_is_known_without_the_whole_directory() {
    let (directory, situation) = ada_moves(Whole::Refused, &[]);
    directory.set(|odd| {
        for (known, _) in &mut odd.entries {
            if known.starts_with("uid=ada,") {
                *known = dn("ada");
            }
        }
        odd.put("ada", "objectClass", &["person"]);
    });
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry no longer matches the job's filter
    ");
}
