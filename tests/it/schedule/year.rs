//! Whole years, minute by minute.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use chrono_tz::{Africa, America, Asia, Australia, Europe, Pacific, Tz};

use super::{at, oracle::Minutes, schedule};

/// The zones, and the years.
const YEARS: [(Tz, &str, &str); 9] = [
    (
        chrono_tz::UTC,
        "2026-07-01T00:00:00Z",
        "2027-07-01T00:00:00Z",
    ),
    (
        Europe::Stockholm,
        "2026-07-01T00:00:00Z",
        "2027-07-01T00:00:00Z",
    ),
    (
        America::New_York,
        "2026-07-01T00:00:00Z",
        "2027-07-01T00:00:00Z",
    ),
    (
        Australia::Lord_Howe,
        "2026-07-01T00:00:00Z",
        "2027-07-01T00:00:00Z",
    ),
    // Midnight is skipped and shown twice.
    (
        America::Sao_Paulo,
        "2018-01-01T00:00:00Z",
        "2019-01-01T00:00:00Z",
    ),
    (
        Africa::Cairo,
        "2024-01-01T00:00:00Z",
        "2025-01-01T00:00:00Z",
    ),
    (Asia::Beirut, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    // The clock goes back for Ramadan.
    (
        Africa::Casablanca,
        "2026-01-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    ),
    // A day is missing.
    (
        Pacific::Apia,
        "2011-06-01T00:00:00Z",
        "2012-06-01T00:00:00Z",
    ),
];

/// What is due in a year.
fn due(expression: &str, (zone, from, to): (Tz, &str, &str)) -> Vec<DateTime<Utc>> {
    let before = at(from) - TimeDelta::seconds(1);
    schedule(expression, zone)
        .occurrences(before)
        .take_while(|due| *due < at(to))
        .collect()
}

/// Names the first difference only.
fn assert_same(due: &[DateTime<Utc>], expected: &[DateTime<Utc>], what: &str) {
    let difference = due
        .iter()
        .zip(expected)
        .find(|(due, expected)| due != expected);
    assert_eq!((difference, due.len()), (None, expected.len()), "{what}");
}

#[test]
fn with_every_hour_it_is_due_whenever_the_clock_shows_it() {
    for year in YEARS {
        let minutes = Minutes::of(year.0, year.1, year.2);
        for expression in [
            "0 * * * *",
            "*/15 * * 2-4,9-12 *",
            "*/15 * * * 1",
            "7,37 * 1-7 * *",
            "*/20 * 25-31 3,10 0",
            "59 * 29-30 12 *",
        ] {
            let due = due(expression, year);
            assert_same(
                &due,
                &minutes.shown(expression),
                &format!("{expression} in {}", year.0),
            );
            assert!(due.len() > 20, "{expression} in {}", year.0);
        }
    }
}

#[test]
fn each_time_of_day_comes_once_a_day() {
    for year in YEARS {
        let minutes = Minutes::of(year.0, year.1, year.2);
        for half_hour in 0..48 {
            let (hour, minute) = (half_hour / 2, half_hour % 2 * 30);
            let expression = format!("{minute} {hour} * * *");
            let due = due(&expression, year);
            assert_same(
                &due,
                &minutes.come(hour, minute),
                &format!("{expression} in {}", year.0),
            );
            if year.0 == Pacific::Apia {
                continue;
            }
            let days: Vec<i32> = due
                .iter()
                .map(|due| due.with_timezone(&year.0).num_days_from_ce())
                .collect();
            assert!(
                days.windows(2).all(|days| days[0] + 1 == days[1]),
                "{expression} in {}",
                year.0
            );
        }
    }
}

#[test]
fn no_hour_goes_by_without_what_is_due_each_hour() {
    for year in &YEARS[..3] {
        for (expression, period) in [("@hourly", 60), ("*/15 * * * *", 15), ("17 */1 * * *", 120)] {
            let due = due(expression, *year);
            let longest = due.windows(2).map(|due| due[1] - due[0]).max().unwrap();
            assert!(
                longest <= TimeDelta::minutes(period),
                "{expression} in {}: {longest}",
                year.0
            );
        }
    }
    // Where half an hour is skipped or shown twice, the full hour is one and a half hours away, and
    // a quarter is a quarter.
    let longest = |expression| {
        due(expression, YEARS[3])
            .windows(2)
            .map(|due| due[1] - due[0])
            .max()
            .unwrap()
    };
    assert_eq!(
        (longest("0 * * * *"), longest("*/15 * * * *")),
        (TimeDelta::minutes(90), TimeDelta::minutes(15))
    );
}
