//! A person rejects what a hold holds: it is not written until its cause has ended.
//!
//! It is saved in the state first, and then in the users' links at ftrack, which the state may be lost
//! without. Where ftrack cannot be reached, the next run of the job writes it into them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{
    CompiledJob, Purpose, RunContext, Work,
    approval::{ApprovedHold, HoldDecision},
    failure::{Failure, HoldError, RunStartError},
    ldap_work::LdapWork,
};
use crate::{
    config::Mode,
    event::{Event, HoldEvent, RunName},
    ftrack,
    ftrack::{
        earlier::EarlierWrites,
        outcome::{ChangeOutcome, OutcomeKind},
        session::{Until, Writer},
        write::WriteLimits,
    },
    model::{
        open_hold::HoldKind, own_links::OwnLinks, rejected::Rejected, report::Trigger,
        user::Current,
    },
    state::{
        State,
        history::History,
        lock::{JobLock, LockError},
    },
    sync::guard::{Vetted, VettedNotes},
};

/// How long a run of the job is waited for.
const LIMIT: Duration = Duration::from_secs(8);

/// The interval between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(100);

/// How long it may take to write the links.
const WRITING: Duration = Duration::from_secs(12);

/// What became of a rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Of how many people something was rejected.
    pub people: usize,
    /// Why it does not stand in their links yet, if it does not.
    pub pending: Option<String>,
}

/// Rejects what a hold holds, or some of it, while no run of its job is under way; returns of how many
/// people. It stands in the state alone, until a run of the job writes it into the links.
///
/// # Errors
/// There is nothing to reject, a run of the job does not end soon, or it cannot be saved.
pub async fn reject(
    state: &State,
    state_dir: &Path,
    decision: &HoldDecision,
    cancel: &CancellationToken,
) -> Result<usize, RunStartError> {
    let _lock = locked(state, state_dir, decision, cancel).await?;
    save(state, decision)
}

async fn locked(
    state: &State,
    state_dir: &Path,
    decision: &HoldDecision,
    cancel: &CancellationToken,
) -> Result<JobLock, RunStartError> {
    free(state_dir, &decision.job(state)?, cancel).await
}

/// The lock of a job, once no run of it is under way.
pub(super) async fn free(
    state_dir: &Path,
    job: &str,
    cancel: &CancellationToken,
) -> Result<JobLock, RunStartError> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match JobLock::take(state_dir, job) {
            Err(LockError::Taken(_)) if Instant::now() < deadline && !cancel.is_cancelled() => {
                tokio::time::sleep(PAUSE).await;
            }
            taken => return Ok(taken?),
        }
    }
}

fn save(state: &State, decision: &HoldDecision) -> Result<usize, RunStartError> {
    let ApprovedHold { hold, wanted, .. } = decision.people(state)?;
    let closed = state.reject(&hold, Utc::now(), &decision.by, &wanted);
    let closed = closed.map_err(HoldError::State)?;
    let (job, by) = (&hold.job, decision.by.to_string());
    let of = RunName { job, run: "" };
    let rejected = HoldEvent::Rejected {
        hold: hold.hold,
        of: HoldKind {
            by: hold.held_by,
            kind: hold.kind,
        },
        people: wanted.len(),
        by: &by,
    };
    for what in std::iter::once(rejected).chain(closed.map(HoldEvent::Closed)) {
        Event::Hold { of, what }.emit();
    }
    Ok(wanted.len())
}

impl CompiledJob {
    /// Rejects what a hold of this job holds, or some of it, in the state and in the users' links.
    ///
    /// # Errors
    /// There is nothing to reject, a run of the job does not end soon, or it cannot be saved.
    pub async fn reject(
        &self,
        state: &State,
        decision: &HoldDecision,
        cancel: &CancellationToken,
    ) -> Result<Rejection, RunStartError> {
        let _lock = locked(state, &self.config.state_dir, decision, cancel).await?;
        let people = save(state, decision)?;
        let Work::Ldap(work) = &self.work else {
            let pending = None;
            return Ok(Rejection { people, pending });
        };
        if work.job.mode == Mode::Observe {
            let why = "the job only observes, and writes nothing to ftrack";
            let pending = Some(why.to_owned());
            return Ok(Rejection { people, pending });
        }
        let (trigger, history) = (Trigger::Manual, History::new(&self.config.state_dir));
        let (purpose, progress) = (Purpose::Sync, |_| {});
        let (mut context, writer) =
            RunContext::start(self, &**work, trigger, &purpose, history, cancel, &progress);
        context.hurry();
        let written = Box::pin(context.write_rejected(state, &writer)).await;
        let pending = written.err().map(|Failure { why, .. }| why);
        Ok(Rejection { people, pending })
    }
}

impl RunContext<'_, LdapWork> {
    /// Lets reading and writing the links take no longer than a person waits.
    pub(super) fn hurry(&mut self) {
        self.until.deadline = Instant::now() + WRITING.min(self.prepared.job.time_limit);
    }

    /// Writes what is rejected of the job's users into their links. Of users that do not exist yet, it
    /// stays in the state.
    async fn write_rejected(&mut self, state: &State, writer: &Writer) -> Result<(), Failure> {
        let current = self.all_users().await?;
        let remembered = state.remembered(&self.prepared.name, self.reader.server())?;
        let own = self.known_links(&remembered, &current)?;
        let mut rejected = remembered.rejected;
        rejected.add_links(&current, &own);
        self.write_links((&current, &own), &rejected, writer).await
    }

    /// Lets the links of the job's users say that this is rejected, and nothing else.
    pub(super) async fn write_links(
        &mut self,
        (current, own): (&Current, &OwnLinks),
        rejected: &Rejected,
        writer: &Writer,
    ) -> Result<(), Failure> {
        let none = Vetted::none();
        let notes = VettedNotes::default().with_rejected((current, own), rejected, &none);
        let until = Until {
            deadline: self.until.deadline,
            cancel: self.until.cancel.clone(),
        };
        let limits = WriteLimits {
            attempts: self.prepared.config.ftrack.attempts,
            until: &until,
            earlier: &EarlierWrites::default(),
        };
        let mut failed = None;
        let each = |done: &[ChangeOutcome]| {
            let mut why = done.iter().filter_map(|outcome| match &outcome.became {
                OutcomeKind::Applied(_) | OutcomeKind::SoAlready | OutcomeKind::ByAnother(_) => {
                    None
                }
                OutcomeKind::Unconfirmed(why, _)
                | OutcomeKind::Failed(why)
                | OutcomeKind::FailedInPart(why, _)
                | OutcomeKind::NoSeat(why, _) => Some(why.clone()),
            });
            failed = failed.take().or_else(|| why.next());
        };
        let vetted = none.with(&notes);
        ftrack::write::write(writer, &vetted, current, limits, each).await;
        match failed {
            None => Ok(()),
            Some(why) => Err(Failure::refused(why)),
        }
    }
}
