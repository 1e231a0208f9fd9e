//! What outlives a run: the database, the history of reports, the journal of a run under way, and
//! the locks that keep runs apart.

pub(crate) mod database;
pub(crate) mod files;
pub(crate) mod folder;
pub mod history;
pub(crate) mod journal;
pub(crate) mod lock;
pub(crate) mod paths;
mod rights;

pub use database::{
    Again, KnownChanges, KnownUser, LinkedUsers, RefusedAccount, Remembered, Sought, State,
    Written, all_dns, has_refusals, known, last_dns,
};
