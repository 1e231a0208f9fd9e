//! When jobs are due, across clock changes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clocks;
mod oracle;
mod properties;
mod year;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use ftrack_ldap_sync::config::{CronExpression, schedule::Schedule};

/// A schedule without a splay.
fn schedule(expression: &str, zone: Tz) -> Schedule {
    let expression = expression.parse().unwrap();
    Schedule::new(&expression, zone, Duration::ZERO, "host", "job")
}

/// A moment.
fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// The next so many moments after one, as the zone's clock shows them.
fn next(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let next = schedule.occurrences(at(after)).take(count);
    next.map(|due| {
        due.with_timezone(&schedule.zone())
            .to_rfc3339_opts(SecondsFormat::AutoSi, true)
    })
    .collect()
}

#[test]
fn a_moment_is_never_followed_by_itself_nor_found_between_seconds() {
    let each_second = schedule("* * * * * *", chrono_tz::UTC);
    let found = |after: &str| each_second.next_after(at(after)).unwrap();
    assert_eq!(found("2026-03-01T12:00:00Z"), at("2026-03-01T12:00:01Z"));
    assert_eq!(
        found("2026-03-01T12:00:00.999Z"),
        at("2026-03-01T12:00:01Z")
    );
    assert_eq!(
        found("2026-03-01T11:59:59.001Z"),
        at("2026-03-01T12:00:00Z")
    );
}

#[test]
fn the_ends_of_time_are_survived() {
    for expression in ["* * * * * *", "0 3 29 2 *"] {
        let schedule = schedule(expression, chrono_tz::Pacific::Apia);
        assert_eq!(schedule.next_after(DateTime::<Utc>::MAX_UTC), None);
        let first = schedule.next_after(DateTime::<Utc>::MIN_UTC).unwrap();
        assert_eq!(Some(first), schedule.next_after(at("1969-12-31T23:59:59Z")));
    }
    assert_eq!(
        schedule("* * * * * *", chrono_tz::UTC).next_after(DateTime::<Utc>::MIN_UTC),
        Some(DateTime::UNIX_EPOCH)
    );
    let splayed = Schedule::new(
        &"@daily".parse().unwrap(),
        chrono_tz::UTC,
        Duration::from_secs(86_400),
        "host",
        "job",
    );
    assert_eq!(splayed.next_after(DateTime::<Utc>::MAX_UTC), None);
    assert!(
        splayed
            .next_after(DateTime::<Utc>::MIN_UTC)
            .is_none_or(|next| next >= DateTime::UNIX_EPOCH)
    );
}

#[test]
fn what_is_due_once_in_decades_is_found_at_once() {
    let begun = std::time::Instant::now();
    let rare = schedule("* * 29 2 MON", chrono_tz::Europe::Stockholm);
    assert_eq!(
        next(&rare, "2026-06-01T00:00:00Z", 2),
        ["2044-02-29T00:00:00+01:00", "2044-02-29T00:01:00+01:00"]
    );
    assert_eq!(
        next(&rare, "2044-02-29T22:59:00Z", 1),
        ["2072-02-29T00:00:00+01:00"]
    );
    let named = schedule("*/15 2 29 2 MON", chrono_tz::Europe::Stockholm);
    assert_eq!(
        next(&named, "2044-02-29T01:45:00Z", 1),
        ["2072-02-29T02:00:00+01:00"]
    );
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_wrong_expression_is_told() {
    let error = "61 * * * *".parse::<CronExpression>().unwrap_err();
    assert!(
        error.starts_with("\"61 * * * *\" is not a cron expression"),
        "{error}"
    );
    let error = "0 0 30 2 *".parse::<CronExpression>().unwrap_err();
    assert_eq!(error, "\"0 0 30 2 *\" never occurs");
}

#[test]
fn a_splay_puts_everything_off_by_as_much_and_is_always_the_same() {
    let splayed = |host: &str, job: &str| {
        Schedule::new(
            &"0 3 * * *".parse().unwrap(),
            chrono_tz::UTC,
            Duration::from_secs(600),
            host,
            job,
        )
    };
    // These figures are those of every release: a host that changes its time at an update would
    // surprise people.
    let lags = [
        ("sync1", "artists"),
        ("sync2", "artists"),
        ("sync1", "producers"),
    ]
    .map(|(host, job)| splayed(host, job).lag().as_secs());
    assert_eq!(lags, [527, 102, 63]);
    let schedule = splayed("sync1", "artists");
    let lag = chrono::TimeDelta::from_std(schedule.lag()).unwrap();
    let due = at("2026-05-01T03:00:00Z") + lag;
    let second = chrono::TimeDelta::seconds(1);
    assert_eq!(schedule.next_after(at("2026-05-01T03:00:00Z")), Some(due));
    assert_eq!(schedule.next_after(due - second), Some(due));
    assert_eq!(
        schedule.next_after(due),
        Some(due + chrono::TimeDelta::days(1))
    );
}

#[test]
fn a_splay_spreads_hosts_over_all_of_it_and_no_more() {
    let lags = |splay: Duration| {
        let lag = move |host: u32| {
            let hourly = "@hourly".parse().unwrap();
            Schedule::new(&hourly, chrono_tz::UTC, splay, &host.to_string(), "job").lag()
        };
        (0..2_000).map(lag).collect::<Vec<_>>()
    };
    let minutes = lags(Duration::from_secs(600));
    assert!(minutes.iter().all(|lag| *lag < Duration::from_secs(600)));
    for minute in 0..10 {
        let here = minutes
            .iter()
            .filter(|lag| lag.as_secs() / 60 == minute)
            .count();
        assert!(
            (140..260).contains(&here),
            "{here} of 2000 hosts in minute {minute} of ten"
        );
    }
    assert!(
        lags(Duration::from_millis(500))
            .iter()
            .all(Duration::is_zero)
    );
    assert!(
        lags(Duration::from_millis(1_500))
            .iter()
            .any(|lag| lag.as_secs() == 1)
    );
    assert!(lags(Duration::ZERO).iter().all(Duration::is_zero));
}

#[test]
fn a_run_was_missed_when_one_was_due_since_the_last() {
    let splayed = Schedule::new(
        &"0 3 * * *".parse().unwrap(),
        chrono_tz::UTC,
        Duration::from_secs(600),
        "sync1",
        "artists",
    );
    let due = at("2026-05-02T03:00:00Z") + chrono::TimeDelta::from_std(splayed.lag()).unwrap();
    let second = chrono::TimeDelta::seconds(1);
    let last = due - chrono::TimeDelta::days(1);
    assert!(splayed.missed_since(last, due));
    assert!(!splayed.missed_since(last, due - second));
    assert!(splayed.missed_since(due - second, due + second));
    assert!(!splayed.missed_since(due, due + second));
    // A last run in the future, after the clock was set back.
    assert!(!splayed.missed_since(due, due - chrono::TimeDelta::days(3)));
}
