//! A person rejects what a hold holds: it is not written until its cause has ended.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{
    approval::{ApprovedHold, HoldDecision},
    failure::{HoldError, RunStartError},
};
use crate::{
    event::{Event, HoldEvent, RunName},
    state::{
        State,
        lock::{JobLock, LockError},
    },
};

/// How long a run of the job is waited for.
const LIMIT: Duration = Duration::from_secs(8);

/// The interval between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(100);

/// Rejects what a hold holds, or some of it, while no run of its job is under way; returns of how many
/// people.
///
/// # Errors
/// There is nothing to reject, a run of the job does not end soon, or it cannot be saved.
pub async fn reject(
    state: &State,
    state_dir: &Path,
    decision: &HoldDecision,
    cancel: &CancellationToken,
) -> Result<usize, RunStartError> {
    let job = decision.job(state)?;
    let deadline = Instant::now() + LIMIT;
    let _lock = loop {
        match JobLock::take(state_dir, &job) {
            Err(LockError::Taken(_)) if Instant::now() < deadline && !cancel.is_cancelled() => {
                tokio::time::sleep(PAUSE).await;
            }
            taken => break taken?,
        }
    };
    let ApprovedHold { hold, wanted, .. } = decision.people(state)?;
    let closed = state.reject(&hold, Utc::now(), &decision.by, &wanted);
    if let Some(closed) = closed.map_err(HoldError::State)? {
        let (of, what) = (RunName { job: &job, run: "" }, HoldEvent::Closed(closed));
        Event::Hold { of, what }.emit();
    }
    Ok(wanted.len())
}
