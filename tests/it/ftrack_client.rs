//! The ftrack client against servers that answer what the test tells them to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checking;
mod reading;
pub mod scripted;
mod studio;
mod tls;
mod transport;
