//! Lists of texts.

use std::{borrow::Cow, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{finding::KeyPath, notes::Notes, table::Complete};

/// A list of texts, each parsed; what is wrong with one does not hide what is wrong with another.
#[derive(Debug, Clone)]
pub struct List<V>(Vec<Result<V, String>>);

impl<V> List<V> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements that can be used.
    pub fn usable(&self) -> impl Iterator<Item = &V> {
        self.0.iter().flatten()
    }

    /// Records what is wrong with each element.
    pub fn check(&self, notes: &mut Notes, at: &KeyPath) {
        self.check_with(notes, at, |_| None);
    }

    /// Records what is wrong with each element, by its own form or beside other keys.
    pub fn check_with(
        &self,
        notes: &mut Notes,
        at: &KeyPath,
        problem: impl Fn(&V) -> Option<String>,
    ) {
        for (index, element) in self.0.iter().enumerate() {
            let problem = match element {
                Ok(value) => problem(value),
                Err(problem) => Some(problem.clone()),
            };
            if let Some(problem) = problem {
                notes.find(&at.index(index), problem);
            }
        }
    }
}

impl<V> Default for List<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V, C: Into<V>> From<Vec<C>> for List<V> {
    fn from(values: Vec<C>) -> Self {
        Self(values.into_iter().map(|value| Ok(value.into())).collect())
    }
}

impl<V: Into<C>, C> Complete<Vec<C>> for List<V> {
    fn complete(self) -> Option<Vec<C>> {
        let values = self.0.into_iter();
        values.map(|value| value.ok().map(Into::into)).collect()
    }
}

impl<'de, V: FromStr<Err = String>> Deserialize<'de> for List<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        Ok(Self(texts.iter().map(|text| text.parse()).collect()))
    }
}

impl<V: ToString> Serialize for List<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.usable().map(ToString::to_string))
    }
}

impl<V> JsonSchema for List<V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "List".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<String>::json_schema(generator)
    }
}
