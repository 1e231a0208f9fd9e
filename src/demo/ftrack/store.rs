//! The rows in memory: one ordered table per entity, found by key or by an indexed column, with a
//! journal to undo a failed call.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use serde_json::{Map, Number, Value, json};

use super::schema::{Column, ColumnKind, Entity, EntityRef, Model, Relation};

/// What joins the parts of a key of several columns; no part of a key may have it.
pub(super) const SEPARATOR: char = '\u{1f}';

/// One stored value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Nothing.
    Null,
    Boolean(bool),
    Number(Number),
    /// Text, ids and moments.
    Text(Arc<str>),
    /// A list or an object: the value of a custom attribute.
    Json(Arc<Value>),
}

impl Cell {
    /// Text in a cell.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The text, when it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Boolean(_) | Self::Number(_) | Self::Json(_) => None,
        }
    }

    /// Any JSON value in a cell.
    pub(super) fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Boolean(*truth),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::text(text),
            Value::Array(_) | Value::Object(_) => Self::Json(Arc::new(value.clone())),
        }
    }

    /// The value as JSON, a moment as it is.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(truth) => Value::Bool(*truth),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.as_ref().to_owned()),
            Self::Json(value) => value.as_ref().clone(),
        }
    }

    /// The value as it is sent, with ftrack's own wrapping of moments.
    pub(super) fn to_wire(&self, column: &Column) -> Value {
        match (self, column.kind) {
            (Self::Text(moment), ColumnKind::Moment) => {
                json!({"__type__": "datetime", "value": moment.as_ref()})
            }
            _ => self.to_json(),
        }
    }

    /// The order that `order by` and `<` go by: nothing, booleans, numbers, text.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(left), Self::Boolean(right)) => left.cmp(right),
            (Self::Number(left), Self::Number(right)) => left
                .as_f64()
                .partial_cmp(&right.as_f64())
                .unwrap_or(Ordering::Equal),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
            Self::Json(_) => 4,
        }
    }
}

static NULL: Cell = Cell::Null;

/// One row: a cell for each column of its entity.
#[derive(Debug, Clone)]
pub(super) struct Row(Arc<[Cell]>);

impl Row {
    /// A row of these cells, which are as many as the entity has columns.
    pub(super) fn new(cells: Vec<Cell>) -> Self {
        Self(cells.into())
    }

    /// The cell of a column.
    pub(super) fn cell(&self, column: usize) -> &Cell {
        self.0.get(column).unwrap_or(&NULL)
    }

    /// The cell of the column of that name, nothing when there is none.
    pub(super) fn named(&self, entity: &Entity, name: &str) -> &Cell {
        entity
            .column(name)
            .map_or(&NULL, |column| self.cell(column))
    }

    /// The text in the column of that name.
    pub(super) fn text(&self, entity: &Entity, name: &str) -> Option<&str> {
        self.named(entity, name).as_text()
    }

    /// Whether the column of that name holds true.
    pub(super) fn is_true(&self, entity: &Entity, name: &str) -> bool {
        *self.named(entity, name) == Cell::Boolean(true)
    }

    /// All cells, to be changed and made a row of.
    pub(super) fn cells(&self) -> Vec<Cell> {
        self.0.to_vec()
    }

    /// Every attribute by name, as JSON.
    pub(super) fn to_json(&self, entity: &Entity) -> Value {
        Value::Object(
            entity
                .columns
                .iter()
                .zip(self.0.iter())
                .map(|(column, cell)| (column.name.to_string(), cell.to_json()))
                .collect::<Map<_, _>>(),
        )
    }

    /// The key under which the row is kept.
    pub(super) fn key(&self, entity: &Entity) -> Key {
        let parts = entity
            .key
            .iter()
            .map(|column| self.cell(*column).as_text().unwrap_or_default());
        Key::of(parts)
    }
}

/// The primary key of a row, its parts in one text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(Arc<str>);

impl Key {
    /// A key of these parts, in the order of the schema's primary key.
    pub(super) fn of<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let parts: Vec<&str> = parts.collect();
        Self(parts.join(&SEPARATOR.to_string()).into())
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split(SEPARATOR)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.parts().collect::<Vec<_>>().join(","))
    }
}

type Index = BTreeSet<(Arc<str>, Key)>;

#[derive(Debug, Default)]
struct Table {
    rows: BTreeMap<Key, Row>,
    indexes: Vec<(usize, Index)>,
}

impl Table {
    fn put(&mut self, key: &Key, row: Option<Row>) -> Option<Row> {
        let old = match &row {
            Some(row) => self.rows.insert(key.clone(), row.clone()),
            None => self.rows.remove(key),
        };
        for (column, index) in &mut self.indexes {
            let (before, after) = (
                old.as_ref().map_or(&NULL, |row| row.cell(*column)),
                row.as_ref().map_or(&NULL, |row| row.cell(*column)),
            );
            if before == after {
                continue;
            }
            if let Some(text) = before.as_text() {
                index.remove(&(folded(text), key.clone()));
            }
            if let Some(text) = after.as_text() {
                index.insert((folded(text), key.clone()));
            }
        }
        old
    }
}

/// Indexes go by the folded text, so that they serve both collations; what they find is compared
/// again.
fn folded(text: &str) -> Arc<str> {
    text.to_lowercase().into()
}

struct Undo {
    entity: EntityRef,
    key: Key,
    old: Option<Row>,
}

/// Every table.
pub(super) struct Store {
    /// What entities there are.
    pub(super) model: Arc<Model>,
    tables: Vec<Table>,
    journal: Vec<Undo>,
    generation: u64,
    users: EntityRef,
    is_active: usize,
    active_users: usize,
}

impl Store {
    /// Empty tables for every entity of the model; `None` when the model has no users, which a
    /// broken schemas file may lead to.
    pub(super) fn new(model: Arc<Model>) -> Option<Self> {
        let users = model.find("User").ok()?;
        let is_active = model.entity(users).column("is_active")?;
        let table = |entity: &Entity| {
            let indexed = entity
                .columns
                .iter()
                .enumerate()
                .filter(|(_, column)| column.indexed);
            Table {
                rows: BTreeMap::new(),
                indexes: indexed.map(|(column, _)| (column, Index::new())).collect(),
            }
        };
        let tables = model.entities().map(|(_, entity)| table(entity)).collect();
        Some(Self {
            tables,
            model,
            journal: Vec::new(),
            generation: 0,
            users,
            is_active,
            active_users: 0,
        })
    }

    /// One row.
    pub(super) fn get(&self, entity: EntityRef, key: &Key) -> Option<&Row> {
        self.table(entity).rows.get(key)
    }

    /// One row, with the key under which it is kept.
    pub(super) fn find(&self, entity: EntityRef, key: &Key) -> Option<(&Key, &Row)> {
        self.table(entity).rows.get_key_value(key)
    }

    /// Every row, in the order of the keys.
    pub(super) fn rows(&self, entity: EntityRef) -> impl Iterator<Item = (&Key, &Row)> {
        self.table(entity).rows.iter()
    }

    /// How many users hold a seat.
    pub(super) fn active_users(&self) -> usize {
        self.active_users
    }

    /// Grows with every change, so that what was computed before can be told from what is true now.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The keys of the rows whose column may equal the text, apart from case; `None` when the
    /// column is not indexed.
    pub(super) fn lookup(&self, entity: EntityRef, column: usize, text: &str) -> Option<Vec<Key>> {
        let (_, index) = self
            .table(entity)
            .indexes
            .iter()
            .find(|(indexed, _)| *indexed == column)?;
        let text = folded(text);
        let from = (Arc::clone(&text), Key("".into()));
        let found = index
            .range((Bound::Included(from), Bound::Unbounded))
            .take_while(|(value, _)| *value == text);
        Some(found.map(|(_, key)| key.clone()).collect())
    }

    /// The rows that a relation leads to from this row.
    pub(super) fn related(&self, relation: &Relation, row: &Row) -> Vec<(Key, Row)> {
        let Some(value) = row.cell(relation.own).as_text() else {
            return Vec::new();
        };
        let target = self.model.entity(relation.target);
        let keys = if target.key == [relation.theirs] {
            vec![Key::from(value)]
        } else {
            self.lookup(relation.target, relation.theirs, value)
                .unwrap_or_default()
        };
        let rows = keys
            .into_iter()
            .filter_map(|key| self.view(relation.target, &key).map(|row| (key, row)));
        let is_meant = |row: &Row| {
            let only = relation.only;
            row.cell(relation.theirs).as_text() == Some(value)
                && only.is_none_or(|(column, text)| row.cell(column).as_text() == Some(text))
        };
        rows.filter(|(_, row)| is_meant(row)).collect()
    }

    /// One row of an entity, or of those that are special ones of it, with its columns.
    pub(super) fn view(&self, entity: EntityRef, key: &Key) -> Option<Row> {
        if let Some(row) = self.get(entity, key) {
            return Some(row.clone());
        }
        let shape = self.model.entity(entity);
        self.model.special(entity).find_map(|special| {
            let (row, theirs) = (self.get(special, key)?, self.model.entity(special));
            let cells = shape.columns.iter();
            let cells = cells.map(|column| row.named(theirs, &column.name).clone());
            Some(Row::new(cells.collect()))
        })
    }

    /// Puts a row in, or takes it out (`None`), and notes in the journal what was there.
    pub(super) fn put(&mut self, entity: EntityRef, key: &Key, row: Option<Row>) {
        let old = self.exchange(entity, key, row);
        self.journal.push(Undo {
            entity,
            key: key.clone(),
            old,
        });
    }

    /// How far the journal goes, for [`Store::roll_back`].
    pub(super) fn mark(&self) -> usize {
        self.journal.len()
    }

    /// Undoes every change since the mark.
    pub(super) fn roll_back(&mut self, mark: usize) {
        while self.journal.len() > mark {
            let Some(Undo { entity, key, old }) = self.journal.pop() else {
                return;
            };
            self.exchange(entity, &key, old);
        }
    }

    /// Makes all changes final.
    pub(super) fn commit(&mut self) {
        self.journal.clear();
    }

    fn exchange(&mut self, entity: EntityRef, key: &Key, row: Option<Row>) -> Option<Row> {
        let is_active = self.is_active;
        let seat = |row: Option<&Row>| {
            usize::from(row.is_some_and(|row| *row.cell(is_active) == Cell::Boolean(true)))
        };
        let taken = seat(row.as_ref());
        self.generation += 1;
        let old = self.tables[entity.index()].put(key, row);
        if entity == self.users {
            self.active_users = (self.active_users + taken).saturating_sub(seat(old.as_ref()));
        }
        old
    }

    fn table(&self, entity: EntityRef) -> &Table {
        &self.tables[entity.index()]
    }
}
