//! Every integration test, in one binary, so that the crate is linked once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod ability;
mod apply;
mod bad_input;
mod bounds;
mod builtin;
mod changes;
mod check;
mod config;
mod control;
mod crash;
mod credentials;
mod daemon;
mod demo;
mod deploy;
mod directories;
mod directory;
mod directory_faults;
#[cfg(feature = "gssapi")]
mod directory_gssapi;
mod directory_probe;
mod directory_socket;
mod directory_tls;
mod embedded_directory;
mod erase;
mod events;
mod expiry;
mod explain;
mod failures;
mod faults;
mod ftrack_client;
mod history;
mod holds;
mod in_process;
mod init;
mod ldap_client;
mod ldap_proxy;
mod lists_cut_short;
mod log;
mod mapping_test;
mod nobody_wrongly;
mod notifications;
mod observe;
mod odd_directory;
mod official_clients;
mod only;
mod people;
mod put_back;
mod quiet;
mod readme;
mod real_directory;
mod report_pages;
mod resolver;
mod restore;
mod rules;
mod schedule;
mod screen;
mod secrets;
mod servers_by_dns;
mod several_servers;
mod shared;
mod situations;
mod slapd;
mod snapshots;
mod standin;
mod state;
mod studio;
mod sync;
mod systemd;
mod ticks;
mod tidy;
mod truth;
mod two_programs;
mod undo;
mod usage;
mod version;
mod web;
mod windows;
mod work;
mod writing;
