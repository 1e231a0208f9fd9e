//! The command line and the exit statuses.

use std::path::PathBuf;

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use clap_complete::Shell;

use crate::{
    log::LogFormat,
    model::{change_kind::ChangeKind, report::Outcome},
};

mod config;
mod erase;
mod holds;
mod init;
mod notify;
mod put_back;

pub use config::{ConfigCommand, ConfigTestArgs};
pub use erase::EraseArgs;
pub use holds::{ApproveArgs, HoldsArgs, HoldsCommand, RejectArgs, UnrejectArgs};
pub use init::{BindWith, InitArgs};
pub use notify::{NotifyCommand, NotifyTestArgs};
pub use put_back::{RestoreArgs, SnapshotsArgs, SnapshotsCommand, UndoArgs};

/// The heading of the options of all commands, which come after the command's own.
const GLOBAL: &str = "Options of all commands";

/// Keeps the user accounts of ftrack in step with a studio's LDAP directory.
#[derive(Debug, Parser)]
#[command(
    name = "ftrack-ldap-sync",
    version = crate::VERSION_AND_COMMIT,
    about,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Cli {
    /// Configuration file
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "FILE",
        default_value = "/etc/ftrack-ldap-sync/config.toml"
    )]
    pub config: PathBuf,
    /// Format of log lines; on standard error text on a terminal, JSON otherwise
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Log events also on a terminal, which otherwise shows only the result
    #[arg(long, short, global = true, help_heading = GLOBAL)]
    pub verbose: bool,
    /// Log filter, such as `info,ldap3=debug`
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        env = "RUST_LOG",
        value_name = "FILTER",
        hide_env_values = true
    )]
    pub log_filter: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands; each doc comment is the command's help text.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first configuration: asks on a terminal, checks each answer at the servers, and says what
    /// comes next
    Init(Box<InitArgs>),
    /// Run the jobs on their schedules until stopped
    Daemon,
    /// Run a job once: read both servers, write the allowed changes, save a report
    Sync(SyncArgs),
    /// Show what a sync would change; write nothing
    Plan(PlanArgs),
    /// Apply exactly a saved plan, or refuse it as stale; this counts as a person's approval, so
    /// limits do not hold it
    Apply(ApplyArgs),
    /// Check the configuration, then both servers; each finding says what to do
    Check(CheckArgs),
    /// Explain one person: what a sync would do about them, or did in a run, and why
    Explain(ExplainArgs),
    /// List saved runs, or show one
    Runs(RunsArgs),
    /// List the changes that wait for a person, by number, or show those of one number
    Holds(HoldsArgs),
    /// Write what a hold holds, exactly as it was seen, or some of its people; the running daemon does
    /// it, or, where none runs, this command
    Approve(ApproveArgs),
    /// Never write what a hold holds, or some of its people, until its cause has ended
    Reject(RejectArgs),
    /// Take a rejection back; the next run judges anew what was rejected
    Unreject(UnrejectArgs),
    /// List the people of a job with their users
    Users(UsersArgs),
    /// Give a person of the directory an existing user of ftrack; this is itself the approval
    Link(LinkArgs),
    /// End that a user is a person's: neither is touched until `link`
    Unlink(UnlinkArgs),
    /// Hand the people of a job back: its links are taken away, and nobody is deactivated
    Release(ReleaseArgs),
    /// Put back what a run wrote and nobody changed since; itself a run
    Undo(UndoArgs),
    /// Put the users of a job back to a snapshot, whoever changed them; itself a run
    Restore(RestoreArgs),
    /// List the snapshots of what ftrack held before each run that wrote, or show one
    Snapshots(SnapshotsArgs),
    /// Take a person out of the history: reports, snapshots and the state database; ftrack stays as it is
    Erase(EraseArgs),
    /// Test the notifications
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Show what the running daemon is doing: each job, its last run and its next run
    Status(StatusArgs),
    /// Run a job now in the running daemon, and wait for its report
    Trigger(TriggerArgs),
    /// Pause a job, or one kind of its changes, in the running daemon, or where none runs, for
    /// whatever runs next
    Pause(PauseArgs),
    /// Resume a paused job, or a paused kind of its changes
    Resume(ResumeArgs),
    /// Demonstrate a sync with nothing installed: an LDAP directory and an ftrack stand-in on
    /// loopback
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Show the effective configuration, its schema, or an example; test a job's mapping
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions {
        /// Shell to generate the script for
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page of the program, or write those of all commands
    Man {
        /// Existing folder for the pages: ftrack-ldap-sync.1, and one for each command
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
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
            | Self::Explain(_)
            | Self::Runs(_)
            | Self::Holds(_)
            | Self::Undo(_)
            | Self::Restore(_)
            | Self::Snapshots(_)
            | Self::Erase(_)
            | Self::Approve(_)
            | Self::Reject(_)
            | Self::Unreject(_)
            | Self::Users(_)
            | Self::Link(_)
            | Self::Unlink(_)
            | Self::Release(_)
            | Self::Daemon
            | Self::Status(_)
            | Self::Trigger(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Notify(_)
            | Self::Init(_)
            | Self::Config(_)
            | Self::Completions { .. }
            | Self::Man { .. } => None,
        }
    }
}

/// `sync [JOB]`
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// Job to run; may be omitted if only one is configured
    pub job: Option<String>,
    /// Write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// Read only what changed since the last run, as changes_schedule does
    #[arg(long, conflicts_with = "dry_run")]
    pub changes: bool,
    /// Write only what concerns this person: login, mail, DN, directory id or ftrack id; several
    /// are separated by blanks
    #[arg(long, value_name = "WHO", num_args = 1.., conflicts_with = "changes")]
    pub only: Vec<String>,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `plan [JOB]`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Job to plan; may be omitted if only one is configured
    pub job: Option<String>,
    /// Show all changes also on a terminal, which otherwise shows as many as fit
    #[arg(long)]
    pub all: bool,
    /// Save the plan to FILE, for `apply`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Output format of the plan
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Exit with 0 when there is nothing to do, 10 when there are changes to apply, 3 when some of
    /// them would be held
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `apply FILE`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Plan saved by `plan --out`
    pub file: PathBuf,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Check only the configuration; contact no server
    #[arg(long)]
    pub offline: bool,
    /// Output format of the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `explain [JOB] WHO`
#[derive(Debug, Args)]
#[command(override_usage = "ftrack-ldap-sync explain [OPTIONS] [JOB] WHO")]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ExplainArgs {
    /// Job, which may be omitted if only one is configured, and the person: login, mail, DN,
    /// directory id or ftrack id
    #[arg(required = true, num_args = 1.., value_name = "[JOB] WHO")]
    pub who: Vec<String>,
    /// Explain what this run did instead, from its report: a run id, a part of it, or `last`
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `runs`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct RunsArgs {
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Only runs that started since T: `today`, `yesterday`, a weekday (the last one), `YYYY-MM-DD`,
    /// `YYYY-MM-DD HH:MM`, RFC 3339, or a duration before now such as `7d`
    #[arg(long, value_name = "T")]
    pub since: Option<String>,
    /// Only runs that started on this day: `today`, `yesterday`, a weekday (the last one) or
    /// `YYYY-MM-DD`
    #[arg(long, value_name = "DAY", conflicts_with_all = ["since", "until"])]
    pub on: Option<String>,
    /// Only runs that started before T
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Only runs that changed something in ftrack
    #[arg(long)]
    pub changed: bool,
    /// List each change that the runs wrote, with whom and why, instead of the runs
    #[arg(long)]
    pub changes: bool,
    /// Only changes of this kind
    #[arg(long, value_name = "KIND", value_parser = change_kinds(), requires = "changes")]
    pub kind: Option<ChangeKind>,
    /// Only runs with this outcome; several are separated by commas
    #[arg(long, value_enum, value_name = "OUTCOME", value_delimiter = ',')]
    pub outcome: Vec<Outcome>,
    /// Only runs that name this person: login, mail, DN, directory id or ftrack id
    #[arg(long, value_name = "WHO")]
    pub person: Option<String>,
    /// Maximum number of runs to list, 20 where it is not given; with --changes, of changes, otherwise
    /// all
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// List all runs
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// Output format; `html`, `markdown` and `csv` of `runs show` alone
    #[arg(long, global = true, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    #[command(flatten)]
    pub saved: SavedArgs,
}

/// The options of the commands that show what is in the state directory.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct SavedArgs {
    /// Only what is of this job; it need not be configured any more
    #[arg(long, global = true)]
    pub job: Option<String>,
    /// State directory, where the configuration cannot be read
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// The options of those of them whose lists are text or JSON.
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ListArgs {
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(flatten)]
    pub saved: SavedArgs,
}

/// `runs show`
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Show the report of one run
    Show {
        /// Run id, a part of it that matches no other run, or `last`
        run: String,
    },
}

/// Options of the commands that talk to a running daemon.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Control socket of the daemon, for users who cannot read the configuration
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// `status`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct StatusArgs {
    /// Output format of the status
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// One line and an exit status for monitoring systems: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
    #[arg(long, conflicts_with = "format")]
    pub check: bool,
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `trigger [JOB]`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct TriggerArgs {
    /// Job to run; may be omitted if only one is configured
    pub job: Option<String>,
    /// Write nothing to ftrack
    #[arg(long)]
    pub dry_run: bool,
    /// Read only what changed since the last run, as changes_schedule does
    #[arg(long, conflicts_with = "dry_run")]
    pub changes: bool,
    /// Output format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `pause [JOB]`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct PauseArgs {
    /// Job to pause; may be omitted if only one is configured
    pub job: Option<String>,
    /// Pause all jobs
    #[arg(long, conflicts_with = "job")]
    pub all: bool,
    /// When the pause ends: a duration such as `2h` or `3d`, `YYYY-MM-DD HH:MM` in the job's time
    /// zone, or RFC 3339
    #[arg(long, value_name = "T")]
    pub until: Option<String>,
    /// Reason, shown in the status
    #[arg(long, value_name = "R")]
    pub reason: Option<String>,
    /// Pause only this kind of change; runs go on, and hold it
    #[arg(long, value_name = "KIND", value_parser = change_kinds())]
    pub only: Option<ChangeKind>,
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `resume [JOB]`
#[derive(Debug, Args)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ResumeArgs {
    /// Job to resume; may be omitted if only one is configured
    pub job: Option<String>,
    /// Resume all jobs
    #[arg(long, conflicts_with = "job")]
    pub all: bool,
    /// Resume only this kind of change
    #[arg(long, value_name = "KIND", value_parser = change_kinds())]
    pub only: Option<ChangeKind>,
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// `demo`
#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Number of people in the directory, 10 to 200000
    #[arg(long, default_value_t = 40, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=200_000))]
    pub people: u32,
    /// Keep both servers, the daemon and its status page running until stopped
    #[arg(long)]
    pub serve: bool,
    /// Address on which the directory listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub ldap_listen: std::net::SocketAddr,
    /// Address on which the ftrack stand-in listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub ftrack_listen: std::net::SocketAddr,
}

/// The kinds of change.
fn change_kinds() -> impl TypedValueParser<Value = ChangeKind> {
    let names = PossibleValuesParser::new(ChangeKind::ALL.map(ChangeKind::as_str));
    names.try_map(|name| name.parse::<ChangeKind>())
}

mod people;

pub use people::{LinkArgs, ListFormat, ReleaseArgs, UnlinkArgs, UsersArgs};

/// Output format on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Output format of a report on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// A page in one file, for a browser or a mail
    Html,
    /// For a ticket or a wiki
    Markdown,
    /// Each value that changes, for spreadsheets
    Csv,
}

mod exit;

pub use exit::{Exit, PluginStatus};

impl ValueEnum for Outcome {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Succeeded, Self::Partial, Self::Held, Self::Failed]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

/// An error that ends a command, with its exit status.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Stop {
    pub exit: Exit,
    /// What went wrong and how to fix it, one finding per line.
    pub lines: Vec<String>,
}

impl Stop {
    /// Bad usage or configuration, with one line per line of the error.
    #[must_use]
    pub fn usage(error: &(impl std::fmt::Display + ?Sized)) -> Self {
        Self {
            exit: Exit::Usage,
            lines: error.to_string().lines().map(str::to_owned).collect(),
        }
    }

    /// A failure, with its causes on one line.
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

#[cfg(test)]
mod tests;
