//! `daemon`: runs the jobs on their schedules, until stopped.

use std::{path::PathBuf, time::Duration};

use chrono::Utc;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::signals;
use crate::{
    cli::{Exit, Stop},
    config::Environment,
    daemon::{
        self, StartError,
        http::Pages,
        setup::{Setup, Source},
    },
    run::host::host,
    web,
};

/// Time limit for the runs' threads to end after everything else has; a hanging disk is not waited
/// for.
const LAST_THREADS: Duration = Duration::from_millis(200);

/// Runs the daemon. The coordinator, the scheduler and the listeners share a thread, and each run
/// has its own: nothing that a run does delays an answer.
///
/// # Errors
/// The configuration is invalid, another daemon uses the same state directory, or a listener cannot
/// be opened.
pub fn daemon(file: PathBuf) -> Result<Exit, Stop> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Two threads for the connections; each run has its own thread.
    let runs = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("runs")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let stop = CancellationToken::new();
        let _stopping = signals::cancel_on_signal(stop.clone())?;
        // First of all: a SIGHUP without a handler ends a process.
        let wishes = signals::control_signals()?;
        let source = Source {
            file,
            environment: Environment::of_process(),
            host: host(),
        };
        let setup: Setup = source
            .load(Utc::now())
            .map_err(|findings| Stop::usage(&findings))?;
        let mut listening = None;
        let on = (runs.handle().clone(), web::pages as Pages);
        daemon::run(setup, source, on, stop, |reached| {
            listening = Some(wishes.pass_on(reached.commands))
        })
        .await?;
        Ok(Exit::Done)
    });
    runs.shutdown_timeout(LAST_THREADS);
    runtime.shutdown_background();
    outcome
}

impl From<StartError> for Stop {
    fn from(error: StartError) -> Self {
        Self::failed(&error)
    }
}
