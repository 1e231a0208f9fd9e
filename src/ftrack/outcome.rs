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
    /// It was sent, and its result could not be read back, or a call was not clearly answered and may
    /// take effect still; and why, with those of its values that are known to be written.
    Unconfirmed(String, BTreeSet<Field>),
    /// It was not written, or is not known to be; and why.
    Failed(String),
    /// It was not written as a whole, but these values of it were; and why.
    FailedInPart(String, BTreeSet<Field>),
    /// The user did not become active, since no seat was left; and why, with those of its values that
    /// are known to be written.
    NoSeat(String, BTreeSet<Field>),
}

impl OutcomeKind {
    /// A change that failed, of which these values were written all the same.
    pub(super) fn failed(why: String, written: BTreeSet<Field>) -> Self {
        if written.is_empty() {
            return Self::Failed(why);
        }
        let names: Vec<String> = written.iter().map(Field::name).collect();
        let why = format!("{why}; but these were written: {}", names.join(", "));
        Self::FailedInPart(why, written)
    }

    /// The same of a change of which a call may take effect still: what failed may not have failed.
    fn while_a_call_may_arrive(self) -> Self {
        let unknown = |why| {
            format!(
                "the result is not known, since a call was not clearly answered and may take effect \
                 still: {why}"
            )
        };
        match self {
            Self::Failed(why) => Self::Unconfirmed(unknown(why), BTreeSet::new()),
            Self::FailedInPart(why, written) | Self::NoSeat(why, written) => {
                Self::Unconfirmed(unknown(why), written)
            }
            Self::Applied(_) | Self::SoAlready | Self::ByAnother(_) | Self::Unconfirmed(..) => self,
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
    /// How many calls had no clear answer, and were not seen to take effect: each may arrive still.
    unanswered: BTreeMap<usize, usize>,
    /// Values that ftrack stored otherwise.
    stored: BTreeMap<usize, Vec<StoredValue>>,
}

impl ProgressOfChanges {
    /// Nothing has been done about this many changes.
    pub fn none(changes: usize) -> Self {
        Self {
            so_far: vec![Progress::Nothing; changes],
            unanswered: BTreeMap::new(),
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

    /// A call that contains this change succeeded: an earlier one that arrives writes the same.
    pub fn succeeded(&mut self, place: usize) {
        self.unanswered.remove(&place);
    }

    /// A call that contains this change was not clearly answered. That another one is refused says
    /// nothing about it.
    pub fn unanswered(&mut self, place: usize) {
        *self.unanswered.entry(place).or_default() += 1;
    }

    /// A call that contains this change and was not clearly answered is seen to have taken effect, at
    /// least in part: it will do no more.
    pub fn arrived(&mut self, place: usize) {
        if let Some(calls) = self.unanswered.get_mut(&place) {
            *calls -= 1;
            if *calls == 0 {
                self.unanswered.remove(&place);
            }
        }
    }

    /// No call that contains this change can take effect any more: ftrack would refuse it.
    pub fn cannot_arrive(&mut self, place: usize) {
        self.unanswered.remove(&place);
    }

    /// Whether a call that contains this change may take effect still.
    pub fn may_arrive(&self, place: usize) -> bool {
        self.unanswered.contains_key(&place)
    }

    /// A result as it can be known: as long as a call may take effect, nothing has failed.
    pub fn known(&self, outcome: ChangeOutcome) -> ChangeOutcome {
        let ChangeOutcome { place, became } = outcome;
        let became = if self.may_arrive(place) {
            became.while_a_call_may_arrive()
        } else {
            became
        };
        ChangeOutcome { place, became }
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
