//! Reads the security roles, and who has which: administrators, and users who have more than the
//! roles that every new user gets.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    error::{FtrackError, FtrackErrorKind},
    page::{list, users_a_call},
    query,
    row::{HeldRoleRow, MemberRow, NamedRow},
    session::{Reader, Until},
    text::some_names,
};
use crate::model::user::EntityId;

/// Which users have which roles.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// The users who have one of the administrator roles, sorted.
    administrators: Vec<EntityId>,
    /// Users with the name of each further role, sorted, each once.
    further: Vec<(EntityId, Arc<str>)>,
}

impl Holders {
    /// The users who have one of the administrator roles, sorted.
    pub fn administrators(&self) -> &[EntityId] {
        &self.administrators
    }

    /// Whether a user has one of the administrator roles.
    pub fn is_administrator(&self, user: &EntityId) -> bool {
        self.administrators.binary_search(user).is_ok()
    }

    /// Those who have these roles, by all rows for the marked roles and for others that were asked for.
    pub fn of(
        administrators: Vec<EntityId>,
        marked: &MarkedRoles,
        (rows, others): (&[HeldRoleRow], &BTreeSet<EntityId>),
    ) -> Self {
        let is_further = |row: &&HeldRoleRow| {
            let role = row.security_role_id.as_ref();
            role.is_none_or(|role| marked.further.contains_key(role) || !others.contains(role))
        };
        Self {
            administrators,
            further: named_holders(rows.iter().filter(is_further), &marked.further),
        }
    }

    /// The further roles of a user.
    pub fn further_roles(&self, user: &EntityId) -> Box<[Arc<str>]> {
        let start = self.further.partition_point(|(id, _)| id < user);
        let of_user = self.further.get(start..).unwrap_or_default().iter();
        of_user
            .take_while(|(id, _)| id == user)
            .map(|(_, role)| Arc::clone(role))
            .collect()
    }
}

/// Who has the administrator roles, and of other roles, which some users have. Nothing is read where
/// no administrator role is named.
///
/// # Errors
/// Those of [`administrators`].
pub(super) async fn holders_among(
    reader: &Reader,
    administrator_roles: &[String],
    default_roles: &[String],
    users: &[EntityId],
    until: &Until,
) -> Result<Holders, FtrackError> {
    let Some(MarkedRoles {
        of_administrators,
        further,
    }) = marked_roles(reader, administrator_roles, default_roles, until).await?
    else {
        return Ok(Holders::default());
    };
    let administrators = members(reader, &of_administrators, until).await?;
    let mut rows = Vec::new();
    for users in users.chunks(users_a_call(reader)) {
        rows.extend(list::<HeldRoleRow>(reader, &query::roles_of(users), until).await?);
    }
    let is_further = |row: &&HeldRoleRow| {
        let role = row.security_role_id.as_ref();
        role.is_none_or(|role| further.contains_key(role))
    };
    let rows = rows.iter().filter(is_further);
    Ok(Holders {
        administrators,
        further: named_holders(rows, &further),
    })
}

/// The roles of a server that say something about who has them.
#[derive(Debug, Default)]
pub(super) struct MarkedRoles {
    /// Those that make administrators.
    pub of_administrators: Vec<EntityId>,
    /// With their names: neither those nor the ones that every new user gets.
    pub further: BTreeMap<EntityId, Arc<str>>,
}

/// The roles that matter; none where no administrator role is named, and nothing is read.
///
/// # Errors
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::UnusableGrant`] when a role does not exist.
pub(super) async fn marked_roles(
    reader: &Reader,
    administrator_roles: &[String],
    default_roles: &[String],
    until: &Until,
) -> Result<Option<MarkedRoles>, FtrackError> {
    if administrator_roles.is_empty() {
        return Ok(None);
    }
    let roles = list::<NamedRow>(reader, &query::security_roles(), until).await?;
    let of_administrators = administrator_ids(reader, administrator_roles, &roles)?;
    let of_everybody: Vec<&EntityId> = default_roles
        .iter()
        .filter_map(|name| the_only(name, &roles))
        .collect();
    let further: BTreeMap<EntityId, Arc<str>> = roles
        .iter()
        .filter(|role| !of_administrators.contains(&role.id) && !of_everybody.contains(&&role.id))
        .map(|role| {
            let name = role
                .name
                .as_deref()
                .map_or_else(|| (*role.id.text()).into(), Into::into);
            (role.id.clone(), name)
        })
        .collect();
    Ok(Some(MarkedRoles {
        of_administrators,
        further,
    }))
}

/// Users with the name of each role that they have; the id of one that is not among these roles.
fn named_holders<'r>(
    rows: impl Iterator<Item = &'r HeldRoleRow>,
    roles: &BTreeMap<EntityId, Arc<str>>,
) -> Vec<(EntityId, Arc<str>)> {
    let mut holders: Vec<(EntityId, Arc<str>)> = rows
        .filter_map(|row| {
            let role = row.security_role_id.as_ref();
            let name = role.and_then(|role| roles.get(role)).cloned();
            let id = || role.map_or_else(|| "unknown".into(), |role| (*role.text()).into());
            Some((row.user_id.clone()?, name.unwrap_or_else(id)))
        })
        .collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

/// Which of the names are security roles, compared without case, in the order of the names; and the
/// names of all roles.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub async fn security_roles(
    reader: &Reader,
    names: &[String],
    until: &Until,
) -> Result<(Vec<Option<EntityId>>, Vec<String>), FtrackError> {
    let rows = list::<NamedRow>(reader, &query::security_roles(), until).await?;
    let found = names.iter().map(|name| named(name, &rows).next().cloned());
    let found = found.collect();
    Ok((found, rows.into_iter().filter_map(|row| row.name).collect()))
}

/// The roles of a name, compared without case.
fn named<'r>(name: &str, roles: &'r [NamedRow]) -> impl Iterator<Item = &'r EntityId> {
    let name = name.to_lowercase();
    let is_so = move |role: &&NamedRow| {
        let found = role.name.as_deref();
        found.is_some_and(|found| found.to_lowercase() == name)
    };
    roles.iter().filter(is_so).map(|role| &role.id)
}

/// The role of a name. Of several with one name, nobody knows which new users get.
fn the_only<'r>(name: &str, roles: &'r [NamedRow]) -> Option<&'r EntityId> {
    let mut found = named(name, roles);
    found.next().filter(|_| found.next().is_none())
}

/// The users who have one of the roles, sorted; active or not.
///
/// # Errors
///
/// Those of [`Reader::read_call`]; [`FtrackErrorKind::UnusableGrant`] when a role does not exist.
pub async fn administrators(
    reader: &Reader,
    names: &[String],
    until: &Until,
) -> Result<Vec<EntityId>, FtrackError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let rows = list::<NamedRow>(reader, &query::security_roles(), until).await?;
    let roles = administrator_ids(reader, names, &rows)?;
    members(reader, &roles, until).await
}

/// The ids of the administrator roles.
///
/// # Errors
/// One of them does not exist.
fn administrator_ids(
    reader: &Reader,
    names: &[String],
    roles: &[NamedRow],
) -> Result<Vec<EntityId>, FtrackError> {
    let id = |name: &String| {
        named(name, roles).next().cloned().ok_or_else(|| {
            let unknown = FtrackErrorKind::UnusableGrant {
                problem: format!(
                    "ftrack has no security role {name:?}, which ftrack.administrator_roles names"
                ),
                known: reader.excerpt(&some_names(
                    roles.iter().filter_map(|role| role.name.as_deref()),
                )),
            };
            reader.error_of("looking for the administrator roles", unknown)
        })
    };
    names.iter().map(id).collect()
}

/// The users who have one of these roles, sorted.
///
/// # Errors
/// Those of [`Reader::read_call`].
pub(super) async fn members(
    reader: &Reader,
    roles: &[EntityId],
    until: &Until,
) -> Result<Vec<EntityId>, FtrackError> {
    let rows = list::<MemberRow>(reader, &query::members_of(roles), until).await?;
    let mut users: Vec<EntityId> = rows.into_iter().map(|row| row.user_id).collect();
    users.sort_unstable();
    Ok(users)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(text: &str) -> EntityId {
        EntityId::new(text).unwrap()
    }

    #[test]
    fn of_several_roles_of_one_name_none_is_the_default_one() {
        let role = |id_text: &str, name: &str| NamedRow {
            id: id(id_text),
            name: Some(name.to_owned()),
        };
        let mut roles = vec![role("r-1", "User"), role("r-2", "Lead")];
        assert_eq!(the_only("USER", &roles), Some(&id("r-1")));
        assert_eq!(the_only("Artist", &roles), None);
        roles.push(role("r-3", "user"));
        assert_eq!(the_only("User", &roles), None);
    }

    #[test]
    fn a_row_of_nobody_stops_nobody_else() {
        let row = |text: &str| serde_json::from_str::<HeldRoleRow>(text).unwrap();
        let nobodys = row(r#"{"id": "x", "user_id": null, "security_role_id": "r-1"}"#);
        assert_eq!(
            (nobodys.user_id, nobodys.security_role_id),
            (None, Some(id("r-1")))
        );
        assert_eq!(row(r#"{"id": "x"}"#).user_id, None);
    }

    #[test]
    fn each_user_has_its_own_roles() {
        let held = |user: &str, role: &str| (id(user), Arc::from(role));
        let holders = Holders {
            administrators: vec![id("u-2")],
            further: vec![held("u-1", "A"), held("u-3", "A"), held("u-3", "B")],
        };
        let roles = |user: &str| holders.further_roles(&id(user)).join(", ");
        assert_eq!(
            ["u-0", "u-1", "u-2", "u-3", "u-4"].map(roles),
            ["", "A", "", "A, B", ""]
        );
        assert!(holders.is_administrator(&id("u-2")) && !holders.is_administrator(&id("u-1")));
    }
}
