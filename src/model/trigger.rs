//! What started a run.

use serde::{Deserialize, Serialize};

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The job's schedule.
    Schedule,
    /// A person.
    Manual,
    /// The start of the daemon, for a missed run.
    Startup,
    /// A failed run.
    Retry,
    /// The schedule of the changes, or a person who asked for them; everything was read all the same
    /// where the report says so.
    Changes,
    /// The directory, which said that something changed; otherwise as `Changes`.
    Watch,
    /// A person's approval of a hold.
    Approval,
    /// A person who gave a user to somebody, or took it from them.
    Link,
    /// A person who took all users from the job.
    Release,
    /// A person, to put back what a run wrote.
    Undo,
    /// A person, to put users back to a snapshot.
    Restore,
}

impl Trigger {
    /// Whether it puts back what was written, and reads no directory.
    #[must_use]
    pub fn puts_back(self) -> bool {
        match self {
            Self::Undo | Self::Restore => true,
            Self::Schedule
            | Self::Manual
            | Self::Startup
            | Self::Retry
            | Self::Changes
            | Self::Watch
            | Self::Approval
            | Self::Link
            | Self::Release => false,
        }
    }

    /// Whether the run is to read only what changed.
    #[must_use]
    pub fn is_of_changes(self) -> bool {
        match self {
            Self::Changes | Self::Watch => true,
            Self::Schedule
            | Self::Manual
            | Self::Startup
            | Self::Retry
            | Self::Approval
            | Self::Link
            | Self::Release
            | Self::Undo
            | Self::Restore => false,
        }
    }

    /// Whether such a run says how the job is: one that a person makes of single holds, or by hand,
    /// says nothing of it, and shows that person how it ended.
    #[must_use]
    pub fn is_regular(self) -> bool {
        match self {
            Self::Schedule
            | Self::Manual
            | Self::Startup
            | Self::Retry
            | Self::Changes
            | Self::Watch => true,
            Self::Approval | Self::Link | Self::Release | Self::Undo | Self::Restore => false,
        }
    }

    /// The name in reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::Startup => "startup",
            Self::Retry => "retry",
            Self::Changes => "changes",
            Self::Watch => "watch",
            Self::Approval => "approval",
            Self::Link => "link",
            Self::Release => "release",
            Self::Undo => "undo",
            Self::Restore => "restore",
        }
    }
}
