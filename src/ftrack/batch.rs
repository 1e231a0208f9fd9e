//! Changes that go into one call, with what is known of their users. No I/O.

use std::collections::BTreeMap;

use super::user_state::UserState;
use crate::model::{change::Change, user::EntityId};

/// Changes that are written in one call, by their places: single ones, and rotations that stay
/// together.
pub(super) struct Batch {
    /// The places: single changes, and rotations that stay together.
    pub units: Vec<Vec<usize>>,
    /// What is known of the users; who is missing does not exist.
    pub seen: BTreeMap<EntityId, UserState>,
    /// How old that is.
    pub age: Age,
}

impl Batch {
    /// A batch in which only links are left, still empty.
    pub fn settling() -> Self {
        Self {
            units: Vec::new(),
            seen: BTreeMap::new(),
            age: Age::Settling,
        }
    }
}

/// How old a look at the users of a batch is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// From when the plan was made: long ago, where many batches went before.
    OfThePlan,
    /// From just now.
    Fresh,
    /// From when everything but the links was seen to be written.
    Settling,
}

/// Changes in batches of at most so many, in their order; a rotation is never cut.
pub(super) fn batches(changes: &[Change], size: usize) -> Vec<Vec<Vec<usize>>> {
    let mut batches: Vec<Vec<Vec<usize>>> = Vec::new();
    let mut filled = usize::MAX;
    let same_rotation = |a: &Change, b: &Change| a.rotation.is_some() && a.rotation == b.rotation;
    let mut place = 0;
    for unit in changes.chunk_by(same_rotation) {
        if filled.saturating_add(unit.len()) > size.max(1) {
            batches.push(Vec::new());
            filled = 0;
        }
        if let Some(batch) = batches.last_mut() {
            batch.push((place..place + unit.len()).collect());
        }
        filled += unit.len();
        place += unit.len();
    }
    batches
}
