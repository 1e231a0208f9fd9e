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
pub mod notify;
pub mod run;
pub mod state;
pub mod sync;
pub mod tls;
pub mod web;
pub mod wrap;

/// The version in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit from which the program was built; `unknown` outside a checkout, if the build did not
/// say it. `src/build.rs` provides it.
pub const COMMIT: &str = env!("COMMIT_OF_THE_BUILD");

/// What `--version` prints after the program's name.
pub const VERSION_AND_COMMIT: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("COMMIT_OF_THE_BUILD"),
    ")"
);
