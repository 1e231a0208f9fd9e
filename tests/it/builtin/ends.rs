//! Failures of ftrack's own synchronisation: each has a clear error, it is started once, and the
//! users are read again.

use ftrack_ldap_sync::{
    demo::ftrack::{BuiltinSync, CallKind, Fault, Rights},
    model::report::{FailureKind, Outcome, Report},
};

use super::{becomes, started, studio, synced};
use crate::studio::Studio;

/// A run that fails, of a synchronisation that ends in this way.
fn failed(studio: &Studio, ends: BuiltinSync) -> Report {
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = ends);
    let report = synced(studio, 1);
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    report
}

/// The id of the server's newest job.
fn job_id(report: &Report) -> String {
    report
        .builtin
        .as_ref()
        .unwrap()
        .job_id
        .as_ref()
        .unwrap()
        .to_string()
}

#[test]
fn one_that_takes_its_time_is_followed_to_its_end() {
    let studio = studio("");
    becomes(&studio, "ada", |user| user.is_active = false);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Slow(3));
    let report = synced(&studio, 1);
    assert_eq!(
        (report.outcome, report.counts.deactivated),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
}

#[test]
fn one_that_fails_fails_the_run_with_the_servers_words_and_what_it_changed_before() {
    let studio = studio("");
    becomes(&studio, "ada", |user| user.is_active = false);
    let report = failed(
        &studio,
        BuiltinSync::Fails("no route to the directory".into()),
    );
    assert_eq!(
        report.error.as_deref().unwrap(),
        format!(
            "ftrack's own LDAP synchronisation failed (its job {}), and ftrack reports: no route \
             to \
             the directory; is it configured? See System settings > Resources > LDAP settings in \
             ftrack",
            job_id(&report)
        )
    );
    assert_eq!(
        (report.error_kind, report.counts.deactivated),
        (Some(FailureKind::Ftrack), 1)
    );
    assert_eq!(report.changes[0].username, "ada");
    assert_eq!(report.builtin.unwrap().status.as_deref(), Some("failed"));
}

#[test]
fn what_the_server_says_is_bounded_and_one_clean_line() {
    let studio = studio("");
    let report = failed(
        &studio,
        BuiltinSync::FailsWith(format!("a\u{1b}[2J\nb\u{202e} {}", "x".repeat(100_000))),
    );
    let text = report.builtin.unwrap().text.unwrap();
    assert!(
        text.starts_with("a [2J b") && text.chars().count() <= 301,
        "{text}"
    );
    let shown = studio.run(&["runs", "show", "last"]).stdout;
    assert!(
        !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
        "{shown:?}"
    );
}

#[test]
fn one_that_is_not_set_up_is_one_clear_sentence() {
    let studio = studio("");
    let report = failed(
        &studio,
        BuiltinSync::NotSetUp("LDAP is not enabled.".into()),
    );
    assert_eq!(
        report.error.as_deref().unwrap(),
        "ftrack did not start its own LDAP synchronisation, and reports: ValidationError: LDAP is \
         not enabled; is it configured? See System settings > Resources > LDAP settings in ftrack"
    );
    assert_eq!(
        (report.builtin.unwrap().job_id, started(&studio)),
        (None, 0)
    );
    studio
        .ftrack()
        .change_rules(|rules| rules.rights = Rights::NoUserWrites);
    let report = synced(&studio, 1);
    let error = report.error.unwrap();
    assert!(
        error.starts_with(
            "ftrack's own LDAP synchronisation was not started: starting ftrack's own LDAP \
             synchronisation at "
        ),
        "{error}"
    );
    assert!(
        error.contains("give its role the permission to manage users"),
        "{error}"
    );
}

#[test]
fn one_that_never_begins_or_does_not_end_meets_the_time_limit() {
    for (ends, says) in [
        (
            BuiltinSync::NeverBegins,
            "ftrack did not start its own LDAP synchronisation: its job ",
        ),
        (
            BuiltinSync::Hangs,
            "ftrack's own LDAP synchronisation (its job ",
        ),
    ] {
        let studio = studio("time_limit = \"2s\"");
        becomes(&studio, "ada", |user| user.is_active = false);
        let report = failed(&studio, ends.clone());
        let error = report.error.clone().unwrap();
        assert!(
            error.starts_with(says) && error.contains("when the time limit of 2s was nearly over"),
            "{error}"
        );
        assert_eq!(report.error_kind, Some(FailureKind::TimeLimit));
        let status = report.builtin.as_ref().unwrap().status.as_deref();
        assert_eq!(
            status,
            Some(if ends == BuiltinSync::Hangs {
                "running"
            } else {
                "queued"
            })
        );
        // The next runs start none beside it: they follow it, and the one that sees its end says
        // so.
        becomes(&studio, "bob", |user| user.is_active = false);
        studio
            .ftrack()
            .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
        let again = synced(&studio, 0);
        assert_eq!(
            (again.outcome, again.counts.deactivated),
            (Outcome::Partial, 2),
            "{again:#?}"
        );
        assert_eq!((job_id(&again), again.alarm), (job_id(&report), true));
        let said = format!(
            "the run {} started this synchronisation and did not see its end; ",
            report.run
        );
        assert!(
            again
                .warnings
                .iter()
                .any(|warning| warning.starts_with(&said)),
            "{again:#?}"
        );
        assert_eq!(started(&studio), 1);
        assert_eq!(synced(&studio, 1).outcome, Outcome::Succeeded);
        assert_eq!(started(&studio), 2);
    }
}

#[test]
fn the_limits_are_those_of_the_whole_synchronisation_however_many_runs_follow_it() {
    let studio = studio("time_limit = \"2s\"");
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Hangs);
    let child = studio.start(&["sync", "nightly", "--format", "json"]);
    assert!(crate::slapd::wait_until(
        std::time::Duration::from_secs(30),
        || started(&studio) == 1
    ));
    crate::rules::by_hand(&studio, "ada", &serde_json::json!({"is_active": false}));
    let first = crate::studio::Ended::of(child.wait_with_output().unwrap()).report();
    assert_eq!(
        (first.counts.deactivated, first.alarm),
        (1, false),
        "one of ten: {first:#?}"
    );
    becomes(&studio, "bob", |user| user.is_active = false);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let second = synced(&studio, 0);
    assert_eq!(
        (second.counts.deactivated, second.alarm),
        (1, true),
        "and one more: {second:#?}"
    );
}

#[test]
fn one_that_vanishes_or_has_a_strange_status_is_told_apart() {
    let studio = studio("");
    let report = failed(&studio, BuiltinSync::Vanishes);
    assert_eq!(
        report.error.as_deref().unwrap(),
        format!(
            "ftrack does not show the job {} of its own LDAP synchronisation, whose last known \
             status was queued, so its result is not known; does the key's role have read access \
             to jobs?",
            job_id(&report)
        )
    );
    assert_eq!(report.error_kind, Some(FailureKind::FtrackUnclear));
    let report = failed(&studio, BuiltinSync::EndsAs("paused".into()));
    assert_eq!(report.error_kind, Some(FailureKind::FtrackUnclear));
    let unknown = "the result of the synchronisation that the run ";
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.starts_with(unknown)),
        "{report:#?}"
    );
    assert_eq!(
        report.error.as_deref().unwrap(),
        format!(
            "ftrack reports the status \"paused\" for its own LDAP synchronisation (its job {}), \
             which this version does not know, so its result is not known either; see the job in \
             ftrack",
            job_id(&report)
        )
    );
}

#[test]
fn an_answer_without_an_id_is_an_error_and_nothing_is_started_twice() {
    let studio = studio("");
    let report = failed(&studio, BuiltinSync::Nameless);
    assert!(
        report.error.as_deref().unwrap().starts_with(
            "ftrack answered the start of its own LDAP synchronisation without the id of a job, \
             so it cannot be followed: "
        ),
        "{report:#?}"
    );
    assert_eq!(
        (report.error_kind, started(&studio)),
        (Some(FailureKind::FtrackUnclear), 1)
    );
    // It is there all the same, and the next run finds it.
    becomes(&studio, "ada", |user| user.is_active = false);
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let report = synced(&studio, 0);
    assert_eq!(
        (report.outcome, report.counts.deactivated, started(&studio)),
        (Outcome::Succeeded, 1, 1),
        "{report:#?}"
    );
}

#[test]
fn users_that_cannot_be_read_again_are_reported_by_the_next_run_with_the_alarm() {
    let mut studio = studio("");
    studio.ftrack_settings = "attempts = 1".into();
    for name in ["ada", "bob", "cyd"] {
        becomes(&studio, name, |user| user.is_active = false);
    }
    // The reads of users after the job was seen to be done: those that follow the third look.
    let mut reads = 0;
    studio.ftrack().fail_when(move |call| {
        let is_after = call.kind == CallKind::Read && call.number > call.number_of_kind;
        reads += u32::from(is_after);
        (is_after && reads > 2).then_some(Fault::Html(503))
    });
    let report = synced(&studio, 1);
    assert_eq!(
        (report.outcome, report.changes.len()),
        (Outcome::Failed, 0),
        "{report:#?}"
    );
    let error = report.error.unwrap();
    assert!(
        error.starts_with(
            "ftrack's own LDAP synchronisation is done; the users could not be read again, so the \
             next run reports its changes: "
        ),
        "{error}"
    );
    studio.ftrack().heal();
    let report = synced(&studio, 0);
    assert_eq!(
        (report.outcome, report.counts.deactivated, report.alarm),
        (Outcome::Partial, 3, true),
        "{report:#?}"
    );
    assert_eq!(started(&studio), 1);
}

#[test]
fn a_refusal_to_start_says_nothing_of_the_key() {
    let studio = studio("");
    studio
        .ftrack()
        .fail_next(Some(CallKind::Write), Fault::Html(403));
    let report = synced(&studio, 1);
    assert_eq!(report.error_kind, Some(FailureKind::Ftrack), "{report:#?}");
    assert_eq!(started(&studio), 0);
    assert_eq!(synced(&studio, 1).outcome, Outcome::Succeeded);
}

#[test]
fn a_server_that_does_not_come_back_is_said_instead_of_the_time_limit() {
    let mut studio = studio("time_limit = \"3s\"");
    studio.ftrack_settings = "attempts = 1".into();
    studio.ftrack().fail_when(|call| {
        (call.number > call.number_of_kind && call.kind == CallKind::Read)
            .then_some(Fault::Html(503))
    });
    let report = synced(&studio, 1);
    let error = report.error.unwrap();
    assert!(
        error.starts_with("ftrack's own LDAP synchronisation (its job ")
            && error.contains("could not be followed: ")
            && error.contains("HTTP 503"),
        "{error}"
    );
    assert!(
        error.contains("its last known status was queued, and the next run looks for it"),
        "{error}"
    );
    assert_eq!(report.error_kind, Some(FailureKind::Ftrack));
    studio.ftrack().heal();
    assert_eq!(synced(&studio, 0).outcome, Outcome::Succeeded);
}

#[test]
fn a_refusal_to_start_another_loses_nothing_of_the_one_whose_end_is_not_known() {
    let studio = studio("");
    let lost = failed(&studio, BuiltinSync::Vanishes);
    for name in ["ada", "bob"] {
        crate::rules::by_hand(&studio, name, &serde_json::json!({"is_active": false}));
    }
    let unknown = format!(
        "the result of the synchronisation that the run {} started is not known",
        lost.run
    );
    for _ in 0..2 {
        let refused = failed(
            &studio,
            BuiltinSync::NotSetUp("LDAP is not enabled.".into()),
        );
        assert!(refused.warnings[0].starts_with(&unknown), "{refused:#?}");
    }
    studio
        .ftrack()
        .change_rules(|rules| rules.builtin_sync = BuiltinSync::Done);
    let report = synced(&studio, 1);
    assert_eq!(
        (report.outcome, report.counts.deactivated, report.alarm),
        (Outcome::Partial, 2, true),
        "{report:#?}"
    );
    // It is reported, and thereby over.
    let next = synced(&studio, 1);
    assert_eq!(
        (next.outcome, next.counts.deactivated, next.warnings.len()),
        (Outcome::Succeeded, 0, 0),
        "{next:#?}"
    );
}
