//! What each command does, one file per family of commands.

pub mod config;
