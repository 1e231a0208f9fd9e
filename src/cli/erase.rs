//! The arguments of `erase`.

use clap::Args;

use super::Format;

/// `erase WHO`
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Person: login, mail, DN, directory id or ftrack id
    pub who: String,
    /// Show where the person stands, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Erase without asking
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Output format of the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}
