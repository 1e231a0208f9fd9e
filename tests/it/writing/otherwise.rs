//! Values that ftrack stores otherwise than they are written: written once, with a note, and not
//! again until one of the two sides changes.

use std::fs;

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, Full, Rules, Stores},
    model::report::Outcome,
};
use serde_json::{Value, json};

use super::{errors, studio_of};
use crate::{
    faults::NO_LIMIT,
    rules::by_hand,
    studio::{Studio, dn, person},
};

/// An ftrack that stores these attributes otherwise.
pub fn storing(stores: &[(&str, Stores)]) -> Rules {
    let stores = stores.iter().cloned();
    Rules {
        stores: stores.map(|(name, how)| (name.to_owned(), how)).collect(),
        ..Rules::default()
    }
}

/// One person, with this mail address.
fn casey(rules: Rules, mail: &str) -> Studio {
    let mut studio = Studio::with(rules);
    studio.job = NO_LIMIT.into();
    studio
        .tree()
        .add(person("casey", "Casey", "Mixed"))
        .unwrap();
    studio
        .tree()
        .replace(&dn("casey"), "mail", &[mail])
        .unwrap();
    studio
}

/// The notes of the last run, as the program prints its report.
pub fn notes(studio: &Studio) -> Vec<String> {
    let ended = studio.run(&["runs", "show", "last", "--format", "json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let changes = report["changes"].as_array().unwrap();
    let notes = changes.iter().filter_map(|change| change["note"].as_str());
    notes.map(ToOwned::to_owned).collect()
}

const NOTE: &str =
    "ftrack stores email as \"casey.mixed@studio.test\" instead of \"Casey.Mixed@Studio.Test\"";

fn mixed() -> Studio {
    casey(
        storing(&[("email", Stores::LowerCase)]),
        "Casey.Mixed@Studio.Test",
    )
}

#[test]
fn it_counts_as_written_with_a_note_and_is_not_written_again() {
    let studio = mixed().end_to_end();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.created, report.counts.failed),
        (Outcome::Succeeded, 1, 0),
        "{report:#?}"
    );
    assert_eq!(notes(&studio), [NOTE]);
    let text = studio.run(&["runs", "show", "last"]).stdout;
    assert!(text.contains(NOTE), "{text}");
    for _ in 0..3 {
        studio.sync_changes_nothing();
    }
    assert!(studio.plan(&[]).unwrap().changes.is_empty());
}

#[test]
fn it_is_written_again_when_one_of_the_two_sides_changes() {
    let studio = mixed();
    studio.sync();
    let mail = |mail: &str| {
        studio
            .tree()
            .replace(&dn("casey"), "mail", &[mail])
            .unwrap()
    };
    let updated_once = |there: &str| {
        let report = studio.sync();
        assert_eq!(
            (report.outcome, report.counts.updated),
            (Outcome::Succeeded, 1),
            "{report:#?}"
        );
        assert_eq!(studio.user("casey").email.as_deref(), Some(there));
        studio.sync_changes_nothing();
    };
    mail("Casey.Other@Studio.Test");
    updated_once("casey.other@studio.test");
    // In another form, which ftrack stores as before.
    mail("CASEY.Other@Studio.Test");
    updated_once("casey.other@studio.test");
    by_hand(&studio, "casey", &json!({"email": "elsewhere@studio.test"}));
    updated_once("casey.other@studio.test");
    // What ftrack stores is what is wanted: nothing is left to be known.
    mail("casey.other@studio.test");
    studio.sync_changes_nothing();
    assert_eq!(known(&studio), 0);
}

/// How many values are known to be stored otherwise.
pub fn known(studio: &Studio) -> i64 {
    let database = rusqlite::Connection::open(studio.state_dir().join("state.db")).unwrap();
    database
        .query_row("SELECT count(*) FROM stored_values", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap()
}

#[test]
fn without_the_state_it_is_written_once_more() {
    let studio = mixed();
    studio.sync();
    fs::remove_dir_all(studio.state_dir()).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.updated),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
    assert_eq!(notes(&studio), [NOTE]);
    studio.sync_changes_nothing();
    assert_eq!(known(&studio), 1);
}

#[test]
fn a_login_is_created_once_and_renamed_once() {
    let studio = casey(
        storing(&[("username", Stores::LowerCase)]),
        "casey@studio.test",
    );
    studio
        .tree()
        .rename(&dn("casey"), &dn("Casey.Mixed"))
        .unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
    assert_eq!(
        notes(&studio),
        ["ftrack stores username as \"casey.mixed\" instead of \"Casey.Mixed\""]
    );
    studio.sync_changes_nothing();
    studio
        .tree()
        .rename(&dn("Casey.Mixed"), &dn("Casey.Smith"))
        .unwrap();
    assert_eq!(studio.sync().counts.updated, 1);
    assert_eq!(
        studio.user("casey.smith").email.as_deref(),
        Some("casey@studio.test")
    );
    studio.sync_changes_nothing();
}

#[test]
fn letters_that_are_left_out_or_replaced() {
    for (stores, stored, calls) in [
        (Stores::Without('+'), "casey.mixedplus@studio.test", 2),
        // Nothing tells that from somebody else's value, until it is stored a second time.
        (
            Stores::Replaced('+', '-'),
            "casey.mixed-plus@studio.test",
            2,
        ),
    ] {
        let studio = casey(
            storing(&[("email", stores.clone())]),
            "casey.mixed+plus@studio.test",
        );
        let report = studio.sync();
        assert_eq!(
            (report.outcome, report.counts.created),
            (Outcome::Succeeded, 1),
            "{stores:?}: {report:#?}"
        );
        assert_eq!(report.ftrack.write_calls, calls, "{stores:?}");
        assert_eq!(studio.user("casey").email.as_deref(), Some(stored));
        assert_eq!(notes(&studio).len(), 1, "{stores:?}");
        studio.sync_changes_nothing();
    }
}

#[test]
fn another_value_is_named_in_every_run_as_long_as_it_is_there() {
    let studio = casey(
        storing(&[
            ("email", Stores::Replaced('+', '-')),
            ("last_name", Stores::LowerCase),
        ]),
        "casey+plus@studio.test",
    );
    studio.sync();
    let warning = "ftrack stores other values than were written, and they are not written again \
                   until one of the two sides changes: email of the user \"casey\" as \
                   \"casey-plus@studio.test\" instead of \"casey+plus@studio.test\"";
    for _ in 0..2 {
        assert_eq!(studio.sync_changes_nothing().warnings, [warning]);
    }
    assert_eq!(studio.plan(&[]).unwrap().warnings, [warning]);
    studio
        .tree()
        .replace(&dn("casey"), "mail", &["casey@studio.test"])
        .unwrap();
    assert_eq!(studio.sync().counts.updated, 1);
    let none: [String; 0] = [];
    assert_eq!(studio.sync_changes_nothing().warnings, none);
}

#[test]
fn an_update_that_is_stored_otherwise() {
    let studio = casey(
        storing(&[
            ("email", Stores::Replaced('+', '-')),
            ("last_name", Stores::LowerCase),
        ]),
        "casey@studio.test",
    );
    studio.sync();
    let tree = studio.tree();
    tree.replace(&dn("casey"), "mail", &["casey+plus@studio.test"])
        .unwrap();
    tree.replace(&dn("casey"), "sn", &["Other"]).unwrap();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.updated),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
    let [note] = &notes(&studio)[..] else {
        panic!("{report:#?}")
    };
    assert!(
        note.contains("last_name as \"other\" instead of \"Other\"")
            && note.contains("email as \"casey-plus@studio.test\""),
        "{note}"
    );
    studio.sync_changes_nothing();
}

#[test]
fn what_ftrack_does_not_store_at_all_has_failed() {
    let studio = casey(storing(&[]), "casey@studio.test");
    studio.sync();
    studio
        .ftrack()
        .change_rules(|rules| rules.stores = storing(&[("last_name", Stores::Nothing)]).stores);
    studio
        .tree()
        .replace(&dn("casey"), "sn", &["Other"])
        .unwrap();
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(
            (report.outcome, report.counts.updated, report.counts.failed),
            (Outcome::Partial, 0, 1),
            "{report:#?}"
        );
        let [(_, error)] = errors(&report)[..] else {
            panic!("{report:#?}")
        };
        assert!(
            error.contains("stored last_name as \"Mixed\" instead of \"Other\""),
            "{error}"
        );
    }
}

#[test]
fn the_activity_is_never_stored_otherwise() {
    let rules = Rules {
        seats: Some(2),
        full: Full::StoreInactive,
        ..storing(&[("email", Stores::LowerCase)])
    };
    let studio = casey(rules, "Casey.Mixed@Studio.Test");
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(
            (
                report.outcome,
                report.counts.created,
                report.counts.unsettled
            ),
            (Outcome::Partial, 0, 1),
            "{report:#?}"
        );
        let [(_, error)] = errors(&report)[..] else {
            panic!("{report:#?}")
        };
        assert!(error.contains("stored is_active as false"), "{error}");
    }
    studio.ftrack().change_rules(|rules| rules.seats = None);
    assert_eq!(studio.sync().outcome, Outcome::Succeeded);
    studio.sync_changes_nothing();
}

#[test]
fn others_of_the_same_call_are_refused() {
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        let rules = Rules {
            atomicity,
            ..storing(&[("last_name", Stores::LowerCase)])
        };
        let studio = studio_of(6, rules);
        studio.sync();
        for number in 0..6 {
            let name = format!("Name {number}");
            studio
                .tree()
                .replace(&dn(&format!("user00{number}")), "sn", &[&name])
                .unwrap();
        }
        studio.ftrack().change_rules(|rules| {
            rules.refused_users.insert("user003".to_owned());
        });
        let report = studio.sync();
        assert_eq!(
            (report.outcome, report.counts.updated, report.counts.failed),
            (Outcome::Partial, 5, 1),
            "{atomicity:?}: {report:#?}"
        );
        studio
            .ftrack()
            .change_rules(|rules| rules.refused_users.clear());
        assert_eq!(studio.sync().counts.updated, 1);
        studio.sync_changes_nothing();
    }
}

#[test]
fn a_write_without_effect_has_failed_also_where_the_old_value_is_a_part_of_the_new_one() {
    let studio = casey(Rules::default(), "casey@studio.test");
    studio.sync();
    let stores = ("email".to_owned(), Stores::Nothing);
    studio
        .ftrack()
        .change_rules(|rules| rules.stores.extend([stores]));
    let mail = ["casey.mixed@studio.test"];
    studio.tree().replace(&dn("casey"), "mail", &mail).unwrap();
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(
            (report.outcome, report.counts.updated, report.counts.failed),
            (Outcome::Partial, 0, 1),
            "{report:#?}"
        );
    }
    studio.ftrack().change_rules(|rules| rules.stores.clear());
    assert_eq!(studio.sync().counts.updated, 1);
    assert_eq!(studio.user("casey").email.as_deref(), Some(mail[0]));
}
