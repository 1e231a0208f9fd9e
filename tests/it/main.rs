//! Every integration test, in one binary, so that the crate is linked once.

mod embedded_directory;
mod ldap_client;
mod ldap_proxy;
