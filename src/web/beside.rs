//! What waits for a disk or computes for long: done on threads of its own, a few at a time, so that
//! it delays neither the control of the daemon nor an action on a page.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use tokio::{sync::Semaphore, time::timeout};

use super::{Site, answer::Refused, visitor::Visitor};

/// How many threads do one kind of work at the same time.
const AT_ONCE: usize = 2;

/// How long a page waits for its turn, and then for the work.
const LIMIT: Duration = Duration::from_secs(10);

/// The threads for one kind of work.
pub(super) struct Threads {
    free: Arc<Semaphore>,
    /// What is told where the work takes too long.
    slow: &'static str,
}

impl Threads {
    fn new(slow: &'static str) -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            slow,
        }
    }

    /// Whether one of them is free.
    #[cfg(test)]
    pub(super) fn are_free(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// For pages that read files or the state database.
    pub(super) fn of_looks() -> Self {
        Self::new("The disk of the state directory does not answer.")
    }

    /// For what is to be done, which no page that somebody looks at keeps waiting.
    pub(super) fn of_notes() -> Self {
        Self::of_looks()
    }

    /// For pages that are made of what was read.
    pub(super) fn of_pages() -> Self {
        Self::new("The page takes too long to be made; ask for less of it.")
    }
}

impl Site {
    /// Reads something for a page.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        visitor: &Visitor,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        self.beside(&self.looks, visitor, work).await
    }

    /// Does something on one of these threads.
    ///
    /// # Errors
    /// None was free in time, or it took too long.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        threads: &Threads,
        visitor: &Visitor,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let busy = |why: &str| self.refuse(visitor, StatusCode::SERVICE_UNAVAILABLE, "Busy", why);
        let free = timeout(LIMIT, Arc::clone(&threads.free).acquire_owned()).await;
        let Ok(Ok(taken)) = free else {
            return Err(busy("Other pages are being made; try again in a moment."));
        };
        let work = tokio::task::spawn_blocking(move || {
            let _taken = taken;
            work()
        });
        match timeout(LIMIT, work).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) | Err(_) => Err(busy(threads.slow)),
        }
    }
}
