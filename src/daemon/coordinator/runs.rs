//! Runs, started beside the loop, and what is found out when one has ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{ActiveRun, Completion, Coordinator, RequestId, persistence::or_log};
use crate::{
    daemon::{
        core::{Input, effect::RunOutcome},
        job_table::StartRun,
        metrics::Metrics,
        readiness::{Access, ProbeResult},
        runner,
        runner::{Run, SharedProgress},
        setup::last_refusal,
    },
    event::AlreadyLogged,
    model::{
        report::{FailureKind, Report},
        summary::RunSummary,
    },
    notify::Notifier,
    run::{CompiledJob, failure::RunStartError, servers::Servers},
    state::State,
};

/// How long it may take to make a report of the journal of a run that left none.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);

/// What is needed when a run has ended.
struct Ending {
    prepared: Arc<CompiledJob>,
    state: Arc<State>,
    metrics: Arc<Metrics>,
    notifier: Arc<Notifier>,
    /// The connections that it began with.
    servers: Servers,
    reads: Vec<(String, Access)>,
    salt: String,
    began: Instant,
    completions: mpsc::Sender<Completion>,
}

impl Coordinator {
    pub(super) fn start_run(
        &mut self,
        start: StartRun,
        watcher: Option<RequestId>,
        quiet: AlreadyLogged,
        reads: Vec<(String, Access)>,
    ) {
        let job = start.job.clone();
        let Some(prepared) = self.setup.compiled(&job) else {
            let error = "the job is not configured".to_owned();
            self.backlog.push_back(Input::RunEnded {
                job,
                outcome: runner::broken(FailureKind::Internal, error),
                servers: Vec::new(),
            });
            return;
        };
        let (shown, cancel) = (SharedProgress::default(), CancellationToken::new());
        let run = Run {
            start,
            by: watcher.and_then(|watcher| self.requests.asked_by(watcher)),
            prepared: Arc::clone(&prepared),
            state: Arc::clone(&self.context.state),
            told: watcher.and_then(|watcher| self.requests.watcher(watcher)),
            shown: Arc::clone(&shown),
            cancel: cancel.clone(),
            quiet,
            cut: self.cut.clone(),
        };
        self.runs.insert(job.clone(), ActiveRun { shown, cancel });
        let ending = Ending {
            prepared,
            state: Arc::clone(&self.context.state),
            metrics: Arc::clone(&self.context.metrics),
            notifier: Arc::clone(&self.context.notifier),
            servers: self.setup.servers.clone(),
            reads,
            salt: self.setup.salt(),
            began: Instant::now(),
            completions: self.context.completions.clone(),
        };
        runner::start(&self.context.runs, run, |outcome| ending.tell(job, outcome));
    }
}

impl Ending {
    async fn tell(self, job: String, outcome: RunOutcome) {
        let servers = match &outcome {
            RunOutcome::Reported(report) => {
                self.metrics.ended(report);
                self.notifier.ended(report);
                self.found_out(report)
            }
            RunOutcome::Broken { kind, error, .. } => {
                self.notifier.broken(&job, *kind, error);
                Vec::new()
            }
            RunOutcome::NothingChanged | RunOutcome::Busy | RunOutcome::Paused(_) => Vec::new(),
        };
        let outcome = match outcome {
            RunOutcome::Broken { kind, error, .. } => {
                let (recovered, state_error) = self.recover(job.clone()).await;
                RunOutcome::Broken {
                    kind,
                    error,
                    recovered: recovered.map(Box::new),
                    state_error,
                }
            }
            outcome @ (RunOutcome::Reported(_)
            | RunOutcome::NothingChanged
            | RunOutcome::Busy
            | RunOutcome::Paused(_)) => outcome,
        };
        let input = Input::RunEnded {
            job,
            outcome,
            servers,
        };
        // A daemon that has gone does not wait for an end.
        let _ = self.completions.send(Completion::Input(input)).await;
    }

    /// What the run shows of the servers that it used: that they were reached, or that they refused
    /// the credentials.
    fn found_out(&self, report: &Report) -> Vec<(String, Access, ProbeResult)> {
        let mut found = Vec::new();
        for (server, access) in &self.reads {
            // A run may have ended on one server before it heard of the other's refusal.
            let refused =
                last_refusal(&self.servers, &self.salt, server).filter(|(at, _)| *at >= self.began);
            let result = match (report.error_kind, refused) {
                (Some(_), Some((_, mark))) => ProbeResult::Refused {
                    error: report.error.clone().unwrap_or_default(),
                    mark,
                },
                (None, _)
                    if report.ftrack.users > 0
                        && report
                            .directory
                            .as_ref()
                            .is_none_or(|directory| directory.complete) =>
                {
                    ProbeResult::Well
                }
                (Some(_) | None, _) => continue,
            };
            found.push((server.clone(), *access, result));
        }
        found
    }

    /// A run that was cut off, or broke down, gets its report from its journal.
    async fn recover(&self, job: String) -> (Option<RunSummary>, Option<String>) {
        let (prepared, state) = (Arc::clone(&self.prepared), Arc::clone(&self.state));
        let recovery = tokio::task::spawn_blocking(move || {
            let error = match prepared.recover_interrupted(&state) {
                Err(error @ RunStartError::State(_)) => Some(error.to_string()),
                // One that another program has under way needs no recovery.
                Ok(_)
                | Err(
                    RunStartError::Busy(_)
                    | RunStartError::NotPlannable(_)
                    | RunStartError::NoChanges(_)
                    | RunStartError::OnlyObserves(_)
                    | RunStartError::Hold(_)
                    | RunStartError::Misnamed(_)
                    | RunStartError::PutBack(_),
                ) => None,
            };
            (or_log(state.last_attempt(&job)).flatten(), error)
        });
        match timeout(RECOVERY_LIMIT, recovery).await {
            Ok(Ok(recovered)) => recovered,
            Ok(Err(error)) => (None, Some(error.to_string())),
            Err(_) => (None, Some("its disk does not answer".to_owned())),
        }
    }
}
