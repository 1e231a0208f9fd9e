//! What cannot be undone, and how the program says so.

use std::fs;

use ftrack_ldap_sync::model::report::Outcome;

use super::{eventful, put_back, undo};
use crate::studio::{Ended, Studio, dn};

fn refused(studio: &Studio, arguments: &[&str]) -> (i32, String) {
    let ended = studio.run(arguments);
    assert_eq!(ended.stdout, "");
    (ended.status, ended.stderr)
}

#[test]
fn runs_that_wrote_nothing_or_are_not_known() {
    let studio = eventful();
    let dry = put_back(&studio, &["sync", "--dry-run"]);
    let (status, said) = refused(&studio, &["undo", &dry.run]);
    assert!(
        status == 2 && said.contains("only looked"),
        "{status} {said}"
    );
    let (status, said) = refused(&studio, &["undo", "nothing"]);
    assert!(
        status == 2 && said.contains("there is no run"),
        "{status} {said}"
    );
    let run = studio.sync();
    let (status, said) = refused(&studio, &["undo", &run.run, "--only", "nobody"]);
    assert!(
        status == 2 && said.contains("names nobody"),
        "{status} {said}"
    );
    // There is nothing to put back of one that changed nothing, and no run about it.
    let quiet = studio.sync_changes_nothing();
    let runs = studio.reports().len();
    for arguments in [
        &["undo", &quiet.run][..],
        &["undo", &quiet.run, "--dry-run"],
    ] {
        let (status, said) = refused(&studio, arguments);
        assert!(
            status == 2 && said.contains("wrote nothing, so there is nothing to undo"),
            "{status} {said}"
        );
    }
    assert_eq!(studio.reports().len(), runs);
}

#[test]
fn a_run_of_another_job_or_server() {
    let mut studio = eventful();
    let run = studio.sync();
    let text = fs::read_to_string(studio.config()).unwrap();
    let other = studio.folder().join("other.toml");
    fs::write(&other, text.replace("[jobs.artists]", "[jobs.others]")).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ftrack-ldap-sync"));
    let ended = command
        .args(["--config", other.to_str().unwrap(), "undo", &run.run])
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("which is not configured any more"), "{said}");

    let url = studio.ftrack_url();
    studio.ftrack_at = Some(url.replace("127.0.0.1", "localhost"));
    let (status, said) = refused(&studio, &["undo", &run.run]);
    assert!(
        status == 2 && said.contains("is of the ftrack server"),
        "{status} {said}"
    );
}

#[test]
fn an_observing_job_puts_nothing_back() {
    let mut studio = eventful();
    let run = studio.sync();
    studio.job = "mode = \"observe\"".into();
    let (status, said) = refused(&studio, &["undo", &run.run]);
    assert!(status == 2 && said.contains("observe"), "{status} {said}");
}

#[test]
fn a_login_that_somebody_else_has_by_now_is_named() {
    let studio = eventful();
    let run = studio.sync();
    assert_eq!(studio.user("bobby").username, "bobby");
    studio
        .ftrack()
        .add_user(&crate::rules::account("BOB"))
        .unwrap();
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    let [(who, why)] = super::left(&report)[..] else {
        panic!("{report:#?}");
    };
    assert!(
        who == "bobby" && why.contains("another user's by now"),
        "{who} {why}"
    );
    assert!(!studio.user("eve").is_active);
}

#[test]
fn swapped_logins_are_swapped_back() {
    let mut studio = Studio::of(&["ada", "bob"]);
    studio.job = super::NO_LIMIT.into();
    studio.sync();
    let ids = ["ada", "bob"].map(|login| studio.user(login).id);
    for (from, to) in [("ada", "third"), ("bob", "ada"), ("third", "bob")] {
        studio.tree().rename(&dn(from), &dn(to)).unwrap();
    }
    let run = studio.sync();
    assert_eq!(["bob", "ada"].map(|login| studio.user(login).id), ids);
    let report = undo(&studio, &run);
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(["ada", "bob"].map(|login| studio.user(login).id), ids);
    super::nothing_is_done_again(&studio);
}

#[test]
fn a_run_of_the_job_is_waited_for_and_no_longer_than_the_time_limit() {
    let mut studio = eventful();
    let run = studio.sync();
    let locks = studio.state_dir().join("locks/artists.lock");
    let lock = fs::File::options().write(true).open(locks).unwrap();
    lock.lock().unwrap();
    studio.job = format!("time_limit = \"1s\"\n{}", super::NO_LIMIT);
    let ended = studio.run(&["undo", &run.run]);
    assert_eq!(ended.status, 1);
    assert!(
        ended
            .stderr
            .contains("another run of this job is in progress"),
        "{}",
        ended.stderr
    );
    let child = studio.start(&["undo", &run.run, "--only", "ada", "--format", "json"]);
    drop(lock);
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.status, 0, "{}", ended.stderr);
}

#[test]
fn a_misspelled_job_is_named_with_the_one_that_is_meant() {
    let studio = eventful();
    studio.sync();
    for command in ["undo", "restore"] {
        let (status, said) = refused(&studio, &[command, "last", "--job", "artits"]);
        assert_eq!(status, 2, "{said}");
        for told in ["there is no job", "did you mean", "artists"] {
            assert!(said.contains(told), "{said}");
        }
    }
}

#[test]
fn on_a_terminal_an_undo_is_shown_and_confirmed() {
    let studio = eventful();
    let before = super::seen(&studio);
    let run = studio.sync();
    let written = super::seen(&studio);
    let undo = format!("undo {}", run.run);
    for answer in ["n\n", "\n"] {
        let ended = studio.on_a_terminal(&undo, answer);
        assert_eq!(ended.status, 1, "{}", ended.stdout);
        for told in ["Nothing was written. ", "Undo this? [y/N]", "not undone"] {
            assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
        }
        assert_eq!(super::seen(&studio), written);
    }
    let ended = studio.on_a_terminal(&format!("{undo} --dry-run"), "");
    assert_eq!(ended.status, 0, "{}", ended.stdout);
    assert!(!ended.stdout.contains("[y/N]"), "{}", ended.stdout);
    assert_eq!(super::seen(&studio), written);
    let ended = studio.on_a_terminal(&undo, "y\n");
    assert_eq!(ended.status, 0, "{}", ended.stdout);
    let mut now = super::seen(&studio);
    now.remove(&studio.user("gus").id);
    assert_eq!(now, before);
    // Said beforehand, nothing is asked.
    let undone = studio.reports().pop().unwrap().run;
    let ended = studio.on_a_terminal(&format!("undo {undone} --yes"), "");
    assert_eq!(ended.status, 0, "{}", ended.stdout);
    assert!(!ended.stdout.contains("[y/N]"), "{}", ended.stdout);
    assert_eq!(super::seen(&studio), written);
}
