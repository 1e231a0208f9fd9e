//! `reject`: what was rejected is not written until its cause has ended.

use ftrack_ldap_sync::model::report::{ChangeResult, Outcome, Report};

use super::{holds, json_of, left, only_hold};
use crate::{
    daemon::Daemon,
    rules::{come_back, leave},
    studio::Studio,
};

fn rejected(report: &Report) -> Vec<&str> {
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

fn reject(studio: &Studio, arguments: &[&str]) -> (i32, String) {
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
