//! A gate: calls wait at it until a test opens it, and the test learns that they have come.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// Holds calls until it is opened; clones are the same gate. Dropping it does not open it: a server
/// that stops lets the calls go.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How many calls have come to the gate so far, open or not.
    arrived: Mutex<usize>,
    news: Condvar,
    open: CancellationToken,
    /// It opens itself when so many calls have come.
    enough: Option<usize>,
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gate {}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A closed gate that opens itself when so many calls have come.
    #[must_use]
    pub fn until(calls: usize) -> Self {
        Self(Arc::new(Inner {
            enough: Some(calls),
            ..Inner::default()
        }))
    }

    /// How many calls have come to it so far.
    #[must_use]
    pub fn arrived(&self) -> usize {
        *self.count()
    }

    /// Blocks the thread until that many calls have come; false when they did not within the limit.
    #[must_use]
    pub fn wait_for(&self, calls: usize, limit: Duration) -> bool {
        let waited = self
            .0
            .news
            .wait_timeout_while(self.count(), limit, |arrived| *arrived < calls);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= calls
    }

    /// Lets every call go, those that come later as well.
    pub fn open(&self) {
        self.0.open.cancel();
    }

    /// Arrives, and waits until the gate is open.
    pub(super) async fn pass(&self) {
        let arrived = {
            let mut arrived = self.count();
            *arrived += 1;
            *arrived
        };
        self.0.news.notify_all();
        if self.0.enough.is_some_and(|enough| arrived >= enough) {
            self.open();
        }
        self.0.open.cancelled().await;
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.0
            .arrived
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
