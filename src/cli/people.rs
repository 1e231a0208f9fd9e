//! The arguments of `users`, `link`, `unlink` and `release`.

use clap::{Args, ValueEnum};

use super::Format;

/// `users [JOB]`
#[derive(Debug, Args)]
pub struct UsersArgs {
    /// Job whose people are listed; may be omitted if only one is configured
    pub job: Option<String>,
    /// Output format of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
}

/// `link WHO USER`
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// Person of the directory: login, mail, DN or directory id
    pub who: String,
    /// User of ftrack: login, mail or ftrack id
    pub user: String,
    /// Job whose person it is; may be omitted if only one is configured
    #[arg(long)]
    pub job: Option<String>,
    /// Show what would be written, and write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `unlink USER`
#[derive(Debug, Args)]
pub struct UnlinkArgs {
    /// User of ftrack: login, mail or ftrack id
    pub user: String,
    /// Job whose user it is; may be omitted if only one is configured
    #[arg(long)]
    pub job: Option<String>,
    /// Show what would be written, and write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `release JOB`
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Job whose people are handed back
    pub job: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Show whom, and write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Output format of a list on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}
