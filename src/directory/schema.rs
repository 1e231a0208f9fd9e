//! The attribute types of a server's schema (RFC 4512 sections 4.1.2 and 4.2).

use std::{
    collections::{HashMap, HashSet},
    iter,
};

use super::{
    budget::Budget, connection::Connection, error::DirectoryError, lookup::look, range,
    server::RootDse,
};

/// The most attribute types of a schema; Active Directory has about 1,500.
const MOST_TYPES: usize = 50_000;
/// The longest chain of supertypes that is followed.
const DEEPEST: usize = 32;
/// How similar a name must be to be suggested, from 0 to 1.
const NEAR_ENOUGH: f64 = 0.85;

/// The attribute types of a server's schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    types: Vec<AttributeType>,
    /// The position of each type by its names and OID, in lower case.
    by_name: HashMap<String, usize>,
}

/// One attribute type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeType {
    oid: String,
    /// As the schema writes them, the canonical one first; some types have none.
    names: Vec<String>,
    /// The name or OID of the type that it is derived from.
    sup: Option<String>,
}

impl Schema {
    /// Reads the schema that the root DSE points to; none when it points nowhere or shows nothing
    /// there.
    ///
    /// # Errors
    /// Everything but an answer; a refusal to show the schema is one.
    pub async fn read(
        connection: &mut Connection,
        root: &RootDse,
    ) -> Result<Option<Self>, DirectoryError> {
        let Some(place) = &root.schema else {
            return Ok(None);
        };
        let wanted = ["attributeTypes"];
        let answer = look(connection, place, "(objectClass=subschema)", &wanted).await;
        let mut entry = match answer {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Referred { .. }) => {
                return Ok(None);
            }
            Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        // Active Directory may return the types in parts.
        let gaps = range::started(&mut entry).map_err(|reason| connection.garbled(&reason))?;
        range::complete(connection, &mut entry, gaps, &mut Budget::of_a_schema()).await?;
        let descriptions = entry.values("attributeTypes");
        if descriptions.len() > MOST_TYPES {
            return Err(DirectoryError::TooMuch {
                server: connection.server().into(),
                reason: format!("its schema has more than {MOST_TYPES} attribute types"),
            });
        }
        let texts = descriptions
            .iter()
            .map(|value| String::from_utf8_lossy(value));
        Ok(Some(Self::of(texts)).filter(|schema| !schema.types.is_empty()))
    }

    /// The schema with these attribute type descriptions; those that are none are left out.
    pub(super) fn of<S: AsRef<str>>(descriptions: impl IntoIterator<Item = S>) -> Self {
        let mut schema = Self::default();
        let types = descriptions.into_iter();
        for kind in types.filter_map(|text| AttributeType::parse(text.as_ref())) {
            let place = schema.types.len();
            for name in kind.spellings() {
                schema
                    .by_name
                    .entry(name.to_ascii_lowercase())
                    .or_insert(place);
            }
            schema.types.push(kind);
        }
        schema
    }

    /// The attribute type of a description, ignoring case and options.
    #[must_use]
    pub fn find(&self, attribute: &str) -> Option<&AttributeType> {
        let plain = attribute.split(';').next().unwrap_or_default();
        let place = self.by_name.get(&plain.to_ascii_lowercase())?;
        self.types.get(*place)
    }

    /// Whether one type is derived from another, directly or not.
    pub(super) fn is_derived(&self, kind: &AttributeType, from: &AttributeType) -> bool {
        let supertypes = iter::successors(Some(kind), |kind| self.find(kind.sup.as_deref()?));
        let mut supertypes = supertypes.skip(1).take(DEEPEST);
        supertypes.any(|supertype| supertype.oid == from.oid)
    }

    /// The most similar name, if one is similar enough.
    #[must_use]
    pub fn nearest(&self, attribute: &str) -> Option<&str> {
        let plain = attribute.split(';').next().unwrap_or_default();
        let wanted = plain.to_ascii_lowercase();
        let names = self.types.iter().flat_map(|kind| &kind.names);
        let rated = names.map(|name| {
            let likeness = strsim::jaro_winkler(&name.to_ascii_lowercase(), &wanted);
            (likeness, name.as_str())
        });
        rated
            .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
    }
}

impl AttributeType {
    /// The name under which a server answers; the OID where there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.names.first().unwrap_or(&self.oid)
    }

    /// Whether this is one of its names, or its OID, ignoring case.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.spellings()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    fn spellings(&self) -> impl Iterator<Item = &str> {
        iter::once(&self.oid).chain(&self.names).map(String::as_str)
    }

    /// Parses an attribute type description (RFC 4512 section 4.1.2); `None` when it is none.
    fn parse(description: &str) -> Option<Self> {
        let mut words = Words(description.trim_start().strip_prefix('(')?);
        let oid = words.next().filter(|word| !matches!(*word, "(" | ")"))?;
        let mut kind = Self {
            oid: oid.trim_matches('\'').to_owned(),
            names: Vec::new(),
            sup: None,
        };
        let mut seen = HashSet::new();
        while let Some(word) = words.next() {
            // A word that occurs again, or inside of a list, is not that of the description.
            match word {
                "NAME" if seen.insert(word) => kind.names = words.quoted(),
                "SUP" if seen.insert(word) => kind.sup = words.next().map(str::to_owned),
                "(" => while words.next().is_some_and(|word| word != ")") {},
                _ => {}
            }
        }
        Some(kind)
    }
}

/// The words, quoted strings and parentheses of a description.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// One quoted name, or several in parentheses.
    fn quoted(&mut self) -> Vec<String> {
        let plain = |word: &str| word.trim_matches('\'').to_owned();
        match self.next() {
            Some("(") => iter::from_fn(|| self.next().filter(|word| *word != ")"))
                .map(plain)
                .collect(),
            Some(word) if word.starts_with('\'') => vec![plain(word)],
            Some(_) | None => Vec::new(),
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let first = rest.chars().next()?;
        let length = match first {
            '(' | ')' => 1,
            '\'' => rest.get(1..)?.find('\'').map_or(rest.len(), |end| end + 2),
            _ => rest
                .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\''))
                .unwrap_or(rest.len()),
        };
        let (word, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn names(description: &str) -> Vec<String> {
        let kind = AttributeType::parse(description);
        kind.iter()
            .flat_map(AttributeType::spellings)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn names_of_attribute_types() {
        assert_eq!(
            names(
                "( 2.5.4.4 NAME ( 'sn' 'surname' ) DESC 'RFC2256: last (family) name' SUP name )"
            ),
            ["2.5.4.4", "sn", "surname"]
        );
        assert_eq!(
            names("(1.3 NAME 'employeeType' DESC 'it''s')"),
            ["1.3", "employeeType"]
        );
        assert_eq!(names("( 1.4 DESC 'no NAME here' )"), ["1.4"]);
        assert_eq!(
            names("( oid-of-389 NAME('a''b') )"),
            ["oid-of-389", "a", "b"]
        );
        for none in ["", "()", "2.5.4.4", "("] {
            assert_eq!(names(none), [] as [String; 0], "{none}");
        }
    }

    #[test]
    fn types_are_found_by_any_of_their_names() {
        let schema = Schema::of([
            "( 2.5.4.41 NAME 'name' )",
            "( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )",
            "( 9.9 NAME 'odd' SUP odd )",
        ]);
        for name in ["SN", "surname", "2.5.4.4", "surName;lang-en"] {
            assert_eq!(schema.find(name).unwrap().name(), "sn", "{name}");
        }
        assert_eq!(schema.find("surnam"), None);
        assert_eq!(schema.nearest("surnam"), Some("surname"));
        let [name, sn, odd] = ["name", "sn", "odd"].map(|name| schema.find(name).unwrap());
        assert!(schema.is_derived(sn, name) && !schema.is_derived(name, sn));
        assert!(!schema.is_derived(sn, sn) && schema.is_derived(odd, odd));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[()' A-Z.a0-9é-]{0,60}") {
            let schema = Schema::of([&text]);
            let _ = (schema.find(&text), schema.nearest(&text));
        }
    }
}
