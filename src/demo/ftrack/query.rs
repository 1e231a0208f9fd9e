//! The query language: a recursive descent from words to a query whose every name is resolved
//! against the schemas.
//!
//! `[select a, b.c from] Entity [where ...] [order by a asc, b desc] [offset N] [limit N]`.
//! Grouping is refused: the entities of this server have none.

use std::{iter::Peekable, sync::Arc, vec::IntoIter};

use super::{
    error::ApiError,
    schema::{ColumnKind, Entity, EntityRef, Model, Plurality, Property, Relation},
    store::Cell,
    token::{Token, tokens},
};

/// How deep brackets, `not`, `has`, `any` and sub-queries may nest, so that no expression overflows
/// the stack.
const DEPTH: usize = 48;

/// How many steps a dotted path may have.
const PATH: usize = 12;

/// A parsed query.
#[derive(Debug)]
pub(super) struct Query {
    /// The entity asked for.
    pub(super) entity: EntityRef,
    /// What is selected; `None` when there was no `select`.
    pub(super) projections: Option<Vec<Path>>,
    /// Which rows.
    pub(super) filter: Option<Filter>,
    /// In which order; by key where it does not say.
    pub(super) order: Vec<(Path, Direction)>,
    /// Rows to skip at the start.
    pub(super) offset: usize,
    /// The most rows to answer.
    pub(super) limit: Option<usize>,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A dotted name: relations to follow, and the column at the end; without one the related entities
/// themselves are meant.
#[derive(Debug, Clone)]
pub(super) struct Path {
    /// From the entity asked for outward.
    pub(super) relations: Vec<Arc<Relation>>,
    /// The column at the end.
    pub(super) column: Option<(usize, ColumnKind)>,
}

/// Which rows are asked for.
#[derive(Debug)]
pub(super) enum Filter {
    /// All of them hold.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A value compared.
    Compare(Path, Operator, Cell),
    /// A value among others.
    In(Path, Vec<Cell>),
    /// A value among what another query finds.
    InQuery(Path, Box<Query>),
    /// A related entity exists, for which that holds.
    Related(Path, Option<Box<Filter>>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `is`, `=`
    Is,
    IsNot,
    /// `<`, `before`, `less_than`
    Less,
    /// `<=`
    AtMost,
    /// `>`, `after`, `greater_than`
    Greater,
    /// `>=`
    AtLeast,
    Like,
    NotLike,
}

/// Parses an expression.
///
/// # Errors
/// `ParseError` for what is not the language, `ValidationError` for names that the schemas do not
/// have.
pub(super) fn parse(model: &Model, expression: &str) -> Result<Query, ApiError> {
    let mut parser = Parser {
        model,
        rest: tokens(expression)?.into_iter().peekable(),
        depth: 0,
    };
    let query = parser.query()?;
    match parser.rest.next() {
        None => Ok(query),
        Some(token) => Err(unexpected(Some(token), "the end")),
    }
}

struct Parser<'a> {
    model: &'a Model,
    rest: Peekable<IntoIter<Token>>,
    depth: usize,
}

fn unexpected(token: Option<Token>, wanted: &str) -> ApiError {
    match token {
        Some(token) => ApiError::parse(format!("Expected {wanted}, found {token:?}.")),
        None => ApiError::parse(format!(
            "Expected {wanted}, found the end of the expression."
        )),
    }
}

impl Parser<'_> {
    fn query(&mut self) -> Result<Query, ApiError> {
        let selected = if self.keyword("select") {
            Some(self.names()?)
        } else {
            None
        };
        if selected.is_some() && !self.keyword("from") {
            return Err(unexpected(self.rest.next(), "\"from\""));
        }
        let entity = self.model.find(&self.expect_token("an entity type")?)?;
        let paths = |names: Vec<String>| {
            names
                .iter()
                .map(|name| self.path(entity, name))
                .collect::<Result<Vec<_>, _>>()
        };
        let projections = selected.map(paths).transpose()?;
        let mut query = Query {
            entity,
            projections,
            filter: None,
            order: Vec::new(),
            offset: 0,
            limit: None,
        };
        if self.keyword("where") {
            query.filter = Some(self.either(entity)?);
        }
        loop {
            if self.keyword("order") {
                if !self.keyword("by") {
                    return Err(unexpected(self.rest.next(), "\"by\""));
                }
                query.order = self.order(entity)?;
            } else if self.keyword("offset") {
                query.offset = self.number()?;
            } else if self.keyword("limit") {
                query.limit = Some(self.number()?);
            } else {
                return Ok(query);
            }
        }
    }

    fn order(&mut self, entity: EntityRef) -> Result<Vec<(Path, Direction)>, ApiError> {
        let mut order = Vec::new();
        loop {
            let name = self.expect_token("an attribute")?;
            let path = self.path(entity, &name)?;
            if path.column.is_none() {
                return Err(ApiError::validation(format!(
                    "Cannot order by {name:?}, which is no plain attribute."
                )));
            }
            let direction = if self.keyword("desc") || self.keyword("descending") {
                Direction::Descending
            } else {
                let _spelled_out = self.keyword("asc") || self.keyword("ascending");
                Direction::Ascending
            };
            order.push((path, direction));
            if self.rest.next_if_eq(&Token::Comma).is_none() {
                return Ok(order);
            }
        }
    }

    fn names(&mut self) -> Result<Vec<String>, ApiError> {
        let mut names = vec![self.expect_token("an attribute")?];
        while self.rest.next_if_eq(&Token::Comma).is_some() {
            names.push(self.expect_token("an attribute")?);
        }
        Ok(names)
    }

    fn either(&mut self, entity: EntityRef) -> Result<Filter, ApiError> {
        let mut filters = vec![self.both(entity)?];
        while self.keyword("or") {
            filters.push(self.both(entity)?);
        }
        Ok(Filter::Or(filters))
    }

    fn both(&mut self, entity: EntityRef) -> Result<Filter, ApiError> {
        let mut filters = vec![self.condition(entity)?];
        while self.keyword("and") {
            filters.push(self.condition(entity)?);
        }
        Ok(Filter::And(filters))
    }

    fn condition(&mut self, entity: EntityRef) -> Result<Filter, ApiError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(ApiError::parse(format!(
                "The expression nests deeper than {DEPTH} levels."
            )));
        }
        let filter = if self.keyword("not") {
            Filter::Not(Box::new(self.condition(entity)?))
        } else if self.rest.next_if_eq(&Token::Open).is_some() {
            let inner = self.either(entity)?;
            self.close()?;
            inner
        } else {
            let name = self.expect_token("an attribute")?;
            let path = self.path(entity, &name)?;
            self.predicate(&name, path)?
        };
        self.depth -= 1;
        Ok(filter)
    }

    fn predicate(&mut self, name: &str, path: Path) -> Result<Filter, ApiError> {
        let operator = match self.rest.next() {
            Some(Token::Operator(operator)) => operator.to_owned(),
            Some(Token::Word(word)) => word.to_lowercase(),
            other => return Err(unexpected(other, "an operator")),
        };
        let operator = match operator.as_str() {
            "is" | "=" => Operator::Is,
            "is_not" | "!=" => Operator::IsNot,
            "<" | "before" | "less_than" => Operator::Less,
            "<=" => Operator::AtMost,
            ">" | "after" | "greater_than" => Operator::Greater,
            ">=" => Operator::AtLeast,
            "like" => Operator::Like,
            "not_like" => Operator::NotLike,
            "in" => return self.among(name, path),
            "not_in" => return Ok(Filter::Not(Box::new(self.among(name, path)?))),
            "has" | "any" => return self.related(name, path),
            other => {
                return Err(ApiError::parse(format!(
                    "Unknown operator {other:?} after {name:?}."
                )));
            }
        };
        let value = self.value(name, &path)?;
        if path.column.is_none()
            && !(value == Cell::Null && matches!(operator, Operator::Is | Operator::IsNot))
        {
            return Err(ApiError::validation(format!(
                "{name:?} is no plain attribute: it can only be compared with none."
            )));
        }
        Ok(Filter::Compare(path, operator, value))
    }

    fn among(&mut self, name: &str, path: Path) -> Result<Filter, ApiError> {
        if path.column.is_none() {
            return Err(ApiError::validation(format!(
                "{name:?} is no plain attribute."
            )));
        }
        self.open()?;
        let sub_query = matches!(self.rest.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case("select"));
        let filter = if sub_query {
            Filter::InQuery(path, Box::new(self.query()?))
        } else {
            let mut values = Vec::new();
            if self.rest.peek() != Some(&Token::Close) {
                values.push(self.value(name, &path)?);
                while self.rest.next_if_eq(&Token::Comma).is_some() {
                    values.push(self.value(name, &path)?);
                }
            }
            Filter::In(path, values)
        };
        self.close()?;
        Ok(filter)
    }

    fn related(&mut self, name: &str, path: Path) -> Result<Filter, ApiError> {
        let target = match (&path.column, path.relations.last()) {
            (None, Some(relation)) => relation.target,
            _ => {
                return Err(ApiError::validation(format!(
                    "{name:?} leads to no other entity."
                )));
            }
        };
        self.open()?;
        if self.rest.next_if_eq(&Token::Close).is_some() {
            return Ok(Filter::Related(path, None));
        }
        let inner = self.either(target)?;
        self.close()?;
        Ok(Filter::Related(path, Some(Box::new(inner))))
    }

    fn value(&mut self, name: &str, path: &Path) -> Result<Cell, ApiError> {
        let (text, bare) = match self.rest.next() {
            Some(Token::Word(word)) => (word, true),
            Some(Token::Quoted(text)) => (text, false),
            other => return Err(unexpected(other, "a value")),
        };
        if bare && matches!(text.as_str(), "none" | "None" | "null") {
            return Ok(Cell::Null);
        }
        let wrong = |wanted: &str| {
            ApiError::validation(format!("Expected {wanted} for {name:?}, got {text:?}."))
        };
        match path.column.map(|(_, kind)| kind) {
            Some(ColumnKind::Boolean) => match text.to_lowercase().as_str() {
                "true" | "1" => Ok(Cell::Boolean(true)),
                "false" | "0" => Ok(Cell::Boolean(false)),
                _ => Err(wanted_boolean(&wrong)),
            },
            Some(ColumnKind::Number) => match serde_json::from_str(&text) {
                Ok(number) => Ok(Cell::Number(number)),
                Err(_) => Err(wrong("a number")),
            },
            Some(ColumnKind::Moment) => Ok(Cell::text(&text.replacen(' ', "T", 1))),
            Some(ColumnKind::Id | ColumnKind::Text | ColumnKind::Any) | None => {
                Ok(Cell::text(&text))
            }
        }
    }

    fn path(&self, entity: EntityRef, name: &str) -> Result<Path, ApiError> {
        let mut path = Path {
            relations: Vec::new(),
            column: None,
        };
        let mut at = entity;
        for step in name.split('.') {
            let here: &Entity = self.model.entity(at);
            if path.column.is_some() || path.relations.len() >= PATH {
                return Err(ApiError::validation(format!(
                    "{name:?} goes on where nothing follows."
                )));
            }
            match here.property(step)? {
                Property::Column(column) => {
                    path.column = here.columns.get(*column).map(|found| (*column, found.kind))
                }
                Property::Relation(relation) => {
                    at = relation.target;
                    path.relations.push(Arc::clone(relation));
                }
            }
        }
        Ok(path)
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.rest
            .next_if(
                |token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(keyword)),
            )
            .is_some()
    }

    fn expect_token(&mut self, wanted: &str) -> Result<String, ApiError> {
        match self.rest.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(unexpected(other, wanted)),
        }
    }

    fn number(&mut self) -> Result<usize, ApiError> {
        let word = self.expect_token("a number")?;
        word.parse()
            .map_err(|_| ApiError::parse(format!("Expected a number, found {word:?}.")))
    }

    fn open(&mut self) -> Result<(), ApiError> {
        self.rest
            .next_if_eq(&Token::Open)
            .map(drop)
            .ok_or_else(|| ApiError::parse("Expected \"(\"."))
    }

    fn close(&mut self) -> Result<(), ApiError> {
        match self.rest.next() {
            Some(Token::Close) => Ok(()),
            other => Err(unexpected(other, "\")\"")),
        }
    }
}

fn wanted_boolean(wrong: &dyn Fn(&str) -> ApiError) -> ApiError {
    wrong("True or False")
}

impl Filter {
    /// Whether a list of values is asked for.
    pub(super) fn names_values(&self) -> bool {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().any(Self::names_values),
            Self::Not(filter) => filter.names_values(),
            Self::In(..) => true,
            Self::Related(_, filter) => filter.as_deref().is_some_and(Self::names_values),
            Self::Compare(..) | Self::InQuery(..) => false,
        }
    }
}

impl Path {
    /// Whether it stays within the entity.
    pub(super) fn is_local(&self) -> bool {
        self.relations.is_empty()
    }

    /// Whether it leads to at most one value.
    pub(super) fn is_single(&self) -> bool {
        self.relations
            .iter()
            .all(|relation| relation.plurality == Plurality::One)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn refused(expression: &str) -> &'static str {
        parse(&Model::new().unwrap(), expression)
            .unwrap_err()
            .exception
    }

    #[test]
    fn paging_may_come_in_both_orders() {
        let model = Model::new().unwrap();
        for expression in [
            "select id from User offset 10 limit 5",
            "User order by username desc limit 5 offset 10",
        ] {
            let query = parse(&model, expression).unwrap();
            assert_eq!((query.offset, query.limit), (10, Some(5)));
        }
    }

    #[test]
    fn what_is_not_the_language_is_named() {
        for wrong in [
            "",
            "select id",
            "select from User",
            "User where",
            "User where id",
            "User where (id is a",
            "User limit x",
            "User where id in a",
            "User extra",
        ] {
            assert_eq!(refused(wrong), "ParseError", "{wrong}");
        }
        for wrong in [
            "Nobody",
            "select nothing from User",
            "User where memberships.nothing is a",
            "User where is_active is perhaps",
            "User where id has (id is a)",
        ] {
            assert_eq!(refused(wrong), "ValidationError", "{wrong}");
        }
    }

    #[test]
    fn hostile_nesting_ends_in_an_error() {
        for opening in [
            "(",
            "not ",
            "memberships any (user has (",
            "id in (select id from User where ",
        ] {
            assert_eq!(
                refused(&format!("User where {}", opening.repeat(100_000))),
                "ParseError",
                "{opening}"
            );
        }
    }
}
