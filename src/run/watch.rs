//! Waits for what changes in the directory of a job; what is done about it is a run of its own.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CompiledJob, Work};
use crate::{
    directory::watch::{self, Signals, WatchError},
    state::State,
};

impl CompiledJob {
    /// Watches the directory of the job until that fails; none where it has none.
    pub async fn watch(
        &self,
        state: &Arc<State>,
        signals: Signals<'_>,
        cancel: &CancellationToken,
    ) -> Option<WatchError> {
        let Work::Ldap(work) = &self.work else {
            return None;
        };
        let (state, job) = (Arc::clone(state), self.name.clone());
        let ftrack = self.session.server().to_owned();
        let known = tokio::task::spawn_blocking(move || state.known_changes(&job, &ftrack)).await;
        // Without it, the server names everybody once.
        let known = known.ok().and_then(Result::ok).flatten();
        let position = known.as_ref().map(|known| &known.position);
        // It ends by no time limit.
        let request = work.read_request(Instant::now());
        Some(watch::watch(&work.pool, &request, position, signals, cancel).await)
    }
}
