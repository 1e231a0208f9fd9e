//! What the calls of one run have shown besides their answers.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::Reader;
use crate::{
    event::RetryLogged,
    ftrack::error::{FtrackErrorKind, RetryCause},
};

/// What the calls of one run have shown.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// How long the server last asked to wait, in seconds, if too long for a call; 0 if it did not.
    asked_to_wait: AtomicU64,
    retries: AtomicU64,
    /// What calls were repeated for.
    causes: Mutex<HashSet<RetryCause>>,
    clock: Mutex<Option<ServerTime>>,
}

/// What the server's clock showed.
#[derive(Debug, Clone, Copy)]
struct ServerTime {
    shown: DateTime<Utc>,
    at: Instant,
}

impl Observed {
    /// The server asked to wait for longer than a call does.
    pub fn ask_to_wait(&self, asked: Duration) {
        self.asked_to_wait.store(asked.as_secs(), Ordering::Relaxed);
    }

    /// Counts a retry.
    pub fn retry(&self, trouble: &FtrackErrorKind) -> RetryLogged {
        self.retries.fetch_add(1, Ordering::Relaxed);
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.insert(trouble.retry_cause()) {
            RetryLogged::Not
        } else {
            RetryLogged::Before
        }
    }

    /// The server's clock shows this; none where an answer shows no time.
    pub fn set_time(&self, shown: Option<SystemTime>) {
        let time = shown.map(|shown| ServerTime {
            shown: shown.into(),
            at: Instant::now(),
        });
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }
}

impl Reader {
    /// How long the server last asked to wait, if that was too long for a call to wait.
    #[must_use]
    pub fn asked_to_wait(&self) -> Option<Duration> {
        let seconds = self.observed.asked_to_wait.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// How many calls of the run were repeated.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.observed.retries.load(Ordering::Relaxed)
    }

    /// The time by the server's clock; none where its answers show none.
    #[must_use]
    pub fn time(&self) -> Option<DateTime<Utc>> {
        let clock = self.observed.clock.lock();
        let ServerTime { shown, at } = (*clock.unwrap_or_else(PoisonError::into_inner))?;
        shown.checked_add_signed(TimeDelta::from_std(at.elapsed()).ok()?)
    }
}
