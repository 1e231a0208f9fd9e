//! What one call writes: what is left of the changes of a batch, and the operations for it.

use std::collections::BTreeSet;

use super::Writing;
use crate::ftrack::{
    batch::Batch,
    operation::Operation,
    outcome::{ChangeOutcome, OutcomeKind, Progress},
    remaining,
    remaining::Remaining,
    rotation,
};

/// What is left to be written of a batch.
pub(super) struct Call {
    /// What is left of the changes of each unit, by their indices.
    left: Vec<Vec<(usize, Remaining)>>,
    /// The indices of its changes, in order.
    pub(super) places: Vec<usize>,
    /// Those of them for which nothing was sent before.
    pub(super) first_for: Vec<usize>,
    /// Whether only links are left.
    pub(super) settles: bool,
}

impl Call {
    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

impl<F: FnMut(&[ChangeOutcome]) + Send> Writing<'_, F> {
    /// What is left to be written of a batch; changes that are done or cannot be done are removed.
    pub(super) fn call(&mut self, batch: &mut Batch) -> Call {
        let mut call = Call {
            left: Vec::new(),
            places: Vec::new(),
            first_for: Vec::new(),
            settles: true,
        };
        let mut done = Vec::new();
        for unit in &mut batch.units {
            let mut of_unit = Vec::new();
            let (mut finished, mut out) = (Vec::new(), Vec::new());
            for place in unit.iter() {
                let Some(change) = self.changes.get(*place) else {
                    continue;
                };
                let no_seat = self.stop_rule.no_seat_for(change.action);
                match remaining::remaining(
                    change,
                    batch.seen.get(&change.ftrack_id),
                    self.doings.of(*place),
                    self.means,
                ) {
                    Ok(left) if left.is_done() => finished.push(*place),
                    Ok(left) => match no_seat {
                        Some(no_seat) if left.differs_in_activity() => {
                            out.push((*place, OutcomeKind::NoSeat(no_seat, BTreeSet::new())))
                        }
                        Some(_) | None => {
                            call.settles &= left.only_settles;
                            call.places.push(*place);
                            of_unit.push((*place, left));
                        }
                    },
                    Err(obstructed) => {
                        if obstructed.is_final() {
                            self.doings.cannot_arrive(*place);
                        }
                        out.push((*place, obstructed.outcome()));
                    }
                }
            }
            // Finished changes wait for the others of a rotation: until then it may have to be
            // restored.
            if of_unit.is_empty() {
                out.extend(
                    finished
                        .into_iter()
                        .map(|place| (place, self.doings.holds(place))),
                );
            }
            unit.retain(|place| !out.iter().any(|(gone, _)| gone == place));
            done.extend(
                out.into_iter()
                    .map(|(place, became)| ChangeOutcome { place, became }),
            );
            if !unit.is_empty() {
                call.left.push(of_unit);
            }
        }
        batch.units.retain(|unit| !unit.is_empty());
        self.report(&done);
        call.first_for = call
            .places
            .iter()
            .copied()
            .filter(|place| self.doings.of(*place) == Progress::Nothing)
            .collect();
        call
    }

    /// The operations of a call; a change that cannot be serialised is removed.
    pub(super) fn operations(&mut self, call: &mut Call, batch: &mut Batch) -> Vec<Operation> {
        let (mut operations, mut done) = (Vec::new(), Vec::new());
        for (unit, left) in batch.units.iter().zip(std::mem::take(&mut call.left)) {
            let changes = unit
                .iter()
                .filter_map(|place| self.changes.get(*place))
                .filter(|_| unit.len() > 1 && !call.settles);
            operations.extend(changes.filter_map(|change| {
                rotation::rotation_login(change, batch.seen.get(&change.ftrack_id))
            }));
            for (place, left) in left {
                let Some(change) = self.changes.get(place) else {
                    continue;
                };
                match left.operations(&change.ftrack_id, self.writer.reader().signer()) {
                    Ok(of_change) => operations.extend(of_change),
                    Err(obstructed) => done.push(ChangeOutcome {
                        place,
                        became: obstructed.outcome(),
                    }),
                }
            }
        }
        for ChangeOutcome { place, .. } in &done {
            batch
                .units
                .iter_mut()
                .for_each(|unit| unit.retain(|of_unit| of_unit != place));
            call.places.retain(|of_call| of_call != place);
            call.first_for.retain(|of_call| of_call != place);
        }
        batch.units.retain(|unit| !unit.is_empty());
        self.report(&done);
        operations
    }
}
