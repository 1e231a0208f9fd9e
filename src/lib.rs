#![doc = include_str!("README.md")]

pub mod cli;
pub mod command;
pub mod config;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod directory;
pub mod escape;
pub mod event;
pub mod ftrack;
pub mod log;
pub mod model;
pub mod run;
pub mod state;
pub mod sync;
pub mod wrap;

/// From `Cargo.toml`, with the commit where it is known.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
