//! One run of a job, carried out beside the house: nothing that it does, and nothing that it waits
//! for, delays anybody else.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{orders::Told, roster::Start};
use crate::event::{self, Quiet};
use crate::run::{
    Prepared, Progress, Purpose,
    failure::NotBegun,
    report::{FailureKind, Report},
    state::State,
};

/// How far a run is, for whoever looks.
pub type Shown = Arc<Mutex<Option<Progress>>>;

/// Everything that a run needs.
#[derive(Debug)]
pub struct Run {
    /// What is to be run, and why.
    pub start: Start,
    /// The job, compiled.
    pub prepared: Arc<Prepared>,
    /// What is remembered between runs.
    pub state: Arc<State>,
    /// Hears how far it is.
    pub told: Option<mpsc::Sender<Told>>,
    /// Shows how far it is.
    pub shown: Shown,
    /// Asks it to stop.
    pub cancel: CancellationToken,
    /// What of it need not be said again.
    pub quiet: Quiet,
    /// Ends it where it stands, when asking did not help; its journal tells what it did.
    pub cut: CancellationToken,
}

/// How a run ended.
#[derive(Debug)]
pub enum Result {
    /// With a report.
    Reported(Box<Report>),
    /// It did not begin: another program runs the job.
    Busy,
    /// It did not begin, or was cut off, and left no report of its own.
    Broken {
        /// Which kind of failure it was.
        kind: FailureKind,
        /// In words.
        error: String,
    },
}

/// Carries out a run on a thread of its own; `ended` is called on this runtime when it is over,
/// however it ends.
pub fn start<F>(runs: &Handle, run: Run, ended: impl FnOnce(Result) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = runs.clone();
    let underway = runs.spawn_blocking(move || handle.block_on(carry_out(run)));
    tokio::spawn(async move {
        let result = underway.await.unwrap_or_else(|error| Result::Broken {
            kind: FailureKind::Internal,
            error: format!("the run broke down, which is a defect of this program: {error}"),
        });
        ended(result).await;
    });
}

async fn carry_out(run: Run) -> Result {
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
            // Whoever listens too slowly misses steps, and never the end.
            let _ = told.try_send(Told::Progress(progress));
        }
    };
    if let Some(told) = &told {
        let _ = told.try_send(Told::Started);
    }
    let purpose = if start.dry_run {
        Purpose::DryRun
    } else {
        Purpose::Sync
    };
    let work = event::quietly(
        quiet,
        prepared.run(&state, start.trigger, purpose, &cancel, &progress),
    );
    tokio::select! {
        biased;
        ended = work => match ended {
            Ok(report) => Result::Reported(Box::new(report)),
            Err(NotBegun::Busy(_)) => Result::Busy,
            Err(error @ NotBegun::State(_)) => Result::Broken { kind: FailureKind::State, error: error.to_string() },
            // Whoever asks is told so before it comes to this.
            Err(error @ NotBegun::CannotTell(_)) => Result::Broken { kind: FailureKind::Internal, error: error.to_string() },
        },
        () = cut.cancelled() => Result::Broken { kind: FailureKind::Stopped, error: "it did not end when it was told to, and was cut off".to_owned() },
    }
}
