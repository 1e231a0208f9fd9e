//! What people still carry in ftrack who are to be deactivated: it is counted and named, and holds the
//! deactivation where the job says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faults;
mod held;

use ftrack_ldap_sync::model::{
    change::Action,
    report::{ChangeResult, Outcome, Report, Reported},
    work::{Work, WorkKind},
};
use insta::assert_snapshot;

use crate::{
    rules::leave,
    situations::Situation,
    studio::{Studio, person},
};

/// A job that may deactivate several at once, with what else is in its table of users.
fn job(users: &str) -> String {
    format!("limits = {{ deactivate = 5 }}\nusers = {{ {users} }}\n")
}

/// Ten people with users, of whom nobody left yet.
fn ten(users: &str) -> Situation {
    let all: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Situation::of(&all).job(&job(users)).after_sync()
}

/// A project that is open.
fn project(studio: &Studio) -> String {
    studio.ftrack().add_project("Moon", "active").unwrap()
}

/// An open task of a user.
fn give_task(studio: &Studio, project: &str, username: &str, name: &str) -> String {
    let user = studio.user(username).id;
    let ftrack = studio.ftrack();
    ftrack
        .add_task(project, name, "In progress", &[&user])
        .unwrap()
}

fn change<'r>(report: &'r Report, username: &str) -> &'r Reported {
    let mut changes = report.changes.iter();
    changes
        .find(|change| change.username == username)
        .unwrap_or_else(|| panic!("nothing about {username}: {report:#?}"))
}

fn work_of<'r>(report: &'r Report, username: &str) -> &'r Work {
    change(report, username).work.as_deref().unwrap()
}

/// The numbers of tasks, timers and projects.
fn numbers(work: &Work) -> [Option<usize>; 3] {
    WorkKind::ALL.map(|kind| work.number(kind))
}

/// The calls that read, of a sync.
fn read_calls(studio: &Studio) -> u64 {
    studio.sync().ftrack.read_calls
}

/// `user0` carries what counts and what does not; `user1` shares a task, and `user2` has nothing.
fn with_work(users: &str) -> Situation {
    ten(users).then(|studio| {
        let ftrack = studio.ftrack();
        let ids = ["user0", "user1", "user9"].map(|login| studio.user(login).id);
        let [own, other, stays] = ids.each_ref().map(String::as_str);
        let moon = project(studio);
        let gone = ftrack.add_project("Old", "hidden").unwrap();
        let task = give_task(studio, &moon, "user0", "light \u{1b}[31msh010");
        ftrack
            .add_task(&moon, "comp sh020", "Not started", &[other, stays, own])
            .unwrap();
        for (project, status) in [(&moon, "Approved"), (&gone, "In progress")] {
            ftrack.add_task(project, "no work", status, &[own]).unwrap();
        }
        // On the team of a project, which is nothing to be done.
        let team =
            serde_json::json!({"type": "allocation", "resource_id": own, "context_id": task});
        ftrack.insert("Appointment", &team).unwrap();
        ftrack.add_timer(own, &task, "").unwrap();
        for project in [&moon, &gone] {
            ftrack.add_manager(own, project).unwrap();
        }
        ftrack.add_api_key(own, "render-farm").unwrap();
        ftrack.add_api_key(stays, "not to be named").unwrap();
    })
}

#[test]
fn what_a_leaver_carries_is_named_in_plan_and_report() {
    let situation = with_work("create = true");
    for uid in ["user0", "user1", "user2"] {
        leave(&situation, uid);
    }
    let plan = situation.plan_text();
    assert_snapshot!(ids_left_out(&plan), @r"
    Plan for artists: 3 to deactivate

      - deactivate user0  uid=user0,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
          work: 2 open tasks, 1 running timer, 1 managed project
            timer light \u{1b}[31msh010: http://ftrack/#slideEntityId=[id]&slideEntityType=task&view=tasks&itemId=projects&entityId=[id]&entityType=show
            project Moon: http://ftrack/#entityId=[id]&entityType=show&itemId=projects
            task light \u{1b}[31msh010: http://ftrack/#slideEntityId=[id]&slideEntityType=task&view=tasks&itemId=projects&entityId=[id]&entityType=show
            task comp sh020: http://ftrack/#slideEntityId=[id]&slideEntityType=task&view=tasks&itemId=projects&entityId=[id]&entityType=show
          API keys of the user: render-farm; whether ftrack refuses them once the user is inactive is not known

      - deactivate user1  uid=user1,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
          work: 1 open task
            task comp sh020: http://ftrack/#slideEntityId=[id]&slideEntityType=task&view=tasks&itemId=projects&entityId=[id]&entityType=show

      - deactivate user2  uid=user2,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(report.counts.deactivated, 3);
    assert_eq!(
        ["user0", "user1", "user2"].map(|login| numbers(work_of(&report, login))),
        [
            [Some(2), Some(1), Some(1)],
            [Some(1), Some(0), Some(0)],
            [Some(0), Some(0), Some(0)]
        ]
    );
    assert_eq!(work_of(&report, "user0").api_keys, ["render-farm"]);
    let shown = situation.run(&["runs", "show", "last"]).stdout;
    assert!(
        shown.contains("work: 2 open tasks, 1 running timer, 1 managed project")
            && shown.contains("/#slideEntityId=")
            && !shown.contains("not to be named")
            && !shown.contains("MWM2"),
        "{shown}"
    );
    // The key's own text is nowhere, and the other columns of the key are not either.
    let saved = serde_json::to_string(&report).unwrap();
    assert!(!saved.contains("MWM2") && !saved.contains("not to be named"));
    situation.sync_changes_nothing();
}

/// The text with a word in place of each id in an address.
fn ids_left_out(text: &str) -> String {
    let mut told = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("ntityId=") {
        let end = after.find(['&', '\n']).unwrap_or(after.len());
        told += &format!("{before}ntityId=[id]");
        rest = &after[end..];
    }
    told + rest
}

#[test]
fn it_costs_one_call_and_only_where_somebody_is_to_be_deactivated() {
    let calls = |users: &str, leavers: usize| {
        let situation = with_work(users);
        for number in 0..leavers {
            leave(&situation, &format!("user{number}"));
        }
        read_calls(&situation)
    };
    assert_eq!(
        calls("create = true", 0),
        calls("work_in_hand = \"off\"", 0)
    );
    for leavers in [1, 3] {
        assert_eq!(
            calls("create = true", leavers),
            calls("work_in_hand = \"off\"", leavers) + 1,
            "{leavers}"
        );
    }
}

#[test]
fn nobody_asks_where_it_is_off() {
    let situation = with_work("work_in_hand = \"off\"").then(|studio| leave(studio, "user0"));
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 1);
    assert_eq!(change(&report, "user0").work, None);
}

#[test]
fn it_is_counted_whatever_the_reason_for_the_deactivation() {
    let mut situation = with_work("create = true");
    situation.job = format!(
        "disabled = \"(employeeType=locked)\"\n{}",
        job("create = true")
    );
    situation.sync();
    let tree = situation.tree();
    tree.replace(&crate::studio::dn("user0"), "employeeType", &["locked"])
        .unwrap();
    leave(&situation, "user1");
    let report = situation.sync();
    let of = |login| {
        let change = change(&report, login);
        let cause = change.cause.map(|cause| cause.as_str());
        (cause, change.result, numbers(work_of(&report, login)))
    };
    assert_eq!(
        of("user0"),
        (
            Some("disabled"),
            ChangeResult::Applied,
            [Some(2), Some(1), Some(1)]
        )
    );
    assert_eq!(
        of("user1"),
        (
            Some("out_of_scope"),
            ChangeResult::Applied,
            [Some(1), Some(0), Some(0)]
        )
    );
}

#[test]
fn few_of_many_are_named_and_all_that_fit_are_counted() {
    // Pages of five rows: what several have together does not fit on one, and of one who has more, the
    // number is a lower bound.
    let mut situation = ten("create = true");
    let moon = project(&situation);
    for (login, tasks) in [("user0", 4), ("user1", 3), ("user2", 30)] {
        for number in 0..tasks {
            give_task(&situation, &moon, login, &format!("task {number}"));
        }
        leave(&situation, login);
    }
    situation.ftrack_settings += "\npage_size = 5";
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 3);
    let of = |login| {
        let work = work_of(&report, login);
        let is_at_least = work.at_least.contains(&WorkKind::Tasks);
        (work.tasks, is_at_least, work.items.len())
    };
    assert_eq!(of("user0"), (Some(4), false, 4));
    assert_eq!(of("user1"), (Some(3), false, 3));
    assert_eq!(of("user2"), (Some(5), true, 5));
    let text = situation.report_text(&report);
    assert!(text.contains("work: at least 5 open tasks"), "{text}");

    // On whole pages everything is counted, and twenty are named.
    let situation = ten("create = true");
    let moon = project(&situation);
    for number in 0..30 {
        give_task(&situation, &moon, "user0", &format!("task {number}"));
    }
    leave(&situation, "user0");
    let report = situation.sync();
    let work = work_of(&report, "user0");
    assert_eq!(
        (work.tasks, work.at_least.len(), work.items.len()),
        (Some(30), 0, 20)
    );
    let text = situation.report_text(&report);
    assert!(text.contains("… and 10 more"), "{text}");
}

#[test]
fn who_returns_or_is_renamed_is_not_asked_about() {
    let situation = with_work("create = true").then(|studio| {
        let tree = studio.tree();
        tree.replace(&crate::studio::dn("user0"), "sn", &["Other"])
            .unwrap();
        tree.add(person("new", "New", "Face")).unwrap();
    });
    let report = situation.sync();
    assert_eq!((report.counts.updated, report.counts.created), (1, 1));
    let asked = report.changes.iter().filter(|change| change.work.is_some());
    assert_eq!(asked.count(), 0);
}

#[test]
fn explain_tells_it_too() {
    let situation = with_work("work_in_hand = \"hold\"").then(|studio| leave(studio, "user0"));
    let explained = situation.explain(&["user0"]).unwrap();
    assert_eq!(explained.verdict.as_str(), "held");
    let change = explained.change.unwrap();
    assert_eq!(change.action, Action::Deactivate);
    assert_eq!(
        numbers(change.work.as_deref().unwrap()),
        [Some(2), Some(1), Some(1)]
    );
    assert!(
        explained.reason.contains("work_in_hand"),
        "{}",
        explained.reason
    );
    let shown = situation.run(&["explain", "user0"]).stdout;
    assert!(
        shown.contains("work: 2 open tasks") && shown.contains("API keys of the user: render-farm"),
        "{shown}"
    );
}
