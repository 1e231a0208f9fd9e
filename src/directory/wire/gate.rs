//! Holds a server's messages back until those before them were taken: the library queues as many as
//! arrive. No I/O.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::sync::Notify;

/// The most that may be on its way through the library, beyond one message.
const WINDOW: u64 = 8 << 20;
/// What an element of a message costs the library, in bytes, besides its own.
const ELEMENT: u64 = 160;

/// What a message costs the library in memory, in bytes.
pub(super) fn cost(bytes: u64, elements: u32) -> u64 {
    bytes + u64::from(elements) * ELEMENT
}

#[derive(Debug, Default)]
struct Passed {
    /// Of each message that the library has.
    costs: VecDeque<u64>,
    /// Of all that is under way.
    sum: u64,
    /// The number of requests so far.
    requests: u64,
}

/// What was passed on beside the library, until it is given back.
#[derive(Debug)]
pub(in crate::directory) struct UnderWay {
    cost: u64,
    /// The request that was answered.
    request: u64,
}

/// The messages of searches that were passed on and not yet taken.
#[derive(Debug, Default)]
pub(in crate::directory) struct Gate {
    passed: Mutex<Passed>,
    taken: Notify,
}

impl Gate {
    /// A message of such a cost was passed on to the library.
    pub(super) fn pass(&self, cost: u64) {
        self.passed(|passed| {
            passed.costs.push_back(cost);
            passed.sum += cost;
        });
    }

    /// Messages of such a cost are passed on beside the library.
    pub(super) fn pass_beside(&self, cost: u64) -> UnderWay {
        self.passed(|passed| {
            passed.sum += cost;
            let request = passed.requests;
            UnderWay { cost, request }
        })
    }

    /// Waits until there is room for another message.
    pub(super) async fn wait(&self) {
        loop {
            let taken = self.taken.notified();
            if self.passed(|passed| passed.sum) <= WINDOW {
                return;
            }
            taken.await;
        }
    }

    /// The oldest message that the library has was taken.
    pub(in crate::directory) fn take(&self) {
        self.passed(|passed| {
            let taken = passed.costs.pop_front().unwrap_or_default();
            passed.sum -= taken;
        });
        self.taken.notify_one();
    }

    /// What was passed on beside the library was taken.
    pub(in crate::directory) fn give_back(&self, UnderWay { cost, request }: UnderWay) {
        self.passed(|passed| {
            // What was left of an earlier answer counts no longer.
            if passed.requests == request {
                passed.sum -= cost;
            }
        });
        self.taken.notify_one();
    }

    /// A request was sent: nobody takes what is left of the answer to another one.
    pub(super) fn open(&self) {
        self.passed(|passed| {
            *passed = Passed {
                requests: passed.requests + 1,
                ..Passed::default()
            }
        });
        self.taken.notify_one();
    }

    fn passed<R>(&self, with: impl FnOnce(&mut Passed) -> R) -> R {
        with(&mut self.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn more_than_the_window_waits_for_what_is_taken() {
        let gate = Arc::new(Gate::default());
        gate.pass(WINDOW);
        gate.wait().await;
        gate.pass(1);
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.wait().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        gate.take();
        waiting.await.unwrap();
        let beside = gate.pass_beside(WINDOW - 1);
        gate.give_back(gate.pass_beside(1));
        gate.wait().await;
        gate.pass(2 * WINDOW);
        gate.open();
        gate.wait().await;
        // It was left of the answer before.
        gate.give_back(beside);
        gate.pass(WINDOW);
        gate.wait().await;
    }
}
