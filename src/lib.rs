//! Keeps the user accounts of ftrack in step with a studio's LDAP directory.
//!
//! One line, one direction: read the directory, map, read ftrack, plan, guard, apply, report.

pub mod cli;
pub mod command;
pub mod config;
pub mod demo;
pub mod directory;
pub mod event;
pub mod ftrack;
pub mod log;
pub mod printable;
pub mod run;
pub mod sync;
