//! Create, update and delete of one entity, with the server's own defaults and refusals.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    answer::Repetition,
    error::ApiError,
    options::{Rights, Rules},
    schema::{Column, ColumnKind, Entity, EntityRef, Plurality, Property, Relation},
    store::{Cell, Key, Row, SEPARATOR, Store},
    studio::{Applied, Change},
    users,
};

/// Ids of the server's making: valid UUIDs that count up, so that a test sees the same ones each
/// time.
#[derive(Debug, Default)]
pub(super) struct Ids(u64);

impl Ids {
    /// The next one.
    pub(super) fn next(&mut self) -> String {
        self.0 += 1;
        format!("5c6060d1-2dc7-11ec-b3b6-{:012x}", self.0)
    }
}

/// Writes for one call.
pub(super) struct Writer<'a> {
    /// The rows.
    pub(super) store: &'a mut Store,
    /// The rules.
    pub(super) rules: &'a Rules,
    /// Ids for new rows.
    pub(super) ids: &'a mut Ids,
    /// The call's number, for the log.
    pub(super) call: u64,
    /// What this call applied so far.
    pub(super) applied: &'a mut Vec<Applied>,
    /// Whether answers carry the system projections.
    pub(super) repetition: Repetition,
}

impl Writer<'_> {
    /// Creates one entity and answers what it became.
    pub(super) fn create(
        &mut self,
        entity: EntityRef,
        key: Option<&Value>,
        fields: &Map<String, Value>,
    ) -> Result<Value, ApiError> {
        self.allowed("create", entity)?;
        let mut given = self.decode(entity, fields)?;
        let model = std::sync::Arc::clone(&self.store.model);
        let shape = model.entity(entity);
        if let Some(key) = key.filter(|key| !key.is_null()) {
            let key = key_of(shape, key)?;
            for (column, part) in shape.key.iter().zip(key.parts()) {
                match given.iter().find(|(known, _)| known == column) {
                    Some((_, cell)) if cell.as_text() != Some(part) => {
                        return Err(ApiError::validation(
                            "The entity key and the entity's attributes disagree.",
                        ));
                    }
                    Some(_) => {}
                    None => given.push((*column, Cell::text(part))),
                }
            }
        }
        let mut cells = self.with_defaults(shape, &given);
        self.check(entity, None, &mut cells)?;
        let row = Row::new(cells);
        let key = row.key(shape);
        if self.store.get(entity, &key).is_some() {
            return Err(ApiError::duplicate(format!(
                "{} {key} exists already.",
                shape.name
            )));
        }
        self.store.put(entity, &key, Some(row.clone()));
        self.note("create", shape, &key, None, Some(&row));
        users::after_create(self, entity, &row)?;
        let mut shown = self.echo(shape, &row, fields);
        let told = shape
            .columns
            .iter()
            .enumerate()
            .filter(|(column, _)| *row.cell(*column) != Cell::Null);
        shown.extend(
            told.map(|(place, column)| (column.name.to_string(), row.cell(place).to_wire(column))),
        );
        Ok(json!({"action": "create", "data": shown}))
    }

    /// Changes one entity and answers what was changed, as it is now.
    pub(super) fn update(
        &mut self,
        entity: EntityRef,
        key: &Value,
        fields: &Map<String, Value>,
    ) -> Result<Value, ApiError> {
        self.allowed("update", entity)?;
        let model = std::sync::Arc::clone(&self.store.model);
        let shape = model.entity(entity);
        let key = key_of(shape, key)?;
        let Some(old) = self.store.get(entity, &key).cloned() else {
            return Err(ApiError::not_found(&shape.name, &key.to_string()));
        };
        let given = self.decode(entity, fields)?;
        let mut cells = old.cells();
        for (place, cell) in &given {
            let (Some(column), Some(target)) = (shape.columns.get(*place), cells.get_mut(*place))
            else {
                continue;
            };
            if column.immutable && target != cell {
                return Err(ApiError::validation(format!(
                    "{}.{} cannot be changed.",
                    shape.name, column.name
                )));
            }
            target.clone_from(cell);
        }
        self.check(entity, Some(&old), &mut cells)?;
        let row = Row::new(cells);
        self.store.put(entity, &key, Some(row.clone()));
        self.note("update", shape, &key, Some(&old), Some(&row));
        let mut shown = self.echo(shape, &row, fields);
        let system: &[usize] = if self.repetition == Repetition::Deduplicated {
            &shape.system_projections
        } else {
            &[]
        };
        for place in shape
            .key
            .iter()
            .chain(given.iter().map(|(place, _)| place))
            .chain(system)
        {
            if let Some(column) = shape.columns.get(*place) {
                shown.insert(column.name.to_string(), row.cell(*place).to_wire(column));
            }
        }
        Ok(json!({"action": "update", "data": shown}))
    }

    /// Deletes one entity and what belongs to it.
    pub(super) fn delete(&mut self, entity: EntityRef, key: &Value) -> Result<Value, ApiError> {
        self.allowed("delete", entity)?;
        let model = std::sync::Arc::clone(&self.store.model);
        let shape = model.entity(entity);
        let key = key_of(shape, key)?;
        let Some(old) = self.store.get(entity, &key).cloned() else {
            return Err(ApiError::not_found(&shape.name, &key.to_string()));
        };
        users::check_delete(self, entity, &old)?;
        self.remove(entity, &key, &old);
        self.note("delete", shape, &key, Some(&old), None);
        Ok(json!({"action": "delete", "data": true}))
    }

    /// Notes in the log what an operation did.
    pub(super) fn note(
        &mut self,
        action: &str,
        shape: &Entity,
        key: &Key,
        old: Option<&Row>,
        new: Option<&Row>,
    ) {
        let json = |row: Option<&Row>, column: usize| {
            row.map_or(Value::Null, |row| row.cell(column).to_json())
        };
        let changes = shape.columns.iter().enumerate().map(|(place, column)| {
            (
                column,
                Change {
                    old: json(old, place),
                    new: json(new, place),
                },
            )
        });
        let changes: BTreeMap<String, Change> = changes
            .filter(|(_, change)| change.old != change.new)
            .map(|(column, change)| (column.name.to_string(), change))
            .collect();
        self.note_changes(action, &shape.name, key, changes);
    }

    /// Notes in the log an operation that is no plain change of a row.
    pub(super) fn note_changes(
        &mut self,
        action: &str,
        entity_type: &str,
        key: &Key,
        changes: BTreeMap<String, Change>,
    ) {
        let key = key.parts().map(str::to_owned).collect();
        self.applied.push(Applied {
            call: self.call,
            action: action.to_owned(),
            entity_type: entity_type.to_owned(),
            key,
            changes,
        });
    }

    /// Refuses the writes that the server does not take from anybody, or not with this key.
    fn allowed(&self, action: &str, entity: EntityRef) -> Result<(), ApiError> {
        let name = &*self.store.model.entity(entity).name;
        if self.rules.rights == Rights::NoUserWrites
            && matches!(
                name,
                "User"
                    | "Metadata"
                    | "Membership"
                    | "UserCustomAttributeValue"
                    | "UserSecurityRole"
                    | "UserSecurityRoleProject"
            )
        {
            return Err(ApiError::permission(format!(
                "The API key is not permitted to {action} {name}."
            )));
        }
        match (name, action) {
            ("UserSecurityRole" | "UserSecurityRoleProject", _) => {
                Err(ApiError::validation(format!(
                    "It is not supported to {action} {name}. Use the security role operations \
                     instead."
                )))
            }
            ("UserCustomAttributeValue", "create" | "delete") => Err(ApiError::validation(
                format!("{action} operations for this entity type is not allowed."),
            )),
            _ => Ok(()),
        }
    }

    /// What the client sent, as cells by column; references become ids, lists of references are
    /// looked at and otherwise leave everything as it is.
    fn decode(
        &self,
        entity: EntityRef,
        fields: &Map<String, Value>,
    ) -> Result<Vec<(usize, Cell)>, ApiError> {
        let shape = self.store.model.entity(entity);
        let mut cells = Vec::new();
        for (name, value) in fields {
            if name == "__entity_type__" {
                if value.as_str() != Some(&shape.name) {
                    return Err(ApiError::validation(format!(
                        "The entity's type {value} is not {}.",
                        shape.name
                    )));
                }
                continue;
            }
            match shape.property(name)? {
                Property::Column(place) => {
                    let Some(column) = shape.columns.get(*place) else {
                        continue;
                    };
                    cells.push((*place, decode_value(shape, column, value)?));
                }
                Property::Relation(relation) => match relation.plurality {
                    Plurality::One => cells.push((
                        relation.own,
                        self.reference(relation, value)?
                            .map_or(Cell::Null, |id| Cell::text(&id)),
                    )),
                    Plurality::Many => {
                        let listed = value.as_array().ok_or_else(|| {
                            ApiError::validation(format!("{name:?} must be a list of references."))
                        })?;
                        listed.iter().try_for_each(|reference| {
                            self.reference(relation, reference).map(drop)
                        })?;
                    }
                },
            }
        }
        Ok(cells)
    }

    /// The first part of the key that a reference names, which must exist.
    fn reference(&self, relation: &Relation, value: &Value) -> Result<Option<String>, ApiError> {
        if value.is_null() {
            return Ok(None);
        }
        let target = self.store.model.entity(relation.target);
        let parts = target.key.iter().map(|column| {
            target
                .columns
                .get(*column)
                .and_then(|column| value.get(&*column.name))
                .and_then(Value::as_str)
        });
        let wrong = || {
            ApiError::validation(format!(
                "{:?} must be a reference to {}, got {value}.",
                relation.name, target.name
            ))
        };
        let parts: Vec<&str> = parts.collect::<Option<_>>().ok_or_else(wrong)?;
        let key = Key::of(parts.iter().copied());
        if self.store.get(relation.target, &key).is_none() {
            return Err(ApiError::validation(format!(
                "{} {key} does not exist.",
                target.name
            )));
        }
        Ok(parts.first().map(|part| (*part).to_owned()))
    }

    /// The start of an answer: the type, and the collections that were sent, as keys. The vendor's
    /// Python client takes a collection that is not answered for empty.
    fn echo(&self, shape: &Entity, row: &Row, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert(
            "__entity_type__".to_owned(),
            Value::String(shape.name.to_string()),
        );
        for relation in shape.relations().filter(|relation| {
            relation.plurality == Plurality::Many && fields.contains_key(&*relation.name)
        }) {
            let target = self.store.model.entity(relation.target);
            let reference = |row: &Row| {
                let key = target.key.iter().filter_map(|place| {
                    target
                        .columns
                        .get(*place)
                        .map(|column| (column.name.to_string(), row.cell(*place).to_wire(column)))
                });
                std::iter::once((
                    "__entity_type__".to_owned(),
                    Value::String(target.name.to_string()),
                ))
                .chain(key)
                .collect::<Map<_, _>>()
            };
            let rows = self.store.related(relation, row);
            shown.insert(
                relation.name.to_string(),
                rows.iter()
                    .map(|(_, row)| Value::Object(reference(row)))
                    .collect(),
            );
        }
        shown
    }

    /// A whole row: what was given, then the defaults of the schemas and of the server.
    pub(super) fn with_defaults(&mut self, shape: &Entity, given: &[(usize, Cell)]) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::with_capacity(shape.columns.len());
        for (place, column) in shape.columns.iter().enumerate() {
            let cell = match (
                given.iter().rev().find(|(known, _)| *known == place),
                &column.default,
            ) {
                (Some((_, cell)), _) => cell.clone(),
                (None, Some(Value::String(made))) if made == "{uid}" => {
                    Cell::text(&self.ids.next())
                }
                (None, Some(default)) => Cell::from_json(default),
                (None, None) => Cell::Null,
            };
            cells.push(cell);
        }
        users::defaults(self, shape, given, &mut cells);
        cells
    }

    fn check(
        &mut self,
        entity: EntityRef,
        old: Option<&Row>,
        cells: &mut [Cell],
    ) -> Result<(), ApiError> {
        let model = std::sync::Arc::clone(&self.store.model);
        let shape = model.entity(entity);
        for (column, cell) in shape.columns.iter().zip(cells.iter()) {
            if column.required && *cell == Cell::Null {
                return Err(ApiError::validation(format!(
                    "{}.{} must not be null.",
                    shape.name, column.name
                )));
            }
            if let (Some(target), Some(id)) = (column.refers_to, cell.as_text())
                && self.store.get(target, &Key::from(id)).is_none()
            {
                return Err(ApiError::validation(format!(
                    "{}.{}: {} {id:?} does not exist.",
                    shape.name,
                    column.name,
                    model.entity(target).name
                )));
            }
        }
        users::check(self, entity, old, cells)
    }

    fn remove(&mut self, entity: EntityRef, key: &Key, row: &Row) {
        let model = std::sync::Arc::clone(&self.store.model);
        for relation in model
            .entity(entity)
            .relations()
            .filter(|relation| relation.plurality == Plurality::Many)
        {
            for (child, row) in self.store.related(relation, row) {
                if relation.target == entity {
                    let mut cells = row.cells();
                    if let Some(cell) = cells.get_mut(relation.theirs) {
                        *cell = Cell::Null;
                    }
                    self.store.put(entity, &child, Some(Row::new(cells)));
                } else {
                    self.remove(relation.target, &child, &row);
                }
            }
        }
        self.store.put(entity, key, None);
    }
}

/// The key in an operation: a list of its parts, or a plain id.
pub(super) fn key_of(shape: &Entity, value: &Value) -> Result<Key, ApiError> {
    let parts = match value {
        Value::String(id) => Some(vec![id.as_str()]),
        Value::Array(parts) => parts.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    };
    match parts {
        Some(parts)
            if parts.len() == shape.key.len()
                && !parts.iter().any(|part| part.contains(SEPARATOR)) =>
        {
            Ok(Key::of(parts.into_iter()))
        }
        _ => Err(ApiError::validation(format!(
            "{value} is no key of {}.",
            shape.name
        ))),
    }
}

/// A value as its column takes it.
fn decode_value(shape: &Entity, column: &Column, value: &Value) -> Result<Cell, ApiError> {
    let wrong = |wanted: &str| {
        Err(ApiError::validation(format!(
            "{}.{} must be of type {wanted}. Got {value}.",
            shape.name, column.name
        )))
    };
    match (column.kind, value) {
        (_, Value::Null) => Ok(Cell::Null),
        (ColumnKind::Any, _) => Ok(Cell::from_json(value)),
        (ColumnKind::Id | ColumnKind::Text, Value::String(text)) => {
            if &*shape.name == "User" && text.chars().count() > users::TEXT_LIMIT {
                return Err(ApiError::validation(format!(
                    "User.{} is longer than {} characters.",
                    column.name,
                    users::TEXT_LIMIT
                )));
            }
            if column.immutable && text.contains(SEPARATOR) {
                return Err(ApiError::validation(format!(
                    "{}.{} has a control character.",
                    shape.name, column.name
                )));
            }
            Ok(Cell::text(text))
        }
        (ColumnKind::Id | ColumnKind::Text, _) => wrong("string"),
        (ColumnKind::Boolean, Value::Bool(truth)) => Ok(Cell::Boolean(*truth)),
        (ColumnKind::Boolean, _) => wrong("boolean"),
        (ColumnKind::Number, Value::Number(number)) => Ok(Cell::Number(number.clone())),
        (ColumnKind::Number, _) => wrong("number"),
        (ColumnKind::Moment, Value::String(moment)) => Ok(Cell::text(moment)),
        (ColumnKind::Moment, _) => match value.get("value").and_then(Value::as_str) {
            Some(moment) => Ok(Cell::text(moment)),
            None => wrong("datetime"),
        },
    }
}
