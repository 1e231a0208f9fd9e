//! The ftrack client against servers with scripted answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checking;
mod http2;
mod paging;
mod reading;
pub mod scripted;
mod studio;
mod tls;
mod transport;
