//! A job's pause.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Since when a job is paused, until when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it was paused.
    pub since: DateTime<Utc>,
    /// When the pause ends by itself; only on request, if absent.
    pub until: Option<DateTime<Utc>>,
    /// The person's reason.
    pub reason: Option<String>,
}

impl Pause {
    /// Whether the pause has expired.
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}
