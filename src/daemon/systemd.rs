//! What systemd is told (sd_notify(3)); nothing where nobody listens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The way to the one who started the daemon.
#[derive(Debug)]
pub struct Systemd {
    /// How often a sign of life is wanted; a third of what systemd waits.
    watchdog: Option<Duration>,
    last_sign: Option<std::time::Instant>,
    last_words: String,
}

impl Systemd {
    /// Looks who listens.
    #[must_use]
    pub fn new() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled().map(|limit| limit / 3),
            last_sign: None,
            last_words: String::new(),
        }
    }

    /// The configuration is valid, and the schedule runs.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The configuration is taken anew; `ready` ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The daemon stops, and may take so long.
    pub fn stopping(&self, limit: Duration) {
        let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(limit)]);
    }

    /// The scheduler made progress: a sign of life where one is due.
    pub fn feed_watchdog(&mut self) {
        let Some(every) = self.watchdog else { return };
        if self.last_sign.is_none_or(|last| last.elapsed() >= every) {
            self.last_sign = Some(std::time::Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// What the daemon is doing, in one line, when it has changed.
    pub fn set_status(&mut self, words: String) {
        if words != self.last_words {
            tell(&[NotifyState::Status(&words)]);
            self.last_words = words;
        }
    }
}

impl Default for Systemd {
    fn default() -> Self {
        Self::new()
    }
}

/// One who does not listen any more is no error.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
