//! Reads the users of a batch: before they are written, if the plan is old, and after each call.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Writing, stopped};
use crate::{
    ftrack::{
        batch::{Age, Batch},
        outcome::{ChangeOutcome, OutcomeKind, Progress},
        remaining,
        session::Until,
        stopped::WriteStopped,
        user_state::{Columns, UserState, states},
    },
    model::user::EntityId,
};

/// How long a batch in flight may still take after a stop is requested.
const GRACE: Duration = Duration::from_secs(8);

impl<F: FnMut(&[ChangeOutcome]) + Send> Writing<'_, F> {
    /// Reads users right before they are changed, so that changes by others since the plan was made
    /// are neither overwritten nor misreported.
    pub(super) async fn look_before(&mut self, batch: &mut Batch) -> bool {
        let seen = self.ahead.seen.take();
        if batch.age != Age::OfThePlan || self.to_look_at(&batch.units).is_empty() {
            return true;
        }
        if let Some(mut seen) = seen {
            let users = self.to_look_at(&batch.units);
            batch.seen = users
                .iter()
                .filter_map(|user| seen.remove_entry(user))
                .collect();
            self.note_links(batch);
            return true;
        }
        match self.look(batch).await {
            Ok(()) => true,
            Err(stopped) => {
                let why = format!("the users could not be read again: {}", stopped.why);
                self.end_all(batch, "not tried", &why);
                self.stopped = Some(stopped);
                false
            }
        }
    }

    /// Reads the users of a batch again; when that fails, the writing ends, since nothing more can
    /// be known.
    pub(super) async fn look_again(&mut self, batch: &mut Batch) -> bool {
        match self.look(batch).await {
            Ok(()) => true,
            Err(stopped) => {
                self.leave_unconfirmed(
                    batch,
                    &format!(
                        "the result is not known, since the users could not be read again: {}",
                        stopped.why
                    ),
                );
                self.stopped = Some(stopped);
                false
            }
        }
    }

    /// Of what was sent it is not known whether it is in effect, unless that was seen before.
    fn leave_unconfirmed(&mut self, batch: &Batch, why: &str) {
        let became = |place: &usize| {
            let unknown = || match self.doings.of(*place) {
                Progress::Nothing => OutcomeKind::Failed(why.to_owned()),
                Progress::Sent | Progress::Linked => {
                    OutcomeKind::Unconfirmed(why.to_owned(), BTreeSet::new())
                }
            };
            ChangeOutcome {
                place: *place,
                became: self.holds(*place, batch).unwrap_or_else(unknown),
            }
        };
        let done: Vec<ChangeOutcome> = batch.units.iter().flatten().map(became).collect();
        self.report(&done);
    }

    async fn look(&mut self, batch: &mut Batch) -> Result<(), WriteStopped> {
        let users = batch.units.iter().flatten();
        let users = users.filter_map(|place| self.changes.get(*place));
        let mut ids: Vec<EntityId> = users.map(|change| change.ftrack_id.clone()).collect();
        let of_batch: BTreeSet<EntityId> = ids.iter().cloned().collect();
        ids.extend(self.ahead.users.iter().cloned());
        let (seen, ahead) = self
            .states_of(&ids)
            .await?
            .into_iter()
            .partition(|(id, _)| of_batch.contains(id));
        batch.seen = seen;
        self.ahead.seen = (!self.ahead.users.is_empty()).then_some(ahead);
        self.note_links(batch);
        Ok(())
    }

    /// Notes whose links are from this run.
    fn note_links(&mut self, batch: &Batch) {
        for place in batch.units.iter().flatten() {
            let change = self.changes.get(*place).filter(|_| self.makes_link(*place));
            let seen = change.and_then(|change| batch.seen.get(&change.ftrack_id));
            match seen.filter(|seen| seen.link.link().is_some()) {
                Some(seen) if remaining::is_own(seen, self.means) => self.doings.linked(*place),
                // Whatever was sent, the link is not from this run.
                Some(_) => self.doings.refused(*place),
                None => {}
            }
        }
    }

    async fn states_of(
        &self,
        ids: &[EntityId],
    ) -> Result<BTreeMap<EntityId, UserState>, WriteStopped> {
        let until = self.finishing();
        let columns = Columns {
            custom_attributes: self.means.custom_attributes,
            grants: self.means.grants,
        };
        tokio::select! {
            looked = states(self.writer.reader(), ids, columns, &until) => looked.map_err(|error| stopped(&error)),
            () = self.grace() => Err(WriteStopped::requested()),
        }
    }

    /// Whether a user of a batch that ftrack does not show is gone: if the key could not read users
    /// any more, nobody would be shown.
    pub(super) async fn shows_users(&self, batch: &Batch) -> bool {
        if !batch.seen.is_empty() {
            return true;
        }
        let Some(unconcerned) = self.unconcerned else {
            return false;
        };
        let seen = self.states_of(std::slice::from_ref(unconcerned)).await;
        seen.is_ok_and(|seen| !seen.is_empty())
    }

    /// Ends when a stop was requested, and a batch in progress had its time since.
    pub(super) async fn grace(&self) {
        self.limits.until.cancel.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    /// A batch that was begun is finished, even if a stop is requested.
    pub(super) fn finishing(&self) -> Until {
        Until {
            deadline: self.limits.until.deadline + GRACE,
            cancel: tokio_util::sync::CancellationToken::new(),
        }
    }
}
