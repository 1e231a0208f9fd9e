//! One run of a job, on a thread of its own: nothing that it does or waits for delays anything
//! else.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{commands::RunUpdate, job_table::StartRun};
use crate::{
    event::{self, AlreadyLogged},
    model::report::{FailureKind, Report},
    run::{CompiledJob, Progress, Purpose, failure::RunStartError},
    state::State,
};

/// The progress of a run.
pub type SharedProgress = Arc<Mutex<Option<Progress>>>;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Run {
    /// The job, the trigger, and whether it is a dry run.
    pub start: StartRun,
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

/// How a run ended.
#[derive(Debug)]
pub enum RunOutcome {
    /// With a report.
    Reported(Box<Report>),
    /// It did not start: another program runs the job.
    Busy,
    /// It did not start, or was aborted, and left no report of its own.
    Broken {
        kind: FailureKind,
        /// The message.
        error: String,
    },
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
        let result = underway.await.unwrap_or_else(|error| RunOutcome::Broken {
            kind: FailureKind::Internal,
            error: format!("the run panicked, which is a bug in this program: {error}"),
        });
        ended(result).await;
    });
}

async fn execute(run: Run) -> RunOutcome {
    let Run {
        start,
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
    if let Some(told) = &told {
        let _ = told.try_send(RunUpdate::Started);
    }
    let purpose = if start.dry_run {
        Purpose::DryRun
    } else {
        Purpose::Sync
    };
    let work = event::without_repeats(
        quiet,
        prepared.run(&state, start.trigger, purpose, &cancel, &progress),
    );
    tokio::select! {
        biased;
        ended = work => match ended {
            Ok(report) => RunOutcome::Reported(Box::new(report)),
            Err(RunStartError::Busy(_)) => RunOutcome::Busy,
            Err(error @ RunStartError::State(_)) => RunOutcome::Broken { kind: FailureKind::State, error: error.to_string() },
            // The caller is told before it comes to this.
            Err(error @ RunStartError::NotPlannable(_)) => RunOutcome::Broken { kind: FailureKind::Internal, error: error.to_string() },
        },
        () = cut.cancelled() => RunOutcome::Broken {
            kind: FailureKind::Stopped,
            error: "it did not end when requested, and was aborted".to_owned(),
        },
    }
}
