//! The rows returned by queries: flat, compact, and checked. No I/O.

use serde::Deserialize;
use serde_json::Value;

use super::error::FtrackErrorKind;
use crate::model::{stored_link::Unverified, user::EntityId};

/// A row that is read page by page, and identified by one column.
pub(super) trait Row: serde::de::DeserializeOwned + Send {
    /// The column that the listing is ordered by, unique per row.
    fn identity(&self) -> &EntityId;
}

/// A user's own columns. An attribute that is null may be missing from the answer.
#[derive(Debug, Deserialize)]
pub(super) struct UserRow {
    pub id: EntityId,
    #[serde(default)]
    pub username: Option<Box<str>>,
    #[serde(default)]
    pub first_name: Option<Box<str>>,
    #[serde(default)]
    pub last_name: Option<Box<str>>,
    #[serde(default)]
    pub email: Option<Box<str>>,
    #[serde(default)]
    pub is_active: Option<bool>,
    #[serde(default)]
    pub user_type_id: Option<EntityId>,
}

impl UserRow {
    /// The columns that every user has.
    pub(super) fn required(&mut self) -> Result<(Box<str>, bool), FtrackErrorKind> {
        let Some(username) = self.username.take() else {
            return Err(FtrackErrorKind::Malformed(format!(
                "the user {} has no username",
                self.id
            )));
        };
        let Some(is_active) = self.is_active else {
            return Err(FtrackErrorKind::Malformed(format!(
                "the user {} has no is_active value",
                self.id
            )));
        };
        Ok((username, is_active))
    }
}

impl Row for UserRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }
}

/// The value of our metadata key on one entity.
#[derive(Debug, Deserialize)]
#[serde(from = "MetadataRow")]
pub(super) struct LinkRow {
    pub parent_id: EntityId,
    pub link: Unverified,
}

impl Row for LinkRow {
    fn identity(&self) -> &EntityId {
        &self.parent_id
    }
}

/// That a user exists.
#[derive(Debug, Deserialize)]
pub(super) struct IdRow {
    pub id: EntityId,
}

impl Row for IdRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }
}

/// That a link exists.
#[derive(Debug, Deserialize)]
pub(super) struct ParentRow {
    pub parent_id: EntityId,
}

impl Row for ParentRow {
    fn identity(&self) -> &EntityId {
        &self.parent_id
    }
}

/// A link as it arrives; a value that is not text is not a link.
#[derive(Debug, Deserialize)]
struct MetadataRow {
    parent_id: EntityId,
    #[serde(default)]
    value: Value,
}

impl From<MetadataRow> for LinkRow {
    fn from(MetadataRow { parent_id, value }: MetadataRow) -> Self {
        let link = value.as_str().map_or_else(Unverified::unreadable, |text| {
            Unverified::parse(&parent_id, text)
        });
        Self { parent_id, link }
    }
}

/// An entity with a name: a user type, a security role.
#[derive(Debug, Deserialize)]
pub(super) struct NamedRow {
    pub id: EntityId,
    #[serde(default)]
    pub name: Option<String>,
}

impl Row for NamedRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }
}

/// That a user has a role.
#[derive(Debug, Deserialize)]
pub(super) struct MemberRow {
    pub id: EntityId,
    pub user_id: EntityId,
}

impl Row for MemberRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }
}

/// The configuration of a custom attribute.
#[derive(Debug, Deserialize)]
pub(super) struct AttributeRow {
    pub id: EntityId,
    #[serde(default)]
    pub key: Option<String>,
    #[serde(default)]
    pub entity_type: Option<String>,
    /// Its type; a server that omits repetitions names a type only once.
    #[serde(default, rename = "type")]
    pub kind: Option<NamedRow>,
}

impl Row for AttributeRow {
    fn identity(&self) -> &EntityId {
        &self.id
    }
}

/// A user's value of a custom attribute.
#[derive(Debug, Deserialize)]
pub(super) struct ValueRow {
    pub entity_id: EntityId,
    #[serde(default)]
    pub value: Value,
}

impl Row for ValueRow {
    fn identity(&self) -> &EntityId {
        &self.entity_id
    }
}
