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
    link::LinkFound,
    role::{HeldRole, Role},
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
    /// Those of the job's roles that the user has, for some projects or for all.
    pub roles: Box<[HeldRole]>,
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
        is(&self.username) || self.email.as_deref().is_some_and(is) || is(self.id.as_str())
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
    /// The security roles that the job gives and takes, in the order of its configuration.
    pub roles: Vec<Arc<Role>>,
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
