//! `reject`: what was rejected is not written until its cause has ended.

use ftrack_ldap_sync::model::report::{ChangeResult, Outcome, Report};

use ftrack_ldap_sync::demo::ftrack::{CallKind, Fault};
use serde_json::{Value, json};

use super::{holds, json_of, left, only_hold};
use crate::{
    daemon::Daemon,
    rules::{
        come_back, leave,
        missing::{links, set_link},
    },
    studio::Studio,
};

/// Nothing but what was rejected holds anybody.
pub const NO_LIMIT: &str = "limits = { deactivate = \"100%\" }";

/// The rejected edits in the link of a user.
pub fn noted(studio: &Studio, username: &str) -> Vec<String> {
    let id = json!(studio.user(username).id);
    let link = links(studio).into_iter().find(|(user, _)| *user == id);
    let (_, link) = link.unwrap();
    let rejected = link["rejected"].as_array().into_iter().flatten();
    rejected
        .map(|edit| edit.as_str().unwrap().to_owned())
        .collect()
}

pub fn rejected(report: &Report) -> Vec<&str> {
    let mut logins: Vec<&str> = report
        .changes
        .iter()
        .filter(|change| change.result == ChangeResult::Rejected)
        .map(|change| &*change.username)
        .collect();
    logins.sort_unstable();
    assert_eq!(report.counts.rejected, logins.len());
    logins
}

pub fn reject(studio: &Studio, arguments: &[&str]) -> (i32, String) {
    let ended = studio.run(&[&["reject"], arguments].concat());
    (ended.status, ended.stdout + &ended.stderr)
}

#[test]
fn what_was_rejected_stays_so_until_its_cause_has_ended() {
    let mut studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let number = number.to_string();
    let (status, said) = reject(&studio, &[&number, "--only", "user0"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("1 change is rejected"), "{said}");
    assert_eq!(only_hold(&studio).1, ["user1", "user2"]);
    assert_eq!(reject(&studio, &[&number]).0, 0);
    assert_eq!(holds(&studio), []);
    let shown = json_of(&studio, &["holds", "show", &number]);
    assert_eq!(shown["ended"]["by"], "rejected");
    let people = shown["people"].as_array().unwrap().iter();
    assert!(people.clone().all(|person| person["became"] == "rejected"));
    assert_eq!(people.count(), 3);
    let (status, said) = reject(&studio, &[&number]);
    assert!(
        status == 1 && said.contains("is settled: rejected"),
        "{status}: {said}"
    );

    // Also where nothing else would hold it.
    studio.job = "limits = { deactivate = \"100%\" }".into();
    for _ in 0..2 {
        let report = studio.sync();
        assert_eq!(rejected(&report), ["user0", "user1", "user2"]);
        assert_eq!(
            (report.outcome, report.ftrack.write_calls),
            (Outcome::Succeeded, 0)
        );
        assert_eq!(holds(&studio), []);
    }
    // The cause ends, and arises again: that is another matter.
    come_back(&studio, "user0");
    assert_eq!(rejected(&studio.sync()), ["user1", "user2"]);
    leave(&studio, "user0");
    let report = studio.sync();
    assert_eq!(
        (rejected(&report), report.counts.deactivated),
        (vec!["user1", "user2"], 1)
    );
    assert!(!studio.user("user0").is_active && studio.user("user1").is_active);
}

#[test]
fn a_running_daemon_rejects() {
    let studio = left(&[0, 1, 2]).for_a_daemon("");
    studio.sync();
    let (number, _) = only_hold(&studio);
    let daemon = Daemon::start(&studio);
    let (status, said) = reject(&studio, &["4711"]);
    assert_eq!(status, 2, "{said}");
    let (status, said) = reject(&studio, &[&number.to_string()]);
    assert!(
        status == 0 && said.contains("3 changes are rejected"),
        "{status}: {said}"
    );
    assert_eq!(daemon.event("hold.closed")["ended_by"], "rejected");
    assert!(daemon.stop().0.success());
    assert_eq!(rejected(&studio.sync()).len(), 3);
}

#[test]
fn lost_state_forgets_no_rejection() {
    let key = "link_key = \"a key of sixteen or more\"";
    for key in ["", key] {
        let mut studio = left(&[]);
        studio.ftrack_settings = key.into();
        // Links without a signature are signed once.
        crate::rules::approve(&studio);
        for number in 0..3 {
            leave(&studio, &format!("user{number}"));
        }
        studio.sync();
        let (number, _) = only_hold(&studio);
        assert_eq!(reject(&studio, &[&number.to_string()]).0, 0);
        let digest = noted(&studio, "user0");
        assert!(digest.len() == 1 && digest[0].len() == 16, "{digest:?}");
        assert_eq!(noted(&studio, "user3"), Vec::<String>::new());

        std::fs::remove_dir_all(studio.state_dir()).unwrap();
        studio.job = NO_LIMIT.into();
        for _ in 0..2 {
            let report = studio.sync();
            assert_eq!(rejected(&report), ["user0", "user1", "user2"]);
            assert_eq!(
                (report.outcome, report.ftrack.write_calls),
                (Outcome::Succeeded, 0)
            );
        }
        assert_eq!(
            studio.explain(&["user0"]).unwrap().verdict.as_str(),
            "rejected"
        );
        // Once the cause has ended, links say nothing of it any more.
        come_back(&studio, "user0");
        let report = studio.sync();
        assert_eq!(report.changes.len(), 2, "{report:#?}");
        assert_eq!(noted(&studio, "user0"), Vec::<String>::new());
        assert_eq!(noted(&studio, "user1").len(), 1);
        assert_eq!(studio.sync().ftrack.write_calls, 0);
    }
}

#[test]
fn a_rejection_stands_also_where_ftrack_is_away_and_the_next_run_writes_it() {
    let mut studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Write).then_some(Fault::Html(500)));
    let (status, said) = reject(&studio, &[&number.to_string()]);
    assert!(
        status == 0 && said.contains("3 changes are rejected"),
        "{said}"
    );
    assert!(said.contains("the next run writes it"), "{said}");
    assert_eq!(noted(&studio, "user0"), Vec::<String>::new());
    studio.ftrack().heal();
    studio.job = NO_LIMIT.into();
    let report = studio.sync();
    assert_eq!((rejected(&report).len(), report.ftrack.write_calls), (3, 1));
    assert_eq!((report.changes.len(), report.counts.updated), (3, 0));
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    assert_eq!(rejected(&studio.sync()).len(), 3);
}

#[test]
fn what_nobody_rejected_is_no_rejection() {
    let mut studio = left(&[0, 1]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    assert_eq!(reject(&studio, &[&number.to_string()]).0, 0);
    // A link whose row was edited by hand: what is not understood says nothing.
    for (user, mut link) in links(&studio) {
        if link["rejected"] != Value::Null {
            link["rejected"] = json!(["0123456789abcdef", "no digest", "g"]);
            set_link(&studio, &user, &link);
        }
    }
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    studio.job = NO_LIMIT.into();
    let report = studio.sync();
    assert_eq!((rejected(&report).len(), report.counts.deactivated), (0, 2));
}

#[test]
fn a_plan_names_what_was_rejected_and_applies_the_rest() {
    let studio = left(&[0, 1, 2]);
    studio.sync();
    let (number, _) = only_hold(&studio);
    let file = studio.folder().join("plan.json");
    let file = file.to_str().unwrap();
    let number = number.to_string();
    // What was rejected since the plan was made is no part of it.
    assert_eq!(studio.run(&["plan", "--out", file]).status, 0);
    assert_eq!(reject(&studio, &[&number, "--only", "user0"]).0, 0);
    let stale = studio.run(&["apply", file]);
    assert_eq!(stale.status, 1, "{}", stale.stdout);
    assert!(stale.stdout.contains("nothing was written"));

    let plan = studio.run(&["plan", "--out", file, "--detailed-exitcode"]);
    assert_eq!(plan.status, 3, "{}", plan.stderr);
    for told in [
        "3 to deactivate, 2 of them held, 1 of them rejected",
        "- deactivate user0 REJECTED",
        "- deactivate user1 HELD",
        "2 changes are held",
    ] {
        assert!(plan.stdout.contains(told), "{}", plan.stdout);
    }
    let applied = studio.run(&["apply", file, "--format", "json"]);
    let report = applied.report();
    assert_eq!(applied.status, 0, "{}", applied.stdout);
    assert_eq!(
        (rejected(&report), report.counts.deactivated),
        (vec!["user0"], 2)
    );
    assert!(studio.user("user0").is_active && !studio.user("user1").is_active);
    assert_eq!(noted(&studio, "user0").len(), 1);

    // Only what was rejected is left: there is nothing to do.
    let plan = studio.run(&["plan", "--out", file, "--detailed-exitcode"]);
    assert_eq!(plan.status, 0, "{}", plan.stdout);
    assert!(
        plan.stdout.contains("1 to deactivate, 1 of them rejected"),
        "{}",
        plan.stdout
    );
    let report = studio.run(&["apply", file, "--format", "json"]).report();
    assert_eq!(
        (rejected(&report), report.ftrack.write_calls),
        (vec!["user0"], 0)
    );
    assert!(studio.user("user0").is_active);
}
