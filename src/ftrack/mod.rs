//! HTTP out: what ftrack holds now, and the changes that were vetted.

mod answer;
mod batch;
pub mod builtin_sync;
mod client;
mod complete;
pub mod error;
mod key;
pub mod link;
mod network;
pub mod operation;
pub mod outcome;
mod page;
mod patience;
pub mod query;
pub mod read;
mod row;
pub mod server;
pub mod session;
pub mod state;
pub mod stopped;
pub mod target;
pub mod user;
pub mod write;
