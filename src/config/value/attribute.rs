//! Names of LDAP attributes, and DNs.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use super::text::line_problem;

/// The DN of a group, or of something else.
#[derive(Debug, Clone)]
pub struct Dn<const IS_GROUP: bool>(String);

/// The DN where a search starts.
pub type Base = Dn<false>;
/// The DN of a group.
pub type GroupDn = Dn<true>;

impl<const IS_GROUP: bool> FromStr for Dn<IS_GROUP> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(problem) = line_problem(text) {
            return Err(problem.to_owned());
        }
        if !is_dn(text) {
            let example = match IS_GROUP {
                true => "cn=artists,ou=groups,dc=studio,dc=test",
                false => "ou=people,dc=studio,dc=test",
            };
            return Err(format!(
                "{text:?} is not a DN (RFC 4514) such as {example:?}"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const IS_GROUP: bool> fmt::Display for Dn<IS_GROUP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const IS_GROUP: bool> From<String> for Dn<IS_GROUP> {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<const IS_GROUP: bool> From<Dn<IS_GROUP>> for String {
    fn from(dn: Dn<IS_GROUP>) -> Self {
        dn.0
    }
}

/// Reads a key that is the name of an LDAP attribute.
pub fn attribute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if is_attribute(&name) {
        Ok(Some(name))
    } else {
        Err(de::Error::custom(format!(
            "{name:?} is not the name of an LDAP attribute (RFC 4512)"
        )))
    }
}

/// Whether text looks like a DN (RFC 4514): parts such as `ou=people`, separated by commas. Only
/// the server can tell what it means.
fn is_dn(text: &str) -> bool {
    let mut escaped = false;
    let is_separator = |character: char| {
        let separates = !escaped && matches!(character, ',' | '+' | ';');
        escaped = !escaped && character == '\\';
        separates
    };
    // Each separator is visited once, so the closure's memory of a backslash stays in step with the
    // text.
    let parts: Vec<&str> = text.split(is_separator).collect();
    parts.iter().all(|part| {
        part.split_once('=')
            .is_some_and(|(name, _)| is_attribute(name.trim()) && !name.contains(';'))
    })
}

/// Whether text is the description of an LDAP attribute (RFC 4512 section 2.5): a name or an OID,
/// with options.
#[must_use]
pub fn is_attribute(text: &str) -> bool {
    let mut parts = text.split(';');
    let is_keyword = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_oid = |text: &str| {
        text.contains('.')
            && text
                .split('.')
                .all(|arc| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_name = |text: &str| {
        is_keyword(text) && text.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    parts
        .next()
        .is_some_and(|name| is_name(name) || is_oid(name))
        && parts.all(is_keyword)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_attributes() {
        for name in [
            "uid",
            "givenName;lang-en",
            "0.9.2342.19200300.100.1.1",
            "userCertificate;binary",
            "x-a1",
        ] {
            assert!(is_attribute(name), "{name}");
        }
        for name in [
            "",
            "given name",
            "1uid",
            "uid;",
            ";x",
            "1",
            "1..2",
            "a_b",
            "é",
            "{{x}}",
            "uid,mail",
        ] {
            assert!(!is_attribute(name), "{name}");
        }
    }

    #[test]
    fn distinguished_names() {
        for dn in [
            "dc=test",
            "ou=people,dc=studio,dc=test",
            r"cn=Lovelace\, Ada,dc=test",
            "cn=a+uid=b, dc=test",
            r"cn=x\\,dc=test",
            "2.5.4.3=x",
        ] {
            assert!(is_dn(dn), "{dn}");
        }
        for dn in [
            "",
            "people",
            "ou=people,,dc=test",
            "ou=people,dc",
            "dc=test,",
            "=x",
            "studio.test",
        ] {
            assert!(!is_dn(dn), "{dn}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "\\PC*|[+=\\\\,;:.a0-9 -]{0,40}") {
            let _ = (is_dn(&text), is_attribute(&text));
        }
    }
}
