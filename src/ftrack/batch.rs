//! Changes that are written in one call, with what is known of their users. No I/O.

use std::collections::BTreeMap;

use super::user_state::UserState;
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
