//! Parses the end of a pause. Pure: the time and the zone are given.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Why a text is not a valid end of a pause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTime {
    #[error(
        "not a duration such as 2h or 3d, nor a time such as 2030-01-31 18:00 or \
         2030-01-31T18:00:00Z"
    )]
    Unknown,
    #[error("in the past")]
    Past,
    #[error("too far in the future")]
    Far,
    #[error("that time does not exist in {0}, where clocks are set forward past it")]
    Skipped(Tz),
    #[error(
        "that time occurs twice in {0}, where clocks are set back; write it with its offset, such \
         as {1}"
    )]
    Twice(Tz, String),
}

/// The time that a text means: RFC 3339, a duration from now, or `YYYY-MM-DD HH:MM` in the zone.
pub(super) fn time(text: &str, now: DateTime<Utc>, zone: Tz) -> Result<DateTime<Utc>, NoTime> {
    let text = text.trim();
    let time = if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        time.to_utc()
    } else if let Ok(local) = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M") {
        match zone.from_local_datetime(&local) {
            MappedLocalTime::Single(time) => time.to_utc(),
            MappedLocalTime::Ambiguous(_, later) => {
                return Err(NoTime::Twice(zone, later.to_rfc3339()));
            }
            MappedLocalTime::None => return Err(NoTime::Skipped(zone)),
        }
    } else {
        let length = humantime::parse_duration(text).map_err(|_| NoTime::Unknown)?;
        let length = TimeDelta::from_std(length).map_err(|_| NoTime::Far)?;
        now.checked_add_signed(length).ok_or(NoTime::Far)?
    };
    if time <= now {
        Err(NoTime::Past)
    } else {
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use chrono::{DateTime, Utc};
    use chrono_tz::{Europe::Stockholm, Tz};

    use super::{NoTime, time};

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn until(text: &str) -> Result<DateTime<Utc>, NoTime> {
        time(text, utc("2026-01-10T12:00:00Z"), Stockholm)
    }

    #[test]
    fn each_form_gives_its_time() {
        for (text, expected) in [
            ("2h", "2026-01-10T14:00:00Z"),
            ("3d", "2026-01-13T12:00:00Z"),
            ("1h 30m", "2026-01-10T13:30:00Z"),
            ("2026-07-01T08:00:00+02:00", "2026-07-01T06:00:00Z"),
            ("2026-07-01 08:00", "2026-07-01T06:00:00Z"),
            (" 2026-01-11 08:00 ", "2026-01-11T07:00:00Z"),
        ] {
            assert_eq!(until(text), Ok(utc(expected)), "{text}");
        }
        assert_eq!(
            time("2026-07-01 08:00", utc("2026-01-10T12:00:00Z"), Tz::UTC),
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
        assert_eq!(until("2026-03-29 02:30"), Err(NoTime::Skipped(Stockholm)));
        assert_eq!(
            until("2026-10-25 02:30"),
            Err(NoTime::Twice(
                Stockholm,
                "2026-10-25T02:30:00+01:00".to_owned()
            ))
        );
    }
}
