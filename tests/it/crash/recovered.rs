//! What a killed run wrote is in its report, of whatever kind the change is: the next run that reads
//! ftrack finds out.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
};

use ftrack_ldap_sync::{
    demo::ftrack::{Account, Call, CallKind, Fault},
    model::report::{Outcome, Report},
};
use serde_json::{Value, json};

use super::{Effect, LIMIT, by_hand, kill_at, late::pass_time, moment};
use crate::{
    faults::NO_LIMIT,
    rules::{account, come_back, give_role, leave},
    studio::{Ended, Studio, dn, person},
};

/// A studio in which one change of each kind is due.
fn one_of_each_kind() -> Studio {
    let mut studio = Studio::of(&["updated", "leaver", "returner"]).end_to_end();
    studio.job = NO_LIMIT.into();
    studio.sync();
    leave(&studio, "returner");
    assert_eq!(studio.sync().counts.deactivated, 1);
    come_back(&studio, "returner");
    leave(&studio, "leaver");
    let tree = studio.tree();
    tree.replace(&dn("updated"), "sn", &["Changed"]).unwrap();
    tree.add(person("joiner", "New", "Face")).unwrap();
    tree.add(person("stranger", "Now", "Known")).unwrap();
    let stranger = Account {
        first_name: Some("Somebody".into()),
        ..account("stranger")
    };
    studio.ftrack().add_user(&stranger).unwrap();
    studio
}

/// Kills a sync at one of its calls that write.
fn kill(studio: &Studio, write: u64, effect: Effect) {
    let chosen = move |call: &Call| call.kind == CallKind::Write && call.number_of_kind == write;
    let moment = moment(studio, effect, chosen);
    let mut child = studio.start(&["sync", "--format", "json"]);
    assert!(kill_at(studio, &mut child, &moment, effect));
    studio.ftrack().heal();
}

/// The report of the killed run, as the program prints it.
fn killed(studio: &Studio, next: &Report) -> Value {
    let listed = studio.run(&["runs", "--format", "json"]).stdout;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let failed = |run: &&Value| run["outcome"] == "failed" && run["run"] != next.run.as_str();
    let run = listed.iter().find(failed).unwrap()["run"].as_str().unwrap();
    let shown = studio.run(&["runs", "show", run, "--format", "json"]);
    serde_json::from_str(&shown.stdout).unwrap()
}

/// The counts of the killed run, by kind; then failed and unconfirmed.
fn counts(report: &Value) -> [u64; 7] {
    [
        "created",
        "updated",
        "deactivated",
        "reactivated",
        "adopted",
        "failed",
        "unconfirmed",
    ]
    .map(|count| report["counts"][count].as_u64().unwrap_or_default())
}

#[test]
fn every_kind_of_change() {
    for (write, effect, expected) in [
        (1, Effect::Done, [1, 1, 1, 1, 1, 0, 0]),
        (1, Effect::Lost, [0, 0, 0, 0, 0, 0, 5]),
        // By then only the links are left.
        (2, Effect::Lost, [1, 1, 1, 1, 1, 0, 0]),
        (2, Effect::Done, [1, 1, 1, 1, 1, 0, 0]),
    ] {
        let studio = one_of_each_kind();
        kill(&studio, write, effect);
        let next = studio.sync();
        assert_eq!(next.outcome, Outcome::Succeeded, "{next:#?}");
        let report = killed(&studio, &next);
        assert_eq!(counts(&report), expected, "{write} {effect:?}: {report:#}");
        if expected[6] == 0 {
            // What it did, the next run did not.
            let counts = &next.counts;
            assert_eq!(
                (
                    counts.created,
                    counts.deactivated,
                    counts.reactivated,
                    counts.adopted
                ),
                (0, 0, 0, 0),
                "{next:#?}"
            );
        }
        studio.sync_changes_nothing();
        let report = killed(&studio, &next);
        let in_the_end = if effect == Effect::Lost && write == 1 {
            // The next run did it.
            [0; 7]
        } else {
            expected
        };
        assert_eq!(
            counts(&report),
            in_the_end,
            "{write} {effect:?}: {report:#}"
        );
    }
}

#[test]
fn what_somebody_else_did_meanwhile_is_not_in_it() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Lost);
    by_hand(&studio, "leaver", &json!({"is_active": false}));
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 0, 5], "{report:#}");
    studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 0, 1], "{report:#}");
    pass_time(&studio);
    studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 1, 0], "{report:#}");
    let error = error_of(&report, "leaver");
    assert!(error.ends_with("somebody else deactivated the user since it was read"));
}

#[test]
fn until_ftrack_can_be_read_it_is_not_known() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Done);
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Read).then_some(Fault::KeyRefused));
    let next = studio.sync();
    assert_eq!(next.outcome, Outcome::Failed, "{next:#?}");
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 0, 5], "{report:#}");
    studio.ftrack().heal();
    studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [1, 1, 1, 1, 1, 0, 0], "{report:#}");
}

/// The files of a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| file.unwrap().path()).collect()
}

/// The journal that the killed run left.
fn journal(studio: &Studio) -> PathBuf {
    let journals = files(&studio.state_dir().join("journals/artists"));
    let [journal] = &journals[..] else {
        panic!("{journals:?}")
    };
    journal.clone()
}

/// Gives a user's link another activity.
fn set_activity(studio: &Studio, username: &str, activity: &Value) {
    const LINK: &str = "ftrack-ldap-sync";
    let user = studio.user(username);
    let mut link: Value = serde_json::from_str(&user.metadata[LINK]).unwrap();
    let fields = link.as_object_mut().unwrap();
    if activity.get("activity").is_some() {
        fields.remove("since");
    }
    fields.extend(activity.as_object().unwrap().clone());
    let fields = json!({"value": link.to_string()});
    studio
        .ftrack()
        .change("Metadata", &json!([user.id, LINK]), &fields)
        .unwrap();
}

/// The error of the killed run's change of a user.
fn error_of(report: &Value, username: &str) -> String {
    let changes = report["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["username"] == username);
    change.unwrap()["error"].as_str().unwrap().to_owned()
}

const NOBODY_KNOWS: &str = "it is in effect, and it is not known by whom";

#[test]
fn without_the_state_database() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Done);
    for file in files(&studio.state_dir()) {
        if file.to_string_lossy().contains("state.db") {
            fs::remove_file(file).unwrap();
        }
    }
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [1, 1, 1, 1, 1, 0, 0], "{report:#}");
}

#[test]
fn a_deactivation_under_the_mark_of_an_earlier_run() {
    let studio = one_of_each_kind();
    let mark = json!({"activity": "deactivating", "since": "2026-01-01T00:00:00.000Z"});
    set_activity(&studio, "leaver", &mark);
    kill(&studio, 1, Effect::Done);
    assert!(!studio.user("leaver").is_active);
    let next = studio.sync();
    let report = killed(&studio, &next);
    // The time in the link became that of the run.
    assert_eq!(counts(&report), [1, 1, 1, 1, 1, 0, 0], "{report:#}");
    studio.sync_changes_nothing();
}

#[test]
fn a_journal_without_the_marks_of_its_run() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Done);
    let journal = journal(&studio);
    let written = fs::read_to_string(&journal).unwrap();
    let (first, lines) = written.split_once('\n').unwrap();
    let mut first: Value = serde_json::from_str(first).unwrap();
    for mark in ["run_mark", "deactivated_at"] {
        first.as_object_mut().unwrap().remove(mark);
    }
    fs::write(&journal, format!("{first}\n{lines}")).unwrap();
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 1, 0, 1, 0, 0, 3], "{report:#}");
    let error = report["error"].as_str().unwrap();
    assert!(
        error.contains("of 3 changes it cannot be found out"),
        "{error}"
    );
    for username in ["joiner", "stranger", "leaver"] {
        assert!(
            error_of(&report, username).ends_with(NOBODY_KNOWS),
            "{report:#}"
        );
    }
}

#[test]
fn a_user_who_was_reactivated_by_somebody_else() {
    for (mark, is_its_own) in [
        (json!({}), true),
        (json!({"activity": "settled"}), true),
        (json!({"activity": "released"}), false),
        (
            json!({"activity": "deactivated", "since": "2099-01-01T00:00:00Z"}),
            false,
        ),
    ] {
        let studio = one_of_each_kind();
        kill(&studio, 1, Effect::Lost);
        by_hand(&studio, "returner", &json!({"is_active": true}));
        set_activity(&studio, "returner", &mark);
        let next = studio.sync();
        let report = killed(&studio, &next);
        let [own, unknown] = [u64::from(is_its_own), u64::from(!is_its_own)];
        let expected = [0, 0, 0, own, 0, 0, 4 + unknown];
        assert_eq!(counts(&report), expected, "{mark}: {report:#}");
        pass_time(&studio);
        studio.sync();
        let report = killed(&studio, &next);
        let expected = [0, 0, 0, own, 0, 0, unknown];
        assert_eq!(counts(&report), expected, "{mark}: {report:#}");
    }
}

#[test]
fn a_user_who_was_reactivated_after_the_run_had_deactivated_it() {
    let studio = one_of_each_kind();
    kill(&studio, 2, Effect::Done);
    by_hand(&studio, "leaver", &json!({"is_active": true}));
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [1, 1, 1, 1, 1, 0, 0], "{report:#}");
}

#[test]
fn a_user_who_was_deleted_since() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Done);
    for username in ["updated", "leaver", "returner"] {
        let id = studio.user(username).id;
        studio.ftrack().remove("User", &json!([id])).unwrap();
    }
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [1, 0, 0, 0, 1, 3, 0], "{report:#}");
    for username in ["updated", "leaver", "returner"] {
        let error = error_of(&report, username);
        assert!(
            error.contains("the user no longer exists in ftrack"),
            "{error}"
        );
    }
}

#[test]
fn a_user_who_has_no_login_any_more() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Done);
    by_hand(&studio, "leaver", &json!({"username": Value::Null}));
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [1, 1, 0, 1, 1, 0, 1], "{report:#}");
}

#[test]
fn what_is_not_known_yet_is_counted_whole() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Done);
    let journal = journal(&studio);
    let mut written = fs::read_to_string(&journal).unwrap();
    written += "{\"change\":0,\"result\":\"unconfirmed\",\"error\":\"not read\"}\n";
    fs::write(&journal, written).unwrap();
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Read).then_some(Fault::KeyRefused));
    let report = killed(&studio, &studio.sync());
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 0, 5], "{report:#}");
    let error = report["error"].as_str().unwrap();
    assert!(
        error.contains("the result of 5 changes is not known yet"),
        "{error}"
    );
}

#[test]
fn what_a_killed_run_had_not_written_is_no_failure_of_the_next_one() {
    let studio = one_of_each_kind();
    kill(&studio, 1, Effect::Lost);
    let first = studio.run(&["sync", "--dry-run"]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    pass_time(&studio);
    let next = studio.run(&["sync"]);
    assert_eq!(next.status, 0, "{}", next.stderr);
    let lines = first.stderr.lines().chain(next.stderr.lines());
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines.iter().all(|line| line["level"] != "ERROR"),
        "{lines:#?}"
    );
    let named = |event: &str| {
        let mut named = lines.iter().filter(|line| line["event"] == event);
        let line = named.next().unwrap();
        assert!(named.next().is_none(), "{lines:#?}");
        line
    };
    let (recovered, confirmed) = (named("run.recovered"), named("run.confirmed"));
    let run = recovered["run"].as_str().unwrap();
    let said = format!("the run {run} was interrupted; `runs show {run}` shows its report");
    assert_eq!(recovered["message"], said.as_str());
    assert!(
        first.stdout.starts_with(&format!("Note: {said}.\n")),
        "{}",
        first.stdout
    );
    assert_eq!(
        ["run", "level", "in_effect", "not_in_effect", "unconfirmed"].map(|key| &confirmed[key]),
        [&json!(run), &json!("WARN"), &json!(0), &json!(5), &json!(0)]
    );
    let listed = studio.run(&["runs"]).stdout;
    assert!(listed.contains("interrupted, 5 not written"), "{listed}");
}

#[test]
fn the_report_of_a_killed_run_claims_no_number_that_nobody_knows() {
    let studio = one_of_each_kind();
    kill(&studio, 2, Effect::Done);
    studio.sync();
    let text = studio.run(&["runs", "--outcome", "failed", "--format", "json"]);
    let runs: Vec<Value> = serde_json::from_str(&text.stdout).unwrap();
    let run = runs[0]["run"].as_str().unwrap();
    let shown = studio.run(&["runs", "show", run]).stdout;
    assert!(
        shown.contains("6 users, 3 of this job when it was read; at least ")
            && shown.contains(" read calls, write calls not known\n")
            && shown.contains("It was interrupted: "),
        "{shown}"
    );
    let report = studio.run(&["runs", "show", run, "--format", "json"]);
    assert!(report.report().ftrack.read_calls > 0);
}

#[test]
fn a_killed_run_that_wrote_nothing_counts_for_no_limit() {
    let mut studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    let limits = "limits.create = 1\nlimits.rename = 1\nlimits.deactivate = 1";
    studio.job = format!("{limits}\nusers.adopt_always = true");
    studio.tree().rename(&dn("ada"), &dn("eva")).unwrap();
    studio.tree().add(person("cyd", "New", "Face")).unwrap();
    leave(&studio, "bob");
    kill(&studio, 1, Effect::Lost);
    let next = studio.sync();
    let done = &next.counts;
    assert_eq!(
        (next.outcome, done.created, done.updated, done.deactivated),
        (Outcome::Succeeded, 1, 1, 1),
        "{next:#?}"
    );
    // What was written does.
    studio.tree().rename(&dn("eva"), &dn("ida")).unwrap();
    studio.tree().add(person("dan", "New", "Face")).unwrap();
    assert_eq!(studio.sync().counts.held, 2);
}

#[test]
fn a_create_that_arrives_after_its_run_was_killed() {
    let studio = Studio::of(&["ada"]).end_to_end();
    studio.sync();
    studio.tree().add(person("bob", "New", "Face")).unwrap();
    let id = studio
        .synced(&["sync", "--dry-run", "--format", "json"])
        .changes[0]
        .ftrack_id
        .clone();
    kill(&studio, 1, Effect::Lost);
    let written = fs::read_to_string(journal(&studio)).unwrap();
    let first: Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    let mut link: Value =
        serde_json::from_str(&studio.user("ada").metadata["ftrack-ldap-sync"]).unwrap();
    let person_id = studio.tree().entry_uuid(&dn("bob")).unwrap().to_string();
    for (key, value) in [
        ("user", &*id.text()),
        ("id", &person_id),
        ("activity", "activating"),
        ("by", first["run_mark"].as_str().unwrap()),
    ] {
        link[key] = value.into();
    }
    let user = Account {
        id: id.to_string(),
        first_name: Some("New".into()),
        last_name: Some("Face".into()),
        metadata: [("ftrack-ldap-sync".to_owned(), link.to_string())].into(),
        ..account("bob")
    };
    // The next run is about to write when the user is there.
    let (say, heard) = mpsc::channel();
    studio.ftrack().fail_when(move |call| {
        (call.kind == CallKind::Write && say.send(()).is_ok()).then_some(Fault::ResetBefore)
    });
    let program = studio.start(&["sync", "--format", "json"]);
    heard.recv_timeout(LIMIT).unwrap();
    studio.ftrack().add_user(&user).unwrap();
    drop(heard);
    let next = Ended::of(program.wait_with_output().unwrap()).report();
    studio.ftrack().heal();
    // It is reported once, by the run that found it.
    assert_eq!(
        (next.outcome, next.counts.created),
        (Outcome::Succeeded, 1),
        "{next:#?}"
    );
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 0, 1], "{report:#}");
    studio.sync_changes_nothing();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0; 7], "{report:#}");
}

#[test]
fn a_user_that_a_killed_run_began_is_nobody_elses_whatever_roles_new_users_get() {
    for is_killed in [true, false] {
        let studio = Studio::of(&["ada"]).end_to_end();
        studio.sync();
        studio.tree().add(person("bob", "New", "Face")).unwrap();
        let planned = studio.synced(&["sync", "--dry-run", "--format", "json"]);
        if is_killed {
            kill(&studio, 1, Effect::Lost);
        }
        // What a server leaves that does not write a call as a whole.
        let begun = Account {
            id: planned.changes[0].ftrack_id.to_string(),
            ..account("bob")
        };
        studio.ftrack().add_user(&begun).unwrap();
        give_role(&studio, "bob", "Project Manager");
        let held = u64::from(!is_killed);
        let plan = studio.plan(&[]).unwrap();
        let is_held = plan.changes.iter().any(|planned| planned.held.is_some());
        assert_eq!(is_held, !is_killed, "{plan:#?}");
        let next = studio.sync();
        assert_eq!(
            (next.counts.adopted as u64, next.counts.held as u64),
            (1 - held, held),
            "{next:#?}"
        );
    }
}

/// The first line of the journal that a killed run left, and the others.
fn lines(studio: &Studio) -> (Value, String) {
    let written = fs::read_to_string(journal(studio)).unwrap();
    let (first, lines) = written.split_once('\n').unwrap();
    (serde_json::from_str(first).unwrap(), lines.to_owned())
}

#[test]
fn a_user_is_begun_only_where_the_journal_knows_no_result_and_in_its_ftrack() {
    for (result, server, is_begun) in [
        ("", None, true),
        ("unconfirmed", None, true),
        ("applied", None, false),
        ("planned", None, false),
        ("", Some("https://another.ftrack.test"), false),
    ] {
        let studio = Studio::of(&["ada"]).end_to_end();
        studio.sync();
        studio.tree().add(person("bob", "New", "Face")).unwrap();
        kill(&studio, 1, Effect::Lost);
        let (mut first, mut results) = lines(&studio);
        let begun = Account {
            id: first["changes"][0]["ftrack_id"]
                .as_str()
                .unwrap()
                .to_owned(),
            ..account("bob")
        };
        if !result.is_empty() {
            results += &json!({"change": 0, "result": result, "error": "why"}).to_string();
            results.push('\n');
        }
        if let Some(server) = server {
            first["ftrack"]["server"] = server.into();
        }
        fs::write(journal(&studio), format!("{first}\n{results}")).unwrap();
        studio.ftrack().add_user(&begun).unwrap();
        give_role(&studio, "bob", "Project Manager");
        let plan = studio.plan(&[]).unwrap();
        let is_held = plan.changes.iter().any(|planned| planned.held.is_some());
        assert_eq!(is_held, !is_begun, "{result} {server:?}: {plan:#?}");
    }
}

#[test]
fn a_report_that_cannot_be_read_costs_no_journal() {
    let studio = Studio::of(&["ada"]).end_to_end();
    studio.sync();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    kill(&studio, 1, Effect::Done);
    let journal = journal(&studio);
    let run = journal.file_stem().unwrap().to_str().unwrap().to_owned();
    let report = studio
        .state_dir()
        .join(format!("reports/artists/{run}.json"));
    fs::create_dir(&report).unwrap();
    studio.sync();
    assert!(journal.exists());
    fs::remove_dir(&report).unwrap();
    // A damaged one is made anew.
    fs::write(&report, "{").unwrap();
    studio.sync();
    let shown = studio.run(&["runs", "show", &run, "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(counts(&shown), [0, 1, 0, 0, 0, 0, 0], "{shown:#}");
}

#[test]
fn what_a_killed_run_wrote_of_a_change_counts_for_the_limits() {
    let mut studio = Studio::of(&["ada", "bob"]).end_to_end();
    studio.sync();
    studio.job = "limits.rename = 1".into();
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    studio.tree().rename(&dn("ada"), &dn("eva")).unwrap();
    kill(&studio, 1, Effect::Lost);
    by_hand(&studio, "ada", &json!({"username": "eva"}));
    studio.tree().rename(&dn("bob"), &dn("ida")).unwrap();
    let next = studio.sync();
    assert_eq!((next.counts.updated, next.counts.held), (1, 1), "{next:#?}");
    pass_time(&studio);
    studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 1, 0], "{report:#}");
    assert_eq!(report["changes"][0]["written"], json!(["username"]));
}

#[test]
fn users_who_cannot_be_read_again_stop_no_run() {
    let mut studio = Studio::of(&["ada"]).end_to_end();
    studio.ftrack_settings = "attempts = 1".into();
    studio.sync();
    let everything = studio.sync_changes_nothing().ftrack.read_calls;
    studio.tree().replace(&dn("ada"), "sn", &["New"]).unwrap();
    kill(&studio, 1, Effect::Done);
    // The call after those that read everything is for the killed run.
    studio.ftrack().fail_when(move |call| {
        let is_it = (call.kind, call.number_of_kind) == (CallKind::Read, everything + 1);
        is_it.then_some(Fault::Html(503))
    });
    let next = studio.sync();
    assert_eq!(next.outcome, Outcome::Succeeded, "{next:#?}");
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 0, 0, 0, 0, 0, 1], "{report:#}");
    studio.ftrack().heal();
    let next = studio.sync();
    let report = killed(&studio, &next);
    assert_eq!(counts(&report), [0, 1, 0, 0, 0, 0, 0], "{report:#}");
    assert!(files(&studio.state_dir().join("journals/artists")).is_empty());
}
