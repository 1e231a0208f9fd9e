//! Every integration test, in one binary, so that the crate is linked once.

mod bad_input;
mod config;
mod crash;
mod directory;
mod directory_faults;
mod directory_probe;
mod directory_tls;
mod embedded_directory;
mod faults;
mod ftrack_client;
mod ldap_client;
mod ldap_proxy;
mod official_clients;
mod secrets;
mod slapd;
mod standin;
mod studio;
mod sync;
