//! A call of a killed run that ftrack holds back, and that takes effect while the next run is under
//! way, or after it: each change is in one report, and what was written counts for the limits.

use std::{collections::BTreeMap, fs, sync::mpsc};

use chrono::{DateTime, TimeDelta, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::{Account, Call, CallKind, Fault, Gate, Rules},
    model::{
        change::Action,
        report::{ChangeResult, Outcome, Report},
    },
};
use serde_json::Value;

use super::LIMIT;
use crate::{
    faults::NO_LIMIT,
    rules::{account, come_back, leave},
    slapd::wait_until,
    studio::{Ended, Studio, dn, person},
    writing::studio_of,
};

const KINDS: [Action; 5] = [
    Action::Create,
    Action::Update,
    Action::Deactivate,
    Action::Reactivate,
    Action::Adopt,
];

/// When the call of the killed run takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// Before the next run begins.
    BeforeNext,
    /// The next run has read everything and planned.
    AfterPlan,
    /// The next run has sent its first call that writes, which takes effect after it.
    BeforeWrite,
    /// The next run's first call has taken effect, and is not answered yet.
    AfterWrite,
    /// The next run has ended.
    AfterNext,
    /// Never.
    Never,
}

const MOMENTS: [Moment; 6] = [
    Moment::BeforeNext,
    Moment::AfterPlan,
    Moment::BeforeWrite,
    Moment::AfterWrite,
    Moment::AfterNext,
    Moment::Never,
];

/// A studio in which one change is due, of somebody whose login is `somebody`.
fn due(action: Action) -> Studio {
    let mut studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.job = NO_LIMIT.into();
    let tree = studio.tree();
    let is_there = matches!(
        action,
        Action::Update | Action::Deactivate | Action::Reactivate
    );
    if is_there {
        tree.add(person("somebody", "Some", "Body")).unwrap();
    }
    studio.sync();
    match action {
        Action::Create => drop(tree.add(person("somebody", "Some", "Body"))),
        Action::Update => drop(tree.replace(&dn("somebody"), "sn", &["Changed"])),
        Action::Deactivate => leave(&studio, "somebody"),
        Action::Reactivate => {
            leave(&studio, "somebody");
            assert_eq!(studio.sync().counts.deactivated, 1);
            come_back(&studio, "somebody");
        }
        Action::Adopt => {
            tree.add(person("somebody", "Some", "Body")).unwrap();
            let stranger = Account {
                first_name: Some("Other".into()),
                ..account("somebody")
            };
            studio.ftrack().add_user(&stranger).unwrap();
        }
    }
    studio
}

/// Kills a sync while ftrack holds back its first call that writes, until the gate is open.
fn kill(studio: &Studio) -> Gate {
    let late = Gate::new();
    let held = late.clone();
    studio.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Write).then(|| Fault::HoldRequest(held.clone()))
    });
    let mut program = studio.start(&["sync", "--format", "json"]);
    assert!(late.wait_for(1, LIMIT), "it does not write");
    program.kill().unwrap();
    assert_eq!(program.wait().unwrap().code(), None, "it was not killed");
    studio.ftrack().heal();
    late
}

/// Lets the call that was held back take effect.
fn arrive(late: &Gate) {
    late.open();
    assert!(late.wait_for_done(1, LIMIT), "the call has no effect");
}

/// A sync during which the call takes effect while another call is held, so that this comes first.
fn sync_while(
    studio: &Studio,
    late: &Gate,
    fault: fn(Gate) -> Fault,
    mut is_so: impl FnMut(&Call) -> bool + Send + 'static,
) -> Report {
    let gate = Gate::new();
    let held = gate.clone();
    studio.ftrack().forget();
    studio
        .ftrack()
        .fail_when(move |call| is_so(call).then(|| fault(held.clone())));
    let program = studio.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT), "no such call comes");
    arrive(late);
    gate.open();
    let report = Ended::of(program.wait_with_output().unwrap()).report();
    studio.ftrack().heal();
    report
}

/// The run after the killed one, with the call that arrives.
fn next(studio: &Studio, late: &Gate, moment: Moment) -> Report {
    let is_write = |call: &Call| call.kind == CallKind::Write;
    match moment {
        Moment::BeforeNext => {
            arrive(late);
            studio.sync()
        }
        Moment::AfterPlan => {
            let planned = studio
                .synced(&["sync", "--dry-run", "--format", "json"])
                .ftrack
                .read_calls;
            sync_while(studio, late, Fault::HoldRequest, move |call| {
                call.number > planned
            })
        }
        Moment::BeforeWrite => sync_while(studio, late, Fault::HoldRequest, is_write),
        Moment::AfterWrite => sync_while(studio, late, Fault::HoldAnswer, is_write),
        Moment::AfterNext => {
            let report = studio.sync();
            arrive(late);
            report
        }
        Moment::Never => studio.sync(),
    }
}

/// Lets so much time pass since the ends of the runs whose results are not known that no call of
/// theirs can arrive any more.
pub fn pass_time(studio: &Studio) {
    set_ended(studio, |_, shown| shown - TimeDelta::hours(1));
}

/// Changes what the clocks showed, by their names, when those runs ended.
fn set_ended(studio: &Studio, change: impl Fn(&str, DateTime<Utc>) -> DateTime<Utc>) {
    let journals = studio.state_dir().join("journals/artists");
    for journal in fs::read_dir(journals).unwrap() {
        let journal = journal.unwrap().path();
        // A test may have put in what is no text.
        let content = fs::read(&journal).unwrap();
        let content = String::from_utf8_lossy(&content);
        let line = |line: &str| {
            let Ok(mut line) = serde_json::from_str::<Value>(line) else {
                return line.to_owned();
            };
            if let Some(clocks) = line.get_mut("ended").and_then(Value::as_object_mut) {
                for (clock, time) in clocks {
                    let shown = time.as_str().unwrap().parse().unwrap();
                    *time = change(clock, shown).to_rfc3339().into();
                }
            }
            line.to_string()
        };
        let lines: Vec<String> = content.lines().map(line).collect();
        fs::write(&journal, lines.join("\n") + "\n").unwrap();
    }
}

/// The reports of all runs, oldest first.
fn reports(studio: &Studio) -> Vec<Report> {
    let listed = studio.run(&["runs", "--format", "json"]).stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let show = |run: &Value| {
        let run = run["run"].as_str().unwrap();
        let shown = studio.run(&["runs", "show", run, "--format", "json"]);
        shown.report()
    };
    listed.iter().rev().map(show).collect()
}

/// What each report says of the change that was due.
fn told(reports: &[Report], action: Action) -> Vec<(String, ChangeResult, String)> {
    let changes = reports.iter().flat_map(|report| {
        let changes = report.changes.iter().map(|change| (&report.run, change));
        changes.filter(|(_, change)| change.action == action && change.username == "somebody")
    });
    changes
        .map(|(run, change)| {
            let said = change.error.as_ref().or(change.note.as_ref());
            (
                run.clone(),
                change.result,
                said.cloned().unwrap_or_default(),
            )
        })
        .collect()
}

fn is_in_one_report(action: Action, moment: Moment) {
    let studio = due(action);
    let before = reports(&studio).len();
    let late = kill(&studio);
    let next = next(&studio, &late, moment);
    assert_ne!(
        next.outcome,
        Outcome::Failed,
        "{action:?} {moment:?}: {next:#?}"
    );
    for _ in 0..2 {
        studio.sync();
        pass_time(&studio);
    }
    studio.sync_changes_nothing();
    let reports = reports(&studio);
    let told = told(&reports[before..], action);
    let applied = told
        .iter()
        .filter(|(_, result, _)| *result == ChangeResult::Applied);
    assert_eq!(applied.count(), 1, "{action:?} {moment:?}: {told:#?}");
    for (run, result, said) in &told {
        let is_known = matches!(result, ChangeResult::Applied | ChangeResult::Planned);
        let is_first = *run == told[0].0;
        assert!(is_known || is_first, "{action:?} {moment:?}: {told:#?}");
        assert!(
            *result != ChangeResult::Unconfirmed && !said.contains("somebody else"),
            "{action:?} {moment:?}: {told:#?}"
        );
    }
    if moment == Moment::AfterPlan && matches!(action, Action::Deactivate | Action::Reactivate) {
        assert!(
            told.last()
                .unwrap()
                .2
                .starts_with("a call of an earlier run"),
            "{told:#?}"
        );
    }
    let kept = fs::read_dir(studio.state_dir().join("journals/artists")).unwrap();
    assert_eq!(kept.count(), 0, "{action:?} {moment:?}: a journal stays");
    let user = studio.user("somebody");
    assert_eq!(user.is_active, action != Action::Deactivate);
}

#[test]
fn each_change_is_in_one_report_whenever_the_call_of_a_killed_run_arrives() {
    for action in KINDS {
        for moment in MOMENTS {
            is_in_one_report(action, moment);
        }
    }
}

/// The report of the killed run.
fn killed(studio: &Studio) -> Report {
    let reports = reports(studio);
    let is_killed = |report: &&Report| report.error.is_some();
    reports.iter().find(is_killed).unwrap().clone()
}

#[test]
fn what_arrives_after_the_next_run_counts_for_the_limits() {
    let mut studio = studio_of(4, Rules::default()).end_to_end();
    studio.sync();
    studio.job = "limits.rename = 2".into();
    studio.tree().rename(&dn("user000"), &dn("zoe")).unwrap();
    let late = kill(&studio);
    studio.tree().rename(&dn("zoe"), &dn("user000")).unwrap();
    // It reads that nothing of it is in effect.
    let next = studio.sync();
    assert_eq!(next.outcome, Outcome::Succeeded, "{next:#?}");
    let report = killed(&studio);
    assert_eq!((report.counts.failed, report.counts.unconfirmed), (0, 1));
    arrive(&late);
    assert!(studio.ftrack().user("zoe").is_some());
    studio.tree().rename(&dn("user001"), &dn("yan")).unwrap();
    let last = studio.sync();
    // The one that came late, the one that puts it back, and another one.
    assert_eq!((last.counts.updated, last.counts.held), (0, 2), "{last:#?}");
    let report = killed(&studio);
    assert_eq!((report.counts.updated, report.counts.unconfirmed), (1, 0));
}

#[test]
fn what_never_arrives_is_settled_once_it_cannot_arrive_any_more() {
    let mut studio = studio_of(4, Rules::default()).end_to_end();
    studio.sync();
    studio.job = "limits.rename = 1".into();
    studio.tree().rename(&dn("user000"), &dn("zoe")).unwrap();
    drop(kill(&studio));
    studio.tree().rename(&dn("zoe"), &dn("user000")).unwrap();
    studio.tree().rename(&dn("user001"), &dn("yan")).unwrap();
    // They may be two before long.
    let next = studio.sync();
    assert_eq!((next.counts.updated, next.counts.held), (0, 1), "{next:#?}");
    studio.tree().rename(&dn("yan"), &dn("user001")).unwrap();
    studio.sync();
    let report = killed(&studio);
    assert_eq!((report.counts.failed, report.counts.unconfirmed), (0, 1));
    pass_time(&studio);
    studio.sync();
    let report = killed(&studio);
    assert_eq!((report.counts.failed, report.counts.unconfirmed), (1, 0));
    studio.tree().rename(&dn("user000"), &dn("eva")).unwrap();
    let last = studio.sync();
    assert_eq!((last.counts.updated, last.counts.held), (1, 0), "{last:#?}");
}

#[test]
fn what_the_next_run_does_itself_counts_once() {
    let mut studio = studio_of(4, Rules::default()).end_to_end();
    studio.sync();
    studio.job = "limits.rename = 1".into();
    studio.tree().rename(&dn("user000"), &dn("zoe")).unwrap();
    let late = kill(&studio);
    // The killed run has its report from here on.
    studio.synced(&["sync", "--dry-run", "--format", "json"]);
    let plan = studio.plan(&[]).unwrap();
    assert!(plan.changes.iter().all(|planned| planned.held.is_none()));
    let next = studio.sync();
    assert_eq!((next.counts.updated, next.counts.held), (1, 0), "{next:#?}");
    arrive(&late);
    studio.sync_changes_nothing();
    let report = killed(&studio);
    assert_eq!(
        (
            report.counts.updated,
            report.counts.failed,
            report.counts.unconfirmed
        ),
        (0, 0, 0),
        "{report:#?}"
    );
}

#[test]
fn dry_runs_say_once_what_they_found() {
    let studio = due(Action::Update);
    drop(kill(&studio));
    let dry_run = || studio.run(&["sync", "--dry-run", "--log-format", "json"]);
    let told = |ended: &Ended| {
        let mut counts = BTreeMap::new();
        for event in ["run.confirmed", "change.failed", "change.unconfirmed"] {
            let lines = ended.stderr.lines();
            let named = lines.filter(|line| line.contains(&format!("\"{event}\"")));
            counts.insert(event, named.count());
        }
        counts
    };
    let nothing = BTreeMap::from([
        ("run.confirmed", 0),
        ("change.failed", 0),
        ("change.unconfirmed", 0),
    ]);
    for _ in 0..2 {
        assert_eq!(told(&dry_run()), nothing);
    }
    pass_time(&studio);
    let first = dry_run();
    assert_eq!(told(&first)["run.confirmed"], 1, "{}", first.stderr);
    assert_eq!(told(&dry_run()), nothing);
    assert!(wait_until(LIMIT, || studio.sync().counts.updated == 1));
}

#[test]
fn a_clock_that_leapt_settles_nothing_early_and_keeps_nothing_for_good() {
    let minutes = TimeDelta::minutes;
    let is_known = |studio: &Studio| {
        studio.synced(&["sync", "--dry-run", "--format", "json"]);
        killed(studio).counts.unconfirmed == 0
    };
    let studio = due(Action::Update);
    drop(kill(&studio));
    assert!(!is_known(&studio));
    // A minute for the call, and five more.
    set_ended(&studio, |_, shown| shown - minutes(5));
    assert!(!is_known(&studio));
    set_ended(&studio, |_, shown| shown - minutes(2));
    assert!(is_known(&studio));
    for leapt in ["here", "ftrack"] {
        let studio = due(Action::Update);
        drop(kill(&studio));
        assert!(!is_known(&studio));
        // One is ahead by now.
        set_ended(&studio, |clock, shown| {
            shown - minutes(if clock == leapt { 600 } else { 0 })
        });
        assert!(!is_known(&studio), "{leapt}");
        // Both were ahead then: the time counts anew.
        set_ended(&studio, |_, shown| shown + minutes(600_000));
        assert!(!is_known(&studio), "{leapt}");
        pass_time(&studio);
        assert!(is_known(&studio), "{leapt}");
    }
}

#[test]
fn a_create_that_one_killed_run_began_and_another_one_continued() {
    let studio = due(Action::Create);
    let before = reports(&studio).len();
    let late = kill(&studio);
    let (gate, (say, heard)) = (Gate::new(), mpsc::channel());
    let held = gate.clone();
    studio.ftrack().forget();
    studio
        .ftrack()
        .fail_when(move |call| match (call.kind, call.number_of_kind) {
            (CallKind::Write, 1) => Some(Fault::HoldRequest(held.clone())),
            (CallKind::Write, _) => say.send(()).ok().map(|()| Fault::StallBefore),
            (CallKind::Read, _) => None,
        });
    let mut program = studio.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT), "it does not write");
    arrive(&late);
    gate.open();
    // It has found the user, and goes on with it.
    heard.recv_timeout(LIMIT).unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    studio.ftrack().heal();
    studio.sync();
    pass_time(&studio);
    studio.sync_changes_nothing();
    let told = told(&reports(&studio)[before..], Action::Create);
    let results: Vec<ChangeResult> = told.iter().map(|(_, result, _)| *result).collect();
    assert_eq!(results, [ChangeResult::Applied, ChangeResult::Planned]);
    assert!(told[1].2.contains("another run of the job"), "{told:#?}");
}

#[test]
fn a_plan_counts_what_the_next_run_counts() {
    let mut studio = studio_of(6, Rules::default()).end_to_end();
    studio.sync();
    studio.job = "limits.deactivate = 3".into();
    for uid in ["user001", "user002"] {
        leave(&studio, uid);
    }
    assert_eq!(studio.sync().counts.deactivated, 2);
    leave(&studio, "user000");
    drop(kill(&studio));
    // It makes the report, and cannot find out more.
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Read).then_some(Fault::KeyRefused));
    assert_eq!(studio.sync().outcome, Outcome::Failed);
    studio.ftrack().heal();
    assert_eq!(killed(&studio).counts.unconfirmed, 1);
    leave(&studio, "user003");
    let plan = studio.plan(&[]).unwrap();
    let held = plan.changes.iter().filter(|planned| planned.held.is_some());
    let held = held.count();
    let next = studio.sync();
    assert_eq!((next.counts.deactivated, next.counts.held), (0, 2));
    assert_eq!(held, 2, "{plan:#?}");
}

#[test]
fn a_torn_line_keeps_no_report_open() {
    let studio = due(Action::Update);
    drop(kill(&studio));
    let journals = studio.state_dir().join("journals/artists");
    let journal = || {
        let entry = fs::read_dir(&journals).unwrap().next().unwrap();
        entry.unwrap().path()
    };
    let mut torn = fs::read(journal()).unwrap();
    torn.extend(b"{\"change\":0,\"result\":\"failed\",\"error\":\"\xc3");
    fs::write(journal(), torn).unwrap();
    let dry_run = || studio.synced(&["sync", "--dry-run", "--format", "json"]);
    dry_run();
    let length = || fs::metadata(journal()).unwrap().len();
    let before = length();
    dry_run();
    assert_eq!(length(), before);
    pass_time(&studio);
    dry_run();
    let counts = killed(&studio).counts;
    assert_eq!((counts.failed, counts.unconfirmed), (1, 0));
}
