//! A licence without free seats, with and without an error.

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, Full, Rules},
    model::{change::Action, report::Outcome},
};

use super::{errors, studio_of};
use crate::{
    rules::{leave, logins},
    studio::{Studio, person},
};

/// A studio of 250 people for whom ftrack has so many seats beside its two administrators.
fn with_seats(seats: usize, full: Full, atomicity: Atomicity) -> Studio {
    studio_of(
        250,
        Rules {
            seats: Some(seats + 2),
            full,
            atomicity,
            ..Rules::default()
        },
    )
}

fn active(studio: &Studio) -> usize {
    studio
        .ftrack()
        .users()
        .iter()
        .filter(|user| user.is_active)
        .count()
        - 2
}

#[test]
fn without_seats_the_rest_is_named_and_nothing_loops() {
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        for full in [Full::Refuse, Full::StoreInactive] {
            let studio = with_seats(5, full, atomicity);
            for free in [5, 0] {
                let report = studio.sync();
                let what = format!("{full:?}, {atomicity:?}");
                assert_eq!(
                    report.outcome,
                    Outcome::Partial,
                    "{what}: {:?}",
                    report.error
                );
                let counts = &report.counts;
                assert_eq!(counts.created + counts.reactivated, free, "{what}");
                assert_eq!((counts.failed, active(&studio)), (245, 5), "{what}");
                assert!(
                    report.ftrack.write_calls <= 40,
                    "{what}: {} write calls",
                    report.ftrack.write_calls
                );
                assert!(
                    report.ftrack.read_calls <= 120,
                    "{what}: {} read calls",
                    report.ftrack.read_calls
                );
                let named = errors(&report)
                    .iter()
                    .all(|(_, error)| error.contains("seat") || error.contains("is_active"));
                assert!(
                    named && errors(&report).len() == 245,
                    "{what}: {:#?}",
                    errors(&report)
                );
            }
            studio.ftrack().change_rules(|rules| rules.seats = None);
            let report = studio.sync();
            assert_eq!(
                (
                    report.outcome,
                    report.counts.created + report.counts.reactivated
                ),
                (Outcome::Succeeded, 245),
                "{report:#?}"
            );
            assert_eq!(active(&studio), 250);
            studio.sync_changes_nothing();
        }
    }
}

#[test]
fn those_without_a_seat_do_not_hold_up_updates_and_deactivations() {
    for full in [Full::Refuse, Full::StoreInactive] {
        let studio = with_seats(250, full, Atomicity::Transaction);
        studio.sync();
        for number in 0..10 {
            studio
                .tree()
                .add(person(&format!("joiner{number}"), "New", "Face"))
                .unwrap();
        }
        leave(&studio, "user000");
        studio
            .tree()
            .replace(&crate::studio::dn("user001"), "sn", &["Changed"])
            .unwrap();
        let report = studio.sync();
        assert_eq!(
            (
                report.counts.deactivated,
                report.counts.updated,
                report.counts.failed
            ),
            (1, 1, 9),
            "{full:?}: {report:#?}"
        );
        assert_eq!(
            report.counts.created, 1,
            "the leaver's seat is the joiner's"
        );
        assert_eq!(active(&studio), 250);
    }
}

#[test]
fn an_activation_is_read_back() {
    let studio = with_seats(250, Full::StoreInactive, Atomicity::Transaction);
    studio.sync();
    leave(&studio, "user000");
    studio.sync();
    crate::rules::come_back(&studio, "user000");
    studio
        .ftrack()
        .change_rules(|rules| rules.seats = Some(251));
    let report = studio.sync();
    assert_eq!(
        (report.counts.reactivated, report.counts.failed),
        (0, 1),
        "{report:#?}"
    );
    assert!(
        errors(&report)[0]
            .1
            .contains("stored is_active as false instead of true"),
        "{report:#?}"
    );
    studio
        .ftrack()
        .change_rules(|rules| rules.seats = Some(252));
    assert_eq!(logins(&studio.sync(), Action::Reactivate), ["user000"]);
    studio.sync_changes_nothing();
}
