//! What a run is for, as its report says it.

use super::{Purpose, by_hand::Asked};
use crate::model::{
    hold_number::HoldNumber,
    report::{Approver, Trigger},
};

/// What started a run, and who.
#[derive(Debug, Clone)]
pub struct Start {
    /// What.
    pub trigger: Trigger,
    /// The person who asked for this run; none where whoever prepared the job, or nobody, did.
    pub by: Option<Approver>,
}

impl From<Trigger> for Start {
    fn from(trigger: Trigger) -> Self {
        Self { trigger, by: None }
    }
}

impl Purpose {
    /// Who approved what it writes.
    pub(super) fn approved_by(&self) -> Option<&Approver> {
        match self {
            Self::Sync | Self::DryRun => None,
            Self::Approved { plan: _, by } => Some(by),
            Self::Hold(decision) => Some(&decision.by),
            Self::ByHand(request) => Some(&request.by),
        }
    }

    /// The hold that is approved.
    pub(super) fn approves(&self) -> Option<HoldNumber> {
        match self {
            Self::Sync | Self::DryRun | Self::Approved { .. } | Self::ByHand(_) => None,
            Self::Hold(decision) => Some(decision.hold),
        }
    }

    /// Whether nothing is written.
    pub(super) fn is_dry_run(&self) -> bool {
        match self {
            Self::DryRun => true,
            Self::Sync | Self::Approved { .. } | Self::Hold(_) => false,
            Self::ByHand(request) => request.dry_run,
        }
    }

    /// What a person asks for by hand.
    pub(super) fn asked(&self) -> Option<&Asked> {
        match self {
            Self::Sync | Self::DryRun | Self::Approved { .. } | Self::Hold(_) => None,
            Self::ByHand(request) => Some(&request.asked),
        }
    }
}
