//! When a job is due: its cron expression in its time zone, across clock changes. Pure: the time is
//! given.
//!
//! The expression's fields are those of croner, but croner is only used on a clock without
//! changes, and the changes are handled here: in a zone that has them, croner 3.0.1 omits the
//! repeated hour of `*/15 * * * *` and the skipped times of `30 2,3 * * *`, and it looks for the
//! end of a gap no further than two hours. Two rules instead of that:
//!
//! - Where the hour field is `*` (`@hourly` as well), a job is due at each matching moment that the
//!   wall clock shows: it runs twice in an hour that occurs twice, and nothing replaces an hour
//!   that is skipped.
//! - Where hours are named, each time of day is due once a day: a skipped time is due at the first
//!   moment after the gap (several such times are one), and of a time that occurs twice the first
//!   counts.

use std::{iter, time::Duration};

use chrono::{DateTime, NaiveDateTime, Offset, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use uuid::Uuid;

use crate::{
    config::{job::Job, value::CronExpression},
    model::window::Opening,
};

/// When a job is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    expression: CronExpression,
    hours: Hours,
    zone: Tz,
    /// The delay after the time of the expression; whole seconds, and less than the splay.
    lag: TimeDelta,
}

/// What a job is due for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A run of this job that reads everything.
    Everything(String),
    /// A run of this job that reads what changed.
    Changes(String),
}

/// Follows the name of a job, which has no such character.
const OF_CHANGES: &str = ":changes";

impl Due {
    /// The name of the schedule.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Everything(job) => job.clone(),
            Self::Changes(job) => format!("{job}{OF_CHANGES}"),
        }
    }

    /// What the schedule with this name is for.
    #[must_use]
    pub fn named(name: String) -> Self {
        match name.strip_suffix(OF_CHANGES) {
            Some(job) => Self::Changes(job.to_owned()),
            None => Self::Everything(name),
        }
    }
}

/// How many runs are looked at, each the first after something opens.
const RUNS: usize = 100;

/// What the hour field contains, which determines the handling of clock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hours {
    Every,
    Named,
}

/// Two clock changes of a zone are further apart than this.
const STEP: TimeDelta = TimeDelta::hours(3);

/// The namespace of the hash that spreads the jobs.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f6e_90d1_54c8_5a7b_8e1d_3c0b_96af_7d42);

impl Schedule {
    /// The schedule of a configured job on a host; a job that runs only on request has none.
    #[must_use]
    pub fn of(name: &str, job: &Job, host: &str) -> Option<Self> {
        let expression = job.schedule.as_ref()?;
        Some(Self::new(expression, job.timezone, job.splay, host, name))
    }

    /// The schedule by which it reads what changed, if it has one.
    #[must_use]
    pub fn of_changes(name: &str, job: &Job, host: &str) -> Option<Self> {
        let expression = job.ldap()?.changes_schedule.as_ref()?;
        Some(Self::new(expression, job.timezone, job.splay, host, name))
    }

    /// The schedules of a configured job, by their names.
    pub fn all_of(name: &str, job: &Job, host: &str) -> impl Iterator<Item = (String, Self)> {
        let changes = Self::of_changes(name, job, host)
            .map(|schedule| (Due::Changes(name.to_owned()).name(), schedule));
        let everything = Self::of(name, job, host)
            .map(|schedule| (Due::Everything(name.to_owned()).name(), schedule));
        everything.into_iter().chain(changes)
    }

    /// The schedule of a job on a host.
    ///
    /// With a `splay`, everything is due later by a delay that is always the same for the same host
    /// and job: a UUID of version 5 (RFC 9562) of both names, modulo the splay's seconds.
    #[must_use]
    pub fn new(
        expression: &CronExpression,
        zone: Tz,
        splay: Duration,
        host: &str,
        job: &str,
    ) -> Self {
        let hash = Uuid::new_v5(&NAMESPACE, format!("{host}\0{job}").as_bytes()).as_u128();
        let seconds = splay.as_secs() + u64::from(splay.subsec_nanos() > 0);
        let lag = hash
            .checked_rem(u128::from(seconds))
            .and_then(|lag| i64::try_from(lag).ok());
        Self {
            expression: expression.clone(),
            hours: hours(expression.as_str()),
            zone,
            lag: lag.and_then(TimeDelta::try_seconds).unwrap_or_default(),
        }
    }

    /// The first moment after this one at which the job is due; never this one itself, and a whole
    /// second. There are none after the year 4900, and times before 1970 count as 1970.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let after = after.checked_sub_signed(self.lag)?;
        let last = Utc.with_ymd_and_hms(4900, 1, 1, 0, 0, 0).single()?;
        // The second before, so that the moment 1970 itself is found as any other.
        let first = DateTime::<Utc>::UNIX_EPOCH - TimeDelta::seconds(1);
        let after = Some(after.max(first))
            .filter(|after| *after < last)?
            .trunc_subsecs(0);
        let next = match self.hours {
            Hours::Every => self.shown_after(after),
            Hours::Named => self.named_after(after),
        };
        next?.checked_add_signed(self.lag)
    }

    /// All moments after this one at which the job is due.
    pub fn occurrences(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        iter::successors(self.next_after(after), |last| self.next_after(*last))
    }

    /// The first moment after this one at which the job is due and this is open; none in a long time.
    #[must_use]
    pub fn first_inside(
        &self,
        opening: &Opening<'_>,
        after: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut after = after;
        for _ in 0..RUNS {
            let due = self.next_after(after)?;
            let opens = opening.opens_at(due)?;
            if opens == due {
                return Some(due);
            }
            // A run at the moment at which it opens is inside.
            after = opens.checked_sub_signed(TimeDelta::seconds(1))?;
        }
        None
    }

    /// Whether the job was due after its last run started and up to now.
    #[must_use]
    pub fn missed_since(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.next_after(last).is_some_and(|due| due <= now)
    }

    /// The cron expression.
    #[must_use]
    pub fn expression(&self) -> &CronExpression {
        &self.expression
    }

    /// The time zone of the expression.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The delay caused by the splay.
    #[must_use]
    pub fn lag(&self) -> Duration {
        self.lag.to_std().unwrap_or_default()
    }

    /// The first matching moment that the clock shows. Between two changes the clock is linear, so
    /// one such part after the other is searched.
    fn shown_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut piece = after;
        let mut searched = after;
        loop {
            let offset = self.offset(piece);
            let found = (self.match_after((searched + offset).naive_utc())? - offset).and_utc();
            let Some(change) = self.change(piece, found) else {
                return Some(found);
            };
            piece = change;
            searched = change - TimeDelta::seconds(1);
        }
    }

    /// The first moment that corresponds to a matching time of day. Later times of day never
    /// correspond to earlier moments, so the search starts from the present time of day.
    fn named_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut time = (after + self.offset(after)).naive_utc();
        loop {
            time = self.match_after(time)?;
            let moment = self.moment(time)?;
            // While times occur for the second time, their moments have passed.
            if moment > after {
                return Some(moment);
            }
        }
    }

    /// The moment of a time of day: when it first occurs, or the end of the gap that contains it.
    fn moment(&self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        let shown = self
            .zone
            .from_local_datetime(&time)
            .earliest()
            .map(|shown| shown.to_utc());
        shown.or_else(|| {
            let (begin, before) = GapInfo::new(&time, &self.zone)?.begin?;
            Some((begin - before.fix()).and_utc())
        })
    }

    /// The first match after this time, on a clock without changes.
    fn match_after(&self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        Some(
            self.expression
                .cron()
                .find_next_occurrence(&time.and_utc(), false)
                .ok()?
                .naive_utc(),
        )
    }

    /// The first clock change of the zone after one moment and up to another.
    fn change(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(after);
        let mut before = after;
        while before < until {
            let mut behind = (before + STEP).min(until);
            if self.offset(behind) == offset {
                before = behind;
                continue;
            }
            while behind - before > TimeDelta::seconds(1) {
                let middle = before + TimeDelta::seconds((behind - before).num_seconds() / 2);
                *(if self.offset(middle) == offset {
                    &mut before
                } else {
                    &mut behind
                }) = middle;
            }
            return Some(behind);
        }
        None
    }

    /// The zone's offset from UTC.
    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        TimeDelta::seconds(i64::from(offset.local_minus_utc()))
    }
}

/// The hour field of a valid expression.
fn hours(expression: &str) -> Hours {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    match fields.as_slice() {
        [word] if word.eq_ignore_ascii_case("@hourly") => Hours::Every,
        [_, "*", _, _, _] | [_, _, "*", _, _, _] => Hours::Every,
        _ => Hours::Named,
    }
}
