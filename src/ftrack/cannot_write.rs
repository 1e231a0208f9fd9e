//! Why a change cannot be written to its user as it is by now. No I/O.

use serde_json::Value;

use super::outcome::OutcomeKind;

/// Why a change cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotWrite {
    /// The user was deleted.
    #[error("the user no longer exists in ftrack")]
    Gone,
    /// Somebody else owns the user now.
    #[error("the user now belongs to the source {0:?}")]
    OwnedBy(String),
    /// The link was rewritten.
    #[error(
        "the user's link was rewritten since it was read; the user is left alone, and the next run \
         checks it again"
    )]
    Relinked,
    /// The link was deleted.
    #[error("the user no longer has an owner: its link was deleted since it was read")]
    Disowned,
    /// A person unlinked the user.
    #[error("a person unlinked the user since it was read, so it is left alone until `link`")]
    Unlinked,
    /// Somebody deactivated the user, who is theirs to reactivate.
    #[error("somebody else deactivated the user since it was read")]
    DeactivatedByHand,
    /// Another program creates the user, and says so in its link.
    #[error("another program created the user at the same time, and reports it")]
    CreatedElsewhere,
    /// Another program created the user, and must finish it.
    #[error(
        "another program created the user at the same time; it is left alone, and the next run \
         checks it again"
    )]
    CreatedMeanwhile,
    /// Another program adopted the user, and has not finished.
    #[error(
        "another program adopted the user at the same time; it is left alone, and the next run \
         checks it again"
    )]
    TakenMeanwhile,
    /// Somebody activated the user.
    #[error(
        "somebody else activated the user since it was read; it is left alone, and the next run \
         checks it again"
    )]
    ActivatedMeanwhile,
    /// A call of an earlier run has deactivated the user since.
    #[error("a call of an earlier run deactivated the user meanwhile, and its report counts that")]
    DeactivatedEarlier,
    /// A call of an earlier run has activated the user since.
    #[error(
        "a call of an earlier run activated the user meanwhile, and its report counts that; the \
         next run finishes it"
    )]
    ActivatedEarlier,
    /// Somebody changed an attribute that the change writes.
    #[error(
        "{field} was changed to {there} since it was read, which is neither the old value nor the \
         new one; the next run checks it again"
    )]
    Drifted {
        /// The attribute.
        field: String,
        /// What it is now.
        there: Value,
    },
    /// The user's metadata row is not a link.
    #[error("the user's link cannot be read")]
    UnreadableLink,
    /// The operation cannot be serialised.
    #[error("the link cannot be written: {0}")]
    Unwritable(String),
}

impl CannotWrite {
    /// Whether ftrack would refuse what was sent before as well.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Gone | Self::CreatedElsewhere | Self::CreatedMeanwhile => true,
            Self::OwnedBy(_)
            | Self::Relinked
            | Self::Disowned
            | Self::Unlinked
            | Self::DeactivatedByHand
            | Self::DeactivatedEarlier
            | Self::ActivatedEarlier
            | Self::TakenMeanwhile
            | Self::ActivatedMeanwhile
            | Self::Drifted { .. }
            | Self::UnreadableLink
            | Self::Unwritable(_) => false,
        }
    }

    /// The result of a change that cannot be written for that reason.
    #[must_use]
    pub fn outcome(&self) -> OutcomeKind {
        match self {
            Self::CreatedElsewhere | Self::DeactivatedEarlier | Self::ActivatedEarlier => {
                OutcomeKind::ByAnother(self.to_string())
            }
            Self::Gone
            | Self::OwnedBy(_)
            | Self::Relinked
            | Self::Disowned
            | Self::Unlinked
            | Self::DeactivatedByHand
            | Self::CreatedMeanwhile
            | Self::TakenMeanwhile
            | Self::ActivatedMeanwhile
            | Self::Drifted { .. }
            | Self::UnreadableLink
            | Self::Unwritable(_) => OutcomeKind::Failed(self.to_string()),
        }
    }
}
