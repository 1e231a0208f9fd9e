//! What outlives a run: the database, the history of reports, the journal of a run under way, and
//! the locks that keep runs apart.

pub mod database;
pub mod files;
pub mod history;
pub mod journal;
pub mod lock;

pub use database::{LinkedUsers, RefusedAccount, Remembered, State, Written, known};
