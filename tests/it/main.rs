//! Every integration test, in one binary, so that the crate is linked once.

mod official_clients;
mod standin;
