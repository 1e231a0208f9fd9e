//! What a change writes to a user: edits, and the columns in which plans and reports show them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::role::Role;

/// An attribute of a user whose value a change sets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum Attribute {
    /// The login.
    Username,
    FirstName,
    LastName,
    /// The mail address.
    Email,
    /// The user type, by id; only written when a user is created.
    UserType,
    /// That ftrack sends the user an invitation; only when a user is created.
    Invitation,
    /// The picture, by the digest of the directory's.
    Thumbnail,
    /// A custom attribute, by key.
    Custom(String),
}

impl Attribute {
    /// The attribute's name in ftrack, also used in plans and reports.
    #[must_use]
    pub fn name(&self) -> String {
        self.field().name()
    }

    /// Its column in plans and reports.
    #[must_use]
    pub fn field(&self) -> Field {
        match self {
            Self::Username => Field::Username,
            Self::FirstName => Field::FirstName,
            Self::LastName => Field::LastName,
            Self::Email => Field::Email,
            Self::UserType => Field::UserType,
            Self::Invitation => Field::Invitation,
            Self::Thumbnail => Field::Thumbnail,
            Self::Custom(key) => Field::Custom(key.clone()),
        }
    }
}

/// A column of a change in plans and reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum Field {
    /// The login.
    Username,
    FirstName,
    LastName,
    /// The mail address.
    Email,
    /// Whether the user may sign in.
    IsActive,
    /// The user type, by id.
    UserType,
    /// Whether ftrack is asked to send the user an invitation.
    Invitation,
    /// The picture, by the digest of the directory's.
    Thumbnail,
    /// A custom attribute, by key.
    Custom(String),
    /// For which projects the user has a security role, by the role's name.
    Role(String),
    /// The link in the user's metadata.
    Link,
}

impl Field {
    /// The attribute's name in ftrack.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Username => "username".into(),
            Self::FirstName => "first_name".into(),
            Self::LastName => "last_name".into(),
            Self::Email => "email".into(),
            Self::IsActive => "is_active".into(),
            Self::UserType => "user_type_id".into(),
            Self::Invitation => "invitation".into(),
            Self::Thumbnail => "thumbnail".into(),
            Self::Custom(key) => format!("custom_attributes.{key}"),
            Self::Role(name) => format!("roles.{name}"),
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
            "invitation" => Self::Invitation,
            "thumbnail" => Self::Thumbnail,
            "link" => Self::Link,
            other => match (
                other.strip_prefix("custom_attributes."),
                other.strip_prefix("roles."),
            ) {
                (Some(key), _) => Self::Custom(key.into()),
                (None, Some(name)) => Self::Role(name.into()),
                (None, None) => return Err(format!("{name:?} is not an attribute of a user")),
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

/// One write to one user. The guard has a rule for each kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Sets an attribute.
    Set {
        /// Which one.
        attribute: Attribute,
        /// From what to what.
        values: Values,
    },
    /// Lets the user sign in, which takes a seat; the link says so.
    Activate,
    /// Ends the user's access; the link says so.
    Deactivate,
    /// Gives the user a security role for all open projects; the link says so.
    Grant(Arc<Role>),
    /// Takes a role that the job gave; the link says so.
    Revoke(Arc<Role>),
    /// Writes a link that differs from the present one in more than the activity, and in more than
    /// the roles that the change gives and takes.
    Link,
}

impl Edit {
    /// The attribute that it sets, and the values; none of an edit of another kind.
    #[must_use]
    pub fn set(&self) -> Option<(&Attribute, &Values)> {
        match self {
            Self::Set { attribute, values } => Some((attribute, values)),
            Self::Activate | Self::Deactivate | Self::Grant(_) | Self::Revoke(_) | Self::Link => {
                None
            }
        }
    }

    /// Whether it sets this attribute.
    #[must_use]
    pub fn sets(&self, wanted: &Attribute) -> bool {
        match self {
            Self::Set { attribute, .. } => attribute == wanted,
            Self::Activate | Self::Deactivate | Self::Grant(_) | Self::Revoke(_) | Self::Link => {
                false
            }
        }
    }
}
