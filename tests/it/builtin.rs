//! Jobs of kind `ftrack-ldap`: ftrack does its own LDAP synchronisation, which the program starts
//! once, follows, and reports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod daemon;
mod ends;
mod once;

use ftrack_ldap_sync::{
    demo::ftrack::Account,
    model::{
        change::Action,
        edit::Field,
        report::{ChangeResult, Outcome, Report},
    },
};
use serde_json::{Value, json};

use crate::{
    rules::{account, add_config},
    studio::{KEY, Studio},
};

/// A studio with a job `nightly` that has ftrack synchronise, with these settings, beside the one
/// that reads the directory.
pub fn studio(settings: &str) -> Studio {
    let studio = Studio::empty();
    set(&studio, settings);
    for name in ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"] {
        add(&studio, name, true);
    }
    studio
}

/// Gives the job these settings.
pub fn set(studio: &Studio, settings: &str) {
    add_config(
        studio,
        &format!("[jobs.nightly]\nkind = \"ftrack-ldap\"\n{settings}\n"),
    );
}

fn add(studio: &Studio, name: &str, is_active: bool) {
    let account = Account {
        is_active,
        email: Some(format!("{name}@studio.test")),
        ..account(name)
    };
    studio.ftrack().add_user(&account).unwrap();
}

/// What the next synchronisation makes of a user who is there.
fn becomes(studio: &Studio, name: &str, change: impl FnOnce(&mut Account)) {
    let mut user = studio.user(name);
    change(&mut user);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_users.push(user));
}

/// A run whose writes were one call that started the synchronisation, or none.
pub fn synced(studio: &Studio, starts: u64) -> Report {
    let report = studio.synced(&["sync", "nightly", "--format", "json"]);
    assert_eq!(report.ftrack.write_calls, starts, "{report:#?}");
    assert_eq!(studio.ftrack().counters().write_calls, starts);
    let applied = studio.ftrack().applied();
    assert!(
        applied
            .iter()
            .all(|applied| applied.action == "delayed_job"),
        "{applied:#?}"
    );
    report
}

/// How many jobs ftrack was made to start.
pub fn started(studio: &Studio) -> usize {
    studio.ftrack().rows("Job").unwrap().len()
}

#[test]
fn a_run_reports_what_ftrack_changed_by_name_with_the_old_values() {
    let studio = studio("limits = { deactivate = 2, rename = 2 }");
    add(&studio, "ivy", false);
    becomes(&studio, "ada", |user| {
        user.email = Some("ada@elsewhere.test".into())
    });
    becomes(&studio, "bob", |user| user.is_active = false);
    becomes(&studio, "cyd", |user| user.username = "cynthia".into());
    becomes(&studio, "ivy", |user| user.is_active = true);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_users.push(account("joe")));
    let report = synced(&studio, 1);
    assert_eq!(
        (report.outcome, report.error.as_deref()),
        (Outcome::Succeeded, None),
        "{report:#?}"
    );
    let told: Vec<(&str, Action)> = report
        .changes
        .iter()
        .map(|change| (change.username.as_str(), change.action))
        .collect();
    let told: std::collections::BTreeSet<_> = told.into_iter().collect();
    assert_eq!(
        told,
        [
            ("ada", Action::Update),
            ("bob", Action::Deactivate),
            ("cynthia", Action::Update),
            ("ivy", Action::Reactivate),
            ("joe", Action::Create),
        ]
        .into()
    );
    for change in &report.changes {
        assert_eq!(
            (change.result, change.reason.as_str()),
            (ChangeResult::Applied, "ftrack's own synchronisation")
        );
        assert_eq!(
            (change.dn.as_ref(), change.directory_id.as_ref()),
            (None, None)
        );
    }
    let of = |name: &str, field: Field| {
        let change = report
            .changes
            .iter()
            .find(|change| change.username == name)
            .unwrap();
        (
            change.fields.get(&field).unwrap().old.clone(),
            change.fields.get(&field).unwrap().new.clone(),
        )
    };
    assert_eq!(
        of("ada", Field::Email),
        (json!("ada@studio.test"), json!("ada@elsewhere.test"))
    );
    assert_eq!(
        of("cynthia", Field::Username),
        (json!("cyd"), json!("cynthia"))
    );
    assert_eq!(of("bob", Field::IsActive), (json!(true), json!(false)));
    assert_eq!(of("joe", Field::Username), (json!(null), json!("joe")));
    assert_eq!(
        (
            report.counts.created,
            report.counts.updated,
            report.counts.deactivated,
            report.counts.reactivated
        ),
        (1, 2, 1, 1)
    );
    // The others, the API user and the administrator.
    assert_eq!(report.counts.unchanged, 7);
    // As scripts read it.
    let kept: Value = serde_json::from_str(
        &studio
            .run(&["runs", "show", "last", "--format", "json"])
            .stdout,
    )
    .unwrap();
    assert_eq!(kept["directory"], json!(null));
    assert_eq!(kept["builtin"]["status"], "done");
    assert_eq!(kept["builtin"]["text"], "Synchronising users with LDAP");
    assert_eq!(
        kept["builtin"]["job_id"],
        studio.ftrack().rows("Job").unwrap()[0]["id"]
    );
    let seconds: Vec<&String> = kept["seconds"].as_object().unwrap().keys().collect();
    assert_eq!(seconds, ["ftrack", "writing"]);
}

#[test]
fn a_run_that_changes_nothing_says_so() {
    let studio = studio("");
    let report = synced(&studio, 1);
    assert_eq!(
        (
            report.outcome,
            report.changes.len(),
            report.counts.unchanged
        ),
        (Outcome::Succeeded, 0, 10)
    );
    assert_eq!(report.ftrack.users, 10);
    let shown = studio.run(&["runs", "show", "last"]).stdout;
    assert!(shown.contains("its own synchronisation, job "), "{shown}");
    assert!(!shown.contains("directory"), "{shown}");
    assert!(
        !studio
            .state_dir()
            .join("ftrack-ldap-sync-under-way.json")
            .exists(),
        "it is forgotten"
    );
    assert!(shown.ends_with("10 unchanged.\n"), "{shown}");
}

#[test]
fn more_than_the_limits_say_is_an_alarm_and_the_run_is_partial() {
    let studio = studio("");
    // Ten active users: a tenth of them is one.
    for name in ["ada", "bob"] {
        becomes(&studio, name, |user| user.is_active = false);
    }
    for name in ["cyd", "dan", "eve"] {
        becomes(&studio, name, |user| user.username = format!("{name}-x"));
    }
    let ended = studio.run(&["sync", "nightly", "--format", "json"]);
    let report = ended.report();
    assert_eq!(
        (ended.status, report.outcome, report.alarm),
        (4, Outcome::Partial, true),
        "{report:#?}"
    );
    assert_eq!(
        (
            report.counts.deactivated,
            report.counts.updated,
            report.counts.held
        ),
        (2, 3, 0)
    );
    let warning = "ALARM: ftrack's own synchronisation deactivated 2 of 10 active users \
                   (limits.deactivate allows 1) and renamed 3 (limits.rename allows 1)";
    assert!(
        report.warnings.iter().any(|said| said.starts_with(warning)),
        "{:?}",
        report.warnings
    );
    let alarms: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event"] == "builtin.alarm")
        .collect();
    assert_eq!(alarms.len(), 1, "{}", ended.stderr);
    let alarm = &alarms[0];
    assert_eq!(alarm["level"], "ERROR");
    let figures = [
        "active",
        "deactivated",
        "deactivate_limit",
        "renamed",
        "rename_limit",
    ]
    .map(|name| alarm[name].as_u64().unwrap());
    assert_eq!(figures, [10, 2, 1, 3, 1]);
    let listed = studio.run(&["runs"]).stdout;
    assert!(listed.contains("ALARM: above the job's limits"), "{listed}");
    // Who, and what they were before, also for people.
    let shown = studio.run(&["runs", "show", "last"]).stdout;
    for line in [
        "partial, ALARM in ",
        "deactivate ada",
        "is_active: true -> false",
        "username: cyd -> cyd-x",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    // As many as the limits say are none.
    for name in ["ada", "bob"] {
        becomes(&studio, name, |user| user.is_active = true);
    }
    synced(&studio, 1);
    set(&studio, "limits = { deactivate = 2, rename = \"30%\" }");
    for name in ["ada", "bob"] {
        becomes(&studio, name, |user| user.is_active = false);
    }
    let report = synced(&studio, 1);
    assert_eq!(
        (report.outcome, report.alarm, report.counts.deactivated),
        (Outcome::Succeeded, false, 2),
        "{report:#?}"
    );
}

#[test]
fn a_user_who_is_no_more_is_named() {
    let studio = studio("");
    let id = studio.user("hal").id;
    studio.ftrack().fail_when({
        let ftrack = studio.ftrack();
        let mut removed = false;
        move |call| {
            if !removed && call.kind == ftrack_ldap_sync::demo::ftrack::CallKind::Write {
                removed = true;
                let (ftrack, id) = (ftrack.clone(), id.clone());
                // Past the lock that is held while this is asked.
                std::thread::spawn(move || ftrack.remove("User", &json!([id])).unwrap());
            }
            None
        }
    });
    let report = synced(&studio, 1);
    assert_eq!(
        report.warnings,
        [
            "1 users no longer exist in ftrack, and its own synchronisation is not known to delete \
            users: hal"
        ],
        "{report:#?}"
    );
}

#[test]
fn what_it_would_change_cannot_be_told_beforehand() {
    let studio = studio("");
    let said = "the job \"nightly\" is of kind \"ftrack-ldap\": the changes of ftrack's own \
        synchronisation cannot be planned; `sync nightly` runs it and reports what it changed";
    // A plan that was saved when the job still read a directory.
    studio
        .tree()
        .add(crate::studio::person("ada", "Given", "ada"))
        .unwrap();
    let path = studio.folder().join("plan.json");
    let path = path.to_str().unwrap();
    assert_eq!(studio.run(&["plan", "artists", "--out", path]).status, 0);
    let saved = std::fs::read_to_string(path)
        .unwrap()
        .replace("\"artists\"", "\"nightly\"");
    std::fs::write(path, saved).unwrap();
    for arguments in [
        &["plan", "nightly"][..],
        &["sync", "nightly", "--dry-run"],
        &["apply", path],
    ] {
        let ended = studio.run(arguments);
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(&said.replace('"', "\\\"")),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    assert_eq!((started(&studio), studio.reports().len()), (0, 0));
}

#[test]
fn a_configuration_without_any_directory_is_whole_and_checked() {
    let studio = studio("");
    let (folder, server) = (tempfile::tempdir().unwrap(), studio.ftrack_url());
    std::fs::write(folder.path().join("key"), KEY).unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(
        &path,
        format!(
            "state_dir = \"state\"\n[ftrack]\nserver = {server:?}\napi_user = \
             \"ldap-sync\"\napi_key_file = \"key\"\n[jobs.nightly-builtin]\nkind = \
             \"ftrack-ldap\"\nschedule = \"0 3 * * *\"\ntime_limit = \
             \"30m\"\n[jobs.nightly-builtin.limits]\ndeactivate = \"10%\"\n"
        ),
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
        let output = command
            .arg("--config")
            .arg(&path)
            .args(arguments)
            .env_clear()
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (status, shown) = run(&["config", "show"]);
    let job = shown.split_once("[jobs.nightly-builtin]\n").unwrap().1;
    assert_eq!(status, 0);
    assert_eq!(
        job,
        "kind = \"ftrack-ldap\"\nschedule = \"0 3 * * *\"\ntimezone = \"UTC\"\ncatch_up = \
         true\nsplay = \"0s\"\ntime_limit = \"30m\"\n\n[jobs.nightly-builtin.limits]\ndeactivate \
         = \"10%\"\nrename = \"10%\"\n\n[jobs.nightly-builtin.retry]\ninitial = \"1m\"\nmax = \
         \"1h\"\nsuspend_after = 10\n"
    );
    let (status, said) = run(&["check", "--format", "json"]);
    let checked: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &checked["ok"]), (0, &json!(true)), "{said}");
    let checks: Vec<&str> = checked["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| found["check"].as_str().unwrap())
        .collect();
    assert!(checks.ends_with(&["permission", "builtin"]), "{checks:?}");
    assert_eq!(started(&studio), 0, "a check starts none");
    let (status, said) = run(&["sync"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(started(&studio), 1);
}

#[test]
fn a_check_warns_where_both_kinds_write_at_one_ftrack() {
    let studio = studio("");
    let said = studio.run(&["check", "--format", "json"]).stdout;
    let checked: Value = serde_json::from_str(&said).unwrap();
    let found = checked["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["check"] == "writers")
        .unwrap();
    assert_eq!(
        (&found["result"], &found["about"]),
        (&json!("warn"), &json!("job nightly")),
        "{found}"
    );
    let detail = "ftrack's own synchronisation and the job artists both write the users of this \
                  ftrack: ftrack's disables every user that it does not find, without a limit";
    assert_eq!(found["detail"], detail);
    assert_eq!(started(&studio), 0);
}

#[test]
fn a_job_of_the_program_names_whom_another_deactivated_once_each() {
    let studio = studio("limits.deactivate = 9");
    for name in ["ada", "bob", "cyd"] {
        studio
            .tree()
            .add(crate::studio::person(name, "Given", name))
            .unwrap();
    }
    // Of a user that was inactive when it was taken over nobody can say who did it.
    crate::rules::by_hand(&studio, "cyd", &json!({"is_active": false}));
    let named = |report: &Report| {
        let warnings = report.warnings.iter();
        let said: Vec<&String> = warnings
            .filter(|warning| warning.contains("somebody else"))
            .collect();
        assert!(said.len() <= 1, "{said:?}");
        said.first().map(|said| (*said).clone())
    };
    let report = studio.synced(&["sync", "artists", "--format", "json"]);
    assert_eq!(
        (report.counts.adopted, named(&report)),
        (3, None),
        "{report:#?}"
    );
    assert_eq!(
        named(&studio.synced(&["sync", "artists", "--format", "json"])),
        None
    );

    for name in ["ada", "bob"] {
        becomes(&studio, name, |user| user.is_active = false);
    }
    let report = synced(&studio, 1);
    assert_eq!(report.counts.deactivated, 2);
    assert!(
        report
            .changes
            .iter()
            .all(|change| change.directory_id.is_some()),
        "they have links: {report:#?}"
    );
    let said = "users were deactivated by somebody else since the previous run, and stay \
        inactive: ada, \
                bob; ftrack's own LDAP synchronisation, which another job starts, may be the cause";
    // A plan takes nothing from the run that is to say it.
    let plan = studio.run(&["plan", "artists"]).stdout;
    assert!(plan.contains("ada, bob"), "{plan}");
    let report = studio.synced(&["sync", "artists", "--format", "json"]);
    assert_eq!(
        (named(&report).as_deref(), report.ftrack.write_calls),
        (Some(said), 0),
        "{report:#?}"
    );
    let report = studio.synced(&["sync", "artists", "--format", "json"]);
    assert_eq!(
        (named(&report), report.outcome),
        (None, Outcome::Succeeded),
        "{report:#?}"
    );
    assert!(!studio.user("ada").is_active, "seen, not fought");

    // Of one who is taken over later nobody can say so either.
    add(&studio, "zoe", false);
    studio
        .tree()
        .add(crate::studio::person("zoe", "Given", "zoe"))
        .unwrap();
    set(&studio, "");
    studio.run(&["sync", "artists"]);
    studio.tree().remove(&crate::studio::dn("zoe")).unwrap();
    assert_eq!(
        named(&studio.synced(&["sync", "artists", "--format", "json"])),
        None
    );

    // Active and inactive once more, it is named once more.
    crate::rules::by_hand(&studio, "ada", &json!({"is_active": true}));
    studio.synced(&["sync", "artists", "--format", "json"]);
    crate::rules::by_hand(&studio, "ada", &json!({"is_active": false}));
    let report = studio.synced(&["sync", "artists", "--format", "json"]);
    assert!(
        named(&report).unwrap().contains("stay inactive: ada;"),
        "{report:#?}"
    );
}
