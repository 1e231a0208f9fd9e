//! The only file that writes to ftrack: vetted changes in batches, each looked at again afterwards.
//!
//! A refused batch is halved until the change that the server objects to stands alone. An unclear answer is never followed by a blind repetition:
//! the users are read again, and only what is not there is sent once more. Whether a refused call was rolled back as a whole is not relied upon.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};

use super::{
    batch::{Age, Batch, batches},
    error::{FtrackError, Trouble, WriteFailure},
    operation::Operation,
    patience::{GoOn, Patience},
    session::{Session, Until},
    state::{UserState, states},
    stopped::{Cause, Stopped},
    target::{self, Left, Means},
    user::{Current, EntityId},
};
use crate::sync::{
    change::{Action, Change, Field},
    guard::Vetted,
};

/// How long a batch that is in flight may still take when somebody asks to stop.
const GRACE: Duration = Duration::from_secs(8);

/// How often the state of a batch is looked at and completed, at most: attributes, then links, and what an odd server makes of it.
const MOST_ROUNDS: usize = 12;

/// What became of one change, by its place among the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The change's place in [`Vetted::allowed`].
    pub place: usize,
    /// Why it is not applied, if so.
    pub failure: Option<String>,
}

/// Writes what was vetted; `each` hears of results as they become known.
///
/// Returns why the writing was ended before its end, if so; then all that was not tried is among the results, with that reason.
pub async fn write(session: &Session, vetted: &Vetted, current: &Current, limits: Limits<'_>, each: impl FnMut(&[Done]) + Send) -> Option<Stopped> {
    let mut writer = Writer {
        session,
        changes: vetted.allowed(),
        means: Means {
            custom_attributes: &current.custom_attributes,
            signer: session.signer(),
            run_mark: session.run_mark(),
            orphans: &current.orphans,
        },
        limits,
        patience: Patience::default(),
        stopped: None,
        unsettled: Batch::settling(),
        each,
    };
    writer.all(current).await;
    writer.stopped
}

/// How the writing is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// The most changes in one call.
    pub batch_size: usize,
    /// How often a call whose answer is unclear is followed by another.
    pub attempts: usize,
    /// Until when batches may begin.
    pub until: &'a Until,
}

/// What one round over a batch leads to.
enum Round {
    /// Look at what is left, and go on.
    Again,
    /// Nothing is left to do.
    Over,
    /// The batch goes on in parts.
    Parts(Vec<Vec<Vec<usize>>>),
}

struct Writer<'a, F> {
    session: &'a Session,
    changes: &'a [Change],
    means: Means<'a>,
    limits: Limits<'a>,
    patience: Patience,
    stopped: Option<Stopped>,
    /// Changes that hold, and of which only the link is still to say so: the parts of a batch are settled in one call.
    unsettled: Batch,
    each: F,
}

impl<F: FnMut(&[Done]) + Send> Writer<'_, F> {
    async fn all(&mut self, current: &Current) {
        let known: HashMap<&EntityId, _> = current.users.iter().map(|user| (&user.id, user)).collect();
        for units in batches(self.changes, self.limits.batch_size) {
            let changes = units.iter().flatten().filter_map(|place| self.changes.get(*place));
            let seen = changes
                .filter_map(|change| known.get(&change.ftrack_id))
                .map(|user| (user.id.clone(), UserState::from(*user)))
                .collect();
            self.batch(Batch {
                units,
                seen,
                age: Age::OfThePlan,
            })
            .await;
        }
    }

    /// Writes one batch to its end, in parts where the server refuses the whole.
    async fn batch(&mut self, batch: Batch) {
        let mut waiting = VecDeque::from([batch]);
        while let Some(mut batch) = waiting.pop_front().or_else(|| self.take_unsettled()) {
            self.stop_when_told();
            if let Some(Stopped { why, .. }) = self.stopped.clone() {
                self.fail_all(&batch, &format!("not tried: {why}"));
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
                    age: if batch.age == Age::Settling { Age::Settling } else { Age::Fresh },
                });
            }
        }
    }

    fn settle_later(&mut self, batch: &mut Batch) {
        for place in batch.units.iter().flatten() {
            let user = self.changes.get(*place).and_then(|change| batch.seen.remove_entry(&change.ftrack_id));
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
            self.stopped = Some(Stopped::told());
        } else if std::time::Instant::now() >= until.deadline {
            self.stopped = Some(Stopped::late());
        }
    }

    /// Round after round over one batch, until nothing is left of it or it is to be parted.
    async fn rounds(&mut self, batch: &mut Batch) -> Vec<Vec<Vec<usize>>> {
        let mut delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(10))
            .with_jitter()
            .with_max_times(self.limits.attempts)
            .build();
        for _ in 0..MOST_ROUNDS {
            let (operations, bookkeeping) = self.operations(batch);
            if operations.is_empty() {
                return Vec::new();
            }
            if bookkeeping && batch.age != Age::Settling {
                self.settle_later(batch);
                return Vec::new();
            }
            let round = match self.session.write_call(&operations, &self.finishing()).await {
                Ok(_) if bookkeeping => {
                    self.succeed_all(batch);
                    Round::Over
                }
                Ok(_) => self.kept(batch).await,
                Err(WriteFailure::Refused(error)) => self.refused(batch, &error).await,
                Err(WriteFailure::Unclear(error)) => self.unclear(batch, &error, delays.next()).await,
                Err(WriteFailure::NotSent(error) | WriteFailure::Fatal(error)) => self.stop(batch, &error),
            };
            match round {
                Round::Again => {}
                Round::Over => return Vec::new(),
                Round::Parts(parts) => return parts,
            }
        }
        self.fail_all(batch, "ftrack does not keep what is written, however often it is looked at");
        Vec::new()
    }

    /// What is left to be written of a batch, and whether that is links alone; changes that are done or cannot be done leave the batch.
    fn operations(&mut self, batch: &mut Batch) -> (Vec<Operation>, bool) {
        let mut operations = Vec::new();
        let mut bookkeeping = true;
        let mut done = Vec::new();
        for unit in &mut batch.units {
            let mut of_unit = Vec::new();
            let (mut finished, mut out) = (Vec::new(), Vec::new());
            for place in unit.iter() {
                let Some(change) = self.changes.get(*place) else { continue };
                let no_seat = self.patience.no_seat_for(change.action);
                match target::left(change, batch.seen.get(&change.ftrack_id), self.means) {
                    Ok(Left { operations, .. }) if operations.is_empty() => finished.push(*place),
                    Ok(left) if no_seat.is_some() && left.differs_in_activity() => out.push((*place, no_seat)),
                    Ok(left) => {
                        bookkeeping &= left.differing.is_empty();
                        of_unit.extend(left.operations);
                    }
                    Err(obstructed) => out.push((*place, Some(obstructed.to_string()))),
                }
            }
            // Who is done waits for the others of a rotation: as long as they are not, it may have to be put back.
            if of_unit.is_empty() {
                out.extend(finished.into_iter().map(|place| (place, None)));
            }
            unit.retain(|place| !out.iter().any(|(gone, _)| gone == place));
            done.extend(out.into_iter().map(|(place, failure)| Done { place, failure }));
            if unit.len() > 1 && !bookkeeping {
                operations.extend(
                    unit.iter()
                        .filter_map(|place| self.changes.get(*place))
                        .filter_map(|change| target::park(change, batch.seen.get(&change.ftrack_id))),
                );
            }
            operations.extend(of_unit);
        }
        batch.units.retain(|unit| !unit.is_empty());
        self.tell(&done);
        (operations, bookkeeping)
    }

    /// The call went through: what the server made of it is looked at; an attribute that it did not keep fails its change.
    async fn kept(&mut self, batch: &mut Batch) -> Round {
        if !self.look_again(batch).await {
            return Round::Over;
        }
        let mut done = Vec::new();
        for unit in &mut batch.units {
            unit.retain(|place| {
                let Some(change) = self.changes.get(*place) else { return false };
                let Ok(left) = target::left(change, batch.seen.get(&change.ftrack_id), self.means) else {
                    return true;
                };
                let inactive = left.differing.iter().any(|(field, there)| *field == Field::IsActive && *there == false);
                if left.differing.is_empty() {
                    self.patience.succeeded(change.action);
                    return true;
                }
                let failure = not_kept(change, &left);
                if inactive && change.action.takes_a_seat() {
                    self.patience.stored_inactive();
                }
                done.push(Done {
                    place: *place,
                    failure: Some(failure),
                });
                false
            });
        }
        batch.units.retain(|unit| !unit.is_empty());
        self.tell(&done);
        Round::Again
    }

    /// The call was refused: what is there all the same is looked at, and the rest is halved until the change at fault stands alone.
    async fn refused(&mut self, batch: &mut Batch, error: &FtrackError) -> Round {
        if !self.look_again(batch).await || !self.put_back(batch).await {
            return Round::Over;
        }
        let (operations, _) = self.operations(batch);
        match batch.units.as_slice() {
            [] => Round::Over,
            _ if operations.is_empty() => Round::Over,
            [unit] => match unit.as_slice() {
                [place] => {
                    self.fail_one(*place, batch, error).await;
                    Round::Over
                }
                // A rotation that cannot be written as a whole: each change on its own, as far as that goes.
                several => Round::Parts(several.iter().map(|place| vec![vec![*place]]).collect()),
            },
            units => {
                let (left, right) = units.split_at(units.len() / 2);
                Round::Parts(vec![left.to_vec(), right.to_vec()])
            }
        }
    }

    /// Gives the users of rotations that a refused call left half-way what they had before; says whether one may go on.
    async fn put_back(&mut self, batch: &mut Batch) -> bool {
        let mut operations = Vec::new();
        for unit in batch.units.iter().filter(|unit| unit.len() > 1) {
            let changes: Vec<&Change> = unit.iter().filter_map(|place| self.changes.get(*place)).collect();
            operations.extend(target::back(&changes, &batch.seen));
        }
        if operations.is_empty() {
            return true;
        }
        // Refused as well, each of them is tried on its own later.
        let _ = self.session.write_call(&operations, &self.finishing()).await;
        self.look_again(batch).await
    }

    async fn fail_one(&mut self, place: usize, batch: &Batch, error: &FtrackError) {
        let Some(change) = self.changes.get(place) else { return };
        let seen = batch.seen.get(&change.ftrack_id);
        if target::holds(change, seen, self.means.custom_attributes) {
            return self.tell(&[Done { place, failure: None }]);
        }
        let mut failure = reason(error);
        // Without the server's address, which may hold any word.
        self.patience.refused(change.action, &error.trouble().to_string());
        if matches!(error.trouble(), Trouble::Permission(_)) && self.patience.forbidden() == GoOn::No {
            self.stopped = Some(Stopped {
                why: format!("the API key may not write this: {failure}"),
                cause: Cause::Other,
            });
        }
        let written = target::written_all_the_same(change, seen, self.means.custom_attributes);
        if !written.is_empty() {
            failure = format!("{failure}; written all the same: {}", written.join(", "));
        }
        if let Some(worse) = self.unpark(change, seen).await {
            failure = format!("{failure}; {worse}");
        }
        self.tell(&[Done { place, failure: Some(failure) }]);
    }

    /// Takes a user out of the login that it had between two others; says what is to be known about that.
    async fn unpark(&self, change: &Change, seen: Option<&UserState>) -> Option<String> {
        let back = target::unpark(change, seen)?;
        let Err(first) = self.session.write_call(&[back], &self.finishing()).await else {
            return None;
        };
        let on = target::park_at_target(change, seen)?;
        match self.session.write_call(&[on], &self.finishing()).await {
            Ok(_) => Some("its old login was taken by then, so that it has the new one all the same".into()),
            Err(_) => Some(format!("and its old login could not be put back: {}", reason(first.error()))),
        }
    }

    /// Nobody knows what became of the call: after a pause one asks.
    async fn unclear(&mut self, batch: &mut Batch, error: &FtrackError, pause: Option<Duration>) -> Round {
        let told = self.limits.until.cancel.is_cancelled();
        let Some(pause) = pause.filter(|_| !told) else {
            if self.look_again(batch).await {
                let (_, _) = self.operations(batch);
                self.fail_all(batch, &format!("not applied: {}", reason(error)));
                self.stopped.get_or_insert_with(|| stopped(error));
            }
            return Round::Over;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.limits.until.cancel.cancelled() => {}
        }
        if self.look_again(batch).await { Round::Again } else { Round::Over }
    }

    fn stop(&mut self, batch: &Batch, error: &FtrackError) -> Round {
        let stopped = stopped(error);
        self.fail_all(batch, &format!("not applied: {}", stopped.why));
        self.stopped = Some(stopped);
        Round::Over
    }

    /// Looks at users who are to be changed right before that, so that what somebody did since the plan was made is neither overwritten nor misreported.
    ///
    /// Users to be created need no look: their ids are this program's own.
    async fn look_before(&mut self, batch: &mut Batch) -> bool {
        let creates = |place: &usize| self.changes.get(*place).is_some_and(|change| change.action == Action::Create);
        if batch.age != Age::OfThePlan || batch.units.iter().flatten().all(creates) {
            return true;
        }
        match self.states(batch).await {
            Ok(seen) => {
                batch.seen = seen;
                true
            }
            Err(stopped) => {
                self.fail_all(batch, &format!("not tried, since the users could not be read again: {}", stopped.why));
                self.stopped = Some(stopped);
                false
            }
        }
    }

    /// Reads the users of a batch again; when that cannot be, the writing ends, since nothing more can be known.
    async fn look_again(&mut self, batch: &mut Batch) -> bool {
        match self.states(batch).await {
            Ok(seen) => {
                batch.seen = seen;
                true
            }
            Err(stopped) => {
                self.fail_all(
                    batch,
                    &format!("the result is not known, since the users could not be read again: {}", stopped.why),
                );
                self.stopped = Some(stopped);
                false
            }
        }
    }

    async fn states(&self, batch: &Batch) -> Result<BTreeMap<EntityId, UserState>, Stopped> {
        let ids: Vec<EntityId> = batch
            .units
            .iter()
            .flatten()
            .filter_map(|place| self.changes.get(*place))
            .map(|change| change.ftrack_id.clone())
            .collect();
        let until = self.finishing();
        let told = async {
            self.limits.until.cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            looked = states(self.session, &ids, self.means.custom_attributes, &until) => looked.map_err(|error| stopped(&error)),
            () = told => Err(Stopped::told()),
        }
    }

    /// A batch that began is finished, also when somebody asks to stop.
    fn finishing(&self) -> Until {
        Until {
            deadline: self.limits.until.deadline + GRACE,
            cancel: tokio_util::sync::CancellationToken::new(),
        }
    }

    fn succeed_all(&mut self, batch: &Batch) {
        let done: Vec<Done> = batch.units.iter().flatten().map(|place| Done { place: *place, failure: None }).collect();
        self.tell(&done);
    }

    fn fail_all(&mut self, batch: &Batch, why: &str) {
        let failed = |place: &usize| {
            let change = self.changes.get(*place);
            // What was seen to hold is done, though the link still says that it is under way; the next run settles it.
            let holds = change.is_some_and(|change| target::holds(change, batch.seen.get(&change.ftrack_id), self.means.custom_attributes));
            Done {
                place: *place,
                failure: (!holds).then(|| why.to_owned()),
            }
        };
        let done: Vec<Done> = batch.units.iter().flatten().map(failed).collect();
        self.tell(&done);
    }

    fn tell(&mut self, done: &[Done]) {
        if !done.is_empty() {
            (self.each)(done);
        }
    }
}

fn stopped(error: &FtrackError) -> Stopped {
    Stopped {
        why: reason(error),
        cause: error.cause(),
    }
}

/// What the server said, or what went wrong on the way.
fn reason(error: &FtrackError) -> String {
    error.to_string()
}

fn not_kept(change: &Change, left: &Left) -> String {
    let fields = left.differing.iter().filter_map(|(field, there)| {
        let wanted = &change.fields.get(field)?.new;
        let hint = if *field == Field::IsActive && *wanted == true {
            " (is no seat left?)"
        } else {
            ""
        };
        Some(format!("{} as {there} instead of {wanted}{hint}", field.name()))
    });
    format!("ftrack took the change, but stored {}", fields.collect::<Vec<_>>().join(", "))
}
