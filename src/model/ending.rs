//! When something ends that somebody must renew before: certificates, passwords, accounts. No I/O.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// An end that is nearer than this needs somebody who sees to it.
pub const NEAR: TimeDelta = TimeDelta::days(30);

/// Whether an end is near, or is over.
#[must_use]
pub fn is_near(end: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    end - now < NEAR
}

/// The whole days that are left, which are negative when it is over.
#[must_use]
pub fn days_left(end: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    let left = end - now;
    if left < TimeDelta::zero() && left.num_days() == 0 {
        -1
    } else {
        left.num_days()
    }
}

/// The day of an end, and how far away that is: `2026-12-20 (in 22 days)`.
#[must_use]
pub fn day_of(end: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let day = end.date_naive();
    match days_left(end, now) {
        ..=-2 => format!("{day} ({} days ago)", (now - end).num_days()),
        -1 => format!("{day} (it is over)"),
        0 => format!("{day} (in less than a day)"),
        1 => format!("{day} (in 1 day)"),
        days => format!("{day} (in {days} days)"),
    }
}

/// The end for programs, as RFC 3339.
#[must_use]
pub fn rfc3339(end: DateTime<Utc>) -> String {
    end.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_end_is_told_with_the_days_that_are_left() {
        let now: DateTime<Utc> = "2026-01-10T12:00:00Z".parse().unwrap();
        for (end, words, days, near) in [
            ("2026-03-01T00:00:00Z", "2026-03-01 (in 49 days)", 49, false),
            ("2026-02-09T12:00:00Z", "2026-02-09 (in 30 days)", 30, false),
            ("2026-02-09T11:59:59Z", "2026-02-09 (in 29 days)", 29, true),
            ("2026-01-11T13:00:00Z", "2026-01-11 (in 1 day)", 1, true),
            (
                "2026-01-10T13:00:00Z",
                "2026-01-10 (in less than a day)",
                0,
                true,
            ),
            ("2026-01-10T11:59:59Z", "2026-01-10 (it is over)", -1, true),
            ("2026-01-01T12:00:00Z", "2026-01-01 (9 days ago)", -9, true),
        ] {
            let end = end.parse().unwrap();
            assert_eq!(day_of(end, now), words);
            assert_eq!(days_left(end, now), days, "{words}");
            assert_eq!(is_near(end, now), near, "{words}");
        }
    }
}
