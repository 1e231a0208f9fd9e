//! What outlives a run: the database, the history of reports, the journal of a run under way, and
//! the locks that keep runs apart.

pub(crate) mod database;
pub(crate) mod files;
pub mod history;
pub(crate) mod journal;
pub(crate) mod lock;

pub use database::{LinkedUsers, RefusedAccount, Remembered, State, Written, known, last_dns};
