//! Limits on changes and entries.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Number;
use crate::config::table::Complete;

/// A count, or a percentage.
// Of the active users that the job owns, of all active users, or of the entries that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Limit {
    /// The number of changes or entries.
    Count(#[schemars(with = "i64", range(min = 0))] usize),
    /// A percentage, such as `10%`.
    Percent(#[schemars(with = "String", regex(pattern = r"^[0-9]{1,3}%$"))] u8),
}

const EXPECTED: &str =
    r#"a count such as 25, or a percentage in quotes such as "10%", is expected"#;

// Not derived: for an untagged enum, serde cannot report what is wrong with a count.
impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountOrPercent;
        impl<'de> de::Visitor<'de> for CountOrPercent {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Limit, E> {
                let count = Number::<0, 100_000_000>::within(count).map_err(E::custom)?;
                count
                    .complete()
                    .map(Limit::Count)
                    .ok_or_else(|| E::custom(EXPECTED))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                percentage(text).map(Limit::Percent).map_err(E::custom)
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Limit, E> {
                Err(E::custom(EXPECTED))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Limit, E> {
                Err(E::custom(EXPECTED))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Limit, A::Error> {
                Err(de::Error::custom(EXPECTED))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<Limit, A::Error> {
                Err(de::Error::custom(EXPECTED))
            }
        }
        deserializer.deserialize_any(CountOrPercent)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::Percent(percent) => serializer.collect_str(&format_args!("{percent}%")),
        }
    }
}

fn percentage(text: &str) -> Result<u8, String> {
    text.trim()
        .strip_suffix('%')
        .and_then(|number| number.trim_end().parse::<u8>().ok())
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| match text.trim().parse::<u32>() {
            Ok(count) => format!(
                "{text:?} is neither a count, which is written without quotes, nor a percentage \
                 such as \"{}%\"",
                count.min(100)
            ),
            Err(_) => format!(
                "{text:?} is neither a count such as 25 nor a percentage from \"0%\" to \"100%\""
            ),
        })
}
