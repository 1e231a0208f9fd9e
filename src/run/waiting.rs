//! What a person asks for waits until no other run of its job is in progress.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{CompiledJob, failure::RunStartError};

/// The interval between two looks whether another run of the job has ended.
const PAUSE: Duration = Duration::from_millis(100);

impl CompiledJob {
    /// Begins something again until no other run of the job is in progress, as long as a run may take;
    /// `waits` is called before each wait.
    ///
    /// # Errors
    /// Another run does not end within the job's time limit, or the waiting was cancelled; or what was
    /// begun failed.
    pub(super) async fn once_free<T, F: Future<Output = Result<T, RunStartError>>>(
        &self,
        cancel: &CancellationToken,
        begin: impl Fn() -> F,
        waits: impl Fn(),
    ) -> Result<T, RunStartError> {
        let deadline = Instant::now() + self.job.time_limit;
        loop {
            match Box::pin(begin()).await {
                Err(RunStartError::Busy(error)) => {
                    if Instant::now() >= deadline || cancel.is_cancelled() {
                        return Err(RunStartError::Busy(error));
                    }
                    waits();
                    tokio::select! {
                        () = cancel.cancelled() => return Err(RunStartError::Busy(error)),
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
                ended => return ended,
            }
        }
    }
}
