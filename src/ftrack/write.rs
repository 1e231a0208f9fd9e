//! Writes vetted changes in batches, and reads each batch back.
//!
//! A refused batch is halved until the change that the server refuses is alone. An unclear answer
//! is never followed by a blind repetition: the users are read again, and only what is missing is
//! sent once more. The program does not rely on the rollback of a refused call.

mod batches;
mod call;
mod looking;
mod new_groups;
mod stored;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::{Either, select};
use serde_json::Value;

use super::{
    batch::{Age, Batch},
    cannot_write::CannotWrite,
    earlier::EarlierWrites,
    error::{FtrackError, FtrackErrorKind, WriteFailure},
    operation::Operation,
    outcome::{ChangeOutcome, OutcomeKind, Progress, ProgressOfChanges, reason},
    remaining,
    remaining::WriteContext,
    rotation,
    session::{Until, Writer},
    stop_rule::StopRule,
    stopped::{StopCause, WriteStopped},
    user_state::UserState,
};
use crate::{
    model::{
        change::{Action, Change},
        edit::Field,
        user::{Current, EntityId, User, UserKind},
    },
    sync::guard::Vetted,
};

use call::Call;

/// The maximum number of rounds over a batch: attributes, then links, and corrections after an
/// unusual server.
const MOST_ROUNDS: usize = 12;

/// The end of the writing.
#[derive(Debug)]
pub struct WriteEnd {
    /// Why it stopped early, if it did; then everything that was not tried is among the results, with
    /// that reason.
    pub stopped: Option<WriteStopped>,
    /// The paths of the groups that were made.
    pub made_groups: Vec<Arc<str>>,
}

/// Writes the vetted changes, after the groups that they need; `each` is called with results as they
/// become known.
pub async fn write(
    writer: &Writer,
    vetted: &Vetted,
    current: &Current,
    limits: WriteLimits<'_>,
    each: impl FnMut(&[ChangeOutcome]) + Send,
) -> WriteEnd {
    let made = new_groups::make_missing(writer, vetted.allowed(), limits.until).await;
    let (made_groups, not_made) = match made {
        Ok(made) => (made, None),
        Err(error) => (Vec::new(), Some(stopped(&error))),
    };
    let mut writing = Writing {
        writer,
        changes: Cow::Borrowed(vetted.allowed()),
        unlike: BTreeMap::new(),
        doings: ProgressOfChanges::none(vetted.allowed().len()),
        means: WriteContext {
            custom_attributes: &current.custom_attributes,
            grants: &current.grants,
            run_mark: writer.reader().run_mark(),
            earlier: limits.earlier,
            orphans: &current.orphans,
        },
        limits,
        stop_rule: StopRule::default(),
        stopped: not_made,
        unsettled: Batch::settling(),
        ahead: Ahead::default(),
        unconcerned: unconcerned(vetted, current),
        each,
    };
    writing.all(current).await;
    WriteEnd {
        stopped: writing.stopped,
        made_groups,
    }
}

/// Bounds of the writing.
#[derive(Debug, Clone, Copy)]
pub struct WriteLimits<'a> {
    /// How often a call with an unclear answer is followed by another.
    pub attempts: usize,
    /// Until when batches may begin.
    pub until: &'a Until,
    /// What earlier runs of the job may write late.
    pub earlier: &'a EarlierWrites,
}

/// The users of the next batch, which are read beside those of the one before: right before they
/// are changed, and without a call of their own.
#[derive(Default)]
struct Ahead {
    users: Vec<EntityId>,
    /// As they were when the last users were read.
    seen: Option<BTreeMap<EntityId, UserState>>,
}

/// The result of one round over a batch.
enum Round {
    /// Read the users again, and continue.
    Again,
    /// Nothing is left to do.
    Over,
    /// Continue with the parts of the batch.
    Parts(Vec<Vec<Vec<usize>>>),
}

struct Writing<'a, F> {
    writer: &'a Writer,
    /// What is to be written; once ftrack stored a value otherwise, with that value in its place.
    changes: Cow<'a, [Change]>,
    /// Values that ftrack stored in place of others, and that may be somebody else's.
    unlike: BTreeMap<usize, Vec<(Field, Value)>>,
    doings: ProgressOfChanges,
    means: WriteContext<'a>,
    limits: WriteLimits<'a>,
    stop_rule: StopRule,
    stopped: Option<WriteStopped>,
    /// Changes in effect, for which only the link remains to be updated: many are finished in one
    /// call.
    unsettled: Batch,
    ahead: Ahead,
    /// A user that no change concerns, by which is seen whether ftrack shows users at all.
    unconcerned: Option<&'a EntityId>,
    each: F,
}

fn unconcerned<'c>(vetted: &Vetted, current: &'c Current) -> Option<&'c EntityId> {
    let changed: BTreeSet<&EntityId> = vetted
        .allowed()
        .iter()
        .map(|change| &change.ftrack_id)
        .collect();
    let mut users = current.users.iter();
    let is_one = |user: &&User| user.kind == UserKind::Person && !changed.contains(&user.id);
    users.find(is_one).map(|user| &user.id)
}

impl<F: FnMut(&[ChangeOutcome]) + Send> Writing<'_, F> {
    /// Rounds over one batch, until nothing is left of it or it has to be split.
    async fn rounds(&mut self, batch: &mut Batch) -> Vec<Vec<Vec<usize>>> {
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(10))
            .with_jitter()
            .with_max_times(self.limits.attempts)
            .build();
        // The links of what was written belong to a batch that began.
        let mut began = batch.age == Age::Settling;
        for _ in 0..MOST_ROUNDS {
            let mut call = self.call(batch);
            if call.settles && !call.is_empty() && batch.age != Age::Settling {
                self.settle_later(batch);
                return Vec::new();
            }
            let operations = self.operations(&mut call, batch);
            if operations.is_empty() {
                return Vec::new();
            }
            let sent = Instant::now();
            let answer = if began {
                self.finish(&operations).await
            } else {
                self.begin(&operations).await
            };
            let window = self.writer.reader().window();
            window.note_changes(call.places.len(), sent.elapsed(), &answer);
            self.note(&call, &answer);
            let round = match answer {
                Ok(()) if call.settles => {
                    self.succeed_all(batch);
                    Round::Over
                }
                Ok(()) => self.kept(batch).await,
                Err(WriteFailure::Refused(error)) => self.refused(batch, &call, &error).await,
                Err(WriteFailure::Unclear(error)) => {
                    self.unclear(batch, &error, delays.next()).await
                }
                Err(WriteFailure::NotSent(error))
                    if !began && error.cause() == StopCause::Requested =>
                {
                    self.not_tried(batch)
                }
                Err(WriteFailure::NotSent(error) | WriteFailure::Fatal(error)) => {
                    self.stop(batch, &error)
                }
            };
            began = true;
            match round {
                Round::Again => {}
                Round::Over => return Vec::new(),
                Round::Parts(parts) => return parts,
            }
        }
        let why = "ftrack does not store what is written, even after several attempts";
        self.end_all(batch, "not applied", why);
        Vec::new()
    }

    /// Sends the first call of a batch: as long as none was, there is nothing to finish, and a stop
    /// ends the wait for the next attempt at once.
    async fn begin(&self, operations: &[Operation]) -> Result<(), WriteFailure> {
        let until = Until {
            cancel: self.limits.until.cancel.clone(),
            ..self.finishing()
        };
        self.writer.write_call(operations, &until).await
    }

    /// Sends another call of a batch that began: a stop ends the wait for the next attempt only
    /// after the grace. A request that was sent is not cut off.
    async fn finish(&self, operations: &[Operation]) -> Result<(), WriteFailure> {
        let until = self.finishing();
        let call = pin!(self.writer.write_call(operations, &until));
        match select(call, pin!(self.grace())).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), call)) => {
                until.cancel.cancel();
                call.await
            }
        }
    }

    /// Records the changes for which something was sent.
    fn note(&mut self, call: &Call, answer: &Result<(), WriteFailure>) {
        for place in &call.places {
            match answer {
                Ok(()) if self.makes_link(*place) => self.doings.linked(*place),
                Ok(()) | Err(WriteFailure::Refused(_) | WriteFailure::Unclear(_)) => {
                    self.doings.sent(*place)
                }
                Err(WriteFailure::NotSent(_) | WriteFailure::Fatal(_)) => continue,
            }
            match answer {
                Ok(()) => self.doings.succeeded(*place),
                Err(WriteFailure::Unclear(_)) => self.doings.unanswered(*place),
                Err(
                    WriteFailure::Refused(_) | WriteFailure::NotSent(_) | WriteFailure::Fatal(_),
                ) => {}
            }
        }
    }

    fn makes_link(&self, place: usize) -> bool {
        let action = self.changes.get(place).map(|change| change.action);
        matches!(action, Some(Action::Create | Action::Adopt))
    }

    /// The call was refused: what is in effect all the same is recorded, and the rest is halved
    /// until the change at fault is alone.
    async fn refused(&mut self, batch: &mut Batch, call: &Call, error: &FtrackError) -> Round {
        if !self.look_again(batch).await {
            return Round::Over;
        }
        self.note_refused(batch, call);
        if !self.put_back(batch).await {
            return Round::Over;
        }
        let left = self.call(batch);
        match batch.units.as_slice() {
            [] => Round::Over,
            _ if left.is_empty() => Round::Over,
            _ if left.settles && batch.age != Age::Settling => Round::Again,
            [unit] => match unit.as_slice() {
                [place] => {
                    self.fail_one(*place, batch, error).await;
                    Round::Over
                }
                // A rotation that cannot be written as a whole: each change on its own, as far as
                // possible.
                several => Round::Parts(several.iter().map(|place| vec![vec![*place]]).collect()),
            },
            units => {
                let (left, right) = units.split_at(units.len() / 2);
                Round::Parts(vec![left.to_vec(), right.to_vec()])
            }
        }
    }

    /// A refused call cannot have applied the last of its changes: where that is in effect all the
    /// same, another program did it.
    fn note_refused(&mut self, batch: &Batch, call: &Call) {
        let Some((place, change)) = call
            .places
            .last()
            .and_then(|place| Some((*place, self.changes.get(*place)?)))
        else {
            return;
        };
        let so_far = match (change.action, self.doings.of(place)) {
            (_, Progress::Linked) => return,
            (Action::Create, so_far) => so_far,
            (_, Progress::Nothing | Progress::Sent) => Progress::Nothing,
        };
        let is_anothers = match remaining::remaining(
            change,
            batch.seen.get(&change.ftrack_id),
            so_far,
            self.means,
        ) {
            Ok(left) => left.is_done(),
            Err(obstructed) => matches!(
                obstructed,
                CannotWrite::CreatedMeanwhile | CannotWrite::CreatedElsewhere
            ),
        };
        if is_anothers {
            for place in &call.first_for {
                // A call before it may have done that.
                if !self.doings.may_arrive(*place) {
                    self.doings.refused(*place);
                }
            }
        }
    }

    /// Restores the users of rotations that a refused call left unfinished; returns whether to
    /// continue.
    async fn put_back(&mut self, batch: &mut Batch) -> bool {
        let mut operations = Vec::new();
        for unit in batch.units.iter().filter(|unit| unit.len() > 1) {
            let changes: Vec<&Change> = unit
                .iter()
                .filter_map(|place| self.changes.get(*place))
                .collect();
            operations.extend(rotation::back(&changes, &batch.seen));
        }
        if operations.is_empty() {
            return true;
        }
        // If this is refused as well, each of them is tried on its own later.
        let _ = self.finish(&operations).await;
        self.look_again(batch).await
    }

    async fn fail_one(&mut self, place: usize, batch: &Batch, error: &FtrackError) {
        let Some(change) = self.changes.get(place) else {
            return;
        };
        let seen = batch.seen.get(&change.ftrack_id);
        if let Some(became) = self.holds(place, batch) {
            return self.report(&[ChangeOutcome { place, became }]);
        }
        let mut failure = reason(error);
        // Without the server's address, which may contain any word.
        let is_without_seat = self
            .stop_rule
            .refused(change.action, &error.kind().to_string());
        if matches!(error.kind(), FtrackErrorKind::Permission(_))
            && self.stop_rule.forbidden().is_break()
        {
            self.stopped = Some(WriteStopped {
                why: format!("the API key may not write this: {failure}"),
                cause: StopCause::Other,
            });
        }
        let written = remaining::written_all_the_same(change, seen, self.means.custom_attributes);
        self.forget_refused_grants(change, seen).await;
        if let Some(worse) = self.undo_rotation(change, seen).await {
            failure = format!("{failure}; {worse}");
        }
        self.report(&[ChangeOutcome {
            place,
            became: if is_without_seat {
                OutcomeKind::NoSeat(failure, written)
            } else {
                OutcomeKind::failed(failure, written)
            },
        }]);
    }

    /// The result of a change that is in effect, although its link may still be marked as pending;
    /// the next run finishes it.
    pub(super) fn holds(&self, place: usize, batch: &Batch) -> Option<OutcomeKind> {
        let change = self.changes.get(place)?;
        let is_others =
            change.action == Action::Create && self.doings.of(place) != Progress::Linked;
        let holds = remaining::holds(
            change,
            batch.seen.get(&change.ftrack_id),
            self.means.custom_attributes,
        );
        (holds && !is_others).then(|| self.doings.holds(place))
    }

    /// Takes what was refused out of the user's link. Where that fails as well, the link names a role or
    /// membership that the user does not have, which the next run gives or forgets.
    async fn forget_refused_grants(&self, change: &Change, seen: Option<&UserState>) {
        let Some(link) = remaining::link_without_refused_grants(change, seen) else {
            return;
        };
        let made_by = seen.and_then(|seen| seen.link_made_by.as_deref());
        let signer = self.writer.reader().signer();
        if let Ok(operation) = Operation::update_link(&change.ftrack_id, &link, made_by, signer) {
            let _ = self.finish(&[operation]).await;
        }
    }

    /// Removes the intermediate login of a user; returns what should be reported about that.
    async fn undo_rotation(&self, change: &Change, seen: Option<&UserState>) -> Option<String> {
        let back = rotation::undo_rotation(change, seen)?;
        let Err(first) = self.finish(&[back]).await else {
            return None;
        };
        let on = rotation::finish_rotation(change, seen)?;
        match self.finish(&[on]).await {
            Ok(_) => Some("its old login was taken by then, so it has the new one".into()),
            Err(_) => Some(format!(
                "and its old login could not be put back: {}",
                reason(first.error())
            )),
        }
    }

    /// The result of the call is unknown: after a pause the users are read again.
    async fn unclear(
        &mut self,
        batch: &mut Batch,
        error: &FtrackError,
        pause: Option<Duration>,
    ) -> Round {
        let requested = self.limits.until.cancel.is_cancelled();
        let Some(pause) = pause.filter(|_| !requested) else {
            if self.look_for_late_calls(batch).await {
                self.call(batch);
                self.end_all(batch, "not applied", &reason(error));
                self.stopped.get_or_insert_with(|| stopped(error));
            }
            return Round::Over;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.limits.until.cancel.cancelled() => {}
        }
        if self.look_for_late_calls(batch).await {
            Round::Again
        } else {
            Round::Over
        }
    }

    /// Reads the users again after an answer that was not clear: a call that has begun to take effect
    /// has arrived.
    async fn look_for_late_calls(&mut self, batch: &mut Batch) -> bool {
        let before = batch.seen.clone();
        if !self.look_again(batch).await {
            return false;
        }
        for place in batch.units.iter().flatten() {
            let has_begun = self.changes.get(*place).is_some_and(|change| {
                let (before, after) = (
                    before.get(&change.ftrack_id),
                    batch.seen.get(&change.ftrack_id),
                );
                remaining::has_begun(change, before, after, self.means.custom_attributes)
            });
            if has_begun {
                self.doings.arrived(*place);
            }
        }
        true
    }

    fn not_tried(&mut self, batch: &Batch) -> Round {
        let requested = WriteStopped::requested();
        self.end_all(batch, "not tried", &requested.why);
        self.stopped = Some(requested);
        Round::Over
    }

    fn stop(&mut self, batch: &Batch, error: &FtrackError) -> Round {
        let stopped = stopped(error);
        self.end_all(batch, "not applied", &stopped.why);
        self.stopped = Some(stopped);
        Round::Over
    }

    fn succeed_all(&mut self, batch: &Batch) {
        let places = batch.units.iter().flatten().copied();
        let became = |place| ChangeOutcome {
            place,
            became: self.doings.holds(place),
        };
        let done: Vec<ChangeOutcome> = places.map(became).collect();
        self.report(&done);
    }

    /// Ends what is left of a batch: it was not done, or may be done still.
    fn end_all(&mut self, batch: &Batch, verb: &str, why: &str) {
        let ended = |place: &usize| ChangeOutcome {
            place: *place,
            became: self
                .holds(*place, batch)
                .unwrap_or_else(|| self.ended(*place, batch, (verb, why))),
        };
        let done: Vec<ChangeOutcome> = batch.units.iter().flatten().map(ended).collect();
        self.report(&done);
    }

    /// The result of a change that is not in effect, as far as that is known.
    fn ended(&self, place: usize, batch: &Batch, (verb, why): (&str, &str)) -> OutcomeKind {
        let change = self.changes.get(place);
        let sent = change.filter(|_| self.doings.of(place) != Progress::Nothing);
        let written = sent.map(|change| {
            let seen = batch.seen.get(&change.ftrack_id);
            remaining::written_all_the_same(change, seen, self.means.custom_attributes)
        });
        let why = if self.doings.may_arrive(place) {
            why.to_owned()
        } else {
            format!("{verb}: {why}")
        };
        OutcomeKind::failed(why, written.unwrap_or_default())
    }

    fn report(&mut self, done: &[ChangeOutcome]) {
        if !done.is_empty() {
            let known = |outcome: &ChangeOutcome| self.doings.known(outcome.clone());
            let done: Vec<ChangeOutcome> = done.iter().map(known).collect();
            (self.each)(&done);
        }
    }
}

fn stopped(error: &FtrackError) -> WriteStopped {
    WriteStopped {
        why: reason(error),
        cause: error.cause(),
    }
}
