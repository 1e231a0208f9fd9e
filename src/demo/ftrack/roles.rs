//! The five operations on security roles: the only way to change them since ftrack 4.2.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    error::ApiError,
    options::{NewRoles, Rights},
    schema::EntityRef,
    store::{Cell, Key, Row},
    studio::Change,
    write::Writer,
};

/// Does one of the operations; `None` when the action is none of them.
pub(super) fn operation(
    writer: &mut Writer<'_>,
    action: &str,
    operation: &Value,
) -> Option<Result<Value, ApiError>> {
    let done = match action {
        "add_user_security_role" => add_operation(writer, operation),
        "remove_user_security_role" => remove(writer, operation),
        "update_user_security_role" => exchange(writer, operation),
        "grant_user_security_role_project" => grant(writer, operation),
        "revoke_user_security_role_project" => revoke(writer, operation),
        _ => return None,
    };
    Some(done.map(|()| {
        let text = |name: &str| operation.get(name).and_then(Value::as_str);
        let given = ["user_id", "role_id", "new_role_id", "project_id"]
            .into_iter()
            .filter_map(|name| text(name).map(|value| (name, value)));
        let changes = given
            .map(|(name, value)| {
                (
                    name.to_owned(),
                    Change {
                        old: Value::Null,
                        new: value.into(),
                    },
                )
            })
            .collect::<BTreeMap<_, _>>();
        writer.note_changes(
            action,
            "UserSecurityRole",
            &Key::from(text("user_id").unwrap_or_default()),
            changes,
        );
        json!({"action": action, "data": true})
    }))
}

/// Gives a user a role, without asking whether that is allowed.
pub(super) fn add(
    writer: &mut Writer<'_>,
    user: Cell,
    role: Cell,
    scope: NewRoles,
) -> Result<(), ApiError> {
    let model = Arc::clone(&writer.store.model);
    let entity = model.find("UserSecurityRole")?;
    let all = Cell::Boolean(scope == NewRoles::AllOpenProjects);
    let id = Cell::text(&writer.ids.next());
    let cell = |name: &str| match name {
        "id" => id.clone(),
        "user_id" => user.clone(),
        "security_role_id" => role.clone(),
        "is_all_projects" | "is_all_open_projects" => all.clone(),
        _ => Cell::Null,
    };
    let row = Row::new(
        model
            .entity(entity)
            .columns
            .iter()
            .map(|column| cell(&column.name))
            .collect(),
    );
    writer
        .store
        .put(entity, &row.key(model.entity(entity)), Some(row));
    Ok(())
}

fn add_operation(writer: &mut Writer<'_>, operation: &Value) -> Result<(), ApiError> {
    let (user, role) = named(writer, operation, "role_id")?;
    if held(writer, &user, &role)?.is_some() {
        return Err(ApiError::validation(
            "The user has this security role already.",
        ));
    }
    add(
        writer,
        Cell::text(&user),
        Cell::text(&role),
        writer.rules.new_roles,
    )
}

fn remove(writer: &mut Writer<'_>, operation: &Value) -> Result<(), ApiError> {
    let (entity, key, row) = wanted(writer, operation)?;
    let model = Arc::clone(&writer.store.model);
    for relation in model
        .entity(entity)
        .relations()
        .filter(|relation| &*relation.name == "user_security_role_projects")
    {
        for (project, _) in writer.store.related(relation, &row) {
            writer.store.put(relation.target, &project, None);
        }
    }
    writer.store.put(entity, &key, None);
    Ok(())
}

fn exchange(writer: &mut Writer<'_>, operation: &Value) -> Result<(), ApiError> {
    let (entity, key, row) = wanted(writer, operation)?;
    let (user, new) = named(writer, operation, "new_role_id")?;
    if held(writer, &user, &new)?.is_some() {
        return Err(ApiError::validation(
            "The user has the new security role already.",
        ));
    }
    set(
        writer,
        entity,
        &key,
        &row,
        &[("security_role_id", Cell::text(&new))],
    );
    Ok(())
}

fn grant(writer: &mut Writer<'_>, operation: &Value) -> Result<(), ApiError> {
    let (entity, key, row) = wanted(writer, operation)?;
    let model = Arc::clone(&writer.store.model);
    let project = project(writer, operation)?;
    if row.is_true(model.entity(entity), "is_all_open_projects")
        && !is_private(writer, project.as_deref())?
    {
        return Err(ApiError::validation(
            "The security role is granted on all open projects already.",
        ));
    }
    let Some(project) = project else {
        set(
            writer,
            entity,
            &key,
            &row,
            &[
                ("is_all_open_projects", Cell::Boolean(true)),
                ("is_all_projects", Cell::Boolean(true)),
            ],
        );
        return Ok(());
    };
    if granted(writer, &key, &project)?.is_some() {
        return Err(ApiError::validation(
            "The security role is granted on this project already.",
        ));
    }
    let grants = model.find("UserSecurityRoleProject")?;
    let id = writer.ids.next();
    let cell = |name: &str| match name {
        "id" => Cell::text(&id),
        "user_security_role_id" => row.named(model.entity(entity), "id").clone(),
        "project_id" => Cell::text(&project),
        _ => Cell::Null,
    };
    let grant = Row::new(
        model
            .entity(grants)
            .columns
            .iter()
            .map(|column| cell(&column.name))
            .collect(),
    );
    writer
        .store
        .put(grants, &grant.key(model.entity(grants)), Some(grant));
    Ok(())
}

fn revoke(writer: &mut Writer<'_>, operation: &Value) -> Result<(), ApiError> {
    let (entity, key, row) = wanted(writer, operation)?;
    let Some(project) = project(writer, operation)? else {
        if !row.is_true(writer.store.model.entity(entity), "is_all_open_projects") {
            return Err(ApiError::validation(
                "The security role is not granted on all open projects.",
            ));
        }
        set(
            writer,
            entity,
            &key,
            &row,
            &[
                ("is_all_open_projects", Cell::Boolean(false)),
                ("is_all_projects", Cell::Boolean(false)),
            ],
        );
        return Ok(());
    };
    let Some((grants, grant)) = granted(writer, &key, &project)? else {
        return Err(ApiError::validation(
            "The security role is not granted on this project.",
        ));
    };
    writer.store.put(grants, &grant, None);
    Ok(())
}

/// The user and the role that the operation names: both exist, and the role is one for users.
fn named(writer: &Writer<'_>, operation: &Value, role: &str) -> Result<(String, String), ApiError> {
    if matches!(writer.rules.rights, Rights::NoUserWrites | Rights::NoRoles) {
        return Err(ApiError::permission(
            "The API key is not permitted to change security roles.",
        ));
    }
    let text = |name: &str| {
        operation
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| ApiError::validation(format!("{name} is missing.")))
    };
    let (user_id, role_id) = (text("user_id")?, text(role)?);
    let model = &writer.store.model;
    let (users, roles) = (model.find("User")?, model.find("SecurityRole")?);
    if writer.store.get(users, &Key::from(user_id)).is_none() {
        return Err(ApiError::not_found("User", user_id));
    }
    let Some(role) = writer.store.get(roles, &Key::from(role_id)) else {
        return Err(ApiError::not_found("SecurityRole", role_id));
    };
    let name = role.text(model.entity(roles), "name").unwrap_or_default();
    if writer.rules.refused_roles.contains(name) {
        return Err(ApiError::validation(format!(
            "The security role {name:?} cannot be changed."
        )));
    }
    if role.text(model.entity(roles), "type") == Some("API") {
        return Err(ApiError::validation(
            "Security roles of type API can only be added to global API keys.",
        ));
    }
    Ok((user_id.to_owned(), role_id.to_owned()))
}

fn held(
    writer: &Writer<'_>,
    user: &str,
    role: &str,
) -> Result<Option<(EntityRef, Key, Row)>, ApiError> {
    let entity = writer.store.model.find("UserSecurityRole")?;
    let shape = writer.store.model.entity(entity);
    let keys = shape
        .column("user_id")
        .and_then(|column| writer.store.lookup(entity, column, user))
        .unwrap_or_default();
    let rows = keys.into_iter().filter_map(|key| {
        writer
            .store
            .get(entity, &key)
            .cloned()
            .map(|row| (entity, key, row))
    });
    Ok(rows.into_iter().find(|(_, _, row)| {
        row.text(shape, "user_id") == Some(user)
            && row.text(shape, "security_role_id") == Some(role)
    }))
}

fn wanted(writer: &Writer<'_>, operation: &Value) -> Result<(EntityRef, Key, Row), ApiError> {
    let (user, role) = named(writer, operation, "role_id")?;
    held(writer, &user, &role)?
        .ok_or_else(|| ApiError::validation("The user does not have this security role."))
}

/// The project that the operation names; `None` for all open ones.
fn project(writer: &Writer<'_>, operation: &Value) -> Result<Option<String>, ApiError> {
    if operation.get("all_open_projects").and_then(Value::as_bool) == Some(true) {
        return Ok(None);
    }
    let Some(id) = operation.get("project_id").and_then(Value::as_str) else {
        return Err(ApiError::validation(
            "Either project_id or all_open_projects is needed.",
        ));
    };
    match writer
        .store
        .get(writer.store.model.find("Project")?, &Key::from(id))
    {
        Some(_) => Ok(Some(id.to_owned())),
        None => Err(ApiError::not_found("Project", id)),
    }
}

/// Whether a project is none of those that are open to everybody.
fn is_private(writer: &Writer<'_>, project: Option<&str>) -> Result<bool, ApiError> {
    let projects = writer.store.model.find("Project")?;
    let shape = writer.store.model.entity(projects);
    let row = project.and_then(|id| writer.store.get(projects, &Key::from(id)));
    Ok(row.is_some_and(|row| row.is_true(shape, "is_private")))
}

fn granted(
    writer: &Writer<'_>,
    role: &Key,
    project: &str,
) -> Result<Option<(EntityRef, Key)>, ApiError> {
    let grants = writer.store.model.find("UserSecurityRoleProject")?;
    let shape = writer.store.model.entity(grants);
    let keys = shape
        .column("user_security_role_id")
        .and_then(|column| writer.store.lookup(grants, column, &role.to_string()))
        .unwrap_or_default();
    let on = |key: &Key| {
        writer
            .store
            .get(grants, key)
            .is_some_and(|row| row.text(shape, "project_id") == Some(project))
    };
    Ok(keys.into_iter().find(on).map(|key| (grants, key)))
}

fn set(writer: &mut Writer<'_>, entity: EntityRef, key: &Key, row: &Row, values: &[(&str, Cell)]) {
    let mut cells = row.cells();
    for (name, value) in values {
        if let Some(cell) = writer
            .store
            .model
            .entity(entity)
            .column(name)
            .and_then(|column| cells.get_mut(column))
        {
            cell.clone_from(value);
        }
    }
    writer.store.put(entity, key, Some(Row::new(cells)));
}
