//! What a decision means for its person, in one word.

use super::decision::{Decision, Outcome};
use crate::model::{
    change::{Action, HeldBy},
    explanation::Verdict,
    reason::Reason,
};

/// The verdict of a decision, if nothing holds its change.
#[must_use]
pub fn of_decision(decision: &Decision<'_>) -> Verdict {
    match &decision.outcome {
        Outcome::Change(_) if decision.reason == Reason::SeatRefused => Verdict::NoSeat,
        Outcome::Change(change) => of_action(change.action),
        Outcome::Waiting => Verdict::Waiting,
        Outcome::Unchanged | Outcome::Skipped | Outcome::LeftAlone => of_reason(&decision.reason),
    }
}

/// The verdict of a change that is written, or would be.
#[must_use]
pub fn of_action(action: Action) -> Verdict {
    match action {
        Action::Create => Verdict::Create,
        Action::Update => Verdict::Update,
        Action::Deactivate => Verdict::Deactivate,
        Action::Reactivate => Verdict::Reactivate,
        Action::Adopt => Verdict::Adopt,
    }
}

/// The verdict of a change that is held.
#[must_use]
pub fn of_hold(by: HeldBy) -> Verdict {
    match by {
        HeldBy::Administrator => Verdict::Administrator,
        HeldBy::Protected => Verdict::Protected,
        HeldBy::Successor => Verdict::Successor,
        HeldBy::Rejected => Verdict::Rejected,
        HeldBy::Doubt
        | HeldBy::Replica
        | HeldBy::Configuration
        | HeldBy::Adoption
        | HeldBy::Returner
        | HeldBy::Work
        | HeldBy::Limit
        | HeldBy::Window
        | HeldBy::Freeze
        | HeldBy::Paused => Verdict::Held,
    }
}

/// The verdict of a reason for which nothing is changed.
fn of_reason(reason: &Reason) -> Verdict {
    match reason {
        Reason::NoId
        | Reason::TooLarge
        | Reason::SeveralIds(_)
        | Reason::AliasEntry
        | Reason::InvalidValue(_)
        | Reason::EntrySkipped => Verdict::InvalidValue,
        Reason::MissingValue(_) => Verdict::MissingValue,
        Reason::SeveralUsers(_)
        | Reason::ClaimedBy(_)
        | Reason::LinkOfAnother(_)
        | Reason::SeveralAdoptable(_)
        | Reason::NotAdopted(_)
        | Reason::Contested(_)
        | Reason::UsernameTaken(_)
        | Reason::SharedLink => Verdict::Collision,
        Reason::OwnUsername(_)
        | Reason::ProtectedUsername(_)
        | Reason::Untouchable(_)
        | Reason::UntouchableLeft(_) => Verdict::Protected,
        Reason::Unlinked(_) => Verdict::NotOwned,
        Reason::OfJob(_) | Reason::MovedToJob(_) | Reason::OtherIdAttribute => Verdict::OtherSource,
        Reason::DeactivatedByHand => Verdict::DeactivatedByHand,
        Reason::DisabledWithoutUser
        | Reason::EndedWithoutUser(_)
        | Reason::DisabledNotAdopted(_)
        | Reason::DisabledInactive
        | Reason::EndedInactive(_)
        | Reason::DisabledStays(_)
        | Reason::ReleasedDisabled => Verdict::Disabled,
        Reason::MissingSince(_)
        | Reason::DisabledSince(_)
        | Reason::FoundById(_)
        | Reason::NotAsked => Verdict::Waiting,
        // What the job's rules leave as it is.
        Reason::CreateOff
        | Reason::ReactivateOff
        | Reason::DeactivateOff
        | Reason::LeftInactive
        | Reason::ReleasedBefore
        | Reason::Released
        | Reason::InStep
        // The reasons of changes.
        | Reason::NoUser
        | Reason::OtherValues
        | Reason::OtherRoles
        | Reason::RoleGone
        | Reason::AdoptBegun
        | Reason::AdoptMatched(_)
        | Reason::LeftJob(_)
        | Reason::LeftJobInactive(_)
        | Reason::FromNoJob(_)
        | Reason::ByHand(_)
        | Reason::Completed
        | Reason::Unsigned
        | Reason::LinkIncomplete
        | Reason::Protection
        | Reason::Back(_)
        | Reason::SeatRefused
        | Reason::ReactivatedAndBack
        | Reason::DeactivationDone
        | Reason::Absent
        | Reason::FilteredOut
        | Reason::NotAMember
        | Reason::OutsideBases
        | Reason::Unlocated
        | Reason::Disabled
        | Reason::Ended(_)
        | Reason::DisabledElsewhere => Verdict::InStep,
    }
}
