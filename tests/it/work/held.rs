//! Deactivations that wait for a person, since somebody still carries work.

use ftrack_ldap_sync::model::{
    change::HeldBy,
    report::{ChangeResult, Outcome, Report},
};
use serde_json::{Value, json};

use super::{change, give_task, job, numbers, project, with_work, work_of};
use crate::{
    rules::{approve, leave},
    situations::Situation,
    studio::Studio,
    windows::{closed, held},
};

const HOLD: &str = "work_in_hand = \"hold\"";

fn json_of(studio: &Studio, arguments: &[&str]) -> Value {
    let ended = studio.run(&[arguments, &["--format", "json"]].concat());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Three left, of whom two still carry work.
fn three_left() -> Situation {
    with_work(HOLD).then(|studio| {
        for uid in ["user0", "user1", "user2"] {
            leave(studio, uid);
        }
    })
}

/// A sync that holds these for their work, and writes the others.
fn holds(studio: &Studio, logins: &[&str]) -> Report {
    let report = studio.sync();
    let expected: Vec<_> = logins.iter().map(|login| (*login, HeldBy::Work)).collect();
    assert_eq!(held(&report), expected, "{report:#?}");
    assert_eq!(report.outcome, Outcome::Held);
    report
}

#[test]
fn who_carries_work_waits_and_the_others_are_deactivated() {
    let situation = three_left();
    let report = holds(&situation, &["user0", "user1"]);
    assert_eq!(report.counts.deactivated, 1);
    assert!(!situation.user("user2").is_active);
    assert!(situation.user("user0").is_active);

    let all = json_of(&situation, &["holds"]);
    let hold = &all[0];
    assert_eq!(
        (&hold["held_by"], &hold["kind"], &hold["changes"]),
        (&json!("work"), &json!("deactivate"), &json!(2))
    );
    let people = hold["people"].as_array().unwrap();
    let work = |place: usize| {
        let work = &people[place]["work"];
        [&work["tasks"], &work["timers"], &work["projects"]].map(|number| number.as_u64())
    };
    assert_eq!(
        [work(0), work(1)],
        [[Some(2), Some(1), Some(1)], [Some(1), Some(0), Some(0)]]
    );
    let number = hold["hold"].to_string();
    let shown = situation.run(&["holds", "show", &number]).stdout;
    assert!(
        shown.contains("held by work")
            && shown.contains("work: 2 open tasks, 1 running timer, 1 managed project")
            && shown.contains("/#slideEntityId="),
        "{shown}"
    );

    // The same number, as long as they are held.
    holds(&situation, &["user0", "user1"]);
    assert_eq!(
        json_of(&situation, &["holds"])[0]["hold"].to_string(),
        number
    );
}

#[test]
fn an_approval_deactivates_them_all_the_same() {
    let situation = three_left();
    holds(&situation, &["user0", "user1"]);
    let number = json_of(&situation, &["holds"])[0]["hold"].to_string();
    let one = ["approve", &number, "--only", "user1", "--format", "json"];
    let ended = situation.run(&one);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert_eq!(ended.report().counts.deactivated, 1);
    assert!(situation.user("user0").is_active && !situation.user("user1").is_active);
    let ended = situation.run(&["approve", &number, "--format", "json"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    assert!(!situation.user("user0").is_active);
    assert_eq!(json_of(&situation, &["holds"]), json!([]));
    situation.sync_changes_nothing();
}

#[test]
fn an_approved_plan_shows_and_overrides_it() {
    let situation = three_left();
    let plan = situation.plan(&[]).unwrap();
    assert!(plan.waits_for_a_person());
    assert_eq!(approve(&situation).counts.deactivated, 3);

    // Work that came after the plan was not seen.
    let situation = with_work(HOLD).then(|studio| leave(studio, "user2"));
    let file = situation.folder().join("plan.json");
    let file = file.to_str().unwrap();
    situation.plan(&["--out", file]).unwrap();
    let moon = project(&situation);
    give_task(&situation, &moon, "user2", "late");
    let report = situation.synced(&["apply", file, "--format", "json"]);
    assert_eq!(report.outcome, Outcome::Failed);
    let error = report.error.unwrap();
    assert!(
        error.contains("user2") && error.contains("is held now"),
        "{error}"
    );
}

#[test]
fn who_hands_the_work_over_is_deactivated_by_the_next_run() {
    let situation = with_work(HOLD).then(|studio| leave(studio, "user1"));
    let report = holds(&situation, &["user1"]);
    assert_eq!(
        numbers(work_of(&report, "user1")),
        [Some(1), Some(0), Some(0)]
    );
    let hold = json_of(&situation, &["holds"])[0].clone();

    // What is carried changes, and the hold is the same.
    let moon = project(&situation);
    let task = give_task(&situation, &moon, "user1", "one more");
    holds(&situation, &["user1"]);
    let now = json_of(&situation, &["holds"])[0].clone();
    assert_eq!(now["hold"], hold["hold"]);
    assert_eq!(now["people"][0]["work"]["tasks"], 2);

    let ftrack = situation.ftrack();
    let user = situation.user("user1").id;
    let of_user = |row: &&Value| row["resource_id"] == json!(user);
    let rows = ftrack.rows("Appointment").unwrap();
    for row in rows.iter().filter(of_user) {
        let other = situation.user("user9").id;
        ftrack
            .change("Appointment", &row["id"], &json!({"resource_id": other}))
            .unwrap();
    }
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.counts.deactivated),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
    assert_eq!(report.holds_closed.len(), 1);
    assert!(
        ftrack
            .rows("Task")
            .unwrap()
            .iter()
            .any(|row| row["id"] == json!(task))
    );
    situation.sync_changes_nothing();
}

#[test]
fn a_limit_counts_those_who_are_free_of_work() {
    let mut situation = three_left();
    situation.job = format!("limits = {{ deactivate = 1 }}\nusers = {{ {HOLD} }}\n");
    let report = holds(&situation, &["user0", "user1"]);
    assert_eq!(report.counts.deactivated, 1, "one is within the limit");
}

#[test]
fn outside_of_a_window_those_with_work_wait_for_a_person_and_the_others_for_the_window() {
    let mut situation = three_left();
    situation.job = format!(
        "{}windows = {{ deactivate = [{:?}] }}\n",
        job(HOLD),
        closed()
    );
    let report = situation.sync();
    assert_eq!(
        held(&report),
        [
            ("user0", HeldBy::Work),
            ("user1", HeldBy::Work),
            ("user2", HeldBy::Window)
        ]
    );
    let number = change(&report, "user0").hold.unwrap().to_string();
    let ended = situation.run(&["approve", &number, "--format", "json"]);
    assert_eq!(ended.report().counts.deactivated, 2, "{}", ended.stderr);
    assert!(situation.user("user2").is_active);
}

#[test]
fn who_was_rejected_stays_and_an_administrator_is_held_for_that() {
    let situation = with_work(HOLD).then(|studio| {
        crate::rules::make_administrator(studio, "user1");
        for uid in ["user0", "user1"] {
            leave(studio, uid);
        }
    });
    let report = situation.sync();
    assert_eq!(
        held(&report),
        [("user0", HeldBy::Work), ("user1", HeldBy::Protected)]
    );
    // It is named in either hold.
    assert_eq!(
        numbers(work_of(&report, "user1")),
        [Some(1), Some(0), Some(0)]
    );
    let number = change(&report, "user0").hold.unwrap().to_string();
    assert_eq!(situation.run(&["reject", &number]).status, 0);
    let report = situation.sync();
    assert_eq!(change(&report, "user0").result, ChangeResult::Rejected);
    assert!(situation.user("user0").is_active);
}
