//! Search filters.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How deep the parentheses of a filter may nest; the filter parser recurses for each.
const DEEPEST: usize = 64;

/// A search filter (RFC 4515).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "String")]
pub struct Filter(String);

impl Filter {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Filter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        check(&text)?;
        Ok(Self(text))
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(filter: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in filter.bytes() {
        match byte {
            b'(' => depth = depth.saturating_add(1),
            b')' if depth == 0 => {
                return Err(format!(
                    "{filter:?} is not a filter (RFC 4515): a closing parenthesis has no opening \
                     one"
                ));
            }
            b')' => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if depth > 0 {
        return Err(format!(
            "{filter:?} is not a filter (RFC 4515): {depth} of its parentheses are not closed"
        ));
    }
    if deepest > DEEPEST {
        return Err(format!(
            "the filter's parentheses are nested deeper than {DEEPEST}"
        ));
    }
    if !filter.starts_with('(') {
        return Err(format!(
            "{filter:?} is not a filter (RFC 4515): it must be in parentheses, such as \
             \"(objectClass=inetOrgPerson)\""
        ));
    }
    ldap3::parse_filter(filter).map(|_| ()).map_err(|()| {
        format!("{filter:?} is not a filter (RFC 4515), such as \"(objectClass=inetOrgPerson)\"")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::check;

    #[test]
    fn filters() {
        for text in [
            "(uid=*)",
            "(&(objectClass=person)(!(uid=svc-*)))",
            r"(cn=\28x\29)",
            "(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "uid=*",
            "(uid=*",
            "(uid=*))",
            "()",
            "(&(uid=a)",
            "(uid)",
            r"(cn=\2)",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(100_000), ")".repeat(100_000));
        assert!(check(&deep).unwrap_err().contains("nested deeper"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[()&|!*=\\\\:.a0-9]{0,40}") {
            let _ = check(&text);
        }
    }
}
