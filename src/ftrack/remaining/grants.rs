//! What is still to be done about the security roles and memberships of a user, and what the user's
//! link says of it.

use serde_json::Value;

use super::is_of;
use crate::{
    ftrack::{
        operation::{Operation, Projects},
        user_state::UserState,
    },
    model::{
        change::Change,
        edit::{Edit, Field},
        given::{Given, GrantId},
        grant::{Grant, Role},
        link::Link,
        user::EntityId,
    },
};

/// What is done about a role or a membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GrantStep {
    /// Give a role to a user who does not have it at all.
    AddRole(EntityId),
    /// Let it be one for all open projects.
    Extend(EntityId),
    /// Take it.
    RemoveRole(EntityId),
    /// Let it be one only for single projects.
    Restrict(EntityId),
    /// Let it be one for this project as well.
    AddProject { role: EntityId, project: EntityId },
    /// Let it be none for this project.
    RemoveProject { role: EntityId, project: EntityId },
    /// Make the user a member of a group.
    Join(EntityId),
    /// Take away the membership that the program made.
    Leave(EntityId),
}

impl GrantStep {
    /// The operation that does it.
    pub(super) fn operation(self, user: &EntityId) -> Operation {
        match self {
            Self::AddRole(role) => Operation::add_role(user, &role),
            Self::Extend(role) => Operation::grant_projects(user, &role, Projects::AllOpen),
            Self::RemoveRole(role) => Operation::remove_role(user, &role),
            Self::Restrict(role) => Operation::revoke_projects(user, &role, Projects::AllOpen),
            Self::AddProject { role, project } => {
                Operation::grant_projects(user, &role, Projects::One(project))
            }
            Self::RemoveProject { role, project } => {
                Operation::revoke_projects(user, &role, Projects::One(project))
            }
            Self::Join(group) => Operation::create_membership(user, &group),
            Self::Leave(group) => Operation::delete_membership(user, &group),
        }
    }
}

/// What a user's link names as given before and after the user's roles and memberships are changed.
///
/// They are noted as given before they are, and forgotten after they are taken: wherever a server may
/// stop, nothing is left that the program gave and does not know of. What somebody else gave meanwhile
/// is not noted, and what was read as gone and is there stays noted.
pub(super) fn given_of_links(
    change: &Change,
    seen: &UserState,
    found: Option<&Link>,
    differing: &[(Field, Value)],
) -> (Given, Given) {
    // A user that a person links again has what it had.
    let mut before = found.unwrap_or(&change.link).given.clone();
    let planned = change.before.iter().flat_map(|link| link.given.iter());
    let gone: Vec<&GrantId> = planned
        .filter(|grant| !change.link.given.contains(grant))
        .collect();
    let still = |grant: &Grant| {
        let field = grant.field();
        differing.iter().any(|(differs, _)| *differs == field)
    };
    for grant in granted(change).filter(|grant| still(grant)) {
        before.note(&grant.id());
        // Of a role that is given now it is not known for which projects the server gives it by itself.
        if let Grant::ProjectRole { role, .. } = grant
            && seen.grants.role(&role.id).is_none()
        {
            before.note(&GrantId::Role(role.id.clone()));
        }
    }
    let mut after = before.clone();
    for edit in &change.edits {
        if let Edit::Revoke(grant) = edit {
            after.forget(&grant.id());
        }
    }
    for grant in gone {
        // What was not in the list that was read, and is there, is not gone.
        if !seen.grants.has_id(grant) {
            after.forget(grant);
        }
    }
    for role in roles_on_projects(change) {
        // By then it is known, and is one for single projects only.
        if seen.grants.role(&role.id).is_some() && was_added(change, seen, role) {
            after.forget(&GrantId::Role(role.id.clone()));
        }
    }
    (before, after)
}

/// What a change gives.
fn granted(change: &Change) -> impl Iterator<Item = &Grant> {
    change.edits.iter().filter_map(|edit| match edit {
        Edit::Grant(grant) => Some(&**grant),
        Edit::Revoke(_) | Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Link => None,
    })
}

/// The roles that a change gives for single projects.
fn roles_on_projects(change: &Change) -> impl Iterator<Item = &Role> {
    granted(change).filter_map(|grant| match grant {
        Grant::ProjectRole { role, .. } => Some(role),
        Grant::Role(_) | Grant::Group(_) => None,
    })
}

/// Whether this change gave the user a role for single projects that the user did not have: if it is
/// one for all open projects, that is the server's doing.
fn was_added(change: &Change, seen: &UserState, role: &Role) -> bool {
    let id = GrantId::Role(role.id.clone());
    let noted = |link: Option<&Link>| link.is_some_and(|link| link.given.contains(&id));
    noted(seen.link.link()) && !noted(change.before.as_ref())
}

/// Whether a change takes a role for all open projects, or has to, since it gave it by itself.
fn is_restricted(change: &Change, seen: &UserState, role: &Role) -> bool {
    let takes = |edit: &Edit| match edit {
        Edit::Revoke(grant) => matches!(&**grant, Grant::Role(taken) if taken.id == role.id),
        Edit::Grant(_) | Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Link => false,
    };
    change.edits.iter().any(takes) || was_added(change, seen, role)
}

/// The link of a user who was not given something after all, without what the change was to give and
/// the user does not have; none where it names none of that. What somebody gives by hand later must
/// not count as the program's.
#[must_use]
pub fn link_without_refused_grants(change: &Change, seen: Option<&UserState>) -> Option<Link> {
    let seen = seen?;
    let found = seen.link.link().filter(|link| is_of(link, change))?;
    let mut link = found.clone();
    for grant in granted(change) {
        let has_some = match grant {
            Grant::Role(role) => seen.grants.role(&role.id).is_some(),
            Grant::ProjectRole { .. } | Grant::Group(_) => seen.grants.has(grant),
        };
        if !has_some {
            link.given.forget(&grant.id());
        }
    }
    for role in roles_on_projects(change) {
        if was_added(change, seen, role) && !seen.grants.is_on_all_open(role) {
            link.given.forget(&GrantId::Role(role.id.clone()));
        }
    }
    (link != *found).then_some(link)
}

/// Whether something that a user does not have as wanted was not sent yet as a whole: a new user gets
/// roles and memberships only once it is known which ones the server gives by itself, and a role for
/// certain projects only once it is known for which ones the server gives it.
#[must_use]
pub fn is_yet_to_be_given(change: &Change, seen: &UserState, field: &Field) -> bool {
    let Some(grant) = granted(change).find(|grant| grant.field() == *field) else {
        return false;
    };
    let link = seen.link.link();
    let is_noted = link.is_some_and(|link| link.given.contains(&grant.id()));
    let is_added = grant
        .role()
        .is_some_and(|role| seen.grants.role(&role.id).is_some());
    !is_noted || is_added
}

/// The value of the column that an edit of a role or a membership writes, as the user has it now; none
/// of other edits.
pub(super) fn there(change: &Change, seen: &UserState, edit: &Edit) -> Option<Value> {
    let (grant, has) = match edit {
        Edit::Grant(grant) => (grant, is_given(change, seen, grant)),
        Edit::Revoke(grant) => (grant, seen.grants.has(grant)),
        Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Link => return None,
    };
    Some(if has { grant.value() } else { Value::Null })
}

/// Whether a user has what a change gives, and keeps it.
fn is_given(change: &Change, seen: &UserState, grant: &Grant) -> bool {
    match grant {
        Grant::ProjectRole { role, .. } if is_restricted(change, seen, role) => {
            seen.grants.has(grant)
        }
        Grant::Role(_) | Grant::ProjectRole { .. } | Grant::Group(_) => seen.grants.covers(grant),
    }
}

/// What gives and takes the roles and memberships of a change.
pub(super) fn grant_steps(
    change: &Change,
    seen: &UserState,
    still: impl Fn(&Field) -> bool,
) -> Vec<GrantStep> {
    let mut steps = Vec::new();
    for edit in &change.edits {
        let of_edit = match edit {
            Edit::Grant(grant) if still(&grant.field()) => giving(change, seen, grant),
            Edit::Revoke(grant) if still(&grant.field()) => vec![taking(change, seen, grant)],
            Edit::Grant(_)
            | Edit::Revoke(_)
            | Edit::Set { .. }
            | Edit::Activate
            | Edit::Deactivate
            | Edit::Link => Vec::new(),
        };
        for step in of_edit {
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
    }
    // A role for all open projects is none that can be given for a single one as well.
    steps.sort_by_key(|step| !matches!(step, GrantStep::Restrict(_)));
    steps
}

fn giving(change: &Change, seen: &UserState, grant: &Grant) -> Vec<GrantStep> {
    match grant {
        Grant::Group(group) => vec![GrantStep::Join(group.id.clone())],
        Grant::Role(role) => match seen.grants.role(&role.id) {
            Some(_) => vec![GrantStep::Extend(role.id.clone())],
            None => vec![GrantStep::AddRole(role.id.clone())],
        },
        Grant::ProjectRole { role, project } => {
            let Some(held) = seen.grants.role(&role.id) else {
                return vec![GrantStep::AddRole(role.id.clone())];
            };
            let is_restricted = held.is_on_all_open && is_restricted(change, seen, role);
            let restrict = is_restricted.then(|| GrantStep::Restrict(role.id.clone()));
            let add = GrantStep::AddProject {
                role: role.id.clone(),
                project: project.id.clone(),
            };
            restrict.into_iter().chain([add]).collect()
        }
    }
}

fn taking(change: &Change, seen: &UserState, grant: &Grant) -> GrantStep {
    match grant {
        Grant::Group(group) => GrantStep::Leave(group.id.clone()),
        Grant::Role(role) if keeps_projects(change, seen, role) => {
            GrantStep::Restrict(role.id.clone())
        }
        Grant::Role(role) => GrantStep::RemoveRole(role.id.clone()),
        Grant::ProjectRole { role, project } => {
            let is_last = !keeps_projects(change, seen, role) && !seen.grants.is_on_all_open(role);
            if is_last {
                // A role for no project gives nothing.
                GrantStep::RemoveRole(role.id.clone())
            } else {
                GrantStep::RemoveProject {
                    role: role.id.clone(),
                    project: project.id.clone(),
                }
            }
        }
    }
}

/// Whether a user has a role for single projects beside those that a change takes, or gets it for one.
fn keeps_projects(change: &Change, seen: &UserState, role: &Role) -> bool {
    let Some(held) = seen.grants.role(&role.id) else {
        return false;
    };
    let is_taken = |kept: &EntityId| {
        change.edits.iter().any(|edit| match edit {
            Edit::Revoke(grant) => matches!(
                &**grant,
                Grant::ProjectRole { role: of, project } if of.id == role.id && project.id == *kept
            ),
            Edit::Grant(_) | Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Link => {
                false
            }
        })
    };
    held.is_on_others
        || held.projects.iter().any(|kept| !is_taken(kept))
        || roles_on_projects(change).any(|given| given.id == role.id)
}
