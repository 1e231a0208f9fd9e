//! Windows, freezes and pauses of single kinds of change: what they hold is counted and named, changes
//! no outcome, and is written by the first run after they open.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod all_jobs;
mod beside;
mod freezes;
mod pauses;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::HeldBy,
        report::{ChangeResult, Outcome, Report, Reported},
    },
};

use crate::{
    rules::{account, approve, come_back, leave},
    situations::Situation,
    studio::{Studio, dn, person},
};

/// A window of every day that is open now.
pub fn open() -> String {
    hours(-2, 2)
}

/// A window of every day that is closed now, and opens two hours from now.
pub fn closed() -> String {
    hours(2, 4)
}

fn hours(from: i64, to: i64) -> String {
    let hour = |hours| (Utc::now() + TimeDelta::hours(hours)).format("%H:%M");
    format!("{}-{}", hour(from), hour(to))
}

/// When the window opens that is closed now.
fn opening() -> DateTime<Utc> {
    let time = Utc::now() + TimeDelta::hours(2);
    time.duration_trunc(TimeDelta::minutes(1)).unwrap()
}

/// What a report says of what is held: who, by what, in the order of the logins.
pub fn held(report: &Report) -> Vec<(&str, HeldBy)> {
    let held = report.changes.iter();
    let held = held.filter(|change| change.result == ChangeResult::Held);
    let mut held: Vec<_> = held
        .map(|change| (&*change.username, change.held_by.unwrap()))
        .collect();
    held.sort_unstable();
    held
}

fn change<'r>(report: &'r Report, username: &str) -> &'r Reported {
    let mut changes = report.changes.iter();
    changes
        .find(|change| change.username == username)
        .unwrap_or_else(|| panic!("nothing about {username}: {report:#?}"))
}

/// A run that holds these people's changes by time alone, and writes nothing.
fn waits(studio: &Studio, expected: &[(&str, HeldBy)]) -> Report {
    let report = studio.sync();
    assert_eq!(held(&report), expected, "{report:#?}");
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!(studio.ftrack().counters().write_calls, 0);
    report
}

#[test]
fn what_no_window_is_open_for_is_written_by_the_first_run_inside() {
    let mut situation = Situation::synced(&["ada", "bob"])
        .job(&format!("windows = {{ deactivate = [{:?}] }}", closed()))
        .then(|studio| leave(studio, "ada"));
    for _ in 0..2 {
        let before = opening();
        let report = waits(&situation, &[("ada", HeldBy::Window)]);
        assert_eq!(report.counts.held, 1);
        let opens_at = change(&report, "ada").opens_at.unwrap();
        // The minute may have changed in between.
        assert!((opens_at - before).num_minutes().abs() <= 1, "{opens_at}");
        let why = change(&report, "ada").error.clone().unwrap();
        let opens = opens_at.format("%Y-%m-%d %H:%M:%S UTC").to_string();
        assert!(
            why.contains("outside of windows.deactivate") && why.contains(&opens),
            "{why}"
        );
        assert!(
            situation
                .report_text(&report)
                .contains("outside of windows.deactivate")
        );
    }
    assert!(situation.user("ada").is_active);
    situation.job = format!(
        "windows = {{ deactivate = [{:?}, {:?}] }}",
        closed(),
        open()
    );
    let report = situation.sync();
    assert_eq!((report.counts.deactivated, report.counts.held), (1, 0));
    assert!(!situation.user("ada").is_active);
    situation.sync_changes_nothing();
}

#[test]
fn a_window_holds_its_kind_alone() {
    let mut situation = Situation::synced(&["ada", "bob", "eve"])
        .job(&format!(
            "windows = {{ rename = [{0:?}], create = [{0:?}] }}",
            closed()
        ))
        .then(|studio| {
            let tree = studio.tree();
            tree.replace(&dn("ada"), "mail", &["new@studio.test"])
                .unwrap();
            tree.replace(&dn("ada"), "sn", &["Lovelace"]).unwrap();
            tree.add(person("joiner", "New", "Face")).unwrap();
            leave(studio, "eve");
        });
    situation.attributes = situation
        .attributes
        .replace("\"uid\"", "\"employeeNumber\"");
    for (uid, number) in [
        ("ada", "lovelace"),
        ("bob", "bob"),
        ("eve", "eve"),
        ("joiner", "joiner"),
    ] {
        let at = if uid == "eve" {
            "uid=eve,dc=studio,dc=test".into()
        } else {
            dn(uid)
        };
        situation
            .tree()
            .replace(&at, "employeeNumber", &[number])
            .unwrap();
    }
    situation.job.push_str("\nconfig_change = \"apply\"");
    let report = situation.sync();
    assert_eq!(
        held(&report),
        [("joiner", HeldBy::Window), ("lovelace", HeldBy::Window)],
        "{report:#?}"
    );
    assert_eq!(report.outcome, Outcome::Succeeded);
    assert_eq!((report.counts.deactivated, report.counts.updated), (1, 1));
    let ada = situation.user("ada");
    assert_eq!(ada.email.as_deref(), Some("new@studio.test"));
    assert!(situation.ftrack().user("joiner").is_none());
    situation.job = "config_change = \"apply\"".into();
    let report = situation.sync();
    assert_eq!((report.counts.created, report.counts.updated), (1, 1));
    assert_eq!(
        situation.user("lovelace").last_name.as_deref(),
        Some("Lovelace")
    );
    situation.sync_changes_nothing();
}

#[test]
fn who_takes_the_login_of_one_who_waits_waits_as_well() {
    let situation = Situation::synced(&["ada", "bob"])
        .job(&format!("windows = {{ rename = [{:?}] }}", closed()))
        .then(|studio| {
            studio.tree().rename(&dn("ada"), &dn("lovelace")).unwrap();
            studio
                .tree()
                .replace(&dn("lovelace"), "uid", &["lovelace"])
                .unwrap();
            studio.tree().add(person("ada", "Another", "Ada")).unwrap();
        });
    let report = situation.sync();
    assert_eq!(
        held(&report),
        [("ada", HeldBy::Window), ("lovelace", HeldBy::Window)],
        "{report:#?}"
    );
    assert!(change(&report, "ada").opens_at.is_some());
    assert_eq!(report.outcome, Outcome::Succeeded);
    let situation = situation.job("");
    let report = situation.sync();
    assert_eq!((report.counts.created, report.counts.held), (1, 0));
    situation.sync_changes_nothing();
}

#[test]
fn a_user_that_is_not_adopted_yet_is_left_as_it_is() {
    // The login would change as well, for which there is no window.
    let stranger = Account {
        email: Some("ada@studio.test".into()),
        ..account("ada.old")
    };
    let job = "users = { adopt = \"email\" }\n";
    let mut situation = Situation::of(&["ada", "bob"])
        .account(stranger)
        .job(&format!("{job}windows = {{ adopt = [{:?}] }}", closed()));
    let report = situation.sync();
    assert_eq!(held(&report), [("ada", HeldBy::Window)], "{report:#?}");
    assert!(situation.user("ada.old").metadata.is_empty());
    assert_eq!(report.outcome, Outcome::Succeeded);
    job.clone_into(&mut situation.job);
    assert_eq!(situation.sync().counts.held, 1, "a person decides now");
}

#[test]
fn a_returner_waits_for_a_window_of_reactivations() {
    let situation = Situation::synced(&["ada", "bob"])
        .then(|studio| leave(studio, "ada"))
        .after_sync()
        .then(|studio| come_back(studio, "ada"))
        .job(&format!("windows = {{ reactivate = [{:?}] }}", closed()));
    waits(&situation, &[("ada", HeldBy::Window)]);
    let situation = situation.job("");
    assert_eq!(situation.sync().counts.reactivated, 1);
    situation.sync_changes_nothing();
}

/// Twenty people, of whom so many leave; a limit of two.
fn leavers(number: usize, job: &str) -> Situation {
    let uids: Vec<String> = (0..20).map(|number| format!("user{number:02}")).collect();
    let all: Vec<&str> = uids.iter().map(String::as_str).collect();
    let situation = Situation::synced(&all).job(job);
    all[..number].iter().for_each(|uid| leave(&situation, uid));
    situation
}

#[test]
fn what_waited_is_not_written_past_a_limit() {
    let outside = format!(
        "windows = {{ deactivate = [{:?}] }}\nlimits = {{ deactivate = 2 }}",
        closed()
    );
    let inside = outside.replace(&closed(), &open());
    let mut situation = leavers(2, &outside);
    // As many as the limit allows, and one more of them in each of two days.
    waits(
        &situation,
        &[("user00", HeldBy::Window), ("user01", HeldBy::Window)],
    );
    leave(&situation, "user02");
    assert_eq!(situation.sync().outcome, Outcome::Succeeded);
    situation.job = inside;
    let report = situation.sync();
    let all = ["user00", "user01", "user02"];
    assert_eq!(
        held(&report),
        all.map(|uid| (uid, HeldBy::Limit)),
        "{report:#?}"
    );
    assert_eq!(report.outcome, Outcome::Held);
    // Whoever waits for a person does so at night as well, and one who leaves then does not.
    situation.job = outside;
    leave(&situation, "user03");
    let report = situation.sync();
    let mut expected = all.map(|uid| (uid, HeldBy::Limit)).to_vec();
    expected.push(("user03", HeldBy::Window));
    assert_eq!(held(&report), expected, "{report:#?}");
    assert_eq!(report.outcome, Outcome::Held);
    assert_eq!(report.counts.deactivated, 0);
}

#[test]
fn what_waits_for_a_window_does_not_count_for_the_limit() {
    let job = format!(
        "windows = {{ deactivate = [{:?}] }}\nlimits = {{ deactivate = 2 }}\ndisabled = \"(employeeType=locked)\"",
        closed()
    );
    let situation = leavers(2, &job);
    situation.sync();
    for uid in ["user10", "user11"] {
        situation
            .tree()
            .replace(&dn(uid), "employeeType", &["locked"])
            .unwrap();
    }
    let report = situation.sync();
    assert_eq!(
        (report.counts.deactivated, report.counts.held),
        (2, 2),
        "{report:#?}"
    );
    assert!(!situation.user("user10").is_active && situation.user("user00").is_active);
}

#[test]
fn a_person_who_applies_a_plan_does_not_wait() {
    let situation = Situation::synced(&["ada", "bob"])
        .job(&format!("windows = {{ deactivate = [{:?}] }}", closed()))
        .then(|studio| leave(studio, "ada"));
    let plan = situation.plan(&[]).unwrap();
    assert_eq!(plan.changes[0].held_by, Some(HeldBy::Window));
    assert!(plan.changes[0].opens_at.is_some());
    let report = approve(&situation);
    assert_eq!(
        (report.counts.deactivated, report.outcome),
        (1, Outcome::Succeeded)
    );
    situation.sync_changes_nothing();
}

#[test]
fn a_plan_that_was_made_inside_a_window_is_applied_outside() {
    let mut situation = Situation::synced(&["ada", "bob"]).then(|studio| leave(studio, "ada"));
    let plan = situation.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    situation.plan(&["--out", plan]).unwrap();
    situation.job = format!("windows = {{ deactivate = [{:?}] }}", closed());
    assert_eq!(situation.synced(&["apply", plan]).counts.deactivated, 1);
}

#[test]
fn the_program_ends_well_when_only_windows_hold() {
    let situation = Situation::synced(&["ada", "bob"])
        .job(&format!("windows = {{ deactivate = [{:?}] }}", closed()))
        .then(|studio| leave(studio, "ada"));
    let detailed = situation.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(detailed.status, 10, "{}", detailed.stdout);
    let ended = situation.run(&["sync", "--format", "json"]);
    assert_eq!((ended.status, ended.report().counts.held), (0, 1));
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let change = &json["changes"][0];
    assert_eq!(change["held_by"], "window");
    let opens_at = change["opens_at"].as_str().unwrap();
    assert!(
        opens_at.parse::<DateTime<Utc>>().unwrap() > Utc::now(),
        "{opens_at}"
    );
    // A window in another zone is not the same.
    let mut elsewhere = situation;
    elsewhere.job = format!(
        "timezone = \"Asia/Tokyo\"\nwindows = {{ deactivate = [{:?}] }}",
        tokyo()
    );
    assert_eq!(elsewhere.sync().counts.deactivated, 1);
}

/// Hours that are now in Tokyo, and not in UTC.
fn tokyo() -> String {
    let tokyo = Utc::now() + TimeDelta::hours(9);
    let hour = |hours| (tokyo + TimeDelta::hours(hours)).format("%H:%M");
    format!("{}-{}", hour(-2), hour(2))
}
