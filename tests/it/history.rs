//! The history of runs: who was changed when, found by time, outcome, job and person, whatever
//! became of the configuration.

use std::{fs, path::Path, process::Command};

use ftrack_ldap_sync::{
    model::{
        reason::Cause,
        report::{DirectoryPart, FailureKind, Outcome},
    },
    run::text::{self, Extent},
};
use serde_json::{Value, json};

use crate::{
    studio::{Ended, Studio, dn, person},
    undo::{ROLE, set_members, with_role},
};

/// The program with another configuration.
fn run_with(config: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    command.arg("--config").arg(config).args(arguments);
    command.env_clear().env("TZ", "UTC");
    Ended::of(command.output().unwrap())
}

/// The ids of the runs that are listed, newest first.
fn listed(config: &Path, arguments: &[&str]) -> Vec<String> {
    let arguments = [&["runs", "--format", "json"], arguments].concat();
    let ended = run_with(config, &arguments);
    assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
    let runs: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    runs.iter()
        .map(|run| run["run"].as_str().unwrap().to_owned())
        .collect()
}

/// A studio in which bob was created, nothing happened, and bob was deactivated.
fn studio() -> (Studio, [String; 3]) {
    let studio = Studio::of(&["ada", "bob"]).end_to_end();
    let created = studio.sync().run;
    let quiet = studio.sync().run;
    studio.tree().remove(&dn("bob")).unwrap();
    let deactivated = studio.sync().run;
    (studio, [created, quiet, deactivated])
}

#[test]
fn runs_are_found_without_secrets_with_a_broken_configuration_and_of_jobs_that_are_gone() {
    let (studio, runs) = studio();
    let [created, quiet, deactivated] = runs.each_ref().map(String::as_str);
    let reports = studio.state_dir().join("reports");
    let user = studio.user("bob").id.to_string();
    let broken = studio.folder().join("broken.toml");
    fs::write(
        &broken,
        format!(
            "state_dir = {:?}\ncolour = \"blue\"\n[ftrack]\napi_key_file = \"no-such-file\"\n",
            studio.state_dir()
        ),
    )
    .unwrap();
    let all = [deactivated, quiet, created];
    assert_eq!(listed(&broken, &[]), all);
    assert_eq!(listed(&broken, &["--changed"]), [deactivated, created]);
    assert_eq!(
        listed(&broken, &["--changed", "--limit", "1"]),
        [deactivated]
    );
    assert_eq!(listed(&broken, &["--outcome", "succeeded,held"]), all);
    assert_eq!(listed(&broken, &["--outcome", "failed"]), [""; 0]);
    assert_eq!(listed(&broken, &["--since", "1h"]), all);
    assert_eq!(listed(&broken, &["--until", "1h"]), [""; 0]);
    assert_eq!(
        listed(
            &broken,
            &["--since", "2020-01-31", "--until", "2999-12-31 23:59"]
        ),
        all
    );
    let people = [
        ("bob", 2),
        ("BOB", 2),
        ("bob@studio.test", 2),
        (dn("bob").as_str(), 2),
        (user.as_str(), 2),
        ("ada", 1),
        ("eve", 0),
    ]
    .map(|(who, runs)| (who.to_owned(), runs));
    for (who, runs) in people {
        assert_eq!(listed(&broken, &["--person", &who]).len(), runs, "{who}");
    }
    let report = run_with(&broken, &["runs", "show", deactivated, "--format", "json"]).report();
    assert_eq!(report.run, deactivated);
    // The job was renamed since.
    fs::create_dir(reports.join("interns")).unwrap();
    let file = format!("{created}.json");
    let content = fs::read_to_string(reports.join("artists").join(&file)).unwrap();
    let content = content.replace("\"job\":\"artists\"", "\"job\":\"interns\"");
    fs::write(reports.join("interns").join(&file), content).unwrap();
    assert_eq!(listed(&broken, &["--job", "interns"]), [created]);
    let nowhere = studio.folder().join("nowhere");
    let ended = run_with(&broken, &["runs", "--state-dir", nowhere.to_str().unwrap()]);
    assert_eq!(ended.status, 2);
    assert!(
        ended.stderr.contains("there is no such directory"),
        "{}",
        ended.stderr
    );
    // Where nothing can be read, the directory is named.
    fs::write(&broken, "state_dir = \n").unwrap();
    let ended = run_with(&broken, &["runs"]);
    assert_eq!(ended.status, 2);
    assert!(ended.stderr.contains("--state-dir DIR"), "{}", ended.stderr);
    let state_dir = studio.state_dir();
    let state_dir = state_dir.to_str().unwrap();
    assert_eq!(
        listed(&broken, &["--job", "artists", "--state-dir", state_dir]),
        all
    );
}

#[test]
fn the_last_dn_of_a_missing_person_is_told_unless_it_is_the_one_now() {
    let (studio, runs) = studio();
    let config = studio.config();
    let shown = run_with(&config, &["runs", "show", &runs[2], "--format", "json"]);
    let mut report = shown.report();
    let last_dn = report.changes[0].person.as_ref().unwrap().last_dn.clone();
    assert_eq!(last_dn.as_deref(), Some(&*dn("bob")));
    assert_eq!(report.changes[0].cause, Some(Cause::Absent));
    let text = text::report(&report, Extent::Whole);
    assert!(
        text.contains("last DN uid=bob") && text.contains("not in the directory"),
        "{text}"
    );
    report.changes[0].dn = last_dn;
    let text = text::report(&report, Extent::Whole);
    assert!(text.matches("uid=bob").count() == 1, "{text}");
    assert!(
        text.contains("person: Given bob, bob@studio.test\n"),
        "{text}"
    );
}

#[test]
fn the_list_says_when_and_what() {
    let (studio, runs) = studio();
    let config = studio.config();
    studio.tree().add(person("eve", "Eve", "New")).unwrap();
    let dry = studio
        .run(&["sync", "--dry-run", "--format", "json"])
        .report();
    let mut text = run_with(&config, &["runs"]).stdout;
    let listed: Vec<Value> =
        serde_json::from_str(&run_with(&config, &["runs", "--format", "json"]).stdout).unwrap();
    assert_eq!(listed[0]["planned"], json!({"create": 1}));
    for (position, run) in runs.iter().chain([&dry.run]).enumerate() {
        text = text.replace(run, &format!("RUN-{position}{:15}", ""));
    }
    for run in &listed {
        let minute = run["started_at"].as_str().unwrap()[..16].replace('T', " ");
        text = text.replace(&minute, "YYYY-MM-DD HH:MM");
    }
    insta::with_settings!({filters => vec![(r"\d+\.\d s", "T.T s")]}, {
        insta::assert_snapshot!(text, @"
        RUN                   STARTED (UTC)     JOB      OUTCOME    TOOK   WHAT
        RUN-3                 YYYY-MM-DD HH:MM  artists  succeeded  T.T s  dry run: 1 to create
        RUN-2                 YYYY-MM-DD HH:MM  artists  succeeded  T.T s  1 deactivated
        RUN-1                 YYYY-MM-DD HH:MM  artists  succeeded  T.T s  nothing to do
        RUN-0                 YYYY-MM-DD HH:MM  artists  succeeded  T.T s  2 created
        ");
    });
    let none = run_with(&config, &["runs", "--person", "zoe"]);
    assert_eq!(
        (none.status, none.stdout.as_str()),
        (0, "No saved run matches.\n")
    );
}

#[test]
fn a_report_does_not_blame_the_directory_for_what_ftrack_refused() {
    let (studio, _) = studio();
    let mut report = studio.sync();
    report.outcome = Outcome::Failed;
    report.directory = Some(DirectoryPart::default());
    let shown = |kind| {
        let mut report = report.clone();
        report.error_kind = Some(kind);
        text::report(&report, Extent::Whole)
    };
    let refused = shown(FailureKind::FtrackRefused);
    assert!(
        refused.contains("  directory  not read, since the run failed before\n"),
        "{refused}"
    );
    let unreachable = shown(FailureKind::Directory);
    assert!(
        unreachable.contains("  directory  no server reached: not read\n"),
        "{unreachable}"
    );
}

/// What `runs` prints with these arguments.
fn printed(studio: &Studio, arguments: &[&str]) -> String {
    let ended = studio.run(&[&["runs"], arguments].concat());
    assert_eq!(ended.status, 0, "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

#[test]
fn who_was_deactivated_on_a_day_and_why_is_one_command() {
    let (studio, [created, _, deactivated]) = studio();
    let told = printed(
        &studio,
        &["--changes", "--kind", "deactivate", "--on", "today"],
    );
    let run = format!(", artists, run {deactivated}");
    assert!(
        told.contains("  deactivate bob (Given bob, bob@studio.test)")
            && told.contains(&run)
            && told.ends_with(
                "    the person is no longer in the directory, as complete reads show\n"
            ),
        "{told}"
    );
    assert_eq!(told.lines().count(), 2, "{told}");
    let all = printed(&studio, &["--changes", "--since", "yesterday"]);
    for (what, times) in [("  create ", 2), ("  deactivate ", 1), (&*created, 2)] {
        assert_eq!(all.matches(what).count(), times, "{what}: {all}");
    }
    let of_bob = printed(&studio, &["--changes", "--person", "bob@studio.test"]);
    assert_eq!(of_bob.matches(", run ").count(), 2, "{of_bob}");
    let one = printed(&studio, &["--changes", "--limit", "1"]);
    assert!(
        one.ends_with("\n1 of 3 changes; a higher `--limit` shows more.\n"),
        "{one}"
    );
    let none = printed(&studio, &["--changes", "--on", "yesterday"]);
    assert!(
        none.starts_with("No saved run wrote such a change on ")
            && none.contains("; there was no run then, and the first that is saved is of "),
        "{none}"
    );
    let json = printed(
        &studio,
        &["--changes", "--kind", "deactivate", "--format", "json"],
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["run"], json!(deactivated));
    assert_eq!(json[0]["change"]["cause"], "absent");
    assert_eq!(json.as_array().unwrap().len(), 1);
    for (arguments, why) in [
        (
            &["runs", "--changes", "--on", "2h"][..],
            "not a day such as",
        ),
        (
            &["runs", "--since", "tuseday"],
            "yesterday, tuesday (the last one)",
        ),
        (&["runs", "--kind", "deactivate"], "--changes"),
        (
            &["runs", "--on", "today", "--since", "1h"],
            "cannot be used with",
        ),
    ] {
        let refused = studio.run(arguments);
        assert_eq!(refused.status, 2, "{arguments:?}");
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
}

#[test]
fn who_got_a_role_and_who_lost_one_are_found_by_their_kinds() {
    let studio = with_role(&["ada", "bob", "cyd"], &["ada"]);
    studio.sync();
    set_members(&studio, &["bob"]);
    let second = studio.sync();
    assert_eq!(second.counts.role_changes, 2, "{second:#?}");
    let of_kind = |kind: &str| {
        let told = printed(&studio, &["--changes", "--kind", kind]);
        let lines = told.lines().filter(|line| !line.starts_with("    the "));
        let lines = lines.map(|line| line.split_once("  ").map_or(line, |(_, told)| told));
        let lines = lines.map(|line| line.split([',', '(']).next().unwrap().trim());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let given = format!("gives the role {ROLE}");
    // Also whom a run created with it; nobody who was only created.
    let all = ["update bob", &given, "create ada", &given];
    assert_eq!(of_kind("grant"), all);
    assert_eq!(
        of_kind("revoke"),
        ["update ada", &format!("takes the role {ROLE}")]
    );
    let json = printed(
        &studio,
        &[
            "--changes",
            "--kind",
            "grant",
            "--person",
            "bob",
            "--format",
            "json",
        ],
    );
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 1);
    assert_eq!(
        json[0]["change"]["edits"],
        json!([{"kind": "grant", "role": ROLE}])
    );
}

#[test]
fn what_a_change_changed_is_told_from_what_to_what() {
    let studio = Studio::of(&["ada"]);
    studio.sync();
    studio.tree().replace(&dn("ada"), "sn", &["Holm"]).unwrap();
    let mail = ["ada.holm@studio.test"];
    studio.tree().replace(&dn("ada"), "mail", &mail).unwrap();
    studio.sync();
    let told = printed(&studio, &["--changes"]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines[1..3],
        [
            "    the directory has other values",
            "    last_name: ada -> Holm; email: ada@studio.test -> ada.holm@studio.test"
        ],
        "{told}"
    );
    // The values of a new user are in the report.
    assert_eq!(lines.len(), 5, "{told}");
}

#[test]
fn who_started_a_run_by_hand_is_told_with_its_changes() {
    let studio = Studio::of(&["ada"]);
    assert_eq!(studio.run(&["sync"]).status, 0);
    let uid = rustix::process::getuid().as_raw();
    let told = printed(&studio, &["--changes"]);
    assert!(
        told.contains(&format!(" (manual by uid {uid})\n")),
        "{told}"
    );
    let json = printed(&studio, &["--changes", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["started_by"], json!({"uid": uid}));
}

#[test]
fn what_a_change_held_or_failed_is_not_told_as_written() {
    let studio = Studio::of(&["ada", "bob", "cyd"]);
    studio.sync();
    for uid in ["ada", "bob"] {
        studio.tree().remove(&dn(uid)).unwrap();
    }
    let report = studio.sync();
    assert_eq!(report.counts.held, 2);
    let told = printed(&studio, &["--changes", "--kind", "deactivate"]);
    assert_eq!(
        told,
        "No saved run wrote such a change; there were 2 runs.\n"
    );
}

#[test]
fn a_list_says_when_there_are_more_runs() {
    let studio = Studio::of(&["ada"]);
    for _ in 0..3 {
        studio.sync();
    }
    let two = printed(&studio, &["--limit", "2"]);
    assert!(
        two.ends_with("\n2 of 3 runs; `--limit N` lists more of them, and `--all` all.\n"),
        "{two}"
    );
    let one = printed(&studio, &["--limit", "1", "--person", "ada"]);
    assert!(one.contains("The newest 1; "), "{one}");
    for arguments in [&[][..], &["--all"]] {
        assert!(!printed(&studio, arguments).contains("--limit"));
    }
}

#[test]
fn a_report_is_shown_with_when_it_began_and_who_started_it() {
    let mut studio = Studio::of(&["ada"]);
    studio.job = "timezone = \"Asia/Tokyo\"".into();
    let ended = studio.run(&["sync"]);
    assert_eq!(ended.status, 0, "{}", ended.stderr);
    let report = studio.reports().remove(0);
    let uid = report.started_by.unwrap().uid;
    let shown = printed(&studio, &["show", "last"]);
    let line = shown.lines().nth(1).unwrap();
    assert!(
        line.starts_with("  started    ") && line.contains(" JST (manual, by uid "),
        "{shown}"
    );
    assert!(line.contains(&uid.to_string()));
}

#[test]
fn a_job_that_is_none_is_refused_by_every_list() {
    let (studio, _) = studio();
    for list in ["runs", "holds", "snapshots"] {
        let config = studio.config();
        let wrong = run_with(&config, &[list, "--job", "artist"]);
        assert_eq!((wrong.status, &*wrong.stdout), (2, ""), "{list}");
        assert!(
            wrong.stderr.contains("there is no job") && wrong.stderr.contains("artists"),
            "{}",
            wrong.stderr
        );
        let right = run_with(&config, &[list, "--job", "artists"]);
        assert_eq!(right.status, 0, "{}", right.stderr);
    }
}

#[test]
fn what_a_person_asked_for_is_marked_and_the_day_that_is_meant_is_said() {
    let (studio, [created, ..]) = studio();
    let undone = studio.run(&["undo", "last"]);
    assert_eq!(undone.status, 0, "{}", undone.stderr);
    let config = studio.config();
    let listed = run_with(&config, &["runs"]).stdout;
    let line = listed.lines().nth(1).unwrap();
    assert!(line.contains(" undo: 1 reactivated"), "{listed}");
    let first = listed.lines().find(|line| line.contains(&created)).unwrap();
    assert!(
        first.contains(" 2 created") && !first.contains("manual"),
        "{listed}"
    );

    let yesterday = chrono::Utc::now().date_naive().pred_opt().unwrap();
    let shown = yesterday.format("%A, %Y-%m-%d").to_string();
    for (arguments, said) in [
        (
            &["runs", "--on", "yesterday"] as &[&str],
            "No saved run matches on ",
        ),
        (
            &["runs", "--changes", "--on", "yesterday"],
            "No saved run wrote such a change on ",
        ),
    ] {
        let ended = run_with(&config, arguments);
        let told = format!("{said}{shown}");
        assert!(ended.stdout.starts_with(&told), "{}", ended.stdout);
    }
}
