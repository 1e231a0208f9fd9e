//! `holds --rejected` lists what people rejected, and `unreject` takes it back.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::explanation::Verdict,
};
use serde_json::Value;

use super::{
    json_of, left, only_hold,
    rejecting::{NO_LIMIT, noted, reject, rejected},
    text,
};
use crate::{
    daemon::Daemon,
    rules::leave,
    studio::{Studio, person},
};

fn unreject(studio: &Studio, arguments: &[&str]) -> (i32, String) {
    let ended = studio.run(&[&["unreject"], arguments].concat());
    (ended.status, ended.stdout + &ended.stderr)
}

fn listed(studio: &Studio) -> Vec<Value> {
    let all = json_of(studio, &["holds", "--rejected"]);
    all.as_array().unwrap().clone()
}

fn logins(studio: &Studio) -> Vec<String> {
    let all = listed(studio);
    all.iter().map(|one| text(&one["username"])).collect()
}

/// Whom the next run holds.
fn only_hold_after(studio: &Studio) -> Vec<String> {
    studio.sync();
    only_hold(studio).1
}

#[test]
fn what_was_rejected_is_listed_and_taken_back() {
    let mut studio = left(&[0, 1, 2]);
    assert_eq!(
        studio.run(&["holds", "--rejected"]).stdout,
        "Nothing is rejected.\n"
    );
    studio.sync();
    let (number, _) = only_hold(&studio);
    let hold = number.to_string();
    let (_, said) = reject(&studio, &[&hold]);
    assert!(said.contains(&format!("`unreject {hold}`")), "{said}");
    let (status, said) = reject(&studio, &[&hold]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains(&format!("`unreject {hold}`")), "{said}");
    // Also once the links say so, which the state need not remember.
    for _ in 0..2 {
        let all = listed(&studio);
        assert_eq!(logins(&studio), ["user0", "user1", "user2"]);
        for one in &all {
            assert_eq!(
                (&one["hold"], &one["job"]),
                (&number.into(), &"artists".into())
            );
            assert_eq!(one["edits"][0]["kind"], "deactivate");
            let uid = rustix::process::getuid().as_raw();
            assert_eq!(text(&one["rejected_by"]), format!("uid {uid}"));
            assert!(!one["since"].is_null(), "{one}");
        }
        let shown = studio.run(&["holds", "--rejected"]).stdout;
        for told in ["user0", "is_active: true -> false", "unreject N"] {
            assert!(shown.contains(told), "{shown}");
        }
        studio.sync();
    }
    let other = studio.run(&["holds", "--rejected", "--job", "other"]);
    assert_eq!((other.status, other.stdout.as_str()), (2, ""));

    studio.job = NO_LIMIT.into();
    let (status, said) = unreject(&studio, &[&hold, "--only", "USER0@studio.test"]);
    assert!(
        status == 0 && said.contains("of 1 person is taken back: user0."),
        "{said}"
    );
    assert!(noted(&studio, "user0").is_empty() && noted(&studio, "user1").len() == 1);
    assert_eq!(logins(&studio), ["user1", "user2"]);
    let report = studio.sync();
    // It is judged anew: the limit held it before, which time alone does not end.
    assert_eq!(
        (rejected(&report), report.counts.held),
        (vec!["user1", "user2"], 1)
    );
    let (again, held) = only_hold(&studio);
    assert!(again > number && held == ["user0"], "{again} {held:?}");
    assert_eq!(studio.run(&["approve", &again.to_string()]).status, 0);
    assert!(!studio.user("user0").is_active);
    assert_eq!(unreject(&studio, &[&hold]).0, 0);
    assert_eq!(logins(&studio), Vec::<String>::new());
    assert_eq!(only_hold_after(&studio), ["user1", "user2"]);
}

#[test]
fn before_the_next_run_what_is_taken_back_has_no_number_yet() {
    let mut studio = left(&[0]);
    studio.job = "users.protect = [\"user0\"]".into();
    studio.sync();
    let (number, _) = only_hold(&studio);
    let hold = number.to_string();
    let told = |studio: &Studio| {
        let explained = studio.explain(&["user0"]).unwrap();
        assert_eq!(explained.verdict, Verdict::Protected, "{explained:#?}");
        let step = &explained.steps.last().unwrap().detail;
        assert!(explained.reason.contains(step), "{explained:#?}");
        (
            explained.changes[0].hold.map(|hold| hold.get()),
            step.clone(),
        )
    };
    let (numbered, said) = told(&studio);
    assert_eq!(numbered, Some(number));
    assert!(
        said.contains(&format!("approve it: `approve {number}` writes it")),
        "{said}"
    );
    assert_eq!(reject(&studio, &[&hold]).0, 0);
    assert_eq!(unreject(&studio, &[&hold]).0, 0);
    let (none, said) = told(&studio);
    assert_eq!(none, None);
    assert!(
        said.contains("approve it: the next run gives it a number, which `holds` shows then"),
        "{said}"
    );
    assert!(!said.contains("`holds` shows its number"), "{said}");
    studio.sync();
    let (again, said) = told(&studio);
    let again = again.unwrap();
    assert!(again > number, "{again}");
    assert!(
        said.contains(&format!("approve it: `approve {again}` writes it")),
        "{said}"
    );
}

#[test]
fn what_cannot_be_taken_back_is_said() {
    let studio = left(&[0, 1]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let hold = number.to_string();
    let (status, said) = unreject(&studio, &[&hold]);
    assert!(
        status == 1 && said.contains("nothing of hold"),
        "{status} {said}"
    );
    assert_eq!(reject(&studio, &[&hold]).0, 0);
    for (arguments, told) in [
        (&["4711"][..], "there is no hold 4711"),
        (&[], "required"),
        (&["--only", "user9"], "anybody named"),
        (&[&hold, "--only", "user9"], "anybody named"),
    ] {
        let (status, said) = unreject(&studio, arguments);
        assert!(status == 2 && said.contains(told), "{status} {said}");
    }
    // The links say so, so it stays where they cannot be written.
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Write).then_some(Fault::Html(500)));
    let (status, said) = unreject(&studio, &[&hold]);
    assert!(
        status == 1 && said.contains("it stays rejected"),
        "{status} {said}"
    );
    studio.ftrack().heal();
    assert_eq!(logins(&studio), ["user0", "user1"]);
    assert_eq!(rejected(&studio.sync()), ["user0", "user1"]);
}

#[test]
fn what_only_links_say_is_listed_by_the_next_run() {
    let mut studio = left(&[0, 1]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    assert_eq!(reject(&studio, &[&number.to_string()]).0, 0);
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    studio.job = NO_LIMIT.into();
    studio.sync();
    let all = listed(&studio);
    assert_eq!(logins(&studio), ["user0", "user1"]);
    assert!(
        all[0]["hold"].is_null() && all[0]["since"].is_null(),
        "{all:?}"
    );
    let shown = studio.run(&["holds", "--rejected"]).stdout;
    assert!(shown.contains("not known"), "{shown}");
    assert_eq!(unreject(&studio, &["--only", "user1"]).0, 0);
    assert_eq!(studio.sync().counts.deactivated, 1);
    assert!(studio.user("user0").is_active && !studio.user("user1").is_active);
}

#[test]
fn what_was_undone_and_who_has_no_user_yet_are_taken_back_as_well() {
    let mut studio = left(&[0]);
    assert_eq!(studio.sync().counts.deactivated, 1);
    assert_eq!(studio.run(&["undo", "last"]).status, 0);
    let all = listed(&studio);
    assert_eq!(logins(&studio), ["user0"]);
    assert!(
        all[0]["hold"].is_null() && !all[0]["since"].is_null(),
        "{all:?}"
    );
    assert_eq!(rejected(&studio.sync()), ["user0"]);
    assert_eq!(logins(&studio), ["user0"]);

    studio.job = "limits = { create = 0 }".into();
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    studio.sync();
    let (number, logins_of) = only_hold(&studio);
    assert_eq!(logins_of, ["joiner"]);
    assert_eq!(reject(&studio, &[&number.to_string()]).0, 0);
    assert_eq!(logins(&studio), ["user0", "joiner"]);
    studio.job = NO_LIMIT.into();
    assert_eq!(rejected(&studio.sync()), ["joiner", "user0"]);
    assert_eq!(unreject(&studio, &["--only", "joiner", "user0"]).0, 0);
    let report = studio.sync();
    assert_eq!(
        (report.counts.held, report.counts.deactivated),
        (1, 1),
        "{report:#?}"
    );
    assert_eq!(only_hold(&studio).1, ["joiner"]);
    assert_eq!(logins(&studio), Vec::<String>::new());
}

#[test]
fn a_rejection_is_taken_back_beside_a_daemon() {
    let studio = left(&[0, 1]).for_a_daemon("");
    studio.sync();
    let (number, _) = only_hold(&studio);
    let daemon = Daemon::start(&studio);
    let hold = number.to_string();
    assert_eq!(reject(&studio, &[&hold]).0, 0);
    assert_eq!(logins(&studio), ["user0", "user1"]);
    let (status, said) = unreject(&studio, &[&hold]);
    assert_eq!(status, 0, "{said}");
    let report = studio.run(&["trigger", "--format", "json"]).report();
    assert_eq!((rejected(&report), report.counts.held), (vec![], 2));
    leave(&studio, "user2");
    assert!(daemon.stop().0.success());
}
