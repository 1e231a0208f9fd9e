//! Refused credentials over hours: the server counts the binds.

use chrono::{DateTime, TimeDelta, Utc};
use ftrack_ldap_sync::demo::ftrack::Fault;

use super::{Daemon, FastClock, LIMIT, SetClock, at, let_pass};
use crate::{
    daemon::credentials::{bind, real_directory},
    slapd::{self, Slapd, wait_until},
    studio::Studio,
};

/// A studio with a wrong password, which is impatient.
fn studio(slapd: &Slapd, schedule: &str) -> Studio {
    let mut studio = Studio::empty().for_a_daemon(&format!(
        "schedule = \"{schedule}\"\nretry = {{ initial = \"1s\", max = \"1s\" }}"
    ));
    studio.directory_url = slapd.url().to_string();
    studio.password = "wrong".into();
    studio
}

/// When the server saw binds, by the machine's clock: each line of its log opens with it, in
/// seconds since 1970 and in parts of a second, as hexadecimal numbers.
fn binds(slapd: &Slapd) -> Vec<DateTime<Utc>> {
    let log = slapd.log();
    let times = log
        .lines()
        .filter(|line| line.contains(&bind()))
        .map(|line| {
            let (seconds, parts) = line
                .split_whitespace()
                .next()
                .unwrap()
                .split_once('.')
                .unwrap();
            let [seconds, parts] =
                [seconds, parts].map(|digits| i64::from_str_radix(digits, 16).unwrap());
            DateTime::from_timestamp(seconds, u32::try_from(parts).unwrap()).unwrap()
        });
    times.collect()
}

/// The most of these times that lie within an hour.
fn most_in_an_hour(times: &[DateTime<Utc>]) -> usize {
    let within = |first: &DateTime<Utc>| {
        times
            .iter()
            .filter(|time| *time >= first && **time - first < TimeDelta::hours(1))
            .count()
    };
    times.iter().map(within).max().unwrap_or_default()
}

#[test]
fn refused_binds_are_four_an_hour_at_most_whoever_asks_and_whatever_is_killed() {
    let slapd = real_directory();
    let mut studio = studio(&slapd, "* * * * *");
    let test = "refused_binds_are_four_an_hour_at_most_whoever_asks_and_whatever_is_killed";
    // A look at the clock is ten minutes.
    let Some(clock) = FastClock::from(test, at("2027-05-05T00:00:00Z"), 1200) else {
        return;
    };
    let begun = Utc::now();
    let mut daemon: Option<Daemon> = None;
    let mut refused = 0;
    while clock.now() < at("2027-05-05T06:00:00Z") {
        if let Some(daemon) = daemon.take() {
            daemon.kill();
        }
        daemon = Some(clock.daemon(&studio));
        let until = clock.now() + TimeDelta::minutes(40);
        while clock.now() < until {
            refused += usize::from(
                studio
                    .run(&["trigger"])
                    .stderr
                    .contains("refused these credentials"),
            );
        }
    }
    let times: Vec<DateTime<Utc>> = binds(&slapd)
        .iter()
        .map(|real| clock.from + (*real - begun) * 1200)
        .collect();
    assert!(times.len() >= 6, "it is tried again: {times:#?}");
    assert!(most_in_an_hour(&times) <= 4, "{times:#?}");
    assert!(
        refused > times.len(),
        "people asked, and were told: {refused} times"
    );
    // The right password: no waiting, and no restart.
    slapd::SYNC_PASSWORD.clone_into(&mut studio.password);
    studio.config();
    assert!(wait_until(LIMIT, || studio.ftrack().user("ada").is_some()));
}

#[test]
fn a_clock_that_goes_back_and_forth_brings_no_binds() {
    let slapd = real_directory();
    let studio = studio(&slapd, "* * * * *");
    let Some(clock) = SetClock::showing(
        "a_clock_that_goes_back_and_forth_brings_no_binds",
        &studio,
        at("2027-05-05T12:00:00Z"),
    ) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    daemon.event("credentials.refused");
    let asked = || {
        let told = studio.run(&["trigger"]).stderr;
        assert!(told.contains("refused these credentials"), "{told}");
    };
    // An hour back, a day back, and to the time at which it would have been tried again there, with
    // a restart in between.
    for time in [
        "2027-05-05T11:00:00Z",
        "2027-05-04T11:00:00Z",
        "2027-05-04T11:18:00Z",
    ]
    .map(at)
    {
        clock.set(time);
        asked();
        let_pass(&studio, time);
        asked();
    }
    daemon.kill();
    let before = at("2027-05-03T11:00:00Z");
    clock.set(before);
    let daemon = clock.daemon(&studio);
    let_pass(&studio, before);
    asked();
    assert_eq!(slapd.logged(&bind()), 1, "{}", slapd.log());
    // As long as was meant at first: no bind is left out either.
    clock.set(at("2027-05-03T11:23:00Z"));
    assert!(
        wait_until(LIMIT, || slapd.logged(&bind()) == 2),
        "{}",
        slapd.log()
    );
    assert_eq!(
        daemon.events("credentials.refused").len(),
        1,
        "at its start, since the bar was older"
    );
}

#[test]
fn one_alone_tries_again_what_was_refused_to_all() {
    let other = |name: &str, url: &str| {
        let job = super::another(name, "schedule = \"* * * * *\"")
            .replace("\"studio\"", &format!("{name:?}"));
        format!(
            "{job}[directories.{name}]\nurls = [{url:?}]\nbind_dn = {:?}\nbind_password_file = \
             \"ldap-password\"\n",
            slapd::SYNC_DN
        )
    };
    let mut studio = Studio::of(&["ada"]).for_a_daemon("schedule = \"* * * * *\"");
    let others = ["second", "third", "fourth"].map(|name| other(name, &studio.directory_url));
    studio.job += &others.concat();
    studio.top += "parallel_runs = 4\n";
    studio.ftrack().fail_when(|_| Some(Fault::KeyRefused));
    let Some(clock) = SetClock::showing(
        "one_alone_tries_again_what_was_refused_to_all",
        &studio,
        at("2027-05-05T12:00:30Z"),
    ) else {
        return;
    };
    let daemon = clock.daemon(&studio);
    daemon.event("credentials.refused");
    let calls = || studio.ftrack().counters().read_calls;
    // The first is let through after 22 minutes at most, the next after another 44, and then one
    // every 66 (an hour and its jitter); on a slow machine a refusal is recorded when the clock
    // shows three minutes more already.
    for (nth, time) in [
        "2027-05-05T12:24:00Z",
        "2027-05-05T13:12:00Z",
        "2027-05-05T14:22:00Z",
    ]
    .map(at)
    .into_iter()
    .enumerate()
    {
        let before = calls();
        clock.set(time);
        assert!(
            wait_until(LIMIT, || calls() > before),
            "at {time}: {:#?}",
            daemon.logged()
        );
        let later = time + TimeDelta::minutes(3);
        clock.set(later);
        let_pass(&studio, later);
        assert!(studio.reports().len() <= nth + 1, "{:#?}", studio.reports());
    }
    assert_eq!(
        daemon.events("credentials.refused").len(),
        1,
        "the same ones again are no news"
    );
    studio.ftrack().heal();
    clock.set(at("2027-05-05T15:32:00Z"));
    assert!(wait_until(LIMIT, || studio.ftrack().user("ada").is_some()));
}
