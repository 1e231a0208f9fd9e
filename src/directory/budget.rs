//! How much memory the entries of one reading may take.

use super::{connection::Connection, error::DirectoryError};

/// The most memory that the entries of a reading may take, in bytes: several hundred thousand people
/// fit.
pub(super) const BUDGET: usize = 160 << 20;

/// What is kept of a reading, or waits for a part of it, needs more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverBudget;

impl OverBudget {
    /// The error for what this server sent.
    pub fn error(self, connection: &Connection) -> DirectoryError {
        DirectoryError::TooMuch {
            server: connection.server().into(),
            reason: format!(
                "what is kept of its entries needs more than {} MiB of memory",
                BUDGET >> 20
            ),
        }
    }
}
