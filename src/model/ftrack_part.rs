//! What a report says of ftrack.

use serde::{Deserialize, Serialize};

/// The seats of ftrack's licence, as the run found them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    /// As many as the licence has.
    pub all: usize,
    /// Active users, whom the licence counts.
    pub used: usize,
    /// Those that are left.
    pub free: usize,
    /// Users who become active, as far as nothing holds that.
    pub needed: usize,
    /// Users who are deactivated before that, as far as nothing holds that.
    pub freed: usize,
}

impl Seats {
    /// How many are lacking, once those who leave gave theirs back.
    #[must_use]
    pub fn lacking(self) -> usize {
        self.needed.saturating_sub(self.free + self.freed)
    }
}

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
    /// The seats of the licence; omitted where ftrack does not tell, and where nobody becomes active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<Seats>,
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
