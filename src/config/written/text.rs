//! A duration as it is written.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// A duration as text, such as `90s`, `15m` or `1h 30m`; not yet checked.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Period(pub String);

impl Period {
    /// Not yet checked.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text of exactly this duration, without months and years, whose length is ambiguous.
    #[must_use]
    pub fn of(length: Duration) -> Self {
        let seconds = length.as_secs();
        let fraction = length.subsec_nanos();
        let parts = [
            (seconds / 86_400, "d"),
            (seconds / 3_600 % 24, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
            (u64::from(fraction / 1_000_000), "ms"),
            (u64::from(fraction / 1_000 % 1_000), "us"),
            (u64::from(fraction % 1_000), "ns"),
        ];
        let words: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, unit)| format!("{count}{unit}"))
            .collect();
        if words.is_empty() {
            Self::new("0s")
        } else {
            Self(words.join(" "))
        }
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a duration in quotes, such as "90s", "15m" or "1h 30m","#)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_of_time_is_short() {
        for text in ["0s", "90d", "1h 30m", "1m", "100ms", "36525d"] {
            assert_eq!(Period::of(humantime::parse_duration(text).unwrap()).0, text);
        }
    }

    proptest! {
        #[test]
        fn it_reads_back_as_the_same_length(seconds in 0_u64..1 << 40, nanoseconds in 0_u32..1_000_000_000) {
            let length = Duration::new(seconds, nanoseconds);
            prop_assert_eq!(humantime::parse_duration(&Period::of(length).0).unwrap(), length);
        }
    }
}
