//! How much memory may be kept of what a server sends.

use super::{connection::Connection, error::DirectoryError};

/// The most memory that a reading may keep, in bytes: several hundred thousand people fit.
const OF_A_READING: usize = 160 << 20;
/// The most memory that the values of a schema may take, in bytes; the largest take a few MiB.
const OF_A_SCHEMA: usize = 32 << 20;

/// The memory that may still be kept. One is shared by everything that is kept at the same time:
/// the people of a reading, what a page asks further questions for, and the answers to them.
#[derive(Debug)]
pub(super) struct Budget {
    what: &'static str,
    most: usize,
    left: usize,
}

impl Budget {
    /// For one reading, with all of its searches.
    pub fn of_a_reading() -> Self {
        Self::new("what is kept of its entries", OF_A_READING)
    }

    /// For a server's schema.
    pub fn of_a_schema() -> Self {
        Self::new("its schema", OF_A_SCHEMA)
    }

    fn new(what: &'static str, most: usize) -> Self {
        Self {
            what,
            most,
            left: most,
        }
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    /// So many are not left; nothing was taken.
    pub fn take(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let Self { what, most, left } = *self;
        self.left = left.checked_sub(bytes).ok_or(OverBudget { what, most })?;
        Ok(())
    }

    /// Gives back what is not kept any longer.
    pub fn give_back(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes).min(self.most);
    }
}

/// What is to be kept needs more memory than it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverBudget {
    /// What needs it.
    pub what: &'static str,
    /// How much it may take, in bytes.
    pub most: usize,
}

impl OverBudget {
    /// The error for what this server sent.
    pub fn error(self, connection: &Connection) -> DirectoryError {
        let Self { what, most } = self;
        DirectoryError::TooMuch {
            server: connection.server().into(),
            reason: format!("{what} needs more than {} MiB of memory", most >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_given_back_may_be_taken_again_and_no_more() {
        let mut budget = Budget::of_a_reading();
        budget.take(OF_A_READING - 1).unwrap();
        assert!(budget.take(2).is_err());
        budget.take(1).unwrap();
        budget.give_back(5);
        assert!(budget.take(6).is_err());
        budget.take(5).unwrap();
        budget.give_back(usize::MAX);
        budget.take(OF_A_READING).unwrap();
        assert!(budget.take(1).is_err());
    }
}
