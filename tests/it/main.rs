//! Every integration test, in one binary, so that the crate is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod directory;
mod directory_faults;
mod directory_probe;
mod directory_tls;
mod slapd;
