//! Days with a clock change.

use std::collections::BTreeSet;

use chrono::{TimeDelta, Timelike};

use super::{FastClock, SOON, SetClock, another, assert_starts, at, let_pass, starts};
use crate::studio::Studio;

/// A daemon through a change and the day after it, with a job at 02:30 and one at 09:30: put to a
/// second before each moment at which one of them is due. What would be due in between would be one
/// more run when the clock leaps over it.
fn two_days(test: &str, zone: &str, [night, morning, second_night, second_morning]: [&str; 4]) {
    let moments = [night, morning, second_night, second_morning].map(at);
    let daily = |minute: &str| format!("schedule = \"{minute} * * *\"\ntimezone = \"{zone}\"");
    let job = daily("30 2") + &another("morning", &daily("30 9"));
    let studio = Studio::of(&["ada"]).for_a_daemon(&job);
    let Some(clock) = SetClock::showing(test, &studio, moments[0] - TimeDelta::minutes(100)) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    for (nth, moment) in moments.iter().enumerate() {
        clock.set(*moment - TimeDelta::seconds(1));
        studio.reports_when(nth + 1);
    }
    let later = moments[3] + TimeDelta::hours(12);
    clock.set(later);
    let_pass(&studio, later);
    assert_starts(&studio, "artists", &[moments[0], moments[2]], SOON);
    assert_starts(&studio, "morning", &[moments[1], moments[3]], SOON);
    assert!(daemon.stop().0.success());
}

#[test]
fn an_hour_that_is_left_out_in_stockholm() {
    // 02:30 does not come: the run is at 03:00, which is 01:00 UTC.
    let moments = [
        "2027-03-28T01:00:00Z",
        "2027-03-28T07:30:00Z",
        "2027-03-29T00:30:00Z",
        "2027-03-29T07:30:00Z",
    ];
    two_days(
        "an_hour_that_is_left_out_in_stockholm",
        "Europe/Stockholm",
        moments,
    );
}

#[test]
fn an_hour_that_comes_twice_in_stockholm() {
    // 02:30 comes twice: the run is at the first.
    let moments = [
        "2027-10-31T00:30:00Z",
        "2027-10-31T08:30:00Z",
        "2027-11-01T01:30:00Z",
        "2027-11-01T08:30:00Z",
    ];
    two_days(
        "an_hour_that_comes_twice_in_stockholm",
        "Europe/Stockholm",
        moments,
    );
}

#[test]
fn half_an_hour_that_is_left_out_on_lord_howe() {
    // From 02:00 to 02:30, which is 15:30 UTC: 02:30 is the first time after it.
    let moments = [
        "2027-10-02T15:30:00Z",
        "2027-10-02T22:30:00Z",
        "2027-10-03T15:30:00Z",
        "2027-10-03T22:30:00Z",
    ];
    two_days(
        "half_an_hour_that_is_left_out_on_lord_howe",
        "Australia/Lord_Howe",
        moments,
    );
}

#[test]
fn an_hour_that_comes_twice_in_new_york() {
    // From 02:00 back to 01:00: 02:30 is winter time.
    let moments = [
        "2027-11-07T07:30:00Z",
        "2027-11-07T14:30:00Z",
        "2027-11-08T07:30:00Z",
        "2027-11-08T14:30:00Z",
    ];
    two_days(
        "an_hour_that_comes_twice_in_new_york",
        "America/New_York",
        moments,
    );
}

#[test]
fn an_hourly_job_runs_each_hour_while_an_hour_comes_twice() {
    let zoned =
        |schedule: &str| format!("schedule = \"{schedule}\"\ntimezone = \"Europe/Stockholm\"");
    let studio = Studio::of(&["ada"])
        .for_a_daemon(&(zoned("0 * * * *") + &another("nightly", &zoned("30 2 * * *"))));
    // A look at the clock is ten minutes.
    let test = "an_hourly_job_runs_each_hour_while_an_hour_comes_twice";
    let Some(clock) = FastClock::from(test, at("2027-10-30T23:20:00Z"), 1200) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    clock.wait(at("2027-10-31T02:50:00Z"));
    assert!(daemon.stop().0.success());
    let hours: Vec<u32> = starts(&studio, "artists")
        .iter()
        .map(|start| start.hour())
        .collect();
    assert_eq!(hours, [0, 1, 2], "{:#?}", starts(&studio, "artists"));
    assert!(
        starts(&studio, "artists")
            .iter()
            .all(|start| start.minute() < 40)
    );
    assert_starts(
        &studio,
        "nightly",
        &[at("2027-10-31T00:30:00Z")],
        TimeDelta::minutes(30),
    );
    let runs: BTreeSet<String> = studio
        .reports()
        .into_iter()
        .map(|report| report.run)
        .collect();
    assert_eq!(runs.len(), studio.reports().len());
}
