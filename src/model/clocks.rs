//! What this machine's clock and ftrack's show, and how long ago something was by them. Either may be
//! wrong, and which one that is cannot be known.
//!
//! A length of time is always that between two times of the same clock, and the shorter of both
//! clocks' counts: then a clock that is set wrong makes nothing older than it is, as long as the other
//! one is right, and two clocks that always differ by the same delay nothing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::readable_time::readable_time;

/// By how much two clocks may differ that both show the right time.
const RIGHT: TimeDelta = TimeDelta::minutes(2);

/// What the clocks show at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// This machine's.
    pub here: DateTime<Utc>,
    /// ftrack's; none where its answers show no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ftrack: Option<DateTime<Utc>>,
}

impl Clocks {
    /// ftrack's clock; where it shows no time, this machine's stands for it.
    fn of_ftrack(&self) -> DateTime<Utc> {
        self.ftrack.unwrap_or(self.here)
    }

    /// By how much they differ, if they do not agree.
    #[must_use]
    pub fn difference(&self) -> Option<TimeDelta> {
        let apart = (self.here - self.of_ftrack()).abs();
        (apart > RIGHT).then_some(apart)
    }

    /// The time that both show; none where they do not agree, or ftrack's shows none.
    #[must_use]
    pub fn agreed(&self) -> Option<DateTime<Utc>> {
        let ftrack = self.ftrack.filter(|_| self.difference().is_none())?;
        Some(ftrack.min(self.here))
    }

    /// The latest time that it may be.
    #[must_use]
    pub fn latest(&self) -> DateTime<Utc> {
        let other = self.ftrack.filter(|_| self.difference().is_some());
        other.map_or(self.here, |other| self.here.max(other))
    }

    /// The earliest time that it may be.
    #[must_use]
    pub fn earliest(&self) -> DateTime<Utc> {
        let other = self.ftrack.filter(|_| self.difference().is_some());
        other.map_or(self.here, |other| self.here.min(other))
    }

    /// How long ago that was: the least that a clock shows, negative where one of them showed more
    /// then than now.
    ///
    /// Where the clocks agree now, they are right. Then one that showed more was wrong then, and the
    /// other one stands for it.
    #[must_use]
    pub fn passed_since(&self, then: &Self) -> TimeDelta {
        let (of_here, of_ftrack) = self.by_each(then);
        of_here.min(of_ftrack)
    }

    /// Whether the clocks have not shown the same length of time since then, so that the one that
    /// shows less holds something up.
    #[must_use]
    pub fn differ_since(&self, then: &Self) -> bool {
        let (of_here, of_ftrack) = self.by_each(then);
        (of_here - of_ftrack).abs() > RIGHT
    }

    fn by_each(&self, then: &Self) -> (TimeDelta, TimeDelta) {
        let (mut here, mut ftrack) = (then.here, then.of_ftrack());
        if let Some(agreed) = self.agreed() {
            let is_ahead = |time: DateTime<Utc>| time - agreed > RIGHT;
            match (is_ahead(here), is_ahead(ftrack)) {
                (true, false) => here = ftrack,
                (false, true) => ftrack = here,
                (true, true) | (false, false) => {}
            }
        }
        (self.here - here, self.of_ftrack() - ftrack)
    }

    /// Whether both clocks showed more then than now, although those now agree: what was counted then
    /// is counted from now, since that time might never come.
    ///
    /// While the clocks do not agree, or there is only one, they may be wrong now: a time that a clock
    /// shows which was set back would make everything old once it is put right.
    #[must_use]
    pub fn is_surely_before(&self, then: &Self) -> bool {
        self.agreed().is_some() && self.is_before(then.here) && self.is_before(then.of_ftrack())
    }

    /// Whether neither clock shows that time yet.
    #[must_use]
    pub fn is_before(&self, time: DateTime<Utc>) -> bool {
        time - self.latest() > RIGHT
    }

    /// How far the clocks are apart, for people; none where they agree.
    fn disagreement(&self) -> Option<String> {
        // A `Date` shows whole seconds.
        let minutes = (self.difference()? + TimeDelta::seconds(30)).num_minutes();
        let apart = match minutes / (24 * 60) {
            days @ 2.. => format!("{days} days"),
            _ => {
                let seconds = u64::try_from(minutes)
                    .unwrap_or_default()
                    .saturating_mul(60);
                humantime::format_duration(Duration::from_secs(seconds)).to_string()
            }
        };
        Some(format!(
            "this machine's clock and ftrack's are {apart} apart"
        ))
    }
}

impl From<DateTime<Utc>> for Clocks {
    fn from(here: DateTime<Utc>) -> Self {
        Self { here, ftrack: None }
    }
}

/// What the clocks show now, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Present {
    /// What they show.
    pub clocks: Clocks,
    /// The time at which they agreed in the last run of the job in which they did. Time does not go
    /// back, so it still tells how long ago something is at least when one of them is set back; not
    /// where neither of them shows it yet: then both were wrong by the same.
    pub agreed_at: Option<DateTime<Utc>>,
}

impl Present {
    /// The time at which they last agreed, if it may be right.
    fn agreed_before(&self) -> Option<DateTime<Utc>> {
        self.agreed_at
            .filter(|agreed| !self.clocks.is_before(*agreed))
    }

    /// How long ago that was at least: see [`Clocks::passed_since`].
    #[must_use]
    pub fn passed_since(&self, then: &Clocks) -> TimeDelta {
        let passed = self.clocks.passed_since(then);
        let until_agreed = self.agreed_before().map(|agreed_at| {
            let agreed = Clocks {
                here: agreed_at,
                ftrack: Some(agreed_at),
            };
            agreed.passed_since(then)
        });
        until_agreed.map_or(passed, |until| until.max(passed))
    }

    /// The earliest time that it may be.
    #[must_use]
    pub fn earliest(&self) -> DateTime<Utc> {
        let earliest = self.clocks.earliest();
        self.agreed_before()
            .map_or(earliest, |agreed| agreed.max(earliest))
    }

    /// How far the clocks are apart and which one looks wrong, for people; none where they agree.
    /// The wrong one is that which is further from the time at which they last agreed.
    #[must_use]
    pub fn disagreement(&self) -> Option<String> {
        let apart = self.clocks.disagreement()?;
        let Some(agreed_at) = self.agreed_before() else {
            return Some(apart);
        };
        let (here, ftrack) = (self.clocks.here, self.clocks.of_ftrack());
        let from = |clock: DateTime<Utc>| (clock - agreed_at).abs();
        let whose = if from(here) > from(ftrack) {
            "this machine's"
        } else {
            "ftrack's"
        };
        // The same as long as they differ by the same: what is said once need not be repeated.
        Some(format!(
            "{apart}, and {whose} looks wrong: they last agreed at {}",
            readable_time(agreed_at, &Utc)
        ))
    }
}

impl From<Clocks> for Present {
    fn from(clocks: Clocks) -> Self {
        Self {
            clocks,
            agreed_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::{option, prelude::*, sample::select};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn clocks_that_differ_by_little_agree() {
        let here = at("2026-11-25T12:00:00Z");
        for (ahead, agree) in [
            (0, true),
            (120, true),
            (-120, true),
            (121, false),
            (-121, false),
        ] {
            let ftrack = here + TimeDelta::seconds(ahead);
            let clocks = Clocks {
                here,
                ftrack: Some(ftrack),
            };
            assert_eq!(clocks.difference().is_none(), agree, "{ahead}");
            assert_eq!(clocks.agreed(), agree.then_some(here.min(ftrack)));
            if agree {
                assert_eq!((clocks.earliest(), clocks.latest()), (here, here));
            } else {
                assert_eq!(clocks.earliest(), here.min(ftrack));
                assert_eq!(clocks.latest(), here.max(ftrack));
            }
        }
        assert_eq!(Clocks::from(here).agreed(), None, "one agrees with nobody");
    }

    /// Both were a year ahead, by the same, and were put right.
    #[test]
    fn a_time_at_which_both_were_wrong_makes_nothing_old() {
        let then = at("2026-11-25T11:00:00Z");
        for ftrack in ["2026-11-25T12:00:00Z", "2026-11-25T12:05:00Z"] {
            let clocks = Clocks {
                here: at("2026-11-25T12:00:00Z"),
                ftrack: Some(at(ftrack)),
            };
            let present = Present {
                clocks,
                agreed_at: Some(at("2027-11-25T11:30:00Z")),
            };
            let then = Clocks {
                here: then,
                ftrack: Some(then),
            };
            assert_eq!(present.passed_since(&then), TimeDelta::hours(1));
            assert_eq!(present.earliest(), clocks.earliest());
            assert_eq!(present.disagreement(), clocks.disagreement());
        }
    }

    #[test]
    fn the_clock_that_looks_wrong_is_told() {
        let agreed = at("2026-11-25T12:00:00Z");
        let told = |here: &str, ftrack: &str, agreed| {
            let clocks = Clocks {
                here: at(here),
                ftrack: Some(at(ftrack)),
            };
            let present = Present {
                clocks,
                agreed_at: agreed,
            };
            present.disagreement()
        };
        let now = "2026-11-25T13:00:00Z";
        insta::assert_snapshot!(
            told(now, "2021-11-25T13:00:00Z", Some(agreed)).unwrap(),
            @"this machine's clock and ftrack's are 1826 days apart, and ftrack's looks wrong: they last agreed at 2026-11-25 12:00:00 UTC"
        );
        insta::assert_snapshot!(
            told("2027-11-25T13:00:00Z", now, Some(agreed)).unwrap(),
            @"this machine's clock and ftrack's are 365 days apart, and this machine's looks wrong: they last agreed at 2026-11-25 12:00:00 UTC"
        );
        insta::assert_snapshot!(told("1970-01-01T00:00:00Z", now, Some(agreed)).unwrap(), @"this machine's clock and ftrack's are 20782 days apart, and this machine's looks wrong: they last agreed at 2026-11-25 12:00:00 UTC");
        insta::assert_snapshot!(told(now, "2026-11-25T18:07:30Z", None).unwrap(), @"this machine's clock and ftrack's are 5h 8m apart");
        assert_eq!(told(now, now, Some(agreed)), None);
    }

    /// By how much a clock is wrong, in minutes.
    fn wrong() -> impl Strategy<Value = i64> {
        let year = 365 * 24 * 60;
        select(vec![0, 0, 1, 300, -300, year, -year, 9 * year, -56 * year])
    }

    fn shown(time: DateTime<Utc>, wrong: i64) -> DateTime<Utc> {
        time + TimeDelta::minutes(wrong)
    }

    proptest! {
        /// Whatever one clock shows, then and now, nothing is older than it is by the other one.
        #[test]
        fn one_wrong_clock_makes_nothing_older(
            passed in 0_i64..1_000_000,
            (was, between, is) in (wrong(), wrong(), wrong()),
            is_ftracks in any::<bool>(),
        ) {
            let then = at("2026-11-25T12:00:00Z");
            let clocks = |time: DateTime<Utc>, wrong| {
                let (right, wrong) = (time, shown(time, wrong));
                let (here, ftrack) = if is_ftracks { (right, wrong) } else { (wrong, right) };
                Clocks { here, ftrack: Some(ftrack) }
            };
            let passed = TimeDelta::minutes(passed);
            let (then, now) = (clocks(then, was), clocks(then + passed, is));
            prop_assert!(now.passed_since(&then) <= passed + RIGHT);
            prop_assert!(now.earliest() <= shown(at("2026-11-25T12:00:00Z"), 2) + passed);
            // Nor does it when both agreed at some time in between.
            let agreed_at = clocks(at("2026-11-25T12:00:00Z") + passed / 2, between).agreed();
            let present = Present { clocks: now, agreed_at };
            prop_assert!(present.passed_since(&then) <= passed + RIGHT);
            prop_assert!(present.earliest() <= shown(at("2026-11-25T12:00:00Z"), 2) + passed);
            // And where it is counted anew, it is later than it was.
            if now.is_surely_before(&then) {
                prop_assert!(now.passed_since(&now) <= passed);
            }
        }

        /// Clocks that always differ by the same show what one clock would.
        #[test]
        fn a_difference_that_stays_changes_nothing(passed in 0_i64..1_000_000, apart in wrong()) {
            let then = at("2026-11-25T12:00:00Z");
            let clocks = |time| Clocks { here: time, ftrack: Some(shown(time, apart)) };
            let passed = TimeDelta::minutes(passed);
            let now = clocks(then + passed);
            prop_assert_eq!(now.passed_since(&clocks(then)), passed);
            prop_assert!(!now.differ_since(&clocks(then)));
        }

        /// What an earlier version saved has one time, the latest that it may have been. It counts as
        /// it did: from then until the earliest time that it may be.
        #[test]
        fn a_single_time_counts_as_it_did(
            passed in -1000_i64..1_000_000,
            ftrack in option::of(wrong()),
        ) {
            let then = at("2026-11-25T12:00:00Z");
            let here = then + TimeDelta::minutes(passed);
            let now = Clocks { here, ftrack: ftrack.map(|wrong| shown(here, wrong)) };
            prop_assert!(now.passed_since(&then.into()) <= now.earliest() - then);
            prop_assert!(now.passed_since(&then.into()) >= now.earliest() - then - RIGHT);
        }

        /// Whatever they show, something is said, and nothing overflows.
        #[test]
        fn any_time_can_be_compared(times in [any::<i64>(); 4], agreed in any::<i64>()) {
            let time = |seconds: &i64| {
                let seconds = seconds % DateTime::<Utc>::MAX_UTC.timestamp();
                DateTime::from_timestamp(seconds, 0).unwrap_or_default()
            };
            let [here, ftrack, was_here, was_ftrack] = times.each_ref().map(time);
            let (then, now) = (
                Clocks { here: was_here, ftrack: Some(was_ftrack) },
                Clocks { here, ftrack: Some(ftrack) },
            );
            let present = Present { clocks: now, agreed_at: Some(time(&agreed)) };
            let _ = (present.passed_since(&then), now.is_surely_before(&then), present.earliest());
            prop_assert_eq!(present.disagreement().is_some(), now.difference().is_some());
        }
    }
}
