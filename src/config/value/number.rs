//! Whole numbers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::table::Complete;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy)]
pub struct Number<const MIN: i64, const MAX: i64>(pub i64);

impl<const MIN: i64, const MAX: i64> Number<MIN, MAX> {
    /// The number, or what is wrong with it.
    pub fn within(number: i64) -> Result<Self, String> {
        (MIN..=MAX)
            .contains(&number)
            .then_some(Self(number))
            .ok_or_else(|| format!("{number} is out of range; it must be {MIN} to {MAX}"))
    }
}

impl<const MIN: i64, const MAX: i64> Serialize for Number<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::within(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Number<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "format": "int64", "minimum": MIN, "maximum": MAX})
    }
}

/// The types in which the program uses numbers.
macro_rules! used_as {
    ($($type:ty),*) => {
        $(
            impl<const MIN: i64, const MAX: i64> Complete<$type> for Number<MIN, MAX> {
                fn complete(self) -> Option<$type> {
                    <$type>::try_from(self.0).ok()
                }
            }

            impl<const MIN: i64, const MAX: i64> From<$type> for Number<MIN, MAX> {
                fn from(number: $type) -> Self {
                    Self(i64::try_from(number).unwrap_or(MAX))
                }
            }
        )*
    };
}

used_as!(usize, u32, i32);
