//! One TOML text: its values as figment has them, and the line of each key.

use std::{collections::BTreeMap, path::Path};

use figment::value::{Dict, Value};
use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::finding::{Finding, KeyPath, Place};

/// The values of one text, and where each was written.
#[derive(Default)]
pub struct Document {
    pub values: Dict,
    /// The place of each key and list element.
    pub places: BTreeMap<KeyPath, Place>,
    /// Errors in the text itself.
    pub findings: Vec<Finding>,
}

/// Parses the text of a file; what cannot be parsed is a finding, and the rest is used.
///
/// Messages contain the parser's own words, never the text around the error, which may be a
/// password.
#[must_use]
pub fn parse(path: &Path, text: &str) -> Document {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        path,
        line_ends: line_ends(text),
        document: Document::default(),
    };
    let mut told: Vec<usize> = Vec::new();
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        let line = reader.line(offset);
        let lacks_quotes = lacks_quotes(around(text, offset));
        // An error on the line after another, as after a missing quote, is usually a consequence of
        // it; a line that lacks quotes itself is not.
        let is_after = told.last().is_some_and(|before| line <= before + 1);
        if told.contains(&line) || (is_after && !lacks_quotes) {
            continue;
        }
        told.push(line);
        let words = if lacks_quotes {
            "text goes in quotes: key = \"text\"".to_owned()
        } else {
            in_words(error.message(), written(text, error.span()))
        };
        let problem = format!("not TOML: {words}");
        reader.find(reader.place(offset), KeyPath::default(), problem);
    }
    reader.document.values = reader.table(&KeyPath::default(), table.get_ref());
    reader.document
}

/// The text that an error is about, if it cannot be more than a key.
fn written(text: &str, span: Option<std::ops::Range<usize>>) -> Option<&str> {
    let written = text.get(span?)?.trim_matches(['"', '\'']);
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64)
        .contains(&written.len())
        .then_some(written)
        .filter(|written| written.bytes().all(is_key))
}

/// The line at an offset.
fn around(text: &str, offset: usize) -> &str {
    let offset = text.floor_char_boundary(offset);
    let (before, after) = text.split_at(offset);
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let end = after.find('\n').map_or(text.len(), |end| offset + end);
    text.get(start..end).unwrap_or_default()
}

/// Whether a line of TOML is a key and text without quotes, such as `filter = (uid=*)`.
fn lacks_quotes(line: &str) -> bool {
    let Some((key, value)) = line.split_once('=') else {
        return false;
    };
    let is_key =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'"' | b' ');
    if key.trim().is_empty() || !key.bytes().all(is_key) {
        return false;
    }
    let value = value.trim_start_matches(['[', ' ', '\t']).trim_end();
    let is_text = value.starts_with("{{") || !value.starts_with(['"', '\'', '{', ']', '#']);
    is_text && !value.is_empty() && DeValue::parse(value).is_err()
}

/// The parser's words, and what to do about the errors that are made most.
fn in_words(message: &str, written: Option<&str>) -> String {
    match written {
        Some(key) if message.starts_with("duplicate key") => {
            format!("{key:?} is written twice in this table; remove one")
        }
        _ if message.contains("escape") || message.contains("unicode value") => {
            "in \"…\" a backslash is written twice, as \\\\; or put the text in single quotes '…'"
                .to_owned()
        }
        _ => message.to_owned(),
    }
}

/// Parses one TOML value, such as a number or a list in an environment variable; `None` when it is
/// not one.
#[must_use]
pub fn parse_value(text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    let mut reader = Reader {
        path: Path::new(""),
        line_ends: Vec::new(),
        document: Document::default(),
    };
    let value = reader.value(&KeyPath::default(), &value)?;
    reader.document.findings.is_empty().then_some(value)
}

struct Reader<'p> {
    path: &'p Path,
    line_ends: Vec<usize>,
    document: Document,
}

impl Reader<'_> {
    fn table(&mut self, at: &KeyPath, table: &DeTable<'_>) -> Dict {
        let mut dict = Dict::new();
        for (key, value) in table {
            let name = key.get_ref();
            let at = at.key(name);
            let place = self.place(key.span().start);
            self.document.places.insert(at.clone(), place);
            if let Some(value) = self.value(&at, value) {
                dict.insert(name.clone().into_owned(), value);
            }
        }
        dict
    }

    /// A value; `None`, and a finding, when it cannot be used.
    fn value(&mut self, at: &KeyPath, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let place = self.place(value.span().start);
        match value.get_ref() {
            DeValue::String(text) => Some(Value::from(text.clone().into_owned())),
            DeValue::Boolean(truth) => Some(Value::from(*truth)),
            DeValue::Integer(number) => integer(number)
                .map(Value::from)
                .or_else(|| self.unusable(place, at, "the number is too large")),
            DeValue::Float(number) => number
                .as_str()
                .parse::<f64>()
                .ok()
                .map(Value::from)
                .or_else(|| self.unusable(place, at, "not a number")),
            DeValue::Datetime(_) => self.unusable(
                place,
                at,
                "a date is not expected here; text goes in quotes",
            ),
            DeValue::Array(elements) => {
                let mut values = Vec::with_capacity(elements.len());
                for (index, element) in elements.iter().enumerate() {
                    let at = at.index(index);
                    let place = self.place(element.span().start);
                    self.document.places.insert(at.clone(), place);
                    values.extend(self.value(&at, element));
                }
                Some(Value::from(values))
            }
            DeValue::Table(table) => Some(Value::from(self.table(at, table))),
        }
    }

    /// Records an error and omits the value, so that the rest is still checked.
    fn unusable(&mut self, place: Place, at: &KeyPath, problem: &str) -> Option<Value> {
        self.find(place, at.clone(), problem.to_owned());
        None
    }

    fn find(&mut self, place: Place, key: KeyPath, problem: String) {
        self.document.findings.push(Finding {
            place,
            key,
            problem,
        });
    }

    fn place(&self, offset: usize) -> Place {
        Place::File {
            path: self.path.to_owned(),
            line: Some(self.line(offset)),
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn line_ends(text: &str) -> Vec<usize> {
    text.bytes()
        .enumerate()
        .filter_map(|(offset, byte)| (byte == b'\n').then_some(offset))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_key_has_its_line() {
        let document = parse(
            Path::new("c.toml"),
            "a = 1\n\n[b.c]\nd = [\n  \"x\",\n  \"y\",\n]\n",
        );
        let top = KeyPath::default();
        let line = |key: &KeyPath| match document.places.get(key).unwrap() {
            Place::File { line, .. } => line.unwrap(),
            Place::Variable(name) => panic!("{name}"),
        };
        assert_eq!(line(&top.key("a")), 1);
        assert_eq!(line(&top.key("b").key("c")), 3);
        assert_eq!(line(&top.key("b").key("c").key("d").index(1)), 6);
        assert!(document.findings.is_empty());
    }

    #[test]
    fn faults_are_named_by_line_and_never_quote_the_text() {
        let document = parse(
            Path::new("c.toml"),
            "password = hunter2\nother = 1\nother = 2\nday = 1979-05-27\nbig = \
             99999999999999999999\n",
        );
        let lines: Vec<_> = document.findings.iter().map(ToString::to_string).collect();
        let text = lines.join("\n");
        assert!(!text.contains("hunter2"), "{text}");
        for start in [
            "c.toml:1: not TOML: ",
            "c.toml:3: not TOML: ",
            "c.toml:4: day: a date",
            "c.toml:5: big: the number",
        ] {
            assert!(
                lines.iter().any(|line| line.starts_with(start)),
                "{start} is not in:\n{text}"
            );
        }
    }

    #[test]
    fn bottomless_nesting_is_refused() {
        for (open, close) in [("[", "]"), ("{a=", "}"), ("{a.b.c=[", "]}")] {
            let value = format!("{}1{}", open.repeat(50_000), close.repeat(50_000));
            assert!(parse_value(&value).is_none());
            assert!(
                !parse(Path::new("c.toml"), &format!("a = {value}"))
                    .findings
                    .is_empty()
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[\\[\\]{}=\"'.,a1\n#_-]{0,80}") {
            let _ = parse(Path::new("c.toml"), &text);
            let _ = parse_value(&text);
        }
    }
}
