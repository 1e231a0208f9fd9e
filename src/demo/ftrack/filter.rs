//! Which rows a query finds, in which order; for a full read in pages, they are computed once and
//! not once per page.

use std::{cmp::Ordering, collections::VecDeque, fmt::Write as _, sync::Arc};

use super::{
    options::Collation,
    query::{Direction, Filter, Operator, Path, Query},
    schema::{ColumnKind, EntityRef, Relation},
    store::{Cell, Key, Row, Store},
};

/// How many result lists are cached.
const KEPT: usize = 16;

/// Recent results, for the next page of the same query; invalid once anything changed.
#[derive(Default)]
pub(super) struct Found {
    kept: VecDeque<(String, u64, Arc<[Key]>)>,
}

impl Found {
    /// The keys of all rows that the query finds, in its order, before offset and limit.
    pub(super) fn keys(
        &mut self,
        store: &Store,
        collation: Collation,
        query: &Query,
    ) -> Arc<[Key]> {
        let mut name = String::new();
        // Writing into a String cannot fail.
        let _ = write!(
            name,
            "{:?} {collation:?} {:?} {:?}",
            query.entity, query.filter, query.order
        );
        let generation = store.generation();
        self.kept.retain(|(_, then, _)| *then == generation);
        if let Some((_, _, keys)) = self.kept.iter().find(|(known, _, _)| *known == name) {
            return Arc::clone(keys);
        }
        let keys: Arc<[Key]> = Search { store, collation }.keys(query).into();
        self.kept.truncate(KEPT - 1);
        self.kept.push_front((name, generation, Arc::clone(&keys)));
        keys
    }
}

struct Search<'a> {
    store: &'a Store,
    collation: Collation,
}

impl Search<'_> {
    fn keys(&self, query: &Query) -> Vec<Key> {
        let filter = query.filter.as_ref().map(|filter| self.prepared(filter));
        let holds = |row: &Row| {
            filter
                .as_ref()
                .is_none_or(|filter| self.holds(filter, query.entity, row))
        };
        let found: Vec<(&Key, &Row)> = match filter
            .as_ref()
            .and_then(|filter| self.candidates(filter, query.entity))
        {
            Some(mut keys) => {
                keys.sort_unstable();
                keys.dedup();
                let rows = keys
                    .iter()
                    .filter_map(|key| self.store.find(query.entity, key));
                rows.filter(|(_, row)| holds(row)).collect()
            }
            None => self
                .store
                .rows(query.entity)
                .filter(|(_, row)| holds(row))
                .collect(),
        };
        let key = self.store.model.entity(query.entity).key.first().copied();
        let by_key = |(path, direction): &(Path, Direction)| {
            path.is_local()
                && path.column.map(|(column, _)| column) == key
                && *direction == Direction::Ascending
        };
        if query.order.first().is_none_or(by_key) {
            return found.into_iter().map(|(key, _)| key.clone()).collect();
        }
        let value = |row: &Row| {
            query
                .order
                .iter()
                .map(|(path, direction)| (self.first(path, row), *direction))
                .collect::<Vec<_>>()
        };
        let mut valued: Vec<(Vec<(Cell, Direction)>, &Key)> = found
            .into_iter()
            .map(|(key, row)| (value(row), key))
            .collect();
        valued.sort_by(|left, right| order(&left.0, &right.0));
        valued.into_iter().map(|(_, key)| key.clone()).collect()
    }

    fn first(&self, path: &Path, row: &Row) -> Cell {
        let mut first = Cell::Null;
        self.reach(&path.relations, row, &mut |end| {
            first = path
                .column
                .map_or(Cell::Null, |(column, _)| end.cell(column).clone());
            true
        });
        first
    }

    /// The filter with every sub-query answered, so that it is not asked again for each row.
    fn prepared<'f>(&self, filter: &'f Filter) -> Prepared<'f> {
        match filter {
            Filter::And(filters) => {
                Prepared::And(filters.iter().map(|filter| self.prepared(filter)).collect())
            }
            Filter::Or(filters) => {
                Prepared::Or(filters.iter().map(|filter| self.prepared(filter)).collect())
            }
            Filter::Not(filter) => Prepared::Not(Box::new(self.prepared(filter))),
            Filter::Compare(path, operator, value) => Prepared::Compare(path, *operator, value),
            Filter::In(path, values) => Prepared::In(path, self.sorted(values.clone())),
            Filter::InQuery(path, query) => Prepared::In(path, self.sorted(self.answers(query))),
            Filter::Related(path, inner) => Prepared::Related(
                path,
                inner.as_ref().map(|inner| Box::new(self.prepared(inner))),
            ),
        }
    }

    /// What a sub-query gives: the first thing that it selects, or the key where it selects
    /// nothing.
    fn answers(&self, query: &Query) -> Vec<Cell> {
        let entity = self.store.model.entity(query.entity);
        let column = match query.projections.as_ref().and_then(|paths| paths.first()) {
            Some(path) => path.clone(),
            None => Path {
                relations: Vec::new(),
                column: entity.key.first().map(|column| (*column, ColumnKind::Id)),
            },
        };
        let keys = self
            .keys(query)
            .into_iter()
            .skip(query.offset)
            .take(query.limit.unwrap_or(usize::MAX));
        let mut values = Vec::new();
        for key in keys {
            if let Some(row) = self.store.get(query.entity, &key) {
                self.reach(&column.relations, row, &mut |end| {
                    values.extend(column.column.map(|(column, _)| end.cell(column).clone()));
                    false
                });
            }
        }
        values
    }

    fn sorted(&self, mut values: Vec<Cell>) -> Vec<Cell> {
        values
            .iter_mut()
            .for_each(|value| *value = self.folded(value));
        values.sort_by(Cell::order);
        values
    }

    fn folded(&self, value: &Cell) -> Cell {
        match (self.collation, value.as_text()) {
            (Collation::IgnoreCase, Some(text)) => Cell::text(&text.to_lowercase()),
            (Collation::Exact | Collation::IgnoreCase, _) => value.clone(),
        }
    }

    /// The rows among which all must be that the filter finds, when an index tells; `None` means
    /// any.
    fn candidates(&self, filter: &Prepared<'_>, entity: EntityRef) -> Option<Vec<Key>> {
        match filter {
            // A list of values tells fewer rows than one value that most of them share, as the key
            // of a piece of metadata is.
            Prepared::And(filters) => {
                let mut filters: Vec<&Prepared<'_>> = filters.iter().collect();
                filters.sort_by_key(|filter| !matches!(filter, Prepared::In(..)));
                filters
                    .into_iter()
                    .find_map(|filter| self.candidates(filter, entity))
            }
            Prepared::Or(filters) => match filters.as_slice() {
                [] => None,
                filters => filters
                    .iter()
                    .map(|filter| self.candidates(filter, entity))
                    .collect::<Option<Vec<_>>>()
                    .map(|found| found.concat()),
            },
            Prepared::Compare(path, Operator::Is, value) => {
                self.indexed(path, entity, std::slice::from_ref(*value))
            }
            Prepared::In(path, values) => self.indexed(path, entity, values),
            Prepared::Compare(..) | Prepared::Not(_) | Prepared::Related(..) => None,
        }
    }

    fn indexed(&self, path: &Path, entity: EntityRef, values: &[Cell]) -> Option<Vec<Key>> {
        let column = path
            .column
            .filter(|_| path.is_local())
            .map(|(column, _)| column)?;
        let texts = values
            .iter()
            .map(Cell::as_text)
            .collect::<Option<Vec<&str>>>()?;
        // Under the case-blind collation an id may be spelled in another case than the key.
        if self.store.model.entity(entity).key == [column] && self.collation == Collation::Exact {
            return Some(texts.into_iter().map(Key::from).collect());
        }
        texts
            .into_iter()
            .map(|text| self.store.lookup(entity, column, text))
            .collect::<Option<Vec<_>>>()
            .map(|found| found.concat())
    }

    fn holds(&self, filter: &Prepared<'_>, entity: EntityRef, row: &Row) -> bool {
        match filter {
            Prepared::And(filters) => filters.iter().all(|filter| self.holds(filter, entity, row)),
            Prepared::Or(filters) => filters.iter().any(|filter| self.holds(filter, entity, row)),
            Prepared::Not(filter) => !self.holds(filter, entity, row),
            Prepared::Compare(path, operator, value) => match path.column {
                None => {
                    let exists = self.reach(&path.relations, row, &mut |_| true);
                    exists == (*operator == Operator::IsNot)
                }
                Some((column, _)) => {
                    let met = self.reach(&path.relations, row, &mut |end| {
                        self.compares(end.cell(column), *operator, value)
                    });
                    // A reference that leads nowhere has no value, as in an outer join.
                    met || (**value == Cell::Null
                        && *operator == Operator::Is
                        && path.is_single()
                        && !self.reach(&path.relations, row, &mut |_| true))
                }
            },
            Prepared::In(path, values) => self.reach(&path.relations, row, &mut |end| {
                let cell = path
                    .column
                    .map_or(Cell::Null, |(column, _)| self.folded(end.cell(column)));
                cell != Cell::Null && values.binary_search_by(|value| value.order(&cell)).is_ok()
            }),
            Prepared::Related(path, inner) => {
                let target = path
                    .relations
                    .last()
                    .map_or(entity, |relation| relation.target);
                self.reach(&path.relations, row, &mut |end| {
                    inner
                        .as_ref()
                        .is_none_or(|inner| self.holds(inner, target, end))
                })
            }
        }
    }

    /// Visits every row at the end of the relations until one satisfies; whether one did.
    fn reach(
        &self,
        relations: &[Arc<Relation>],
        row: &Row,
        satisfies: &mut dyn FnMut(&Row) -> bool,
    ) -> bool {
        match relations.split_first() {
            None => satisfies(row),
            Some((relation, further)) => self
                .store
                .related(relation, row)
                .iter()
                .any(|(_, next)| self.reach(further, next, satisfies)),
        }
    }

    fn compares(&self, cell: &Cell, operator: Operator, value: &Cell) -> bool {
        let ordering = || match (cell, value) {
            (Cell::Null, _) | (_, Cell::Null) => None,
            (Cell::Text(_), Cell::Text(_)) => Some(self.folded(cell).order(&self.folded(value))),
            // The value of a custom attribute has no type in the schema: it is compared as the text
            // that was asked for.
            (other, Cell::Text(text)) => Some(spelled(other).as_str().cmp(text)),
            (left, right) => Some(left.order(right)),
        };
        match operator {
            Operator::Is if *value == Cell::Null => *cell == Cell::Null,
            Operator::IsNot if *value == Cell::Null => *cell != Cell::Null,
            Operator::Is => ordering().is_some_and(Ordering::is_eq),
            Operator::IsNot => !ordering().is_some_and(Ordering::is_eq),
            Operator::Less => ordering().is_some_and(Ordering::is_lt),
            Operator::AtMost => ordering().is_some_and(Ordering::is_le),
            Operator::Greater => ordering().is_some_and(Ordering::is_gt),
            Operator::AtLeast => ordering().is_some_and(Ordering::is_ge),
            Operator::Like => self.like(cell, value),
            Operator::NotLike => !self.like(cell, value),
        }
    }

    fn like(&self, cell: &Cell, pattern: &Cell) -> bool {
        match (self.folded(cell).as_text(), self.folded(pattern).as_text()) {
            (Some(text), Some(pattern)) => like(text, pattern),
            _ => false,
        }
    }
}

fn order(left: &[(Cell, Direction)], right: &[(Cell, Direction)]) -> Ordering {
    let compare =
        |((left, direction), (right, _)): (&(Cell, Direction), &(Cell, Direction))| match direction
        {
            Direction::Ascending => left.order(right),
            Direction::Descending => right.order(left),
        };
    left.iter()
        .zip(right)
        .map(compare)
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

enum Prepared<'f> {
    And(Vec<Prepared<'f>>),
    Or(Vec<Prepared<'f>>),
    Not(Box<Prepared<'f>>),
    Compare(&'f Path, Operator, &'f Cell),
    In(&'f Path, Vec<Cell>),
    Related(&'f Path, Option<Box<Prepared<'f>>>),
}

fn spelled(cell: &Cell) -> String {
    cell.as_text()
        .map_or_else(|| cell.to_json().to_string(), str::to_owned)
}

/// Whether the text fits the pattern: `%` stands for any text, `\%` for itself. Goes back to the
/// last `%` only, so the work is bounded by the product of the lengths.
fn like(text: &str, pattern: &str) -> bool {
    let mut parts: Vec<Option<char>> = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\\' => parts.push(Some(rest.next_if_eq(&'%').unwrap_or('\\'))),
            '%' => parts.push(None),
            _ => parts.push(Some(next)),
        }
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut part) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(None) => {
                back = Some((at, part));
                part += 1;
            }
            Some(Some(wanted)) if text.get(at) == Some(wanted) => {
                at += 1;
                part += 1;
            }
            _ => match back {
                Some((from, any)) => {
                    back = Some((from + 1, any));
                    (at, part) = (from + 1, any + 1);
                }
                None => return false,
            },
        }
    }
    parts.iter().skip(part).all(Option::is_none)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_percent_sign_stands_for_any_text_unless_it_is_escaped() {
        for (text, pattern) in [
            ("alice", "al%"),
            ("alice", "%ice"),
            ("alice", "%l%c%"),
            ("alice", "alice"),
            ("", "%"),
            ("50%", r"50\%"),
            ("a_b", "a_b"),
        ] {
            assert!(like(text, pattern), "{text} like {pattern}");
        }
        for (text, pattern) in [
            ("alice", "al"),
            ("alice", "b%"),
            ("50x", r"50\%"),
            ("", "_"),
            ("axb", "a_b"),
        ] {
            assert!(!like(text, pattern), "{text} not like {pattern}");
        }
        assert!(!like(
            &"a".repeat(5000),
            &"%a".repeat(300).replace("%a%a", "%a%b")
        ));
    }
}
