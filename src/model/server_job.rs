//! A job that the ftrack server runs, as it is seen from outside.

use std::fmt;

use crate::model::user::EntityId;

/// The status of a job (`Job.status` in the server's schemas).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It waits for one of the server's workers.
    Queued,
    /// It is under way.
    Running,
    /// It came to its end.
    Done,
    /// It failed.
    Failed,
    /// A word that the schemas do not know.
    Unknown(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown(word) => word,
        })
    }
}

/// A job of the server, as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerJob {
    /// Its id.
    pub id: EntityId,
    /// Its status.
    pub status: Status,
    /// What the server says of it (`Job.data`), cut to a bounded length; absent when it says
    /// nothing.
    pub text: Option<String>,
}

impl ServerJob {
    /// Whether it still waits or works.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        matches!(self.status, Status::Queued | Status::Running)
    }
}
