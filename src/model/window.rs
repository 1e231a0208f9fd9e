//! Windows of the week and freezes: when changes of a kind may be written, by what the clock on the
//! wall of a time zone shows.

use std::fmt;

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone,
    Timelike, Utc, Weekday, WeekdaySet,
};
use chrono_tz::{GapInfo, Tz};

use crate::model::{change_kind::ChangeKind, pause::Pause};

/// How far ahead the next window is looked for: a weekly one may fall into the gap of a clock change
/// once, and not twice in a row.
const AHEAD: u64 = 15;

/// Two clock changes of a zone are further apart than this.
const STEP: TimeDelta = TimeDelta::hours(3);

/// The minutes of a day.
pub const DAY_MINUTES: u16 = 24 * 60;

/// Hours of some days of the week: from the first minute, up to and without the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    text: String,
    /// The days on which it begins.
    days: WeekdaySet,
    /// The minute of the day at which it begins, less than [`DAY_MINUTES`].
    from: u16,
    /// The minute at which it ends, of the next day where it is not after `from`; at most
    /// [`DAY_MINUTES`].
    to: u16,
}

impl Window {
    /// A window, with the text by which people know it.
    #[must_use]
    pub fn new(text: &str, days: WeekdaySet, from: u16, to: u16) -> Self {
        Self {
            text: text.to_owned(),
            days,
            from: from.min(DAY_MINUTES - 1),
            to: to.min(DAY_MINUTES),
        }
    }

    /// Whether it includes a time that the clock on the wall shows.
    #[must_use]
    pub fn includes(&self, shown: NaiveDateTime) -> bool {
        let minute = minute_of(shown.time());
        let begins_on = |day: Weekday| self.days.contains(day);
        let today = shown.weekday();
        if self.from < self.to {
            begins_on(today) && (self.from..self.to).contains(&minute)
        } else {
            let (since_today, since_before) = (minute >= self.from, minute < self.to);
            since_today && begins_on(today) || since_before && begins_on(today.pred())
        }
    }

    /// When it begins on a day, whether or not it does on this day of the week.
    fn begin(&self, on: NaiveDate) -> Option<NaiveDateTime> {
        on.and_hms_opt(u32::from(self.from) / 60, u32::from(self.from) % 60, 0)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Days on which changes of some kinds are not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// The first day.
    pub from: NaiveDate,
    /// The last day; not before the first.
    pub to: NaiveDate,
    /// The kinds of change.
    pub what: Vec<ChangeKind>,
    /// The person's reason.
    pub reason: Option<String>,
}

impl Freeze {
    /// Whether it includes a time that the clock on the wall shows.
    #[must_use]
    pub fn includes(&self, shown: NaiveDateTime) -> bool {
        (self.from..=self.to).contains(&shown.date())
    }
}

/// When changes of one kind may be written.
#[derive(Debug, Clone)]
pub struct Opening<'a> {
    /// They are written only within these; at any time where there are none.
    pub windows: &'a [Window],
    /// And not during these.
    pub freezes: Vec<&'a Freeze>,
    /// Nor while they are paused.
    pub pause: Option<&'a Pause>,
    /// The time zone of windows and freezes.
    pub zone: Tz,
}

/// Why changes of a kind are not written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed<'a> {
    /// A person paused the kind.
    Paused(&'a Pause),
    /// It is one of the days of a freeze.
    Frozen(&'a Freeze),
    /// No window is open.
    OutsideWindows,
}

impl<'a> Opening<'a> {
    /// Why nothing is written at that time; none where it is.
    #[must_use]
    pub fn closed_at(&self, time: DateTime<Utc>) -> Option<Closed<'a>> {
        let shown = self.shown(time);
        let paused = self.pause.filter(|pause| !pause.is_over(time));
        let frozen = || self.freezes.iter().find(|freeze| freeze.includes(shown));
        paused
            .map(Closed::Paused)
            .or_else(|| frozen().map(|freeze| Closed::Frozen(freeze)))
            .or_else(|| (!self.is_within(shown)).then_some(Closed::OutsideWindows))
    }

    /// When something may be written again, this time at the earliest; none where only a person's
    /// word ends the pause, or no end is in sight.
    #[must_use]
    pub fn opens_at(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut time = from;
        // A pause is passed once, and a freeze once or, where the clock is set back over midnight, twice;
        // after each of them a window may be waited for.
        let steps = 4 * (self.freezes.len() + 2);
        for _ in 0..=steps {
            time = match self.closed_at(time) {
                None => return Some(time),
                Some(Closed::Paused(pause)) => pause.until?,
                Some(Closed::Frozen(freeze)) => self.beginning_of(freeze.to.succ_opt()?, time)?,
                Some(Closed::OutsideWindows) => self.next_window(time)?,
            };
        }
        None
    }

    fn is_within(&self, shown: NaiveDateTime) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.includes(shown))
    }

    /// When a window opens that is closed at this time: where it begins, or where the clock is set
    /// into it.
    fn next_window(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let is_opening = |time: &DateTime<Utc>| *time > after && self.is_within(self.shown(*time));
        let yesterday = self.shown(after).date().pred_opt()?;
        let days = yesterday.iter_days().take(usize::try_from(AHEAD).ok()?);
        let begins = days.flat_map(|day| self.windows.iter().filter_map(move |of| of.begin(day)));
        let moments = begins.flat_map(|shown| {
            let moments = self.zone.from_local_datetime(&shown);
            [moments.earliest(), moments.latest()]
        });
        let moments = moments.flatten().map(|moment| moment.to_utc());
        let begins = moments.filter(is_opening).min();
        let until = begins.or_else(|| after.checked_add_days(Days::new(AHEAD)))?;
        self.clock_changes(after, until).find(is_opening).or(begins)
    }

    /// The first moment of a day after a time, also where the clock skips its midnight, or shows it
    /// twice.
    fn beginning_of(&self, day: NaiveDate, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let midnight = day.and_time(NaiveTime::MIN);
        let shown = self.zone.from_local_datetime(&midnight);
        let shown = [shown.earliest(), shown.latest()];
        let mut shown = shown.into_iter().flatten().map(|shown| shown.to_utc());
        shown.find(|shown| *shown > after).or_else(|| {
            let (begin, before) = GapInfo::new(&midnight, &self.zone)?.begin?;
            Some((begin - before.fix()).and_utc())
        })
    }

    /// What the clock on the wall shows.
    fn shown(&self, time: DateTime<Utc>) -> NaiveDateTime {
        time.with_timezone(&self.zone).naive_local()
    }

    /// The changes of the zone's clock after one moment and up to another.
    fn clock_changes(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        let mut before = after;
        std::iter::from_fn(move || {
            while before < until {
                let behind = before.checked_add_signed(STEP)?.min(until);
                let change = self.clock_change(before, behind);
                before = change.unwrap_or(behind);
                if change.is_some() {
                    return change;
                }
            }
            None
        })
    }

    /// The one change of the zone's clock between two moments, to the second.
    fn clock_change(&self, before: DateTime<Utc>, behind: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset =
            |time: DateTime<Utc>| self.zone.offset_from_utc_datetime(&time.naive_utc()).fix();
        let first = offset(before);
        if offset(behind) == first {
            return None;
        }
        let (mut low, mut high) = (before.timestamp(), behind.timestamp());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if offset(DateTime::from_timestamp(middle, 0)?) == first {
                low = middle;
            } else {
                high = middle;
            }
        }
        DateTime::from_timestamp(high, 0)
    }
}

/// The minute of the day.
fn minute_of(time: NaiveTime) -> u16 {
    u16::try_from(time.num_seconds_from_midnight() / 60).unwrap_or(DAY_MINUTES)
}

#[cfg(test)]
mod tests;
