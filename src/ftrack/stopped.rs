//! What ends all further work at ftrack, sorted by what it asks of whoever would try again. No I/O.

use super::error::{FtrackError, FtrackErrorKind};

/// What a failure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// Somebody asked to stop.
    Told,
    /// The time of the run was used up.
    TimeLimit,
    /// The user or the key was refused; many more attempts may lock it.
    Credentials,
    /// Anything else.
    Other,
}

/// Why writing was ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteStopped {
    /// In words.
    pub why: String,
    /// What it is about.
    pub cause: StopCause,
}

impl WriteStopped {
    pub(super) fn told() -> Self {
        Self {
            why: "the run was told to stop".into(),
            cause: StopCause::Told,
        }
    }

    pub(super) fn late() -> Self {
        Self {
            why: "the run's time limit is over".into(),
            cause: StopCause::TimeLimit,
        }
    }
}

impl FtrackError {
    /// What it is about.
    #[must_use]
    pub fn cause(&self) -> StopCause {
        match self.kind() {
            FtrackErrorKind::Cancelled => StopCause::Told,
            FtrackErrorKind::DeadlinePassed => StopCause::TimeLimit,
            FtrackErrorKind::Credentials(_) => StopCause::Credentials,
            // Older servers have no class of their own for it; a right that is missing is told
            // apart before.
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
            | FtrackErrorKind::Malformed(_)
            | FtrackErrorKind::Permission(_)
            | FtrackErrorKind::Changing { .. }
            | FtrackErrorKind::CutShort { .. }
            | FtrackErrorKind::UnknownCustomAttribute(_)
            | FtrackErrorKind::UnknownRole { .. } => StopCause::Other,
        }
    }
}
