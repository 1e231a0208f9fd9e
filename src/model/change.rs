//! The parts of a plan: a change with its fields and its reason, a skipped entry, and the plan
//! itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{entry::DirectoryId, link::Link, user::EntityId};

/// What a change does to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Creates a user for a person who has none.
    Create,
    /// Sets other values on a user that the job owns.
    Update,
    /// Ends the access of a user whose person left.
    Deactivate,
    /// Restores the access of a user that the program deactivated, or that was refused a seat.
    Reactivate,
    /// Makes a user without an owner the person's.
    Adopt,
}

impl Action {
    /// The name in reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Reactivate => "reactivate",
            Self::Adopt => "adopt",
        }
    }

    /// Whether the change makes a user active, which takes a seat.
    #[must_use]
    pub fn takes_a_seat(self) -> bool {
        match self {
            Self::Create | Self::Reactivate => true,
            Self::Update | Self::Deactivate | Self::Adopt => false,
        }
    }
}

/// One attribute of a user that a change writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Field {
    /// The login.
    Username,
    /// The first name.
    FirstName,
    /// The last name.
    LastName,
    /// The mail address.
    Email,
    /// Whether the user may sign in.
    IsActive,
    /// The user type, by id; only written when a user is created.
    UserType,
    /// A custom attribute, by key.
    Custom(String),
    /// The link in the user's metadata.
    Link,
}

impl Field {
    /// The attribute's name in ftrack, also used in plans and reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Username => "username".into(),
            Self::FirstName => "first_name".into(),
            Self::LastName => "last_name".into(),
            Self::Email => "email".into(),
            Self::IsActive => "is_active".into(),
            Self::UserType => "user_type_id".into(),
            Self::Custom(key) => format!("custom_attributes.{key}"),
            Self::Link => "link".into(),
        }
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.name()
    }
}

impl TryFrom<String> for Field {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Ok(match name.as_str() {
            "username" => Self::Username,
            "first_name" => Self::FirstName,
            "last_name" => Self::LastName,
            "email" => Self::Email,
            "is_active" => Self::IsActive,
            "user_type_id" => Self::UserType,
            "link" => Self::Link,
            custom => match custom.strip_prefix("custom_attributes.") {
                Some(key) => Self::Custom(key.into()),
                None => return Err(format!("{name:?} is not an attribute of a user")),
            },
        })
    }
}

/// The old and the new value of a field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The value that was read; null when there was none.
    pub old: Value,
    /// The value to write; null to clear it.
    pub new: Value,
}

/// One change to one user, with everything that is needed to write, report and undo it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Change {
    pub action: Action,
    /// The user's login after the change.
    pub username: String,
    /// The DN of the person's entry; absent when the person left.
    pub dn: Option<String>,
    #[serde(serialize_with = "serialize_id", deserialize_with = "deserialize_id")]
    pub directory_id: DirectoryId,
    /// The user's id in ftrack; for a user to be created, its future id.
    pub ftrack_id: EntityId,
    /// The values to write, each from what to what.
    pub fields: BTreeMap<Field, Values>,
    /// As text.
    pub reason: String,
    /// The link after the change.
    pub link: Link,
    /// The rotation that the change is part of: changes of one rotation swap unique values with
    /// each other, and are written together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<usize>,
}

fn serialize_id<S: serde::Serializer>(id: &DirectoryId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_str())
}

fn deserialize_id<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<DirectoryId, D::Error> {
    let text = String::deserialize(deserializer)?;
    DirectoryId::new(&text).ok_or_else(|| serde::de::Error::custom("not a directory id"))
}

/// What holds a change until a person approves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldBy {
    /// It would leave ftrack without an active administrator; cannot be approved.
    Administrator,
    /// The program itself doubts the reading, or a link.
    Doubt,
    /// A replica was read, or shows somebody whom the preferred server does not.
    Replica,
    /// The configuration, or the directory's id, is a more likely cause than the directory's
    /// people.
    Configuration,
    /// Login, mail or activity of an administrator or a protected user.
    Protected,
    /// More changes of the kind than the limit allows.
    Limit,
}

impl HeldBy {
    /// The name in reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Doubt => "doubt",
            Self::Replica => "replica",
            Self::Configuration => "configuration",
            Self::Protected => "protected",
            Self::Limit => "limit",
        }
    }
}

/// Why a change is held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Hold {
    pub by: HeldBy,
    /// Why, and what to do, as text.
    pub why: String,
}

impl Hold {
    /// A hold with this reason.
    #[must_use]
    pub fn new(by: HeldBy, why: impl Into<String>) -> Self {
        Self {
            by,
            why: why.into(),
        }
    }
}

/// An entry that was skipped in a run; the person still counts as present.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// The entry's DN.
    pub dn: String,
    /// As text.
    pub reason: String,
}

/// Since when a person has been missing, and in how many complete reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// When the first complete read without the person ended.
    pub since: DateTime<Utc>,
    /// Complete reads without the person, this one included.
    pub reads: u32,
}

/// The missing people, by directory id.
pub type Absences = BTreeMap<String, Absence>;

/// What a run would do if nothing were held, and what else it found.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The changes in the order in which they are to be written.
    pub changes: Vec<Change>,
    /// Skipped entries.
    pub skipped: Vec<Skipped>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// People whose user needs no change.
    pub unchanged: usize,
    /// Users that the job owns.
    pub owned: usize,
    /// Active users that the job owns; the base of a percentage limit.
    pub owned_active: usize,
    /// Ids of the active administrators that are visible in ftrack.
    pub active_administrators: Vec<EntityId>,
    /// Why the reading itself is doubtful, which holds every deactivation.
    pub doubts: Vec<String>,
    /// Why changes of one user are held.
    pub holds: BTreeMap<EntityId, Hold>,
    /// Users whose login, mail and activity change only with a person's approval, and why.
    pub guarded: BTreeMap<EntityId, &'static str>,
    /// Why a reading of this server only creates users; none when it is the preferred one.
    pub replica: Option<String>,
    /// The directory's id; none where it is not known, or differs from the links.
    pub directory: Option<Arc<str>>,
    /// The sources whose users all belong to other directories.
    pub of_other_directories: BTreeSet<Arc<str>>,
    /// The sources that own users.
    pub sources: BTreeSet<Arc<str>>,
    /// Users with a trusted link, of any source.
    pub linked: usize,
    /// Users of the job that are inactive although the program did not deactivate them, with their
    /// logins.
    pub inactive: BTreeMap<EntityId, String>,
    /// When users that the job owns were deactivated, according to their links.
    pub deactivated_at: Vec<DateTime<Utc>>,
    /// Who is missing after this read.
    pub absences: Absences,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
