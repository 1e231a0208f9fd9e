//! A length of time as it is written.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A length of time as text, such as `90s`, `15m` or `1h 30m`; not yet checked.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Period(pub String);

impl Period {
    /// Takes the text of a length of time.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a length of time in quotes, such as "90s", "15m" or "1h 30m","#)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                Ok(Period::new(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "examples": ["0s", "15m", "1h 30m", "90d"]})
    }
}
