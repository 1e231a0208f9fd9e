//! What became of changes, and which part of it was this run's doing: two programs may be at work
//! at once. No I/O.

use super::error::FtrackError;

/// What became of one change, by its place among the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeOutcome {
    /// The change's place in [`crate::sync::guard::Vetted::allowed`].
    pub place: usize,
    /// What became of it.
    pub became: OutcomeKind,
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutcomeKind {
    /// It was written by this run, and holds.
    Applied,
    /// It held already, and this run wrote nothing.
    SoAlready,
    /// It was not written, or is not known to be; and why.
    Failed(String),
}

/// What a run did so far about one change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: whatever is there is somebody else's doing.
    #[default]
    Nothing,
    /// Something was sent, which may be why it is as it is.
    Sent,
    /// The user was created or adopted: the link is of this run's making.
    Linked,
}

/// What a run did so far about each change, by their places.
#[derive(Debug)]
pub(super) struct ProgressOfChanges(Vec<Progress>);

impl ProgressOfChanges {
    /// Nothing about so many changes.
    pub fn none(changes: usize) -> Self {
        Self(vec![Progress::Nothing; changes])
    }

    /// What was done about one.
    pub fn of(&self, place: usize) -> Progress {
        self.0.get(place).copied().unwrap_or_default()
    }

    /// Something was sent for one.
    pub fn sent(&mut self, place: usize) {
        if self.of(place) == Progress::Nothing {
            self.set(place, Progress::Sent);
        }
    }

    /// The link of one is of this run's making.
    pub fn linked(&mut self, place: usize) {
        self.set(place, Progress::Linked);
    }

    /// What was sent for one turned out to have had no effect.
    pub fn sent_in_vain(&mut self, place: usize) {
        if self.of(place) == Progress::Sent {
            self.set(place, Progress::Nothing);
        }
    }

    /// What becomes of one that holds.
    pub fn holds(&self, place: usize) -> OutcomeKind {
        match self.of(place) {
            Progress::Nothing => OutcomeKind::SoAlready,
            Progress::Sent | Progress::Linked => OutcomeKind::Applied,
        }
    }

    fn set(&mut self, place: usize, so_far: Progress) {
        if let Some(slot) = self.0.get_mut(place) {
            *slot = so_far;
        }
    }
}

/// What the server said, or what went wrong on the way.
pub(super) fn reason(error: &FtrackError) -> String {
    error.to_string()
}
