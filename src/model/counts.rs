//! The counts of a run: what was really written, and what was not.

use serde::{Deserialize, Serialize};

use crate::model::{
    change::Action,
    edit::Field,
    report::{ChangeResult, Reported},
};

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
        } = self;
        created + updated + deactivated + reactivated + adopted + role_changes + group_changes
    }

    /// Counts the results of changes.
    #[must_use]
    pub fn of_results(changes: &[Reported]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match change.result {
                ChangeResult::Held => counts.held += 1,
                ChangeResult::Rejected => counts.rejected += 1,
                ChangeResult::Failed => counts.failed += 1,
                ChangeResult::Unconfirmed => counts.unconfirmed += 1,
                ChangeResult::Planned => counts.unchanged += usize::from(change.is_so_already()),
                ChangeResult::Applied => counts.count_applied(change),
            }
        }
        counts
    }

    fn count_applied(&mut self, change: &Reported) {
        let is_role = |field: &&Field| matches!(field, Field::Role(_));
        let roles = change.fields.keys().filter(is_role).count();
        self.role_changes += roles;
        match change.action {
            Action::Create => self.created += 1,
            // Where only roles change, no value of the user does.
            Action::Update => {
                self.updated += usize::from(roles == 0 || change.fields.len() > roles);
            }
            Action::Deactivate => self.deactivated += 1,
            Action::Reactivate => self.reactivated += 1,
            Action::Adopt => self.adopted += 1,
        }
    }
}
