//! Since when somebody has been missing stands in the user's link at ftrack.

use std::fs;

use chrono::{Duration, Utc};
use ftrack_ldap_sync::{
    demo::ftrack::{Atomicity, CallKind, Fault},
    model::{change::HeldBy, report::Outcome},
};
use serde_json::{Value, json};

use super::Situation;
use crate::{
    rules::{
        come_back, leave, make_administrator,
        missing::{absent_since, links, move_absences, noted, set_link},
        move_times,
    },
    studio::{Studio, dn},
};

const PATIENCE: &str = "limits.deactivate = 10\nusers = { deactivate_after = \"1h\" }\n";

/// A synced studio that waits for an hour, of which these are missing.
fn missing(people: &[&str], gone: &[&str]) -> Situation {
    Situation::of(people)
        .job(PATIENCE)
        .after_sync()
        .then(|studio| gone.iter().for_each(|uid| leave(studio, uid)))
}

/// What the link of a user says of it.
fn note(studio: &Studio, username: &str) -> Value {
    let id = json!(studio.user(username).id);
    let mut links = links(studio).into_iter();
    links.find(|(user, _)| *user == id).unwrap().1["missing"].clone()
}

/// A sync that changes nobody; returns its calls that write.
fn unchanged(studio: &Studio) -> u64 {
    let report = studio.sync();
    assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
    assert_eq!(report.changes, [], "it is no change");
    assert_eq!(report.counts.changed(), 0);
    report.ftrack.write_calls
}

fn lose_the_state(studio: &Studio) {
    fs::remove_dir_all(studio.state_dir()).unwrap();
}

#[test]
fn it_is_noted_once_and_lost_state_forgets_nothing() {
    let situation = missing(&["ada", "bob"], &["ada"]);
    let before = situation.user("ada");
    assert_eq!([unchanged(&situation), unchanged(&situation)], [1, 0]);
    let noted = note(&situation, "ada");
    assert_eq!(noted["reads"], 1);
    assert!(
        noted["since"].is_string() && noted["since_ftrack"].is_string(),
        "{noted}"
    );
    assert_eq!(note(&situation, "bob"), Value::Null);
    // Nothing else of the user is another.
    let now = situation.user("ada");
    assert_eq!(
        (now.is_active, &now.username),
        (before.is_active, &before.username)
    );

    lose_the_state(&situation);
    move_absences_in_links(&situation, Duration::minutes(59));
    assert_eq!(unchanged(&situation), 0);
    lose_the_state(&situation);
    move_absences_in_links(&situation, Duration::minutes(2));
    let report = situation.sync();
    assert_eq!(report.counts.deactivated, 1, "{report:#?}");
    situation.sync_changes_nothing();
    // Whoever is back waits anew.
    come_back(&situation, "ada");
    assert_eq!(situation.sync().counts.reactivated, 1);
    assert_eq!(note(&situation, "ada"), Value::Null);
    situation.sync_changes_nothing();
}

/// The state is lost, so that only links know.
fn move_absences_in_links(studio: &Studio, time: Duration) {
    // A database is made by the next run.
    studio.sync_changes_nothing();
    move_absences(studio, time);
}

#[test]
fn whoever_returns_is_cleared_also_with_other_values() {
    let situation = missing(&["ada", "bob", "cyd"], &["ada", "bob"]);
    assert_eq!(unchanged(&situation), 1);
    assert_eq!(noted(&situation).len(), 2);
    for uid in ["ada", "bob"] {
        come_back(&situation, uid);
    }
    let mail = ["new@studio.test"];
    situation.tree().replace(&dn("ada"), "mail", &mail).unwrap();
    let report = situation.sync();
    assert_eq!(
        (report.counts.updated, report.changes.len()),
        (1, 1),
        "{report:#?}"
    );
    assert_eq!(noted(&situation), Vec::<String>::new());
    situation.sync_changes_nothing();
}

#[test]
fn without_patience_nothing_is_noted() {
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| leave(studio, "ada"));
    let report = situation.sync();
    assert_eq!(
        (report.counts.deactivated, report.ftrack.write_calls),
        (1, 2)
    );
    assert_eq!(note(&situation, "ada"), Value::Null);
}

#[test]
fn what_would_hold_the_deactivation_holds_the_note() {
    // More than the limit allows.
    let people = ["ada", "bob", "cyd", "dan"];
    let many = missing(&people, &["ada", "bob"]);
    let many = many.job(&PATIENCE.replace("10", "1"));
    assert_eq!(unchanged(&many), 0);
    assert_eq!(noted(&many), Vec::<String>::new());
    come_back(&many, "bob");
    assert_eq!(unchanged(&many), 1);
    // The wait began before.
    assert_eq!(noted(&many).len(), 1);
    assert!(absent_since(&many, Utc::now() - Duration::hours(2)));
    assert_eq!(many.sync().counts.deactivated, 1);

    // An administrator; somebody whom a setting may explain.
    let administrator = missing(&people, &["ada"]);
    make_administrator(&administrator, "ada");
    let mut configured = missing(&people, &[]);
    configured.filter = "(&(objectClass=inetOrgPerson)(!(uid=bob)))".into();
    for (situation, by) in [
        (administrator, HeldBy::Protected),
        (configured, HeldBy::Configuration),
    ] {
        assert_eq!(unchanged(&situation), 0);
        // What is held is waited for all the same, as far as the state knows.
        assert!(absent_since(&situation, Utc::now() - Duration::hours(2)));
        let report = situation.sync();
        let held = report.changes.iter().map(|change| change.held_by);
        assert_eq!(held.collect::<Vec<_>>(), [Some(by)], "{report:#?}");
        assert_eq!(report.ftrack.write_calls, 0);
    }

    // A window that is closed.
    let windows = "windows.deactivate = [\"Mon 00:00-00:01\"]\ntimezone = \"UTC\"\n";
    let closed = missing(&["ada", "bob"], &["ada"]).job(&format!("{PATIENCE}{windows}"));
    assert_eq!(unchanged(&closed), 0);
}

#[test]
fn a_setting_of_before_is_taken_over() {
    // An earlier version knows it of its state alone.
    let situation = missing(&["ada", "bob"], &["ada"]);
    assert_eq!(unchanged(&situation), 1);
    let mut links = links(&situation).into_iter();
    let (user, mut link) = links.find(|(_, link)| link["missing"].is_object()).unwrap();
    link.as_object_mut().unwrap().remove("missing");
    set_link(&situation, &user, &link);
    assert!(
        absent_since(&situation, Utc::now() - Duration::minutes(50)),
        "the state knows it"
    );
    assert_eq!(unchanged(&situation), 1);
    lose_the_state(&situation);
    assert_eq!(unchanged(&situation), 0);
    move_absences(&situation, Duration::minutes(11));
    assert_eq!(situation.sync().counts.deactivated, 1);
}

#[test]
fn a_clock_that_leaps_deactivates_nobody_also_when_the_state_is_lost() {
    let year = Duration::days(365);
    let situation = missing(&["ada", "bob"], &["ada"]);
    assert_eq!(unchanged(&situation), 1);
    // This machine's clock is a year ahead of what it showed, and ftrack's is not.
    move_absences(&situation, year);
    move_times(&situation, "clocks_agreed", &["at"], -year);
    situation
        .ftrack()
        .change_rules(|rules| rules.clock_ahead = -year);
    lose_the_state(&situation);
    for _ in 0..3 {
        assert_eq!(unchanged(&situation), 0);
    }
    assert!(situation.user("ada").is_active);
    // A time that no clock shows yet counts as now.
    situation
        .ftrack()
        .change_rules(|rules| rules.clock_ahead = Duration::zero());
    assert!(absent_since(
        &situation,
        "2999-01-01T00:00:00Z".parse().unwrap()
    ));
    lose_the_state(&situation);
    assert_eq!([unchanged(&situation), unchanged(&situation)], [1, 0]);
    assert!(!noted(&situation)[0].starts_with("2999"));
    // What says nothing that can be used says nothing.
    let mut links = links(&situation).into_iter();
    let (user, mut link) = links.find(|(_, link)| link["missing"].is_object()).unwrap();
    link["missing"] = json!({"since": "long ago", "reads": 7});
    set_link(&situation, &user, &link);
    lose_the_state(&situation);
    assert_eq!([unchanged(&situation), unchanged(&situation)], [1, 0]);
}

#[test]
fn a_note_that_fails_fails_nobody_else() {
    for atomicity in [Atomicity::Transaction, Atomicity::PartialUntilError] {
        let situation = missing(&["ada", "bob", "cyd"], &["ada"]);
        situation
            .ftrack()
            .change_rules(|rules| rules.atomicity = atomicity);
        let mail = ["new@studio.test"];
        situation.tree().replace(&dn("bob"), "mail", &mail).unwrap();
        let id = situation.user("ada").id;
        situation.ftrack().change_rules(|rules| {
            rules.refused_links.insert(id.clone());
        });
        let report = situation.sync();
        assert_eq!(report.outcome, Outcome::Succeeded, "{report:#?}");
        assert_eq!((report.counts.updated, report.counts.failed), (1, 0));
        let warned = report
            .warnings
            .iter()
            .filter(|warning| warning.contains("could not be written with"));
        assert_eq!(warned.count(), 1, "{:?}", report.warnings);
        situation
            .ftrack()
            .change_rules(|rules| rules.refused_links.clear());
        assert_eq!([unchanged(&situation), unchanged(&situation)], [1, 0]);
    }
}

#[test]
fn an_answer_that_is_lost_is_found_out() {
    for fault in [Fault::ResetAfter, Fault::ResetBefore, Fault::TruncatedJson] {
        let situation = missing(&["ada", "bob"], &["ada"]);
        situation
            .ftrack()
            .fail_next(Some(CallKind::Write), fault.clone());
        let report = situation.sync();
        assert_eq!(
            (report.outcome, report.changes.len()),
            (Outcome::Succeeded, 0),
            "{fault:?}: {report:#?}"
        );
        assert_eq!(noted(&situation).len(), 1);
        situation.sync_changes_nothing();
    }
}

#[test]
fn explain_says_since_when_and_in_how_many_reads() {
    let situation = missing(&["ada", "bob"], &["ada"]);
    assert_eq!(unchanged(&situation), 1);
    let explained = situation.explain(&["ada"]).unwrap();
    assert_eq!(explained.verdict.as_str(), "waiting");
    let reason = situation.plain(&explained.reason);
    assert_eq!(
        reason,
        "the person has been missing since [time], in 1 complete read, and users.deactivate_after is not over"
    );
}
