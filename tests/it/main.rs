//! Every integration test, in one binary, so that the crate is linked once.
#![allow(

mod bad_input;
mod check;
mod config;
mod crash;
mod directory;
mod directory_faults;
mod directory_probe;
mod directory_tls;
mod embedded_directory;
mod events;
mod faults;
mod ftrack_client;
mod ldap_client;
mod ldap_proxy;
mod official_clients;
mod readme;
mod real_directory;
mod secrets;
mod slapd;
mod standin;
mod studio;
mod sync;
mod tidy;
