//! Every integration test, in one binary, so that the crate is linked once.

mod ftrack_client;
mod official_clients;
mod standin;
