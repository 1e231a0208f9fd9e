//! One run of a job, carried out on a thread of its own: nothing that it does, and nothing that it
//! waits for, delays anybody else.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{commands::RunUpdate, core::effect::RunOutcome, job_table::StartRun};
use crate::{
    event::{self, AlreadyLogged},
    model::report::{Approver, FailureKind},
    run::{CompiledJob, Progress, Purpose, Start, failure::RunStartError},
    state::State,
};

/// The progress of a run.
pub type SharedProgress = Arc<Mutex<Option<Progress>>>;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Run {
    /// The job, the trigger, and whether it is a dry run.
    pub start: StartRun,
    /// The person who asked for it, where one did.
    pub by: Option<Approver>,
    /// The compiled job.
    pub prepared: Arc<CompiledJob>,
    /// The state database.
    pub state: Arc<State>,
    /// Receives its progress.
    pub told: Option<mpsc::Sender<RunUpdate>>,
    /// Publishes its progress.
    pub shown: SharedProgress,
    /// Requests a stop.
    pub cancel: CancellationToken,
    /// Events to log at DEBUG.
    pub quiet: AlreadyLogged,
    /// Aborts it when requesting a stop did not help; its journal tells what it did.
    pub cut: CancellationToken,
}

/// The end of a run that left no report of its own.
pub fn broken(kind: FailureKind, error: String) -> RunOutcome {
    RunOutcome::Broken {
        kind,
        error,
        recovered: None,
        state_error: None,
    }
}

/// Executes a run on a thread of its own; `ended` is called on this runtime when it is over,
/// however it ends.
pub fn start<F>(runs: &Handle, run: Run, ended: impl FnOnce(RunOutcome) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = runs.clone();
    let underway = runs.spawn_blocking(move || handle.block_on(execute(run)));
    tokio::spawn(async move {
        let result = underway.await.unwrap_or_else(|error| {
            let error = format!("the run broke down, which is a defect of this program: {error}");
            broken(FailureKind::Internal, error)
        });
        ended(result).await;
    });
}

async fn execute(run: Run) -> RunOutcome {
    let Run {
        start,
        by,
        prepared,
        state,
        told,
        shown,
        cancel,
        quiet,
        cut,
    } = run;
    let progress = |progress: Progress| {
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
        if let Some(told) = &told {
            // A slow receiver misses updates, but never the end.
            let _ = told.try_send(RunUpdate::Progress(progress));
        }
    };
    // Right before it begins: another process may have paused the job. What reads alone may go on.
    if !start.dry_run {
        match state.pause_now(&start.job) {
            Ok(Some(pause)) if !pause.is_over(Utc::now()) => return RunOutcome::Paused(pause),
            Ok(_) => {}
            Err(error) => return broken(FailureKind::State, error.to_string()),
        }
    }
    if let Some(told) = &told {
        let _ = told.try_send(RunUpdate::Started);
    }
    let purpose = if start.dry_run {
        Purpose::DryRun
    } else {
        Purpose::Sync
    };
    let work = async {
        let trigger = start.trigger;
        let start = Start { trigger, by };
        if trigger.is_of_changes() {
            return prepared
                .run_changes(&state, start, &cancel, &progress)
                .await;
        }
        let report = prepared.run(&state, start, purpose, &cancel, &progress);
        report.await.map(Some)
    };
    let work = event::without_repeats(quiet, work);
    tokio::select! {
        biased;
        ended = work => match ended {
            Ok(Some(report)) => RunOutcome::Reported(Box::new(report)),
            Ok(None) => RunOutcome::NothingChanged,
            Err(RunStartError::Busy(_)) => RunOutcome::Busy,
            Err(error @ RunStartError::State(_)) => {
                broken(FailureKind::State, error.to_string())
            }
            // Whoever asks is told so before it comes to this.
            Err(
                error @ (RunStartError::NotPlannable(_)
                | RunStartError::NoChanges(_)
                | RunStartError::OnlyObserves(_)
                | RunStartError::Hold(_)
                | RunStartError::Misnamed(_)
                | RunStartError::PutBack(_)),
            ) => {
                broken(FailureKind::Internal, error.to_string())
            }
        },
        () = cut.cancelled() => {
            let error = "it did not end when it was told to, and was cut off".to_owned();
            broken(FailureKind::Stopped, error)
        }
    }
}
