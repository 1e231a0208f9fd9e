//! When a failed job is retried. Pure: the time and the jitter are given.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::model::report::FailureKind;

/// The shortest delay after a server refused credentials: at most three attempts an hour, since the
/// fourth or fifth locks the account in many directories.
pub const AFTER_REFUSAL: TimeDelta = TimeDelta::minutes(20);

/// How failed runs are retried.
#[derive(Debug, Clone)]
pub struct Retry {
    /// The first delay.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// The number of failures in a row after which the job is suspended.
    pub suspend_after: u32,
}

/// A job's failures in a row, and when it is retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Failures in a row; at least one.
    pub failures: u32,
    /// When the first of them ended.
    pub since: DateTime<Utc>,
    /// When the next attempt is due.
    pub retry_at: DateTime<Utc>,
    /// Whether there were enough failures to suspend the job.
    pub suspended: bool,
    /// The kind of the last failure.
    pub kind: FailureKind,
    /// The last failure's message.
    pub error: String,
    /// How long the server asked to wait, if longer than what follows from the failures; not saved,
    /// so that a new daemon tries at once.
    #[serde(skip)]
    pub asked: Option<TimeDelta>,
}

/// One failed attempt.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Failed<'a> {
    /// When it ended.
    pub at: DateTime<Utc>,
    pub kind: FailureKind,
    /// The message.
    pub error: &'a str,
    /// How long the server asked to wait.
    pub asked: Option<Duration>,
}

/// The longest time that a server may ask to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

impl Backoff {
    /// The back-off after a failure, given the one before it. `jitter` is a random number from 0 to
    /// 1, so that many installations do not return at the same moment.
    #[must_use]
    pub fn after(before: Option<&Self>, failed: Failed<'_>, retry: &Retry, jitter: f64) -> Self {
        let Failed {
            at,
            kind,
            error,
            asked,
        } = failed;
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let suspended = failures >= retry.suspend_after;
        let meant = delay(failures, kind, retry, jitter);
        let asked = asked
            .map(|asked| span(asked.min(LONGEST_ASKED)))
            .filter(|asked| *asked > meant);
        let delay = asked.unwrap_or(meant);
        Self {
            failures,
            since: before.map_or(at, |before| before.since),
            retry_at: at
                .checked_add_signed(delay)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
            suspended,
            kind,
            error: error.to_owned(),
            asked,
        }
    }

    /// When it is retried by itself; none if it must wait for its schedule.
    #[must_use]
    pub fn retries_at(&self) -> Option<DateTime<Utc>> {
        (!self.kind.waits_for_schedule()).then_some(self.retry_at)
    }

    /// Whether the next attempt is due. If the clock was set back, the delay is never longer than
    /// originally intended.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>, retry: &Retry) -> bool {
        if self.kind.waits_for_schedule() {
            return false;
        }
        let meant = [0.0, 1.0]
            .map(|jitter| delay(self.failures, self.kind, retry, jitter))
            .into_iter()
            .chain(self.asked)
            .max();
        self.retry_at <= now || meant.is_some_and(|meant| self.retry_at - now > meant)
    }
}

/// A deadline that is not extended when the clock is set back: that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutOff {
    /// When it was set.
    pub since: DateTime<Utc>,
    /// The deadline.
    pub until: DateTime<Utc>,
}

impl PutOff {
    /// Whether it is still in the future.
    #[must_use]
    pub fn lasts(&self, now: DateTime<Utc>) -> bool {
        self.since <= now && now < self.until
    }
}

/// Doubles from `initial` up to `max`, minus up to a tenth; see [`after_refusal`] for refused
/// credentials. A suspended job waits for the longest delay.
fn delay(failures: u32, kind: FailureKind, retry: &Retry, jitter: f64) -> TimeDelta {
    let max = span(retry.max);
    let suspended = failures >= retry.suspend_after;
    if kind.is_refusal() {
        let most = max.max(AFTER_REFUSAL);
        return if suspended {
            times(most, 1.0 + share(jitter))
        } else {
            after_refusal(failures, most, jitter)
        };
    }
    let delay = if suspended {
        max
    } else {
        doubled(span(retry.initial), failures, max)
    };
    times(delay, 1.0 - share(jitter))
}

/// The delay after refused credentials: doubles from [`AFTER_REFUSAL`] up to `most`, plus up to a
/// tenth, so that there are never more than three attempts an hour.
#[must_use]
pub fn after_refusal(failures: u32, most: TimeDelta, jitter: f64) -> TimeDelta {
    times(
        doubled(AFTER_REFUSAL, failures, most.max(AFTER_REFUSAL)),
        1.0 + share(jitter),
    )
}

fn doubled(first: TimeDelta, failures: u32, most: TimeDelta) -> TimeDelta {
    let factor = 1_i32
        .checked_shl(failures.saturating_sub(1).min(30))
        .unwrap_or(i32::MAX);
    first
        .checked_mul(factor)
        .map_or(most, |delay| delay.min(most))
}

/// At most a tenth.
fn share(jitter: f64) -> f64 {
    jitter.clamp(0.0, 1.0) / 10.0
}

fn times(delay: TimeDelta, factor: f64) -> TimeDelta {
    // A configured duration has fewer milliseconds than a float represents exactly.
    TimeDelta::try_milliseconds((delay.num_milliseconds() as f64 * factor) as i64).unwrap_or(delay)
}

fn span(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const RETRY: Retry = Retry {
        initial: Duration::from_secs(60),
        max: Duration::from_secs(3600),
        suspend_after: 10,
    };

    fn delays(kind: FailureKind, times: u32, jitter: f64) -> Vec<i64> {
        let at = DateTime::UNIX_EPOCH;
        let mut before = None;
        let mut delays = Vec::new();
        for _ in 0..times {
            let after = Backoff::after(
                before.as_ref(),
                Failed {
                    at,
                    kind,
                    error: "",
                    asked: None,
                },
                &RETRY,
                jitter,
            );
            delays.push((after.retry_at - at).num_seconds());
            before = Some(after);
        }
        delays
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        assert_eq!(
            delays(FailureKind::Directory, 8, 0.0),
            [60, 120, 240, 480, 960, 1920, 3600, 3600]
        );
        assert_eq!(delays(FailureKind::Directory, 2, 1.0), [54, 108]);
    }

    #[test]
    fn refused_credentials_are_left_alone_for_much_longer() {
        assert_eq!(
            delays(FailureKind::DirectoryRefused, 4, 0.0),
            [1200, 2400, 3600, 3600]
        );
        assert_eq!(delays(FailureKind::FtrackRefused, 2, 1.0), [1320, 2640]);
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off_for_longer_than_was_meant() {
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        for kind in [FailureKind::Directory, FailureKind::FtrackRefused] {
            let backoff = Backoff::after(
                None,
                Failed {
                    at,
                    kind,
                    error: "",
                    asked: None,
                },
                &RETRY,
                0.5,
            );
            assert!(
                !backoff.is_due(at, &RETRY) && backoff.is_due(at - TimeDelta::hours(1), &RETRY)
            );
        }
    }

    #[test]
    fn what_the_server_asks_for_is_waited_for() {
        let at = DateTime::UNIX_EPOCH;
        let failed = |asked: u64| Failed {
            at,
            kind: FailureKind::Ftrack,
            error: "",
            asked: Some(Duration::from_secs(asked)),
        };
        let delay = |asked| {
            let backoff = Backoff::after(None, failed(asked), &RETRY, 0.0);
            assert!(!backoff.is_due(backoff.retry_at - TimeDelta::seconds(1), &RETRY));
            (backoff.retry_at - at).num_seconds()
        };
        assert_eq!([30, 7200, u64::MAX].map(delay), [60, 7200, 24 * 3600]);
    }

    #[test]
    fn a_job_is_suspended_after_so_many() {
        let at = DateTime::UNIX_EPOCH;
        let failed = Failed {
            at,
            kind: FailureKind::Ftrack,
            error: "",
            asked: None,
        };
        let mut backoff = Backoff::after(None, failed, &RETRY, 0.0);
        for _ in 2..10 {
            backoff = Backoff::after(Some(&backoff), failed, &RETRY, 0.0);
        }
        assert_eq!((backoff.failures, backoff.suspended), (9, false));
        backoff = Backoff::after(Some(&backoff), failed, &RETRY, 0.0);
        assert_eq!(
            (
                backoff.failures,
                backoff.suspended,
                (backoff.retry_at - at).num_seconds()
            ),
            (10, true, 3600)
        );
    }

    proptest! {
        #[test]
        fn never_above_the_longest_and_never_panics(
            failures in 0_u32..u32::MAX, initial in 1_u64..u64::MAX / 4, max in 1_u64..u64::MAX / 4, jitter in -1.0_f64..2.0, at in 0_i64..4_000_000_000,
        ) {
            let retry = Retry { initial: Duration::from_secs(initial.min(max)), max: Duration::from_secs(max), suspend_after: 7 };
            let at = DateTime::from_timestamp(at, 0).unwrap();
            let before = Backoff { failures, since: at, retry_at: at, suspended: false, kind: FailureKind::State, error: String::new(), asked: None };
            for kind in [FailureKind::State, FailureKind::DirectoryRefused] {
                let after = Backoff::after(Some(&before), Failed { at, kind, error: "", asked: None }, &retry, jitter);
                prop_assert!(after.retry_at >= at);
                prop_assert!(after.is_due(after.retry_at, &retry));
            }
        }

        /// At most four attempts an hour, whatever the jitter: three intervals are an hour or more.
        #[test]
        fn three_intervals_after_refusals_are_an_hour(jitter in prop::collection::vec(0.0_f64..1.0, 20), suspend_after in 1_u32..20) {
            let retry = Retry { initial: Duration::from_secs(1), max: Duration::from_secs(1), suspend_after };
            let mut times = vec![DateTime::UNIX_EPOCH];
            let mut before = None;
            for jitter in jitter {
                let at = *times.last().unwrap();
                let after = Backoff::after(before.as_ref(), Failed { at, kind: FailureKind::DirectoryRefused, error: "", asked: None }, &retry, jitter);
                times.push(after.retry_at);
                before = Some(after);
            }
            for four in times.windows(4) {
                prop_assert!(four[3] - four[0] >= TimeDelta::hours(1));
            }
        }
    }
}
