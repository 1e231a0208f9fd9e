//! What outlives a run: the database, the history of reports, the journal of a run under way, and
//! the locks that keep runs apart.

pub(crate) mod database;
pub(crate) mod erase;
pub(crate) mod files;
pub(crate) mod folder;
pub mod history;
pub(crate) mod journal;
pub(crate) mod lock;
pub(crate) mod paths;
mod rights;
pub mod snapshots;

pub use database::{
    Again, ErasedRows, FirstNumber, Holds, KnownChanges, KnownUser, LinkedUsers, Numbered, Paused,
    RefusedAccount, RejectedRow, Rejections, Remembered, SeenHold, Sought, State, Written, all_dns,
    all_holds, all_pauses, all_rejected, has_refusals, known, last_dns,
};
