//! Parses the times of options. Pure: the time now and the zone are given.

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone, Utc, Weekday,
};

/// Why a text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTime {
    #[error(
        "not a duration such as 2h or 3d, nor a time such as 2030-01-31 18:00 or \
         2030-01-31T18:00:00Z"
    )]
    Unknown,
    #[error(
        "not a day such as today, yesterday, tuesday (the last one) or 2030-01-31, nor a duration \
         before now such as 2h or 3d, nor a time such as 2030-01-31 18:00 or 2030-01-31T18:00:00Z"
    )]
    UnknownPast,
    #[error("not a day such as today, yesterday, tuesday (the last one) or 2030-01-31")]
    NoDay,
    #[error("in the past")]
    Past,
    #[error("too far from now")]
    Far,
    #[error("that time does not exist in {0}, where clocks are set forward past it")]
    Skipped(String),
    #[error(
        "that time occurs twice in {0}, where clocks are set back; write it with its offset, such \
         as {1}"
    )]
    Twice(String, String),
}

/// How a time in the zone may be written.
const LOCAL: [&str; 4] = [
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S",
];

/// The future time that a text means: RFC 3339, a duration from now, `YYYY-MM-DD HH:MM` in the zone,
/// with seconds or a `T` as well, or a date, which is its first minute.
pub(super) fn after<Z: TimeZone>(
    text: &str,
    now: DateTime<Utc>,
    zone: &Z,
    name: &str,
) -> Result<DateTime<Utc>, NoTime> {
    let time = moment(text, zone, name, |length| now.checked_add_signed(length))?;
    if time <= now {
        Err(NoTime::Past)
    } else {
        Ok(time)
    }
}

/// The time that a text means, where a duration is one before now.
pub(super) fn before<Z: TimeZone>(
    text: &str,
    now: DateTime<Utc>,
    zone: &Z,
    name: &str,
) -> Result<DateTime<Utc>, NoTime> {
    if let Some(day) = day(text, now, zone) {
        return local(day.and_time(NaiveTime::MIN), zone, name);
    }
    let time = moment(text, zone, name, |length| now.checked_sub_signed(length));
    time.map_err(|error| {
        if error == NoTime::Unknown {
            NoTime::UnknownPast
        } else {
            error
        }
    })
}

/// The day that a text means, from its first minute to that of the next day.
pub(super) fn whole_day<Z: TimeZone>(
    text: &str,
    now: DateTime<Utc>,
    zone: &Z,
    name: &str,
) -> Result<(DateTime<Utc>, DateTime<Utc>), NoTime> {
    let day = day(text, now, zone).ok_or(NoTime::NoDay)?;
    let next = day.checked_add_days(Days::new(1)).ok_or(NoTime::Far)?;
    let first = |day: NaiveDate| local(day.and_time(NaiveTime::MIN), zone, name);
    Ok((first(day)?, first(next)?))
}

/// The day of a text: a date, `today`, `yesterday`, or the last day with the name of a weekday before
/// today.
fn day<Z: TimeZone>(text: &str, now: DateTime<Utc>, zone: &Z) -> Option<NaiveDate> {
    let text = text.trim();
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(day);
    }
    let today = now.with_timezone(zone).date_naive();
    match text.to_ascii_lowercase().as_str() {
        "today" => Some(today),
        "yesterday" => today.pred_opt(),
        name => {
            let wanted: Weekday = name.parse().ok()?;
            let mut before = today.pred_opt();
            while let Some(day) = before.filter(|day| day.weekday() != wanted) {
                before = day.pred_opt();
            }
            before
        }
    }
}

fn moment<Z: TimeZone>(
    text: &str,
    zone: &Z,
    name: &str,
    from_now: impl FnOnce(TimeDelta) -> Option<DateTime<Utc>>,
) -> Result<DateTime<Utc>, NoTime> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day =
        || NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN));
    let mut times = LOCAL
        .iter()
        .map(|form| NaiveDateTime::parse_from_str(text, form));
    let Some(time) = times.find_map(Result::ok).or_else(|| day().ok()) else {
        let length = humantime::parse_duration(text).map_err(|_| NoTime::Unknown)?;
        let length = TimeDelta::from_std(length).map_err(|_| NoTime::Far)?;
        return from_now(length).ok_or(NoTime::Far);
    };
    local(time, zone, name)
}

/// The time that a clock of the zone shows.
fn local<Z: TimeZone>(time: NaiveDateTime, zone: &Z, name: &str) -> Result<DateTime<Utc>, NoTime> {
    match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(time) => Ok(time.to_utc()),
        MappedLocalTime::Ambiguous(_, later) => {
            Err(NoTime::Twice(name.to_owned(), later.to_utc().to_rfc3339()))
        }
        MappedLocalTime::None => Err(NoTime::Skipped(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use chrono::{DateTime, Utc};
    use chrono_tz::{Europe::Stockholm, Tz};

    use super::{NoTime, after, before, whole_day};

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn until(text: &str) -> Result<DateTime<Utc>, NoTime> {
        after(
            text,
            utc("2026-01-10T12:00:00Z"),
            &Stockholm,
            "Europe/Stockholm",
        )
    }

    #[test]
    fn each_form_gives_its_time() {
        for (text, expected) in [
            ("2h", "2026-01-10T14:00:00Z"),
            ("3d", "2026-01-13T12:00:00Z"),
            ("1h 30m", "2026-01-10T13:30:00Z"),
            ("2026-07-01T08:00:00+02:00", "2026-07-01T06:00:00Z"),
            ("2026-07-01 08:00", "2026-07-01T06:00:00Z"),
            ("2026-07-01T08:00", "2026-07-01T06:00:00Z"),
            ("2026-07-01 08:00:30", "2026-07-01T06:00:30Z"),
            ("2026-07-01T08:00:30", "2026-07-01T06:00:30Z"),
            (" 2026-01-11 08:00 ", "2026-01-11T07:00:00Z"),
        ] {
            assert_eq!(until(text), Ok(utc(expected)), "{text}");
        }
        assert_eq!(
            after(
                "2026-07-01 08:00",
                utc("2026-01-10T12:00:00Z"),
                &Tz::UTC,
                "UTC"
            ),
            Ok(utc("2026-07-01T08:00:00Z"))
        );
    }

    #[test]
    fn what_is_no_time_is_said() {
        for text in ["", "tomorrow", "2", "2026-13-01 08:00", "08:00", "-2h"] {
            assert_eq!(until(text), Err(NoTime::Unknown), "{text}");
        }
        for text in [
            "2026-01-10T12:00:00Z",
            "2026-01-10 12:59",
            "0s",
            "2020-01-01T00:00:00Z",
        ] {
            assert_eq!(until(text), Err(NoTime::Past), "{text}");
        }
        assert_eq!(until("500000years"), Err(NoTime::Far));
        assert_eq!(
            until("2026-03-29 02:30"),
            Err(NoTime::Skipped("Europe/Stockholm".to_owned()))
        );
        assert_eq!(
            until("2026-10-25 02:30"),
            Err(NoTime::Twice(
                "Europe/Stockholm".to_owned(),
                "2026-10-25T01:30:00+00:00".to_owned()
            ))
        );
    }

    #[test]
    fn a_duration_may_reach_back() {
        let since = |text| {
            before(
                text,
                utc("2026-01-10T12:00:00Z"),
                &Stockholm,
                "Europe/Stockholm",
            )
        };
        assert_eq!(since("7d"), Ok(utc("2026-01-03T12:00:00Z")));
        assert_eq!(since("2026-01-03"), Ok(utc("2026-01-02T23:00:00Z")));
        assert_eq!(since("2026-02-03 08:00"), Ok(utc("2026-02-03T07:00:00Z")));
        // A Saturday.
        for (text, expected) in [
            ("today", "2026-01-09T23:00:00Z"),
            ("Yesterday", "2026-01-08T23:00:00Z"),
            ("tuesday", "2026-01-05T23:00:00Z"),
            ("sat", "2026-01-02T23:00:00Z"),
        ] {
            assert_eq!(since(text), Ok(utc(expected)), "{text}");
        }
        for text in ["tomorrow", "2", "tuesdays", ""] {
            assert_eq!(since(text), Err(NoTime::UnknownPast), "{text}");
        }
    }

    #[test]
    fn a_day_goes_from_midnight_to_midnight() {
        let on = |text| {
            whole_day(
                text,
                utc("2026-03-30T12:00:00Z"),
                &Stockholm,
                "Europe/Stockholm",
            )
        };
        let longest = Ok((utc("2026-03-28T23:00:00Z"), utc("2026-03-29T22:00:00Z")));
        assert_eq!(on("sunday"), longest);
        assert_eq!(on("2026-03-29"), longest);
        assert_eq!(on("2h"), Err(NoTime::NoDay));
    }
}
