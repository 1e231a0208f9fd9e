//! The way of the batches: one after another, in parts where the server refuses the whole, and their
//! links together.

use std::collections::{HashMap, VecDeque};

use super::Writing;
use crate::{
    ftrack::{
        batch::{Age, Batch, next_units},
        outcome::ChangeOutcome,
        stopped::WriteStopped,
        user_state::UserState,
    },
    model::{
        change::Action,
        user::{Current, EntityId, User},
    },
};

/// So many links are written in a call where one change could be: each is a single short operation.
const LINKS_OF_A_CHANGE: usize = 2;

/// The number of changes in units.
fn changes_of(units: &[Vec<usize>]) -> usize {
    units.iter().map(Vec::len).sum()
}

impl<F: FnMut(&[ChangeOutcome]) + Send> Writing<'_, F> {
    /// Writes everything.
    pub(super) async fn all(&mut self, current: &Current) {
        let known: HashMap<&EntityId, &User> =
            current.users.iter().map(|user| (&user.id, user)).collect();
        let mut begin = 0;
        while let Some(batch) = self.next_batch(begin, &known) {
            begin += changes_of(&batch.units);
            self.look_ahead(begin);
            self.batch(batch).await;
            let (now, most) = self.sizes();
            if self.unsettled.units.len() + now > LINKS_OF_A_CHANGE * most {
                self.settle().await;
            }
        }
        self.settle().await;
    }

    /// How many changes are written together, and how many at most.
    fn sizes(&self) -> (usize, usize) {
        let window = self.writer.reader().window();
        (window.sizes().changes, window.most().changes)
    }

    /// The changes from this one on that are written together.
    fn next_batch(&self, begin: usize, known: &HashMap<&EntityId, &User>) -> Option<Batch> {
        let (now, _) = self.sizes();
        let units = next_units(&self.changes, begin, now);
        let changes = units
            .iter()
            .flatten()
            .filter_map(|place| self.changes.get(*place));
        let seen = changes
            .filter_map(|change| known.get(&change.ftrack_id))
            .map(|user| (user.id.clone(), UserState::from(*user)))
            .collect();
        (!units.is_empty()).then_some(Batch {
            units,
            seen,
            age: Age::OfThePlan,
        })
    }

    /// Has the users of the next batch, which begins with this change, read beside those of the one
    /// before it. It may be twice as large by then.
    fn look_ahead(&mut self, begin: usize) {
        let (now, most) = self.sizes();
        let units = next_units(&self.changes, begin, (2 * now).min(most));
        self.ahead.users = self.to_look_at(&units);
    }

    /// The users who have to be read before changes are written: none where all are creations, whose ids
    /// are this program's own.
    pub(super) fn to_look_at(&self, units: &[Vec<usize>]) -> Vec<EntityId> {
        let changes = || {
            let places = units.iter().flatten();
            places.filter_map(|place| self.changes.get(*place))
        };
        if changes().all(|change| change.action == Action::Create) {
            return Vec::new();
        }
        changes().map(|change| change.ftrack_id.clone()).collect()
    }

    /// Finishes the links of what is in effect.
    async fn settle(&mut self) {
        if let Some(unsettled) = self.take_unsettled() {
            self.batch(unsettled).await;
        }
    }

    /// Writes one batch to its end, in parts where the server refuses the whole.
    async fn batch(&mut self, batch: Batch) {
        let mut waiting = VecDeque::from([batch]);
        while let Some(mut batch) = waiting.pop_front() {
            self.stop_when_told();
            if let Some(WriteStopped { why, .. }) = self.stopped.clone() {
                self.end_all(&batch, "not tried", &why);
                continue;
            }
            if !self.look_before(&mut batch).await {
                continue;
            }
            let parts = self.rounds(&mut batch).await;
            for units in parts.into_iter().rev() {
                waiting.push_front(Batch {
                    units,
                    seen: batch.seen.clone(),
                    age: if batch.age == Age::Settling {
                        Age::Settling
                    } else {
                        Age::Fresh
                    },
                });
            }
        }
    }

    pub(super) fn settle_later(&mut self, batch: &mut Batch) {
        for place in batch.units.iter().flatten() {
            let user = self
                .changes
                .get(*place)
                .and_then(|change| batch.seen.remove_entry(&change.ftrack_id));
            self.unsettled.seen.extend(user);
        }
        self.unsettled.units.append(&mut batch.units);
    }

    fn take_unsettled(&mut self) -> Option<Batch> {
        let batch = std::mem::replace(&mut self.unsettled, Batch::settling());
        (!batch.units.is_empty()).then_some(batch)
    }

    fn stop_when_told(&mut self) {
        let until = self.limits.until;
        if self.stopped.is_some() {
            return;
        }
        if until.cancel.is_cancelled() {
            self.stopped = Some(WriteStopped::requested());
        } else if std::time::Instant::now() >= until.deadline {
            self.stopped = Some(WriteStopped::late());
        }
    }
}
