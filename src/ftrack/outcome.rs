//! The results of changes, and which part of them this run did: two programs may be running at
//! once. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use super::error::FtrackError;
use crate::model::{edit::Field, stored_value::StoredValue};

/// The result of one change, by its index among the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ChangeOutcome {
    /// The index in [`crate::sync::guard::Vetted::allowed`].
    pub place: usize,
    pub became: OutcomeKind,
}

/// The result of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutcomeKind {
    /// It was written by this run, and is in effect; with the values that ftrack stored otherwise.
    Applied(Vec<StoredValue>),
    /// It was already in effect, and this run wrote nothing.
    SoAlready,
    /// Another program did it at the same time, and reports it; in words.
    ByAnother(String),
    /// It was sent, and its result could not be read back; and why.
    Unconfirmed(String),
    /// It was not written, or is not known to be; and why.
    Failed(String),
    /// It was not written as a whole, but these values of it were; and why.
    FailedInPart(String, BTreeSet<Field>),
}

impl OutcomeKind {
    /// A change that was refused, of which these values were written all the same.
    pub(super) fn refused(why: String, written: BTreeSet<Field>) -> Self {
        if written.is_empty() {
            Self::Failed(why)
        } else {
            Self::FailedInPart(why, written)
        }
    }
}

/// What a run has done so far about one change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: the present state is somebody else's doing.
    #[default]
    Nothing,
    /// Something was sent, which may be the reason for the present state.
    Sent,
    /// The user was created or adopted: this run made the link.
    Linked,
}

/// What a run has done so far about each change, by their indices.
#[derive(Debug)]
pub(super) struct ProgressOfChanges {
    so_far: Vec<Progress>,
    /// Those whose last call had no clear answer: it may still take effect.
    unanswered: BTreeSet<usize>,
    /// Values that ftrack stored otherwise.
    stored: BTreeMap<usize, Vec<StoredValue>>,
}

impl ProgressOfChanges {
    /// Nothing has been done about this many changes.
    pub fn none(changes: usize) -> Self {
        Self {
            so_far: vec![Progress::Nothing; changes],
            unanswered: BTreeSet::new(),
            stored: BTreeMap::new(),
        }
    }

    /// What was done about one change.
    pub fn of(&self, place: usize) -> Progress {
        self.so_far.get(place).copied().unwrap_or_default()
    }

    /// Something was sent for one change.
    pub fn sent(&mut self, place: usize) {
        if self.of(place) == Progress::Nothing {
            self.set(place, Progress::Sent);
        }
    }

    /// A call that contains this change was answered, clearly or not.
    pub fn answered(&mut self, place: usize, is_clear: bool) {
        if is_clear {
            self.unanswered.remove(&place);
        } else {
            self.unanswered.insert(place);
        }
    }

    /// The result of a change that is not in effect, as far as that is known.
    pub fn ended(&self, place: usize, verb: &str, why: &str) -> OutcomeKind {
        if self.unanswered.contains(&place) {
            let why = format!(
                "the result is not known, since it was sent and not clearly answered: {why}"
            );
            return OutcomeKind::Unconfirmed(why);
        }
        OutcomeKind::Failed(format!("{verb}: {why}"))
    }

    /// This run made the link of one change.
    pub fn linked(&mut self, place: usize) {
        self.set(place, Progress::Linked);
    }

    /// What was sent for one change had no effect.
    pub fn refused(&mut self, place: usize) {
        if self.of(place) == Progress::Sent {
            self.set(place, Progress::Nothing);
        }
    }

    /// The result of a change that is in effect.
    pub fn holds(&self, place: usize) -> OutcomeKind {
        match self.of(place) {
            Progress::Nothing => OutcomeKind::SoAlready,
            Progress::Sent | Progress::Linked => {
                OutcomeKind::Applied(self.stored.get(&place).cloned().unwrap_or_default())
            }
        }
    }

    /// ftrack stored a value of one change otherwise.
    pub fn stored(&mut self, place: usize, value: StoredValue) {
        let stored = self.stored.entry(place).or_default();
        stored.retain(|earlier| earlier.field != value.field);
        stored.push(value);
    }

    fn set(&mut self, place: usize, so_far: Progress) {
        if let Some(slot) = self.so_far.get_mut(place) {
            *slot = so_far;
        }
    }
}

/// The server's message, or the error of the call.
pub(super) fn reason(error: &FtrackError) -> String {
    error.to_string()
}
