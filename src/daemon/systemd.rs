//! Notifications to systemd (sd_notify(3)); no effect without a notify socket.

use std::time::Duration;

use sd_notify::NotifyState;

/// The notify socket.
#[derive(Debug)]
pub struct Systemd {
    /// The interval of watchdog notifications; a third of systemd's timeout.
    watchdog: Option<Duration>,
    last_sign: Option<std::time::Instant>,
    last_words: String,
}

impl Systemd {
    /// Reads the environment variables of systemd.
    #[must_use]
    pub fn new() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled().map(|limit| limit / 3),
            last_sign: None,
            last_words: String::new(),
        }
    }

    /// READY: the configuration is valid, and the schedule runs.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// RELOADING: the configuration is being reloaded; `ready` ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// STOPPING, with the time that this may take.
    pub fn stopping(&self, limit: Duration) {
        let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(limit)]);
    }

    /// WATCHDOG, where it is due: the scheduler made progress.
    pub fn feed_watchdog(&mut self) {
        let Some(every) = self.watchdog else { return };
        if self.last_sign.is_none_or(|last| last.elapsed() >= every) {
            self.last_sign = Some(std::time::Instant::now());
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// STATUS: what the daemon is doing, in one line, when it has changed.
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

/// A missing receiver is not an error.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
