//! Every integration test, in one binary, so that the crate is linked once.

mod apply;
mod config;
mod directory;
mod directory_faults;
mod directory_probe;
mod directory_tls;
mod embedded_directory;
mod ftrack_client;
mod ldap_client;
mod ldap_proxy;
mod official_clients;
mod rules;
mod slapd;
mod standin;
mod studio;
mod sync;
mod truth;
mod writing;
