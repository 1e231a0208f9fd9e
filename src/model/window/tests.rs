//! What the clock on the wall shows, minute by minute, and when windows open.
#![allow(clippy::unwrap_used)]

use chrono_tz::Tz;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// Zones whose clocks change by an hour, by half of one, at midnight, by a whole day, and never.
const ZONES: [Tz; 9] = [
    Tz::UTC,
    Tz::Europe__Stockholm,
    Tz::America__New_York,
    Tz::America__St_Johns,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Cairo,
    Tz::Asia__Beirut,
    Tz::America__Havana,
    Tz::Pacific__Apia,
];

fn window(text: &str) -> Window {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn opening(windows: &[Window], zone: Tz) -> Opening<'_> {
    Opening {
        windows,
        freezes: Vec::new(),
        pause: None,
        zone,
    }
}

/// When the windows open, this time at the earliest, as the clock on the wall shows it then.
fn opens(windows: &str, zone: Tz, from: &str) -> String {
    let windows = [window(windows)];
    let time = opening(&windows, zone).opens_at(at(from)).unwrap();
    time.with_timezone(&zone).to_string()
}

#[test]
fn a_window_includes_its_first_minute_and_not_its_last() {
    let windows = [window("Mon-Thu 09:00-16:00")];
    let opening = opening(&windows, Tz::Europe__Stockholm);
    let is_open = |time: &str| opening.closed_at(at(time)).is_none();
    // 2026-01-08 is a Thursday.
    assert!(!is_open("2026-01-08T07:59:59.999Z") && is_open("2026-01-08T08:00:00Z"));
    assert!(is_open("2026-01-08T14:59:59.999Z") && !is_open("2026-01-08T15:00:00Z"));
    assert!(!is_open("2026-01-09T10:00:00Z"));
    assert_eq!(
        opens(
            "Mon-Thu 09:00-16:00",
            Tz::Europe__Stockholm,
            "2026-01-08T15:00:00Z"
        ),
        "2026-01-12 09:00:00 CET"
    );
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let windows = [window("Fri 22:00-06:00")];
    let opening = opening(&windows, Tz::UTC);
    let is_open = |time: &str| opening.closed_at(at(time)).is_none();
    // 2026-01-09 is a Friday.
    assert!(!is_open("2026-01-09T05:00:00Z") && is_open("2026-01-09T22:00:00Z"));
    assert!(is_open("2026-01-10T05:59:00Z") && !is_open("2026-01-10T06:00:00Z"));
    assert!(!is_open("2026-01-10T22:00:00Z"));
}

#[test]
fn a_begin_that_the_clock_skips_is_the_next_moment_that_it_shows() {
    let opens = |window: &str, from| opens(window, Tz::Europe__Stockholm, from);
    // On 2026-03-29 the clock goes from 02:00 to 03:00.
    assert_eq!(
        opens("02:30-04:00", "2026-03-28T12:00:00Z"),
        "2026-03-29 03:00:00 CEST"
    );
    // A window that is skipped as a whole opens on the next day.
    assert_eq!(
        opens("02:10-02:50", "2026-03-28T12:00:00Z"),
        "2026-03-30 02:10:00 CEST"
    );
    assert_eq!(
        opens("Sun 02:10-02:50", "2026-03-28T12:00:00Z"),
        "2026-04-05 02:10:00 CEST"
    );
}

#[test]
fn a_window_is_open_whenever_the_clock_shows_it() {
    let opens = |window: &str, from| opens(window, Tz::Europe__Stockholm, from);
    // On 2026-10-25 the clock goes from 03:00 back to 02:00, at 01:00 in UTC.
    assert_eq!(
        opens("01:00-02:30", "2026-10-25T00:30:00Z"),
        "2026-10-25 02:00:00 CET"
    );
    assert_eq!(
        opens("02:15-02:30", "2026-10-25T00:45:00Z"),
        "2026-10-25 02:15:00 CET"
    );
    assert_eq!(
        opens("02:30-04:00", "2026-10-25T00:00:00Z"),
        "2026-10-25 02:30:00 CEST"
    );
}

#[test]
fn after_a_freeze_the_next_window_is_waited_for() {
    let freeze = Freeze {
        from: "2026-12-18".parse().unwrap(),
        to: "2027-01-06".parse().unwrap(),
        what: vec![ChangeKind::Deactivate],
        reason: None,
    };
    let windows = [window("Mon-Tue 09:00-16:00")];
    let frozen = Opening {
        freezes: vec![&freeze],
        ..opening(&windows, Tz::Europe__Stockholm)
    };
    assert_eq!(
        frozen.closed_at(at("2026-12-17T22:59:00Z")),
        Some(Closed::OutsideWindows)
    );
    assert_eq!(
        frozen.closed_at(at("2026-12-17T23:00:00Z")),
        Some(Closed::Frozen(&freeze))
    );
    assert_eq!(
        frozen.closed_at(at("2027-01-06T22:59:00Z")),
        Some(Closed::Frozen(&freeze))
    );
    assert_eq!(
        frozen.opens_at(at("2026-12-20T00:00:00Z")),
        Some(at("2027-01-11T08:00:00Z"))
    );
    let at_any_time = Opening {
        windows: &[],
        ..frozen
    };
    assert_eq!(
        at_any_time.opens_at(at("2026-12-20T00:00:00Z")),
        Some(at("2027-01-06T23:00:00Z"))
    );
}

#[test]
fn the_end_of_a_pause_that_only_a_person_ends_is_not_known() {
    let mut pause = Pause {
        since: at("2026-01-01T00:00:00Z"),
        until: None,
        reason: None,
        by: None,
    };
    let paused = |pause: &Pause| {
        let opening = Opening {
            pause: Some(pause),
            ..opening(&[], Tz::UTC)
        };
        opening.opens_at(at("2026-01-02T00:00:00Z"))
    };
    assert_eq!(paused(&pause), None);
    pause.until = Some(at("2026-01-03T00:00:00Z"));
    assert_eq!(paused(&pause), Some(at("2026-01-03T00:00:00Z")));
}

/// A window of the week: its days, and its first and last minute.
type Hours = (Vec<u8>, u16, u16);

fn hours() -> impl Strategy<Value = Hours> {
    let of_day = |last| {
        prop_oneof![
            0..=last,
            select(vec![0, 30, 60, 90, 120, 150, 180]),
            Just(last)
        ]
    };
    let hours = (
        vec(0..7_u8, 1..4),
        of_day(DAY_MINUTES - 1),
        of_day(DAY_MINUTES),
    );
    hours.prop_filter("empty", |(_, from, to)| from != to)
}

/// The minutes of a week, Monday's first, that windows include, counted one by one.
fn minutes_of_week(windows: &[Hours]) -> std::collections::BTreeSet<u32> {
    const DAY: u32 = 24 * 60;
    let minutes = windows.iter().flat_map(|(days, from, to)| {
        let (from, to) = (u32::from(*from), u32::from(*to));
        let length = if from < to {
            to - from
        } else {
            DAY - from + to
        };
        days.iter().flat_map(move |day| {
            (0..length).map(move |minute| (u32::from(*day) * DAY + from + minute) % (7 * DAY))
        })
    });
    minutes.collect()
}

/// A zone, and a minute before or after its clocks change, or any other.
fn moment() -> impl Strategy<Value = (Tz, DateTime<Utc>)> {
    let minute = |text: &str| at(&format!("{text}T00:00:00Z")).timestamp() / 60;
    let changes = vec![
        (Tz::Europe__Stockholm, "2026-03-29"),
        (Tz::Europe__Stockholm, "2026-10-25"),
        (Tz::America__New_York, "2026-03-08"),
        (Tz::America__New_York, "2026-11-01"),
        (Tz::America__St_Johns, "2010-11-07"),
        (Tz::Australia__Lord_Howe, "2026-04-05"),
        (Tz::Australia__Lord_Howe, "2026-10-04"),
        (Tz::Africa__Cairo, "2026-04-24"),
        (Tz::Africa__Cairo, "2026-10-30"),
        (Tz::Asia__Beirut, "2026-03-29"),
        (Tz::America__Havana, "2026-11-01"),
        (Tz::Pacific__Apia, "2011-12-30"),
    ];
    let near = (select(changes), -16 * 60..16 * 60_i64)
        .prop_map(move |((zone, day), after)| (zone, minute(day) + after));
    let any = (
        select(ZONES.to_vec()),
        minute("2009-01-01")..minute("2032-01-01"),
    );
    let moment = prop_oneof![6 => near, 1 => any];
    moment.prop_map(|(zone, minute)| (zone, DateTime::from_timestamp(minute * 60, 0).unwrap()))
}

#[test]
fn a_freeze_ends_although_the_clock_is_set_back_into_its_last_day() {
    // At St. John's, the clock went from 00:01 on Sunday back to 23:01 on Saturday.
    let windows = [Window::new(
        "",
        [Weekday::Sat].into_iter().collect(),
        0,
        24 * 60,
    )];
    let freeze = Freeze {
        from: NaiveDate::from_ymd_opt(2010, 11, 6).unwrap(),
        to: NaiveDate::from_ymd_opt(2010, 11, 6).unwrap(),
        what: Vec::new(),
        reason: None,
    };
    let opening = Opening {
        windows: &windows,
        freezes: vec![&freeze],
        pause: None,
        zone: chrono_tz::America::St_Johns,
    };
    assert_eq!(
        opening.opens_at(at("2010-11-07T00:00:00Z")),
        Some(at("2010-11-13T03:30:00Z"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// As one who looks at the clock on the wall every minute finds it.
    #[test]
    fn windows_open_when_the_clock_on_the_wall_says_so(
        all in vec(hours(), 0..4),
        (zone, from) in moment(),
        frozen in proptest::option::weighted(0.2, (0..4_u64, 0..3_u64)),
        pause in proptest::option::weighted(0.2, 1..3000_i64),
    ) {
        let windows: Vec<Window> = all.iter().map(|(days, first, last)| {
            let days = days.iter().map(|day| Weekday::try_from(*day).unwrap()).collect();
            Window::new("", days, *first, *last)
        }).collect();
        let today = from.with_timezone(&zone).date_naive();
        let freeze = frozen.map(|(after, days)| Freeze {
            from: today + Days::new(after),
            to: today + Days::new(after + days),
            what: Vec::new(),
            reason: None,
        });
        let pause = pause.map(|minutes| Pause {
            since: from,
            until: Some(from + TimeDelta::minutes(minutes)),
            reason: None,
 by: None,
        });
        let opening = Opening {
            windows: &windows,
            freezes: freeze.iter().collect(),
            pause: pause.as_ref(),
            zone,
        };
        let included = minutes_of_week(&all);
        let is_open = |time: DateTime<Utc>| {
            let shown = time.with_timezone(&zone);
            let minute = shown.weekday().num_days_from_monday() * 24 * 60 + shown.hour() * 60 + shown.minute();
            let is_frozen = freeze.as_ref().is_some_and(|freeze| {
                shown.date_naive() >= freeze.from && shown.date_naive() <= freeze.to
            });
            let is_paused = pause.as_ref().and_then(|pause| pause.until).is_some_and(|until| time < until);
            (all.is_empty() || included.contains(&minute)) && !is_frozen && !is_paused
        };
        let mut minutes = (0..30 * 24 * 60).map(|minute| from + TimeDelta::minutes(minute));
        let first = minutes.find(|minute| is_open(*minute));
        prop_assert!(first.is_some());
        prop_assert_eq!(opening.opens_at(from), first);
        prop_assert_eq!(opening.closed_at(from).is_none(), is_open(from));
    }
}
