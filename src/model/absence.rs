//! How long people have been missing.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Since when a person has been missing, and in how many complete reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// When the first complete read without the person ended.
    pub since: DateTime<Utc>,
    /// Complete reads without the person, this one included.
    pub reads: u32,
}

/// The missing people, by directory id.
pub type Absences = BTreeMap<String, Absence>;

/// By how much two clocks may differ that both show the right time.
const RIGHT: TimeDelta = TimeDelta::minutes(2);

/// What the clocks show. One that was set wrong must not make people missing for longer than they
/// are, and which one that is cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// This machine's.
    pub here: DateTime<Utc>,
    /// ftrack's; none where its answers show no time.
    pub ftrack: Option<DateTime<Utc>>,
}

impl Clocks {
    /// ftrack's clock, where the two do not agree.
    fn other(&self) -> Option<DateTime<Utc>> {
        let apart = |ftrack: &DateTime<Utc>| (self.here - *ftrack).abs() > RIGHT;
        self.ftrack.filter(apart)
    }

    /// By how much they differ, if they do not agree.
    #[must_use]
    pub fn difference(&self) -> Option<TimeDelta> {
        self.other().map(|other| (self.here - other).abs())
    }

    /// The latest time that it may be: since when somebody is missing.
    #[must_use]
    pub fn latest(&self) -> DateTime<Utc> {
        self.other().map_or(self.here, |other| self.here.max(other))
    }

    /// The earliest time that it may be: until when somebody is missing.
    #[must_use]
    pub fn earliest(&self) -> DateTime<Utc> {
        self.other().map_or(self.here, |other| self.here.min(other))
    }
}

impl From<DateTime<Utc>> for Clocks {
    fn from(here: DateTime<Utc>) -> Self {
        Self { here, ftrack: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_by_little_agree() {
        let here = DateTime::<Utc>::UNIX_EPOCH;
        for (ahead, agree) in [
            (0, true),
            (120, true),
            (-120, true),
            (121, false),
            (-121, false),
        ] {
            let ftrack = here + TimeDelta::seconds(ahead);
            let clocks = Clocks {
                here,
                ftrack: Some(ftrack),
            };
            assert_eq!(clocks.difference().is_none(), agree, "{ahead}");
            if agree {
                assert_eq!((clocks.earliest(), clocks.latest()), (here, here));
            } else {
                assert_eq!(clocks.earliest(), here.min(ftrack));
                assert_eq!(clocks.latest(), here.max(ftrack));
            }
        }
    }
}
