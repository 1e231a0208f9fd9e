//! Writes that ftrack accepted, and that cannot be read back: neither written nor failed, as far as
//! is known.

use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault, Rules},
    model::report::Outcome,
};
use serde_json::Value;

use super::studio_of;
use crate::{crash::LIMIT, slapd::wait_until, studio::Studio};

/// The last report, as the program prints it.
fn last(studio: &Studio) -> Value {
    let ended = studio.run(&["runs", "show", "last", "--format", "json"]);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The counts of the last report: created, failed, unconfirmed.
fn counts(report: &Value) -> [u64; 3] {
    ["created", "failed", "unconfirmed"].map(|count| report["counts"][count].as_u64().unwrap_or(99))
}

#[test]
fn a_server_that_is_gone_after_it_accepted() {
    let mut studio = studio_of(3, Rules::default());
    studio.ftrack_settings = "attempts = 1\nbatch_size = 2".into();
    let mut written = false;
    studio.ftrack().fail_when(move |call| {
        written |= call.kind == CallKind::Write;
        (written && call.kind == CallKind::Read).then_some(Fault::Html(503))
    });
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Failed, "{report:#?}");
    let shown = last(&studio);
    // Of the second batch nothing was sent.
    assert_eq!(counts(&shown), [0, 1, 2], "{shown:#}");
    let text = studio.run(&["runs", "show", "last"]).stdout;
    assert!(
        text.contains("UNCONFIRMED") && text.contains("1 failed, 2 unconfirmed"),
        "{text}"
    );
    let listed = studio.run(&["runs"]).stdout;
    assert!(listed.contains("2 unconfirmed"), "{listed}");
    studio.ftrack().heal();
    let report = studio.sync();
    assert_eq!(
        (report.outcome, report.counts.created),
        (Outcome::Succeeded, 1),
        "{report:#?}"
    );
    studio.sync_changes_nothing();
}

#[test]
fn users_who_are_not_shown_after_they_were_accepted() {
    let studio = studio_of(3, Rules::default());
    let gate = studio.hold(CallKind::Write);
    let mut program = studio.start(&["sync", "--format", "json"]);
    assert!(gate.wait_for(1, LIMIT), "it does not write");
    studio.ftrack().change_rules(|rules| {
        rules.unreadable.insert("User".to_owned());
    });
    gate.open();
    assert!(wait_until(LIMIT, || program.try_wait().unwrap().is_some()));
    let status = program.wait().unwrap().code();
    let shown = last(&studio);
    assert_eq!(counts(&shown), [0, 0, 3], "{shown:#}");
    assert_eq!(
        (&shown["outcome"], status, &shown["ftrack"]["write_calls"]),
        (&"partial".into(), Some(4), &1.into()),
        "{shown:#}"
    );
    studio.ftrack().heal();
    studio
        .ftrack()
        .change_rules(|rules| rules.unreadable.clear());
    assert_eq!(studio.sync().outcome, Outcome::Succeeded);
    studio.sync_changes_nothing();
}
