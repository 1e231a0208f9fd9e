//! Random days of a studio: people come, leave and change, and ftrack refuses, has no seats, or
//! loses answers.

use ftrack_ldap_sync::{
    demo::ftrack::{Account, Atomicity, CallKind, Collation, Emails, Fault, Full, Rules},
    model::{
        change::HeldBy,
        report::{ChangeResult, Outcome},
    },
};
use proptest::{prelude::*, sample::select};

use super::witness;
use crate::{
    faults::NO_LIMIT,
    rules::{account, by_hand},
    studio::{Studio, dn, person},
};

/// The logins there are; few, so that they change hands.
const LOGINS: [&str; 8] = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];

/// What one person goes through before a run.
#[derive(Debug, Clone)]
pub enum Turn {
    /// Somebody new with this login.
    Joins(&'static str),
    /// Whoever has this login leaves for good.
    Leaves(&'static str),
    /// Whoever has this login is out of sight, or in sight again.
    Moves(&'static str),
    /// From a login to another; whoever has the other gets the first.
    Renames(&'static str, &'static str),
    /// Gets the mail address of that login.
    Mail(&'static str, &'static str),
    /// Gets another last name.
    LastName(&'static str, u8),
    /// A person at ftrack switches the user on or off.
    ByHand(&'static str, bool),
    /// Somebody makes a user at ftrack that nobody owns.
    Stranger(&'static str),
}

/// How ftrack behaves during a run.
#[derive(Debug, Clone)]
pub struct Day {
    refused: Vec<&'static str>,
    seats: Option<(usize, bool)>,
    fault: Option<(u64, u8)>,
}

/// Some turns, and the day of the run after them.
#[derive(Debug, Clone)]
pub struct Step {
    turns: Vec<Turn>,
    day: Day,
}

/// Two to four runs with what goes before each.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let login = || select(&LOGINS[..]);
    let turn = prop_oneof![
        4 => login().prop_map(Turn::Joins),
        1 => login().prop_map(Turn::Leaves),
        2 => login().prop_map(Turn::Moves),
        3 => (login(), login()).prop_map(|(a, b)| Turn::Renames(a, b)),
        2 => (login(), login()).prop_map(|(a, b)| Turn::Mail(a, b)),
        2 => (login(), any::<u8>()).prop_map(|(a, n)| Turn::LastName(a, n)),
        1 => (login(), any::<bool>()).prop_map(|(a, on)| Turn::ByHand(a, on)),
        1 => login().prop_map(Turn::Stranger),
    ];
    let day = (
        proptest::collection::vec(login(), 0..3),
        proptest::option::of((0_usize..9, any::<bool>())),
        proptest::option::of((1_u64..5, 0_u8..4)),
    );
    let day = day.prop_map(|(refused, seats, fault)| Day {
        refused,
        seats,
        fault,
    });
    let step =
        (proptest::collection::vec(turn, 1..10), day).prop_map(|(turns, day)| Step { turns, day });
    proptest::collection::vec(step, 2..5)
}

/// What this server does where servers differ.
pub fn rules(partial: bool, ignores_case: bool, unique_mail: bool) -> Rules {
    Rules {
        atomicity: if partial {
            Atomicity::PartialUntilError
        } else {
            Atomicity::Transaction
        },
        collation: if ignores_case {
            Collation::IgnoreCase
        } else {
            Collation::Exact
        },
        emails: if unique_mail {
            Emails::Unique
        } else {
            Emails::Shared
        },
        ..Rules::default()
    }
}

/// Plays a scenario: after each run the report is compared with what was written, and in the end
/// everything heals.
pub fn play(rules: Rules, steps: &[Step]) {
    let mut studio = Studio::with(rules);
    studio.job = format!("{NO_LIMIT}\nlimits.min_entries = 0");
    studio.ftrack_settings = "request_timeout = \"2s\"".into();
    // Somebody always stays: a base that suddenly shows nobody is doubted.
    studio
        .tree()
        .add(person("anchor", "Given", "Anchor"))
        .unwrap();
    for Step { turns, day } in steps {
        for turn in turns {
            take(&studio, turn);
        }
        set(&studio, day);
        witness::sync(&studio);
        studio.ftrack().heal();
    }
    studio.ftrack().change_rules(|rules| {
        rules.seats = None;
        rules.refused_users.clear();
        // Two of the studio may have one address by now, which is nothing that a sync could mend.
        rules.emails = Emails::Shared;
    });
    let healed = witness::sync(&studio);
    // A successor who wants the login of somebody who left waits for a person, also when the user of
    // that one is deactivated.
    let held = healed
        .changes
        .iter()
        .filter(|change| change.result == ChangeResult::Held);
    assert!(
        held.clone()
            .all(|change| matches!(change.held_by, Some(HeldBy::Successor | HeldBy::Returner))),
        "{healed:#?}"
    );
    let counts = &healed.counts;
    let expected = match (counts.held, counts.unsettled) {
        (0, 0) => Outcome::Succeeded,
        (0, _) => Outcome::Partial,
        (_, _) => Outcome::Held,
    };
    assert_eq!(
        (
            healed.outcome,
            counts.failed,
            counts.held,
            counts.unconfirmed
        ),
        (expected, 0, held.count(), 0),
        "{healed:#?}"
    );
    let again = witness::sync(&studio);
    assert_eq!(
        (again.ftrack.write_calls, again.outcome, again.changes.len()),
        (0, expected, counts.held),
        "{again:#?}"
    );
    for user in studio.ftrack().users() {
        assert!(!user.username.contains("swap"), "{user:#?}");
    }
}

/// A turn that does not apply (nobody has the login, the name is taken) is none.
fn take(studio: &Studio, turn: &Turn) {
    let tree = studio.tree();
    let away = |uid: &str| format!("uid={uid},dc=studio,dc=test");
    match turn {
        Turn::Joins(uid) => drop(tree.add(person(uid, "Given", uid))),
        Turn::Leaves(uid) => drop(tree.remove(&dn(uid))),
        Turn::Moves(uid) => {
            if tree.rename(&dn(uid), &away(uid)).is_err() {
                let _ = tree.rename(&away(uid), &dn(uid));
            }
        }
        Turn::Renames(from, to) => {
            let _ = tree.rename(&dn(to), &dn("between"));
            let _ = tree.rename(&dn(from), &dn(to));
            let _ = tree.rename(&dn("between"), &dn(from));
        }
        Turn::Mail(uid, of) => {
            drop(tree.replace(&dn(uid), "mail", &[&format!("{of}@studio.test")]))
        }
        Turn::LastName(uid, number) => {
            drop(tree.replace(&dn(uid), "sn", &[&format!("Name {number}")]))
        }
        Turn::ByHand(uid, active) => {
            if studio.ftrack().user(uid).is_some() {
                by_hand(studio, uid, &serde_json::json!({"is_active": active}));
            }
        }
        Turn::Stranger(uid) => {
            let taken = studio
                .ftrack()
                .users()
                .iter()
                .any(|user| user.username.eq_ignore_ascii_case(uid));
            if !taken {
                let stranger = Account {
                    email: None,
                    ..account(uid)
                };
                studio.ftrack().add_user(&stranger).unwrap();
            }
        }
    }
}

fn set(studio: &Studio, day: &Day) {
    let active = studio
        .ftrack()
        .users()
        .iter()
        .filter(|user| user.is_active)
        .count();
    studio.ftrack().change_rules(|rules| {
        rules.refused_users = day.refused.iter().map(|uid| (*uid).to_owned()).collect();
        rules.seats = day.seats.map(|(seats, _)| active.max(2) + seats / 2);
        rules.full = match day.seats {
            Some((_, true)) => Full::StoreInactive,
            Some((_, false)) | None => Full::Refuse,
        };
    });
    let Some((number, kind)) = day.fault else {
        return;
    };
    let fault = match kind {
        0 => Fault::ResetAfter,
        1 => Fault::TruncatedJson,
        2 => Fault::CutBody,
        _ => Fault::ResetBefore,
    };
    let mut writes = 0;
    studio.ftrack().fail_when(move |call| {
        writes += u64::from(call.kind == CallKind::Write);
        (call.kind == CallKind::Write && writes == number).then(|| fault.clone())
    });
}
