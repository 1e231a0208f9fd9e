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
    calls: Mutex<Calls>,
    news: Condvar,
    open: CancellationToken,
    /// It opens itself when so many calls have come.
    enough: Option<usize>,
}

#[derive(Debug, Default)]
struct Calls {
    /// How many have come to the gate so far, open or not.
    arrived: usize,
    /// How many of those that were held before anything was done are done.
    done: usize,
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
        self.calls().arrived
    }

    /// Blocks the thread until that many calls have come; false when they did not within the limit.
    #[must_use]
    pub fn wait_for(&self, calls: usize, limit: Duration) -> bool {
        self.wait_until(limit, |so_far| so_far.arrived >= calls)
    }

    /// Blocks the thread until that many calls, which were held before anything was done, are done;
    /// false when they were not within the limit.
    #[must_use]
    pub fn wait_for_done(&self, calls: usize, limit: Duration) -> bool {
        self.wait_until(limit, |so_far| so_far.done >= calls)
    }

    fn wait_until(&self, limit: Duration, is_so: impl Fn(&Calls) -> bool) -> bool {
        let waited = self
            .0
            .news
            .wait_timeout_while(self.calls(), limit, |so_far| !is_so(so_far));
        is_so(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Lets every call go, those that come later as well.
    pub fn open(&self) {
        self.0.open.cancel();
    }

    /// Arrives, and waits until the gate is open.
    pub(super) async fn pass(&self) {
        let arrived = {
            let mut calls = self.calls();
            calls.arrived += 1;
            calls.arrived
        };
        self.0.news.notify_all();
        if self.0.enough.is_some_and(|enough| arrived >= enough) {
            self.open();
        }
        self.0.open.cancelled().await;
    }

    /// Counts a call that was held, and is done.
    pub(super) fn count_done(&self) {
        self.calls().done += 1;
        self.0.news.notify_all();
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
