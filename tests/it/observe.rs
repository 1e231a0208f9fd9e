//! A job that only observes: it reads, plans and reports, and writes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use ftrack_ldap_sync::{
    demo::ftrack::{Account, CallKind, Fault},
    model::{
        change::{Action, HeldBy},
        explanation::{StepName, Verdict},
        report::{Became, ChangeResult, Outcome, Report},
    },
};
use insta::assert_snapshot;
use serde_json::json;

use crate::{
    daemon::{Daemon, job, must},
    rules::{account, by_hand, leave},
    slapd::wait_until,
    studio::Studio,
};

const LIMIT: Duration = Duration::from_secs(60);

fn observing(mut studio: Studio, more: &str) -> Studio {
    studio.job = format!("mode = \"observe\"\n{more}");
    studio
}

/// One observing run, after which nothing at ftrack is written.
fn observe(studio: &Studio) -> Report {
    let before = studio.ftrack().users();
    let report = studio.sync();
    assert_eq!(studio.ftrack().users(), before);
    assert_eq!(
        (
            studio.ftrack().counters().write_calls,
            report.ftrack.write_calls,
            report.counts.changed(),
            report.counts.held,
        ),
        (0, 0, 0, 0),
        "{report:#?}"
    );
    report
}

/// What became of the changes of the run before, by login.
fn became(report: &Report) -> Vec<(&str, Action, Became)> {
    let observed = report.observed.as_ref().unwrap();
    let changes = observed.changes.iter();
    changes
        .map(|change| (&*change.username, change.action, change.became))
        .collect()
}

#[test]
fn it_writes_nothing_and_shows_what_became_of_what_it_would_have_done() {
    let studio = observing(Studio::of(&["ada", "bob", "cyd"]), "").end_to_end();
    let first = observe(&studio);
    assert_eq!(
        (first.outcome, first.dry_run, first.changes.len()),
        (Outcome::Succeeded, false, 3)
    );
    let results = first.changes.iter().map(|change| change.result);
    assert!(results.eq([ChangeResult::Planned; 3]));
    assert_eq!(became(&first), []);

    // Another program creates two users, one of them with another name.
    let created = |uid: &str, last_name: &str| Account {
        first_name: Some("Given".into()),
        last_name: Some(last_name.into()),
        is_active: true,
        ..account(uid)
    };
    let users = [created("ada", "ada"), created("Bob", "Smith")];
    studio.ftrack().add_users(users).unwrap();
    let second = observe(&studio);
    assert_eq!(second.observed.as_ref().unwrap().run, Some(first.run));
    assert_eq!(
        became(&second),
        [
            ("ada", Action::Create, Became::Done),
            ("bob", Action::Create, Became::Otherwise),
            ("cyd", Action::Create, Became::NotDone),
        ]
    );
    let text = studio.run(&["sync"]);
    assert_eq!(text.status, 0, "{}", text.stderr);
    let beginning: Vec<&str> = text.stdout.lines().take(5).collect();
    let beginning = beginning.join("\n").replace(&second.run, "RUN");
    let beginning = beginning.replace(&studio.ftrack_url(), "FTRACK");
    let beginning = beginning.replace(&studio.directory_url, "DIRECTORY");
    assert!(
        beginning.contains(", observing: succeeded in "),
        "{beginning}"
    );
    let rest: Vec<&str> = beginning.lines().skip(1).collect();
    assert_snapshot!(rest.join("\n"), @r"
    directory  DIRECTORY: 3 entries, read completely
    ftrack     FTRACK: 4 users, 0 of this job; 9 read calls, 0 write calls
    observed   of what run RUN would have changed: 2 not done
    ");
    let runs = studio.run(&["runs"]).stdout;
    assert!(runs.contains("observed: 1 to create, 2 to adopt"), "{runs}");
}

#[test]
fn a_name_that_differs_is_shown_with_what_it_is() {
    let studio = observing(Studio::of(&["ada"]), "");
    observe(&studio);
    let user = Account {
        first_name: Some("Ada".into()),
        last_name: Some("ada".into()),
        is_active: true,
        ..account("ada")
    };
    studio.ftrack().add_user(&user).unwrap();
    let report = observe(&studio);
    let change = &report.observed.as_ref().unwrap().changes[0];
    assert_eq!(change.became, Became::Otherwise);
    assert_eq!(
        change.ftrack_id.as_ref().unwrap().to_string(),
        studio.user("ada").id
    );
    let shown = change.fields.iter();
    let shown: Vec<_> = shown
        .map(|(field, now)| (field.name(), now.clone()))
        .collect();
    assert_eq!(shown, [("first_name".to_owned(), json!("Ada"))]);
}

#[test]
fn what_would_be_held_is_planned_and_says_by_what() {
    let mut studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    for uid in ["ada", "bob"] {
        leave(&studio, uid);
    }
    studio = observing(studio, "limits = { deactivate = 1 }");
    let report = observe(&studio);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    for change in &report.changes {
        assert_eq!(
            (change.action, change.result, change.held_by),
            (
                Action::Deactivate,
                ChangeResult::Planned,
                Some(HeldBy::Limit)
            )
        );
        assert!(change.hold().unwrap().contains("limits.deactivate allows"));
    }
    assert_eq!(report.changes.len(), 2);
    // Somebody else deactivates one of them.
    by_hand(&studio, "ada", &json!({"is_active": false}));
    let report = observe(&studio);
    assert_eq!(
        became(&report),
        [
            ("ada", Action::Deactivate, Became::Done),
            ("bob", Action::Deactivate, Became::NotDone),
        ]
    );
}

#[test]
fn a_run_that_fails_is_not_compared_with() {
    let mut studio = observing(Studio::of(&["ada"]), "");
    let first = observe(&studio);
    studio.ftrack_settings = "attempts = 1".into();
    studio
        .ftrack()
        .fail_next(Some(CallKind::Read), Fault::Html(503));
    let failed = studio.sync();
    assert_eq!(failed.outcome, Outcome::Failed);
    assert!(failed.observed.is_some());
    let third = observe(&studio);
    assert_eq!(third.observed.unwrap().run, Some(first.run));
}

#[test]
fn later_runs_know_for_how_long_people_have_been_missing_and_nothing_else() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio = observing(studio, "");
    observe(&studio);
    // The first contact is still to come: there is nobody to lose.
    studio.job = String::new();
    let report = studio.sync();
    assert_eq!(
        (report.counts.created, report.outcome),
        (2, Outcome::Succeeded)
    );

    leave(&studio, "bob");
    let patience = "users = { deactivate_after = \"1s\" }";
    studio = observing(studio, patience);
    assert_eq!(observe(&studio).changes, []);
    assert!(wait_until(LIMIT, || observe(&studio).changes.len() == 1));
    studio.job = patience.to_owned();
    // ftrack's clock shows whole seconds, so that this run may see less of the time.
    assert!(wait_until(LIMIT, || studio.sync().counts.deactivated == 1));
}

#[test]
fn a_saved_plan_is_not_applied() {
    let studio = observing(Studio::of(&["ada"]), "").end_to_end();
    let plan = studio.folder().join("plan.json");
    let plan = plan.to_str().unwrap();
    studio.plan(&["--out", plan]).unwrap();
    let refused = studio.run(&["apply", plan]);
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("mode = \\\"observe\\\""),
        "{}",
        refused.stderr
    );
    assert!(studio.ftrack().user("ada").is_none());
}

#[test]
fn a_plan_and_an_explanation_say_that_nothing_of_it_is_written() {
    const SAID: &str =
        "the job has mode = \"observe\", so no run writes this, and neither does `apply`";
    let mut studio = Studio::of(&["ada"]);
    let told = |studio: &Studio| {
        let plan = studio.run(&["plan"]);
        assert_eq!(plan.status, 0, "{}", plan.stderr);
        let saved = studio.plan(&[]).unwrap();
        let explained = studio.explain(&["ada"]).unwrap();
        assert_eq!(explained.verdict, Verdict::Create, "{explained:#?}");
        let last = explained.steps.last().unwrap();
        let guard = (last.step, last.passed, last.detail == SAID);
        (plan.stdout.contains(SAID), saved.warnings.len(), guard)
    };
    assert_eq!(told(&studio), (false, 0, (StepName::Guard, true, false)));
    studio = observing(studio, "");
    assert_eq!(told(&studio), (true, 1, (StepName::Guard, false, true)));
    let text = studio.run(&["explain", "ada"]).stdout;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(SAID), "{text}");
    assert_eq!(studio.ftrack().counters().write_calls, 0);
}

#[test]
fn a_daemon_observes_on_schedule() {
    let studio =
        Studio::of(&["ada"]).for_a_daemon("mode = \"observe\"\nschedule = \"* * * * * *\"");
    let daemon = Daemon::start(&studio);
    let reports = studio.reports_when(2);
    assert!(reports.iter().all(|report| report.observed.is_some()));
    let shown = job(&studio);
    assert_eq!(shown["last_run"]["observed"], true);
    assert!(shown["last_success"].is_string(), "{shown:#}");
    let text = must(&studio, 0, &["status"]).stdout;
    assert!(text.contains("succeeded (observed)"), "{text}");
    assert_eq!(studio.ftrack().counters().write_calls, 0);
    daemon.stop();
}

#[test]
fn whoever_looks_is_told_that_the_job_only_observes() {
    let studio = observing(Studio::of(&["ada"]), "");
    let said = |arguments: &[&str]| {
        let ended = studio.run(arguments);
        assert_eq!(
            ended.status, 0,
            "{arguments:?}: {}{}",
            ended.stdout, ended.stderr
        );
        ended.stdout
    };
    let checked = said(&["check"]);
    assert!(
        checked.contains("mode = \"observe\": runs report"),
        "{checked}"
    );
    let explained = said(&["explain", "ada"]);
    assert!(
        explained.contains("mode = \"observe\", so no run writes this"),
        "{explained}"
    );
    let file = studio.folder().join("plan.json");
    let planned = said(&["plan", "--out", file.to_str().unwrap()]);
    assert!(
        planned.contains("only observes (mode = \"observe\"), so `apply` refuses it")
            && !planned.contains("writes exactly this"),
        "{planned}"
    );
    let refused = studio.run(&["apply", file.to_str().unwrap()]);
    assert_eq!(refused.status, 2, "{}", refused.stdout);
}
