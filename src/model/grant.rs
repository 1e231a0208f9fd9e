//! What a job gives its people and takes, as far as it is mapped: security roles of ftrack, for all
//! open projects or for single ones, and memberships of groups. No I/O.

use std::{fmt, sync::Arc};

use serde_json::Value;
use uuid::Uuid;

use crate::model::{entity_id::EntityId, field::Field, given::GrantId};

/// The value of a role's column in plans and reports, for all projects that are open to everybody.
pub const ALL_OPEN_PROJECTS: &str = "all open projects";

/// The value of a group's column in plans and reports.
pub const MEMBER: &str = "member";

/// What the members of LDAP groups get, by its names at ftrack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub enum GrantName {
    /// A security role for all open projects.
    Role(Arc<str>),
    /// A security role for one project.
    ProjectRole { role: Arc<str>, project: Arc<str> },
    /// The membership of a group, by its path.
    Group(Arc<str>),
}

/// One thing that a job gives and takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub enum Grant {
    /// A security role for all open projects.
    Role(Role),
    /// A security role for one project.
    ProjectRole { role: Role, project: Project },
    /// The membership of a group.
    Group(Group),
}

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

/// A project for which a job gives a security role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Project {
    pub id: EntityId,
    /// As configured.
    pub name: Arc<str>,
    /// Whether a role for all open projects is none for this one.
    pub is_private: bool,
}

/// A group whose membership a job gives and takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Group {
    /// Of a group that is still to be made, its future id.
    pub id: EntityId,
    /// The path, as configured.
    pub name: Arc<str>,
    /// The groups that have to be made before it has members, parents first; empty where it exists.
    pub missing: Box<[NewGroup]>,
}

/// A group that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct NewGroup {
    pub id: EntityId,
    /// Its own name, not the path.
    pub name: Arc<str>,
    /// None at the top.
    pub parent: Option<EntityId>,
}

impl GrantName {
    /// What it is called in texts.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Role(_) | Self::ProjectRole { .. } => "role",
            Self::Group(_) => "membership",
        }
    }
}

/// As texts name it.
impl fmt::Display for GrantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "role {role:?}"),
            Self::ProjectRole { role, project } => {
                write!(f, "role {role:?} for the project {project:?}")
            }
            Self::Group(path) => write!(f, "membership of {path:?}"),
        }
    }
}

impl Group {
    /// The paths of the groups that have to be made before it has members, parents first.
    #[must_use]
    pub fn paths_to_make(&self) -> Vec<String> {
        let mut path = &*self.name;
        let mut paths = Vec::with_capacity(self.missing.len());
        for new in self.missing.iter().rev() {
            paths.push(path.to_owned());
            let above = path.strip_suffix(&*new.name).unwrap_or_default();
            // Without the separator.
            let mut above = above.chars();
            above.next_back();
            path = above.as_str();
        }
        paths.reverse();
        paths
    }
}

impl Grant {
    /// Whether it has this name.
    #[must_use]
    pub fn is_named(&self, name: &GrantName) -> bool {
        match (self, name) {
            (Self::Role(role), GrantName::Role(name)) => role.name == *name,
            (
                Self::ProjectRole { role, project },
                GrantName::ProjectRole {
                    role: name,
                    project: of,
                },
            ) => role.name == *name && project.name == *of,
            (Self::Group(group), GrantName::Group(path)) => group.name == *path,
            (
                Self::Role(_) | Self::ProjectRole { .. } | Self::Group(_),
                GrantName::Role(_) | GrantName::ProjectRole { .. } | GrantName::Group(_),
            ) => false,
        }
    }

    /// What links note of it.
    #[must_use]
    pub fn id(&self) -> GrantId {
        match self {
            Self::Role(role) => GrantId::Role(role.id.clone()),
            Self::ProjectRole { role, project } => GrantId::ProjectRole {
                role: role.id.clone(),
                project: project.id.clone(),
            },
            Self::Group(group) => GrantId::Group(group.id.clone()),
        }
    }

    /// Whether this is what links note of it.
    #[must_use]
    pub fn has_id(&self, id: &GrantId) -> bool {
        match (self, id) {
            (Self::Role(role), GrantId::Role(id)) => role.id == *id,
            (
                Self::ProjectRole { role, project },
                GrantId::ProjectRole {
                    role: id,
                    project: of,
                },
            ) => role.id == *id && project.id == *of,
            (Self::Group(group), GrantId::Group(id)) => group.id == *id,
            (
                Self::Role(_) | Self::ProjectRole { .. } | Self::Group(_),
                GrantId::Role(_) | GrantId::ProjectRole { .. } | GrantId::Group(_),
            ) => false,
        }
    }

    /// Its column in plans and reports.
    #[must_use]
    pub fn field(&self) -> Field {
        match self {
            Self::Role(role) => Field::Role(role.name.to_string()),
            Self::ProjectRole { role, project } => Field::ProjectRole {
                role: role.name.to_string(),
                project: project.name.to_string(),
            },
            Self::Group(group) => Field::Group(group.name.to_string()),
        }
    }

    /// Its name: of a role for one project, with the project's.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Role(role) => role.name.to_string(),
            Self::ProjectRole { role, project } => format!("{}@{}", role.name, project.name),
            Self::Group(group) => group.name.to_string(),
        }
    }

    /// The value of its column for a user who has it; null for others.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Role(_) => ALL_OPEN_PROJECTS.into(),
            Self::ProjectRole { project, .. } => (*project.name).into(),
            Self::Group(_) => MEMBER.into(),
        }
    }

    /// What it is called in texts.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Role(_) | Self::ProjectRole { .. } => "role",
            Self::Group(_) => "membership",
        }
    }

    /// The security role; none of a group, which carries no permissions.
    #[must_use]
    pub fn role(&self) -> Option<&Role> {
        match self {
            Self::Role(role) | Self::ProjectRole { role, .. } => Some(role),
            Self::Group(_) => None,
        }
    }

    /// Whether it makes an administrator.
    #[must_use]
    pub fn is_administrator(&self) -> bool {
        self.role().is_some_and(|role| role.is_administrator)
    }
}

/// The namespace of the ids of groups and memberships that the program makes; a constant of it.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b0c_41d7_93ae_5c52_8f1e_2d9b_70a4_e3c6);

/// The id of a membership that the program makes: the same each time, so that a call that arrives late
/// makes no second one, and those that somebody else made are told apart.
#[must_use]
pub fn membership_id(user: &EntityId, group: &EntityId) -> EntityId {
    id_of(&format!("membership:{user}:{group}"))
}

/// The id of a group that the program makes: the same each time, so that two programs never make two
/// groups of one name.
#[must_use]
pub fn group_id(parent: Option<&EntityId>, name: &str) -> EntityId {
    let parent = parent.map(EntityId::text);
    let parent = parent.as_deref().unwrap_or_default();
    id_of(&format!("group:{parent}:{name}"))
}

fn id_of(name: &str) -> EntityId {
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).into()
}

/// What a user has of what a job gives and takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct HeldGrants {
    pub roles: Box<[HeldRole]>,
    pub groups: Box<[HeldGroup]>,
}

/// A mapped role that a user has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRole {
    /// Which one.
    pub role: EntityId,
    /// Whether the user has it for all open projects.
    pub is_on_all_open: bool,
    /// Those of the mapped projects for which the user has it by themselves, sorted.
    pub projects: Box<[EntityId]>,
    /// Whether the user has it for other single projects; only known of users that are read again by
    /// id.
    pub is_on_others: bool,
}

/// A mapped group of which a user is a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldGroup {
    /// Which one.
    pub group: EntityId,
    /// Whether the membership that the program makes is there; nothing keeps a server from having
    /// several of one user and group.
    pub is_own: bool,
    /// Whether there is one that somebody else made.
    pub is_others: bool,
}

impl HeldRole {
    /// For all open projects, and for each single one.
    fn ids(&self) -> impl Iterator<Item = GrantId> {
        let on_all = self
            .is_on_all_open
            .then(|| GrantId::Role(self.role.clone()));
        let projects = self.projects.iter();
        let on_projects = projects.map(|project| GrantId::ProjectRole {
            role: self.role.clone(),
            project: project.clone(),
        });
        on_all.into_iter().chain(on_projects)
    }
}

impl HeldGrants {
    /// What the user has of a role.
    #[must_use]
    pub fn role(&self, role: &EntityId) -> Option<&HeldRole> {
        self.roles.iter().find(|held| held.role == *role)
    }

    /// What the user has of a group.
    #[must_use]
    pub fn group(&self, group: &EntityId) -> Option<&HeldGroup> {
        self.groups.iter().find(|held| held.group == *group)
    }

    /// All that the user has by itself, whoever gave it.
    pub fn ids(&self) -> impl Iterator<Item = GrantId> {
        let groups = self.groups.iter();
        let groups = groups.map(|held| GrantId::Group(held.group.clone()));
        self.roles.iter().flat_map(HeldRole::ids).chain(groups)
    }

    /// Whether the user has exactly this, as the program gives it: of a role for one project, by
    /// itself; of a membership, one that nobody else made.
    #[must_use]
    pub fn has(&self, grant: &Grant) -> bool {
        match grant {
            Grant::Role(role) => self.is_on_all_open(role),
            Grant::ProjectRole { role, project } => self.is_on(&role.id, &project.id),
            Grant::Group(group) => self.is_own_member(&group.id),
        }
    }

    /// The same of what a link notes.
    #[must_use]
    pub fn has_id(&self, grant: &GrantId) -> bool {
        match grant {
            GrantId::Role(role) => self.role(role).is_some_and(|held| held.is_on_all_open),
            GrantId::ProjectRole { role, project } => self.is_on(role, project),
            GrantId::Group(group) => self.is_own_member(group),
        }
    }

    /// Whether the user has a role for this project by itself.
    fn is_on(&self, role: &EntityId, project: &EntityId) -> bool {
        self.role(role)
            .is_some_and(|held| held.projects.binary_search(project).is_ok())
    }

    /// Whether the membership of a group that the program makes is there.
    fn is_own_member(&self, group: &EntityId) -> bool {
        self.group(group).is_some_and(|held| held.is_own)
    }

    /// Whether the user has what this gives: of a role for one project, also by having it for all open
    /// ones; of a membership, whoever made it.
    #[must_use]
    pub fn covers(&self, grant: &Grant) -> bool {
        let by_all = match grant {
            Grant::ProjectRole { role, project } => {
                !project.is_private && self.is_on_all_open(role)
            }
            Grant::Group(group) => self.group(&group.id).is_some(),
            Grant::Role(_) => false,
        };
        by_all || self.has(grant)
    }

    /// Whether the user has a role for all open projects.
    #[must_use]
    pub fn is_on_all_open(&self, role: &Role) -> bool {
        self.role(&role.id).is_some_and(|held| held.is_on_all_open)
    }
}
