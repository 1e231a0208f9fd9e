//! What a job gives and takes: which security roles, projects and groups that is, and who has what of
//! it.

use std::{collections::BTreeSet, sync::Arc};

use foldhash::{HashMap, HashMapExt};

use super::{
    error::{FtrackError, FtrackErrorKind},
    groups,
    groups::{MissingGroups, Paths},
    page::list,
    query,
    query::Listing,
    roles::{Holders, marked_roles, members},
    row::{HeldRoleRow, MembershipRow, ProjectOfRoleRow, ProjectRow, RoleRow, Row},
    session::{Reader, Until},
    text::some_names,
};
use crate::{
    config::nearest,
    model::{
        grant::{Grant, GrantName, HeldGrants, HeldGroup, HeldRole, Project, Role, membership_id},
        user::EntityId,
    },
};

/// The type of the roles that users can be given; those of other types are for API keys and for
/// whoever has a task.
const FOR_PROJECTS: &str = "PROJECT";

/// The status of the projects for which roles can be given; those of others are over.
const ACTIVE: &str = "active";

/// The most ids in one expression; bounds its length.
const IDS_A_CALL: usize = 400;

/// What users have, by user.
pub(super) type Held = HashMap<EntityId, HeldGrants>;

/// What a job gives and takes, by its names at ftrack.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct GrantNames<'a> {
    pub names: &'a [GrantName],
    pub missing_groups: MissingGroups,
    /// The names of the roles that make administrators.
    pub administrator_roles: &'a [String],
}

/// The roles, projects and groups of these names, compared without case, in their order.
///
/// # Errors
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::UnusableGrant`] when there is none of a name,
/// several, or one that users cannot be given.
pub async fn mapped_grants(
    reader: &Reader,
    wanted: GrantNames<'_>,
    until: &Until,
) -> Result<Vec<Arc<Grant>>, FtrackError> {
    let each = each_grant(reader, wanted, until).await?;
    each.into_iter().collect()
}

/// The same, each with what is wrong with it.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub async fn each_grant(
    reader: &Reader,
    wanted: GrantNames<'_>,
    until: &Until,
) -> Result<Vec<Result<Arc<Grant>, FtrackError>>, FtrackError> {
    let any = |is_so: fn(&GrantName) -> bool| wanted.names.iter().any(is_so);
    let roles = async {
        if !any(|name| !matches!(name, GrantName::Group(_))) {
            return Ok(Vec::new());
        }
        list::<RoleRow>(reader, &query::roles_with_types(), until).await
    };
    let projects = async {
        if !any(|name| matches!(name, GrantName::ProjectRole { .. })) {
            return Ok(Vec::new());
        }
        list::<ProjectRow>(reader, &query::projects(), until).await
    };
    let paths = async {
        if !any(|name| matches!(name, GrantName::Group(_))) {
            return Ok(Paths::of(&[]));
        }
        groups::paths(reader, until).await
    };
    let (roles, projects, paths) = tokio::try_join!(roles, projects, paths)?;
    let grant = |name: &GrantName| {
        let role = |role: &Arc<str>| {
            mapped_role(role, wanted.administrator_roles, &roles)
                .map_err(|kind| reader.error_of("looking for the job's security roles", kind))
        };
        let grant = match name {
            GrantName::Role(name) => Grant::Role(role(name)?),
            GrantName::ProjectRole {
                role: name,
                project,
            } => Grant::ProjectRole {
                role: role(name)?,
                project: mapped_project(project, &projects)
                    .map_err(|kind| reader.error_of("looking for the job's projects", kind))?,
            },
            GrantName::Group(path) => Grant::Group(
                paths
                    .group(path, wanted.missing_groups)
                    .map_err(|kind| reader.error_of("looking for the job's groups", kind))?,
            ),
        };
        Ok(Arc::new(grant))
    };
    Ok(wanted.names.iter().map(grant).collect())
}

fn mapped_role(
    name: &Arc<str>,
    administrator_roles: &[String],
    rows: &[RoleRow],
) -> Result<Role, FtrackErrorKind> {
    let folded = name.to_lowercase();
    let is_named = |other: &str| other.to_lowercase() == folded;
    let mut found = rows
        .iter()
        .filter(|row| row.name.as_deref().is_some_and(is_named));
    let wrong = |problem: String| FtrackErrorKind::UnusableGrant {
        problem,
        known: some_names(
            rows.iter()
                .filter(|row| row.is_for_users())
                .filter_map(RoleRow::name),
        ),
    };
    match (found.next(), found.next()) {
        (None, _) => Err(wrong(format!(
            "ftrack has no security role {name:?}, which the job's roles name{}",
            almost(
                name,
                rows.iter()
                    .filter(|row| row.is_for_users())
                    .filter_map(RoleRow::name)
            )
        ))),
        (Some(_), Some(_)) => Err(wrong(format!(
            "ftrack has several security roles {name:?}, which the job's roles name"
        ))),
        (Some(row), None) if !row.is_for_users() => Err(wrong(format!(
            "the security role {name:?}, which the job's roles name, is of the type {:?}: users can \
             be given only those of the type {FOR_PROJECTS}",
            row.kind.as_deref().unwrap_or_default()
        ))),
        (Some(row), None) => Ok(Role {
            id: row.id.clone(),
            name: Arc::clone(name),
            is_administrator: administrator_roles.iter().any(|other| is_named(other)),
        }),
    }
}

/// The name that is most likely meant.
fn almost<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let near = nearest(name, known);
    near.map_or_else(String::new, |near| format!(" (did you mean {near:?}?)"))
}

impl RoleRow {
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// A server that does not show the type refuses what it does not allow.
    fn is_for_users(&self) -> bool {
        let kind = self.kind.as_deref();
        kind.is_none_or(|kind| kind.eq_ignore_ascii_case(FOR_PROJECTS))
    }
}

fn mapped_project(name: &Arc<str>, rows: &[ProjectRow]) -> Result<Project, FtrackErrorKind> {
    let folded = name.to_lowercase();
    let is_named = |row: &&ProjectRow| {
        let name = row.name.as_deref();
        name.is_some_and(|name| name.to_lowercase() == folded)
    };
    let mut found = rows.iter().filter(is_named);
    let active = || {
        let active = rows.iter().filter(|row| row.is_active());
        active.filter_map(|row| row.name.as_deref())
    };
    let wrong = |problem: String| FtrackErrorKind::UnusableGrant {
        problem,
        known: some_names(active()),
    };
    match (found.next(), found.next()) {
        (None, _) => Err(wrong(format!(
            "ftrack has no project {name:?} visible to this key, which the job's roles name{}",
            almost(name, active())
        ))),
        (Some(_), Some(_)) => Err(wrong(format!(
            "ftrack has several projects {name:?}, which the job's roles name"
        ))),
        (Some(row), None) if !row.is_active() => Err(wrong(format!(
            "the project {name:?}, which the job's roles name, has the status {:?}: roles are given \
             only for active ones; take it out of the job's roles, or open it again",
            row.status.as_deref().unwrap_or_default()
        ))),
        (Some(row), None) => Ok(Project {
            id: row.id.clone(),
            name: Arc::clone(name),
            is_private: row.is_private.unwrap_or_default(),
        }),
    }
}

impl ProjectRow {
    fn is_active(&self) -> bool {
        let status = self.status.as_deref();
        status.is_none_or(|status| status.eq_ignore_ascii_case(ACTIVE))
    }
}

/// The ids by which it is asked who has what.
#[derive(Default)]
struct Ids {
    roles: BTreeSet<EntityId>,
    projects: BTreeSet<EntityId>,
    /// Of those that exist.
    groups: BTreeSet<EntityId>,
}

impl Ids {
    fn of(grants: &[Arc<Grant>]) -> Self {
        let mut ids = Self::default();
        for grant in grants {
            match &**grant {
                Grant::Role(role) => drop(ids.roles.insert(role.id.clone())),
                Grant::ProjectRole { role, project } => {
                    ids.roles.insert(role.id.clone());
                    ids.projects.insert(project.id.clone());
                }
                // One that is still to be made may exist by the time when it is asked for.
                Grant::Group(group) => drop(ids.groups.insert(group.id.clone())),
            }
        }
        ids
    }
}

/// Who has what of all that is mapped, and who has roles that say something about them.
pub(super) struct Holdings {
    pub grants: Vec<Arc<Grant>>,
    pub held: Held,
    pub holders: Holders,
}

/// Reads which roles, projects and groups that is, and who has what of it. For which other single
/// projects somebody has a role is not read.
///
/// # Errors
/// Those of [`mapped_grants`] and of [`marked_roles`].
pub(super) async fn of_everybody(
    reader: &Reader,
    names: GrantNames<'_>,
    default_roles: &[String],
    until: &Until,
) -> Result<Holdings, FtrackError> {
    let (marked, grants) = tokio::try_join!(
        marked_roles(reader, names.administrator_roles, default_roles, until),
        mapped_grants(reader, names, until),
    )?;
    let marked = marked.unwrap_or_default();
    let ids = Ids::of(&grants);
    // Most mapped roles are marked ones as well: whoever has one is read once.
    let roles: BTreeSet<EntityId> = ids
        .roles
        .iter()
        .chain(marked.further.keys())
        .cloned()
        .collect();
    let holders_of = if ids.roles.is_empty() {
        query::holders_of
    } else {
        query::holders_and_projects_of
    };
    let administrators = async {
        if marked.of_administrators.is_empty() {
            return Ok(Vec::new());
        }
        members(reader, &marked.of_administrators, until).await
    };
    let (administrators, roles, projects, memberships) = tokio::try_join!(
        administrators,
        lists::<HeldRoleRow>(reader, &roles, holders_of, until),
        lists(reader, &ids.projects, query::roles_for_projects, until),
        lists(reader, &ids.groups, query::memberships_in, until),
    )?;
    let holders = Holders::of(administrators, &marked, (&roles, &ids.roles));
    let is_mapped = |row: &HeldRoleRow| {
        let role = row.security_role_id.as_ref();
        role.is_some_and(|role| ids.roles.contains(role))
    };
    let roles = roles.into_iter().filter(is_mapped).collect();
    Ok(Holdings {
        held: held(&ids, roles, projects, memberships),
        grants,
        holders,
    })
}

/// What of this some users have, also for other single projects.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub(super) async fn of_some(
    reader: &Reader,
    grants: &[Arc<Grant>],
    users: &[EntityId],
    until: &Until,
) -> Result<Held, FtrackError> {
    if users.is_empty() {
        return Ok(Held::new());
    }
    let ids = Ids::of(grants);
    let projects = async {
        if ids.roles.is_empty() {
            return Ok(Vec::new());
        }
        list::<ProjectOfRoleRow>(reader, &query::projects_of_roles_of(users), until).await
    };
    let roles = |ids: &[EntityId]| query::mapped_roles_of(ids, users);
    let memberships = |ids: &[EntityId]| query::memberships_of(ids, users);
    let (roles, projects, memberships) = tokio::try_join!(
        lists(reader, &ids.roles, roles, until),
        projects,
        lists(reader, &ids.groups, memberships, until),
    )?;
    Ok(held(&ids, roles, projects, memberships))
}

/// The rows for these ids.
async fn lists<R: Row>(
    reader: &Reader,
    ids: &BTreeSet<EntityId>,
    listing: impl Fn(&[EntityId]) -> Listing,
    until: &Until,
) -> Result<Vec<R>, FtrackError> {
    let ids: Vec<EntityId> = ids.iter().cloned().collect();
    let mut rows = Vec::new();
    for ids in ids.chunks(IDS_A_CALL) {
        rows.extend(list::<R>(reader, &listing(ids), until).await?);
    }
    Ok(rows)
}

/// What a user has, while it is put together: of few things, so that they are looked through.
#[derive(Default)]
struct Collected {
    roles: Vec<CollectedRole>,
    groups: Vec<HeldGroup>,
}

struct CollectedRole {
    role: EntityId,
    is_on_all_open: bool,
    projects: BTreeSet<EntityId>,
    is_on_others: bool,
}

impl Collected {
    fn role(&mut self, role: EntityId) -> &mut CollectedRole {
        match self.roles.iter().position(|held| held.role == role) {
            Some(place) => &mut self.roles[place],
            None => self.roles.push_mut(CollectedRole {
                role,
                is_on_all_open: false,
                projects: BTreeSet::new(),
                is_on_others: false,
            }),
        }
    }

    fn add_group(&mut self, group: EntityId, is_own: bool) {
        let mut known = self.groups.iter_mut();
        match known.find(|held| held.group == group) {
            Some(held) => {
                held.is_own |= is_own;
                held.is_others |= !is_own;
            }
            None => self.groups.push(HeldGroup {
                group,
                is_own,
                is_others: !is_own,
            }),
        }
    }
}

fn held(
    ids: &Ids,
    roles: Vec<HeldRoleRow>,
    projects: Vec<ProjectOfRoleRow>,
    memberships: Vec<MembershipRow>,
) -> Held {
    let mut on_projects: HashMap<EntityId, Vec<Option<EntityId>>> = HashMap::new();
    for row in projects {
        let of_role = on_projects.entry(row.user_security_role_id).or_default();
        of_role.push(row.project_id);
    }
    let mut all: HashMap<EntityId, Collected> = HashMap::new();
    for row in roles {
        let (Some(user), Some(role)) = (row.user_id, row.security_role_id) else {
            continue;
        };
        let held = all.entry(user).or_default().role(role);
        held.is_on_all_open |= row.is_all_open_projects.unwrap_or_default();
        for project in on_projects.remove(&row.id).unwrap_or_default() {
            match project.filter(|project| ids.projects.contains(project)) {
                Some(project) => drop(held.projects.insert(project)),
                None => held.is_on_others = true,
            }
        }
    }
    for row in memberships {
        let (Some(user), Some(group)) = (row.user_id, row.group_id) else {
            continue;
        };
        let is_own = row.id == membership_id(&user, &group);
        all.entry(user).or_default().add_group(group, is_own);
    }
    let users = all.into_iter();
    users.map(|(user, held)| (user, held.into())).collect()
}

/// Each sorted by id.
impl From<Collected> for HeldGrants {
    fn from(mut collected: Collected) -> Self {
        let Collected { roles, groups } = &mut collected;
        roles.sort_unstable_by(|one, other| one.role.cmp(&other.role));
        groups.sort_unstable_by(|one, other| one.group.cmp(&other.group));
        let roles = collected.roles.into_iter().map(|held| HeldRole {
            role: held.role,
            is_on_all_open: held.is_on_all_open,
            projects: held.projects.into_iter().collect(),
            is_on_others: held.is_on_others,
        });
        Self {
            roles: roles.collect(),
            groups: collected.groups.into(),
        }
    }
}
