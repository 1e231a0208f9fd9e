//! Logins and mail addresses that pass from one user to another within one run, under every rule of
//! a server.

use std::collections::BTreeMap;

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, Collation, Emails, Rules},
    model::report::Outcome,
};

use super::{assert_sound, errors};
use crate::{
    faults::NO_LIMIT,
    studio::{Studio, dn, person},
};

/// Every combination of what is not known of the server.
fn every_server() -> Vec<Rules> {
    let mut all = Vec::new();
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        for collation in [Collation::Exact, Collation::IgnoreCase] {
            for emails in [Emails::Shared, Emails::Unique] {
                all.push(Rules {
                    atomicity,
                    collation,
                    emails,
                    ..Rules::default()
                });
            }
        }
    }
    all
}

/// Gives entries new logins, all at once, as `(from, to)`; the mail addresses follow where they are
/// to.
fn rename(studio: &Studio, moves: &[(&str, &str)]) {
    for (from, _) in moves {
        studio
            .tree()
            .rename(&dn(from), &dn(&format!("moving-{from}")))
            .unwrap();
    }
    for (from, to) in moves {
        studio
            .tree()
            .rename(&dn(&format!("moving-{from}")), &dn(to))
            .unwrap();
    }
}

fn ids(studio: &Studio, uids: &[&str]) -> BTreeMap<String, String> {
    uids.iter()
        .map(|uid| ((*uid).to_owned(), studio.user(uid).id))
        .collect()
}

const ALL: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

/// Renames under every server; each user is to be the same one afterwards, in one run, and a second
/// run is to change nothing.
fn comes_out_right(moves: &[(&str, &str)], beside: impl Fn(&Studio)) {
    for rules in every_server() {
        let mut studio = Studio::with(rules.clone());
        studio.job = NO_LIMIT.into();
        for uid in ALL {
            studio.tree().add(person(uid, "Given", uid)).unwrap();
        }
        studio.sync();
        let before = ids(&studio, &ALL);
        rename(&studio, moves);
        beside(&studio);
        let report = studio.sync();
        assert_eq!(
            report.outcome,
            Outcome::Succeeded,
            "{moves:?} under {rules:?}: {:#?}",
            errors(&report)
        );
        for (from, to) in moves {
            assert_eq!(
                studio.user(to).id,
                before[*from],
                "{from} is {to} now, under {rules:?}"
            );
        }
        assert_sound(&studio);
        studio.sync_changes_nothing();
    }
}

#[test]
fn a_chain_of_logins_that_ends_in_a_new_user() {
    comes_out_right(
        &[("cyd", "zoe"), ("bob", "cyd"), ("ada", "bob")],
        |studio| {
            studio
                .tree()
                .add(person("ada", "Another", "Ada").with("title", "x"))
                .unwrap();
            studio
                .tree()
                .replace(&dn("ada"), "mail", &["another@studio.test"])
                .unwrap();
        },
    );
}

#[test]
fn two_swap_their_logins_and_change_their_case() {
    comes_out_right(&[("ada", "Bob"), ("bob", "ADA")], |_| {});
    comes_out_right(&[("ada", "Ada")], |_| {});
}

#[test]
fn three_rotate_their_logins_while_two_others_swap() {
    comes_out_right(
        &[
            ("ada", "bob"),
            ("bob", "cyd"),
            ("cyd", "ada"),
            ("eve", "fay"),
            ("fay", "eve"),
        ],
        |_| {},
    );
}

#[test]
fn mail_addresses_are_swapped_and_rotated() {
    comes_out_right(&[], |studio| {
        for (uid, mail) in [
            ("ada", "bob"),
            ("bob", "ada"),
            ("cyd", "dan"),
            ("dan", "eve"),
            ("eve", "cyd"),
        ] {
            studio
                .tree()
                .replace(&dn(uid), "mail", &[&format!("{mail}@studio.test")])
                .unwrap();
        }
    });
}

#[test]
fn logins_and_mail_addresses_go_round_in_opposite_directions() {
    comes_out_right(
        &[("ada", "bob"), ("bob", "cyd"), ("cyd", "ada")],
        |studio| {
            for (uid, mail) in [("bob", "cyd"), ("cyd", "ada"), ("ada", "bob")] {
                studio
                    .tree()
                    .replace(&dn(uid), "mail", &[&format!("{mail}@studio.test")])
                    .unwrap();
            }
        },
    );
}

#[test]
fn a_bad_record_within_a_rotation_leaves_nobody_between_two_logins() {
    for rules in every_server() {
        for bad in ["ada", "bob", "cyd"] {
            let mut studio = Studio::with(rules.clone());
            studio.job = NO_LIMIT.into();
            for uid in ALL {
                studio.tree().add(person(uid, "Given", uid)).unwrap();
            }
            studio.sync();
            let before = ids(&studio, &ALL);
            studio
                .ftrack()
                .change_rules(|rules| rules.refused_users = [before[bad].clone()].into());
            rename(&studio, &[("ada", "bob"), ("bob", "cyd"), ("cyd", "ada")]);
            studio
                .tree()
                .replace(&dn("dan"), "sn", &["Changed"])
                .unwrap();
            let report = studio.sync();
            let what = format!("{bad} is bad under {rules:?}: {:#?}", errors(&report));
            assert_eq!(report.outcome, Outcome::Partial, "{what}");
            assert_eq!(
                studio.user("dan").last_name.as_deref(),
                Some("Changed"),
                "{what}"
            );
            assert!(
                errors(&report)
                    .iter()
                    .any(|(_, error)| error.contains("is not valid")),
                "{what}"
            );
            assert_sound(&studio);
            studio
                .ftrack()
                .change_rules(|rules| rules.refused_users.clear());
            assert_eq!(studio.sync().outcome, Outcome::Succeeded, "{what}");
            assert_eq!(studio.user("bob").id, before["ada"], "{what}");
            studio.sync_changes_nothing();
        }
    }
}

#[test]
fn a_login_that_a_stranger_holds_is_not_taken_and_nothing_else_of_the_chain_is_lost() {
    let studio = Studio::of(&["ada", "bob"]);
    studio.sync();
    studio
        .ftrack()
        .add_user(&crate::rules::account("zoe"))
        .unwrap();
    // ada would free her login for bob, but cannot have the one she wants.
    rename(&studio, &[("ada", "zoe"), ("bob", "ada")]);
    let report = studio.sync();
    assert_eq!(
        (report.changes.len(), report.skipped.len()),
        (0, 2),
        "{report:#?}"
    );
    assert_sound(&studio);
}
