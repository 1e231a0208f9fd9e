//! The report of one run: what scripts, people and `undo` read. It is written for every outcome,
//! and its counts are what was really written.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{
    change::{Action, Change, Field, HeldBy, Hold, Plan, Skipped, Values},
    user::EntityId,
};

/// One run, from its first read to its last write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's id: its start in UTC with the part of the second as four hexadecimal digits, so
    /// that ids sort by time.
    pub run: String,
    /// The job's name.
    pub job: String,
    /// What started it.
    pub trigger: Trigger,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed, what was tried and the way out; null when it did not fail.
    pub error: Option<String>,
    /// Which kind of failure it was; null when it did not fail.
    #[serde(default)]
    pub error_kind: Option<FailureKind>,
    /// How long each phase took that was reached, in seconds.
    #[serde(default)]
    pub seconds: BTreeMap<RunPhase, f64>,
    /// What was read from the directory; null where ftrack did its own synchronisation.
    pub directory: Option<DirectoryPart>,
    /// What ftrack said of its own synchronisation; absent where the program did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinPart>,
    /// Whether ftrack's own synchronisation deactivated or renamed more users than the job's limits
    /// say; left out where it did not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alarm: bool,
    /// What was read from and written to ftrack.
    pub ftrack: FtrackPart,
    /// What was really written, and what was not.
    pub counts: Counts,
    /// What the plan wanted, by action, whether or not it was written.
    pub planned: BTreeMap<Action, usize>,
    /// Every change with its result.
    pub changes: Vec<Reported>,
    /// Entries that were left out, by name.
    pub skipped: Vec<Skipped>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The job's schedule.
    Schedule,
    /// A person.
    Manual,
    /// The start of the daemon, for a run that was missed.
    Startup,
    /// A failed run before.
    Retry,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything that was to be done is done.
    Succeeded,
    /// Done, but some changes could not be applied.
    Partial,
    /// Done, but some changes are held for a person.
    Held,
    /// Nothing, or not everything, is known to be written.
    Failed,
}

impl Outcome {
    /// The word for reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// What kind of thing went wrong with a run: what a monitor sorts by, and what decides how soon it
/// is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The directory refused the credentials.
    DirectoryRefused,
    /// The directory could not be read completely.
    Directory,
    /// ftrack refused the user or the key.
    FtrackRefused,
    /// ftrack could not be read, or not everything is known to be written.
    Ftrack,
    /// Whether ftrack began what it was asked to begin is not known, and it must not be asked again
    /// so soon.
    FtrackUnclear,
    /// The state folder cannot be used.
    State,
    /// Both servers were read, and what they show forbids to go on.
    Refused,
    /// It was told to stop, or was cut off before its end.
    Stopped,
    /// The time limit passed.
    TimeLimit,
    /// Something that is a defect of the program.
    Internal,
}

impl FailureKind {
    /// Whether credentials were refused: too many more attempts could lock an account.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::DirectoryRefused | Self::FtrackRefused)
    }

    /// Whether the job is not tried again before its schedule says so.
    #[must_use]
    pub fn waits_for_schedule(self) -> bool {
        self == Self::FtrackUnclear
    }

    /// The word for reports, events and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DirectoryRefused => "directory_refused",
            Self::Directory => "directory",
            Self::FtrackRefused => "ftrack_refused",
            Self::Ftrack => "ftrack",
            Self::FtrackUnclear => "ftrack_unclear",
            Self::State => "state",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::TimeLimit => "time_limit",
            Self::Internal => "internal",
        }
    }
}

/// A part of a run whose time is measured; the two reads go side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// Reading the directory.
    Directory,
    /// Reading ftrack.
    Ftrack,
    /// Working out the difference, and asking again for those who would be deactivated.
    Planning,
    /// Writing; also what ftrack's own synchronisation took.
    Writing,
}

impl RunPhase {
    /// The word for reports and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Ftrack => "ftrack",
            Self::Planning => "planning",
            Self::Writing => "writing",
        }
    }
}

/// What was read from the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryPart {
    /// The server that was read, absent when none was reached.
    pub server: Option<String>,
    /// Whether every search ended with success: only then was anybody called absent.
    pub complete: bool,
    /// Entries that were read.
    pub entries: usize,
    /// The attribute that identifies entries.
    pub id_attribute: Option<String>,
    /// Each search, with how it ended.
    pub searches: Vec<Search>,
    /// The servers that were asked for the people who seemed to be gone.
    #[serde(default)]
    pub asked: Vec<String>,
}

/// What ftrack said of its own synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltinPart {
    /// The id of the server's job; null when none was started, or none is known.
    pub job_id: Option<EntityId>,
    /// The job's last known status, as the server calls it.
    pub status: Option<String>,
    /// What the server says of the job, cut to a bounded length.
    pub text: Option<String>,
}

/// One search and its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// Where it started.
    pub base: String,
    /// What it looked for.
    pub filter: String,
    /// Pages that came.
    pub pages: u64,
    /// Entries that came.
    pub entries: u64,
    /// `success`, or how it ended.
    pub result: String,
}

/// What was read from and written to ftrack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FtrackPart {
    /// The server's address.
    pub server: String,
    /// Users that were read.
    pub users: usize,
    /// Users that the job owns.
    pub owned: usize,
    /// How many of those were active.
    #[serde(default)]
    pub owned_active: usize,
    /// Users with a link of any job; absent where it is not known.
    #[serde(default)]
    pub linked: Option<usize>,
    /// Calls that read.
    pub read_calls: u64,
    /// Calls that wrote.
    pub write_calls: u64,
}

/// What was really written, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Users that were created.
    pub created: usize,
    /// Users whose values were changed.
    pub updated: usize,
    /// Users that were deactivated.
    pub deactivated: usize,
    /// Users that were reactivated.
    pub reactivated: usize,
    /// Users that were taken over.
    pub adopted: usize,
    /// Security roles that were given or taken.
    pub role_changes: usize,
    /// Group memberships that were given or taken.
    pub group_changes: usize,
    /// People whose user was as it should be.
    pub unchanged: usize,
    /// Entries that were left out.
    pub skipped: usize,
    /// Changes that are held for a person.
    pub held: usize,
    /// Changes that could not be applied.
    pub failed: usize,
}

/// One change with its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// What was to happen.
    pub action: Action,
    /// The login.
    pub username: String,
    /// The entry's DN; null when the person is gone.
    pub dn: Option<String>,
    /// The person's directory id; null where it is not known, which only happens where ftrack did
    /// its own synchronisation.
    pub directory_id: Option<String>,
    /// The user's id at ftrack.
    pub ftrack_id: EntityId,
    /// What was to be written, from what to what.
    pub fields: BTreeMap<Field, Values>,
    /// Why, in words.
    pub reason: String,
    /// What became of it.
    pub result: ChangeResult,
    /// What holds it; null when nothing does.
    #[serde(default)]
    pub held_by: Option<HeldBy>,
    /// Why it is held or failed, or why nothing had to be written; null otherwise.
    pub error: Option<String>,
}

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeResult {
    /// Written, and read back.
    Applied,
    /// Not written, until a person agrees.
    Held,
    /// Not written, or not known to be.
    Failed,
    /// Only planned; with an `error`, nothing had to be written, since it was so already.
    Planned,
}

impl ChangeResult {
    /// The word for reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Planned => "planned",
        }
    }
}

impl Reported {
    /// A change with what became of it.
    #[must_use]
    pub fn new(change: &Change, result: ChangeResult) -> Self {
        let Change {
            action,
            username,
            dn,
            directory_id,
            ftrack_id,
            fields,
            reason,
            link: _,
            rotation: _,
        } = change;
        Self {
            action: *action,
            username: username.clone(),
            dn: dn.clone(),
            directory_id: Some(directory_id.as_str().to_owned()),
            ftrack_id: ftrack_id.clone(),
            fields: fields.clone(),
            reason: reason.clone(),
            result,
            held_by: None,
            error: None,
        }
    }

    /// Whether nothing had to be written.
    #[must_use]
    pub fn is_so_already(&self) -> bool {
        self.result == ChangeResult::Planned && self.error.is_some()
    }

    /// A change that is held.
    #[must_use]
    pub fn held(change: &Change, hold: &Hold) -> Self {
        Self {
            held_by: Some(hold.by),
            error: Some(hold.why.clone()),
            ..Self::new(change, ChangeResult::Held)
        }
    }
}

impl Counts {
    /// Counts what became of a plan's changes.
    #[must_use]
    pub fn of(plan: &Plan, changes: &[Reported]) -> Self {
        let counts = Self::of_results(changes);
        Self {
            unchanged: plan.unchanged + counts.unchanged,
            skipped: plan.skipped.len(),
            ..counts
        }
    }

    /// Counts what became of changes alone.
    #[must_use]
    pub fn of_results(changes: &[Reported]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match change.result {
                ChangeResult::Held => counts.held += 1,
                ChangeResult::Failed => counts.failed += 1,
                ChangeResult::Planned => counts.unchanged += usize::from(change.is_so_already()),
                ChangeResult::Applied => match change.action {
                    Action::Create => counts.created += 1,
                    Action::Update => counts.updated += 1,
                    Action::Deactivate => counts.deactivated += 1,
                    Action::Reactivate => counts.reactivated += 1,
                    Action::Adopt => counts.adopted += 1,
                },
            }
        }
        counts
    }
}
