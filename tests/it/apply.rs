//! Saved plans, dry runs, the history of runs, and one run at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, path::PathBuf};

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::{
        change::Action,
        link::Activity,
        report::{ChangeResult, Outcome, Report},
    },
    run::saved::SavedPlan,
};
use serde_json::{Value, json};

use crate::{
    rules::{by_hand, come_back, leave, logins},
    studio::{Ended, Studio, dn, person},
};

/// A synced studio of ten of whom four left, which is more than the limit allows, one changed, and
/// one joined.
fn waiting() -> Studio {
    let uids: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let studio = Studio::of(&uids.iter().map(String::as_str).collect::<Vec<_>>()).end_to_end();
    studio.sync();
    for uid in &uids[..4] {
        leave(&studio, uid);
    }
    studio
        .tree()
        .replace(&dn("user9"), "sn", &["Changed"])
        .unwrap();
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    studio
}

/// Saves a plan beside the configuration.
fn saved(studio: &Studio) -> PathBuf {
    let path = studio.folder().join("plan.json");
    let ended = studio.run(&["plan", "--out", path.to_str().unwrap()]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    path
}

fn apply(studio: &Studio, plan: &std::path::Path) -> Report {
    studio.synced(&["apply", "--format", "json", plan.to_str().unwrap()])
}

#[test]
fn the_report_says_who_approved() {
    let uid = rustix::process::getuid().as_raw();
    for (login, json, text) in [
        (
            Some("eva"),
            json!({"uid": uid, "sudo_user": "eva"}),
            format!("  approved   by eva (through sudo, as uid {uid})\n"),
        ),
        (
            None,
            json!({"uid": uid}),
            format!("  approved   by uid {uid}\n"),
        ),
    ] {
        let studio = waiting();
        let plan = saved(&studio);
        let mut command = studio.command(&["apply", "--format", "json", plan.to_str().unwrap()]);
        command.envs(login.map(|login| ("SUDO_USER", login)));
        let ended = Ended::of(command.output().unwrap());
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(
            (&report["trigger"], &report["approved_by"]),
            (&json!("manual"), &json)
        );
        let run = report["run"].as_str().unwrap();
        let shown = studio.run(&["runs", "show", run]).stdout;
        assert!(shown.contains(&text), "{shown}");
        // What nobody approved does not say so.
        let synced = studio.run(&["sync", "--format", "json"]).stdout;
        assert!(!synced.contains("approved_by"), "{synced}");
    }
}

#[test]
fn an_approved_plan_is_written_whatever_the_limit() {
    let studio = waiting();
    let plan = saved(&studio);
    let text: Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    let held = text["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|planned| !planned["held"].is_null())
        .count();
    assert_eq!(held, 4);
    let report = apply(&studio, &plan);
    let counts = &report.counts;
    assert_eq!(
        (
            counts.deactivated,
            counts.updated,
            counts.created,
            counts.held
        ),
        (4, 1, 1, 0),
        "{report:#?}"
    );
    studio.sync_changes_nothing();
    // What was applied cannot be applied again.
    let report = apply(&studio, &plan);
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Failed, 0)
    );
    assert!(
        report
            .error
            .unwrap()
            .starts_with("there is nothing left to do, and nothing was written")
    );
}

#[test]
fn a_plan_that_is_not_called_for_any_more_is_refused_whole() {
    type Meanwhile = fn(&Studio);
    let cases: [(Meanwhile, &str); 4] = [
        (
            |studio| come_back(studio, "user0"),
            "deactivate \"user0\" is no longer needed",
        ),
        (
            |studio| drop(studio.tree().replace(&dn("user9"), "sn", &["Else"])),
            "update \"user9\" has changed",
        ),
        (
            |studio| by_hand(studio, "user9", &json!({"last_name": "By hand"})),
            "update \"user9\" has changed",
        ),
        (
            |studio| by_hand(studio, "user1", &json!({"is_active": false})),
            "deactivate \"user1\" is no longer needed",
        ),
    ];
    for (meanwhile, said) in cases {
        let studio = waiting();
        let plan = saved(&studio);
        meanwhile(&studio);
        let before = studio.ftrack().users();
        let report = apply(&studio, &plan);
        let error = report.error.unwrap();
        assert!(
            error.contains(said) && error.contains("Make a new plan"),
            "{error}"
        );
        assert_eq!(
            (report.outcome, studio.ftrack().counters().write_calls),
            (Outcome::Failed, 0)
        );
        assert_eq!(studio.ftrack().users(), before);
    }
}

#[test]
fn what_nobody_approved_is_not_written() {
    let studio = waiting();
    let plan = saved(&studio);
    studio.tree().add(person("later", "Came", "Later")).unwrap();
    let report = apply(&studio, &plan);
    assert_eq!(logins(&report, Action::Create), ["joiner"], "{report:#?}");
    assert_eq!(studio.sync().counts.created, 1);
}

#[test]
fn the_last_administrator_is_kept_whoever_approves() {
    let studio = waiting();
    for role in studio.ftrack().rows("UserSecurityRole").unwrap() {
        studio
            .ftrack()
            .remove("UserSecurityRole", &json!([role["id"]]))
            .unwrap();
    }
    crate::rules::make_administrator(&studio, "user2");
    let report = apply(&studio, &saved(&studio));
    assert_eq!(
        (
            report.counts.deactivated,
            report.counts.held,
            report.outcome
        ),
        (3, 1, Outcome::Held),
        "{report:#?}"
    );
    assert!(studio.user("user2").is_active);
}

#[test]
fn a_plan_reads_back_as_it_was_written() {
    let studio = waiting();
    let path = saved(&studio);
    let plan = SavedPlan::load(&path).unwrap();
    let again: SavedPlan = serde_json::from_slice(&serde_json::to_vec(&plan).unwrap()).unwrap();
    assert_eq!(plan, again);
    let printed: SavedPlan =
        serde_json::from_str(&studio.run(&["plan", "--format", "json"]).stdout).unwrap();
    // All but the moment of a deactivation, which is when the plan was made.
    let timeless = |plan: SavedPlan| {
        plan.changes.into_iter().map(|mut planned| {
            planned.change.link.activity = Activity::Settled;
            planned
        })
    };
    assert!(
        timeless(printed).eq(timeless(plan)),
        "the same servers give the same plan"
    );
}

#[test]
fn a_plan_that_was_edited_is_not_applied() {
    let studio = waiting();
    let plan = saved(&studio);
    let good: Value = serde_json::from_slice(&fs::read(&plan).unwrap()).unwrap();
    let place = |action: &str| {
        let changes = good["changes"].as_array().unwrap();
        let is_it = |planned: &Value| planned["change"]["action"] == action;
        changes.iter().position(is_it).unwrap()
    };
    let (update, create) = (place("update"), place("create"));
    let leaver = place("deactivate");
    type Edit = Box<dyn Fn(&mut Value)>;
    let edits: [Edit; 4] = [
        Box::new(move |plan| {
            let fields = &mut plan["changes"][update]["change"]["fields"];
            fields["last_name"]["new"] = "Else".into();
        }),
        Box::new(move |plan| {
            let fields = plan["changes"][create]["change"]["fields"].as_object_mut();
            fields.unwrap().remove("last_name");
        }),
        Box::new(move |plan| {
            plan["changes"][create]["change"]["username"] = "admin".into();
        }),
        // The fingerprint of one change, and the id of another.
        Box::new(move |plan| {
            let id = plan["changes"][leaver]["change"]["id"].clone();
            plan["changes"][update]["change"]["id"] = id;
        }),
    ];
    for edit in edits {
        let mut edited = good.clone();
        edit(&mut edited);
        fs::write(&plan, edited.to_string()).unwrap();
        let report = apply(&studio, &plan);
        assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
        assert_eq!(report.ftrack.write_calls, 0, "{report:#?}");
        let error = report.error.unwrap();
        assert!(error.contains("the plan was edited"), "{error}");
    }
}

#[test]
fn what_is_no_plan_is_refused_by_name() {
    let studio = waiting();
    let good = fs::read_to_string(saved(&studio)).unwrap();
    let cases = [
        ("{".to_owned(), 2, "is not a plan that `plan --out` wrote"),
        (
            good.replace("\"format\": 3", "\"format\": 99"),
            2,
            "its format version is 99",
        ),
        (
            good.replace("\"job\": \"artists\"", "\"job\": \"painters\""),
            2,
            "painters",
        ),
    ];
    let path = studio.folder().join("bad.json");
    for (content, status, said) in cases {
        fs::write(&path, content).unwrap();
        let ended = studio.run(&["apply", path.to_str().unwrap()]);
        assert_eq!(ended.status, status, "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let ended = studio.run(&["apply", "/nowhere/plan.json"]);
    assert!(
        ended.status == 2 && ended.stderr.contains("/nowhere/plan.json"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_exit_status_tells_what_a_plan_holds() {
    let studio = Studio::of(&["ada", "bob", "cyd"]).end_to_end();
    let status = |studio: &Studio| studio.run(&["plan", "--detailed-exitcode"]).status;
    assert_eq!(status(&studio), 10);
    assert_eq!(studio.run(&["plan"]).status, 0);
    studio.sync();
    assert_eq!(status(&studio), 0);
    leave(&studio, "ada");
    assert_eq!(status(&studio), 10);
    leave(&studio, "bob");
    assert_eq!(status(&studio), 3);
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_would() {
    let studio = waiting();
    let before = studio.ftrack().users();
    let report = studio.synced(&["sync", "--dry-run", "--format", "json"]);
    assert_eq!(
        (
            studio.ftrack().counters().write_calls,
            report.ftrack.write_calls
        ),
        (0, 0)
    );
    assert_eq!(studio.ftrack().users(), before);
    assert!(report.dry_run);
    let with = |result| {
        report
            .changes
            .iter()
            .filter(|change| change.result == result)
            .count()
    };
    assert_eq!(
        (
            with(ChangeResult::Planned),
            with(ChangeResult::Held),
            report.changes.len()
        ),
        (2, 4, 6)
    );
    let counts = &report.counts;
    assert_eq!(
        (
            counts.created,
            counts.updated,
            counts.deactivated,
            counts.held
        ),
        (0, 0, 0, 4),
        "counts are what was written"
    );
    let shown: Report = serde_json::from_str(
        &studio
            .run(&["runs", "show", "last", "--format", "json"])
            .stdout,
    )
    .unwrap();
    assert_eq!(shown, report);
}

#[test]
fn runs_are_listed_and_found_by_what_fits_one_alone() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let none = studio.run(&["runs", "show", "last"]);
    assert!(
        none.status == 2 && none.stderr.contains("no saved runs yet"),
        "{}",
        none.stderr
    );
    let runs = [studio.sync().run, studio.sync().run, studio.sync().run];
    assert!(runs.is_sorted(), "{runs:?}");
    let shown = |name: &str| {
        serde_json::from_str::<Report>(
            &studio
                .run(&["runs", "show", name, "--format", "json"])
                .stdout,
        )
        .unwrap()
        .run
    };
    assert_eq!(
        [shown("last"), shown(&runs[0]), shown(&runs[1][11..])],
        [&runs[2], &runs[0], &runs[1]].map(Clone::clone)
    );
    let several = studio.run(&["runs", "show", "-"]);
    assert!(
        several.status == 2 && several.stderr.contains("matches 3 runs"),
        "{}",
        several.stderr
    );
    let unknown = studio.run(&["runs", "show", "../../etc/passwd"]);
    assert!(
        unknown.status == 2 && unknown.stderr.contains("there is no run"),
        "{}",
        unknown.stderr
    );
    let list: Vec<Value> =
        serde_json::from_str(&studio.run(&["runs", "--format", "json"]).stdout).unwrap();
    assert_eq!(
        list.iter()
            .map(|run| run["run"].as_str().unwrap())
            .collect::<Vec<_>>(),
        [&runs[2], &runs[1], &runs[0]]
    );
}

/// Makes a report that of another run and time.
fn move_report(studio: &Studio, from: &Report, run: &str, year: i32) {
    use chrono::Datelike;
    let folder = studio.state_dir().join("reports/artists");
    let mut report = from.clone();
    report.run = run.to_owned();
    report.started_at = report.started_at.with_year(year).unwrap();
    report.finished_at = report.started_at;
    fs::write(
        folder.join(format!("{run}.json")),
        serde_json::to_vec(&report).unwrap(),
    )
    .unwrap();
    fs::remove_file(folder.join(format!("{}.json", from.run))).unwrap();
}

#[test]
fn reports_of_quiet_runs_are_kept_by_number_the_others_by_age_and_other_files_are_left_alone() {
    let studio = Studio::of(&["ada"]).end_to_end();
    crate::rules::add_config(&studio, "[reports]\nkeep = 2\nkeep_for = \"30d\"\n");
    let folder = studio.state_dir().join("reports/artists");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("zz-notes.json"), "mine").unwrap();
    let kept = || {
        let names = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    };
    let created = studio.sync();
    move_report(&studio, &created, "20200101-000000-abcd", 2020);
    studio
        .tree()
        .add(crate::studio::person("bob", "Bob", "B"))
        .unwrap();
    let changed = studio.sync();
    let quiet: Vec<String> = (0..5).map(|_| studio.sync().run).collect();
    let mut expected: Vec<String> = [&changed.run, &quiet[3], &quiet[4]]
        .map(|run| format!("{run}.json"))
        .to_vec();
    expected.push("zz-notes.json".into());
    assert_eq!(
        kept(),
        expected,
        "a run that changed something outlasts newer ones that did not, until it is too old"
    );
}

#[test]
fn the_newest_run_stays_the_last_one_when_the_clock_was_set_back() {
    let studio = Studio::of(&["ada"]).end_to_end();
    crate::rules::add_config(&studio, "[reports]\nkeep = 2\nkeep_for = \"30d\"\n");
    let folder = studio.state_dir().join("reports/artists");
    // The clock showed the end of the century once.
    let ahead = "20991231-235959-ffff";
    let mut report = studio.sync();
    let real = folder.join(format!("{}.json", report.run));
    report.run = ahead.to_owned();
    fs::write(
        folder.join(format!("{ahead}.json")),
        serde_json::to_vec(&report).unwrap(),
    )
    .unwrap();
    fs::remove_file(real).unwrap();
    let runs: Vec<String> = (0..3).map(|_| studio.sync().run).collect();
    assert_eq!(
        runs,
        [
            "21000101-000000-0000",
            "21000101-000000-0001",
            "21000101-000000-0002"
        ]
    );
    assert_eq!(
        studio
            .run(&["runs", "show", "last", "--format", "json"])
            .report()
            .run,
        runs[2]
    );
    let kept: Vec<String> = studio
        .reports()
        .into_iter()
        .map(|report| report.run)
        .collect();
    // The first one created a user.
    assert_eq!(kept, [ahead, &runs[1], &runs[2]], "the newest are kept");
}

#[test]
fn a_run_of_a_job_that_runs_already_is_refused() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let (began, waits) = std::sync::mpsc::channel();
    studio.ftrack().fail_when(move |call| {
        let first = call.kind == CallKind::Write && call.number_of_kind == 1;
        (first && began.send(()).is_ok()).then_some(Fault::StallBefore)
    });
    let mut running = studio.start(&["sync"]);
    waits
        .recv_timeout(std::time::Duration::from_secs(30))
        .unwrap();
    let second = studio.run(&["sync", "--format", "json"]);
    assert_eq!(
        (second.status, second.stdout.as_str()),
        (1, ""),
        "{}",
        second.stderr
    );
    assert!(
        second
            .stderr
            .contains("another run of this job is in progress"),
        "{}",
        second.stderr
    );
    // Killed in the middle, it leaves a report with the next run, and the lock is free.
    running.kill().unwrap();
    running.wait().unwrap();
    studio.ftrack().heal();
    let report = studio.sync();
    assert_eq!(report.counts.created, 1, "{report:#?}");
    let list: Vec<Value> =
        serde_json::from_str(&studio.run(&["runs", "--format", "json"]).stdout).unwrap();
    let outcomes: Vec<&str> = list
        .iter()
        .map(|run| run["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["succeeded", "failed"]);
    assert!(
        list[1]["error"]
            .as_str()
            .unwrap()
            .contains("ended in the middle"),
        "{list:#?}"
    );
}

#[test]
fn an_odd_value_cannot_forge_a_line_of_a_report() {
    let studio = Studio::of(&["ada"]).end_to_end();
    studio.sync();
    by_hand(
        &studio,
        "ada",
        &json!({"last_name": "x\n  - deactivate everybody\u{1b}[2J\u{202e}", "first_name": ""}),
    );
    let ended = studio.run(&["sync"]);
    assert!(
        ended
            .stdout
            .contains("last_name: x\\u{a}  - deactivate everybody\\u{1b}[2J\\u{202e} -> ada"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("first_name: (empty) -> Given"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_plan_file_that_is_none_is_refused_and_not_waited_for() {
    let studio = Studio::of(&["ada"]).end_to_end();
    let pipe = studio.folder().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let folder = studio.folder().join("folder");
    std::fs::create_dir(&folder).unwrap();
    for path in [&pipe, &folder, &"/dev/zero".into()] {
        let name = path.to_str().unwrap();
        let ended = studio.run(&["apply", name]);
        let problem = format!("the plan file {name} is not a regular file");
        assert!(
            ended.status == 2 && ended.stderr.contains(&problem),
            "{}",
            ended.stderr
        );
    }
    // Nor is one replaced by a plan.
    let ended = studio.run(&["plan", "--out", pipe.to_str().unwrap()]);
    assert!(
        ended.status == 1 && ended.stderr.contains("it is not a regular file"),
        "{}",
        ended.stderr
    );
    assert!(!std::fs::symlink_metadata(&pipe).unwrap().is_file());
}

#[test]
fn where_a_plan_cannot_be_saved_nothing_else_is_blamed() {
    let studio = Studio::of(&["ada"]);
    // Where not even root may make a file.
    let ended = studio.run(&["plan", "--out", "/sys/plan.json"]);
    assert_eq!(ended.status, 1, "{}", ended.stdout);
    let said = &ended.stderr;
    assert!(said.contains("cannot write /sys/plan.json: "), "{said}");
    assert!(!said.contains("state directory"), "{said}");
}
