//! The arguments of `holds`, `approve`, `reject` and `unreject`.

use clap::{ArgGroup, Args, Subcommand};

use super::{DaemonArgs, Format, ListArgs};
use crate::model::hold_number::HoldName;

/// `holds`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct HoldsArgs {
    #[command(subcommand)]
    pub command: Option<HoldsCommand>,
    /// List what people rejected, instead of what waits: whom, what, since when and by whom
    #[arg(long)]
    pub rejected: bool,
    /// List what held before, instead of what waits: the newest first, with who decided
    #[arg(long, conflicts_with = "rejected")]
    pub ended: bool,
    #[command(flatten)]
    pub list: ListArgs,
}

/// `holds show`
#[derive(Debug, Subcommand)]
pub enum HoldsCommand {
    /// Show whom a hold holds, and what would be written
    Show {
        /// Number of the hold, or its last digits: three at least; may be omitted where exactly one is
        /// open
        #[arg(value_name = "N")]
        hold: Option<HoldName>,
    },
}

/// `approve N`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ApproveArgs {
    /// Number of the hold, as `holds` shows it, or its last digits: three at least
    #[arg(value_name = "N")]
    pub hold: HoldName,
    /// Only these people: login, mail, DN, directory id or ftrack id; the others stay held
    #[arg(long, value_name = "WHO", num_args = 1..)]
    pub only: Vec<String>,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `reject N`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct RejectArgs {
    /// Number of the hold, as `holds` shows it, or its last digits: three at least
    #[arg(value_name = "N")]
    pub hold: HoldName,
    /// Only these people: login, mail, DN, directory id or ftrack id; the others stay held
    #[arg(long, value_name = "WHO", num_args = 1..)]
    pub only: Vec<String>,
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `unreject N`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["hold", "only"])))]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct UnrejectArgs {
    /// Number of the hold that was rejected, as `holds --rejected` shows it; may be omitted where
    /// people are named
    #[arg(value_name = "N")]
    pub hold: Option<HoldName>,
    /// Only of these people: login, mail, DN, directory id or ftrack id
    #[arg(long, value_name = "WHO", num_args = 1..)]
    pub only: Vec<String>,
    /// Job, where people are named without a number; may be omitted if only one is configured
    #[arg(long, conflicts_with = "hold")]
    pub job: Option<String>,
}
