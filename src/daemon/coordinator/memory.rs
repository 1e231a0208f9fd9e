//! What is remembered of jobs over a restart, read and written on threads that may wait for the
//! disk.

use std::{collections::BTreeMap, sync::Arc};

use super::{Coordinator, Past};
use crate::{
    daemon::roster::Remembered,
    event::daemon::DaemonEvent,
    run::{failure::NotBegun, state::State, store::StateError},
};

/// What is remembered of some jobs.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// What the roster needs of them.
    pub remembered: BTreeMap<String, Remembered>,
    /// What became of their last runs.
    pub past: BTreeMap<String, Past>,
}

impl Coordinator {
    /// What is remembered of these jobs; what cannot be read is said, and nothing is known of it.
    pub(super) async fn recall(&self, jobs: Vec<String>) -> Recalled {
        let state = Arc::clone(&self.house.state);
        let recalling = tokio::task::spawn_blocking(move || {
            let mut recalled = Recalled::default();
            for job in jobs {
                let remembered = Remembered {
                    backoff: kept(state.backoff(&job)).flatten(),
                    pause: kept(state.pause(&job)).flatten(),
                };
                recalled.past.insert(job.clone(), Past::of(&state, &job));
                recalled.remembered.insert(job, remembered);
            }
            recalled
        });
        recalling.await.unwrap_or_default()
    }

    /// Writes something down; a failure is given back in words, and the first one said.
    pub(super) async fn keep(
        &mut self,
        write: impl FnOnce(&State) -> Result<(), StateError> + Send + 'static,
    ) -> Result<(), String> {
        let state = Arc::clone(&self.house.state);
        let written = tokio::task::spawn_blocking(move || write(&state)).await;
        let error = match written {
            Ok(Ok(())) => {
                self.state_failed = false;
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.say_once(&error);
        Err(error)
    }

    /// Says that the state fails, and not again before something could be kept.
    fn say_once(&mut self, error: &str) {
        if !std::mem::replace(&mut self.state_failed, true) {
            DaemonEvent::StateFailed { error }.emit();
        }
    }

    /// A run that was cut off, or broke down, gets its report from its journal.
    pub(super) async fn mend(&mut self, job: &str) {
        let Some(prepared) = self.setup.prepared(job) else {
            return;
        };
        let state = Arc::clone(&self.house.state);
        let mended = tokio::task::spawn_blocking(move || prepared.mend(&state)).await;
        // One that another program has under way needs no mending.
        if let Ok(Err(error @ NotBegun::State(_))) = mended {
            self.say_once(&error.to_string());
        }
    }
}

impl Past {
    fn of(state: &State, job: &str) -> Self {
        Self {
            run: kept(state.last_attempt(job)).flatten(),
            success: kept(state.last_success(job))
                .flatten()
                .map(|run| run.finished_at),
            said: Arc::default(),
        }
    }
}

/// What the state database says; when it cannot say it, that is said, and nothing is known.
pub(super) fn kept<T>(answer: Result<T, StateError>) -> Option<T> {
    answer
        .map_err(|error| {
            DaemonEvent::StateFailed {
                error: &error.to_string(),
            }
            .emit();
        })
        .ok()
}
