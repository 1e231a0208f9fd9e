//! A job's pause.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::model::{change_kind::ChangeKind, readable_time::readable_time};

/// Since when a job is paused, until when, why, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it was paused.
    pub since: DateTime<Utc>,
    /// When the pause ends by itself; only on request, if absent.
    pub until: Option<DateTime<Utc>>,
    /// The person's reason.
    pub reason: Option<String>,
    /// Who paused it, in words; omitted where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Pause {
    /// Since when, and by whom, for people; not escaped.
    #[must_use]
    pub fn since_words(&self, zone: &Tz) -> String {
        let since = readable_time(self.since, zone);
        match &self.by {
            Some(by) => format!("since {since}, by {by}"),
            None => format!("since {since}"),
        }
    }

    /// That it is the pause of one kind of change of a job, until when, and what ends it, for people;
    /// not escaped.
    #[must_use]
    pub fn of_kind(&self, kind: ChangeKind, job: &str, zone: &Tz) -> String {
        let until = self.until.map(|until| readable_time(until, zone));
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})"));
        format!(
            "a person paused {kind}{until}{}, {}, and `resume {job} --only {kind}` ends that",
            reason.unwrap_or_default(),
            self.since_words(zone)
        )
    }

    /// Whether the pause has expired.
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}
