//! The form of rows in answers: the selected attributes, those that ftrack adds on its own, and
//! every entity in full only once.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::{
    query::Path,
    schema::{EntityRef, Model, Plurality, Relation},
    store::{Key, Row, Store},
};

/// Whether later occurrences of an entity repeat its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repetition {
    /// They contain only the key and new attributes; ftrack's own way.
    Deduplicated,
    /// They repeat them, and nothing is added that was not requested: `ftrack-api-options:
    /// strict:1;denormalize:1`.
    Denormalized,
}

/// What is shown of an entity, and of those that it refers to.
#[derive(Debug, Default)]
pub(super) struct Projection {
    columns: Vec<usize>,
    relations: Vec<(std::sync::Arc<Relation>, Projection)>,
}

impl Projection {
    /// What is selected; the default projections where nothing is.
    pub(super) fn of(model: &Model, entity: EntityRef, selected: Option<&[Path]>) -> Self {
        let mut projection = Self::default();
        match selected {
            None => projection
                .columns
                .clone_from(&model.entity(entity).default_projections),
            Some(paths) => paths.iter().for_each(|path| projection.add(model, path)),
        }
        projection
    }

    fn add(&mut self, model: &Model, path: &Path) {
        let mut at = self;
        for relation in &path.relations {
            let place = match at
                .relations
                .iter()
                .position(|(known, _)| known.name == relation.name)
            {
                Some(place) => place,
                None => {
                    at.relations
                        .push((std::sync::Arc::clone(relation), Self::default()));
                    at.relations.len() - 1
                }
            };
            let Some((_, next)) = at.relations.get_mut(place) else {
                return;
            };
            at = next;
        }
        match (path.column, path.relations.last()) {
            (Some((column, _)), _) => at.columns.push(column),
            (None, Some(relation)) => at
                .columns
                .extend(&model.entity(relation.target).default_projections),
            (None, None) => {}
        }
    }
}

/// Writes rows as JSON, for one whole answer.
pub(super) struct Rendering<'a> {
    store: &'a Store,
    unreadable: &'a BTreeSet<String>,
    repetition: Repetition,
    said: &'a mut Said,
}

/// What an answer already contains: entity, key, and which attribute.
#[derive(Debug, Default)]
pub(super) struct Said(HashSet<(EntityRef, Key, Attribute)>);

#[derive(Debug, PartialEq, Eq, Hash)]
enum Attribute {
    Column(usize),
    Relation(std::sync::Arc<str>),
}

impl<'a> Rendering<'a> {
    /// Continues an answer that already contains this.
    pub(super) fn new(
        store: &'a Store,
        unreadable: &'a BTreeSet<String>,
        repetition: Repetition,
        said: &'a mut Said,
    ) -> Self {
        Self {
            store,
            unreadable,
            repetition,
            said,
        }
    }

    /// One entity as far as the projection goes.
    pub(super) fn entity(
        &mut self,
        entity: EntityRef,
        key: &Key,
        row: &Row,
        projection: &Projection,
    ) -> Value {
        let store = self.store;
        let shape = store.model.entity(entity);
        let system: &[usize] = match self.repetition {
            Repetition::Deduplicated => &shape.system_projections,
            Repetition::Denormalized => &[],
        };
        let mut shown = Map::new();
        shown.insert(
            "__entity_type__".to_owned(),
            Value::String(shape.name.to_string()),
        );
        for column in &shape.key {
            self.column(entity, row, *column, &mut shown);
        }
        for column in projection.columns.iter().chain(system) {
            if !shape.key.contains(column) && self.is_new(entity, key, Attribute::Column(*column)) {
                self.column(entity, row, *column, &mut shown);
            }
        }
        for (relation, further) in &projection.relations {
            if self.is_new(
                entity,
                key,
                Attribute::Relation(std::sync::Arc::clone(&relation.name)),
            ) {
                let value = self.related(relation, row, further);
                shown.insert(relation.name.to_string(), value);
            }
        }
        Value::Object(shown)
    }

    fn column(&self, entity: EntityRef, row: &Row, column: usize, shown: &mut Map<String, Value>) {
        if let Some(shape) = self.store.model.entity(entity).columns.get(column) {
            shown.insert(shape.name.to_string(), row.cell(column).to_wire(shape));
        }
    }

    fn related(&mut self, relation: &Relation, row: &Row, projection: &Projection) -> Value {
        let readable = !self
            .unreadable
            .contains(&*self.store.model.entity(relation.target).name);
        let found = if readable {
            self.store.related(relation, row)
        } else {
            Vec::new()
        };
        let mut shown = found
            .iter()
            .map(|(key, row)| self.entity(relation.target, key, row, projection));
        match relation.plurality {
            Plurality::One => shown.next().unwrap_or(Value::Null),
            Plurality::Many => Value::Array(shown.collect()),
        }
    }

    fn is_new(&mut self, entity: EntityRef, key: &Key, attribute: Attribute) -> bool {
        match self.repetition {
            Repetition::Denormalized => true,
            Repetition::Deduplicated => self.said.0.insert((entity, key.clone(), attribute)),
        }
    }
}
