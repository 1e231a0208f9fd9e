//! Changes that are written in one call, with what is known of their users. No I/O.

use std::{collections::BTreeMap, time::Duration};

use super::{error::WriteFailure, user_state::UserState};
use crate::model::{change::Change, user::EntityId};

/// Changes that are written in one call, by their indices: single ones, and rotations that stay
/// together.
pub(super) struct Batch {
    /// The indices: single changes, and rotations that stay together.
    pub units: Vec<Vec<usize>>,
    /// The state of the users; a user that is missing does not exist.
    pub seen: BTreeMap<EntityId, UserState>,
    /// The age of that state.
    pub age: Age,
}

impl Batch {
    /// An empty batch for changes of which only the links are left.
    pub fn settling() -> Self {
        Self {
            units: Vec::new(),
            seen: BTreeMap::new(),
            age: Age::Settling,
        }
    }
}

/// The age of the state of a batch's users.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// From when the plan was made: long ago, if many batches preceded.
    OfThePlan,
    /// Just read.
    Fresh,
    /// From when everything but the links was seen to be written.
    Settling,
}

/// The next changes from this one on, at most so many, in their order; a rotation is never split.
pub(super) fn next_units(changes: &[Change], begin: usize, size: usize) -> Vec<Vec<usize>> {
    let same_rotation = |a: &Change, b: &Change| a.rotation.is_some() && a.rotation == b.rotation;
    let rest = changes.get(begin..).unwrap_or_default();
    let (mut units, mut place) = (Vec::new(), begin);
    for unit in rest.chunk_by(same_rotation) {
        if !units.is_empty() && place - begin + unit.len() > size {
            break;
        }
        units.push((place..place + unit.len()).collect());
        place += unit.len();
    }
    units
}

/// A batch is not larger at first.
const FIRST: usize = 100;
/// A call that is answered within this time may be followed by one of twice as many changes.
const FAST: Duration = Duration::from_secs(2);
/// A call that takes longer had too many.
const SLOW: Duration = Duration::from_secs(15);

/// The number of changes in one batch: it grows while calls succeed fast, and shrinks when one takes
/// long or gets no clear answer.
#[derive(Debug)]
pub(super) struct BatchSize {
    now: usize,
    most: usize,
}

impl BatchSize {
    /// A size that never exceeds this one.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self {
            now: FIRST.min(most),
            most,
        }
    }

    /// The size of the next batch.
    pub fn now(&self) -> usize {
        self.now
    }

    /// The size that is never exceeded.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Notes how a call about so many changes went.
    pub fn note(&mut self, changes: usize, took: Duration, answer: &Result<(), WriteFailure>) {
        match answer {
            Ok(()) if took <= FAST && changes >= self.now => {
                self.now = self.now.saturating_mul(2).min(self.most);
            }
            Ok(()) | Err(WriteFailure::Refused(_)) if took > SLOW => self.shrink(changes),
            Err(WriteFailure::Unclear(_)) => self.shrink(changes),
            Ok(())
            | Err(WriteFailure::Refused(_) | WriteFailure::NotSent(_) | WriteFailure::Fatal(_)) => {
            }
        }
    }

    fn shrink(&mut self, changes: usize) {
        self.now = (changes / 2).clamp(1, self.now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST_ENOUGH: Duration = Duration::from_millis(100);

    #[test]
    fn a_batch_doubles_while_full_ones_are_answered_fast_up_to_the_limit() {
        let mut size = BatchSize::new(300);
        assert_eq!(size.now(), 100);
        size.note(40, FAST_ENOUGH, &Ok(()));
        assert_eq!(size.now(), 100, "it was not full");
        size.note(100, FAST * 2, &Ok(()));
        assert_eq!(size.now(), 100, "it was not fast");
        size.note(100, FAST_ENOUGH, &Ok(()));
        size.note(200, FAST_ENOUGH, &Ok(()));
        assert_eq!(size.now(), 300);
    }

    #[test]
    fn a_call_that_took_long_is_followed_by_a_smaller_one_and_never_by_an_empty_one() {
        let mut size = BatchSize::new(300);
        size.note(100, SLOW * 2, &Ok(()));
        assert_eq!(size.now(), 50);
        for _ in 0..10 {
            let now = size.now();
            size.note(now, SLOW * 2, &Ok(()));
        }
        assert_eq!(size.now(), 1);
        assert_eq!(BatchSize::new(0).now(), 1);
    }
}
