//! The command line of `undo`, `restore` and `snapshots`.

use clap::{Args, Subcommand};

use super::{Format, ListArgs};

/// `undo RUN`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct UndoArgs {
    /// Run id, a part of it that matches no other run, or `last`: the last run that wrote something
    pub run: String,
    /// On a terminal, do not show what would be written and ask first
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    #[command(flatten)]
    pub put_back: PutBackArgs,
}

/// `restore S`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct RestoreArgs {
    /// Snapshot id, a part of it that matches no other, or `last`
    #[arg(value_name = "S")]
    pub snapshot: String,
    /// On a terminal, do not show what would be written and ask first
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    #[command(flatten)]
    pub put_back: PutBackArgs,
}

/// The options of `undo` and `restore`.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct PutBackArgs {
    /// Job whose run, or whose snapshot, it is
    #[arg(long)]
    pub job: Option<String>,
    /// Only these people: login, mail, directory id or ftrack id; of a run also the DN
    #[arg(long, value_name = "WHO", num_args = 1..)]
    pub only: Vec<String>,
    /// Write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `snapshots`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct SnapshotsArgs {
    #[command(subcommand)]
    pub command: Option<SnapshotsCommand>,
    #[command(flatten)]
    pub list: ListArgs,
}

/// `snapshots show`
#[derive(Debug, Subcommand)]
pub enum SnapshotsCommand {
    /// Show the users of one snapshot, as they were
    Show {
        /// Snapshot id, a part of it that matches no other, or `last`
        #[arg(value_name = "S")]
        snapshot: String,
        /// Only this person: login, mail, directory id or ftrack id
        #[arg(long, value_name = "WHO")]
        person: Option<String>,
    },
}
