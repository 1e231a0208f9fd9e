//! What a report says of ftrack.

use serde::{Deserialize, Serialize};

/// What was read from and written to ftrack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct FtrackPart {
    pub server: String,
    /// Users that were read.
    pub users: usize,
    /// Users that the job owns.
    pub owned: usize,
    /// Owned users that were active.
    #[serde(default)]
    pub owned_active: usize,
    /// Users with a link of any job; absent where it is not known.
    #[serde(default)]
    pub linked: Option<usize>,
    pub read_calls: u64,
    /// Calls that wrote.
    pub write_calls: u64,
    /// Calls that were repeated, because of an error that passes.
    #[serde(default, skip_serializing_if = "is_no_count")]
    pub retries: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_no_count(count: &u64) -> bool {
    *count == 0
}
