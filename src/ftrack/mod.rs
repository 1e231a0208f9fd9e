//! The ftrack API: what ftrack has now, and writing of vetted changes.

mod answer;
mod batch;
mod budget;
pub(crate) mod builtin_sync;
mod client;
mod complete;
pub mod error;
mod key;
mod network;
pub mod operation;
pub(crate) mod outcome;
mod page;
mod proxy;
pub mod query;
pub mod read;
mod remaining;
mod roles;
mod rotation;
mod row;
pub mod server;
pub mod session;
pub mod signer;
mod stop_rule;
pub(crate) mod stopped;
mod text;
pub mod user_state;
pub(crate) mod write;
