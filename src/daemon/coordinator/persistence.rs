//! What is remembered of jobs over a restart, read and written on threads that may wait for the
//! disk.

use std::{collections::BTreeMap, sync::Arc};

use super::{Coordinator, LastRuns};
use crate::{
    daemon::job_table::PersistedJob,
    event::daemon::DaemonEvent,
    run::failure::RunStartError,
    state::{State, files::StateError},
};

/// What is remembered of some jobs.
#[derive(Debug, Default)]
pub(super) struct Persisted {
    /// What the job_table needs of them.
    pub remembered: BTreeMap<String, PersistedJob>,
    /// What became of their last runs.
    pub past: BTreeMap<String, LastRuns>,
}

impl Coordinator {
    /// What is remembered of these jobs; what cannot be read is said, and nothing is known of it.
    pub(super) async fn load(&self, jobs: Vec<String>) -> Persisted {
        let state = Arc::clone(&self.context.state);
        let recalling = tokio::task::spawn_blocking(move || {
            let mut recalled = Persisted::default();
            for job in jobs {
                let remembered = PersistedJob {
                    backoff: or_log(state.backoff(&job)).flatten(),
                    pause: or_log(state.pause(&job)).flatten(),
                };
                recalled
                    .past
                    .insert(job.clone(), LastRuns::of(&state, &job));
                recalled.remembered.insert(job, remembered);
            }
            recalled
        });
        recalling.await.unwrap_or_default()
    }

    /// Writes something down; a failure is given back in words, and the first one said.
    pub(super) async fn save(
        &mut self,
        write: impl FnOnce(&State) -> Result<(), StateError> + Send + 'static,
    ) -> Result<(), String> {
        let state = Arc::clone(&self.context.state);
        let written = tokio::task::spawn_blocking(move || write(&state)).await;
        let error = match written {
            Ok(Ok(())) => {
                self.state_failed = false;
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.log_once(&error);
        Err(error)
    }

    /// Says that the state fails, and not again before something could be kept.
    fn log_once(&mut self, error: &str) {
        if !std::mem::replace(&mut self.state_failed, true) {
            DaemonEvent::StateFailed { error }.emit();
        }
    }

    /// A run that was cut off, or broke down, gets its report from its journal.
    pub(super) async fn recover_interrupted(&mut self, job: &str) {
        let Some(prepared) = self.setup.compiled(job) else {
            return;
        };
        let state = Arc::clone(&self.context.state);
        let mended =
            tokio::task::spawn_blocking(move || prepared.recover_interrupted(&state)).await;
        // One that another program has under way needs no mending.
        if let Ok(Err(error @ RunStartError::State(_))) = mended {
            self.log_once(&error.to_string());
        }
    }
}

impl LastRuns {
    fn of(state: &State, job: &str) -> Self {
        Self {
            run: or_log(state.last_attempt(job)).flatten(),
            success: or_log(state.last_success(job))
                .flatten()
                .map(|run| run.finished_at),
            said: Arc::default(),
        }
    }
}

/// What the state database says; when it cannot say it, that is said, and nothing is known.
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
