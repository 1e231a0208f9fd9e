//! A licence without free seats, with and without an error.

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, Full, Licence, Rules},
    model::{
        change::Action,
        explanation::Verdict,
        report::{ChangeResult, Outcome, Report, Seats},
    },
};
use serde_json::{Value, json};

use super::{errors, studio_of};
use crate::{
    rules::{leave, logins},
    situations::Situation,
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
                assert_eq!(
                    (counts.unsettled, counts.failed, active(&studio)),
                    (245, 0, 5),
                    "{what}"
                );
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
                report.counts.unsettled
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
        (report.counts.reactivated, report.counts.unsettled),
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

/// People who are not in the order of their logins, with so many seats beside the administrators'.
fn few(full: Full, seats: usize) -> Situation {
    let situation = Situation::of(&["eve", "Bob", "fay", "cyd", "gil", "dan"]);
    situation.ftrack().change_rules(|rules| {
        rules.seats = Some(seats + 2);
        rules.full = full;
    });
    situation
}

/// The people who are active, in the order of their logins.
fn active_people(studio: &Studio) -> Vec<String> {
    let users = studio.ftrack().users().into_iter();
    let active = users.filter(|user| user.is_active);
    let mut names: Vec<String> = active.map(|user| user.username.to_lowercase()).collect();
    names.retain(|name| !matches!(name.as_str(), "ldap-sync" | "admin"));
    names.sort_unstable();
    names
}

fn unsettled(report: &Report) -> Vec<&str> {
    let changes = report.changes.iter();
    let unsettled = changes.filter(|change| change.result == ChangeResult::Unsettled);
    let mut logins: Vec<&str> = unsettled.map(|change| &*change.username).collect();
    logins.sort_unstable();
    logins
}

#[test]
fn seats_go_by_login_and_those_without_one_come_first_the_next_time() {
    for full in [Full::Refuse, Full::StoreInactive] {
        let situation = few(full, 3);
        let report = situation.sync();
        assert_eq!(active_people(&situation), ["bob", "cyd", "dan"], "{full:?}");
        assert_eq!(unsettled(&report), ["eve", "fay", "gil"], "{full:?}");
        let counts = &report.counts;
        assert_eq!(
            (
                report.outcome,
                counts.unsettled,
                counts.failed,
                counts.created
            ),
            (Outcome::Partial, 3, 0, 3),
            "{full:?}: {report:#?}"
        );
        let text = situation.report_text(&report);
        assert!(
            text.contains("3 people are without a seat: eve; fay; gil")
                && text.contains("3 without a seat.")
                && text.contains("NO SEAT"),
            "{full:?}: {text}"
        );

        // Who comes later does not overtake them, whatever the login.
        situation.tree().add(person("ada", "Ada", "A")).unwrap();
        situation
            .ftrack()
            .change_rules(|rules| rules.seats = Some(6));
        let report = situation.sync();
        assert_eq!(active_people(&situation), ["bob", "cyd", "dan", "eve"]);
        assert_eq!(unsettled(&report), ["ada", "fay", "gil"], "{full:?}");
        // Among those who got none the last time, it goes by login again.
        situation
            .ftrack()
            .change_rules(|rules| rules.seats = Some(8));
        situation.sync();
        assert_eq!(
            active_people(&situation),
            ["ada", "bob", "cyd", "dan", "eve", "fay"],
            "{full:?}"
        );
        situation.ftrack().change_rules(|rules| rules.seats = None);
        assert_eq!(situation.sync().outcome, Outcome::Succeeded);
        situation.sync_changes_nothing();
    }
}

#[test]
fn a_leaver_makes_room_for_who_waits_longest() {
    for full in [Full::Refuse, Full::StoreInactive] {
        let situation = few(full, 5);
        assert_eq!(unsettled(&situation.sync()), ["gil"], "{full:?}");
        situation.tree().add(person("ada", "Ada", "A")).unwrap();
        leave(&situation, "cyd");
        let report = situation.sync();
        assert_eq!(unsettled(&report), ["ada"], "{full:?}");
        assert_eq!(
            active_people(&situation),
            ["bob", "dan", "eve", "fay", "gil"],
            "{full:?}"
        );
    }
}

#[test]
fn explain_says_who_has_no_seat() {
    for full in [Full::Refuse, Full::StoreInactive] {
        let situation = few(full, 5);
        let report = situation.sync();
        for arguments in [&["gil"][..], &["gil", "--run", &report.run]] {
            let explained = situation.explain(arguments).unwrap();
            assert_eq!(
                explained.verdict,
                Verdict::NoSeat,
                "{full:?}: {explained:#?}"
            );
        }
        let explained = situation.explain(&["fay"]).unwrap();
        assert_eq!(explained.verdict, Verdict::InStep);
    }
}

#[test]
fn how_many_are_free_is_told_and_warned_of_where_they_are_not_enough() {
    let situation = few(Full::Refuse, 4);
    let plan = situation.plan(&[]).unwrap();
    let seats = Seats {
        all: 6,
        used: 2,
        free: 4,
        needed: 6,
        freed: 0,
    };
    assert_eq!(plan.ftrack.unwrap().seats, Some(seats));
    let told = |warnings: &[String]| {
        let words = "6 seats, of which 4 are free, and 6 users are to become active: 2 of them";
        warnings.iter().any(|warning| warning.contains(words))
    };
    assert!(told(&plan.warnings), "{:#?}", plan.warnings);
    let text = situation.plan_text();
    assert!(
        text.contains("seats      4 of 6 free; 6 users become active"),
        "{text}"
    );
    let report = situation.sync();
    assert_eq!(report.ftrack.seats, Some(seats));
    assert!(told(&report.warnings), "{:#?}", report.warnings);

    // Enough of them once somebody left, and nobody else is warned.
    situation
        .ftrack()
        .change_rules(|rules| rules.seats = Some(7));
    leave(&situation, "Bob");
    let report = situation.sync();
    let seats = Seats {
        all: 7,
        used: 6,
        free: 1,
        needed: 2,
        freed: 1,
    };
    assert_eq!(report.ftrack.seats, Some(seats));
    assert_eq!(report.warnings, [""; 0]);
    assert_eq!(report.outcome, Outcome::Succeeded);
    // Where nobody becomes active, nobody asks.
    let before = situation.sync_changes_nothing();
    assert_eq!(before.ftrack.seats, None);
    situation.ftrack().change_rules(|rules| rules.seats = None);
    let after = situation.sync_changes_nothing();
    assert_eq!(before.ftrack.read_calls, after.ftrack.read_calls);
}

#[test]
fn what_a_server_tells_of_its_licence_stops_nothing() {
    let odd = [
        json!(null),
        json!("unlimited"),
        json!({"seats": 1}),
        json!([{"feature_id": "ftrack", "quantity": -1}]),
        json!([{"feature_id": "a", "quantity": 1}, {"feature_id": "b", "quantity": 9}]),
        json!([[[]]]),
    ];
    let odd = odd.into_iter().map(Licence::Other);
    for licence in odd.chain([Licence::Withheld]) {
        let situation = Situation::of(&["ada", "bob"]);
        let told = licence.clone();
        situation
            .ftrack()
            .change_rules(|rules| rules.licence = told);
        let report = situation.sync();
        assert_eq!(
            (report.outcome, report.counts.created, report.ftrack.seats),
            (Outcome::Succeeded, 2, None),
            "{licence:?}"
        );
        assert_eq!(report.warnings, [""; 0]);
    }
    // A number that is wrong is told, and nobody waits for it.
    let situation = Situation::of(&["ada", "bob"]);
    situation.ftrack().change_rules(|rules| {
        rules.licence = Licence::Other(json!([{"feature_id": "ftrack", "quantity": 1}]));
    });
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.created, report.warnings.len()),
        (Outcome::Succeeded, 2, 1),
        "{report:#?}"
    );
}

#[test]
fn check_tells_how_many_seats_are_free() {
    let situation = few(Full::Refuse, 4);
    let checked = |situation: &Situation| -> Vec<(String, String)> {
        let ended = situation.run(&["check", "--format", "json"]);
        let all: Value = serde_json::from_str(&ended.stdout).unwrap();
        let findings = all["findings"].as_array().unwrap().iter();
        let of_seats = findings.filter(|finding| finding["check"] == "seats");
        of_seats
            .map(|finding| {
                let text = |key: &str| finding[key].as_str().unwrap().to_owned();
                (text("result"), text("detail"))
            })
            .collect()
    };
    let finding = |result: &str, detail: &str| vec![(result.to_owned(), detail.to_owned())];
    assert_eq!(checked(&situation), finding("ok", "4 of 6 seats are free"));
    situation
        .ftrack()
        .change_rules(|rules| rules.seats = Some(2));
    assert_eq!(
        checked(&situation),
        finding("warn", "0 of 2 seats are free")
    );
    situation
        .ftrack()
        .change_rules(|rules| rules.licence = Licence::Withheld);
    let unknown =
        "ftrack does not tell how many seats there are, so whether some are free is not known";
    assert_eq!(checked(&situation), finding("ok", unknown));
}
