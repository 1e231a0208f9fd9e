//! Clock changes, one by one.

use chrono_tz::{Africa, America, Asia, Australia, Europe, Pacific};

use super::{next, schedule};

#[test]
fn what_a_gap_swallows_is_due_at_its_end_once() {
    let stockholm = |expression| {
        next(
            &schedule(expression, Europe::Stockholm),
            "2026-03-28T23:30:00Z",
            3,
        )
    };
    assert_eq!(
        stockholm("30 2 * * *"),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:30:00+02:00",
            "2026-03-31T02:30:00+02:00"
        ]
    );
    assert_eq!(
        stockholm("*/15 2 * * *"),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:00:00+02:00",
            "2026-03-30T02:15:00+02:00"
        ]
    );
    assert_eq!(
        stockholm("20 2,3 * * *"),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:20:00+02:00",
            "2026-03-30T02:20:00+02:00"
        ]
    );
    assert_eq!(
        stockholm("0 2,3 * * *"),
        [
            "2026-03-29T03:00:00+02:00",
            "2026-03-30T02:00:00+02:00",
            "2026-03-30T03:00:00+02:00"
        ]
    );
    // Restricted to that very night, it is not put off for a year.
    assert_eq!(stockholm("30 2 29 3 *")[0], "2026-03-29T03:00:00+02:00");
}

#[test]
fn a_time_that_is_shown_twice_is_due_the_first_time() {
    let stockholm = |expression, after| next(&schedule(expression, Europe::Stockholm), after, 2);
    assert_eq!(
        stockholm("30 2 * * *", "2026-10-24T23:59:59Z"),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
    );
    assert_eq!(
        stockholm("*/30 2,3 * * *", "2026-10-25T00:30:00Z"),
        ["2026-10-25T03:00:00+01:00", "2026-10-25T03:30:00+01:00"]
    );
    // Asked for in the midst of the second time.
    assert_eq!(
        stockholm("* * 2 * * *", "2026-10-25T01:10:00Z"),
        ["2026-10-26T02:00:00+01:00", "2026-10-26T02:00:01+01:00"]
    );
}

#[test]
fn twice_an_hour_goes_on_through_an_hour_that_is_shown_twice() {
    let stockholm = schedule("*/30 * * * *", Europe::Stockholm);
    assert_eq!(
        next(&stockholm, "2026-10-24T23:30:00Z", 6),
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:30:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T02:30:00+01:00",
            "2026-10-25T03:00:00+01:00",
            "2026-10-25T03:30:00+01:00",
        ]
    );
    assert_eq!(
        next(&stockholm, "2026-03-29T00:00:00Z", 3),
        [
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T03:00:00+02:00",
            "2026-03-29T03:30:00+02:00"
        ]
    );
    // Nothing stands in for what is never shown.
    let swallowed = next(
        &schedule("30 * 29 3 *", Europe::Stockholm),
        "2026-03-29T00:00:00Z",
        3,
    );
    assert_eq!(
        swallowed,
        [
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T03:30:00+02:00",
            "2026-03-29T04:30:00+02:00"
        ]
    );
    let hourly = next(
        &schedule("@hourly", Europe::Stockholm),
        "2026-10-24T23:30:00Z",
        3,
    );
    assert_eq!(
        hourly,
        [
            "2026-10-25T02:00:00+02:00",
            "2026-10-25T02:00:00+01:00",
            "2026-10-25T03:00:00+01:00"
        ]
    );
}

#[test]
fn a_day_may_begin_with_a_gap() {
    let daily = |zone, after| next(&schedule("@daily", zone), after, 3);
    assert_eq!(
        daily(America::Sao_Paulo, "2018-11-03T03:30:00Z"),
        [
            "2018-11-04T01:00:00-02:00",
            "2018-11-05T00:00:00-02:00",
            "2018-11-06T00:00:00-02:00"
        ]
    );
    assert_eq!(
        daily(Africa::Cairo, "2024-04-25T00:00:00Z"),
        [
            "2024-04-26T01:00:00+03:00",
            "2024-04-27T00:00:00+03:00",
            "2024-04-28T00:00:00+03:00"
        ]
    );
    assert_eq!(
        daily(Asia::Beirut, "2024-03-30T00:00:00Z"),
        [
            "2024-03-31T01:00:00+03:00",
            "2024-04-01T00:00:00+03:00",
            "2024-04-02T00:00:00+03:00"
        ]
    );
    // And end with an hour that is shown twice: 23:00 to 24:00 of the day before.
    assert_eq!(
        next(
            &schedule("30 23 * * *", America::Sao_Paulo),
            "2018-02-16T12:00:00Z",
            3
        ),
        [
            "2018-02-16T23:30:00-02:00",
            "2018-02-17T23:30:00-02:00",
            "2018-02-18T23:30:00-03:00"
        ]
    );
}

#[test]
fn half_an_hour_may_be_missing_or_too_much() {
    let named = schedule("15 2 * * *", Australia::Lord_Howe);
    assert_eq!(
        next(&named, "2026-10-03T00:00:00Z", 2),
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
    );
    let named = schedule("45 1 * * *", Australia::Lord_Howe);
    assert_eq!(
        next(&named, "2026-04-04T00:00:00Z", 2),
        ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"]
    );
    let each = schedule("*/15 * * * *", Australia::Lord_Howe);
    assert_eq!(
        next(&each, "2026-04-04T14:30:00Z", 4),
        [
            "2026-04-05T01:45:00+11:00",
            "2026-04-05T01:30:00+10:30",
            "2026-04-05T01:45:00+10:30",
            "2026-04-05T02:00:00+10:30"
        ]
    );
}

#[test]
fn a_whole_day_may_be_missing() {
    // Samoa went from the 29th to the 31st of December 2011.
    let apia = |expression| {
        next(
            &schedule(expression, Pacific::Apia),
            "2011-12-30T00:00:00Z",
            3,
        )
    };
    assert_eq!(
        apia("30 9 * * *"),
        [
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T09:30:00+14:00",
            "2012-01-01T09:30:00+14:00"
        ]
    );
    assert_eq!(
        apia("0 3 30 * *"),
        [
            "2011-12-31T00:00:00+14:00",
            "2012-01-30T03:00:00+14:00",
            "2012-03-30T03:00:00+14:00"
        ]
    );
    assert_eq!(
        apia("0 * * * *")[..2],
        ["2011-12-29T15:00:00-10:00", "2011-12-29T16:00:00-10:00"]
    );
    let hourly = next(
        &schedule("0 * * * *", Pacific::Apia),
        "2011-12-30T08:30:00Z",
        3,
    );
    assert_eq!(
        hourly,
        [
            "2011-12-29T23:00:00-10:00",
            "2011-12-31T00:00:00+14:00",
            "2011-12-31T01:00:00+14:00"
        ]
    );
}
