//! Security roles of ftrack, as far as a job is mapped to them. No I/O.

use std::sync::Arc;

use crate::model::entity_id::EntityId;

/// The value of a role's column in plans and reports, for all projects that are open to everybody.
pub const ALL_OPEN_PROJECTS: &str = "all open projects";

/// A security role that a job gives and takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Role {
    pub id: EntityId,
    /// As configured.
    pub name: Arc<str>,
    /// Whether it makes an administrator.
    pub is_administrator: bool,
}

/// A mapped role that a user has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRole {
    /// Which one.
    pub role: Arc<Role>,
    /// Whether the user has it for all open projects.
    pub is_on_all_open: bool,
    /// Whether the user has it for single projects; only known of users that are read again by id.
    pub is_on_some: bool,
}

/// The role of this name among those of a user.
#[must_use]
pub fn held<'r>(roles: &'r [HeldRole], name: &str) -> Option<&'r HeldRole> {
    roles.iter().find(|held| *held.role.name == *name)
}
