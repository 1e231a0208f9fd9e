//! Whether a job runs while its windows are open, and freezes that are over.

use chrono::{DateTime, Utc};

use super::finding::About;
use crate::{
    config::{Job, schedule::Schedule},
    model::{
        readable_time::readable_time,
        window::{Opening, Window},
    },
    run::host::host,
};

/// The findings about the windows and freezes of a job, which has findings only where it has such.
pub fn of_job(about: &mut About, name: &str, job: &Job, now: DateTime<Utc>) {
    let Some(ldap) = job.ldap() else { return };
    let host = host();
    let schedules: Vec<Schedule> = Schedule::all_of(name, job, &host)
        .map(|(_, schedule)| schedule)
        .collect();
    for (kind, windows) in &ldap.windows {
        let first = schedules
            .iter()
            .filter_map(|schedule| first_inside(schedule, windows, now));
        match first.min() {
            Some(first) => {
                let first = readable_time(first, &job.timezone);
                about.ok(
                    "windows",
                    format!("{kind}: the next scheduled run inside is that of {first}"),
                );
            }
            None if schedules.is_empty() => about.ok(
                "windows",
                format!("{kind}: written by runs on request inside the windows"),
            ),
            None => about.warn(
                "windows",
                format!("{kind}: no scheduled run is inside the windows, so it is never written"),
                format!("let schedule, or windows.{kind}, have a time in common with the other"),
            ),
        }
    }
    let today = now.with_timezone(&job.timezone).date_naive();
    for freeze in ldap.freezes.iter().filter(|freeze| freeze.to < today) {
        about.ok(
            "freezes",
            format!(
                "the freeze from {} to {} is over, and can be removed",
                freeze.from, freeze.to
            ),
        );
    }
}

/// The first scheduled run while one of the windows is open; none in a long time.
fn first_inside(
    schedule: &Schedule,
    windows: &[Window],
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let opening = Opening {
        windows,
        freezes: Vec::new(),
        pause: None,
        zone: schedule.zone(),
    };
    schedule.first_inside(&opening, now)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use chrono_tz::Tz;

    use super::*;

    fn first(schedule: &str, windows: &[&str]) -> Option<String> {
        let zone = Tz::Europe__Stockholm;
        let schedule = schedule.parse().unwrap();
        let schedule = Schedule::new(&schedule, zone, Duration::ZERO, "host", "artists");
        let windows: Vec<Window> = windows.iter().map(|text| text.parse().unwrap()).collect();
        // A Friday.
        let now = "2026-01-09T12:00:00Z".parse().unwrap();
        let first = first_inside(&schedule, &windows, now);
        first.map(|first| readable_time(first, &zone))
    }

    #[test]
    fn a_run_inside_is_found_whatever_the_schedule() {
        let week = ["Mon-Thu 09:00-16:00"];
        assert_eq!(
            first("* * * * * *", &week).unwrap(),
            "2026-01-12 09:00:00 CET"
        );
        assert_eq!(first("0 16 * * *", &week), None);
        assert_eq!(
            first("59 15 * * *", &week).unwrap(),
            "2026-01-12 15:59:00 CET"
        );
        assert_eq!(first("0 3 * * *", &week), None);
        assert_eq!(
            first("0 3 * * *", &[week[0], "Sat 22:00-06:00"]).unwrap(),
            "2026-01-11 03:00:00 CET"
        );
        assert_eq!(
            first("0 12 1 * *", &["Mon 09:00-16:00"]).unwrap(),
            "2026-06-01 12:00:00 CEST"
        );
    }
}
