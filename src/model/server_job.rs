//! A job that the ftrack server runs, as it is seen from outside.

use std::fmt;

use crate::model::user::EntityId;

/// The status of a job (`Job.status` in the server's schemas).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It waits for one of the server's workers.
    Queued,
    Running,
    /// It succeeded.
    Done,
    Failed,
    /// A status that is not in the schemas.
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

/// A job of the server, as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ServerJob {
    pub id: EntityId,
    pub status: Status,
    /// The server's description (`Job.data`), truncated to a bounded length; absent when there is
    /// none.
    pub text: Option<String>,
}

impl ServerJob {
    /// Whether it is still queued or running.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        matches!(self.status, Status::Queued | Status::Running)
    }
}
