//! The nouns that all layers share. Values alone: nothing here does I/O or reads a clock.

pub mod backoff;
pub mod change;
pub mod entry;
pub mod id;
pub mod link;
pub mod pause;
pub mod report;
pub mod server_job;
pub mod set_aside;
pub mod stored_link;
pub mod summary;
pub mod user;
