//! Search filters.

use std::{collections::BTreeSet, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_attribute;

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

    /// A filter of the program's own, which its tests parse.
    pub(in crate::config) fn known(filter: &'static str) -> Self {
        Self(filter.to_owned())
    }

    /// The same without whoever meets one of these conditions, which are filters.
    pub(in crate::config) fn unless(&self, conditions: &[&str]) -> Self {
        if conditions.is_empty() {
            return self.clone();
        }
        let not: String = conditions
            .iter()
            .map(|condition| format!("(!{condition})"))
            .collect();
        Self(format!("(&{}{not})", self.0))
    }
}

/// An attribute in a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asserted<'a> {
    /// Its description, as it is written.
    pub name: &'a str,
    /// Whether a NOT is around it.
    pub is_negated: bool,
}

impl Filter {
    /// The attributes about which it asserts something, each once. (RFC 4515 section 3: parentheses
    /// in values are escaped.)
    #[must_use]
    pub fn attributes(&self) -> BTreeSet<Asserted<'_>> {
        let mut found = BTreeSet::new();
        // For each open parenthesis, whether a NOT is around it.
        let mut open: Vec<bool> = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(place) = rest.find(['(', ')']) {
            let (before, after) = rest.split_at(place + 1);
            rest = after;
            if before.ends_with(')') {
                open.pop();
                continue;
            }
            let is_negated = open.last().copied().unwrap_or_default();
            open.push(is_negated || after.starts_with('!'));
            let name = after.split(['=', '<', '>', '~', ':', '(']).next();
            let name = name.unwrap_or_default().trim();
            if is_attribute(name) {
                found.insert(Asserted { name, is_negated });
            }
        }
        found
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
    let wrong = |why: String| format!("{filter:?} is not a filter (RFC 4515): {why}");
    let mut open = Vec::new();
    let mut deepest = 0;
    for (place, character) in filter.chars().enumerate() {
        match character {
            '(' => open.push(place + 1),
            ')' if open.pop().is_none() => {
                return Err(wrong(format!(
                    "the closing parenthesis at character {} has no opening one",
                    place + 1
                )));
            }
            _ => {}
        }
        deepest = deepest.max(open.len());
    }
    if let Some(place) = open.last() {
        return Err(wrong(format!(
            "the parenthesis at character {place} is not closed"
        )));
    }
    if deepest > DEEPEST {
        return Err(format!(
            "the filter's parentheses are nested deeper than {DEEPEST}"
        ));
    }
    if !filter.starts_with('(') {
        return Err(wrong(
            "it must be in parentheses, such as \"(objectClass=inetOrgPerson)\"".to_owned(),
        ));
    }
    ldap3::parse_filter(filter)
        .map(|_| ())
        .map_err(|()| wrong(why(filter)))
}

/// What is wrong with a filter whose parentheses match: the first part that is wrong by itself.
fn why(filter: &str) -> String {
    let mut opened = None;
    for (place, character) in filter.char_indices() {
        match (character, opened) {
            ('(', _) => opened = Some(place),
            (')', Some(start)) => {
                opened = None;
                let part = filter.get(start..=place).unwrap_or_default();
                if ldap3::parse_filter(part).is_err() {
                    let at = filter.get(..start).unwrap_or_default().chars().count() + 1;
                    return format!(
                        "at character {at}, {part:?} is no condition such as \"(uid=*)\"; \
                         parentheses, * and \\ in a value are written \\28, \\29, \\2a and \\5c"
                    );
                }
            }
            _ => {}
        }
    }
    "its conditions are joined by & (all), | (any) or ! (not), as in \
     \"(&(objectClass=person)(!(uid=svc-*)))\""
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::{Asserted, Filter, check};

    #[test]
    fn the_attributes_of_a_filter() {
        let filter = "(&(objectClass=person)(!(|(uid=svc-*)(cn;lang-en>=\\28x\\29)))(!(a~=b))(memberOf:1.2:=cn=a)\
                      (:dn:2.4.6:=x))";
        let filter: Filter = filter.parse().unwrap();
        let found: Vec<(&str, bool)> = filter
            .attributes()
            .into_iter()
            .map(|Asserted { name, is_negated }| (name, is_negated))
            .collect();
        assert_eq!(
            found,
            [
                ("a", true),
                ("cn;lang-en", true),
                ("memberOf", false),
                ("objectClass", false),
                ("uid", true)
            ]
        );
    }

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
