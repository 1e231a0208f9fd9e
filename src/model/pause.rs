//! A job that a person told to wait.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Since when a job waits, until when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it was told to wait.
    pub since: DateTime<Utc>,
    /// When it goes on by itself; only when it is told to, if absent.
    pub until: Option<DateTime<Utc>>,
    /// What the person said about it.
    pub reason: Option<String>,
}

impl Pause {
    /// Whether it is over by itself.
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}
