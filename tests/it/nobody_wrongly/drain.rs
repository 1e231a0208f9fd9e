//! Limits with a memory: a directory that hides a few more people in each run locks out no more
//! than a single run may.

use chrono::Duration;
use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::{
        change::{Action, HeldBy},
        report::Outcome,
    },
};

use super::{holds, inactive, let_pass, many, of};
use crate::{
    rules::{approve, come_back, leave, logins},
    studio::Studio,
};

fn studio(people: usize) -> (Studio, Vec<String>) {
    let uids = many(people);
    let studio = of(&uids);
    studio.sync();
    (studio, uids)
}

#[test]
fn a_slow_drain_locks_out_no_more_than_the_limit_in_its_time() {
    let (studio, uids) = studio(60);
    let mut hidden = 0;
    // Thirty runs of a job at */15, each of which hides a tenth of those who are left.
    for _ in 0..30 {
        let more = ((60 - hidden) / 10).max(1).min(59 - hidden);
        for uid in &uids[hidden..hidden + more] {
            leave(&studio, uid);
        }
        hidden += more;
        let report = studio.sync();
        assert!(inactive(&studio) <= 6, "{report:#?}");
        let_pass(&studio, Duration::minutes(15));
    }
    assert_eq!(inactive(&studio), 6);
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.held),
        (Outcome::Held, hidden - 6),
        "{report:#?}"
    );
    assert!(
        holds(&report, Action::Deactivate)
            .iter()
            .all(|(_, by)| *by == HeldBy::Limit)
    );
    // Time alone frees nobody.
    let_pass(&studio, Duration::days(2));
    assert_eq!(studio.sync().counts.deactivated, 0);
    assert_eq!(inactive(&studio), 6);
}

#[test]
fn what_a_limit_held_is_freed_by_its_cause_ending_or_by_a_person() {
    let (studio, uids) = studio(20);
    for uid in &uids[..2] {
        leave(&studio, uid);
    }
    assert_eq!(studio.sync().counts.deactivated, 2);
    for uid in &uids[2..4] {
        leave(&studio, uid);
    }
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("user02", HeldBy::Limit), ("user03", HeldBy::Limit)],
        "{report:#?}"
    );
    let why = report.changes[0].error.as_deref().unwrap();
    assert!(
        why.contains("and 2 written within limits.per before")
            && why.contains("limits.deactivate allows (1, 10% of 18 active users)"),
        "{why}"
    );
    let_pass(&studio, Duration::hours(25));
    let report = studio.sync();
    let why = report.changes[0].error.as_deref().unwrap();
    assert!(
        report.counts.deactivated == 0 && why.contains("limits.deactivate allows"),
        "{report:#?}"
    );
    // One of them is back: the other is held as before, though one would be allowed.
    come_back(&studio, &uids[2]);
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("user03", HeldBy::Limit)],
        "{report:#?}"
    );
    let why = report.changes[0].error.as_deref().unwrap();
    assert!(why.contains("time alone does not release it"), "{why}");
    assert_eq!(logins(&approve(&studio), Action::Deactivate), ["user03"]);
    // What a person approved counts for nothing.
    leave(&studio, &uids[4]);
    assert_eq!(logins(&studio.sync(), Action::Deactivate), ["user04"]);
    assert_eq!(inactive(&studio), 4);
}

#[test]
fn a_lost_state_counts_from_the_links() {
    let (studio, uids) = studio(30);
    for uid in &uids[..3] {
        leave(&studio, uid);
    }
    assert_eq!(studio.sync().counts.deactivated, 3);
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    leave(&studio, &uids[3]);
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("user03", HeldBy::Limit)],
        "{report:#?}"
    );
    // A dry run and a plan, which may not make a state, see the same.
    std::fs::remove_dir_all(studio.state_dir()).unwrap();
    let plan = studio.plan(&[]).unwrap();
    let held: Vec<_> = plan
        .changes
        .iter()
        .filter_map(|planned| planned.held_by)
        .collect();
    assert_eq!(held, [HeldBy::Limit], "{plan:#?}");
    assert!(studio.user("user03").is_active);
}

#[test]
fn a_run_that_was_killed_counts_as_well() {
    let (mut studio, uids) = studio(30);
    studio.ftrack_settings = "request_timeout = \"30s\"".into();
    for uid in &uids[..3] {
        leave(&studio, uid);
    }
    // Killed when everything was written, and before it heard of it.
    studio
        .ftrack()
        .fail_next(Some(CallKind::Write), Fault::StallAfter);
    studio.ftrack().forget();
    let mut program = studio.start(&["sync"]);
    // A call is counted when it arrives, and lost with its connection: what it wrote is awaited.
    assert!(crate::slapd::wait_until(
        std::time::Duration::from_secs(20),
        || inactive(&studio) == 3
    ));
    program.kill().unwrap();
    program.wait().unwrap();
    studio.ftrack().heal();
    for uid in &uids[..3] {
        come_back(&studio, uid);
    }
    studio.sync();
    leave(&studio, &uids[5]);
    let report = studio.sync();
    assert_eq!(
        holds(&report, Action::Deactivate),
        [("user05", HeldBy::Limit)],
        "{report:#?}"
    );
}

#[test]
fn nothing_is_allowed_where_the_limit_is_nothing() {
    for limit in ["0", "\"0%\""] {
        let (mut studio, uids) = studio(5);
        studio.job = format!("limits.deactivate = {limit}");
        leave(&studio, &uids[0]);
        let report = studio.sync();
        assert_eq!(
            (report.counts.held, inactive(&studio)),
            (1, 0),
            "{limit}: {report:#?}"
        );
    }
}

#[test]
fn the_time_of_a_limit_can_be_chosen() {
    let (mut studio, uids) = studio(10);
    studio.job = "limits = { deactivate = 1, per = \"1h\" }".into();
    for (nth, held) in [(0, 0), (1, 1)] {
        leave(&studio, &uids[nth]);
        assert_eq!(studio.sync().counts.held, held);
    }
    come_back(&studio, &uids[1]);
    studio.sync();
    let_pass(&studio, Duration::minutes(61));
    leave(&studio, &uids[2]);
    assert_eq!(studio.sync().counts.deactivated, 1);
}
