//! What `explain` answers about one person: its JSON form, which scripts rely on. No I/O.

use serde::Serialize;

pub use crate::model::verdict::Verdict;
use crate::model::{report::Reported, user::EntityId};

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
    /// What the user was renamed to, as text, where `who` is a former login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed: Option<String>,
    /// The person's entry.
    pub directory: Option<ExplainedEntry>,
    /// The person's user.
    pub ftrack: Option<ExplainedUser>,
    /// What would be, or was, written, or held: the part that the verdict is about.
    pub change: Option<Reported>,
    /// All parts of it, that one first: what may be written, and what each hold holds of it.
    pub changes: Vec<Reported>,
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

    /// The same for people: what is so where the step is passed.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Disabled => "may sign in",
            Self::Search
            | Self::Scope
            | Self::Filter
            | Self::Groups
            | Self::Map
            | Self::Match
            | Self::Decide
            | Self::Guard => self.as_str(),
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
