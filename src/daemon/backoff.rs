//! When a job that failed is tried again. Pure: the time and the jitter are given.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{config::Retry, run::report::FailureKind};

/// The shortest delay after a server refused credentials: three attempts an hour at most, since the fourth or fifth locks the account in many directories.
pub const AFTER_REFUSAL: TimeDelta = TimeDelta::minutes(20);

/// A job's failures in a row, and when it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Failures in a row; at least one.
    pub failures: u32,
    /// When the first of them ended.
    pub since: DateTime<Utc>,
    /// When the next attempt is due.
    pub retry_at: DateTime<Utc>,
    /// Whether there were so many that the job is only probed from now on.
    pub suspended: bool,
    /// Which kind of failure the last one was.
    pub kind: FailureKind,
    /// The last failure in words.
    pub error: String,
}

/// One failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Which kind of failure it was.
    pub kind: FailureKind,
    /// In words.
    pub error: &'a str,
}

impl Backoff {
    /// What follows a failure, after those before it. `jitter` is a random number from 0 to 1, so that many installations do not come back at the same moment.
    #[must_use]
    pub fn after(before: Option<&Self>, failed: Failed<'_>, retry: &Retry, jitter: f64) -> Self {
        let Failed { at, kind, error } = failed;
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let suspended = failures >= retry.suspend_after;
        let delay = delay(failures, kind, retry, jitter);
        Self {
            failures,
            since: before.map_or(at, |before| before.since),
            retry_at: at.checked_add_signed(delay).unwrap_or(DateTime::<Utc>::MAX_UTC),
            suspended,
            kind,
            error: error.to_owned(),
        }
    }

    /// Whether the next attempt is due. A clock that was set back cannot put it off for longer than the longest delay.
    #[must_use]
    pub fn is_due(&self, now: DateTime<Utc>, retry: &Retry) -> bool {
        self.retry_at <= now || self.retry_at > now.checked_add_signed(longest(retry)).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// Doubles from `initial` up to `max`, less up to a tenth of it; from [`AFTER_REFUSAL`] upwards, plus up to a tenth, after credentials were refused.
/// A suspended job waits for the longest delay.
fn delay(failures: u32, kind: FailureKind, retry: &Retry, jitter: f64) -> TimeDelta {
    let jitter = jitter.clamp(0.0, 1.0);
    let (first, most, factor) = if kind.is_refusal() {
        (AFTER_REFUSAL, longest(retry).max(AFTER_REFUSAL), 1.0 + jitter / 10.0)
    } else {
        (span(retry.initial), span(retry.max), 1.0 - jitter / 10.0)
    };
    let doubled = 1_i32
        .checked_shl(failures.saturating_sub(1).min(30))
        .and_then(|times| first.checked_mul(times))
        .unwrap_or(most);
    let delay = if failures >= retry.suspend_after { most } else { doubled.min(most) };
    let milliseconds = delay.num_milliseconds() as f64 * factor;
    TimeDelta::try_milliseconds(milliseconds as i64).unwrap_or(most)
}

/// The longest delay of all, with the jitter that may come on top.
fn longest(retry: &Retry) -> TimeDelta {
    let most = span(retry.max).max(AFTER_REFUSAL);
    most.checked_add(&(most / 10)).unwrap_or(most)
}

fn span(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
