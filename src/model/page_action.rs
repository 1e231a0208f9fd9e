//! What somebody did on the daemon's pages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The kind of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// A run of a job now.
    Run,
    /// A dry run of a job: what would happen next.
    Plan,
    /// No run of a job, or no change of one kind.
    Pause,
    /// The end of that.
    Resume,
    /// What a hold holds is written.
    Approve,
    /// What a hold holds is never written.
    Reject,
}

impl ActionKind {
    /// The name in events and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Plan => "plan",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// An action as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedAction {
    /// The name of the token; empty where somebody on this machine needed none.
    pub by: String,
    /// The address of whoever asked, and for whom that one said to ask.
    pub from: String,
    /// What is to be done.
    pub kind: ActionKind,
    /// The job.
    pub job: Option<String>,
    /// The number of the hold.
    pub hold: Option<u64>,
    /// What else was asked for, as text.
    pub detail: String,
}

/// An action, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAction {
    /// Its number.
    pub number: u64,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// What was asked for.
    pub asked: AskedAction,
    /// What became of it, as text; none while that is not known.
    pub result: Option<String>,
}
