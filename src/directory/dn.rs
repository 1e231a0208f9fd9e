//! Distinguished names, parsed from text (RFC 4514) and normalised for comparison, since servers
//! spell one name in several ways. No I/O.

use crate::config::Scope;

/// A DN for which the spelling does not matter: case, blanks around separators, and which
/// characters are escaped.
///
/// Attribute types are compared by their names as written; values ignore case, as servers do for
/// almost all attributes used in DNs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dn(
    /// The RDNs, from the root to the entry.
    Vec<String>,
);

impl Dn {
    /// Parses a DN; the empty text is the root, and `None` means that the text is not a DN.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self(Vec::new()));
        }
        let mut rdns = Vec::new();
        for rdn in split(text, |separator| matches!(separator, ',' | ';')) {
            let mut parts = split(rdn, |separator| separator == '+')
                .map(part)
                .collect::<Option<Vec<_>>>()?;
            parts.sort_unstable();
            rdns.push(parts.join("+"));
        }
        rdns.reverse();
        Some(Self(rdns))
    }

    /// The DN as one text, by which DNs are found; equal DNs have equal texts, and others have not.
    #[must_use]
    pub fn key(&self) -> Box<str> {
        // Blanks are single spaces, so this separates nothing within a value.
        self.0.join("\n").into()
    }

    /// The number of RDNs below another DN (0 for the same DN); `None` when it is not below it.
    #[must_use]
    pub fn depth_below(&self, base: &Self) -> Option<usize> {
        self.0.strip_prefix(base.0.as_slice()).map(<[String]>::len)
    }

    /// Whether a search with that base and scope covers it (RFC 4511 section 4.5.1.2).
    #[must_use]
    pub fn lies_in(&self, base: &Self, scope: Scope) -> bool {
        match (self.depth_below(base), scope) {
            (Some(_), Scope::Subtree) | (Some(1), Scope::One) => true,
            (Some(_), Scope::One) | (None, _) => false,
        }
    }
}

/// The values in the name of the entry itself, its RDN, without escapes; none where the text is not
/// a DN.
#[must_use]
pub fn naming_values(dn: &str) -> Vec<String> {
    let rdn = split(dn, |separator| matches!(separator, ',' | ';')).next();
    let parts = split(rdn.unwrap_or_default(), |separator| separator == '+');
    parts
        .filter_map(|part| unescaped(part.split_once('=')?.1))
        .collect()
}

/// The parts of a text between unescaped separators.
fn split(text: &str, is_separator: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |character: char| {
        let separates = !escaped && is_separator(character);
        escaped = !escaped && character == '\\';
        separates
    })
}

/// One attribute of an RDN, as `type=value`.
fn part(text: &str) -> Option<String> {
    let (kind, value) = text.split_once('=')?;
    let kind = kind.trim().to_ascii_lowercase();
    let value = unescaped(value)?;
    // Separators and equals signs of a value must not be confused with those of the name.
    let value = value
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    (!kind.is_empty())
        .then(|| format!("{kind}={}", value.replace('\\', "\\\\").replace('+', "\\+")))
}

/// A value without its escapes; `None` where one is incomplete.
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.trim_start().as_bytes();
    // A trailing blank belongs to the value only when it is escaped.
    let mut kept = 0;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            kept = if *first == b' ' { kept } else { bytes.len() };
            continue;
        }
        let pair = rest
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        if let Some(byte) = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            bytes.push(byte);
            rest = rest.get(2..).unwrap_or_default();
        } else {
            let (escaped, after) = rest.split_first()?;
            bytes.push(*escaped);
            rest = after;
        }
        kept = bytes.len();
    }
    bytes.truncate(kept);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn one_name_in_many_spellings_is_one_name() {
        for (one, other) in [
            (
                "uid=ada,ou=people,dc=studio,dc=test",
                "UID=Ada, OU=People , DC=studio,dc=TEST",
            ),
            (r"cn=Holm\, Anna,dc=test", r"cn=Holm\2C Anna,dc=test"),
            (r"cn=\C3\85sa,dc=test", "cn=Åsa,dc=test"),
            ("cn=a+uid=b,dc=test", "UID=b+CN=a,dc=test"),
            ("cn=a  b,dc=test", "cn=a b,dc=test"),
            ("cn=a;dc=test", "cn=a,dc=test"),
        ] {
            assert_eq!(dn(one), dn(other), "{one} {other}");
        }
        for (one, other) in [
            ("cn=a,dc=test", "cn=b,dc=test"),
            (r"cn=a\,dc=test", "cn=a,dc=test"),
            (r"cn=a\+b=c,dc=test", "cn=a+b=c,dc=test"),
        ] {
            assert_ne!(dn(one), dn(other), "{one} {other}");
        }
        for none in ["people", "=x", "cn=a,,dc=test", "cn=a\\"] {
            assert_eq!(Dn::parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_name_of_an_entry() {
        assert_eq!(
            naming_values("cn=Holm\\, Anna+uid=anna,dc=test"),
            ["Holm, Anna", "anna"]
        );
        assert_eq!(naming_values("people"), [] as [String; 0]);
    }

    #[test]
    fn what_lies_in_a_base() {
        let base = dn("ou=people,dc=test");
        for (text, subtree, one) in [
            ("uid=ada,ou=people,dc=test", true, true),
            ("uid=ada,ou=a,OU=People,dc=test", true, false),
            ("ou=people,dc=test", true, false),
            ("uid=ada,ou=more people,dc=test", false, false),
            ("dc=test", false, false),
        ] {
            assert_eq!(dn(text).lies_in(&base, Scope::Subtree), subtree, "{text}");
            assert_eq!(dn(text).lies_in(&base, Scope::One), one, "{text}");
        }
        assert!(base.lies_in(&dn(""), Scope::Subtree));
    }
}
