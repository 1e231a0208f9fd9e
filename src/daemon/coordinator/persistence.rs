//! What is remembered over a restart: written and read by one thread, in order, which may wait for
//! the disk. Nobody else does.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use super::Completion;
use crate::{
    daemon::{
        core::{
            Input,
            effect::{LastRuns, Persisted, Write},
        },
        job_table::PersistedJob,
    },
    event::daemon::DaemonEvent,
    model::{backoff::Backoff, summary::RunSummary},
    run::{CompiledJob, failure::RunStartError},
    state::{Paused, State, files::StateError},
};

/// How many writes and readings may wait for the disk.
const QUEUE: usize = 256;

/// The way to the thread.
pub(super) struct Persistence {
    requests: mpsc::Sender<Request>,
    thread: JoinHandle<()>,
}

/// The way to the thread for whoever only reads.
#[derive(Clone)]
pub(super) struct Reader(mpsc::Sender<Request>);

enum Request {
    Write {
        id: u64,
        write: Write,
    },
    Read {
        interrupted: Vec<Arc<CompiledJob>>,
        jobs: Vec<String>,
        answer: oneshot::Sender<Persisted>,
    },
    Lifted(oneshot::Sender<BTreeMap<String, DateTime<Utc>>>),
    /// Finds runs of other processes.
    LookAtRuns {
        jobs: Vec<String>,
    },
    /// Finds pauses, and their ends, that other processes saved.
    LookAtPauses {
        jobs: Vec<String>,
    },
}

impl Persistence {
    /// Starts the thread, which ends after [`Self::stop`].
    pub(super) fn start(state: Arc<State>, completions: mpsc::Sender<Completion>) -> Self {
        let (requests, mut wanted) = mpsc::channel(QUEUE);
        let thread = tokio::task::spawn_blocking(move || {
            let (mut seen, mut pauses_seen) = (None, None);
            while let Some(request) = wanted.blocking_recv() {
                match request {
                    Request::Write { id, write } => {
                        let result = keep(&state, &write).map_err(|error| error.to_string());
                        // A daemon that has gone does not wait for it.
                        let _ = completions
                            .blocking_send(Completion::Input(Input::Persisted { id, result }));
                    }
                    Request::Read {
                        interrupted,
                        jobs,
                        answer,
                    } => {
                        let _ = answer.send(read(&state, &interrupted, jobs));
                    }
                    // Nobody waits for it any more.
                    Request::Lifted(answer) if answer.is_closed() => {}
                    Request::Lifted(answer) => {
                        let _ = answer.send(lifted(&state));
                    }
                    // A file that is gone or as it was is left alone.
                    Request::LookAtRuns { jobs } if seen == state.written_at() => drop(jobs),
                    Request::LookAtRuns { jobs } => {
                        seen = state.written_at();
                        let runs = Input::RunsSaved(saved_runs(&state, jobs));
                        let _ = completions.blocking_send(Completion::Input(runs));
                    }
                    Request::LookAtPauses { jobs } if pauses_seen == state.written_at() => {
                        drop(jobs);
                    }
                    Request::LookAtPauses { jobs } => {
                        pauses_seen = state.written_at();
                        let pauses = Input::PausesSaved(saved_pauses(&state, jobs));
                        let _ = completions.blocking_send(Completion::Input(pauses));
                    }
                }
            }
        });
        Self { requests, thread }
    }

    /// Has something written, after all that was to be written before. Never waits.
    pub(super) fn write(&self, id: u64, write: Write) -> Result<(), String> {
        let request = Request::Write { id, write };
        self.requests.try_send(request).map_err(|_| {
            format!("{QUEUE} changes wait for the disk that holds state_dir, which does not answer")
        })
    }

    /// Looks for the last runs of these jobs. Never waits; where too much waits already, a later look
    /// finds them.
    pub(super) fn look_at_runs(&self, jobs: Vec<String>) {
        let _ = self.requests.try_send(Request::LookAtRuns { jobs });
    }

    /// Looks for the pauses of these jobs. Never waits; where too much waits already, a later look
    /// finds them.
    pub(super) fn look_at_pauses(&self, jobs: Vec<String>) {
        let _ = self.requests.try_send(Request::LookAtPauses { jobs });
    }

    /// What is remembered of these jobs, after interrupted runs of some got their reports.
    pub(super) async fn read(
        &self,
        interrupted: Vec<Arc<CompiledJob>>,
        jobs: Vec<String>,
    ) -> Persisted {
        let read = Reader(self.requests.clone());
        read.read(interrupted, jobs).await.unwrap_or_default()
    }

    /// For whoever only reads.
    pub(super) fn reader(&self) -> Reader {
        Reader(self.requests.clone())
    }

    /// Lets what is still to be written be written, within a limit.
    pub(super) async fn stop(self, limit: Duration) {
        let Self { requests, thread } = self;
        drop(requests);
        let _ = timeout(limit, thread).await;
    }
}

impl Reader {
    /// The servers that refused something which another process has found accepted since, with the
    /// time of the refusal. Nothing when too much waits for the disk.
    pub(super) async fn lifted(&self) -> BTreeMap<String, DateTime<Utc>> {
        let (answer, answered) = oneshot::channel();
        match self.0.try_send(Request::Lifted(answer)) {
            Ok(()) => answered.await.unwrap_or_default(),
            Err(_) => BTreeMap::new(),
        }
    }

    /// What is remembered of these jobs; nothing when the thread has ended.
    pub(super) async fn read(
        &self,
        interrupted: Vec<Arc<CompiledJob>>,
        jobs: Vec<String>,
    ) -> Option<Persisted> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Read {
            interrupted,
            jobs,
            answer,
        };
        self.0.send(request).await.ok()?;
        answered.await.ok()
    }
}

fn keep(state: &State, write: &Write) -> Result<(), StateError> {
    match write {
        Write::Backoff(job, backoff) => state.set_backoff(job, backoff.as_ref()),
        Write::Pause(job, None, pause) => state.set_pause(job, pause.as_ref()),
        Write::Pause(job, Some(kind), pause) => state.set_paused_kind(job, *kind, pause.as_ref()),
        Write::Refusal(server, refused) => state.set_refusal(server, refused.as_ref()),
    }
}

/// The last runs of these jobs, with the holds that wait for a person now; what cannot be read is left
/// to a later look.
pub(super) fn saved_runs(state: &State, jobs: Vec<String>) -> BTreeMap<String, LastRuns> {
    let of_job = |job: String| {
        let last = LastRuns {
            run: last_attempt(state, &job).ok()?,
            success: state.last_success(&job).ok()?.map(|run| run.finished_at),
            ..LastRuns::default()
        };
        Some((job, last))
    };
    jobs.into_iter().filter_map(of_job).collect()
}

/// What people paused of these jobs; what cannot be read is left to a later look.
fn saved_pauses(state: &State, jobs: Vec<String>) -> BTreeMap<String, Paused> {
    let of_job = |name: String| {
        let (job, kinds) = (state.pause(&name).ok()?, state.paused_kinds(&name).ok()?);
        Some((name, Paused { job, kinds }))
    };
    jobs.into_iter().filter_map(of_job).collect()
}

/// The last run of a job; what waits for a person is what does so now, since people decide between
/// runs.
fn last_attempt(state: &State, job: &str) -> Result<Option<RunSummary>, StateError> {
    let Some(run) = state.last_attempt(job)? else {
        return Ok(None);
    };
    let (open_holds, oldest_hold) = state.open_holds(job)?;
    Ok(Some(RunSummary {
        open_holds,
        oldest_hold,
        ..run
    }))
}

/// What cannot be read is logged, and nothing is known of it.
fn read(state: &State, interrupted: &[Arc<CompiledJob>], jobs: Vec<String>) -> Persisted {
    let mut persisted = Persisted::default();
    for job in interrupted {
        // One that another program has under way needs no recovery.
        if let Err(error @ RunStartError::State(_)) = job.recover_interrupted(state) {
            persisted.error.get_or_insert(error.to_string());
        }
    }
    for job in jobs {
        let last_runs = LastRuns {
            run: or_log(last_attempt(state, &job)).flatten(),
            success: or_log(state.last_success(&job))
                .flatten()
                .map(|run| run.finished_at),
            ..LastRuns::default()
        };
        // A run by hand may have come to its end while no daemon ran.
        let worked = last_runs.worked_last();
        let is_over = |backoff: &Backoff| worked.is_some_and(|at| at >= backoff.since);
        let remembered = PersistedJob {
            backoff: or_log(state.backoff(&job))
                .flatten()
                .filter(|backoff| !is_over(backoff)),
            pause: or_log(state.pause(&job)).flatten(),
            paused_kinds: or_log(state.paused_kinds(&job)).unwrap_or_default(),
        };
        persisted.last_runs.insert(job.clone(), last_runs);
        persisted.jobs.insert(job, remembered);
    }
    persisted
}

/// What the state database says; when it cannot say it, that is logged, and nothing is known.
pub(super) fn or_log<T>(answer: Result<T, StateError>) -> Option<T> {
    answer
        .map_err(|error| {
            DaemonEvent::StateFailed {
                error: &error.to_string(),
            }
            .emit();
        })
        .ok()
}

fn lifted(state: &State) -> BTreeMap<String, DateTime<Utc>> {
    let refusals = state.refusals().unwrap_or_default().into_iter();
    refusals
        .filter(|(_, refused)| refused.is_lifted())
        .map(|(server, refused)| (server, refused.refused_at))
        .collect()
}
