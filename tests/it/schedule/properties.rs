//! Properties of every schedule, zone and moment.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use ftrack_ldap_sync::config::schedule::Schedule;
use proptest::{prelude::*, sample};

const EXPRESSIONS: [&str; 16] = [
    "* * * * * *",
    "*/7 * * * * *",
    "* * * * *",
    "*/15 * * * *",
    "30 * 29 2 *",
    "*/15 * * * MON",
    "@hourly",
    "@daily",
    "@weekly",
    "@yearly",
    "30 2 * * *",
    "* * 2 * * *",
    "*/15 0-3 * * *",
    "0 0,23 L * *",
    "59 23 * 3,10 SUN#L",
    "0 */6 1-7 * *",
];

/// A schedule and a moment of 1970 to 2099, often close to a change of the clock.
fn any() -> impl Strategy<Value = (Schedule, DateTime<Utc>)> {
    let lags = prop_oneof![
        Just(Duration::ZERO),
        (1..86_400_u64).prop_map(Duration::from_secs)
    ];
    let parts = (
        sample::select(&EXPRESSIONS[..]),
        sample::select(&TZ_VARIANTS[..]),
        lags,
        0..4_102_444_800_i64,
        -7_200..7_200_i64,
    );
    parts.prop_map(|(expression, zone, splay, second, near)| {
        let expression = expression.parse().unwrap();
        let schedule = Schedule::new(&expression, zone, splay, "host", "job");
        let after = DateTime::from_timestamp(second, 0).unwrap();
        (
            schedule,
            change(zone, after).map_or(after, |change| change + TimeDelta::seconds(near)),
        )
    })
}

/// The hour in which the zone's clock changes next within half a year, if it does.
fn change(zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let offset = |at: &DateTime<Utc>| {
        at.with_timezone(&zone)
            .fixed_offset()
            .offset()
            .local_minus_utc()
    };
    (0..4_400)
        .map(|hour| after + TimeDelta::hours(hour))
        .find(|at| offset(at) != offset(&after))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn moments_follow_each_other((schedule, after) in any()) {
        let mut last = after;
        for due in schedule.occurrences(after).take(30) {
            prop_assert!(due > last && due.timestamp_subsec_nanos() == 0, "{due} after {last}");
            last = due;
        }
        prop_assert!(last > after);
    }

    #[test]
    fn nothing_is_due_before_the_next((schedule, after) in any(), part in 0.0..1.0_f64) {
        let next = schedule.next_after(after).unwrap();
        let between = after + TimeDelta::milliseconds(((next - after).num_milliseconds() as f64 * part) as i64);
        prop_assert_eq!(schedule.next_after(between), Some(next));
        prop_assert_eq!(schedule.next_after(next - TimeDelta::milliseconds(1)), Some(next));
        prop_assert!(schedule.missed_since(between, next) && !schedule.missed_since(after, between.min(next - TimeDelta::seconds(1))));
    }
}
