//! What is in ftrack once changes were written.

use serde_json::Value;

use crate::model::{
    change::Change,
    edit::{Attribute, Edit},
    grant::{Grant, HeldGrants, HeldGroup, HeldRole},
    link::LinkFound,
    user::{Current, User, UserKind},
};

/// The state of ftrack after changes were written.
pub fn applied<'c>(current: &Current, changes: impl IntoIterator<Item = &'c Change>) -> Current {
    let mut after = current.clone();
    for change in changes {
        let place = after
            .users
            .iter()
            .position(|user| user.id == change.ftrack_id)
            .unwrap_or_else(|| {
                after.users.push(User {
                    id: change.ftrack_id.clone(),
                    username: "".into(),
                    first_name: Some("first".into()),
                    last_name: Some("last".into()),
                    email: None,
                    is_active: false,
                    kind: UserKind::Person,
                    administrator: false,
                    further_roles: [].into(),
                    grants: HeldGrants::default(),
                    link: LinkFound::Absent,
                    custom_values: [Value::Null].into(),
                });
                after.users.len() - 1
            });
        let user = &mut after.users[place];
        user.link = LinkFound::Link(change.link_after());
        for edit in &change.edits {
            match edit {
                Edit::Set { attribute, values } => {
                    let text = || values.new.as_str().map(Into::into);
                    match attribute {
                        Attribute::Username => user.username = text().unwrap(),
                        Attribute::FirstName => user.first_name = text(),
                        Attribute::LastName => user.last_name = text(),
                        Attribute::Email => user.email = text(),
                        Attribute::Custom(_) => user.custom_values = [values.new.clone()].into(),
                        Attribute::UserType | Attribute::Invitation | Attribute::Thumbnail => {}
                    }
                }
                Edit::Activate => user.is_active = true,
                Edit::Deactivate => user.is_active = false,
                Edit::Grant(grant) => {
                    user.administrator |= grant.is_administrator();
                    user.grants = given(&user.grants, grant);
                }
                Edit::Revoke(grant) => {
                    user.administrator &= !grant.is_administrator();
                    user.grants = taken(&user.grants, grant);
                }
                Edit::Link => {}
            }
        }
    }
    after.users.sort_by(|a, b| a.id.cmp(&b.id));
    after
}

/// What a user has after something was given.
fn given(before: &HeldGrants, grant: &Grant) -> HeldGrants {
    changed(before, grant, true)
}

/// What a user has after something was taken.
fn taken(before: &HeldGrants, grant: &Grant) -> HeldGrants {
    changed(before, grant, false)
}

fn changed(before: &HeldGrants, grant: &Grant, is_given: bool) -> HeldGrants {
    let (mut roles, mut groups) = (before.roles.to_vec(), before.groups.to_vec());
    if let Grant::Group(group) = grant {
        let is_others = before.group(&group.id).is_some_and(|held| held.is_others);
        groups.retain(|held| held.group != group.id);
        groups.push(HeldGroup {
            group: group.id.clone(),
            is_own: is_given,
            is_others,
        });
    }
    if let Some(role) = grant.role() {
        let mut held = before.role(&role.id).cloned().unwrap_or(HeldRole {
            role: role.id.clone(),
            is_on_all_open: false,
            projects: [].into(),
            is_on_others: false,
        });
        match grant {
            Grant::ProjectRole { project, .. } => {
                held.projects = is_given.then(|| project.id.clone()).into_iter().collect();
            }
            Grant::Role(_) | Grant::Group(_) => held.is_on_all_open = is_given,
        }
        roles.retain(|held| held.role != role.id);
        roles.push(held);
    }
    roles.retain(|held| held.is_on_all_open || held.is_on_others || !held.projects.is_empty());
    groups.retain(|held| held.is_own || held.is_others);
    HeldGrants {
        roles: roles.into(),
        groups: groups.into(),
    }
}
