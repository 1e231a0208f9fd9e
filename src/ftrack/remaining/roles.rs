//! What is still to be done about the security roles of a user, and what the user's link says of it.

use serde_json::Value;

use super::is_of;
use crate::{
    ftrack::user_state::UserState,
    model::{
        change::Change,
        edit::{Edit, Field},
        link::Link,
        role,
        role::Role,
        user::EntityId,
    },
};

/// What is done about a security role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleStep {
    /// Give it to a user who does not have it at all.
    Add,
    /// Let it be one for all open projects.
    Extend,
    /// Take it.
    Remove,
    /// Let it be one only for the single projects for which somebody else gave it.
    Restrict,
}

/// The roles that a user's link names before and after the user's roles are changed.
///
/// A role is noted as given before it is, and forgotten after it is taken: wherever a server may
/// stop, no role is left that the program gave and does not know of. One that somebody else gave
/// meanwhile is not noted, and one that was read as gone and is there stays noted.
pub(super) fn roles_of_links(
    change: &Change,
    seen: &UserState,
    found: Option<&Link>,
    differing: &[(Field, Value)],
) -> (Vec<EntityId>, Vec<EntityId>) {
    let mut before = Link {
        // A user that a person links again has those that it had.
        roles: found.unwrap_or(&change.link).roles.clone(),
        ..change.link.clone()
    };
    let is_there = |role: &EntityId| {
        let mut held = seen.roles.iter();
        held.any(|held| held.role.id == *role && held.is_on_all_open)
    };
    let planned = change.before.iter().flat_map(|link| &link.roles);
    let gone: Vec<&EntityId> = planned
        .filter(|role| !change.link.roles.contains(role) && !is_there(role))
        .collect();
    let still = |role: &Role| {
        let field = role_field(role);
        differing.iter().any(|(differs, _)| *differs == field)
    };
    let given = change.edits.iter().filter_map(|edit| match edit {
        Edit::Grant(role) if still(role) => Some(&role.id),
        Edit::Grant(_)
        | Edit::Revoke(_)
        | Edit::Set { .. }
        | Edit::Activate
        | Edit::Deactivate
        | Edit::Link => None,
    });
    given.for_each(|role| before.note_role(role));
    let mut after = before.clone();
    for edit in &change.edits {
        if let Edit::Revoke(role) = edit {
            after.forget_role(&role.id);
        }
    }
    gone.into_iter().for_each(|role| after.forget_role(role));
    (before.roles, after.roles)
}

/// The link of a user whose role was not given after all, without the roles that the change was to
/// give and the user does not have; none where it names none of them. A role that somebody gives by
/// hand later must not count as the program's.
#[must_use]
pub fn link_without_refused_roles(change: &Change, seen: Option<&UserState>) -> Option<Link> {
    let seen = seen?;
    let found = seen.link.link().filter(|link| is_of(link, change))?;
    let mut link = found.clone();
    for edit in &change.edits {
        if let Edit::Grant(role) = edit
            && role::held(&seen.roles, &role.name).is_none()
        {
            link.forget_role(&role.id);
        }
    }
    (link != *found).then_some(link)
}

/// Whether a role that a user does not have as wanted was not sent yet as a whole: a new user gets
/// roles only once it is known which ones the server gives by itself, and for all open projects only
/// once it is known that the server does not do that by itself.
#[must_use]
pub fn is_yet_to_be_given(change: &Change, seen: &UserState, field: &Field) -> bool {
    let named = change.edits.iter().find_map(|edit| match edit {
        Edit::Grant(role) if role_field(role) == *field => Some(role),
        Edit::Grant(_)
        | Edit::Revoke(_)
        | Edit::Set { .. }
        | Edit::Activate
        | Edit::Deactivate
        | Edit::Link => None,
    });
    let Some(role) = named else { return false };
    let is_noted = seen
        .link
        .link()
        .is_some_and(|link| link.roles.contains(&role.id));
    !is_noted || role::held(&seen.roles, &role.name).is_some()
}

pub(super) fn role_field(role: &Role) -> Field {
    Field::Role(role.name.to_string())
}

/// What gives and takes the roles of a change.
pub(super) fn role_steps(
    change: &Change,
    seen: &UserState,
    still: impl Fn(&Field) -> bool,
) -> Vec<(RoleStep, EntityId)> {
    let step = |edit: &Edit| {
        let (role, step) = match edit {
            Edit::Grant(role) => match role::held(&seen.roles, &role.name) {
                Some(_) => (role, RoleStep::Extend),
                None => (role, RoleStep::Add),
            },
            Edit::Revoke(role) => match role::held(&seen.roles, &role.name) {
                Some(held) if held.is_on_some => (role, RoleStep::Restrict),
                Some(_) | None => (role, RoleStep::Remove),
            },
            Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Link => {
                return None;
            }
        };
        still(&role_field(role)).then(|| (step, role.id.clone()))
    };
    change.edits.iter().filter_map(step).collect()
}
