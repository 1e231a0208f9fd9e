//! What people do beside a running daemon: a run of the job is waited for, or said to be in the way;
//! the daemon knows when another program runs its job, and goes on afterwards.

use std::time::{Duration, Instant};

use ftrack_ldap_sync::{
    daemon::commands::RunUpdate,
    demo::ftrack::{Account, CallKind},
    model::report::{ChangeResult, Outcome, Report, Trigger},
    run::Progress,
};
use serde_json::Value;

use super::{Daemon, LIMIT, job, must, told, wait_for_phase};
use crate::{
    rules::{account, leave},
    slapd::wait_until,
    studio::{Ended, Studio, dn, person},
};

/// Every second.
const OFTEN: &str = "schedule = \"* * * * * *\"";
/// What nobody waits for.
const RARELY: &str = "schedule = \"@yearly\"";

/// A command that a person runs, which its own process does.
struct ByHand {
    arguments: Vec<String>,
    trigger: Trigger,
}

/// Each of them, and that it has something to do.
fn all(run: &Report) -> [ByHand; 5] {
    let of = |arguments: &[&str], trigger: Trigger| ByHand {
        arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
        trigger,
    };
    [
        of(&["undo", &run.run], Trigger::Undo),
        of(&["restore", &run.run], Trigger::Restore),
        of(&["link", "eve", "countess"], Trigger::Link),
        of(&["unlink", "dan"], Trigger::Link),
        of(&["release", "artists", "--yes"], Trigger::Release),
    ]
}

/// A studio in which each of the commands has something to do, and the last run that wrote.
fn studio() -> (Studio, Report) {
    let studio = Studio::of(&["ada", "bob", "cyd", "dan"]);
    let studio = studio.for_a_daemon(RARELY);
    studio.sync();
    let tree = studio.tree();
    tree.replace(&dn("ada"), "mail", &["new@studio.test"])
        .unwrap();
    leave(&studio, "bob");
    let run = studio.sync();
    assert_eq!((run.counts.updated, run.counts.deactivated), (1, 1));
    let countess = Account {
        is_active: true,
        ..account("countess")
    };
    studio.ftrack().add_user(&countess).unwrap();
    // No run adopts it: the login is another one.
    (studio, run)
}

fn start(studio: &Studio, by_hand: &ByHand) -> std::process::Child {
    let mut arguments: Vec<&str> = by_hand.arguments.iter().map(String::as_str).collect();
    arguments.extend(["--format", "json"]);
    studio.start(&arguments)
}

fn ended(child: std::process::Child) -> Ended {
    Ended::of(child.wait_with_output().unwrap())
}

/// Somebody for whom a run has a user to create, and `link` one to give.
fn eve_joins(studio: &Studio) {
    let entry = person("eve", "Eve", "Lovelace");
    studio.tree().add(entry).unwrap();
}

#[test]
fn a_run_of_the_daemon_is_waited_for_but_no_longer_than_a_run_may_take() {
    for nth in 0..5 {
        let (mut studio, run) = studio();
        let by_hand = &all(&run)[nth];
        let what = &by_hand.arguments;
        let daemon = Daemon::start(&studio);
        studio
            .tree()
            .replace(&dn("cyd"), "mail", &["other@studio.test"])
            .unwrap();
        let gate = studio.hold(CallKind::Write);
        let triggered = studio.start(&["trigger", "--format", "json"]);
        assert!(gate.wait_for(1, LIMIT), "{what:?}");
        let users = studio.ftrack().users();
        // The daemon has read the configuration before this.
        studio.job = format!("time_limit = \"3s\"\n{RARELY}");
        let began = Instant::now();
        let refused = ended(start(&studio, by_hand));
        let waits = by_hand.trigger != Trigger::Release;
        assert!(
            !waits || began.elapsed() >= Duration::from_secs(3),
            "{what:?}"
        );
        assert_eq!(
            (refused.status, &*refused.stdout),
            (1, ""),
            "{what:?} {}",
            refused.stderr
        );
        assert!(
            refused
                .stderr
                .contains("another run of this job is in progress"),
            "{what:?} {}",
            refused.stderr
        );
        assert_eq!(studio.ftrack().users(), users, "{what:?}");
        studio.job = RARELY.into();
        if by_hand.arguments[0] == "link" {
            // The run has read the directory.
            eve_joins(&studio);
        }
        let waiting = waits.then(|| start(&studio, by_hand));
        gate.open();
        let first = ended(triggered).report();
        assert_eq!(first.outcome, Outcome::Succeeded, "{what:?} {first:#?}");
        let done = ended(waiting.unwrap_or_else(|| start(&studio, by_hand)));
        assert_eq!(done.status, 0, "{what:?} {} {}", done.stdout, done.stderr);
        let report = done.report();
        assert!(report.started_at >= first.finished_at, "{what:?}");
        assert_eq!(report.trigger, by_hand.trigger);
        // The daemon knows of it, and goes on.
        let is_known = wait_until(LIMIT, || {
            job(&studio)["last_run"]["trigger"] == by_hand.trigger.as_str()
        });
        assert!(is_known, "{what:?} {:#}", job(&studio));
        wait_for_phase(&studio, "idle");
        let next = must(&studio, 0, &["trigger", "--format", "json"]).report();
        assert_eq!(next.outcome, Outcome::Succeeded, "{what:?} {next:#?}");
        assert!(daemon.stop().0.success());
    }
}

/// Scheduled runs wait for what a person does, `status` says so, and they go on after it.
fn scheduled_runs_wait_for(nth: usize) {
    let (mut studio, run) = studio();
    let by_hand = &all(&run)[nth];
    // A link needs an entry that no run has seen, and a release waits for nothing.
    let is_rare = matches!(&*by_hand.arguments[0], "link" | "release");
    studio.job = if is_rare { RARELY } else { OFTEN }.into();
    if by_hand.arguments[0] == "link" {
        eve_joins(&studio);
    }
    let before = studio.reports().len();
    let daemon = Daemon::start(&studio);
    if !is_rare {
        studio.reports_when(before + 1);
    }
    let gate = studio.hold(CallKind::Write);
    let child = start(&studio, by_hand);
    assert!(gate.wait_for(1, LIMIT));
    let triggered = is_rare.then(|| studio.start(&["trigger", "--format", "json"]));
    daemon.event("run.elsewhere");
    let shown = wait_for_phase(&studio, "waiting");
    assert_eq!(
        (&shown["running"], &shown["backoff"]),
        (&Value::Null, &Value::Null)
    );
    assert!(shown["elsewhere_since"].is_string(), "{shown:#}");
    let said = must(&studio, 0, &["status"]).stdout;
    let words = "another program has been running this job since ";
    assert!(said.contains(words), "{said}");
    gate.open();
    let done = ended(child);
    assert_eq!(done.status, 0, "{}", done.stderr);
    let report = done.report();
    assert_eq!(
        (report.trigger, report.outcome),
        (by_hand.trigger, Outcome::Succeeded)
    );
    // Runs of the daemon go on, and do nothing against it.
    let triggered = triggered.unwrap_or_else(|| studio.start(&["trigger", "--format", "json"]));
    let next = ended(triggered).report();
    assert!(next.run > report.run);
    assert_eq!(next.outcome, Outcome::Succeeded, "{next:#?}");
    if !is_rare {
        let is_later = |later: &Report| later.run > next.run && later.trigger == Trigger::Schedule;
        let go_on = wait_until(LIMIT, || {
            studio.reports().iter().filter(|run| is_later(run)).count() > 1
        });
        assert!(go_on);
        for later in studio.reports().iter().filter(|run| is_later(run)) {
            assert_eq!(later.outcome, Outcome::Succeeded, "{later:#?}");
            assert_eq!(later.ftrack.write_calls, 0, "{later:#?}");
        }
    }
    stays(&studio, by_hand);
    assert_eq!(daemon.events("run.elsewhere").len(), 1, "told once");
    assert_eq!(job(&studio).get("elsewhere_since"), None);
    assert!(daemon.stop().0.success());
}

#[test]
fn scheduled_runs_wait_for_an_undo() {
    scheduled_runs_wait_for(0);
}

#[test]
fn scheduled_runs_wait_for_a_restore() {
    scheduled_runs_wait_for(1);
}

#[test]
fn scheduled_runs_wait_for_a_link() {
    scheduled_runs_wait_for(2);
}

#[test]
fn scheduled_runs_wait_for_an_unlink() {
    scheduled_runs_wait_for(3);
}

#[test]
fn scheduled_runs_wait_for_a_release() {
    scheduled_runs_wait_for(4);
}

/// What a person did is so still.
fn stays(studio: &Studio, by_hand: &ByHand) {
    let link = |login: &str| studio.user(login).metadata.get("ftrack-ldap-sync").cloned();
    match by_hand.arguments[0].as_str() {
        "undo" | "restore" => {
            assert_eq!(studio.user("ada").email.unwrap(), "ada@studio.test");
            assert!(studio.user("bob").is_active);
        }
        "link" => {
            assert!(link("eve").is_some());
            // The five, and ftrack's own two.
            assert_eq!(studio.ftrack().users().len(), 7);
        }
        "unlink" => assert!(link("dan").unwrap().contains("unlinked")),
        // The next run is a first contact.
        _ => assert!(
            ["ada", "cyd", "dan"]
                .iter()
                .all(|login| link(login).is_some())
        ),
    }
}

/// What an approval is told, line by line.
fn approving(studio: &Studio, hold: &Value) -> impl Iterator<Item = RunUpdate> + use<> {
    told(studio, &format!("/v1/holds/{hold}/approve"))
}

#[test]
fn holds_are_decided_after_the_run_that_is_in_progress() {
    for verb in ["approve", "reject"] {
        let studio = Studio::of(&["ada", "bob", "cyd"])
            .for_a_daemon(&format!("limits.deactivate = 0\n{RARELY}"));
        studio.sync();
        leave(&studio, "bob");
        assert_eq!(studio.sync().outcome, Outcome::Held);
        let listed = must(&studio, 0, &["holds", "--format", "json"]).stdout;
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let hold = listed[0]["hold"].clone();
        let daemon = Daemon::start(&studio);
        // Of ftrack and of the directory, so that nobody else is held.
        daemon.nth_event(1, "contact.made");
        let gate = studio.hold(CallKind::Read);
        let triggered = studio.start(&["trigger", "--format", "json"]);
        assert!(gate.wait_for(1, LIMIT));
        if verb == "approve" {
            let mut told = approving(&studio, &hold);
            assert_eq!(told.next(), Some(RunUpdate::Waiting));
            let waits = RunUpdate::Progress(Progress::WaitingForRun);
            assert!(told.by_ref().any(|update| update == waits));
            gate.open();
            let first = ended(triggered).report();
            let Some(RunUpdate::Finished { report }) = told.last() else {
                panic!("no end");
            };
            assert!(report.started_at >= first.finished_at);
            assert_eq!(report.counts.deactivated, 1, "{report:#?}");
            assert!(!studio.user("bob").is_active);
        } else {
            let rejecting = studio.start(&["reject", &hold.to_string()]);
            gate.open();
            let first = ended(triggered).report();
            assert_eq!(first.outcome, Outcome::Held, "{first:#?}");
            let rejected = ended(rejecting);
            assert_eq!(rejected.status, 0, "{}", rejected.stderr);
            assert!(studio.user("bob").is_active);
        }
        let next = must(&studio, 0, &["trigger", "--format", "json"]).report();
        let rejected = next
            .changes
            .iter()
            .filter(|change| change.result == ChangeResult::Rejected);
        assert_eq!(rejected.count(), usize::from(verb == "reject"), "{next:#?}");
        assert!(daemon.stop().0.success());
    }
}
