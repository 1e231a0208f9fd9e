//! The server's rules for users: unique names, seats, defaults, and the rows that every user has.

use std::sync::Arc;

use serde_json::Value;

use super::{
    error::ApiError,
    groups,
    options::{Collation, Emails, Full, NewRoles, Stores},
    schema::{Entity, EntityRef},
    store::{Cell, Key, Row},
    write::Writer,
};

/// The most characters in a text attribute of a user.
pub(super) const TEXT_LIMIT: usize = 255;

/// The type of a user who is created without one.
pub(super) const DEFAULT_USER_TYPE: &str = "ac9fa5aa-4361-11e0-b7cc-0019bb4983d8";

/// Fills in what the server sets on new users, beyond the defaults in the schemas.
pub(super) fn defaults(
    writer: &mut Writer<'_>,
    shape: &Entity,
    given: &[(usize, Cell)],
    cells: &mut [Cell],
) {
    let moment = || Cell::text(&now());
    let fixed: Vec<(&str, Cell)> = match &*shape.name {
        "User" => vec![
            ("username", Cell::text(&writer.ids.next())),
            ("first_name", Cell::text("first")),
            ("last_name", Cell::text("last")),
            ("is_active", Cell::Boolean(false)),
            ("is_otp_enabled", Cell::Boolean(false)),
            ("is_totp_enabled", Cell::Boolean(false)),
            ("require_details_update", Cell::Boolean(false)),
            ("user_type_id", Cell::text(DEFAULT_USER_TYPE)),
        ],
        "Group" => vec![("local", Cell::Boolean(false))],
        "Job" => vec![("created_at", moment())],
        "CustomAttributeConfiguration" => vec![("config", Cell::text("{}"))],
        "FileComponent" => vec![("system_type", Cell::text("file"))],
        "Project" => vec![
            ("status", Cell::text("active")),
            ("context_type", Cell::text("show")),
        ],
        "Task" => vec![
            ("context_type", Cell::text("task")),
            ("status_id", Cell::text(&super::work::first_status())),
        ],
        "Timer" => vec![("start", moment())],
        _ => Vec::new(),
    };
    for (name, value) in fixed {
        if let Some(column) = shape
            .column(name)
            .filter(|column| !given.iter().any(|(known, _)| known == column))
            && let Some(cell) = cells.get_mut(column)
        {
            *cell = value;
        }
    }
}

/// The moment as ftrack writes it: UTC, without a zone.
pub(super) fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Refuses what the server does not store; may store an activation as inactive.
pub(super) fn check(
    writer: &mut Writer<'_>,
    entity: EntityRef,
    old: Option<&Row>,
    cells: &mut [Cell],
) -> Result<(), ApiError> {
    let model = Arc::clone(&writer.store.model);
    let shape = model.entity(entity);
    match &*shape.name {
        "User" => check_user(writer, shape, entity, old, cells),
        "Metadata" => check_parent(writer, shape, cells),
        "Group" => groups::check_group(writer, shape, cells),
        "Membership" => groups::check_membership(writer, shape, cells),
        "UserCustomAttributeValue" => check_custom_value(writer, shape, cells),
        "Job" => match text(shape, cells, "status") {
            Some("queued" | "running" | "done" | "failed") => Ok(()),
            other => Err(ApiError::validation(format!(
                "Job.status cannot be {other:?}."
            ))),
        },
        _ => Ok(()),
    }
}

/// Refuses a deletion that the server does not do.
pub(super) fn check_delete(
    writer: &Writer<'_>,
    entity: EntityRef,
    row: &Row,
) -> Result<(), ApiError> {
    let shape = writer.store.model.entity(entity);
    match &*shape.name {
        "User" => refused(writer, [row.text(shape, "id"), row.text(shape, "username")]),
        "Membership" => groups::check_membership_end(writer, shape, row),
        "UserType" | "CustomAttributeType" => Err(ApiError::permission(format!(
            "{} cannot be deleted.",
            shape.name
        ))),
        _ => Ok(()),
    }
}

/// Makes the rows that come with a new one: a value of every custom attribute for a user, and the
/// default role.
pub(super) fn after_create(
    writer: &mut Writer<'_>,
    entity: EntityRef,
    row: &Row,
) -> Result<(), ApiError> {
    let model = Arc::clone(&writer.store.model);
    match &*model.entity(entity).name {
        "User" => {
            let configurations: Vec<Row> = writer
                .store
                .rows(model.find("CustomAttributeConfiguration")?)
                .map(|(_, row)| row.clone())
                .collect();
            configurations
                .iter()
                .try_for_each(|configuration| custom_value(writer, configuration, row))?;
            default_role(writer, row)
        }
        "CustomAttributeConfiguration" => {
            let users: Vec<Row> = writer
                .store
                .rows(model.find("User")?)
                .map(|(_, row)| row.clone())
                .collect();
            users
                .iter()
                .try_for_each(|user| custom_value(writer, row, user))
        }
        _ => Ok(()),
    }
}

fn text<'c>(shape: &Entity, cells: &'c [Cell], name: &str) -> Option<&'c str> {
    cells.get(shape.column(name)?)?.as_text()
}

fn check_user(
    writer: &Writer<'_>,
    shape: &Entity,
    entity: EntityRef,
    old: Option<&Row>,
    cells: &mut [Cell],
) -> Result<(), ApiError> {
    store_otherwise(writer, shape, old, cells);
    let username = text(shape, cells, "username").unwrap_or_default();
    refused(
        writer,
        [
            text(shape, cells, "id"),
            Some(username),
            old.and_then(|old| old.text(shape, "username")),
        ],
    )?;
    if username.is_empty() {
        return Err(ApiError::validation("User.username must not be empty."));
    }
    let id = text(shape, cells, "id").unwrap_or_default();
    unique(writer, shape, entity, id, ("username", username))?;
    if writer.rules.emails == Emails::Unique
        && let Some(email) = text(shape, cells, "email")
    {
        unique(writer, shape, entity, id, ("email", email))?;
    }
    let Some(is_active) = shape.column("is_active") else {
        return Ok(());
    };
    let activates = cells.get(is_active) == Some(&Cell::Boolean(true))
        && !old.is_some_and(|old| old.is_true(shape, "is_active"));
    if activates
        && writer
            .rules
            .seats
            .is_some_and(|seats| writer.store.active_users() >= seats)
    {
        match writer.rules.full {
            Full::Refuse => {
                return Err(ApiError::validation(
                    "The licence has no seat left for another active user.",
                ));
            }
            Full::StoreInactive => {
                if let Some(cell) = cells.get_mut(is_active) {
                    *cell = Cell::Boolean(false);
                }
            }
        }
    }
    Ok(())
}

/// Gives the text attributes the form in which the server stores them.
fn store_otherwise(writer: &Writer<'_>, shape: &Entity, old: Option<&Row>, cells: &mut [Cell]) {
    for (name, stores) in &writer.rules.stores {
        let column = shape.column(name);
        let Some(cell) = column.and_then(|column| cells.get_mut(column)) else {
            continue;
        };
        let before = column.and_then(|column| old.map(|old| old.cell(column)));
        let stored = match (cell.as_text(), stores) {
            (Some(text), Stores::LowerCase) => Cell::text(&text.to_lowercase()),
            (Some(text), Stores::Without(left_out)) => Cell::text(&text.replace(*left_out, "")),
            (Some(text), Stores::Replaced(from, to)) => {
                Cell::text(&text.replace(*from, &to.to_string()))
            }
            (Some(_), Stores::Nothing) => match before {
                Some(before) => before.clone(),
                None => continue,
            },
            (None, _) => continue,
        };
        *cell = stored;
    }
}

fn refused<const N: usize>(writer: &Writer<'_>, names: [Option<&str>; N]) -> Result<(), ApiError> {
    match names
        .into_iter()
        .flatten()
        .find(|name| writer.rules.refused_users.contains(*name))
    {
        Some(name) => Err(ApiError::validation(format!(
            "The user {name:?} is not valid."
        ))),
        None => Ok(()),
    }
}

fn unique(
    writer: &Writer<'_>,
    shape: &Entity,
    entity: EntityRef,
    id: &str,
    (name, value): (&str, &str),
) -> Result<(), ApiError> {
    let Some(column) = shape.column(name) else {
        return Ok(());
    };
    let taken = writer
        .store
        .lookup(entity, column, value)
        .unwrap_or_default()
        .into_iter()
        .any(|key| {
            let exact = || {
                writer
                    .store
                    .get(entity, &key)
                    .and_then(|row| row.cell(column).as_text())
                    == Some(value)
            };
            key != Key::from(id) && (writer.rules.collation == Collation::IgnoreCase || exact())
        });
    if taken {
        Err(ApiError::duplicate(format!(
            "Duplicate entry {value:?} for User.{name}."
        )))
    } else {
        Ok(())
    }
}

fn check_parent(writer: &Writer<'_>, shape: &Entity, cells: &[Cell]) -> Result<(), ApiError> {
    let (parent_type, parent) = (
        text(shape, cells, "parent_type").unwrap_or_default(),
        text(shape, cells, "parent_id").unwrap_or_default(),
    );
    let entity = writer.store.model.find(parent_type)?;
    if writer.store.get(entity, &Key::from(parent)).is_none() {
        return Err(ApiError::validation(format!(
            "Metadata: {parent_type} {parent:?} does not exist."
        )));
    }
    Ok(())
}

/// A custom attribute takes values of its type only; the text of the refusal is the vendor's.
fn check_custom_value(writer: &Writer<'_>, shape: &Entity, cells: &[Cell]) -> Result<(), ApiError> {
    let model = &writer.store.model;
    let configurations = model.find("CustomAttributeConfiguration")?;
    let of = model.entity(configurations);
    let id = text(shape, cells, "configuration_id").unwrap_or_default();
    let Some(configuration) = writer.store.get(configurations, &Key::from(id)) else {
        return Err(ApiError::not_found(&of.name, id));
    };
    let types = model.find("CustomAttributeType")?;
    let type_row = configuration
        .text(of, "type_id")
        .and_then(|id| writer.store.get(types, &Key::from(id)));
    let type_name = type_row
        .and_then(|row| row.text(model.entity(types), "name"))
        .unwrap_or("text");
    let value = shape
        .column("value")
        .and_then(|column| cells.get(column))
        .map_or(Value::Null, Cell::to_json);
    let fits = match type_name {
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "enumerator" | "dynamic enumerator" => value.is_array() || value.is_string(),
        "date" => value.is_string() || value.get("value").is_some(),
        _ => value.is_string(),
    };
    if fits || value.is_null() {
        return Ok(());
    }
    let key = configuration.text(of, "key").unwrap_or_default();
    Err(ApiError::validation(format!(
        "Custom attribute value for {key:?} must be of type {type_name}. Got {value}."
    )))
}

fn custom_value(writer: &mut Writer<'_>, configuration: &Row, user: &Row) -> Result<(), ApiError> {
    let model = Arc::clone(&writer.store.model);
    let (of, users) = (
        model.entity(model.find("CustomAttributeConfiguration")?),
        model.entity(model.find("User")?),
    );
    if configuration.text(of, "entity_type") != Some("user") {
        return Ok(());
    }
    let values = model.find("UserCustomAttributeValue")?;
    let shape = model.entity(values);
    let cell = |name: &str| match name {
        "configuration_id" => configuration.named(of, "id").clone(),
        "entity_id" => user.named(users, "id").clone(),
        "key" => configuration.named(of, "key").clone(),
        "value" => configuration.named(of, "default").clone(),
        _ => Cell::Null,
    };
    let row = Row::new(
        shape
            .columns
            .iter()
            .map(|column| cell(&column.name))
            .collect(),
    );
    writer.store.put(values, &row.key(shape), Some(row));
    Ok(())
}

fn default_role(writer: &mut Writer<'_>, user: &Row) -> Result<(), ApiError> {
    let Some(wanted) = writer.rules.default_role.clone() else {
        return Ok(());
    };
    let model = Arc::clone(&writer.store.model);
    let roles = model.find("SecurityRole")?;
    let of = model.entity(roles);
    let role = writer
        .store
        .rows(roles)
        .find(|(_, row)| row.text(of, "name") == Some(wanted.as_str()))
        .map(|(_, row)| row.named(of, "id").clone());
    let Some(role) = role else {
        return Err(ApiError::internal(format!(
            "The default role {wanted:?} does not exist."
        )));
    };
    let user = user.named(model.entity(model.find("User")?), "id").clone();
    super::roles::add(writer, user, role, NewRoles::AllOpenProjects)
}
