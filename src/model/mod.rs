//! The nouns that all layers share. Values alone: nothing here does I/O or reads a clock.

pub mod absence;
pub mod account;
pub mod backoff;
pub mod change;
pub mod change_kind;
pub mod clocks;
pub mod edit;
pub mod entry;
pub mod explanation;
pub mod fold;
pub mod freshness;
pub mod held_people;
pub mod id;
pub mod link;
pub mod pause;
pub mod preferred_server;
pub mod readable_time;
pub mod reason;
pub mod report;
pub(crate) mod server_job;
pub mod server_kind;
pub(crate) mod set_aside;
pub(crate) mod stored_link;
pub mod stored_value;
pub mod summary;
pub mod user;
