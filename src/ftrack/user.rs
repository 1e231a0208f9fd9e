//! The nouns of ftrack: a User with the link that says whose it is, and everything else a plan is made against. No I/O.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::directory::{IdAttribute, entry::DirectoryId};

/// The key of the `Metadata` row of a user in which the link is kept.
pub const LINK_KEY: &str = "ftrack-ldap-sync";

/// The id of an ftrack entity: a UUID in text, whose characters are safe inside a query expression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Box<str>", into = "Box<str>")]
pub struct EntityId(Box<str>);

impl EntityId {
    /// Takes an id of ASCII letters, digits, `-` and `_` (1 to 64 of them); `None` for anything else, so that no text can change a query's meaning.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let safe = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        safe.then(|| Self(text.into()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<Box<str>> for EntityId {
    type Error = String;

    fn try_from(text: Box<str>) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or_else(|| format!("{text:?} is not an entity id"))
    }
}

impl From<EntityId> for Box<str> {
    fn from(id: EntityId) -> Self {
        id.0
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One ftrack user, as far as a plan needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The user's id, which no rename changes.
    pub id: EntityId,
    /// The login; unique at the server.
    pub username: Box<str>,
    /// The first name; absent when null.
    pub first_name: Option<Box<str>>,
    /// The last name; absent when null.
    pub last_name: Option<Box<str>>,
    /// The mail address; absent when null.
    pub email: Option<Box<str>>,
    /// Whether the user may sign in, and takes a seat.
    pub is_active: bool,
    /// What kind of user it is.
    pub kind: UserKind,
    /// Whether the user has one of the administrator roles.
    pub administrator: bool,
    /// Whose the user is.
    pub link: LinkFound,
    /// The values of the mapped custom attributes, in the order of [`Current::custom_attributes`]; `Value::Null` when there is none.
    pub custom_values: Box<[Value]>,
}

/// The names of the user types that are never touched, compared without case.
pub const UNTOUCHABLE: [&str; 2] = ["service", "demo"];

/// What kind of user: a person, or one of the types that are never touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// Somebody who signs in.
    Person,
    /// Of the user type `service` or `demo`.
    Untouchable,
}

/// What stands in a user's metadata under [`LINK_KEY`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFound {
    /// Nothing: nobody owns the user.
    Absent,
    /// A link that was understood.
    Link(Box<Link>),
    /// Something that is not a link; the user is left alone and named.
    Unreadable,
}

/// Says whose a user is: which source, which entry of the directory, and what the program last did to its activity.
///
/// It is stored as JSON at ftrack itself, so that lost local state loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The source of the job that owns the user.
    pub source: String,
    /// The id of the person's entry.
    #[serde(with = "directory_id")]
    pub id: DirectoryId,
    /// Which attribute of the entry the id is.
    pub attribute: IdAttribute,
    /// What the program last did to the user's activity.
    #[serde(flatten)]
    pub activity: Activity,
}

/// What the program last did to a user's activity; with `is_active` it tells the program's own doing from a person's, at every point where a run can be cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "activity", rename_all = "lowercase")]
pub enum Activity {
    /// Nothing is under way: an inactive user was deactivated by somebody else.
    #[default]
    Settled,
    /// The user was to become active, which was not yet seen to be so: an inactive one was refused a seat.
    Activating,
    /// The user was to be deactivated: an active one still is to be.
    Deactivating {
        /// When, RFC 3339.
        since: String,
    },
    /// The user was deactivated: an active one was reactivated by somebody else.
    Deactivated {
        /// When, RFC 3339.
        since: String,
    },
}

/// What a custom attribute holds, as the type of its configuration says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CustomKind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// Choices among named ones.
    List,
    /// A type that this program does not know, or that the server does not tell.
    #[default]
    Unknown,
}

impl CustomKind {
    /// The kind that a type of that name holds; the names are those of the vendor's `CustomAttributeType`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "text" | "url" => Self::Text,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "date" => Self::Date,
            "enumerator" | "dynamic enumerator" => Self::List,
            _ => Self::Unknown,
        }
    }
}

mod directory_id {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::directory::entry::DirectoryId;

    pub fn serialize<S: Serializer>(id: &DirectoryId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DirectoryId, D::Error> {
        let text = String::deserialize(deserializer)?;
        DirectoryId::new(&text).ok_or_else(|| D::Error::custom("not a directory id"))
    }
}

/// Everything at ftrack that a plan is made against, read as a whole.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// All users, ordered by id.
    pub users: Vec<User>,
    /// The mapped custom attributes: the key, and the id of its configuration.
    pub custom_attributes: Vec<(String, EntityId)>,
    /// What each of the custom attributes holds, in the order of `custom_attributes`.
    pub custom_kinds: Vec<CustomKind>,
    /// User types: the id by name.
    pub user_types: BTreeMap<String, EntityId>,
    /// How many calls it took.
    pub read_calls: u64,
}
