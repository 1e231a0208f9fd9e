//! Errors that end all further work in ftrack, classified by when a retry makes sense. No I/O.

use super::error::{FtrackError, FtrackErrorKind};

/// The class of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// A stop was requested.
    Requested,
    /// The time limit of the run was reached.
    TimeLimit,
    /// The user or the key was refused; many more attempts may lock it.
    Credentials,
    /// Anything else.
    Other,
}

/// Why writing stopped early.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct WriteStopped {
    /// As text.
    pub why: String,
    pub cause: StopCause,
}

impl WriteStopped {
    pub(super) fn requested() -> Self {
        Self {
            why: "the run was stopped on request".into(),
            cause: StopCause::Requested,
        }
    }

    pub(super) fn late() -> Self {
        Self {
            why: "the run's time limit was reached".into(),
            cause: StopCause::TimeLimit,
        }
    }
}

impl FtrackError {
    /// Classifies an error.
    #[must_use]
    pub fn cause(&self) -> StopCause {
        match self.kind() {
            FtrackErrorKind::Cancelled => StopCause::Requested,
            FtrackErrorKind::DeadlinePassed => StopCause::TimeLimit,
            FtrackErrorKind::Credentials(_) => StopCause::Credentials,
            // Older servers have no error class of their own for it; a missing permission is
            // recognised before.
            FtrackErrorKind::Refused(refusal) if refusal.status == 403 => StopCause::Credentials,
            FtrackErrorKind::Refused(_)
            | FtrackErrorKind::Status { .. }
            | FtrackErrorKind::Setup(_)
            | FtrackErrorKind::Unreachable { .. }
            | FtrackErrorKind::Interrupted(_)
            | FtrackErrorKind::TimedOut(_)
            | FtrackErrorKind::Redirected { .. }
            | FtrackErrorKind::Busy(_)
            | FtrackErrorKind::NotJson(_)
            | FtrackErrorKind::Damaged(_)
            | FtrackErrorKind::TooLarge(_)
            | FtrackErrorKind::TooMuch(_)
            | FtrackErrorKind::Malformed(_)
            | FtrackErrorKind::Permission(_)
            | FtrackErrorKind::Changing { .. }
            | FtrackErrorKind::CutShort { .. }
            | FtrackErrorKind::CustomAttribute(_)
            | FtrackErrorKind::UnusableGrant { .. } => StopCause::Other,
        }
    }
}
