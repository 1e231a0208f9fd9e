//! Whether a server did not answer lately, so that it is asked after the others. No I/O.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::error::DirectoryError;

/// For how long a server that did not answer is asked last: its time limit is spent once in that
/// time, and the preferred server is used again soon after it is back.
const ASKED_LAST: Duration = Duration::from_secs(5 * 60);
/// For how long it counts as tried: asking it again would show the same.
const COUNTS_AS_TRIED: Duration = Duration::from_secs(30);
/// A failure that came sooner costs nobody anything: such a server is asked first all the same.
const QUICK: Duration = Duration::from_secs(1);

/// The last time that a server did not answer, until it does.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Unanswered>>);

#[derive(Debug, Clone)]
struct Unanswered {
    at: Instant,
    /// What was tried then, and how it failed.
    reason: String,
    stage: Stage,
}

/// How far it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No connection was made.
    Connecting,
    /// It was connected to, and then did not answer.
    Connected,
}

impl Outage {
    /// It answered.
    pub fn over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It failed after so long; quick failures and those of this program do not count.
    pub fn failed(&self, error: &DirectoryError, stage: Stage, took: Duration) {
        let is_silence = matches!(error, DirectoryError::TimedOut { .. });
        let is_own = matches!(
            error,
            DirectoryError::PoolExhausted { .. } | DirectoryError::NotAsked { .. }
        );
        if is_silence || (took >= QUICK && error.concerns_one_server() && !is_own) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Unanswered {
                at: Instant::now(),
                reason: error.what(),
                stage,
            });
        }
    }

    /// Whether the others are asked first.
    pub fn is_recent(&self) -> bool {
        self.within(ASKED_LAST).is_some()
    }

    /// How long ago no connection could be made and why, if that counts as tried.
    pub fn just_tried(&self) -> Option<(Duration, String)> {
        let unanswered = self.within(COUNTS_AS_TRIED)?;
        (unanswered.stage == Stage::Connecting)
            .then(|| (unanswered.at.elapsed(), unanswered.reason))
    }

    fn within(&self, time: Duration) -> Option<Unanswered> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().filter(|last| last.at.elapsed() < time)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn silent() -> DirectoryError {
        DirectoryError::TimedOut {
            server: "ldap://a".into(),
            tried: "connecting".into(),
            limit: Duration::from_secs(1),
        }
    }

    fn lost() -> DirectoryError {
        DirectoryError::Lost {
            server: "ldap://a".into(),
            tried: "the bind".into(),
            reason: "it was closed".into(),
        }
    }

    fn aged(outage: &Outage, by: Duration) {
        let mut last = outage.0.lock().unwrap();
        let last = last.as_mut().unwrap();
        last.at = last.at.checked_sub(by).unwrap();
    }

    #[test]
    fn it_is_asked_last_for_a_while() {
        let outage = Outage::default();
        assert!(!outage.is_recent());
        outage.failed(&silent(), Stage::Connecting, Duration::ZERO);
        assert!(outage.is_recent() && outage.just_tried().is_some());
        aged(&outage, COUNTS_AS_TRIED);
        assert!(outage.is_recent() && outage.just_tried().is_none());
        aged(&outage, ASKED_LAST);
        assert!(!outage.is_recent());
        outage.failed(&silent(), Stage::Connecting, Duration::ZERO);
        outage.over();
        assert!(!outage.is_recent());
    }

    #[test]
    fn what_costs_no_time_does_not_count() {
        let outage = Outage::default();
        outage.failed(&lost(), Stage::Connecting, QUICK / 2);
        let exhausted = DirectoryError::PoolExhausted {
            server: "ldap://a".into(),
            limit: QUICK,
        };
        outage.failed(&exhausted, Stage::Connecting, QUICK);
        outage.failed(&DirectoryError::Cancelled, Stage::Connecting, QUICK);
        assert!(!outage.is_recent());
        outage.failed(&lost(), Stage::Connecting, QUICK);
        assert!(outage.is_recent());
    }

    #[test]
    fn whoever_was_connected_to_is_asked_again() {
        let outage = Outage::default();
        outage.failed(&silent(), Stage::Connected, QUICK);
        assert!(outage.is_recent() && outage.just_tried().is_none());
    }
}
