//! What entities there are, from the very `query_schemas` answer that is served: columns, keys, and
//! how entities refer to each other.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ApiError;

/// The answer to `query_schemas`: a real one of 2023-11 (from ftrackhq/ftrack-ts-schema-generator,
/// Apache-2.0), cut down to the entities that identity and work are made of.
pub(super) const SCHEMAS: &str = include_str!("schemas.json");

/// MD5 of `json.dumps(schemas, sort_keys=True)`, as the vendor's clients compute it; the test with
/// the Python client recomputes it.
pub(super) const SCHEMA_HASH: &str = "d83c7b3c4145da09aecdb0bd0f009315";

/// Which entity; made by a [`Model`] only, and so always in its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct EntityRef(usize);

impl EntityRef {
    /// The place of the entity in a list of all of them.
    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// What may stand in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// An id or a reference; compared exactly.
    Id,
    /// Text, compared as the collation says.
    Text,
    /// True or false.
    Boolean,
    Number,
    /// A moment, kept as ISO 8601.
    Moment,
    /// Any JSON value.
    Any,
}

/// One stored attribute.
#[derive(Debug)]
pub(super) struct Column {
    /// Its name in the API.
    pub(super) name: Arc<str>,
    /// What may stand in it.
    pub(super) kind: ColumnKind,
    /// Whether it can be set only on creation.
    pub(super) immutable: bool,
    /// Whether it is never null.
    pub(super) required: bool,
    /// What the server puts in when a create does not say.
    pub(super) default: Option<Value>,
    /// The entity that it names by id.
    pub(super) refers_to: Option<EntityRef>,
    /// Whether rows are found by it without reading all of them.
    pub(super) indexed: bool,
}

/// Whether a relation leads to one entity or to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plurality {
    /// A reference.
    One,
    /// A collection.
    Many,
}

/// How one entity leads to others: those whose column `theirs` equals this one's column `own`.
#[derive(Debug)]
pub(super) struct Relation {
    /// Its name in the API.
    pub(super) name: Arc<str>,
    /// To one or to many.
    pub(super) plurality: Plurality,
    /// The column of this entity.
    pub(super) own: usize,
    /// The entity it leads to.
    pub(super) target: EntityRef,
    /// The column of that entity.
    pub(super) theirs: usize,
    /// Only to those with this in one of their columns.
    pub(super) only: Option<(usize, &'static str)>,
}

/// What a name means within an entity.
#[derive(Debug, Clone)]
pub(super) enum Property {
    /// A stored attribute: its place.
    Column(usize),
    /// A way to other entities.
    Relation(Arc<Relation>),
}

/// One type of entity.
#[derive(Debug)]
pub(super) struct Entity {
    pub(super) name: Arc<str>,
    /// Its columns, in the schema's order.
    pub(super) columns: Vec<Column>,
    /// The primary key's columns, in order; never empty.
    pub(super) key: Vec<usize>,
    /// What is shown of it where nothing is selected.
    pub(super) default_projections: Vec<usize>,
    /// What is shown of it although nobody asked.
    pub(super) system_projections: Vec<usize>,
    /// The more general entity that it is one of.
    general: Option<EntityRef>,
    properties: HashMap<Arc<str>, Property>,
}

impl Entity {
    /// What `name` means here.
    pub(super) fn property(&self, name: &str) -> Result<&Property, ApiError> {
        self.properties.get(name).ok_or_else(|| {
            ApiError::validation(format!("{} has no attribute {name:?}.", self.name))
        })
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        match self.properties.get(name) {
            Some(Property::Column(column)) => Some(*column),
            Some(Property::Relation(_)) | None => None,
        }
    }

    /// Everything that it leads to.
    pub(super) fn relations(&self) -> impl Iterator<Item = &Arc<Relation>> {
        self.properties
            .values()
            .filter_map(|property| match property {
                Property::Relation(relation) => Some(relation),
                Property::Column(_) => None,
            })
    }
}

/// Every type of entity.
#[derive(Debug)]
pub(super) struct Model {
    entities: Vec<Entity>,
    by_name: HashMap<Arc<str>, EntityRef>,
    /// The schemas as they are served.
    pub(super) schemas: Value,
}

#[derive(Deserialize)]
struct Schema {
    id: String,
    #[serde(rename = "$mixin", default)]
    mixin: Option<Mixin>,
    properties: Map<String, Value>,
    primary_key: Vec<String>,
    #[serde(default)]
    immutable: Vec<String>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    default_projections: Vec<String>,
    #[serde(default)]
    system_projections: Vec<String>,
}

#[derive(Deserialize)]
struct Mixin {
    #[serde(rename = "$ref")]
    of: String,
}

impl Model {
    /// Reads [`SCHEMAS`]; an error only when that file is broken.
    pub(super) fn new() -> Result<Self, serde_json::Error> {
        let read: Vec<Schema> = serde_json::from_str(SCHEMAS)?;
        let by_name: HashMap<Arc<str>, EntityRef> = read
            .iter()
            .enumerate()
            .map(|(place, schema)| (schema.id.as_str().into(), EntityRef(place)))
            .collect();
        let mut entities: Vec<Entity> =
            read.iter().map(|schema| entity(schema, &by_name)).collect();
        let relations: Vec<Vec<Relation>> = read
            .iter()
            .zip(&entities)
            .map(|(schema, own)| relations(schema, own, &entities, &by_name))
            .collect();
        for relation in relations
            .iter()
            .flatten()
            .filter(|relation| relation.plurality == Plurality::Many)
        {
            if let Some(column) = entities
                .get_mut(relation.target.0)
                .and_then(|target| target.columns.get_mut(relation.theirs))
            {
                column.indexed = true;
            }
        }
        for (own, relations) in entities.iter_mut().zip(relations) {
            own.properties.extend(relations.into_iter().map(|relation| {
                (
                    Arc::clone(&relation.name),
                    Property::Relation(Arc::new(relation)),
                )
            }));
        }
        Ok(Self {
            entities,
            by_name,
            schemas: serde_json::from_str(SCHEMAS)?,
        })
    }

    /// The entity of that name.
    pub(super) fn find(&self, name: &str) -> Result<EntityRef, ApiError> {
        self.by_name
            .get(name)
            .copied()
            .ok_or_else(|| ApiError::validation(format!("There is no entity type {name:?}.")))
    }

    /// One entity.
    pub(super) fn entity(&self, entity: EntityRef) -> &Entity {
        &self.entities[entity.0]
    }

    /// The entities that are all of a more general one, such as the tasks and projects of `Context`.
    pub(super) fn special(&self, general: EntityRef) -> impl Iterator<Item = EntityRef> {
        let entities = self.entities.iter().enumerate();
        entities
            .filter(move |(_, entity)| entity.general == Some(general))
            .map(|(place, _)| EntityRef(place))
    }

    /// Every entity, in order.
    pub(super) fn entities(&self) -> impl Iterator<Item = (EntityRef, &Entity)> {
        self.entities
            .iter()
            .enumerate()
            .map(|(place, entity)| (EntityRef(place), entity))
    }
}

fn entity(schema: &Schema, by_name: &HashMap<Arc<str>, EntityRef>) -> Entity {
    let stored = schema
        .properties
        .iter()
        .filter(|(_, property)| property.get("$ref").is_none() && property.get("items").is_none());
    let mut columns: Vec<Column> = stored
        .map(|(name, property)| column(schema, name, property, by_name))
        .collect();
    let properties: HashMap<Arc<str>, Property> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| (Arc::clone(&column.name), Property::Column(place)))
        .collect();
    columns.extend(unnamed(schema, by_name));
    let places = |names: &[String]| {
        names
            .iter()
            .filter_map(|name| columns.iter().position(|column| *column.name == **name))
            .collect::<Vec<usize>>()
    };
    Entity {
        key: places(&schema.primary_key),
        default_projections: places(&schema.default_projections),
        system_projections: places(&schema.system_projections),
        name: schema.id.as_str().into(),
        general: schema
            .mixin
            .as_ref()
            .and_then(|mixin| by_name.get(mixin.of.as_str()))
            .copied(),
        columns,
        properties,
    }
}

/// The columns of references that the schema shows without the id that they go by: nobody can name
/// these in a query.
fn unnamed<'s>(
    schema: &'s Schema,
    by_name: &'s HashMap<Arc<str>, EntityRef>,
) -> impl Iterator<Item = Column> + 's {
    schema.properties.iter().filter_map(|(name, property)| {
        let target = property.get("$ref")?.as_str()?;
        let id = format!("{name}_id");
        let is_unnamed = !schema.properties.contains_key(&id);
        is_unnamed.then(|| Column {
            name: id.into(),
            kind: ColumnKind::Id,
            immutable: false,
            required: false,
            default: None,
            refers_to: by_name.get(target).copied(),
            indexed: false,
        })
    })
}

fn column(
    schema: &Schema,
    name: &str,
    property: &Value,
    by_name: &HashMap<Arc<str>, EntityRef>,
) -> Column {
    let text = |field: &str| property.get(field).and_then(Value::as_str);
    let reference = text("description")
        .and_then(|words| words.strip_prefix("Foreign key(s): "))
        .and_then(|target| target.split('.').next());
    let in_key = schema.primary_key.iter().any(|part| part == name);
    let kind = match (text("type"), text("format")) {
        (_, Some("foreign_key")) => ColumnKind::Id,
        (_, Some("date-time")) => ColumnKind::Moment,
        (Some("boolean"), _) => ColumnKind::Boolean,
        (Some("integer" | "number"), _) => ColumnKind::Number,
        (Some("variable"), _) => ColumnKind::Any,
        _ if name == "id" || name == "parent_id" => ColumnKind::Id,
        _ => ColumnKind::Text,
    };
    Column {
        name: name.into(),
        kind,
        immutable: in_key || schema.immutable.iter().any(|fixed| fixed == name),
        required: in_key || schema.required.iter().any(|required| required == name),
        default: property.get("default").cloned(),
        refers_to: reference.and_then(|target| by_name.get(target)).copied(),
        indexed: (in_key && schema.primary_key.len() > 1)
            || (schema.id == "User" && matches!(name, "username" | "email")),
    }
}

/// A reference goes by the column of its name with `_id`; a collection by the column over there
/// that refers here, or else by `parent_id`.
fn relations(
    schema: &Schema,
    own: &Entity,
    entities: &[Entity],
    by_name: &HashMap<Arc<str>, EntityRef>,
) -> Vec<Relation> {
    let position = |entity: &Entity, name: &str| {
        entity
            .columns
            .iter()
            .position(|column| &*column.name == name)
    };
    let key = own.key.first().copied();
    let read = |(name, property): (&String, &Value)| {
        let (plurality, target) = match (
            property.get("$ref"),
            property.get("items").and_then(|items| items.get("$ref")),
        ) {
            (Some(target), _) => (Plurality::One, target),
            (None, Some(target)) => (Plurality::Many, target),
            (None, None) => return None,
        };
        let target = *by_name.get(target.as_str()?)?;
        let there = entities.get(target.0)?;
        let (own, theirs) = match plurality {
            Plurality::One => (position(own, &format!("{name}_id"))?, *there.key.first()?),
            Plurality::Many => {
                let itself = by_name.get(schema.id.as_str()).copied();
                let back = there.columns.iter().position(|column| {
                    let refers_to = column.refers_to;
                    refers_to.is_some() && (refers_to == itself || refers_to == own.general)
                });
                (key?, back.or_else(|| position(there, "parent_id"))?)
            }
        };
        let only = match name.as_str() {
            "assignments" => Some((position(there, "type")?, "assignment")),
            "allocations" => Some((position(there, "type")?, "allocation")),
            _ => None,
        };
        Some(Relation {
            name: name.as_str().into(),
            plurality,
            own,
            target,
            theirs,
            only,
        })
    };
    schema.properties.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_reference_and_collection_of_the_schemas_leads_somewhere() {
        let model = Model::new().unwrap();
        let read: Vec<Schema> = serde_json::from_str(SCHEMAS).unwrap();
        for schema in read {
            let entity = model.entity(model.find(&schema.id).unwrap());
            assert!(!entity.key.is_empty());
            for name in schema.properties.keys() {
                assert!(entity.property(name).is_ok(), "{}.{name}", schema.id);
            }
        }
    }
}
