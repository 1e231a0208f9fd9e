//! What people are told about a job.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What people are told about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// A run failed, and the one before it did not.
    Failed,
    /// A run did not fail, and the one before it did.
    Recovered,
    /// A run held changes that no run held before, and a person has to decide.
    Held,
    /// Changes could not be written, or people need a person's help, that the run before did not
    /// have.
    Partial,
    /// A run changed something.
    Changes,
    /// The summary of a week.
    Digest,
}

impl Occasion {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 6] = [
        Self::Failed,
        Self::Held,
        Self::Partial,
        Self::Recovered,
        Self::Changes,
        Self::Digest,
    ];

    /// What is told unless configured otherwise.
    pub const USUAL: [Self; 4] = [Self::Failed, Self::Recovered, Self::Held, Self::Partial];

    /// The name in the configuration, in events and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Held => "held",
            Self::Partial => "partial",
            Self::Changes => "changes",
            Self::Digest => "digest",
        }
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
