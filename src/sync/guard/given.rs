//! What a person does by hand, by `link`, `unlink` or `release`: that is itself the approval.

use super::{ClosedKinds, LastAdministrator, Verdict, Vetted, guarded, guarded_grant, settle};
use crate::{
    model::{
        change::{Change, Hold},
        edit::{Attribute, Edit},
    },
    sync::decision::Plan,
};

/// Lets everything be written but what changes the login, mail, activity, roles or memberships of
/// administrators and protected users, what would take the last administrator, and what a person paused: no limit
/// counts it, and no window holds it.
#[must_use]
pub fn give(plan: &Plan<'_>, closed: &ClosedKinds) -> Vetted {
    let last = LastAdministrator::of(plan, plan.changes());
    settle(plan.changes().map(|change| {
        let mut verdict = Verdict::default();
        last.judge(change, &mut verdict);
        for (place, edit) in change.edits.iter().enumerate() {
            if let Some(hold) = protected(plan, change, edit) {
                verdict.hold(change, place, &hold);
            }
        }
        closed.judge_paused(change, &mut verdict);
        (change, verdict)
    }))
}

/// What holds an edit, although a person asked for the change that it is part of.
fn protected(plan: &Plan<'_>, change: &Change, edit: &Edit) -> Option<Hold> {
    match edit {
        Edit::Activate | Edit::Deactivate => guarded(plan, change),
        Edit::Set { attribute, .. } => match attribute {
            Attribute::Username | Attribute::Email => guarded(plan, change),
            Attribute::FirstName
            | Attribute::LastName
            | Attribute::UserType
            | Attribute::Invitation
            | Attribute::Thumbnail
            | Attribute::Custom(_) => None,
        },
        Edit::Grant(grant) | Edit::Revoke(grant) => guarded_grant(plan, change, grant),
        Edit::Link => None,
    }
}
