//! The nouns of a plan: a change with its fields and its reason, an entry that was left out, and
//! the plan itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{entry::DirectoryId, link::Link, user::EntityId};

/// What happens to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A new user for a person who has none.
    Create,
    /// Other values for a user that the job owns.
    Update,
    /// No more access for a user whose person is gone.
    Deactivate,
    /// Access again for a user that the program deactivated, or that was refused a seat.
    Reactivate,
    /// A user whom nobody owned becomes the person's.
    Adopt,
}

impl Action {
    /// The word for reports and events.
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
    /// The attribute's name at ftrack, which is also its name in plans and reports.
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

/// From what, to what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The value that was read; null when there was none.
    pub old: Value,
    /// The value that is written; null when it is emptied.
    pub new: Value,
}

/// One change to one user, with everything that is needed to write it, to report it and to undo it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// The login that the user has after the change.
    pub username: String,
    /// The DN of the person's entry; absent when the person is gone.
    pub dn: Option<String>,
    /// The person's directory id.
    #[serde(serialize_with = "serialize_id", deserialize_with = "deserialize_id")]
    pub directory_id: DirectoryId,
    /// The user's id at ftrack; of a user to be created, the id that it will get.
    pub ftrack_id: EntityId,
    /// What is written, from what to what.
    pub fields: BTreeMap<Field, Values>,
    /// Why, in words.
    pub reason: String,
    /// The link that stands when the change is done.
    pub link: Link,
    /// The rotation that the change is part of: changes of one rotation swap unique values among
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

/// What holds a change until a person agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldBy {
    /// It would leave ftrack without an active administrator; nobody can approve that.
    Administrator,
    /// The program itself doubts what was read, or a link.
    Doubt,
    /// A replica was read, or shows somebody whom the preferred server does not.
    Replica,
    /// The configuration, or what identifies the directory, explains it better than the directory's
    /// people do.
    Configuration,
    /// Login, mail or activity of an administrator or a protected user.
    Protected,
    /// There are more changes of the kind than the limit allows.
    Limit,
}

impl HeldBy {
    /// The word for reports and events.
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
pub struct Hold {
    /// What holds it.
    pub by: HeldBy,
    /// Why, and the way out, in words.
    pub why: String,
}

impl Hold {
    /// A hold with its reason.
    #[must_use]
    pub fn new(by: HeldBy, why: impl Into<String>) -> Self {
        Self {
            by,
            why: why.into(),
        }
    }
}

/// An entry that was left out of a run, by name; the person still counts as present.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// The entry's DN.
    pub dn: String,
    /// Why, in words.
    pub reason: String,
}

/// Since when somebody has been missing, and in how many complete reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// When the first complete read without the person ended.
    pub since: DateTime<Utc>,
    /// Complete reads without the person, this one included.
    pub reads: u32,
}

/// Who has been missing, by directory id.
pub type Absences = BTreeMap<String, Absence>;

/// What a run would do if nothing were held, and what it saw on the way.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The changes in the order in which they are to be written.
    pub changes: Vec<Change>,
    /// Entries that were left out.
    pub skipped: Vec<Skipped>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// People whose user is as it should be.
    pub unchanged: usize,
    /// Users that the job owns.
    pub owned: usize,
    /// Users that the job owns and that are active; the base of a percentage limit.
    pub owned_active: usize,
    /// Ids of the active administrators that are visible at ftrack.
    pub active_administrators: Vec<EntityId>,
    /// Why the reading itself is doubted, which bears on every deactivation.
    pub doubts: Vec<String>,
    /// Why changes of one user are held.
    pub holds: BTreeMap<EntityId, Hold>,
    /// Users whose login, mail and activity change only with a person's approval, and why.
    pub guarded: BTreeMap<EntityId, &'static str>,
    /// Why a reading of this server writes nothing but creates; none when it is the preferred one.
    pub replica: Option<String>,
    /// What identifies the directory; none where it is not known, or is called otherwise than in
    /// the links.
    pub directory: Option<Arc<str>>,
    /// The sources whose users are all of other directories.
    pub of_other_directories: BTreeSet<Arc<str>>,
    /// The sources that own users.
    pub sources: BTreeSet<Arc<str>>,
    /// Users with a link that is believed, of whatever source.
    pub linked: usize,
    /// Users of the job that are inactive though the program did not deactivate them, with their
    /// logins.
    pub inactive: BTreeMap<EntityId, String>,
    /// When users that the job owns were deactivated, as their links say.
    pub deactivated_at: Vec<DateTime<Utc>>,
    /// Who is missing after this read.
    pub absences: Absences,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
