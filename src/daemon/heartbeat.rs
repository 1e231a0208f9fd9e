//! The scheduler's heartbeat, measured by a monotonic clock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The maximum age of the last heartbeat of a healthy daemon; the interval is one second.
pub const HEALTHY: Duration = Duration::from_secs(15);

/// When the scheduler last made progress. Neither setting nor reading it blocks.
#[derive(Debug)]
pub struct Heartbeat {
    start: Instant,
    /// Milliseconds from `start` to the last heartbeat.
    last: AtomicU64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

impl Heartbeat {
    /// Starts with a heartbeat now.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(Instant::now())
    }

    /// Starts with its only heartbeat at that moment.
    #[must_use]
    pub fn starting_at(start: Instant) -> Self {
        Self {
            start,
            last: AtomicU64::new(0),
        }
    }

    /// Records progress.
    pub fn beat(&self) {
        // Never backwards, whatever the order of the callers.
        self.last
            .fetch_max(milliseconds(self.start.elapsed()), Ordering::Relaxed);
    }

    /// The age of the last heartbeat, to the millisecond.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// Whether the last heartbeat is recent.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.age() < HEALTHY
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Heartbeat;

    #[test]
    fn it_ages_until_it_beats() {
        let Some(long_ago) = Instant::now().checked_sub(Duration::from_secs(16)) else {
            return;
        };
        let heartbeat = Heartbeat::starting_at(long_ago);
        assert!(heartbeat.age() >= Duration::from_secs(16) && !heartbeat.is_healthy());
        heartbeat.beat();
        assert!(heartbeat.age() < Duration::from_secs(5) && heartbeat.is_healthy());
    }
}
