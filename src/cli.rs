//! What a person can say to the program, and with which exit status it answers.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::{
    log::LogFormat,
    model::report::{Outcome, Report},
};

/// Keeps the user accounts of ftrack in step with a studio's LDAP directory.
#[derive(Debug, Parser)]
#[command(
    name = "ftrack-ldap-sync",
    version,
    about,
    max_term_width = 120,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/ftrack-ldap-sync/config.toml"
    )]
    pub config: PathBuf,
    /// The form of log lines on standard error; text on a terminal, JSON otherwise
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Log events also where a terminal shows the result anyway
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// What is logged, such as `info,ldap3=debug`
    #[arg(
        long,
        global = true,
        env = "RUST_LOG",
        value_name = "FILTER",
        hide_env_values = true
    )]
    pub log_filter: Option<String>,
    /// The command
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the jobs on their schedules until told to stop
    Daemon,
    /// Run a job once: read both servers, write what may be written, keep a report
    Sync(SyncArgs),
    /// Show what a sync would change, and write nothing
    Plan(PlanArgs),
    /// Apply exactly a saved plan, or refuse it as stale; a person's approval, so limits do not
    /// hold it
    Apply(ApplyArgs),
    /// Check the configuration, then both servers; each finding says what to do
    Check(CheckArgs),
    /// List the runs that are kept, or show one
    Runs(RunsArgs),
    /// Show what the running daemon does: each job, its last run and its next
    Status(StatusArgs),
    /// Have the running daemon run a job now, and wait for its report
    Trigger(TriggerArgs),
    /// Have the running daemon let a job wait
    Pause(PauseArgs),
    /// Have the running daemon let a paused job go on
    Resume(ResumeArgs),
    /// Show the main job with nothing installed: a directory and an ftrack stand-in on loopback
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Show the effective configuration, its schema, or an example
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

impl Command {
    /// The form of the log lines where none is chosen; decided by what standard error is, if
    /// absent. The demo's readers are people, also behind a pipe.
    #[must_use]
    pub fn log_format(&self) -> Option<LogFormat> {
        match self {
            #[cfg(feature = "demo")]
            Self::Demo(_) => Some(LogFormat::Text),
            Self::Sync(_)
            | Self::Plan(_)
            | Self::Apply(_)
            | Self::Check(_)
            | Self::Runs(_)
            | Self::Daemon
            | Self::Status(_)
            | Self::Trigger(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Config(_)
            | Self::Completions { .. } => None,
        }
    }
}

/// `sync [JOB]`
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// The job; may be left out where there is one
    pub job: Option<String>,
    /// Write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `plan [JOB]`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The job; may be left out where there is one
    pub job: Option<String>,
    /// The form of the plan on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Save the plan, for `apply`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Exit with 0 when there is nothing to do, 10 when there are changes to make, 3 when some of
    /// them would be held
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `apply FILE`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A plan that `plan --out` saved
    pub file: PathBuf,
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Only the configuration: contact no server
    #[arg(long)]
    pub offline: bool,
    /// The form of the findings on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Show one run
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Only the runs of this job
    #[arg(long, global = true)]
    pub job: Option<String>,
    /// The most runs to list
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
    /// The form of what is printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `runs show`
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Show the report of one run
    Show {
        /// The run's id, a part of it that fits no other run, or `last`
        run: String,
    },
}

/// Which daemon is asked.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// The daemon's control socket, for those who may not read the configuration
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which daemon
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// The form of the status on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `trigger [JOB]`
#[derive(Debug, Args)]
pub struct TriggerArgs {
    /// The job; may be left out where there is one
    pub job: Option<String>,
    /// Which daemon
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// Write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `pause [JOB]`
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// The job; may be left out where there is one
    pub job: Option<String>,
    /// Which daemon
    #[command(flatten)]
    pub daemon: DaemonArgs,
    /// When it goes on by itself: a length of time such as `2h` or `3d`, `YYYY-MM-DD HH:MM` in the
    /// job's zone, or RFC 3339
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Why, for whoever looks at the status
    #[arg(long, value_name = "R")]
    pub reason: Option<String>,
}

/// `resume [JOB]`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The job; may be left out where there is one
    pub job: Option<String>,
    /// Which daemon
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `demo`
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many people the studio has
    #[arg(long, default_value_t = 40, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=200_000))]
    pub people: u32,
    /// Keep both servers, the daemon and its status page up until told to stop
    #[arg(long)]
    pub serve: bool,
    /// Where the directory listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub ldap_listen: std::net::SocketAddr,
    /// Where the ftrack stand-in listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub ftrack_listen: std::net::SocketAddr,
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// The effective configuration, with secrets masked
    Show,
    /// The JSON schema of the configuration file
    Schema,
    /// A commented configuration to start from
    Example,
}

/// The form of what is printed on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The exit status; scripts build on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, also when entries were skipped for want of a required value.
    Done = 0,
    /// Failed: nothing, or not everything, is known to be written.
    Failed = 1,
    /// Bad usage or configuration.
    Usage = 2,
    /// Changes are held by a limit.
    Held = 3,
    /// Done, but some changes could not be applied.
    Partial = 4,
    /// `plan --detailed-exitcode`: there are changes to make.
    Changes = 10,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The status of a run's report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        match report.outcome {
            Outcome::Succeeded => Self::Done,
            Outcome::Partial => Self::Partial,
            Outcome::Held => Self::Held,
            Outcome::Failed => Self::Failed,
        }
    }
}

/// An error that ends a command, with its exit status.
#[derive(Debug)]
pub struct Stop {
    /// The exit status.
    pub exit: Exit,
    /// What went wrong and the way out, one finding a line.
    pub lines: Vec<String>,
}

impl Stop {
    /// Bad usage or configuration.
    #[must_use]
    pub fn usage(error: &(impl std::fmt::Display + ?Sized)) -> Self {
        Self {
            exit: Exit::Usage,
            lines: error.to_string().lines().map(str::to_owned).collect(),
        }
    }

    /// Something failed.
    #[must_use]
    pub fn failed(error: &(impl std::fmt::Display + ?Sized)) -> Self {
        Self {
            exit: Exit::Failed,
            lines: vec![format!("{error:#}")],
        }
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::failed(&error)
    }
}
