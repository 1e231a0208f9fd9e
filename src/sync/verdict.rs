//! What a decision means for its person, in one word.

use super::decision::{Decision, Outcome};
use crate::model::{
    change::{Action, HeldBy},
    reason::Reason,
    verdict::Verdict,
};

/// The verdict of a decision, if nothing holds its change.
#[must_use]
pub fn of_decision(decision: &Decision<'_>) -> Verdict {
    match &decision.outcome {
        Outcome::Change(_) if decision.reason == Reason::SeatRefused => Verdict::NoSeat,
        Outcome::Change(change) => of_action(change.action),
        Outcome::Waiting => Verdict::Waiting,
        Outcome::Unchanged | Outcome::Skipped | Outcome::LeftAlone => decision.reason.verdict(),
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
