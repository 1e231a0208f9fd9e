//! The security roles that a job gives and takes: which they are, and who has them for which
//! projects.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    error::{FtrackError, FtrackErrorKind},
    page::list,
    query,
    row::{HeldRoleRow, ProjectOfRoleRow, RoleRow},
    session::{Reader, Until},
    text::some_names,
};
use crate::{
    config::nearest,
    model::{
        role::{HeldRole, Role},
        user::EntityId,
    },
};

/// The type of the roles that users can be given; those of other types are for API keys and for
/// whoever has a task.
const FOR_PROJECTS: &str = "PROJECT";

/// The roles that users have, by user.
pub(super) type HeldRoles = BTreeMap<EntityId, Vec<HeldRole>>;

/// The roles of these names, compared without case, in their order.
///
/// # Errors
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::UnusableRole`] when there is no such role, several,
/// or one that users cannot be given.
pub async fn mapped_roles(
    reader: &Reader,
    names: &[Arc<str>],
    administrator_roles: &[String],
    until: &Until,
) -> Result<Vec<Arc<Role>>, FtrackError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let rows = list::<RoleRow>(reader, &query::roles_with_types(), until).await?;
    let roles = names
        .iter()
        .map(|name| mapped_role(name, administrator_roles, &rows));
    roles
        .collect::<Result<_, FtrackErrorKind>>()
        .map_err(|kind| reader.error_of("looking for the job's security roles", kind))
}

fn mapped_role(
    name: &Arc<str>,
    administrator_roles: &[String],
    rows: &[RoleRow],
) -> Result<Arc<Role>, FtrackErrorKind> {
    let folded = name.to_lowercase();
    let is_named = |other: &str| other.to_lowercase() == folded;
    let mut found = rows
        .iter()
        .filter(|row| row.name.as_deref().is_some_and(is_named));
    let wrong = |problem: String| FtrackErrorKind::UnusableRole {
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
            almost_so(name, rows)
        ))),
        (Some(_), Some(_)) => Err(wrong(format!(
            "ftrack has several security roles {name:?}, which the job's roles name"
        ))),
        (Some(row), None) if !row.is_for_users() => Err(wrong(format!(
            "the security role {name:?}, which the job's roles name, is of the type {:?}: users can \
             be given only those of the type {FOR_PROJECTS}",
            row.kind.as_deref().unwrap_or_default()
        ))),
        (Some(row), None) => Ok(Arc::new(Role {
            id: row.id.clone(),
            name: Arc::clone(name),
            is_administrator: administrator_roles.iter().any(|other| is_named(other)),
        })),
    }
}

/// The role whose name is most likely meant.
fn almost_so(name: &str, rows: &[RoleRow]) -> String {
    let known = rows.iter().filter(|row| row.is_for_users());
    let near = nearest(name, known.filter_map(RoleRow::name));
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

/// Who has these roles. For which single projects is not read.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub(super) async fn of_everybody(
    reader: &Reader,
    roles: &[Arc<Role>],
    until: &Until,
) -> Result<HeldRoles, FtrackError> {
    if roles.is_empty() {
        return Ok(HeldRoles::new());
    }
    let rows = list::<HeldRoleRow>(reader, &query::mapped_roles_held(&ids(roles)), until).await?;
    Ok(held_roles(rows, &[], roles))
}

/// Which of these roles some users have, also for single projects.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub(super) async fn of_some(
    reader: &Reader,
    roles: &[Arc<Role>],
    users: &[EntityId],
    until: &Until,
) -> Result<HeldRoles, FtrackError> {
    if roles.is_empty() || users.is_empty() {
        return Ok(HeldRoles::new());
    }
    let (held, projects) = (
        query::mapped_roles_of(&ids(roles), users),
        query::projects_of_roles_of(users),
    );
    let (held, projects) = tokio::try_join!(
        list::<HeldRoleRow>(reader, &held, until),
        list::<ProjectOfRoleRow>(reader, &projects, until),
    )?;
    Ok(held_roles(held, &projects, roles))
}

fn ids(roles: &[Arc<Role>]) -> Vec<EntityId> {
    roles.iter().map(|role| role.id.clone()).collect()
}

fn held_roles(
    rows: Vec<HeldRoleRow>,
    projects: &[ProjectOfRoleRow],
    roles: &[Arc<Role>],
) -> HeldRoles {
    let mut held = HeldRoles::new();
    for row in rows {
        let (Some(user), Some(role)) = (row.user_id, row.security_role_id) else {
            continue;
        };
        let Some(role) = roles.iter().find(|known| known.id == role) else {
            continue;
        };
        let is_of_row = |project: &ProjectOfRoleRow| project.user_security_role_id == row.id;
        let one = HeldRole {
            role: Arc::clone(role),
            is_on_all_open: row.is_all_open_projects.unwrap_or_default(),
            is_on_some: projects.iter().any(is_of_row),
        };
        let of_user = held.entry(user).or_default();
        match of_user.iter_mut().find(|known| known.role == one.role) {
            Some(known) => {
                known.is_on_all_open |= one.is_on_all_open;
                known.is_on_some |= one.is_on_some;
            }
            None => of_user.push(one),
        }
    }
    held
}
