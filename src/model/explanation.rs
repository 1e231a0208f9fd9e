//! What `explain` answers about one person: its JSON form, which scripts rely on. No I/O.

use serde::Serialize;

use crate::model::{report::Reported, user::EntityId};

/// What a run does about somebody, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The user is as it should be, or nothing is to be done.
    InStep,
    /// A user is created.
    Create,
    /// An existing user becomes the person's.
    Adopt,
    /// The user gets other values.
    Update,
    /// The user is deactivated.
    Deactivate,
    /// The user is reactivated.
    Reactivate,
    /// A change waits for a person, a window, or the end of a freeze or a pause.
    Held,
    /// A person rejected the change.
    Rejected,
    /// Missing, or disabled, but not for long enough.
    Waiting,
    /// The job's filter does not match the entry.
    FilteredOut,
    /// The entry is outside of the job's search bases.
    OutsideBases,
    /// The person is in none of the job's groups.
    NotAMember,
    /// The person may not sign in.
    Disabled,
    /// The entry lacks a value that is required.
    MissingValue,
    /// A value of the entry cannot be used.
    InvalidValue,
    /// Somebody else has, or claims, the same login, mail or user.
    Collision,
    /// The entry was most likely deleted and made again.
    Successor,
    /// The user is never changed, or only with an approval.
    Protected,
    /// The user is an administrator, and changes only with an approval.
    Administrator,
    /// Somebody else deactivated the user.
    DeactivatedByHand,
    /// Another job owns the user.
    OtherSource,
    /// The user belongs to no job.
    NotOwned,
    /// ftrack had no seat for the user.
    NoSeat,
    /// Nobody is known by that name.
    Unknown,
}

impl Verdict {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InStep => "in_step",
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Reactivate => "reactivate",
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Waiting => "waiting",
            Self::FilteredOut => "filtered_out",
            Self::OutsideBases => "outside_bases",
            Self::NotAMember => "not_a_member",
            Self::Disabled => "disabled",
            Self::MissingValue => "missing_value",
            Self::InvalidValue => "invalid_value",
            Self::Collision => "collision",
            Self::Successor => "successor",
            Self::Protected => "protected",
            Self::Administrator => "administrator",
            Self::DeactivatedByHand => "deactivated_by_hand",
            Self::OtherSource => "other_source",
            Self::NotOwned => "not_owned",
            Self::NoSeat => "no_seat",
            Self::Unknown => "unknown",
        }
    }
}

/// One person, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Explanation {
    /// As asked for.
    pub who: String,
    pub job: String,
    /// The run that is explained; null where it is the present.
    pub run: Option<String>,
    pub verdict: Verdict,
    /// Why, as text.
    pub reason: String,
    /// The person's entry.
    pub directory: Option<ExplainedEntry>,
    /// The person's user.
    pub ftrack: Option<ExplainedUser>,
    /// What would be, or was, written.
    pub change: Option<Reported>,
    /// How it was found out, in order.
    pub steps: Vec<Step>,
    /// Commands that show the same.
    pub commands: Vec<String>,
}

/// An entry, as `explain` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct ExplainedEntry {
    /// The URL of the server; absent in a past run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    pub dn: String,
    /// What identifies the person; null where the entry shows none.
    pub directory_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_attribute: Option<String>,
}

/// A user, as `explain` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct ExplainedUser {
    pub ftrack_id: EntityId,
    pub username: String,
    /// Null also in a past run.
    pub email: Option<String>,
    /// Absent in a past run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
    /// Absent in a past run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
    /// The source that owns the user; null where none does.
    pub source: Option<String>,
}

/// What a step is about, in the order in which a run takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// Whether an entry was found.
    Search,
    /// Whether it lies in the search bases.
    Scope,
    /// Whether the job's filter matches it.
    Filter,
    /// Whether it is a member of the job's groups.
    Groups,
    /// Whether the person may sign in.
    Disabled,
    /// Whether its values can be used.
    Map,
    /// Whether there is a user.
    Match,
    /// What is decided.
    Decide,
    /// Whether that may be written.
    Guard,
}

impl StepName {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Scope => "scope",
            Self::Filter => "filter",
            Self::Groups => "groups",
            Self::Disabled => "disabled",
            Self::Map => "map",
            Self::Match => "match",
            Self::Decide => "decide",
            Self::Guard => "guard",
        }
    }
}

/// One step of an explanation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Step {
    pub step: StepName,
    /// Whether the person gets on to the next one.
    pub passed: bool,
    /// What was found, as text.
    pub detail: String,
}
