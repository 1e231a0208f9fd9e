//! Approvals of holds: done beside the loop, under the job's lock, as another program would do them.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Completion, Coordinator, persistence::saved_runs, requests::LAST_UPDATE_LIMIT};
use crate::{
    daemon::{
        commands::{ApprovalRequest, CommandError, RejectRequest, RunUpdate},
        core::Input,
        metrics::Metrics,
        setup::Setup,
    },
    model::{hold_number::HoldNumber, open_hold::OpenHold},
    notify::Notifier,
    run::{
        CompiledJob,
        approval::HoldDecision,
        failure::{HoldError, RunStartError},
        rejection,
        rejection::Rejection,
    },
    state::State,
};

impl Coordinator {
    /// Begins an approval; it ends when the daemon is told to stop, as a run does.
    pub(super) fn approve(&mut self, request: ApprovalRequest) {
        let ApprovalRequest {
            decision,
            told,
            answer,
        } = request;
        if self.stop_approvals.is_cancelled() {
            // Whoever left before the answer is no error.
            let _ = answer.send(Err(CommandError::Stopping));
            return;
        }
        let underway = Underway {
            decision,
            told,
            answer,
            setup: Arc::clone(&self.setup),
            state: Arc::clone(&self.context.state),
            metrics: Arc::clone(&self.context.metrics),
            notifier: Arc::clone(&self.context.notifier),
            cancel: self.stop_approvals.child_token(),
            cut: self.cut.clone(),
        };
        let (counted, completions) = (self.approvals.token(), self.context.completions.clone());
        // On a thread of its own, as every run.
        let on = self.context.runs.clone();
        self.context.runs.spawn_blocking(move || {
            on.block_on(async {
                underway.execute(&completions).await;
                drop(counted);
                // The loop may wait for the last of them.
                let _ = completions.send(Completion::Input(Input::Second)).await;
            });
        });
    }
}

impl Coordinator {
    /// Reads the holds, beside the loop: the database may be in use.
    pub(super) fn list_holds(&self, answer: oneshot::Sender<Result<Vec<OpenHold>, CommandError>>) {
        let state = Arc::clone(&self.context.state);
        self.context.runs.spawn_blocking(move || {
            let holds = state.all_holds();
            // Whoever left before the answer is no error.
            let _ = answer.send(holds.map_err(|error| CommandError::NotKept(error.to_string())));
        });
    }

    /// Reads one hold, beside the loop.
    pub(super) fn show_hold(
        &self,
        hold: HoldNumber,
        answer: oneshot::Sender<Result<Option<OpenHold>, CommandError>>,
    ) {
        let state = Arc::clone(&self.context.state);
        self.context.runs.spawn_blocking(move || {
            let found = state.hold(hold);
            let found = found.map(|found| found.map(|found| found.hold));
            // Whoever left before the answer is no error.
            let _ = answer.send(found.map_err(|error| CommandError::NotKept(error.to_string())));
        });
    }

    /// Rejects a hold, beside the loop.
    pub(super) fn reject(&mut self, request: RejectRequest) {
        let RejectRequest { decision, answer } = request;
        let state = Arc::clone(&self.context.state);
        let setup = Arc::clone(&self.setup);
        let cancel = self.stop_approvals.child_token();
        let on = self.context.runs.clone();
        let completions = self.context.completions.clone();
        self.context.runs.spawn_blocking(move || {
            // Afterwards, the hold may be settled.
            let job = decision.job(&state);
            let work = rejected(&setup, &state, &decision, &cancel);
            let rejected = on.block_on(work).map_err(|error| match error {
                RunStartError::Hold(error) => error.into(),
                error @ (RunStartError::Busy(_)
                | RunStartError::State(_)
                | RunStartError::NotPlannable(_)
                | RunStartError::NoChanges(_)
                | RunStartError::OnlyObserves(_)
                | RunStartError::Misnamed(_)
                | RunStartError::PutBack(_)) => CommandError::NotKept(error.to_string()),
            });
            if let Ok(job) = job {
                on.block_on(show(&state, job, &completions));
            }
            // Whoever left before the answer is no error.
            let _ = answer.send(rejected);
        });
    }
}

/// Lets status and metrics show what a person decided about a job's holds.
async fn show(state: &State, job: String, completions: &mpsc::Sender<Completion>) {
    let (shown, seen) = oneshot::channel();
    let runs = saved_runs(state, vec![job]);
    let decided = Completion::Decided { runs, shown };
    // A daemon that ends shows nothing any more.
    if completions.send(decided).await.is_ok() {
        let _ = seen.await;
    }
}

/// Rejects a hold: of a job that is configured no more, in the state alone.
async fn rejected(
    setup: &Setup,
    state: &State,
    decision: &HoldDecision,
    cancel: &CancellationToken,
) -> Result<Rejection, RunStartError> {
    if let Some(job) = setup.compiled(&decision.job(state)?) {
        return job.reject(state, decision, cancel).await;
    }
    let state_dir = &setup.config.state_dir;
    let people = rejection::reject(state, state_dir, decision, cancel).await?;
    let pending = None;
    Ok(Rejection { people, pending })
}

/// An approval, with everything that it needs.
struct Underway {
    decision: HoldDecision,
    told: mpsc::Sender<RunUpdate>,
    answer: oneshot::Sender<Result<(), CommandError>>,
    setup: Arc<Setup>,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    notifier: Arc<Notifier>,
    cancel: CancellationToken,
    cut: CancellationToken,
}

impl Underway {
    async fn execute(self, completions: &mpsc::Sender<Completion>) {
        let job = match self.job() {
            Ok(job) => job,
            Err(error) => {
                let _ = self.answer.send(Err(error));
                return;
            }
        };
        let _ = self.answer.send(Ok(()));
        let (state, decision) = (&self.state, &self.decision);
        let ended = tokio::select! {
            biased;
            ended = approved(&job, state, decision, &self.cancel, &self.told) => ended,
            () = self.cut.cancelled() => RunUpdate::Ended {
                error: "it did not end when it was told to, and was cut off".to_owned(),
            },
        };
        if let RunUpdate::Finished { report } = &ended {
            self.metrics.ended(report);
            self.notifier.ended(report);
            show(state, report.job.clone(), completions).await;
        }
        // Whoever does not read any more keeps nobody waiting.
        let _ = self.told.send_timeout(ended, LAST_UPDATE_LIMIT).await;
    }

    fn job(&self) -> Result<Arc<CompiledJob>, CommandError> {
        let job = self.decision.job(&self.state)?;
        let hold = self.decision.hold;
        let compiled = self.setup.compiled(&job);
        let compiled = compiled.ok_or(HoldError::NoJob { hold, job })?;
        compiled.can_approve(&self.state, &self.decision)?;
        Ok(compiled)
    }
}

async fn approved(
    job: &CompiledJob,
    state: &State,
    decision: &HoldDecision,
    cancel: &CancellationToken,
    told: &mpsc::Sender<RunUpdate>,
) -> RunUpdate {
    let _ = told.try_send(RunUpdate::Waiting);
    // A slow receiver misses updates, but never the end.
    let progress = |progress| drop(told.try_send(RunUpdate::Progress(progress)));
    match job.approve(state, decision, cancel, &progress).await {
        Ok(report) => RunUpdate::Finished {
            report: Box::new(report),
        },
        Err(error) => RunUpdate::Ended {
            error: error.to_string(),
        },
    }
}

impl From<HoldError> for CommandError {
    fn from(error: HoldError) -> Self {
        let why = error.to_string();
        match error {
            HoldError::Unknown(_)
            | HoldError::Nobody { .. }
            | HoldError::Decided { .. }
            | HoldError::Several { .. } => Self::UnknownHold(why),
            HoldError::NobodyRejected { .. } | HoldError::SeveralRejected { .. } => {
                Self::UnknownHold(why)
            }
            HoldError::Settled { .. }
            | HoldError::LastAdministrator { .. }
            | HoldError::Paused { .. }
            | HoldError::NotRejected { .. }
            | HoldError::NothingRejected
            | HoldError::NoJob { .. } => Self::NothingToDecide(why),
            HoldError::NotTakenBack(_) | HoldError::State(_) => Self::NotKept(why),
        }
    }
}
