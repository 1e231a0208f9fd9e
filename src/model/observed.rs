//! What an observing run found of the changes that the one before it would have made. No I/O.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{change::Action, edit::Field, user::EntityId};

/// What an observing run found of what the one before it would have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The run before; null where there is none, or its report is gone.
    pub run: Option<String>,
    /// What became of each of its changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ObservedChange>,
}

/// A change that a run would have made, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct ObservedChange {
    pub action: Action,
    pub username: String,
    /// The user that has the values now; null where there is none.
    pub ftrack_id: Option<EntityId>,
    pub became: Became,
    /// The values that ftrack has now, of those that are neither the old nor the new ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<Field, Value>,
}

/// What became of a change that a run would have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// Somebody else made it.
    Done,
    /// Nobody made it.
    NotDone,
    /// ftrack has other values than before, and not, or not all, those that were planned.
    Otherwise,
}
