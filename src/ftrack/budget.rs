//! How much memory a server's answers may take: those of one reading, and those in flight. No I/O.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The most bytes of the rows of one reading, in memory: 300,000 users with their links fit, or fewer
/// with some custom attributes.
pub(super) const OF_A_READING: usize = 160 << 20;
/// The most bytes of one answer, decompressed.
pub(super) const OF_AN_ANSWER: usize = 32 << 20;
/// The most bytes of all answers in flight, decompressed, besides one that goes beyond.
pub(super) const IN_FLIGHT: usize = 48 << 20;

/// A number of bytes that several lists or answers share.
#[derive(Debug)]
pub(super) struct Budget {
    all: usize,
    left: AtomicUsize,
    is_of_one_reading: bool,
}

impl Budget {
    /// For one reading: what its lists take stays taken.
    pub fn of_one_reading() -> Arc<Self> {
        Self::new(OF_A_READING, true)
    }

    /// For lists that are read one after another and not kept: each gives back what it took.
    pub fn of_each_list() -> Arc<Self> {
        Self::new(OF_A_READING, false)
    }

    /// For the answers in flight.
    pub fn in_flight() -> Arc<Self> {
        Self::new(IN_FLIGHT, false)
    }

    fn new(all: usize, is_of_one_reading: bool) -> Arc<Self> {
        Arc::new(Self {
            all,
            left: AtomicUsize::new(all),
            is_of_one_reading,
        })
    }

    /// The whole of it, in bytes.
    pub fn all(&self) -> usize {
        self.all
    }
}

/// What was taken from a budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Charge {
    /// Nothing yet.
    pub fn on(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: 0,
        }
    }

    /// Takes more.
    ///
    /// # Errors
    /// So much is not left; nothing was taken.
    pub fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.budget
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            })
            .map_err(|_| Exhausted)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Takes over what another charge took from the same budget.
    pub fn add(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Ends a list that was read whole: in one reading its bytes stay taken.
    pub fn settle(mut self) {
        if self.budget.is_of_one_reading {
            self.bytes = 0;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// A budget does not have so much left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

/// The memory that a text on the heap takes, in bytes, with the allocator's own share.
pub(super) fn of_text(text: &str) -> usize {
    text.len() + 16
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_given_up_is_given_back_and_what_is_kept_stays_taken() {
        let budget = Budget::of_one_reading();
        let mut kept = Charge::on(&budget);
        kept.take(OF_A_READING - 10).unwrap();
        kept.settle();
        let mut page = Charge::on(&budget);
        page.take(10).unwrap();
        assert_eq!(Charge::on(&budget).take(1), Err(Exhausted));
        drop(page);
        let mut list = Charge::on(&budget);
        let mut page = Charge::on(&budget);
        page.take(10).unwrap();
        list.add(page);
        assert_eq!(Charge::on(&budget).take(1), Err(Exhausted));
        drop(list);
        assert_eq!(Charge::on(&budget).take(10), Ok(()));
    }
}
