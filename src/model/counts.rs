//! The counts of a run: what was really written, and what was not.

use serde::{Deserialize, Serialize};

/// What was really written, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Counts {
    pub created: usize,
    /// Users whose values were changed.
    pub updated: usize,
    pub deactivated: usize,
    pub reactivated: usize,
    pub adopted: usize,
    /// Security roles that were granted or revoked.
    pub role_changes: usize,
    /// Group memberships that were added or removed.
    pub group_changes: usize,
    /// People whose user needed no change.
    pub unchanged: usize,
    /// Skipped entries.
    pub skipped: usize,
    /// Changes that are held for a person.
    pub held: usize,
    /// Changes that a person rejected, and whose cause has not ended.
    #[serde(default)]
    pub rejected: usize,
    /// Changes that could not be applied.
    pub failed: usize,
    /// Changes that were sent, and whose result could not be read back.
    #[serde(default)]
    pub unconfirmed: usize,
    /// People of the directory without an active user, for a reason that a person must settle;
    /// where most people are skipped because of their values, these as well.
    #[serde(default)]
    pub unsettled: usize,
    /// Users of the job that stay active although their person left, or may not sign in: a person
    /// rejected the deactivation or reactivated them, or the job deactivates nobody. Whom a hold or a
    /// time keeps is not among them.
    #[serde(default)]
    pub active_leavers: usize,
}

impl Counts {
    /// The number of changes that were written.
    #[must_use]
    pub fn changed(&self) -> usize {
        let Self {
            created,
            updated,
            deactivated,
            reactivated,
            adopted,
            role_changes,
            group_changes,
            unchanged: _,
            skipped: _,
            held: _,
            rejected: _,
            failed: _,
            unconfirmed: _,
            unsettled: _,
            active_leavers: _,
        } = self;
        created + updated + deactivated + reactivated + adopted + role_changes + group_changes
    }
}
