//! A second implementation of cron, as simple as possible: it checks every minute of a year.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use super::at;

/// Every minute of a year, with what the clock shows.
pub struct Minutes(Vec<(DateTime<Utc>, NaiveDateTime)>);

impl Minutes {
    /// The minutes from one moment up to another.
    pub fn of(zone: Tz, from: &str, to: &str) -> Self {
        let minutes = (at(to) - at(from)).num_minutes();
        let minutes = (0..minutes).map(|minute| at(from) + TimeDelta::minutes(minute));
        Self(
            minutes
                .map(|minute| (minute, minute.with_timezone(&zone).naive_local()))
                .collect(),
        )
    }

    /// The minutes at which the clock shows what the five fields say.
    pub fn shown(&self, expression: &str) -> Vec<DateTime<Utc>> {
        let fields: Vec<u64> = expression.split(' ').map(values).collect();
        let matches = |time: &NaiveDateTime| {
            let date = time.date();
            let parts = [
                time.minute(),
                time.hour(),
                date.day(),
                date.month(),
                date.weekday().num_days_from_sunday(),
            ];
            fields
                .iter()
                .zip(parts)
                .all(|(field, part)| field & (1 << part) != 0)
        };
        self.0
            .iter()
            .filter(|(_, time)| matches(time))
            .map(|(minute, _)| *minute)
            .collect()
    }

    /// For each day, the first minute at which this half hour has come; where it is the same for
    /// two days, once. The clocks here change by half hours and at half hours.
    pub fn come(&self, hour: u32, minute: u32) -> Vec<DateTime<Utc>> {
        let mut time = self.0[0].1.date().and_hms_opt(hour, minute, 0).unwrap();
        let mut come = Vec::new();
        if time < self.0[0].1 {
            time += TimeDelta::days(1);
        }
        for (minute, shown) in self.0.iter().step_by(30) {
            while *shown >= time {
                come.push(*minute);
                time += TimeDelta::days(1);
            }
        }
        come.dedup();
        come
    }
}

/// What a field allows, as a set of bits: `*`, `*/15`, `1-7`, or `7,37`.
fn values(field: &str) -> u64 {
    let part = |part: &str| match (part.split_once('/'), part.split_once('-')) {
        (Some((_, step)), _) => (0..60).step_by(step.parse().unwrap()).collect(),
        (None, Some((first, last))) => {
            (first.parse().unwrap()..=last.parse().unwrap()).collect::<Vec<u32>>()
        }
        (None, None) if part == "*" => (0..60).collect(),
        (None, None) => vec![part.parse().unwrap()],
    };
    field
        .split(',')
        .flat_map(part)
        .fold(0, |bits, value| bits | (1 << value))
}
