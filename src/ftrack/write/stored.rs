//! What ftrack stored of what it accepted: a value that it stores otherwise is as good as written,
//! and what it did not store fails its change.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Round, Writing};
use crate::{
    ftrack::{
        batch::Batch,
        cannot_write::CannotWrite,
        outcome::{ChangeOutcome, OutcomeKind},
        remaining,
        user_state::UserState,
    },
    model::{
        change::Action,
        edit::Field,
        link::LinkFound,
        stored_value::{Likeness, StoredValue, has_same_letters, likeness},
    },
    sync::custom::equal,
};

impl<F: FnMut(&[ChangeOutcome]) + Send> Writing<'_, F> {
    /// The call succeeded: the result is checked; an attribute that the server did not store fails
    /// its change.
    pub(super) async fn kept(&mut self, batch: &mut Batch) -> Round {
        if !self.look_again(batch).await {
            return Round::Over;
        }
        let mut done = Vec::new();
        let shows_users = self.shows_users(batch).await;
        let Batch { units, seen, .. } = batch;
        for unit in units.iter_mut() {
            unit.retain(|place| {
                let user = self.changes.get(*place).map(|change| &change.ftrack_id);
                let seen = user.and_then(|user| seen.get(user));
                let ended = self
                    .gone(*place, seen, shows_users)
                    .or_else(|| self.check_stored(*place, seen));
                let is_kept = ended.is_none();
                done.extend(ended.map(|became| ChangeOutcome {
                    place: *place,
                    became,
                }));
                is_kept
            });
        }
        units.retain(|unit| !unit.is_empty());
        self.report(&done);
        Round::Again
    }

    /// The result of a change whose user was deleted meanwhile.
    fn gone(
        &self,
        place: usize,
        seen: Option<&UserState>,
        shows_users: bool,
    ) -> Option<OutcomeKind> {
        let creates = self.changes.get(place)?.action == Action::Create;
        let is_gone = seen.is_none() && shows_users && !creates;
        is_gone.then(|| CannotWrite::Gone.outcome())
    }

    /// The result of a change of which something was not stored, or is not shown.
    fn check_stored(&mut self, place: usize, seen: Option<&UserState>) -> Option<OutcomeKind> {
        if let Some(hidden) = self.hidden(place, seen) {
            let why = format!(
                "the result is not known, since ftrack accepted the change, and does not show \
                 {hidden}"
            );
            return Some(OutcomeKind::Unconfirmed(why, BTreeSet::new()));
        }
        let is_unsure = self.accept_stored(place, seen);
        let change = self.changes.get(place)?;
        let (so_far, means) = (self.doings.of(place), self.means);
        let left = remaining::remaining(change, seen, so_far, means).ok()?;
        let action = change.action;
        let is_yet_to_be_given = |field: &Field| {
            seen.is_some_and(|seen| remaining::is_yet_to_be_given(change, seen, field))
        };
        if left
            .differing
            .iter()
            .all(|(field, _)| is_yet_to_be_given(field))
        {
            self.stop_rule.succeeded(action);
            return None;
        }
        if is_unsure {
            return None;
        }
        let failure = remaining::not_kept(change, &left);
        let is_inactive =
            |(field, there): &(Field, Value)| *field == Field::IsActive && *there == false;
        if !action.takes_a_seat() || !left.differing.iter().any(is_inactive) {
            return Some(OutcomeKind::Failed(failure));
        }
        self.stop_rule.stored_inactive();
        Some(if left.differing.iter().all(is_inactive) {
            OutcomeKind::NoSeat(failure, BTreeSet::new())
        } else {
            OutcomeKind::Failed(failure)
        })
    }

    /// Takes the values that ftrack stored otherwise for those that were wanted: at once where they
    /// have the same letters, and where they are others once they were stored twice, since somebody
    /// else may have written them in between. Returns whether that is still to be seen.
    fn accept_stored(&mut self, place: usize, seen: Option<&UserState>) -> bool {
        let (Some(change), Some(seen)) = (self.changes.get(place), seen) else {
            return false;
        };
        let mut is_unsure = false;
        let (user, is_alone) = (change.ftrack_id.clone(), change.rotation.is_none());
        let fields = change.fields();
        for (field, there) in remaining::differing(change, seen, self.means.custom_attributes) {
            let Some(values) = fields.get(&field) else {
                continue;
            };
            let is_parked = there == super::rotation::parked(&user);
            match likeness(&field, &values.new, &there) {
                Likeness::None => {}
                Likeness::Form if is_parked => {}
                // The write had no effect, or ftrack made of the value what was there before.
                Likeness::Form
                    if equal(&values.old, &there) && !has_same_letters(&values.new, &there) => {}
                Likeness::Form => self.accept(place, field, &values.new, there),
                Likeness::Other if !is_alone => {}
                Likeness::Other if self.was_stored(place, &field, &there) => {
                    self.accept(place, field, &values.new, there);
                }
                // What was there before: the write had no effect.
                Likeness::Other if equal(&values.old, &there) => {}
                Likeness::Other => {
                    self.write_over(place, field, there);
                    is_unsure = true;
                }
            }
        }
        is_unsure
    }

    /// What ftrack accepted and does not show.
    fn hidden(&self, place: usize, seen: Option<&UserState>) -> Option<&'static str> {
        match seen.map(|seen| &seen.link) {
            None => Some("the user"),
            Some(LinkFound::Absent) if self.makes_link(place) => Some("the user's link"),
            Some(_) => None,
        }
    }

    fn accept(&mut self, place: usize, field: Field, wanted: &Value, stored: Value) {
        if let Some(change) = self.changes.to_mut().get_mut(place) {
            change.set_new(&field, &stored);
        }
        let wanted = wanted.clone();
        let value = StoredValue {
            field,
            wanted,
            stored,
        };
        self.doings.stored(place, value);
    }

    /// Whether that value was there in place of the wanted one after an earlier write.
    fn was_stored(&self, place: usize, field: &Field, there: &Value) -> bool {
        let mut earlier = self.unlike.get(&place).into_iter().flatten();
        earlier.any(|(known, value)| known == field && value == there)
    }

    /// Lets the wanted value be written once more, over the one that is there.
    fn write_over(&mut self, place: usize, field: Field, there: Value) {
        if let Some(change) = self.changes.to_mut().get_mut(place) {
            change.set_old(&field, &there);
        }
        self.unlike.entry(place).or_default().push((field, there));
    }
}
