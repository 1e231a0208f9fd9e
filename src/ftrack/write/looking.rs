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
    model::{change::Action, user::EntityId},
};

/// How long a batch in flight may still take after a stop is requested.
const GRACE: Duration = Duration::from_secs(8);

impl<F: FnMut(&[ChangeOutcome]) + Send> Writing<'_, F> {
    /// Reads users right before they are changed, so that changes by others since the plan was made
    /// are neither overwritten nor misreported.
    ///
    /// Users to be created need not be read: their ids are this program's own.
    pub(super) async fn look_before(&mut self, batch: &mut Batch) -> bool {
        let creates = |place: &usize| {
            self.changes
                .get(*place)
                .is_some_and(|change| change.action == Action::Create)
        };
        if batch.age != Age::OfThePlan || batch.units.iter().flatten().all(creates) {
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
        batch.seen = self.states(batch).await?;
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
        Ok(())
    }

    async fn states(&self, batch: &Batch) -> Result<BTreeMap<EntityId, UserState>, WriteStopped> {
        let ids: Vec<EntityId> = batch
            .units
            .iter()
            .flatten()
            .filter_map(|place| self.changes.get(*place))
            .map(|change| change.ftrack_id.clone())
            .collect();
        self.states_of(&ids).await
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
