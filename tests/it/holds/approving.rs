//! `approve`: exactly what was seen is written, and the rest is refused by name.

use std::{fs, process::Child};

use chrono::{Days, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::CallKind,
    model::{
        change::HeldBy,
        report::{ChangeResult, Outcome, Report, Trigger},
    },
};
use serde_json::json;

use super::{holds, json_of, left, only_hold};
use crate::{
    daemon::Daemon,
    rules::{by_hand, come_back, leave, make_administrator},
    studio::{Ended, Studio, dn},
};

/// `approve` with these arguments: its exit status and its report.
fn approve(studio: &Studio, hold: u64, arguments: &[&str]) -> (i32, Report) {
    let ended = studio.run(&line(&hold.to_string(), arguments));
    let report = ended.report();
    assert_eq!(ended.status, status_of(&report), "{report:#?}");
    (ended.status, report)
}

/// The exit status and the outcome of an approval say the same.
pub fn status_of(report: &Report) -> i32 {
    match report.outcome {
        Outcome::Succeeded => 0,
        Outcome::Partial => 4,
        Outcome::Failed => 1,
        Outcome::Held => panic!("{report:#?}"),
    }
}

fn line<'a>(hold: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["approve", hold, "--format", "json"], arguments].concat()
}

/// Each change of a report: the login, the result, and why it was refused.
fn results(report: &Report) -> Vec<(&str, ChangeResult, &str)> {
    let mut results: Vec<_> = report
        .changes
        .iter()
        .map(|change| {
            let error = change.error.as_deref().unwrap_or_default();
            (&*change.username, change.result, error)
        })
        .collect();
    results.sort_unstable_by_key(|(login, _, _)| *login);
    results
}

fn active(studio: &Studio) -> usize {
    let users = studio.ftrack().users();
    users
        .iter()
        .filter(|user| user.is_active && user.username.starts_with("user"))
        .count()
}

#[test]
fn some_are_approved_and_the_rest_keeps_its_number() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let (status, report) = approve(&studio, number, &["--only", "user0", "USER1@studio.test"]);
    assert_eq!(status, 0, "{report:#?}");
    assert_eq!(
        (report.trigger, report.counts.deactivated),
        (Trigger::Approval, 2)
    );
    let uid = rustix::process::getuid().as_raw();
    let approved = (
        report.approved_by.unwrap().uid,
        report.approves.unwrap().get(),
    );
    assert_eq!(approved, (uid, number));
    assert!(!studio.user("user0").is_active && !studio.user("user1").is_active);
    assert!(studio.user("user2").is_active);
    assert_eq!(only_hold(&studio), (number, vec!["user2".to_owned()]));
    // It stays so, and the next run writes nothing.
    let report = studio.sync();
    assert_eq!((report.counts.held, report.ftrack.write_calls), (1, 0));
    assert_eq!(only_hold(&studio), (number, vec!["user2".to_owned()]));

    let shown = studio.run(&["runs", "show", "last"]).stdout;
    assert!(!shown.contains("  approved   by"), "{shown}");

    let (status, report) = approve(&studio, number, &[]);
    assert_eq!((status, report.counts.deactivated), (0, 1));
    let shown = studio.run(&["runs", "show", "last"]).stdout;
    let by = format!("  approved   by uid {uid}\n");
    assert!(shown.contains(&by), "{shown}");
    let closed: Vec<u64> = report.holds_closed.iter().map(|hold| hold.get()).collect();
    assert_eq!(closed, [number]);
    assert_eq!(holds(&studio), []);
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    assert_eq!(shown["ended"]["by"], "approved");
    studio.sync_changes_nothing();
    // What a person approved does not count in the limit, which leaves one.
    leave(&studio, "user5");
    assert_eq!(studio.sync().counts.deactivated, 1);

    let again = studio.run(&["approve", &number.to_string()]);
    assert_eq!((again.status, again.stdout.as_str()), (1, ""));
    assert!(
        again.stderr.contains("is settled: approved"),
        "{}",
        again.stderr
    );
}

#[test]
fn what_is_not_there_is_refused_as_bad_usage() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let number = number.to_string();
    for (arguments, said) in [
        (&["approve", "4711"][..], "there is no hold 4711"),
        (
            &["approve", &number, "--only", "user9"],
            "holds nobody named \\\"user9\\\"",
        ),
        (
            &["approve", &number, "--only", "user0", "usr1"],
            "holds nobody named \\\"usr1\\\"",
        ),
        (&["approve", &number, "--only"], "a value is required"),
        (&["approve", "0"], "invalid value"),
    ] {
        studio.ftrack().forget();
        let ended = studio.run(arguments);
        assert_eq!(ended.status, 2, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert_eq!(studio.ftrack().counters().write_calls, 0);
    }
    assert_eq!(active(&studio), 10);
}

#[test]
fn who_is_not_as_seen_is_refused_by_name() {
    let studio = left(&[0, 1, 2, 3]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    come_back(&studio, "user0");
    // Held by something else as well by now, which the approval does not lift.
    make_administrator(&studio, "user1");
    // Away, but for another cause: that was not seen.
    studio.tree().remove("uid=user2,dc=studio,dc=test").unwrap();
    let (status, report) = approve(&studio, number, &[]);
    assert_eq!(status, 4, "{report:#?}");
    let [
        (zero, back, why),
        (one, held, admin),
        (two, changed, other),
        (three, done, ""),
    ] = results(&report)[..]
    else {
        panic!("{report:#?}")
    };
    assert_eq!(
        [zero, one, two, three],
        ["user0", "user1", "user2", "user3"]
    );
    assert_eq!(
        [back, held, changed, done],
        [
            ChangeResult::Failed,
            ChangeResult::Held,
            ChangeResult::Failed,
            ChangeResult::Applied
        ]
    );
    assert!(why.contains("not due any more"), "{why}");
    assert!(admin.contains("administrator"), "{admin}");
    assert!(other.contains("not what was seen"), "{other}");
    assert_eq!(active(&studio), 9);
    // None of it is left under that number, and what is still due has others.
    let now = holds(&studio);
    assert!(now.iter().all(|(hold, _, _)| *hold > number), "{now:?}");
    let (status, _) = {
        let ended = studio.run(&["approve", &number.to_string()]);
        (ended.status, ended.stdout)
    };
    assert_eq!(status, 1);
    // What became of each.
    let shown = json_of(&studio, &["holds", "show", &number.to_string()]);
    let people = shown["people"].as_array().unwrap().iter();
    let became: Vec<&str> = people
        .map(|person| person["became"].as_str().unwrap())
        .collect();
    assert_eq!(became, ["not_due", "held_otherwise", "changed", "written"]);
    let shown = studio.run(&["holds", "show", &number.to_string()]).stdout;
    for told in [
        "at its end: no longer due\n",
        "at its end: written, by uid ",
    ] {
        assert!(shown.contains(told), "{shown}");
    }
}

#[test]
fn a_value_that_changed_since_is_refused() {
    let mut studio = left(&[]);
    studio.attributes = studio.attributes.replace("\"uid\"", "\"employeeNumber\"");
    studio.job = "limits = { rename = 0 }\nconfig_change = \"apply\"".into();
    for number in 0..10 {
        let uid = format!("user{number}");
        let new = if number > 7 {
            format!("new{number}")
        } else {
            uid.clone()
        };
        studio
            .tree()
            .replace(&dn(&uid), "employeeNumber", &[&*new])
            .unwrap();
    }
    studio.sync();
    let (number, logins) = only_hold(&studio);
    assert_eq!(logins, ["new8", "new9"]);
    studio
        .tree()
        .replace(&dn("user8"), "employeeNumber", &["newer8"])
        .unwrap();
    by_hand(&studio, "user9", &json!({"username": "byhand9"}));
    studio.ftrack().forget();
    let (status, report) = approve(&studio, number, &[]);
    assert_eq!(status, 1, "{report:#?}");
    assert_eq!(studio.ftrack().counters().write_calls, 0);
    assert!(
        results(&report)
            .iter()
            .all(|(_, result, why)| *result == ChangeResult::Failed
                && why.contains("not what was seen")),
        "{report:#?}"
    );
    assert_eq!(report.changes.len(), 2);
    let error = report.error.unwrap();
    assert!(
        error.starts_with(
            "nothing of what was approved was written: it is not what was seen any more"
        ),
        "{error}"
    );
    // It says nothing of the servers: later runs go on.
    assert_eq!(studio.sync().outcome, Outcome::Held);
}

#[test]
fn the_last_administrator_cannot_be_approved() {
    let mut studio = left(&[]);
    studio.job = "limits = { deactivate = \"100%\" }".into();
    for role in studio.ftrack().rows("UserSecurityRole").unwrap() {
        let id = json!([role["id"]]);
        studio.ftrack().remove("UserSecurityRole", &id).unwrap();
    }
    make_administrator(&studio, "user0");
    leave(&studio, "user0");
    studio.sync();
    let (number, _) = only_hold(&studio);
    let ended = studio.run(&["approve", &number.to_string()]);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("cannot be approved"),
        "{}",
        ended.stderr
    );
    assert!(studio.user("user0").is_active);
}

#[test]
fn two_at_once_write_once_and_a_run_is_waited_for() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    studio.ftrack().forget();
    let gate = studio.hold(CallKind::Read);
    let sync = studio.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, crate::crash::LIMIT));
    let number = number.to_string();
    let approving: Vec<Child> = (0..2).map(|_| studio.start(&line(&number, &[]))).collect();
    gate.open();
    let synced = Ended::of(sync.wait_with_output().unwrap());
    assert_eq!((synced.status, synced.report().counts.held), (3, 3));
    let mut ended: Vec<Ended> = approving
        .into_iter()
        .map(|child| Ended::of(child.wait_with_output().unwrap()))
        .collect();
    ended.sort_by_key(|ended| ended.status);
    assert_eq!((ended[0].status, ended[1].status), (0, 1));
    let report = ended[0].report();
    assert_eq!(report.counts.deactivated, 3);
    assert!(
        ended[1].stderr.contains("is settled"),
        "{}",
        ended[1].stderr
    );
    assert_eq!(
        studio.ftrack().counters().write_calls,
        report.ftrack.write_calls
    );
    studio.sync_changes_nothing();
}

#[test]
fn a_running_daemon_does_it() {
    let studio = left(&[0, 1, 2]).for_a_daemon("");
    studio.sync();
    let (number, _) = only_hold(&studio);
    let daemon = Daemon::start(&studio);
    let status = studio.run(&["status"]);
    assert!(
        status.stdout.contains("1 hold waits for a person"),
        "{}",
        status.stdout
    );
    let unknown = studio.run(&["approve", "4711"]);
    assert_eq!(unknown.status, 2, "{}", unknown.stderr);
    let nobody = studio.run(&["approve", &number.to_string(), "--only", "nobody"]);
    assert_eq!(nobody.status, 2, "{}", nobody.stderr);
    let mut command = studio.command(&line(&number.to_string(), &["--only", "user2"]));
    command.env("SUDO_USER", "eva");
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let report = ended.report();
    let by = report.approved_by.unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!((by.uid, by.sudo_user.as_deref()), (uid, Some("eva")));
    assert_eq!(
        (report.trigger, report.counts.deactivated),
        (Trigger::Approval, 1)
    );
    // The daemon did it.
    let ran = daemon.events("run.finished");
    assert!(
        ran.iter().any(|event| event["run"] == report.run.as_str()),
        "{ran:#?}"
    );
    let (status, _) = approve(&studio, number, &[]);
    assert_eq!(status, 0);
    let again = studio.run(&["approve", &number.to_string()]);
    assert_eq!(again.status, 1);
    assert!(again.stderr.contains("is settled"), "{}", again.stderr);
    assert!(daemon.stop().0.success());
    assert_eq!(active(&studio), 7);
}

#[test]
fn an_approval_lifts_a_freeze_at_once_and_ends_no_pause() {
    let mut studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let today = Utc::now().date_naive();
    studio.job = format!(
        "[[jobs.artists.freezes]]\nfrom = \"{today}\"\nto = \"{}\"\nwhat = [\"deactivate\"]\n",
        today + Days::new(1)
    );
    assert_eq!(studio.sync().counts.held, 3);
    let (status, report) = approve(&studio, number, &["--only", "user0"]);
    assert_eq!((status, report.counts.deactivated), (0, 1), "{report:#?}");

    let studio = studio.for_a_daemon("");
    let daemon = Daemon::start(&studio);
    let stop = studio.run(&["pause", "--only", "deactivate"]);
    assert_eq!(stop.status, 0, "{}", stop.stderr);
    let runs = studio.reports().len();
    let refused = studio.run(&["approve", &number.to_string()]);
    assert_eq!(
        (refused.status, &*refused.stdout),
        (1, ""),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("cannot be approved now")
            && refused
                .stderr
                .contains("`resume artists --only deactivate` ends that"),
        "{}",
        refused.stderr
    );
    assert_eq!((active(&studio), studio.reports().len()), (9, runs));
    let goes_on = studio.run(&["resume", "--only", "deactivate"]);
    assert_eq!(goes_on.status, 0, "{}", goes_on.stderr);
    assert_eq!(approve(&studio, number, &[]).0, 0);
    assert_eq!(active(&studio), 7);
    assert!(daemon.stop().0.success());
}

#[test]
fn a_pause_is_named_beside_the_limit_and_no_plan_of_before_ends_it() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let before = saved_plan(&studio, "before.json");
    let stop = studio.run(&["pause", "artists", "--only", "deactivate"]);
    assert_eq!(stop.status, 0, "{}", stop.stderr);
    let report = studio.sync();
    let named = "no approval by number writes it while a person paused deactivate, since";
    for change in &report.changes {
        assert_eq!(change.held_by, Some(HeldBy::Limit));
        let why = change.error.as_deref().unwrap_or_default();
        assert!(why.contains(named), "{why}");
    }
    let explained = studio.run(&["explain", "user0"]).stdout;
    let said = explained.replace("\n", " ");
    assert!(said.contains(named), "{explained}");
    // Nobody saw the pause when this plan was approved.
    let refused = studio.run(&["apply", &before, "--format", "json"]).report();
    let why = refused.error.unwrap();
    assert!(why.contains("a person paused deactivate, since"), "{why}");
    assert_eq!((refused.ftrack.write_calls, active(&studio)), (0, 10));
    let seen = saved_plan(&studio, "seen.json");
    assert!(fs::read_to_string(&seen).unwrap().contains(named));
    let applied = studio.run(&["apply", &seen]);
    assert_eq!(applied.status, 0, "{}", applied.stderr);
    assert_eq!(active(&studio), 7);
}

#[test]
fn a_plan_that_is_applied_ends_the_holds_that_it_writes() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let plan = saved_plan(&studio, "plan.json");
    let report = studio.synced(&["apply", "--format", "json", &plan]);
    assert_eq!(report.counts.deactivated, 3);
    let closed: Vec<u64> = report.holds_closed.iter().map(|hold| hold.get()).collect();
    assert_eq!(closed, [number]);
    assert_eq!(holds(&studio), []);
    let number = number.to_string();
    let shown = json_of(&studio, &["holds", "show", &number]);
    assert_eq!(shown["ended"]["by"], "approved");
    let shown = studio.run(&["holds", "show", &number]).stdout;
    assert_eq!(shown.matches("at its end: written").count(), 3, "{shown}");
    studio.sync_changes_nothing();
    let again = studio.run(&["approve", &number]);
    assert!(
        again.stderr.contains("is settled: approved"),
        "{}",
        again.stderr
    );
}

/// Saves a plan beside the configuration.
fn saved_plan(studio: &Studio, name: &str) -> String {
    let path = studio.folder().join(name);
    let path = path.to_str().unwrap().to_owned();
    let planned = studio.run(&["plan", "--out", &path]);
    assert_eq!(planned.status, 0, "{}", planned.stderr);
    path
}
