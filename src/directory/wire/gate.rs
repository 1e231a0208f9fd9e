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
struct UnderWay {
    costs: VecDeque<u64>,
    sum: u64,
}

/// The messages of searches that were passed on and not yet taken.
#[derive(Debug, Default)]
pub(in crate::directory) struct Gate {
    under_way: Mutex<UnderWay>,
    taken: Notify,
}

impl Gate {
    /// A message of such a cost was passed on.
    pub(super) fn pass(&self, cost: u64) {
        self.under_way(|under_way| {
            under_way.costs.push_back(cost);
            under_way.sum += cost;
        });
    }

    /// Waits until there is room for another message.
    pub(super) async fn wait(&self) {
        loop {
            let taken = self.taken.notified();
            if self.under_way(|under_way| under_way.sum) <= WINDOW {
                return;
            }
            taken.await;
        }
    }

    /// The oldest message was taken.
    pub(in crate::directory) fn take(&self) {
        self.under_way(|under_way| {
            let taken = under_way.costs.pop_front().unwrap_or_default();
            under_way.sum -= taken;
        });
        self.taken.notify_one();
    }

    /// A request was sent: nobody takes what is left of the answer to another one.
    pub(super) fn open(&self) {
        self.under_way(|under_way| *under_way = UnderWay::default());
        self.taken.notify_one();
    }

    fn under_way<R>(&self, with: impl FnOnce(&mut UnderWay) -> R) -> R {
        with(
            &mut self
                .under_way
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
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
        gate.pass(2 * WINDOW);
        gate.open();
        gate.wait().await;
    }
}
