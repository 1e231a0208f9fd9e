//! Freezes: whole days on which a kind of change is not written, of any cause.

use chrono::{Days, Utc};
use ftrack_ldap_sync::model::{change::HeldBy, report::Outcome};

use super::{change, closed, held, waits};
use crate::{
    rules::{approve, leave},
    situations::Situation,
    studio::dn,
};

/// A freeze from so many days from now to so many.
fn freeze(from: i64, to: i64, what: &str) -> String {
    let day = |days: i64| (Utc::now() + chrono::TimeDelta::days(days)).date_naive();
    format!(
        "[[jobs.artists.freezes]]\nfrom = \"{}\"\nto = \"{}\"\nwhat = [{what:?}]\nreason = \"delivery\"\n",
        day(from),
        day(to)
    )
}

const LOCKED: &str = "disabled = \"(employeeType=locked)\"";

/// Two people who may not be deactivated by the clock alone: one is gone, and one may not sign in.
fn gone_and_disabled(job: &str) -> Situation {
    Situation::of(&["ada", "bob", "eve", "gus", "ida"])
        .job(&format!("{LOCKED}\nlimits = {{ deactivate = \"100%\" }}"))
        .after_sync()
        .then(|studio| {
            leave(studio, "ada");
            studio
                .tree()
                .replace(&dn("bob"), "employeeType", &["locked"])
                .unwrap();
        })
        .job(&format!(
            "{LOCKED}\nlimits = {{ deactivate = \"100%\" }}\n{job}"
        ))
}

#[test]
fn a_freeze_holds_disabled_people_whom_a_window_does_not() {
    let windows = format!("windows = {{ deactivate = [{:?}] }}", closed());
    let situation = gone_and_disabled(&windows);
    let report = situation.sync();
    assert_eq!(held(&report), [("ada", HeldBy::Window)], "{report:#?}");
    assert!(!situation.user("bob").is_active);

    let situation = gone_and_disabled(&freeze(0, 1, "deactivate"));
    let report = waits(
        &situation,
        &[("ada", HeldBy::Freeze), ("bob", HeldBy::Freeze)],
    );
    let opens = Utc::now().date_naive() + Days::new(2);
    for uid in ["ada", "bob"] {
        let frozen = change(&report, uid);
        assert_eq!(
            frozen.opens_at.unwrap(),
            opens.and_hms_opt(0, 0, 0).unwrap().and_utc()
        );
        let why = frozen.error.as_deref().unwrap();
        assert!(
            why.contains("deactivate is frozen from") && why.contains("(delivery)"),
            "{why}"
        );
    }
}

#[test]
fn what_a_freeze_holds_is_written_after_it() {
    let mut situation = gone_and_disabled(&freeze(-1, 0, "deactivate"));
    waits(
        &situation,
        &[("ada", HeldBy::Freeze), ("bob", HeldBy::Freeze)],
    );
    let job = format!("{LOCKED}\nlimits = {{ deactivate = \"100%\" }}\n");
    situation.job = job + &freeze(-2, -1, "deactivate") + &freeze(1, 2, "deactivate");
    assert_eq!(situation.sync().counts.deactivated, 2);
    situation.sync_changes_nothing();
}

#[test]
fn a_freeze_holds_its_kinds_alone_and_a_person_passes_it() {
    let situation = Situation::synced(&["ada", "bob"])
        .job(&freeze(0, 0, "update"))
        .then(|studio| {
            studio
                .tree()
                .replace(&dn("ada"), "sn", &["Changed"])
                .unwrap();
            leave(studio, "bob");
        });
    let report = situation.sync();
    assert_eq!(held(&report), [("ada", HeldBy::Freeze)], "{report:#?}");
    assert_eq!(
        (report.counts.deactivated, report.outcome),
        (1, Outcome::Succeeded)
    );
    let report = approve(&situation);
    assert_eq!(
        (report.counts.updated, report.outcome),
        (1, Outcome::Succeeded)
    );
    situation.sync_changes_nothing();
}
