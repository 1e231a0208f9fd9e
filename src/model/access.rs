//! Whether those whom a run was for have access after it, and why. No I/O.

use serde::{Deserialize, Serialize};

use crate::model::user::EntityId;

/// One of the people whom a run was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct NamedPerson {
    /// As named.
    pub who: String,
    /// The login; null where there is no user and none is asked for.
    pub username: Option<String>,
    /// The id of the user in ftrack; null where there is none.
    pub ftrack_id: Option<EntityId>,
    /// Whether the user was active before the run.
    pub had_access: bool,
    /// Whether the user is active after it, as far as that is known.
    pub has_access: bool,
    /// Whether the access was to end by what the directory shows, and has not.
    #[serde(default)]
    pub due: bool,
    /// Why, as text.
    pub reason: String,
    /// How to end the access, where the person still has it; null otherwise.
    pub what_to_do: Option<String>,
}
