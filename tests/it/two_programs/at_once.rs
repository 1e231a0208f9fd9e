//! Two real programs with their own state, started at the same time for the same people.

use std::{collections::BTreeMap, process::Child};

use ftrack_ldap_sync::{
    demo::ftrack::{Account, Atomicity, Call, CallKind, Fault, Gate, Rules},
    model::{
        change::Action,
        report::{ChangeResult, Report},
    },
};

use super::report;
use crate::{
    faults::{NO_LIMIT, owned},
    rules::{account, activity},
    studio::Studio,
    writing::{many, studio_of},
};

/// Starts the program with the state of one or the other.
fn start(studio: &Studio, which: &str) -> Child {
    let state = studio.folder().join(format!("state-{which}"));
    let mut command = studio.command(&["sync", "--format", "json"]);
    command
        .env("FTRACK_LDAP_SYNC_STATE_DIR", state)
        .spawn()
        .unwrap()
}

/// The reports of two programs that ran at once.
fn both(studio: &Studio) -> [Report; 2] {
    [start(studio, "a"), start(studio, "b")].map(report)
}

/// How often users were reported as created or adopted.
fn claimed(reports: &[Report]) -> BTreeMap<String, usize> {
    let mut claims = BTreeMap::new();
    for change in reports.iter().flat_map(|report| &report.changes) {
        if matches!(change.action, Action::Create | Action::Adopt)
            && change.result == ChangeResult::Applied
        {
            *claims.entry(change.ftrack_id.to_string()).or_default() += 1;
        }
    }
    claims
}

/// Each of the users that were written is reported by one program, and in the end everything is
/// settled.
fn comes_out_right(
    studio: &Studio,
    atomicity: Atomicity,
    fault: impl FnMut(&Call) -> Option<Fault> + Send + 'static,
) {
    let before: Vec<Account> = studio.ftrack().users();
    studio.ftrack().fail_when(fault);
    let reports = both(studio);
    studio.ftrack().heal();
    let counts = reports
        .each_ref()
        .map(|report| report.counts.created + report.counts.adopted);
    let claims = claimed(&reports);
    let after = studio.ftrack().users();
    let is_new = |user: &&Account| !before.contains(user);
    let written: Vec<&String> = after.iter().filter(is_new).map(|user| &user.id).collect();
    assert_eq!(
        claims.keys().collect::<Vec<_>>(),
        claims.keys().collect::<Vec<_>>(),
        "{reports:#?}"
    );
    assert!(
        claims.values().all(|claims| *claims == 1),
        "{claims:#?} {reports:#?}"
    );
    assert_eq!(counts.iter().sum::<usize>(), written.len(), "{reports:#?}");
    if atomicity == Atomicity::Transaction && before.len() == 2 {
        // Whom the other created is nothing that failed.
        let failed = reports.each_ref().map(|report| report.counts.failed);
        assert_eq!(failed, [0, 0], "{reports:#?}");
    }
    assert_eq!(owned(studio).len(), written.len());
    // Whatever was left is finished, and nobody is created twice.
    for which in ["a", "b"] {
        let again = report(start(studio, which));
        assert!(again.error.is_none(), "{again:#?}");
    }
    for uid in many(30) {
        assert_eq!(
            (activity(studio, &uid).as_str(), studio.user(&uid).is_active),
            ("settled", true)
        );
    }
    assert_eq!(owned(studio).len(), 30);
    assert_eq!(report(start(studio, "a")).changes, []);
    assert_eq!(report(start(studio, "b")).changes, []);
}

/// Thirty people, of whom ten have users that nobody owns.
fn studio(atomicity: Atomicity, batch_size: usize, adopted: usize) -> Studio {
    let mut studio = studio_of(
        30,
        Rules {
            atomicity,
            ..Rules::default()
        },
    );
    studio.job = NO_LIMIT.into();
    studio.ftrack_settings = format!("batch_size = {batch_size}\nrequest_timeout = \"2s\"");
    for uid in many(adopted) {
        studio.ftrack().add_user(&account(&uid)).unwrap();
    }
    studio
}

fn every_way(adopted: usize, fault: impl Fn() -> Box<dyn FnMut(&Call) -> Option<Fault> + Send>) {
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        for batch_size in [100, 7] {
            comes_out_right(&studio(atomicity, batch_size, adopted), atomicity, fault());
        }
    }
}

#[test]
fn each_user_is_created_once_and_reported_by_who_created_it() {
    // The first call to write is lost on its way, so that the other program has read the same by
    // then.
    every_way(0, || {
        let mut first = true;
        Box::new(move |call| {
            (call.kind == CallKind::Write && std::mem::take(&mut first))
                .then_some(Fault::ResetBefore)
        })
    });
}

#[test]
fn writes_that_are_late() {
    every_way(0, || {
        // Neither hears of its first write before the other has begun to write as well.
        let gate = Gate::until(2);
        Box::new(move |call| {
            (call.kind == CallKind::Write).then(|| Fault::HoldAnswer(gate.clone()))
        })
    });
}

#[test]
fn writes_whose_answers_are_lost() {
    for lost in [Fault::ResetAfter, Fault::CutBody, Fault::StallAfter] {
        every_way(0, || {
            let (mut writes, lost) = (0, lost.clone());
            Box::new(move |call| {
                writes += u64::from(call.kind == CallKind::Write);
                (call.kind == CallKind::Write && matches!(writes, 1 | 2 | 4)).then(|| lost.clone())
            })
        });
    }
}

#[test]
fn users_who_are_adopted_by_two_at_once() {
    every_way(30, || {
        let mut first = true;
        Box::new(move |call| {
            (call.kind == CallKind::Write && std::mem::take(&mut first))
                .then_some(Fault::ResetBefore)
        })
    });
}
