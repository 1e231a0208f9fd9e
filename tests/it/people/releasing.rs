//! `release`: a job hands its people back.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::report::{Outcome, Trigger},
};
use serde_json::{Value, json};

use super::{done, link, listed, number_of_users, refused};
use crate::{
    daemon::Daemon,
    rules::{add_config, by_hand, leave},
    situations::Situation,
    studio::{Studio, person},
};

const RELEASE: [&str; 3] = ["release", "artists", "--yes"];

fn active(studio: &Studio) -> Vec<(String, bool)> {
    let users = studio.ftrack().users().into_iter();
    users.map(|user| (user.username, user.is_active)).collect()
}

#[test]
fn the_links_are_taken_away_and_nobody_is_touched() {
    let situation = Situation::synced(&["ada", "bob", "cyd"])
        .stranger("nobodys")
        .then(|studio| leave(studio, "cyd"))
        .after_sync();
    let before = active(&situation);
    let report = done(&situation, &RELEASE);
    assert_eq!(
        (report.trigger, report.counts.updated),
        (Trigger::Release, 3)
    );
    assert_eq!((report.ftrack.owned, report.ftrack.linked), (0, Some(0)));
    assert_eq!((report.directory, report.ftrack.write_calls), (None, 1));
    assert!(
        report.warnings[0].contains("first contact"),
        "{:?}",
        report.warnings
    );
    assert_eq!(active(&situation), before);
    for uid in ["ada", "bob", "cyd"] {
        assert_eq!(link(&situation, uid), Value::Null);
    }
    assert_eq!(listed(&situation), [] as [Value; 0]);
    // Again, there is nothing to do.
    let report = done(&situation, &RELEASE);
    assert_eq!((report.changes.len(), report.ftrack.write_calls), (0, 0));
}

#[test]
fn a_later_sync_is_a_first_contact_again() {
    let uids: Vec<String> = (0..8).map(|nth| format!("user{nth}")).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let situation = Situation::synced(&uids).then(|studio| {
        by_hand(studio, "user3", &json!({"username": "user3x"}));
    });
    done(&situation, &RELEASE);
    let planned = situation.plan_text();
    assert!(
        planned.contains("= adopt") && !planned.contains("interrupted"),
        "{planned}"
    );
    assert!(planned.contains("it has no link now"), "{planned}");
    let report = situation.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!((report.counts.adopted, report.counts.created), (8, 0));
    assert_eq!(number_of_users(&situation), 8);
    situation.sync_changes_nothing();
    // And what was adopted so is the job's.
    leave(&situation, "user0");
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn only_the_jobs_own_users_are_released() {
    let situation = Situation::of(&["ada", "bob"]);
    add_config(
        &situation,
        "[jobs.others]\ndirectory = \"studio\"\nsearch_bases = [\"ou=people,dc=studio,dc=test\"]\n\
         filter = \"(uid=bob)\"\nattributes = { username = \"uid\", email = \"mail\", first_name = \
         \"givenName\", last_name = \"sn\" }\n",
    );
    let mut situation = situation;
    situation.filter = "(uid=ada)".into();
    for job in ["artists", "others"] {
        situation.synced(&["sync", job]);
    }
    done(&situation, &RELEASE);
    assert_eq!(link(&situation, "ada"), Value::Null);
    assert_eq!(link(&situation, "bob")["source"], "others");
    let report = situation.synced(&["sync", "others"]);
    assert_eq!(
        (report.outcome, report.changes.len()),
        (Outcome::Succeeded, 0)
    );
}

#[test]
fn who_was_unlinked_stays_so() {
    let situation = Situation::synced(&["ada", "bob"]);
    done(&situation, &["unlink", "ada"]);
    let report = done(&situation, &RELEASE);
    assert_eq!(report.counts.updated, 1);
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("stay so"))
    );
    let user = situation.user("ada");
    let report = situation.sync();
    assert_eq!((report.counts.adopted, report.counts.created), (1, 0));
    assert_eq!(
        (situation.user("ada"), number_of_users(&situation)),
        (user, 2)
    );
}

#[test]
fn another_directory_with_the_same_source_keeps_its_links() {
    let situation = Situation::synced(&["ada", "bob"]);
    let user = situation.user("bob");
    let mut elsewhere = link(&situation, "bob");
    elsewhere["directory"] = json!("another-directory");
    let key = json!([user.id, "ftrack-ldap-sync"]);
    let value = json!({"value": elsewhere.to_string()});
    situation.ftrack().change("Metadata", &key, &value).unwrap();
    let report = done(&situation, &RELEASE);
    assert_eq!(report.counts.updated, 1);
    assert_eq!(link(&situation, "bob"), elsewhere);
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("another directory"))
    );
    // Where it is not known whose they are, nothing is done.
    let situation = Situation::synced(&["ada", "bob"]);
    let user = situation.user("bob");
    let mut elsewhere = link(&situation, "bob");
    elsewhere["directory"] = json!("another-directory");
    let key = json!([user.id, "ftrack-ldap-sync"]);
    let value = json!({"value": elsewhere.to_string()});
    situation.ftrack().change("Metadata", &key, &value).unwrap();
    std::fs::remove_dir_all(situation.state_dir()).unwrap();
    let error = refused(&situation, &RELEASE);
    assert!(error.contains("several directories"), "{error}");
}

#[test]
fn a_person_has_to_say_so() {
    let situation = Situation::synced(&["ada"]);
    let before = situation.ftrack().users();
    let unsaid = situation.run(&["release", "artists"]);
    assert_eq!(unsaid.status, 2, "{}", unsaid.stderr);
    assert!(unsaid.stderr.contains("--yes"), "{}", unsaid.stderr);
    let report = done(&situation, &["release", "artists", "--dry-run"]);
    assert_eq!((report.changes.len(), report.ftrack.write_calls), (1, 0));
    let wrong = situation.run(&["release", "nojob", "--yes"]);
    assert_eq!(wrong.status, 2, "{}", wrong.stderr);
    assert_eq!(situation.run(&["release", "--yes"]).status, 2);
    assert_eq!(situation.ftrack().users(), before);
}

#[test]
fn on_a_terminal_it_asks() {
    let situation = Situation::synced(&["ada"]);
    for (answer, is_released) in [("n\n", false), ("\n", false), ("yes\n", true)] {
        let ended = situation.on_a_terminal("release artists", answer);
        assert!(ended.stdout.contains("[y/N]"), "{}", ended.stdout);
        assert_eq!(ended.status == 0, is_released, "{}", ended.stdout);
        assert_eq!(link(&situation, "ada") == Value::Null, is_released);
    }
}

#[test]
fn it_is_refused_while_a_run_is_in_progress() {
    let situation = Studio::of(&["ada"]).for_a_daemon("schedule = \"@yearly\"");
    situation.sync();
    situation.tree().add(person("bob", "Bob", "Brown")).unwrap();
    let gate = situation.hold(CallKind::Write);
    let daemon = Daemon::start(&situation);
    let triggered = situation.start(&["trigger", "artists"]);
    assert!(gate.wait_for(1, crate::daemon::LIMIT));
    let ended = situation.run(&RELEASE);
    assert_eq!(ended.status, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("in progress"), "{}", ended.stderr);
    gate.open();
    assert!(triggered.wait_with_output().unwrap().status.success());
    assert_ne!(link(&situation, "ada"), Value::Null);
    done(&situation, &RELEASE);
    assert_eq!(link(&situation, "bob"), Value::Null);
    assert!(daemon.stop().0.success());
}

#[test]
fn a_lost_answer_changes_nothing_of_the_result() {
    for fault in [
        Fault::ResetAfter,
        Fault::ResetBefore,
        Fault::ErrorAfter,
        Fault::CutBody,
    ] {
        let situation = Situation::synced(&["ada", "bob"]);
        situation
            .ftrack()
            .fail_next(Some(CallKind::Write), fault.clone());
        let ended = situation.run(&[&RELEASE[..], &["--format", "json"]].concat());
        assert_eq!(ended.status, 0, "{fault:?}: {}", ended.stdout);
        // Of a call that ftrack says failed it is not known who did it all the same.
        let counts = ended.report().counts;
        assert_eq!(counts.updated + counts.unchanged, 2, "{}", ended.stdout);
        assert_eq!(ended.report().ftrack.owned, 0);
        assert_eq!(link(&situation, "ada"), Value::Null);
        assert_eq!(link(&situation, "bob"), Value::Null);
    }
}

#[test]
fn a_user_of_another_source_is_left_alone() {
    let situation = Situation::synced(&["ada", "bob"]);
    let id = situation.user("bob").id;
    let ftrack = situation.ftrack();
    let mut other = link(&situation, "bob");
    other["source"] = json!("others");
    let value = json!({"value": other.to_string()});
    ftrack
        .change("Metadata", &json!([id, "ftrack-ldap-sync"]), &value)
        .unwrap();
    let report = done(&situation, &RELEASE);
    assert_eq!(report.counts.updated, 1);
    assert_eq!(link(&situation, "bob"), other);
}
