//! This machine's clock is set back an hour: what is the newest, what is undone, what is rejected and how
//! holds are numbered does not go by it.

use chrono::{TimeDelta, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::{
        change::Action,
        report::{ChangeResult, Report, Trigger},
    },
};
use serde_json::Value;

use super::SetClock;
use crate::{
    rules::{come_back, leave, logins},
    studio::{Studio, dn},
};

/// The standard output of a command under a clock.
fn output(studio: &Studio, clock: &SetClock, arguments: &[&str]) -> String {
    let mut command = studio.command(arguments);
    clock.prepare(&mut command);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn report(studio: &Studio, clock: &SetClock, arguments: &[&str]) -> Report {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&output(studio, clock, &arguments)).unwrap()
}

fn json(studio: &Studio, clock: &SetClock, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&output(studio, clock, &arguments)).unwrap()
}

#[test]
fn the_newest_run_is_the_last_one_though_the_clock_went_back() {
    let test = "the_newest_run_is_the_last_one_though_the_clock_went_back";
    let mut studio = Studio::of(&["ada", "bob", "eve"]);
    studio.job = "limits = { deactivate = \"100%\" }".into();
    let now = Utc::now();
    let Some(clock) = SetClock::showing(test, &studio, now) else {
        return;
    };
    report(&studio, &clock, &["sync"]);
    let tree = studio.tree();
    tree.replace(&dn("ada"), "sn", &["New"]).unwrap();
    let before = report(&studio, &clock, &["sync"]);
    assert_eq!(logins(&before, Action::Update), ["ada"]);

    clock.set(now - TimeDelta::hours(1));
    leave(&studio, "bob");
    let after = report(&studio, &clock, &["sync"]);
    assert!(after.started_at < before.started_at && after.run > before.run);
    assert_eq!(logins(&after, Action::Deactivate), ["bob"]);
    let snapshots = json(&studio, &clock, &["snapshots"]);
    assert_eq!(snapshots[0]["run"], *after.run, "{snapshots}");

    let undone = report(&studio, &clock, &["undo", "last"]);
    assert_eq!(undone.undoes.as_ref(), Some(&after.run));
    assert_eq!(logins(&undone, Action::Reactivate), ["bob"]);
    // It stays undone.
    let next = report(&studio, &clock, &["sync"]);
    assert_eq!((next.counts.rejected, next.ftrack.write_calls), (1, 0));
    assert!(studio.user("bob").is_active);
    // What ran before is not what ran since.
    let undone = report(&studio, &clock, &["undo", &before.run]);
    assert_eq!(logins(&undone, Action::Update), ["ada"]);
    assert!(undone.skipped.is_empty(), "{undone:#?}");
    let restored = report(&studio, &clock, &["restore", &after.run]);
    assert_eq!(restored.trigger, Trigger::Restore);
    assert_eq!(logins(&restored, Action::Update), ["ada"]);
    assert_eq!(studio.user("ada").last_name.as_deref(), Some("New"));
    // The link says no more what was undone.
    report(&studio, &clock, &["sync"]);
    let next = report(&studio, &clock, &["sync"]);
    assert_eq!(next.ftrack.write_calls, 0, "{next:#?}");
}

#[test]
fn a_reactivation_is_the_runs_though_the_clock_was_ahead_at_the_deactivation() {
    let test = "a_reactivation_is_the_runs_though_the_clock_was_ahead_at_the_deactivation";
    let mut studio = Studio::of(&["ada", "bob", "eve"]);
    studio.job = "limits = { deactivate = \"100%\" }".into();
    studio.ftrack_settings = "attempts = 1".into();
    let now = Utc::now();
    let Some(clock) = SetClock::showing(test, &studio, now + TimeDelta::hours(1)) else {
        return;
    };
    report(&studio, &clock, &["sync"]);
    leave(&studio, "bob");
    let left = report(&studio, &clock, &["sync"]);
    assert_eq!(logins(&left, Action::Deactivate), ["bob"]);

    clock.set(now);
    come_back(&studio, "bob");
    // It cannot read back what it wrote.
    let mut is_written = false;
    studio.ftrack().fail_when(move |call| {
        is_written |= call.kind == CallKind::Write;
        (is_written && call.kind == CallKind::Read).then_some(Fault::Html(503))
    });
    let mut command = studio.command(&["sync", "--format", "json"]);
    clock.prepare(&mut command);
    let output = command.output().unwrap();
    let unclear: Report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        unclear.changes[0].result,
        ChangeResult::Unconfirmed,
        "{unclear:#?}"
    );
    assert!(studio.user("bob").is_active);
    studio.ftrack().heal();
    report(&studio, &clock, &["sync"]);
    let now_known = json(&studio, &clock, &["runs", "show", &unclear.run]);
    assert_eq!(
        now_known["changes"][0]["result"], "applied",
        "{now_known:#}"
    );
    assert_eq!(now_known["counts"]["reactivated"], 1);
}

#[test]
fn no_hold_gets_the_number_of_an_earlier_one_though_the_clock_went_back() {
    let test = "no_hold_gets_the_number_of_an_earlier_one_though_the_clock_went_back";
    let mut studio = Studio::of(&["ada", "bob", "eve"]);
    let now = Utc::now();
    let Some(clock) = SetClock::showing(test, &studio, now) else {
        return;
    };
    report(&studio, &clock, &["sync"]);
    studio.job = "limits = { deactivate = 0 }".into();
    leave(&studio, "bob");
    let lost = || {
        std::fs::remove_dir_all(studio.state_dir()).unwrap();
        let held = report(&studio, &clock, &["sync"]);
        held.last_hold.unwrap()
    };
    let number = lost();
    clock.set(now - TimeDelta::hours(1));
    // ftrack's shows whole seconds.
    let minute = TimeDelta::minutes(1);
    studio
        .ftrack()
        .change_rules(|rules| rules.clock_ahead = minute);
    assert!(lost() > number);
}
