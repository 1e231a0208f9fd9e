//! People who leave and come back, and how long they must be missing.

use std::fs;

use chrono::{Duration, Utc};
use ftrack_ldap_sync::model::report::Outcome;
use insta::assert_snapshot;

use super::Situation;
use crate::{
    rules::{
        approve, come_back, leave,
        missing::{absences, absent_since, move_absences},
        move_times,
    },
    studio::Studio,
};

/// Lets an hour go by.
fn backdate_absences(studio: &Studio) {
    assert!(
        absent_since(studio, Utc::now() - Duration::hours(2)),
        "nobody is missing"
    );
}

#[test]
fn a_leaver_who_comes_back_is_reactivated_as_if_nothing_had_been() {
    let situation = Situation::synced(&["ada", "bob"]);
    let before = situation.user("ada");
    leave(&situation, "ada");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
    situation.sync();
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    fs::remove_dir_all(situation.state_dir()).unwrap();
    situation.sync_changes_nothing();
    come_back(&situation, "ada");
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to reactivate

      ^ reactivate ada  uid=ada,ou=people,dc=studio,dc=test
          is_active: false -> true
          the job finds the person again; this program deactivated the user on [time]
    ");
    situation.sync();
    assert_eq!(situation.user("ada"), before);
    situation.sync_changes_nothing();
}

#[test]
fn lost_state_changes_nothing() {
    let situation = Situation::synced(&["ada", "bob"])
        .then(|studio| leave(studio, "bob"))
        .after_sync();
    fs::remove_dir_all(situation.state_dir()).unwrap();
    assert_snapshot!(situation.plan_text(), @"Plan for artists: nothing to do");
    situation.sync_changes_nothing();
}

#[test]
fn a_protected_user_whose_person_is_gone_is_held_for_a_person() {
    let situation = Situation::synced(&["ada", "bob"])
        .job("users = { protect = [\"a?a\"] }")
        .then(|studio| leave(studio, "ada"));
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate, 1 of them held

      - deactivate ada HELD  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      1 change is held: it is protected by users.protect, whose login, mail and activity change only with a person's approval; review it, and approve it: `plan --out FILE`, then `apply FILE`
    ");
    let report = situation.sync();
    assert_eq!(
        (report.outcome, report.ftrack.write_calls),
        (Outcome::Held, 0)
    );
    assert_snapshot!(situation.report_text(&report), @"
    held
      - deactivate ada HELD  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope

      1 change is held: it is protected by users.protect, whose login, mail and activity change only with a person's approval; review it, and approve it: `holds` shows its number, `approve N` writes it

    1 unchanged, 1 held.
    ");
    assert!(situation.user("ada").is_active);
    approve(&situation);
    assert_snapshot!(situation.users(), @r#"
    ada: inactive, "Given" "ada" <ada@studio.test>; artists, deactivated
    bob: active, "Given" "bob" <bob@studio.test>; artists, settled
    "#);
    situation.sync_changes_nothing();
}

#[test]
fn somebody_must_be_missing_as_long_as_the_rule_says() {
    let mut situation = Situation::synced(&["ada", "bob"])
        .job("users = { deactivate_after = \"1h\" }")
        .then(|studio| leave(studio, "ada"));
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do

      Warnings:
        the person of the user "ada" has been missing since [time]; the user stays active until users.deactivate_after is over
    "#);
    let written = || {
        let report = situation.sync();
        assert_eq!((report.changes, report.counts.updated), (Vec::new(), 0));
        report.ftrack.write_calls
    };
    // That somebody is missing is noted once.
    assert_eq!([written(), written(), written()], [1, 0, 0]);
    come_back(&situation, "ada");
    assert_eq!([written(), written()], [1, 0]);
    // Who is back was never away.
    assert_eq!(absences(&situation), Vec::<String>::new());
    leave(&situation, "ada");
    assert_eq!([written(), written()], [1, 0]);
    "users = { deactivate_after = \"1s\" }".clone_into(&mut situation.job);
    backdate_absences(&situation);
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
    situation.sync();
    assert!(!situation.user("ada").is_active);
}

#[test]
fn one_complete_read_is_not_enough_where_patience_is_asked_for() {
    let mut situation = Situation::of(&["ada", "bob"])
        .job("users = { deactivate_after = \"1s\" }")
        .after_sync()
        .then(|studio| leave(studio, "ada"));
    assert_eq!(situation.sync().changes, []);
    backdate_absences(&situation);
    // A read that failed counts for nothing.
    let nowhere = "ldap://127.0.0.1:9".into();
    let url = std::mem::replace(&mut situation.directory_url, nowhere);
    assert_eq!(situation.sync().outcome, Outcome::Failed);
    situation.directory_url = url;
    // What is known stands at ftrack.
    fs::remove_dir_all(situation.state_dir()).unwrap();
    assert_snapshot!(situation.plan_text(), @"
    Plan for artists: 1 to deactivate

      - deactivate ada  uid=ada,dc=studio,dc=test
          is_active: true -> false
          the person is still in the directory, but the entry is outside of the job's search bases and scope
    ");
    situation.sync();
    assert!(!situation.user("ada").is_active);
}

#[test]
fn an_absence_from_the_future_is_counted_anew() {
    let situation = Situation::of(&["ada", "bob"])
        .job("users = { deactivate_after = \"1s\" }")
        .after_sync()
        .then(|studio| leave(studio, "ada"))
        .after_sync()
        .then(|studio| {
            let future = "2999-01-01T00:00:00Z".parse().unwrap();
            assert!(absent_since(studio, future));
        });
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do

      Warnings:
        the person of the user "ada" has been missing since [time]; the user stays active until users.deactivate_after is over
    "#);
    assert_eq!(situation.sync().changes, []);
    situation.sync_changes_nothing();
    let [since] = &absences(&situation)[..] else {
        panic!("one is missing")
    };
    assert!(!since.starts_with("2999"), "{since}");
    assert!(situation.user("ada").is_active);
}

/// A studio where somebody is known to be missing since then.
fn missing_since(ago: Duration) -> Situation {
    Situation::synced(&["ada", "bob"])
        .job("users = { deactivate_after = \"2d\" }")
        .then(|studio| leave(studio, "ada"))
        .after_sync()
        .then(|studio| {
            assert!(absent_since(studio, Utc::now() - ago));
            move_times(studio, "clocks_agreed", &["at"], -ago);
        })
}

fn ftracks_clock(situation: &Situation, ahead: Duration) {
    situation
        .ftrack()
        .change_rules(|rules| rules.clock_ahead = ahead);
}

#[test]
fn a_clock_that_leapt_ahead_makes_nobody_missing_for_longer() {
    // Missing for an hour by ftrack's clock, and for a year by this machine's.
    let situation = missing_since(Duration::days(365));
    ftracks_clock(&situation, Duration::hours(1) - Duration::days(365));
    let plan = situation.plan_text();
    let why = "until they agree, people have been missing only for as long as both of them have \
               counted";
    assert!(
        plan.starts_with("Plan for artists: nothing to do\n") && plan.contains(why),
        "{plan}"
    );
    for _ in 0..3 {
        situation.sync_changes_nothing();
    }
    assert!(situation.user("ada").is_active);
    // Two days by both clocks; ftrack's shows no fractions of a second.
    let two_days = Duration::days(2) + Duration::minutes(1);
    ftracks_clock(&situation, two_days - Duration::days(365));
    situation.sync();
    assert!(!situation.user("ada").is_active);
}

#[test]
fn a_clock_that_was_behind_makes_nobody_missing_for_longer() {
    let situation = Situation::synced(&["ada", "bob"])
        .job("users = { deactivate_after = \"2d\" }")
        .then(|studio| leave(studio, "ada"));
    // This machine's clock is a year behind when somebody is first missing, and put right then.
    let year = Duration::days(365);
    ftracks_clock(&situation, year);
    assert_eq!(situation.sync().changes, []);
    move_absences(&situation, year);
    ftracks_clock(&situation, Duration::zero());
    situation.sync_changes_nothing();
    assert!(situation.user("ada").is_active);
}

#[test]
fn an_ftrack_that_shows_no_time_is_asked_for_none() {
    let situation = missing_since(Duration::days(3));
    // Far beyond any date that can be written.
    ftracks_clock(&situation, Duration::MAX);
    situation.sync();
    assert!(!situation.user("ada").is_active);
}
