//! The report of one run, for scripts, people and `undo`. It is written for every outcome, and its
//! counts are what was really written.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use crate::model::approver::Approver;
pub use crate::model::counts::Counts;
pub use crate::model::ftrack_part::{FtrackPart, Seats};
pub use crate::model::observed::{Became, Observed, ObservedChange};
pub use crate::model::trigger::Trigger;
use crate::model::{
    access::NamedPerson,
    change::{Action, Change, HeldBy, Hold, Skipped},
    edit::Field,
    field_values::FieldValues,
    hold_number::HoldNumber,
    reason::Cause,
    shown_edit::ShownEdit,
    user::EntityId,
    work::Work,
};

/// One run, from its first read to its last write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Report {
    /// The start in UTC with the fraction of the second as four hexadecimal digits, so that ids
    /// sort by time.
    pub run: String,
    pub job: String,
    pub trigger: Trigger,
    /// Who approved what it writes; omitted where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<Approver>,
    /// The number of the hold that was approved; omitted where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approves: Option<HoldNumber>,
    /// The run that it puts back; omitted where it puts none back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The snapshot to which it puts users back; omitted where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<String>,
    /// How many edits count as rejected since this run put them back, until their cause ends; omitted
    /// where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<usize>,
    /// The run whose changes an undo of its undo writes again: what the undo had rejected is rejected
    /// no more. Omitted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redoes: Option<String>,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// The people whom it was for, as they were named; omitted where it was for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Whether they have access, and why; omitted where it was for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<NamedPerson>,
    /// Who started it at the command line; omitted where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<Approver>,
    /// What became of what the run before would have done, where the job only observes; omitted where
    /// it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub outcome: Outcome,
    /// Why it failed, what was tried and what to do; null when it did not fail.
    pub error: Option<String>,
    /// The kind of failure; null when it did not fail.
    #[serde(default)]
    pub error_kind: Option<FailureKind>,
    /// How many seconds ftrack asked to wait before the next call, where that was more than a minute
    /// and the run failed for it; omitted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The duration of each phase that was reached, in seconds.
    #[serde(default)]
    pub seconds: BTreeMap<RunPhase, f64>,
    /// What was read from the directory; null for ftrack's own synchronisation.
    pub directory: Option<DirectoryPart>,
    /// The server's job; absent unless ftrack did its own synchronisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builtin: Option<BuiltinPart>,
    /// Whether ftrack's own synchronisation deactivated or renamed more users than the job's
    /// limits; omitted where it did not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alarm: bool,
    /// What was read from and written to ftrack.
    pub ftrack: FtrackPart,
    /// What was really written, and what was not.
    pub counts: Counts,
    /// The changes of the plan, by action, whether or not they were written.
    pub planned: BTreeMap<Action, usize>,
    /// Every change with its result.
    pub changes: Vec<Reported>,
    /// The numbers of the holds that it opened; omitted where it opened none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds_opened: Vec<HoldNumber>,
    /// The numbers of the holds that ended with it; omitted where none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds_closed: Vec<HoldNumber>,
    /// The holds of the job that were open after it; omitted where there were none.
    #[serde(default, skip_serializing_if = "is_no_number")]
    pub open_holds: usize,
    /// When the oldest of them was opened that waits for a person; not part of the file.
    #[serde(skip)]
    pub oldest_hold: Option<DateTime<Utc>>,
    /// The last number of a hold that was given, of whatever job, so that it is not given again;
    /// omitted where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hold: Option<HoldNumber>,
    /// Skipped entries, each named.
    pub skipped: Vec<Skipped>,
    pub warnings: Vec<String>,
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything was done.
    Succeeded,
    /// Done, but some changes could not be applied.
    Partial,
    /// Done, but some changes are held for a person.
    Held,
    /// It ended early: nothing, or not everything, was known to be written then.
    Failed,
}

impl Outcome {
    /// The name in reports and events.
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

/// The kind of failure of a run: for monitoring, and to decide how soon it is retried.
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
    /// It is not known whether ftrack started what it was asked to start, and it must not be asked
    /// again too soon.
    FtrackUnclear,
    /// The state directory cannot be used.
    State,
    /// Both servers were read, but the result must not be used.
    Refused,
    /// The plan that a person gave is stale, edited or applied already; it says nothing of the job.
    PlanRefused,
    /// The run was stopped on request, or interrupted.
    Stopped,
    /// The time limit passed.
    TimeLimit,
    /// A bug in the program.
    Internal,
}

impl FailureKind {
    /// Whether credentials were refused: too many further attempts could lock an account.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::DirectoryRefused | Self::FtrackRefused)
    }

    /// Whether the job is not retried before its next scheduled run.
    #[must_use]
    pub fn waits_for_schedule(self) -> bool {
        self == Self::FtrackUnclear
    }

    /// The name in reports, events and labels.
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
            Self::PlanRefused => "plan_refused",
            Self::Stopped => "stopped",
            Self::TimeLimit => "time_limit",
            Self::Internal => "internal",
        }
    }
}

/// A part of a run whose duration is measured; the two reads run in parallel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// Reading the directory.
    Directory,
    /// Reading ftrack.
    Ftrack,
    /// Planning, including the second look for people who would be deactivated.
    Planning,
    /// Writing; also the duration of ftrack's own synchronisation.
    Writing,
}

impl RunPhase {
    /// The name in reports and labels.
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
    /// Whether it was read in place of the preferred server, whose leavers it cannot prove. Omitted
    /// where not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replica: bool,
    /// Whether every search ended with success: only then can anybody be called absent.
    pub complete: bool,
    /// Entries that were read.
    pub entries: usize,
    /// The kind of the server that was read, as it is written in a configuration.
    #[serde(default)]
    pub kind: Option<String>,
    /// People of the entries who have no user, and get none, since they may not sign in.
    #[serde(default, skip_serializing_if = "is_no_number")]
    pub disabled_without_user: usize,
    /// The attribute that identifies entries.
    pub id_attribute: Option<String>,
    /// Each search with its result.
    pub searches: Vec<Search>,
    /// Those for people who may not sign in, where the job has a filter for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disabled_searches: Vec<Search>,
    /// Those for groups, where the job has `member_of` or `roles`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_searches: Vec<Search>,
    /// The groups of `member_of` and `roles` and all groups in them, by their DNs, with the number of members
    /// that each names itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, usize>,
    /// How current the server's copy of the directory was when the read began, a line for each server
    /// whose changes it shows; omitted where it does not show that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freshness: Vec<String>,
    /// The servers that were asked for the people who seemed to be absent.
    #[serde(default)]
    pub asked: Vec<String>,
    /// What the server said that changed, where only that was read; then the read is not a complete
    /// one. Omitted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesPart>,
}

/// What a server said that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesPart {
    /// How it said that: `cookie` (RFC 4533), `usn` or `time`.
    pub by: String,
    /// The entries that were added, or changed.
    pub changed: usize,
    /// The people whose entries are no longer among those that are searched for.
    pub deleted: usize,
}

/// The server's job of ftrack's own synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltinPart {
    /// The id of the server's job; null when none was started, or none is known.
    pub job_id: Option<EntityId>,
    /// The job's last known status, in ftrack's terms.
    pub status: Option<String>,
    /// The server's description of the job, truncated to a bounded length.
    pub text: Option<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_no_number(number: &usize) -> bool {
    *number == 0
}

/// One search and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Search {
    pub base: String,
    pub filter: String,
    /// Pages that were received.
    pub pages: u64,
    /// Entries that were received.
    pub entries: u64,
    /// Referral objects among what was received, where the server returns them as entries.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub referrals: u64,
    /// `success`, or how it ended.
    pub result: String,
}

/// One change with its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Reported {
    pub action: Action,
    pub username: String,
    /// The entry's DN, also of an entry that the job's searches no longer show; null where the person
    /// has none, or it is not known.
    pub dn: Option<String>,
    /// The person's directory id; null where it is not known, which only happens for ftrack's own
    /// synchronisation.
    pub directory_id: Option<String>,
    /// The user's id in ftrack.
    pub ftrack_id: EntityId,
    /// Who it is; only where the user is to be deactivated, since the read shows no entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<LastKnown>,
    /// The values, each from what to what.
    pub fields: FieldValues,
    /// The same as edits; omitted in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<ShownEdit>,
    /// Why, as text.
    pub reason: String,
    /// Where the person is whose user is to be deactivated; omitted where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    pub result: ChangeResult,
    /// What holds it; null when nothing does.
    #[serde(default)]
    pub held_by: Option<HeldBy>,
    /// From when on a run writes it by itself, where a window, a freeze or a pause holds it; omitted
    /// where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<DateTime<Utc>>,
    /// The number of the hold that holds it; omitted when none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldNumber>,
    /// Why it is held or failed, or why nothing had to be written; null otherwise.
    pub error: Option<String>,
    /// What is to be known of it: values that ftrack stores otherwise although it was applied, or why
    /// it would be held, where the job only observes. Omitted where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What the user still carries who is to be deactivated; omitted where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Box<Work>>,
    /// The values that are known to be written of a change that failed as a whole, or is
    /// unconfirmed. Omitted where there are none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub written: BTreeSet<Field>,
}

/// What is last known of a person who is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LastKnown {
    /// First and last name of the user in ftrack.
    pub name: Option<String>,
    /// The mail address of the user in ftrack.
    pub email: Option<String>,
    /// The DN of the person's entry in the last read that showed it; null where no run saved it.
    pub last_dn: Option<String>,
}

/// The result of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeResult {
    /// Written, and read back.
    Applied,
    /// Not written until a person approves it.
    Held,
    /// Not written, since a person rejected it, until its cause has ended.
    Rejected,
    /// Not written, or not known to be.
    Failed,
    /// There was no seat for the user: a person has to buy one, or to free one.
    Unsettled,
    /// Sent to ftrack; whether it is in effect is not known, or not whose doing it is.
    Unconfirmed,
    /// Only planned; with an `error`, nothing had to be written, since the change was already in
    /// effect.
    Planned,
}

impl ChangeResult {
    /// The name in reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unsettled => "unsettled",
            Self::Unconfirmed => "unconfirmed",
            Self::Planned => "planned",
        }
    }
}

impl Reported {
    /// A change with its result.
    #[must_use]
    pub fn new(change: &Change, result: ChangeResult) -> Self {
        Self {
            action: change.action,
            username: change.username.clone(),
            dn: change.dn.clone(),
            directory_id: Some(change.directory_id.as_str().to_owned()),
            ftrack_id: change.ftrack_id.clone(),
            person: None,
            fields: change.fields().into(),
            edits: change.edits.iter().map(ShownEdit::from).collect(),
            reason: change.reason.to_string(),
            cause: change.reason.cause(),
            result,
            held_by: None,
            opens_at: None,
            hold: None,
            error: None,
            note: None,
            work: None,
            written: BTreeSet::new(),
        }
    }

    /// Whether nothing had to be written.
    #[must_use]
    pub fn is_so_already(&self) -> bool {
        self.result == ChangeResult::Planned && self.error.is_some()
    }

    /// Why it is held, or would be, where the job only observes; none where nothing holds it.
    #[must_use]
    pub fn hold(&self) -> Option<&str> {
        self.held_by?;
        match self.result {
            ChangeResult::Held => self.error.as_deref(),
            ChangeResult::Planned => self.note.as_deref(),
            ChangeResult::Applied
            | ChangeResult::Rejected
            | ChangeResult::Failed
            | ChangeResult::Unsettled
            | ChangeResult::Unconfirmed => None,
        }
    }

    /// Whether it is held, and a person has to decide.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        let by_time = self.held_by.is_some_and(|by| !by.waits_for_a_person());
        self.result == ChangeResult::Held && !by_time
    }

    /// A change that would be held.
    #[must_use]
    pub fn would_be_held(change: &Change, hold: &Hold) -> Self {
        if hold.by == HeldBy::Rejected {
            return Self::held(change, hold);
        }
        Self {
            held_by: Some(hold.by),
            opens_at: hold.opens_at,
            note: Some(hold.why.clone()),
            ..Self::new(change, ChangeResult::Planned)
        }
    }

    /// A change that is held, or was rejected.
    #[must_use]
    pub fn held(change: &Change, hold: &Hold) -> Self {
        if hold.by == HeldBy::Rejected {
            return Self {
                error: Some(hold.why.clone()),
                ..Self::new(change, ChangeResult::Rejected)
            };
        }
        Self {
            held_by: Some(hold.by),
            opens_at: hold.opens_at,
            error: Some(hold.why.clone()),
            ..Self::new(change, ChangeResult::Held)
        }
    }
}

impl Counts {
    /// Counts the results of changes.
    #[must_use]
    pub fn of_results(changes: &[Reported]) -> Self {
        let mut counts = Self::default();
        for change in changes {
            match change.result {
                ChangeResult::Held => counts.held += 1,
                ChangeResult::Rejected => {
                    counts.rejected += 1;
                    counts.active_leavers += usize::from(change.action == Action::Deactivate);
                }
                ChangeResult::Failed => counts.failed += 1,
                ChangeResult::Unsettled => counts.unsettled += 1,
                ChangeResult::Unconfirmed => counts.unconfirmed += 1,
                ChangeResult::Planned => counts.unchanged += usize::from(change.is_so_already()),
                ChangeResult::Applied => counts.count_applied(change),
            }
        }
        counts
    }

    fn count_applied(&mut self, change: &Reported) {
        let count = |is_so: fn(&Field) -> bool| {
            let fields = change.fields.keys();
            fields.filter(|field| is_so(field)).count()
        };
        self.role_changes += count(Field::is_role);
        self.group_changes += count(Field::is_group);
        let grants = count(Field::is_grant);
        match change.action {
            Action::Create => self.created += 1,
            // Where only roles and memberships change, no value of the user does.
            Action::Update => {
                self.updated += usize::from(grants == 0 || change.fields.len() > grants);
            }
            Action::Deactivate => self.deactivated += 1,
            Action::Reactivate => self.reactivated += 1,
            Action::Adopt => self.adopted += 1,
        }
    }
}
