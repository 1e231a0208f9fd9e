//! Time zones.

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serializer, de};

use crate::config::finding::did_you_mean;

/// A key that is the IANA name of a time zone.
pub struct Zone;

impl Zone {
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }

    pub fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }
}

fn parse(name: &str) -> Result<Tz, String> {
    let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    name.parse().map_err(|_| {
        format!(
            "{name:?} is not an IANA time zone such as \"Europe/Stockholm\"{}",
            did_you_mean(name, names())
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::parse;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[a-zA-Z/_+0-9]{0,40}") {
            let _ = parse(&text);
        }
    }
}
