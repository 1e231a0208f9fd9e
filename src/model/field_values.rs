//! The columns that a change writes, as a report keeps them. No I/O.

use std::{collections::BTreeMap, slice, vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::edit::{Field, Values};

/// Columns with their old and new values, in the order of the columns, each once.
///
/// A report may have as many as there are people; a map would keep room for eleven columns of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldValues(Box<[(Field, Values)]>);

type Parts<'v> = fn(&'v (Field, Values)) -> (&'v Field, &'v Values);

impl FieldValues {
    /// The columns with their values.
    pub fn iter(&self) -> std::iter::Map<slice::Iter<'_, (Field, Values)>, Parts<'_>> {
        self.0.iter().map(|(field, values)| (field, values))
    }

    /// The columns.
    pub fn keys(&self) -> impl Iterator<Item = &Field> + Clone {
        self.0.iter().map(|(field, _)| field)
    }

    /// The values of a column.
    #[must_use]
    pub fn get(&self, field: &Field) -> Option<&Values> {
        let mut all = self.0.iter();
        all.find_map(|(known, values)| (known == field).then_some(values))
    }

    /// Whether a column is among them.
    #[must_use]
    pub fn contains_key(&self, field: &Field) -> bool {
        self.get(field).is_some()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a column out.
    pub fn remove(&mut self, field: &Field) {
        let all = std::mem::take(&mut self.0).into_iter();
        self.0 = all.filter(|(known, _)| known != field).collect();
    }
}

impl From<BTreeMap<Field, Values>> for FieldValues {
    fn from(fields: BTreeMap<Field, Values>) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl FromIterator<(Field, Values)> for FieldValues {
    fn from_iter<I: IntoIterator<Item = (Field, Values)>>(fields: I) -> Self {
        let fields: BTreeMap<Field, Values> = fields.into_iter().collect();
        fields.into()
    }
}

impl Extend<(Field, Values)> for FieldValues {
    fn extend<I: IntoIterator<Item = (Field, Values)>>(&mut self, more: I) {
        *self = std::mem::take(self).into_iter().chain(more).collect();
    }
}

impl IntoIterator for FieldValues {
    type Item = (Field, Values);
    type IntoIter = vec::IntoIter<(Field, Values)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'v> IntoIterator for &'v FieldValues {
    type Item = (&'v Field, &'v Values);
    type IntoIter = std::iter::Map<slice::Iter<'v, (Field, Values)>, Parts<'v>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for FieldValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for FieldValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::<Field, Values>::deserialize(deserializer).map(Into::into)
    }
}
