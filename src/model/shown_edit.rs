//! An edit as people and scripts read it, in reports and in holds.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    edit::{Edit, Field, Values},
    grant::Grant,
};

/// An edit, as people and scripts read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum ShownEdit {
    Set {
        attribute: Field,
        #[serde(flatten)]
        values: Values,
    },
    Activate,
    Deactivate,
    Grant {
        role: String,
        /// Absent where it is for all open projects.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<String>,
    },
    Revoke {
        role: String,
        /// Absent where it is for all open projects.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<String>,
    },
    Join {
        group: String,
    },
    Leave {
        group: String,
    },
    Link,
}

impl ShownEdit {
    /// The edits that write these columns, in the order of the columns.
    #[must_use]
    pub fn of_fields<'v>(fields: impl IntoIterator<Item = (&'v Field, &'v Values)>) -> Vec<Self> {
        let edits = fields.into_iter();
        edits
            .map(|(field, values)| Self::of_field(field.clone(), values))
            .collect()
    }

    fn of_field(field: Field, values: &Values) -> Self {
        let is_taken = values.new.is_null();
        match field {
            Field::IsActive if values.new == true => Self::Activate,
            Field::IsActive => Self::Deactivate,
            Field::Role(role) => Self::of_role(role, None, &values.new),
            Field::ProjectRole { role, project } => Self::of_role(role, Some(project), &values.new),
            Field::Group(group) if is_taken => Self::Leave { group },
            Field::Group(group) => Self::Join { group },
            Field::Link => Self::Link,
            Field::Username
            | Field::FirstName
            | Field::LastName
            | Field::Email
            | Field::UserType
            | Field::Invitation
            | Field::Thumbnail
            | Field::Custom(_) => Self::Set {
                attribute: field,
                values: values.clone(),
            },
        }
    }

    /// What lets a user have a role as the new value says.
    fn of_role(role: String, project: Option<String>, new: &Value) -> Self {
        if new.is_null() {
            Self::Revoke { role, project }
        } else {
            Self::Grant { role, project }
        }
    }
}

impl From<&Edit> for ShownEdit {
    fn from(edit: &Edit) -> Self {
        let of_grant = |grant: &Grant, new: Value| {
            let old = Value::Null;
            Self::of_field(grant.field(), &Values::new(old, new))
        };
        match edit {
            Edit::Set { attribute, values } => Self::Set {
                attribute: attribute.field(),
                values: values.clone(),
            },
            Edit::Activate => Self::Activate,
            Edit::Deactivate => Self::Deactivate,
            Edit::Grant(grant) => of_grant(grant, grant.value()),
            Edit::Revoke(grant) => of_grant(grant, Value::Null),
            Edit::Link => Self::Link,
        }
    }
}
