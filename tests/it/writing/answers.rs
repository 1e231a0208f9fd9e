//! Lost or late answers: nothing is written twice, and reports are true.

use std::time::{Duration, Instant, SystemTime};

use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, CallKind, Fault, RetryAfter, Rules},
    model::report::Outcome,
};

use super::{assert_sound, errors, studio_of};
use crate::{
    rules::leave,
    studio::{Studio, dn, person},
};

/// A studio of ten in which somebody joins, leaves, is renamed, swaps a login, is adopted, and
/// comes back.
fn before_changes(atomicity: Atomicity) -> Studio {
    let mut studio = studio_of(
        10,
        Rules {
            atomicity,
            ..Rules::default()
        },
    );
    studio.ftrack_settings = "request_timeout = \"500ms\"".into();
    studio.sync();
    leave(&studio, "user000");
    studio.sync();
    crate::rules::come_back(&studio, "user000");
    leave(&studio, "user001");
    studio
        .tree()
        .rename(&dn("user002"), &dn("renamed"))
        .unwrap();
    studio
        .tree()
        .replace(&dn("user003"), "mail", &["user004@studio.test"])
        .unwrap();
    studio
        .tree()
        .replace(&dn("user004"), "mail", &["user003@studio.test"])
        .unwrap();
    studio.tree().rename(&dn("user005"), &dn("x")).unwrap();
    studio
        .tree()
        .rename(&dn("user006"), &dn("user005"))
        .unwrap();
    studio.tree().rename(&dn("x"), &dn("user006")).unwrap();
    studio
        .ftrack()
        .add_user(&crate::rules::account("stranger"))
        .unwrap();
    studio
        .tree()
        .add(person("stranger", "Now", "Known"))
        .unwrap();
    studio.tree().add(person("joiner", "New", "Face")).unwrap();
    studio
}

fn survives(fault: &Fault) {
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        for call in 1..=2 {
            let studio = before_changes(atomicity);
            let meets = fault.clone();
            let mut writes = 0;
            studio.ftrack().fail_when(move |seen| {
                writes += u64::from(seen.kind == CallKind::Write);
                (seen.kind == CallKind::Write && writes == call).then(|| meets.clone())
            });
            let report = studio.sync();
            let what = format!(
                "{fault:?} at write call {call}, {atomicity:?}: {:#?}",
                errors(&report)
            );
            assert_eq!(report.outcome, Outcome::Succeeded, "{what}");
            let counts = &report.counts;
            let counted = (
                counts.created,
                counts.adopted,
                counts.updated,
                counts.deactivated,
                counts.reactivated,
            );
            assert_eq!(counted, (1, 1, 5, 1, 1), "{what}");
            let created = studio
                .ftrack()
                .applied()
                .iter()
                .filter(|done| done.action == "create" && done.entity_type == "User")
                .count();
            assert_eq!(created, 1, "{what}");
            assert_eq!(
                report.ftrack.write_calls,
                studio.ftrack().counters().write_calls,
                "{what}"
            );
            assert_sound(&studio);
            studio.sync_changes_nothing();
        }
    }
}

#[test]
fn an_answer_lost_to_a_reset() {
    survives(&Fault::ResetAfter);
    survives(&Fault::ResetBefore);
}

#[test]
fn an_answer_that_never_comes() {
    survives(&Fault::StallAfter);
    survives(&Fault::StallBefore);
}

#[test]
fn an_answer_that_is_cut() {
    survives(&Fault::TruncatedJson);
    survives(&Fault::CutBody);
}

#[test]
fn a_page_of_a_balancer_in_place_of_an_answer() {
    survives(&Fault::Html(502));
    survives(&Fault::Html(503));
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    survives(&Fault::TooManyRequests(None));
    for wait in [
        RetryAfter::Seconds(2),
        RetryAfter::At(SystemTime::now() + Duration::from_secs(5)),
    ] {
        let studio = studio_of(3, Rules::default());
        studio
            .ftrack()
            .fail_next(Some(CallKind::Write), Fault::TooManyRequests(Some(wait)));
        let began = Instant::now();
        let report = studio.sync();
        assert_eq!(
            (report.outcome, report.counts.created),
            (Outcome::Succeeded, 3)
        );
        assert!(
            began.elapsed() >= Duration::from_secs(1),
            "{wait:?}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_server_that_never_answers_a_write_ends_the_run_with_what_is_known() {
    let mut studio = studio_of(3, Rules::default());
    studio.ftrack_settings = "request_timeout = \"300ms\"\nattempts = 2".into();
    studio
        .ftrack()
        .fail_when(|call| (call.kind == CallKind::Write).then_some(Fault::StallBefore));
    let report = studio.sync();
    assert_eq!(
        (
            report.outcome,
            report.counts.failed,
            report.counts.unconfirmed
        ),
        (Outcome::Failed, 0, 3),
        "{report:#?}"
    );
    assert!(
        report.ftrack.write_calls <= 4,
        "{}",
        report.ftrack.write_calls
    );
    studio.ftrack().heal();
    assert_eq!(studio.sync().counts.created, 3);
    studio.sync_changes_nothing();
}

#[test]
fn what_was_written_before_the_server_went_away_is_reported_as_written() {
    let mut studio = studio_of(3, Rules::default());
    studio.ftrack_settings = "attempts = 1".into();
    // The users go through; from then on nothing does.
    let mut written = 0;
    studio.ftrack().fail_when(move |call| {
        written += u64::from(call.kind == CallKind::Write);
        (call.kind == CallKind::Write && written > 1).then_some(Fault::Html(503))
    });
    let report = studio.sync();
    assert_eq!(
        (report.counts.created, report.counts.failed),
        (3, 0),
        "{report:#?}"
    );
    studio.ftrack().heal();
    let report = studio.sync();
    assert_eq!(
        (report.counts.created, report.outcome),
        (0, Outcome::Succeeded),
        "{report:#?}"
    );
    studio.sync_changes_nothing();
}
