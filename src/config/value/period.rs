//! Durations.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::table::Complete;

/// In milliseconds, as the bounds of a [`Period`].
pub const SECOND: u64 = 1_000;
pub const HOUR: u64 = 3_600 * SECOND;
pub const DAY: u64 = 24 * HOUR;
pub const YEAR: u64 = 365 * DAY;
/// A hundred years: longer than any setting needs, and safe to add to a date without overflow.
pub const CENTURY: u64 = 36_525 * DAY;

/// A duration from `MIN` to `MAX` milliseconds, written such as `90s`, `15m` or `1h 30m`.
#[derive(Debug, Clone)]
pub struct Period<const MIN: u64, const MAX: u64> {
    length: Duration,
    text: String,
}

impl<const MIN: u64, const MAX: u64> Period<MIN, MAX> {
    pub fn seconds(count: u64) -> Self {
        Self::of(count, 1, "s")
    }

    pub fn minutes(count: u64) -> Self {
        Self::of(count, 60, "m")
    }

    pub fn hours(count: u64) -> Self {
        Self::of(count, 3_600, "h")
    }

    pub fn days(count: u64) -> Self {
        Self::of(count, 24 * 3_600, "d")
    }

    /// How long it is.
    pub const fn length(&self) -> Duration {
        self.length
    }

    fn of(count: u64, seconds: u64, unit: &str) -> Self {
        Self {
            length: Duration::from_secs(count.saturating_mul(seconds)),
            text: format!("{count}{unit}"),
        }
    }
}

impl<const MIN: u64, const MAX: u64> From<Duration> for Period<MIN, MAX> {
    fn from(length: Duration) -> Self {
        Self {
            length,
            text: written(length),
        }
    }
}

impl<const MIN: u64, const MAX: u64> Complete<Duration> for Period<MIN, MAX> {
    fn complete(self) -> Option<Duration> {
        Some(self.length)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Period<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Period<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_str(Text)?;
        let bounds = Duration::from_millis(MIN)..=Duration::from_millis(MAX);
        match humantime::parse_duration(text.trim()) {
            Ok(length) if bounds.contains(&length) => Ok(Self { length, text }),
            Ok(_) => Err(de::Error::custom(format!(
                "{text:?} is out of range; it must be {} to {}",
                written(*bounds.start()),
                written(*bounds.end())
            ))),
            Err(_) => Err(de::Error::custom(format!(
                "{text:?} is not a duration such as \"90s\", \"15m\" or \"1h 30m\""
            ))),
        }
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Period<MIN, MAX> {
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

struct Text;

impl de::Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a duration in quotes, such as "90s", "15m" or "1h 30m","#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// The text of exactly this duration, without months and years, whose length is ambiguous.
fn written(length: Duration) -> String {
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
        "0s".to_owned()
    } else {
        words.join(" ")
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
            assert_eq!(written(humantime::parse_duration(text).unwrap()), text);
        }
    }

    proptest! {
        #[test]
        fn it_reads_back_as_the_same_length(seconds in 0_u64..1 << 40, nanoseconds in 0_u32..1_000_000_000) {
            let length = Duration::new(seconds, nanoseconds);
            prop_assert_eq!(humantime::parse_duration(&written(length)).unwrap(), length);
        }
    }
}
