//! A User with its link, and everything else in ftrack that a plan needs. No I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

pub use crate::model::{custom_kind::CustomKind, entity_id::EntityId};

use crate::model::{
    entry::DirectoryId,
    fold::fold,
    given::{Given, GrantId},
    grant::{Grant, HeldGrants},
    link::LinkFound,
};

/// One ftrack user, as far as a plan needs it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct User {
    /// Unchanged by renames.
    pub id: EntityId,
    /// The login; unique on the server.
    pub username: Box<str>,
    /// Absent when null.
    pub first_name: Option<Box<str>>,
    /// Absent when null.
    pub last_name: Option<Box<str>>,
    /// Absent when null.
    pub email: Option<Box<str>>,
    /// Whether the user may sign in, and takes a seat.
    pub is_active: bool,
    pub kind: UserKind,
    /// Whether the user has one of the administrator roles.
    pub administrator: bool,
    /// The names of the user's security roles that neither make an administrator nor are given to
    /// every new user; in order, each once.
    pub further_roles: Box<[Arc<str>]>,
    /// What the user has of what the job gives and takes.
    pub grants: HeldGrants,
    pub link: LinkFound,
    /// The values of the mapped custom attributes, in the order of [`Current::custom_attributes`];
    /// `Value::Null` when there is none.
    pub custom_values: Box<[Value]>,
}

impl User {
    /// Whether the login, the mail address or the ftrack id is this text, which is folded.
    #[must_use]
    pub fn is_named(&self, folded: &str) -> bool {
        let is = |text: &str| fold(text) == folded;
        is(&self.username) || self.email.as_deref().is_some_and(is) || is(&self.id.text())
    }
}

/// The names of the user types that are never changed, compared without case.
pub const UNTOUCHABLE: [&str; 2] = ["service", "demo"];

/// A person, or one of the user types that are never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserKind {
    /// Somebody who signs in.
    Person,
    /// Of the user type `service` or `demo`.
    Untouchable,
    /// Without a login, or without a value that says whether the user is active: never changed.
    Odd,
}

/// Everything in ftrack that a plan needs, read completely.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// Ordered by id.
    pub users: Vec<User>,
    /// The mapped custom attributes: the key, and the id of its configuration.
    pub custom_attributes: Vec<(String, EntityId)>,
    /// The kind of each custom attribute, in the order of `custom_attributes`.
    pub custom_kinds: Vec<CustomKind>,
    /// What the job gives and takes, in the order of its rules.
    pub grants: Vec<Arc<Grant>>,
    /// User types: the id by name.
    pub user_types: BTreeMap<String, EntityId>,
    /// The ids that have a link but no user: mostly deleted users.
    pub orphans: BTreeSet<EntityId>,
    /// People whose user has an unreadable link, such as one of a newer version.
    pub claims: BTreeMap<DirectoryId, EntityId>,
    /// Warnings about the lists: that there are orphans, or odd users.
    pub warnings: Vec<String>,
    /// The number of calls it took.
    pub read_calls: u64,
}

impl Current {
    /// The names of the roles and of the groups among what a link names as given, each sorted; of what
    /// the job is not mapped to, the ids.
    #[must_use]
    pub fn names_of(&self, given: &Given) -> (Vec<String>, Vec<String>) {
        let (mut roles, mut groups) = (Vec::new(), Vec::new());
        for id in given.iter() {
            let known = self.grants.iter().find(|grant| grant.has_id(id));
            let name = known.map_or_else(|| id.to_string(), |grant| grant.name());
            match id {
                GrantId::Role(_) | GrantId::ProjectRole { .. } => roles.push(name),
                GrantId::Group(_) => groups.push(name),
            }
        }
        roles.sort_unstable();
        groups.sort_unstable();
        (roles, groups)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::grant::{Group, Project, Role};

    #[test]
    fn what_a_link_names_as_given_has_the_names_of_ftrack_or_its_ids() {
        let id = |text: &str| EntityId::new(text).unwrap();
        let role = Role {
            id: id("r-1"),
            name: "Lead".into(),
            is_administrator: false,
        };
        let project = Project {
            id: id("p-1"),
            name: "Film".into(),
            is_private: false,
        };
        let group = Group {
            id: id("g-1"),
            name: "Departments/Lighting".into(),
            missing: [].into(),
        };
        let grants = [
            Grant::Role(role.clone()),
            Grant::ProjectRole { role, project },
            Grant::Group(group),
        ];
        let unmapped = [
            GrantId::Role(id("r-2")),
            GrantId::ProjectRole {
                role: id("r-2"),
                project: id("p-1"),
            },
            GrantId::Group(id("g-2")),
        ];
        let given = grants.iter().map(Grant::id).chain(unmapped).collect();
        let current = Current {
            grants: grants.map(Arc::new).into(),
            ..Current::default()
        };
        let (roles, groups) = current.names_of(&given);
        assert_eq!(roles, ["Lead", "Lead@Film", "r-2", "r-2@p-1"]);
        assert_eq!(groups, ["Departments/Lighting", "g-2"]);
    }
}
