//! The server's rules for groups and memberships: what they refer to exists.

use super::{
    error::ApiError,
    schema::Entity,
    store::{Cell, Key, Row},
    write::Writer,
};

/// Refuses a group whose parent does not exist, or of a name that is refused.
pub(super) fn check_group(
    writer: &Writer<'_>,
    shape: &Entity,
    cells: &[Cell],
) -> Result<(), ApiError> {
    if let Some(parent) = text(shape, cells, "parent_id") {
        exists(writer, "Group", parent)?;
    }
    refused(writer, text(shape, cells, "name").unwrap_or_default())
}

/// Refuses the membership of a user or a group that does not exist, or of a group that is refused.
pub(super) fn check_membership(
    writer: &Writer<'_>,
    shape: &Entity,
    cells: &[Cell],
) -> Result<(), ApiError> {
    let user = text(shape, cells, "user_id").unwrap_or_default();
    let group = text(shape, cells, "group_id").unwrap_or_default();
    exists(writer, "User", user)?;
    let group = exists(writer, "Group", group)?;
    let groups = writer.store.model.find("Group")?;
    let name = group.text(writer.store.model.entity(groups), "name");
    refused(writer, name.unwrap_or_default())
}

/// Refuses to end the membership of a group that is refused.
pub(super) fn check_membership_end(
    writer: &Writer<'_>,
    shape: &Entity,
    row: &Row,
) -> Result<(), ApiError> {
    let groups = writer.store.model.find("Group")?;
    let group = row.text(shape, "group_id").unwrap_or_default();
    let group = writer.store.get(groups, &Key::from(group));
    let name = group.and_then(|group| group.text(writer.store.model.entity(groups), "name"));
    refused(writer, name.unwrap_or_default())
}

fn exists<'w>(writer: &'w Writer<'_>, entity: &str, id: &str) -> Result<&'w Row, ApiError> {
    let found = writer
        .store
        .get(writer.store.model.find(entity)?, &Key::from(id));
    found.ok_or_else(|| ApiError::not_found(entity, id))
}

fn refused(writer: &Writer<'_>, name: &str) -> Result<(), ApiError> {
    if writer.rules.refused_groups.contains(name) {
        return Err(ApiError::validation(format!(
            "The group {name:?} cannot be changed."
        )));
    }
    Ok(())
}

fn text<'c>(shape: &Entity, cells: &'c [Cell], name: &str) -> Option<&'c str> {
    cells.get(shape.column(name)?)?.as_text()
}
