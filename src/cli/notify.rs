//! The command line of `notify`.

use clap::{Args, Subcommand};

use super::Format;

/// `notify`
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a test to each receiver of a job's notifications, and show what came of it
    Test(NotifyTestArgs),
}

/// `notify test [JOB]`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct NotifyTestArgs {
    /// Job whose receivers are tested; those of all jobs where it is left out
    pub job: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}
