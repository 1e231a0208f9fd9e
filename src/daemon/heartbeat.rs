//! Whether the scheduler makes progress, told by a clock that nobody can set.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The greatest age of the last beat at which the daemon counts as healthy; it beats each second.
pub const HEALTHY: Duration = Duration::from_secs(15);

/// When the scheduler last made progress. Beating and asking never wait.
#[derive(Debug)]
pub struct Heartbeat {
    start: Instant,
    /// Milliseconds from `start` to the last beat.
    last: AtomicU64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

impl Heartbeat {
    /// A pulse that beats now for the first time.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(Instant::now())
    }

    /// A pulse whose first and last beat was at that moment.
    #[must_use]
    pub fn starting_at(start: Instant) -> Self {
        Self {
            start,
            last: AtomicU64::new(0),
        }
    }

    /// Notes progress.
    pub fn beat(&self) {
        // Never backwards, whoever comes last.
        self.last
            .fetch_max(milliseconds(self.start.elapsed()), Ordering::Relaxed);
    }

    /// How long ago the last progress was, to the millisecond.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// Whether the last progress was not long ago.
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
        let pulse = Heartbeat::starting_at(long_ago);
        assert!(pulse.age() >= Duration::from_secs(16) && !pulse.is_healthy());
        pulse.beat();
        assert!(pulse.age() < Duration::from_secs(5) && pulse.is_healthy());
    }
}
