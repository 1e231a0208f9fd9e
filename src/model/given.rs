//! What links note of the roles and memberships that the program gave.

use std::{fmt, mem};

use serde::{Deserialize, Serialize};

use crate::model::entity_id::EntityId;

/// A role or a membership of a user, by ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub enum GrantId {
    /// A security role for all open projects.
    Role(EntityId),
    /// A security role for one project.
    ProjectRole { role: EntityId, project: EntityId },
    /// The membership of a group.
    Group(EntityId),
}

/// For what has no known name: as names of roles are, with `@` before the project.
impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(id) | Self::Group(id) => write!(f, "{id}"),
            Self::ProjectRole { role, project } => write!(f, "{role}@{project}"),
        }
    }
}

/// The roles and memberships that the program gave a user, or is about to give: sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Lists", from = "Lists")]
pub struct Given(Box<[GrantId]>);

/// The same as it is written: a list for each kind.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Lists {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<EntityId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    project_roles: Vec<(EntityId, EntityId)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<EntityId>,
}

impl Given {
    /// Notes that the program gives this.
    pub fn note(&mut self, grant: &GrantId) {
        if let Err(place) = self.0.binary_search(grant) {
            let mut all = mem::take(&mut self.0).into_vec();
            all.insert(place, grant.clone());
            self.0 = all.into();
        }
    }

    /// Forgets that the program gave this.
    pub fn forget(&mut self, grant: &GrantId) {
        let mut all = mem::take(&mut self.0).into_vec();
        all.retain(|known| known != grant);
        self.0 = all.into();
    }

    /// Whether the program gave this, or is about to.
    #[must_use]
    pub fn contains(&self, grant: &GrantId) -> bool {
        self.0.binary_search(grant).is_ok()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &GrantId> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The memory that they take, in bytes.
    pub(super) fn heap_size(&self) -> usize {
        let ids = self.0.iter().map(|grant| match grant {
            GrantId::Role(id) | GrantId::Group(id) => id.heap_size(),
            GrantId::ProjectRole { role, project } => role.heap_size() + project.heap_size(),
        });
        size_of_val(&*self.0) + ids.sum::<usize>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<GrantId> for Given {
    fn from_iter<I: IntoIterator<Item = GrantId>>(given: I) -> Self {
        let mut given: Vec<GrantId> = given.into_iter().collect();
        given.sort_unstable();
        given.dedup();
        Self(given.into())
    }
}

impl From<Lists> for Given {
    fn from(lists: Lists) -> Self {
        let Lists {
            roles,
            project_roles,
            groups,
        } = lists;
        let roles = roles.into_iter().map(GrantId::Role);
        let on_projects = project_roles.into_iter();
        let on_projects = on_projects.map(|(role, project)| GrantId::ProjectRole { role, project });
        let groups = groups.into_iter().map(GrantId::Group);
        roles.chain(on_projects).chain(groups).collect()
    }
}

impl From<Given> for Lists {
    fn from(given: Given) -> Self {
        let mut lists = Self::default();
        for grant in given.0 {
            match grant {
                GrantId::Role(role) => lists.roles.push(role),
                GrantId::ProjectRole { role, project } => lists.project_roles.push((role, project)),
                GrantId::Group(group) => lists.groups.push(group),
            }
        }
        lists
    }
}
