//! Killed at any moment of applying: the next run finishes the rest, and nobody is created twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod late;
mod recovered;
mod roles;
mod told_to_stop;

use std::{process::Child, sync::mpsc, time::Duration};

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, Call, CallKind, Fault},
    model::{
        edit::Field,
        link::Activity,
        report::{ChangeResult, Outcome, Report},
    },
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use crate::{
    faults::{NO_LIMIT, cases, owned},
    slapd::wait_until,
    studio::{Studio, dn, person},
};

/// How long the program may take to come to the moment that a test waits for.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Whether the call during which the program is killed takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Lost,
    Done,
}

/// What is to be done in the run that is killed, and when that happens.
#[derive(Debug, Clone)]
struct Crash {
    joiners: usize,
    updates: usize,
    leavers: usize,
    returners: usize,
    batch_size: usize,
    atomicity: Atomicity,
    /// The call, counted from the first that writes; those that look at the result count as well.
    nth: u64,
    effect: Effect,
}

fn crash() -> impl Strategy<Value = Crash> {
    let atomicity = select(vec![Atomicity::Transaction, Atomicity::PartialUntilError]);
    let effect = select(vec![Effect::Lost, Effect::Done]);
    let people = (0_usize..6, 0_usize..4, 0_usize..4, 0_usize..3);
    (people, 1_usize..6, atomicity, 1_u64..14, effect).prop_map(
        |((joiners, updates, leavers, returners), batch_size, atomicity, nth, effect)| Crash {
            joiners,
            updates,
            leavers,
            returners,
            batch_size,
            atomicity,
            nth,
            effect,
        },
    )
}

proptest! {
    #![proptest_config(cases(14))]
    #[test]
    fn the_next_run_finishes_what_a_killed_one_began(crash in crash()) {
        survive(&crash);
    }
}

fn survive(crash: &Crash) {
    let studio = studio(crash);
    let moment = moment(&studio, crash.effect, after_first_write(crash.nth));
    let mut child = studio.start(&["sync", "--format", "json"]);
    let killed = kill_at(&studio, &mut child, &moment, crash.effect);
    studio.ftrack().heal();

    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_everything_is_right(&studio, crash);
    if !killed {
        assert_eq!(report.changes, []);
    }
    late::pass_time(&studio);
    studio.sync_changes_nothing();
    if killed {
        assert_the_killed_run_is_told(&studio, &report);
    }
}

/// A studio in which every kind of change is due, and two people whose activity somebody changed by
/// hand.
fn studio(crash: &Crash) -> Studio {
    let mut studio = Studio::of(&["stay", "swap-a", "swap-b", "hand-off", "hand-on"]).end_to_end();
    studio.job = NO_LIMIT.into();
    studio.ftrack_settings = format!("batch_size = {}", crash.batch_size);
    studio
        .ftrack()
        .change_rules(|rules| rules.atomicity = crash.atomicity);
    let tree = studio.tree();
    for (kind, count) in [
        ("update", crash.updates),
        ("leave", crash.leavers),
        ("back", crash.returners),
    ] {
        for nth in 0..count {
            tree.add(person(&format!("{kind}{nth}"), "Given", kind))
                .unwrap();
        }
    }
    studio.sync();
    let away = |uid: &str| format!("uid={uid},ou=services,dc=studio,dc=test");
    tree.rename(&dn("hand-on"), &away("hand-on")).unwrap();
    for nth in 0..crash.returners {
        tree.rename(&dn(&format!("back{nth}")), &away(&format!("back{nth}")))
            .unwrap();
    }
    assert_eq!(studio.sync().counts.deactivated, crash.returners + 1);
    by_hand(&studio, "hand-on", &json!({"is_active": true}));
    by_hand(&studio, "hand-off", &json!({"is_active": false}));
    // That somebody reactivated a leaver is noted once.
    assert_eq!(studio.sync().counts.updated, 1);
    studio.sync_changes_nothing();

    for nth in 0..crash.returners {
        tree.rename(&away(&format!("back{nth}")), &dn(&format!("back{nth}")))
            .unwrap();
    }
    for nth in 0..crash.updates {
        tree.replace(
            &dn(&format!("update{nth}")),
            "mail",
            &[&format!("new{nth}@studio.test")],
        )
        .unwrap();
    }
    for nth in 0..crash.leavers {
        tree.remove(&dn(&format!("leave{nth}"))).unwrap();
    }
    for nth in 0..crash.joiners {
        tree.add(person(&format!("new{nth}"), "Given", "New"))
            .unwrap();
    }
    tree.rename(&dn("swap-a"), &dn("between")).unwrap();
    tree.rename(&dn("swap-b"), &dn("swap-a")).unwrap();
    tree.rename(&dn("between"), &dn("swap-b")).unwrap();
    studio
}

fn by_hand(studio: &Studio, username: &str, fields: &Value) {
    let id = studio.user(username).id;
    studio
        .ftrack()
        .change("User", &json!([id]), fields)
        .unwrap();
}

/// Chooses the n-th call from the first on that writes.
pub fn after_first_write(nth: u64) -> impl FnMut(&Call) -> bool + Send + 'static {
    let mut seen = 0;
    move |call| {
        seen += u64::from(call.kind == CallKind::Write || seen > 0);
        seen == nth
    }
}

/// Says when the chosen call has come, which is never answered.
pub fn moment(
    studio: &Studio,
    effect: Effect,
    mut chosen: impl FnMut(&Call) -> bool + Send + 'static,
) -> mpsc::Receiver<Call> {
    let (say, heard) = mpsc::channel();
    studio.ftrack().forget();
    studio.ftrack().fail_when(move |call| {
        chosen(call).then(|| {
            say.send(*call).unwrap();
            match effect {
                Effect::Lost => Fault::StallBefore,
                Effect::Done => Fault::StallAfter,
            }
        })
    });
    heard
}

/// Kills the program at the moment; false when it came to its end before.
pub fn kill_at(
    studio: &Studio,
    child: &mut Child,
    moment: &mpsc::Receiver<Call>,
    effect: Effect,
) -> bool {
    let mut call = None;
    let come = wait_until(LIMIT, || {
        call = call.or_else(|| moment.try_recv().ok());
        call.is_some() || child.try_wait().unwrap().is_some()
    });
    assert!(come, "neither the moment nor the end came");
    let Some(call) = call else { return false };
    if (call.kind, effect) == (CallKind::Write, Effect::Done) {
        let done = || {
            studio
                .ftrack()
                .applied()
                .iter()
                .any(|applied| applied.call == call.number)
        };
        assert!(wait_until(LIMIT, done), "the call had no effect");
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it was not killed");
    true
}

/// Everybody has one user, with the right login, mail, activity and link.
fn assert_everything_is_right(studio: &Studio, crash: &Crash) {
    let owned = owned(studio);
    let people = 5 + crash.joiners + crash.updates + crash.leavers + crash.returners;
    assert_eq!(
        (owned.len(), studio.ftrack().users().len()),
        (people, people + 2)
    );
    let counted = |kind: &str, count: usize| {
        (0..count)
            .map(move |nth| format!("{kind}{nth}"))
            .collect::<Vec<_>>()
    };
    let mut there = vec!["stay".to_owned(), "swap-a".into(), "swap-b".into()];
    for (kind, count) in [
        ("new", crash.joiners),
        ("update", crash.updates),
        ("back", crash.returners),
    ] {
        there.extend(counted(kind, count));
    }
    for uid in there {
        let id = studio.tree().entry_uuid(&dn(&uid)).unwrap().to_string();
        let mail = studio.tree().find(&dn(&uid)).unwrap().values("mail")[0].clone();
        let (user, link) = &owned[&id];
        assert_eq!(
            (&user.username, user.is_active, &link.activity),
            (&uid, true, &Activity::Settled)
        );
        assert_eq!(user.email.as_deref().map(str::as_bytes), Some(&mail[..]));
    }
    for uid in counted("leave", crash.leavers) {
        let user = studio.user(&uid);
        let (_, link) = owned
            .values()
            .find(|(owned, _)| owned.id == user.id)
            .unwrap();
        assert!(
            !user.is_active && matches!(link.activity, Activity::Deactivated { .. }),
            "{user:?}"
        );
    }
    assert!(studio.user("hand-on").is_active);
    assert!(!studio.user("hand-off").is_active);
}

/// The killed run has a report of its own, which says that it was cut off, and claims nothing that
/// was still to be done.
pub fn assert_the_killed_run_is_told(studio: &Studio, next: &Report) {
    let listed: Vec<Value> =
        serde_json::from_str(&studio.run(&["runs", "--format", "json"]).stdout).unwrap();
    let failed: Vec<&str> = listed
        .iter()
        .filter(|run| run["outcome"] == "failed")
        .filter_map(|run| run["run"].as_str())
        .collect();
    let [killed] = failed[..] else {
        panic!("one run failed, not these: {failed:?}")
    };
    assert_ne!(killed, next.run);
    let shown = studio.run(&["runs", "show", killed, "--format", "json"]);
    let report = shown.report();
    assert!(
        report
            .error
            .as_ref()
            .is_some_and(|error| error.contains("the program ended in the middle of the run")),
        "{report:#?}"
    );
    assert!(!report.changes.is_empty());
    for change in &report.changes {
        // Of what it had not done, the next run has done the same, or something else.
        assert!(
            matches!(
                change.result,
                ChangeResult::Applied | ChangeResult::Planned | ChangeResult::Failed
            ),
            "{change:?}"
        );
        // Of what it did, the link at most is left.
        let due_again = next.changes.iter().any(|later| {
            let is_link_alone = later.fields.keys().all(|field| *field == Field::Link);
            later.ftrack_id == change.ftrack_id && !is_link_alone
        });
        assert!(
            !(change.result == ChangeResult::Applied && due_again),
            "{change:?}"
        );
    }
    let applied = report
        .changes
        .iter()
        .filter(|change| change.result == ChangeResult::Applied)
        .count();
    let counts = &report.counts;
    assert_eq!(
        counts.created + counts.updated + counts.deactivated + counts.reactivated + counts.adopted,
        applied
    );
}

/// The journal of a run is read as far as it is whole: a machine that loses power leaves half a
/// line.
#[test]
fn a_journal_that_ends_in_the_middle_of_a_line() {
    let crash = Crash {
        joiners: 6,
        updates: 2,
        leavers: 2,
        returners: 1,
        batch_size: 2,
        atomicity: Atomicity::Transaction,
        nth: 7,
        effect: Effect::Done,
    };
    for damage in [
        &b"{\"change\":1,\"res"[..],
        b"\xff\xfe\n",
        b"{}\n",
        b"{\"change\":99999,\"result\":\"applied\",\"error\":null}\n",
    ] {
        let studio = studio(&crash);
        let moment = moment(&studio, crash.effect, after_first_write(crash.nth));
        let mut child = studio.start(&["sync", "--format", "json"]);
        assert!(kill_at(&studio, &mut child, &moment, crash.effect));
        studio.ftrack().heal();
        let folder = studio.state_dir().join("journals/artists");
        let journal = std::fs::read_dir(&folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let mut content = std::fs::read(&journal).unwrap();
        content.extend_from_slice(damage);
        std::fs::write(&journal, content).unwrap();
        let report = studio.sync();
        assert_everything_is_right(&studio, &crash);
        late::pass_time(&studio);
        studio.sync_changes_nothing();
        assert_the_killed_run_is_told(&studio, &report);
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            0,
            "the journal stays behind"
        );
    }
}
