//! Clocks that jump while the daemon runs: neither many runs at once nor a gap of an hour.

use chrono::TimeDelta;
use ftrack_ldap_sync::{
    demo::ftrack::{CallKind, Fault},
    model::report::Trigger,
};

use super::{SOON, SetClock, another, assert_starts, at, let_pass, runs, starts};
use crate::{
    daemon::{must, wait_for_phase},
    slapd::wait_until,
    studio::Studio,
};

const MINUTELY: &str = "schedule = \"* * * * *\"";

#[test]
fn a_clock_that_goes_back_an_hour_silences_nobody() {
    let job = MINUTELY.to_owned() + &another("daily", "schedule = \"30 0 10 * * *\"");
    let studio = Studio::of(&["ada"]).for_a_daemon(&job);
    let Some(clock) = SetClock::showing(
        "a_clock_that_goes_back_an_hour_silences_nobody",
        &studio,
        at("2027-05-05T10:00:28Z"),
    ) else {
        return;
    };
    let _daemon = clock.daemon(&studio);
    studio.reports_when(1);
    clock.set(at("2027-05-05T10:00:59Z"));
    studio.reports_when(2);
    // Back: the next minute that the clock shows is the next one to run at.
    clock.set(at("2027-05-05T09:00:59Z"));
    studio.reports_when(3);
    // And the hour that it shows again brings again what was due in it, once.
    clock.set(at("2027-05-05T10:00:29Z"));
    studio.reports_when(5);
    let later = at("2027-05-05T10:00:40Z");
    clock.set(later);
    let_pass(&studio, later);
    assert_starts(
        &studio,
        "artists",
        // In the order in which they ran, whatever the clock showed.
        &[
            "2027-05-05T10:01:00Z",
            "2027-05-05T09:01:00Z",
            "2027-05-05T10:00:29Z",
        ]
        .map(at),
        SOON,
    );
    assert_starts(&studio, "daily", &["2027-05-05T10:00:30Z"; 2].map(at), SOON);
}

#[test]
fn a_clock_that_leaps_two_days_ahead_brings_one_run_of_each_job() {
    let job = MINUTELY.to_owned()
        + &another("hourly", "schedule = \"@hourly\"")
        + &another("daily", "schedule = \"0 3 * * *\"\ncatch_up = false");
    let studio = Studio::of(&["ada"]).for_a_daemon(&job);
    let test = "a_clock_that_leaps_two_days_ahead_brings_one_run_of_each_job";
    let Some(clock) = SetClock::showing(test, &studio, at("2027-05-05T12:00:20Z")) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    let leapt = at("2027-05-07T12:00:20Z");
    clock.set(leapt);
    studio.reports_when(3);
    clock.set(at("2027-05-07T12:00:59Z"));
    studio.reports_when(4);
    let later = at("2027-05-07T12:01:20Z");
    clock.set(later);
    let_pass(&studio, later);
    assert_starts(
        &studio,
        "artists",
        &[leapt, at("2027-05-07T12:01:00Z")],
        SOON,
    );
    assert_starts(&studio, "hourly", &[leapt], SOON);
    assert_starts(&studio, "daily", &[leapt], SOON);
    assert_eq!(daemon.events("tick.skipped").len(), 0);
}

#[test]
fn a_failed_job_is_tried_again_in_time_though_the_clock_went_back() {
    let studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"0 10 * * *\"");
    let test = "a_failed_job_is_tried_again_in_time_though_the_clock_went_back";
    let Some(clock) = SetClock::showing(test, &studio, at("2027-05-05T09:59:59Z")) else {
        return;
    };
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    let daemon = clock.daemon(&studio);
    daemon.event("outage.began");
    studio.ftrack().heal();
    // It was to be tried again after a minute.
    clock.set(at("2027-05-05T09:00:00Z"));
    let_pass(&studio, at("2027-05-05T09:00:00Z"));
    clock.set(at("2027-05-05T09:01:05Z"));
    daemon.event("outage.ended");
    assert_eq!(
        studio
            .reports()
            .iter()
            .filter(|report| report.trigger == Trigger::Retry)
            .count(),
        1
    );
}

#[test]
fn a_server_is_reached_in_time_though_the_clock_went_back() {
    let studio = Studio::of(&["ada"]).for_a_daemon("");
    let Some(clock) = SetClock::showing(
        "a_server_is_reached_in_time_though_the_clock_went_back",
        &studio,
        at("2027-05-05T10:00:00Z"),
    ) else {
        return;
    };
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    let daemon = clock.daemon(&studio);
    daemon.event("contact.failed");
    studio.ftrack().heal();
    clock.set(at("2027-05-05T09:00:00Z"));
    let_pass(&studio, at("2027-05-05T09:00:00Z"));
    clock.set(at("2027-05-05T09:02:05Z"));
    assert_eq!(daemon.nth_event(1, "contact.made")["server"], "ftrack");
}

#[test]
fn a_run_is_not_stuck_because_the_clock_leapt() {
    let studio = Studio::of(&["ada"]).for_a_daemon("");
    let Some(clock) = SetClock::showing(
        "a_run_is_not_stuck_because_the_clock_leapt",
        &studio,
        at("2027-05-05T10:00:00Z"),
    ) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    daemon.nth_event(1, "contact.made");
    let gate = studio.hold(CallKind::Read);
    daemon.signal("USR1");
    wait_for_phase(&studio, "running");
    let later = at("2027-05-07T10:00:00Z");
    clock.set(later);
    let_pass(&studio, later);
    wait_for_phase(&studio, "running");
    assert_eq!(daemon.events("run.stuck").len(), 0);
    studio.ftrack().heal();
    gate.open();
    studio.reports_when(1);
    assert_eq!(runs(&studio, "artists").len(), 1);
}

#[test]
fn a_refusal_of_the_past_is_none_of_today_though_the_clock_went_back() {
    let mut studio = Studio::of(&["ada"]).for_a_daemon("");
    let test = "a_refusal_of_the_past_is_none_of_today_though_the_clock_went_back";
    let Some(clock) = SetClock::showing(test, &studio, at("2027-05-05T10:00:00Z")) else {
        return;
    };
    let right = std::mem::replace(&mut studio.password, "wrong".into());
    let daemon = clock.daemon(&studio);
    daemon.event("credentials.refused");
    studio.password = right;
    studio.config();
    must(&studio, 0, &["trigger"]);
    clock.set(at("2027-05-05T09:00:00Z"));
    studio.ftrack().fail_when(|_| Some(Fault::Html(404)));
    must(&studio, 1, &["trigger"]);
    assert_eq!(
        daemon.events("credentials.refused").len(),
        1,
        "{:#?}",
        daemon.logged()
    );
}

#[test]
fn a_pause_ends_when_the_clock_shows_its_time() {
    let studio = Studio::of(&["ada"]).for_a_daemon(MINUTELY);
    let Some(clock) = SetClock::showing(
        "a_pause_ends_when_the_clock_shows_its_time",
        &studio,
        at("2027-05-05T12:00:01Z"),
    ) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    let pause = || {
        let mut command = studio.command(&["pause", "--until", "2h"]);
        clock.prepare(&mut command);
        assert!(command.output().unwrap().status.success());
    };
    pause();
    // An hour back, and past ticks: it waits until the time that was said, also in a new daemon.
    for time in ["2027-05-05T11:00:00Z", "2027-05-05T13:59:40Z"].map(at) {
        clock.set(time);
        let_pass(&studio, time);
        wait_for_phase(&studio, "paused");
    }
    daemon.kill();
    let daemon = clock.daemon(&studio);
    wait_for_phase(&studio, "paused");
    assert_eq!(studio.reports().len(), 0);
    clock.set(at("2027-05-05T13:59:59Z"));
    daemon.event("job.resumed");
    // The tick of that second may come before its end.
    clock.set(at("2027-05-05T14:00:59Z"));
    assert!(wait_until(super::LIMIT, || starts(&studio, "artists")
        .last()
        .is_some_and(|start| *start >= at("2027-05-05T14:01:00Z"))));
    // Two days ahead: over at once.
    pause();
    let before = studio.reports().len();
    clock.set(at("2027-05-07T14:00:59Z"));
    daemon.nth_event(1, "job.resumed");
    studio.reports_when(before + 1);
    assert!(
        runs(&studio, "artists").len() <= before + 2,
        "{:#?}",
        starts(&studio, "artists")
    );
}

/// A daemon at each of these times in turn, for so long that it would have made up for a run: how
/// often it has.
fn made_up<const N: usize>(studio: &Studio, clock: &SetClock, times: [&str; N]) -> [usize; N] {
    times.map(at).map(|time| {
        clock.set(time);
        let daemon = clock.daemon(studio);
        let_pass(studio, time + TimeDelta::seconds(1));
        wait_for_phase(studio, "idle");
        assert!(daemon.stop().0.success());
        runs(studio, "artists")
            .iter()
            .filter(|run| run.trigger == Trigger::Startup)
            .count()
    })
}

#[test]
fn what_was_missed_over_a_change_of_clocks_is_made_up_for_once() {
    let nightly = "schedule = \"30 2 * * *\"\ntimezone = \"Europe/Stockholm\"";
    let test = "what_was_missed_over_a_change_of_clocks_is_made_up_for_once";
    for (noon, times, expected) in [
        // 02:30 does not come, and 03:00 stands for it: not yet, and then once.
        (
            "2027-03-27T12:00:00Z",
            [
                "2027-03-28T00:59:00Z",
                "2027-03-28T01:00:10Z",
                "2027-03-28T01:40:00Z",
                "2027-03-29T00:31:00Z",
            ],
            [0, 1, 1, 2],
        ),
        // 02:30 comes twice: the first counts, and the second is not missed.
        (
            "2027-10-30T12:00:00Z",
            [
                "2027-10-31T00:29:00Z",
                "2027-10-31T00:45:00Z",
                "2027-10-31T01:45:00Z",
                "2027-11-01T01:29:00Z",
            ],
            [0, 1, 1, 1],
        ),
    ] {
        let studio = Studio::of(&["ada"]).for_a_daemon(nightly);
        let Some(clock) = SetClock::showing(test, &studio, at(noon)) else {
            return;
        };
        let mut command = studio.command(&["sync"]);
        clock.prepare(&mut command);
        assert!(command.output().unwrap().status.success());
        assert_eq!(made_up(&studio, &clock, times), expected);
    }
}
