//! Clocks that are wrong: this machine's, ftrack's, for a while or always. They deactivate nobody too
//! early, let nothing through that counts, and hold nothing without a word about them.

use chrono::{Duration, Utc};
use insta::assert_snapshot;

use super::Situation;
use crate::{
    nobody_wrongly::let_pass,
    rules::{approve, leave, missing::move_absences},
    studio::Studio,
};

const YEAR: Duration = Duration::days(365);

/// How far ftrack's clock is ahead of this machine's.
fn ftracks_clock(studio: &Studio, ahead: Duration) {
    studio
        .ftrack()
        .change_rules(|rules| rules.clock_ahead = ahead);
}

/// Twenty people with users, two of whom may leave a day.
fn twenty() -> Situation {
    let uids: Vec<String> = (0..20).map(|number| format!("user{number:02}")).collect();
    Situation::synced(&uids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What a sync does with leavers: how many it deactivates and holds, and why.
fn leavers(situation: &Situation) -> String {
    let report = situation.sync();
    let why = report
        .changes
        .iter()
        .find_map(|change| change.error.as_deref());
    format!(
        "{} deactivated, {} held: {}",
        report.counts.deactivated,
        report.counts.held,
        situation.plain(why.unwrap_or("-"))
    )
}

/// Lets time go by: everything in the state is longer ago, by both clocks.
fn pass(studio: &Studio, time: Duration) {
    let_pass(studio, time);
    move_absences(studio, time);
}

/// This machine's clock leaps ahead: what there is seems longer ago by it than by ftrack's.
fn leap(studio: &Studio, ahead: Duration) {
    pass(studio, ahead);
    ftracks_clock(studio, -ahead);
}

/// It is put right.
fn set_right(studio: &Studio, ahead: Duration) {
    pass(studio, -ahead);
    ftracks_clock(studio, Duration::zero());
}

#[test]
fn clocks_that_always_differ_delay_nobody() {
    for ahead in [Duration::hours(5), Duration::hours(-5), YEAR * 9] {
        let situation = Situation::of(&["ada", "bob"])
            .job("users = { deactivate_after = \"2d\" }")
            .then(|studio| ftracks_clock(studio, ahead))
            .after_sync()
            .then(|studio| leave(studio, "ada"))
            .after_sync();
        situation.sync_changes_nothing();
        pass(&situation, Duration::hours(47));
        situation.sync_changes_nothing();
        // Nothing is held up by the clocks, so nothing is said of them.
        let plan = situation.plan_text();
        assert!(!plan.contains("clock"), "{plan}");
        pass(&situation, Duration::minutes(61));
        situation.sync();
        assert!(!situation.user("ada").is_active, "{ahead}");
    }
}

#[test]
fn a_limit_counts_a_day_of_clocks_that_always_differ() {
    let situation = twenty().then(|studio| ftracks_clock(studio, Duration::hours(-9)));
    for uid in ["user00", "user01"] {
        leave(&situation, uid);
    }
    assert_snapshot!(leavers(&situation), @"2 deactivated, 0 held: -");
    pass(&situation, Duration::hours(23));
    leave(&situation, "user02");
    let plan = situation.plan_text();
    assert!(plan.contains("1 to deactivate, 1 of them held"), "{plan}");
    pass(&situation, Duration::hours(2));
    assert_snapshot!(leavers(&situation), @"1 deactivated, 0 held: -");
}

#[test]
fn what_was_long_ago_stays_so_when_ftracks_clock_goes_back() {
    let situation = twenty().then(|studio| {
        leave(studio, "user00");
        leave(studio, "user01");
    });
    assert_snapshot!(leavers(&situation), @"2 deactivated, 0 held: -");
    pass(&situation, Duration::days(60));
    situation.sync_changes_nothing();
    ftracks_clock(&situation, YEAR * -5);
    leave(&situation, "user02");
    assert_snapshot!(leavers(&situation), @"1 deactivated, 0 held: -");
    // What was written just now counts, by this machine's clock.
    leave(&situation, "user03");
    assert_snapshot!(leavers(&situation), @"0 deactivated, 1 held: 1 deactivation, and 1 written within limits.per before, is more than limits.deactivate allows (1, 10% of 17 active users); review them, and approve: `holds` shows its number, `approve N` writes it (this machine's clock and ftrack's are 1825 days apart, and ftrack's looks wrong: they last agreed at [time])");
}

#[test]
fn a_hold_says_which_clock_looks_wrong() {
    let with_two_gone = || {
        let situation = twenty().then(|studio| {
            leave(studio, "user00");
            leave(studio, "user01");
        });
        situation.sync();
        leave(&situation, "user02");
        situation
    };
    let situation = with_two_gone();
    for ahead in [YEAR * 5, YEAR * -5] {
        ftracks_clock(&situation, ahead);
        let plan = situation.plan_text();
        assert!(plan.contains("and ftrack's looks wrong"), "{plan}");
    }
    assert_snapshot!(leavers(&situation), @"0 deactivated, 1 held: 1 deactivation, and 2 written within limits.per before, is more than limits.deactivate allows (1, 10% of 18 active users); review them, and approve: `holds` shows its number, `approve N` writes it (this machine's clock and ftrack's are 1825 days apart, and ftrack's looks wrong: they last agreed at [time])");
    let situation = with_two_gone();
    leap(&situation, YEAR);
    assert_snapshot!(leavers(&situation), @"0 deactivated, 1 held: 1 deactivation, and 2 written within limits.per before, is more than limits.deactivate allows (1, 10% of 18 active users); review them, and approve: `holds` shows its number, `approve N` writes it (this machine's clock and ftrack's are 365 days apart, and this machine's looks wrong: they last agreed at [time])");
    assert_eq!(approve(&situation).counts.deactivated, 1);
}

#[test]
fn what_a_clock_that_was_ahead_wrote_counts_for_a_day() {
    let situation = twenty().then(|studio| {
        leap(studio, YEAR);
        leave(studio, "user00");
        leave(studio, "user01");
    });
    assert_snapshot!(leavers(&situation), @"2 deactivated, 0 held: -");
    set_right(&situation, YEAR);
    leave(&situation, "user02");
    let plan = situation.plan_text();
    assert!(plan.contains("1 to deactivate, 1 of them held"), "{plan}");
    pass(&situation, Duration::hours(25));
    assert_snapshot!(leavers(&situation), @"1 deactivated, 0 held: -");
}

#[test]
fn who_was_first_missing_by_a_clock_that_was_ahead_waits_no_longer() {
    let situation = Situation::synced(&["ada", "bob"])
        .job("users = { deactivate_after = \"2d\" }")
        .then(|studio| {
            leap(studio, YEAR);
            leave(studio, "ada");
        })
        .after_sync()
        .then(|studio| set_right(studio, YEAR));
    situation.sync_changes_nothing();
    pass(&situation, Duration::hours(47));
    situation.sync_changes_nothing();
    pass(&situation, Duration::hours(2));
    situation.sync();
    assert!(!situation.user("ada").is_active);
}

#[test]
fn while_ftracks_clock_is_behind_whoever_is_missing_waits() {
    let situation = Situation::synced(&["ada", "bob"])
        .job("users = { deactivate_after = \"2d\" }")
        .then(|studio| leave(studio, "ada"))
        .after_sync()
        .then(|studio| ftracks_clock(studio, YEAR * -5));
    pass(&situation, Duration::hours(49));
    situation.sync_changes_nothing();
    assert_snapshot!(situation.plan_text(), @r#"
    Plan for artists: nothing to do

      Warnings:
        the person of the user "ada" has been missing since [time]; the user stays active until users.deactivate_after is over
        this machine's clock and ftrack's are 1825 days apart, and ftrack's looks wrong: they last agreed at [time]; until they agree, people have been missing only for as long as both of them have counted
    "#);
    // It did not begin anew: neither clock could then be relied on for what was before.
    ftracks_clock(&situation, Duration::zero());
    situation.sync();
    assert!(!situation.user("ada").is_active);
}

#[test]
fn a_deactivation_is_dated_by_the_later_clock() {
    // Were the state lost, the link alone would tell a limit how long ago it was.
    let situation = Situation::synced(&["ada", "bob"]).then(|studio| {
        ftracks_clock(studio, Duration::hours(5));
        leave(studio, "ada");
    });
    situation.sync();
    let link: serde_json::Value =
        serde_json::from_str(&situation.user("ada").metadata["ftrack-ldap-sync"]).unwrap();
    let since = link.to_string();
    let later = (Utc::now() + Duration::hours(5))
        .format("%Y-%m-%dT%H")
        .to_string();
    assert!(since.contains(&later), "{since}");
}
