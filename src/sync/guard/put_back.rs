//! What an undo or a restore may write: a person ordered it, so no limit, window or doubt about the
//! directory holds it; protection, the last administrator and a pause do.

use super::{ClosedKinds, LastAdministrator, Verdict, Vetted, settle};
use crate::{
    model::{
        change::{Change, HeldBy, Hold, LinkRow},
        edit::{Attribute, Edit},
    },
    sync::decision::Plan,
};

/// Holds what protects users, whoever orders it, and what a person paused.
#[must_use]
pub fn put_back(plan: &Plan<'_>, closed: &ClosedKinds) -> Vetted {
    let last = LastAdministrator::of(plan, plan.changes());
    let judged = plan.changes().map(|change| {
        let mut verdict = Verdict::default();
        last.judge(change, &mut verdict);
        if let Some(hold) = plan.holds.get(&change.ftrack_id) {
            verdict.hold_all(change, hold);
        }
        let rules = change.edits.iter().enumerate();
        for (place, hold) in rules.map(|(place, edit)| (place, rule(plan, change, edit))) {
            if let Some(hold) = hold {
                verdict.hold(change, place, &hold);
            }
        }
        closed.judge_put_back(change, &mut verdict);
        keep_the_link(change, &mut verdict);
        (change, verdict)
    });
    settle(judged)
}

/// A user keeps the link that it would lose, as long as a pause keeps what the job gave it: without the
/// link nobody would know who gave it.
fn keep_the_link(change: &Change, verdict: &mut Verdict) {
    if change.row != LinkRow::Deleted {
        return;
    }
    let paused = verdict.held.iter();
    let mut paused = paused.filter(|(_, hold)| hold.by == HeldBy::Paused);
    let Some((_, hold)) = paused.next().cloned() else {
        return;
    };
    if let Some(place) = change.edits.iter().position(|edit| *edit == Edit::Link) {
        verdict.hold(change, place, &hold);
    }
}

/// What holds an edit. Every kind of edit has its rule here.
fn rule(plan: &Plan<'_>, change: &Change, edit: &Edit) -> Option<Hold> {
    let of_user = || {
        let reason = plan.guarded.get(&change.ftrack_id)?;
        let why = format!(
            "{reason}, whose login, mail, activity, roles and memberships are not put back: \
             change them in ftrack by hand"
        );
        Some(Hold::new(HeldBy::Protected, why))
    };
    match edit {
        Edit::Activate | Edit::Deactivate => of_user(),
        Edit::Set { attribute, .. } => match attribute {
            Attribute::Username | Attribute::Email => of_user(),
            Attribute::FirstName
            | Attribute::LastName
            | Attribute::UserType
            | Attribute::Invitation
            | Attribute::Thumbnail
            | Attribute::Custom(_) => None,
        },
        Edit::Grant(grant) | Edit::Revoke(grant) => of_user().or_else(|| {
            let why = "the role makes an administrator, and is not put back: change it in ftrack \
                       by hand";
            grant
                .is_administrator()
                .then(|| Hold::new(HeldBy::Protected, why))
        }),
        Edit::Link => None,
    }
}
