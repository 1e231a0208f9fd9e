//! What a change writes to a user: edits, and the columns in which plans and reports show them.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::model::field::Field;
use crate::model::grant::{Grant, Group};

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

impl Field {
    /// The attribute whose value is in this column and read of every user; none of the activity, of
    /// what a job gives, and of what only this program writes.
    #[must_use]
    pub fn attribute(&self) -> Option<Attribute> {
        match self {
            Self::Username => Some(Attribute::Username),
            Self::FirstName => Some(Attribute::FirstName),
            Self::LastName => Some(Attribute::LastName),
            Self::Email => Some(Attribute::Email),
            Self::Custom(key) => Some(Attribute::Custom(key.clone())),
            Self::IsActive
            | Self::UserType
            | Self::Invitation
            | Self::Thumbnail
            | Self::Role(_)
            | Self::ProjectRole { .. }
            | Self::Group(_)
            | Self::Link => None,
        }
    }
}

/// The old and the new value of a field, which a plan, what is written of it and its report share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(Arc<OldAndNew>);

/// The two values of [`Values`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldAndNew {
    /// The value that was read; null when there was none.
    pub old: Value,
    /// The value to write; null to clear it.
    pub new: Value,
}

impl Values {
    /// From what to what.
    #[must_use]
    pub fn new(old: Value, new: Value) -> Self {
        Self(Arc::new(OldAndNew { old, new }))
    }
}

impl Deref for Values {
    type Target = OldAndNew;

    fn deref(&self) -> &OldAndNew {
        &self.0
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut OldAndNew {
        Arc::make_mut(&mut self.0)
    }
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
    /// Gives the user a security role or a membership; the link says so.
    Grant(Arc<Grant>),
    /// Takes one that the job gave; the link says so.
    Revoke(Arc<Grant>),
    /// Writes a link that differs from the present one in more than the activity, and in more than
    /// what the change gives and takes.
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

    /// The group that it lets the user join; none of an edit of another kind.
    #[must_use]
    pub fn joins(&self) -> Option<&Group> {
        let grant = match self {
            Self::Grant(grant) => grant,
            Self::Revoke(_) | Self::Set { .. } | Self::Activate | Self::Deactivate | Self::Link => {
                return None;
            }
        };
        match &**grant {
            Grant::Group(group) => Some(group),
            Grant::Role(_) | Grant::ProjectRole { .. } => None,
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
