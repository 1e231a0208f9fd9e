//! Times as people read them: `2026-01-31 18:00:00 CET`. JSON has RFC 3339 instead.

use std::fmt::Display;

use chrono::{DateTime, TimeZone, Utc};

/// A time in a zone, to the second, with the zone's abbreviation, or its offset where it has none.
#[must_use]
pub fn readable_time<Z: TimeZone<Offset: Display>>(time: DateTime<Utc>, zone: &Z) -> String {
    let time = time.with_timezone(zone);
    format!("{} {}", time.format("%Y-%m-%d %H:%M:%S"), zone_at(&time))
}

/// Several times in a zone, which is named once unless its offset changes between them.
#[must_use]
pub fn readable_times<Z: TimeZone<Offset: Display>>(
    times: &[DateTime<Utc>],
    zone: &Z,
    form: &str,
) -> (Vec<String>, Option<String>) {
    let times: Vec<DateTime<Z>> = times.iter().map(|time| time.with_timezone(zone)).collect();
    let zones: Vec<String> = times.iter().map(zone_at).collect();
    let once = zones
        .first()
        .filter(|first| zones.iter().all(|zone| zone == *first));
    let texts = times.iter().zip(&zones).map(|(time, zone)| match once {
        Some(_) => time.format(form).to_string(),
        None => format!("{} {zone}", time.format(form)),
    });
    (texts.collect(), once.cloned())
}

/// The abbreviation of a time's zone, such as `CET`, or its offset where it has none.
fn zone_at<Z: TimeZone<Offset: Display>>(time: &DateTime<Z>) -> String {
    let zone = time.format("%Z").to_string();
    // What the zone of the machine is called is not known; without an offset it is UTC.
    if zone == "+00:00" {
        "UTC".to_owned()
    } else {
        zone
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use chrono::FixedOffset;
    use chrono_tz::Europe::Stockholm;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_has_its_zone() {
        let time = at("2026-01-31T17:00:05.9Z");
        let east = FixedOffset::east_opt(3600).unwrap();
        let utc = FixedOffset::east_opt(0).unwrap();
        insta::assert_snapshot!(readable_time(time, &Stockholm), @"2026-01-31 18:00:05 CET");
        insta::assert_snapshot!(readable_time(time, &east), @"2026-01-31 18:00:05 +01:00");
        insta::assert_snapshot!(readable_time(time, &utc), @"2026-01-31 17:00:05 UTC");
        insta::assert_snapshot!(readable_time(time, &Utc), @"2026-01-31 17:00:05 UTC");
    }

    #[test]
    fn a_time_that_no_clock_shows_is_written_all_the_same() {
        let west = FixedOffset::west_opt(12 * 3600).unwrap();
        let east = FixedOffset::east_opt(14 * 3600).unwrap();
        for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            for zone in [west, east] {
                assert_ne!(readable_time(time, &zone), "");
            }
            assert_ne!(readable_time(time, &Stockholm), "");
            assert_ne!(readable_time(time, &chrono::Local), "");
        }
    }

    #[test]
    fn the_zone_of_several_times_is_named_once_unless_clocks_change_between_them() {
        let form = "%Y-%m-%d %H:%M";
        let times = [
            "2026-10-24T00:30:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:30:00Z",
        ]
        .map(at);
        insta::assert_debug_snapshot!(readable_times(&times[..2], &Stockholm, form), @r#"
        (
            [
                "2026-10-24 02:30",
                "2026-10-25 02:30",
            ],
            Some(
                "CEST",
            ),
        )
        "#);
        insta::assert_debug_snapshot!(readable_times(&times, &Stockholm, form), @r#"
        (
            [
                "2026-10-24 02:30 CEST",
                "2026-10-25 02:30 CEST",
                "2026-10-25 02:30 CET",
            ],
            None,
        )
        "#);
    }
}
