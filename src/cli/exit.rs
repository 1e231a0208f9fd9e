//! The exit statuses.

use super::Stop;
use crate::model::report::{ChangeResult, Outcome, Report, Reported};

/// Exit statuses; scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, also when entries were skipped because a required value is missing.
    Done,
    /// Failed: nothing, or not everything, is known to be written.
    Failed,
    /// Bad usage or configuration.
    Usage,
    /// Changes are held for a person.
    Held,
    /// Done, but some changes could not be applied.
    Partial,
    /// `plan --detailed-exitcode`: there are changes to make.
    Changes,
    /// `status --check`: how the daemon is.
    Plugin(PluginStatus),
}

/// The exit statuses of monitoring plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PluginStatus {
    /// Nothing needs a person.
    Ok,
    /// Something waits for a person, or may soon be critical.
    Warning,
    /// Users are not synced, or not as they should be.
    Critical,
    /// It could not be found out.
    Unknown,
}

impl PluginStatus {
    /// Its name, as monitoring systems show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Done | Self::Plugin(PluginStatus::Ok) => 0,
            Self::Failed | Self::Plugin(PluginStatus::Warning) => 1,
            Self::Usage | Self::Plugin(PluginStatus::Critical) => 2,
            Self::Held | Self::Plugin(PluginStatus::Unknown) => 3,
            Self::Partial => 4,
            Self::Changes => 10,
        }
    }

    /// The exit status for a run's report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        match report.outcome {
            // Whom a run was for, and whose access was to end, waits for a person, whatever holds it.
            Outcome::Succeeded if report.named.iter().any(|person| person.due) => Self::Held,
            Outcome::Succeeded => Self::Done,
            Outcome::Partial => Self::Partial,
            Outcome::Held => Self::Held,
            Outcome::Failed => Self::Failed,
        }
    }

    /// The exit status for the report of an approval: whether all of it was written, some, or nothing.
    #[must_use]
    pub fn of_approval(report: &Report) -> Self {
        let is_done =
            |change: &&Reported| change.result == ChangeResult::Applied || change.is_so_already();
        let done = report.changes.iter().filter(is_done).count();
        match report.outcome {
            Outcome::Failed => Self::Failed,
            Outcome::Succeeded | Outcome::Partial | Outcome::Held if done == 0 => Self::Failed,
            Outcome::Succeeded | Outcome::Partial | Outcome::Held
                if done == report.changes.len() =>
            {
                Self::Done
            }
            Outcome::Succeeded | Outcome::Partial | Outcome::Held => Self::Partial,
        }
    }
}

impl Stop {
    /// The same with what to do instead: one mistake stays one line.
    #[must_use]
    pub fn with_way_out(mut self, way_out: String) -> Self {
        match self.lines.as_mut_slice() {
            [line] => {
                line.push_str("; ");
                line.push_str(&way_out);
            }
            [] | [_, _, ..] => self.lines.push(way_out),
        }
        self
    }
}
