//! The last active administrator, whom nothing deactivates.

use std::collections::BTreeSet;

use crate::{
    model::{
        change::{Change, HeldBy, Hold},
        edit::Edit,
        user::EntityId,
    },
    sync::{decision::Plan, guard::Verdict},
};

pub(super) const WOULD_BE_THE_LAST: &str = "it would leave ftrack without an active administrator";

/// Whether a change may take an administrator away: it ends the user's access, or takes a role that
/// makes an administrator.
#[must_use]
pub fn ends_administration(change: &Change) -> bool {
    change.edits.iter().any(|edit| match edit {
        Edit::Deactivate => true,
        Edit::Revoke(grant) => grant.is_administrator(),
        Edit::Activate | Edit::Set { .. } | Edit::Grant(_) | Edit::Link => false,
    })
}

/// What a plan would do to the last active administrators.
pub(super) enum LastAdministrator {
    /// At least one remains.
    Safe,
    /// These would be the last.
    Would(BTreeSet<EntityId>),
    /// The API user sees no administrator but itself, so anybody may be the last.
    NoneVisible,
}

impl LastAdministrator {
    /// What these changes of a plan would do.
    pub fn of<'c>(plan: &Plan<'_>, changes: impl Iterator<Item = &'c Change>) -> Self {
        if plan.active_administrators.is_empty() {
            return Self::NoneVisible;
        }
        let going: BTreeSet<&EntityId> = changes
            .filter(|change| ends_administration(change))
            .map(|change| &change.ftrack_id)
            .collect();
        if plan
            .active_administrators
            .iter()
            .all(|administrator| going.contains(administrator))
        {
            Self::Would(plan.active_administrators.iter().cloned().collect())
        } else {
            Self::Safe
        }
    }

    /// Holds what may not be done, whoever approves it: with a deactivation everything.
    pub fn judge(&self, change: &Change, verdict: &mut Verdict) {
        for (place, edit) in change.edits.iter().enumerate() {
            if let Some(hold) = self.hold_of_edit(change, edit) {
                verdict.hold(change, place, &hold);
            }
        }
    }

    fn hold_of_edit(&self, change: &Change, edit: &Edit) -> Option<Hold> {
        let is_end = match edit {
            Edit::Deactivate => true,
            Edit::Revoke(grant) => grant.is_administrator(),
            Edit::Activate | Edit::Set { .. } | Edit::Grant(_) | Edit::Link => false,
        };
        let why = match self {
            Self::Safe => return None,
            Self::Would(last) if last.contains(&change.ftrack_id) => WOULD_BE_THE_LAST,
            Self::Would(_) => return None,
            Self::NoneVisible => {
                "no active administrator except the API user is visible in ftrack, so this may be \
                 the last one; grant the API user's role read access to security roles, or list \
                 yours in ftrack.administrator_roles"
            }
        };
        is_end.then(|| Hold::new(HeldBy::Administrator, why))
    }
}
