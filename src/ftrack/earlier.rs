//! What earlier runs of a job may have written, or may write still: a call whose answer they did not
//! get takes effect late, or not at all. No I/O.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::model::{link::Link, user::EntityId};

/// What tells the writes of earlier runs of the job from those of others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EarlierWrites {
    /// The marks in the links that they make. Whoever finds one goes on, and counts it.
    pub marks: BTreeSet<String>,
    /// The users whose deactivation is in the report of one of them, with the time in the link.
    pub deactivated: BTreeSet<(EntityId, DateTime<Utc>)>,
    /// The times in the links of those whose reports cannot be read, whoever it was.
    pub deactivated_at: BTreeSet<DateTime<Utc>>,
    /// The users whose reactivation is in the report of one of them.
    pub reactivated: BTreeSet<EntityId>,
}

impl EarlierWrites {
    /// Whether one of them made a link with this mark.
    #[must_use]
    pub fn made(&self, mark: &str) -> bool {
        self.marks.contains(mark)
    }

    /// Whether the report of one of them counts the deactivation of a user with that link.
    #[must_use]
    pub fn deactivated(&self, user: &EntityId, link: &Link) -> bool {
        let at = link.activity.deactivated_at();
        at.is_some_and(|at| {
            self.deactivated_at.contains(&at) || self.deactivated.contains(&(user.clone(), at))
        })
    }
}
