//! An edit as people and scripts read it, in reports and in holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::edit::{Edit, Field, Values};

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
    },
    Revoke {
        role: String,
    },
    Link,
}

impl ShownEdit {
    /// The edits that write these columns, in the order of the columns.
    #[must_use]
    pub fn of_fields(fields: &BTreeMap<Field, Values>) -> Vec<Self> {
        let edits = fields.iter().map(|(field, values)| match field {
            Field::IsActive if values.new == true => Self::Activate,
            Field::IsActive => Self::Deactivate,
            Field::Role(role) => Self::of_role(role.clone(), &values.new),
            Field::Link => Self::Link,
            Field::Username
            | Field::FirstName
            | Field::LastName
            | Field::Email
            | Field::UserType
            | Field::Custom(_) => Self::Set {
                attribute: field.clone(),
                values: values.clone(),
            },
        });
        edits.collect()
    }

    /// What lets a user have a role as the new value says.
    fn of_role(role: String, new: &Value) -> Self {
        if new.is_null() {
            Self::Revoke { role }
        } else {
            Self::Grant { role }
        }
    }
}

impl From<&Edit> for ShownEdit {
    fn from(edit: &Edit) -> Self {
        match edit {
            Edit::Set { attribute, values } => Self::Set {
                attribute: attribute.field(),
                values: values.clone(),
            },
            Edit::Activate => Self::Activate,
            Edit::Deactivate => Self::Deactivate,
            Edit::Grant(role) => Self::Grant {
                role: role.name.to_string(),
            },
            Edit::Revoke(role) => Self::Revoke {
                role: role.name.to_string(),
            },
            Edit::Link => Self::Link,
        }
    }
}
