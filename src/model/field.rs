//! The columns in which plans and reports show changes. No I/O.

use serde::{Deserialize, Serialize};

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
    /// Whether the user has a security role for all open projects, by the role's name.
    Role(String),
    /// Whether the user has a security role for one project, by the names of both; the role's has no
    /// `@`.
    ProjectRole {
        role: String,
        project: String,
    },
    /// Whether the user is a member of a group, by the group's path.
    Group(String),
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
            Self::ProjectRole { role, project } => format!("roles.{role}@{project}"),
            Self::Group(path) => format!("groups.{path}"),
            Self::Link => "link".into(),
        }
    }
}

impl Field {
    fn of_role(name: &str) -> Self {
        match name.split_once('@') {
            Some((role, project)) => Self::ProjectRole {
                role: role.into(),
                project: project.into(),
            },
            None => Self::Role(name.into()),
        }
    }

    /// Whether it is of a security role, for all open projects or for one.
    #[must_use]
    pub fn is_role(&self) -> bool {
        matches!(self, Self::Role(_) | Self::ProjectRole { .. })
    }

    /// Whether it is of the membership of a group.
    #[must_use]
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }

    /// Whether it is of something that a job gives and takes beside the user's own values.
    #[must_use]
    pub fn is_grant(&self) -> bool {
        self.is_role() || self.is_group()
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
            other => {
                let custom = other.strip_prefix("custom_attributes.");
                let role = other.strip_prefix("roles.").map(Self::of_role);
                let group = other.strip_prefix("groups.");
                let known = custom.map(|key| Self::Custom(key.into()));
                let known = known.or(role);
                let known = known.or(group.map(|path| Self::Group(path.into())));
                known.ok_or_else(|| format!("{name:?} is not an attribute of a user"))?
            }
        })
    }
}
