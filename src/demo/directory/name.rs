//! Distinguished names, parsed from text (RFC 4514) and normalised for comparison.

use super::schema::{self, AttributeType};

/// A DN without its spelling: equal names are equal values, and a name sorts right before
/// everything below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(Vec<String>);

/// One attribute value of an RDN, as it was written.
pub(super) struct NamingValue {
    pub(super) kind: &'static AttributeType,
    pub(super) value: String,
}

/// Text that is not a DN, or that uses an attribute that this directory does not know.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a DN that this directory understands")]
pub struct InvalidDn(String);

impl Name {
    /// Parses a DN; the empty text is the root.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidDn> {
        let invalid = || InvalidDn(text.to_owned());
        let rdns = rdns(text).ok_or_else(invalid)?;
        rdns.iter()
            .rev()
            .map(|rdn| normal_rdn(rdn))
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(invalid)
    }

    /// The naming values of the leaf RDN of a DN.
    pub(super) fn naming_values(text: &str) -> Result<Vec<NamingValue>, InvalidDn> {
        let leaf = rdns(text).and_then(|rdns| rdns.into_iter().next());
        leaf.ok_or_else(|| InvalidDn(text.to_owned()))
    }

    /// The name right above; `None` for the root.
    pub(super) fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, above)| Self(above.to_vec()))
    }

    /// Whether it is the root, above every naming context.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of RDNs below `base`; `None` when it is not `base` or below it.
    pub(super) fn depth_below(&self, base: &Self) -> Option<usize> {
        self.0.strip_prefix(base.0.as_slice()).map(<[String]>::len)
    }

    /// The same place relative to `to` that this name has relative to `from`; itself when it is not
    /// below `from`.
    pub(super) fn moved(&self, from: &Self, to: &Self) -> Self {
        match self.0.strip_prefix(from.0.as_slice()) {
            Some(below) => Self([to.0.as_slice(), below].concat()),
            None => self.clone(),
        }
    }

    /// One byte string that is equal for equal names.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.join("\0").into_bytes()
    }
}

/// The first `count` RDNs of a DN as they were written, without the comma after them.
pub(super) fn leading_rdns(text: &str, count: usize) -> &str {
    let mut commas = unescaped_commas(text);
    match count.checked_sub(1) {
        Some(last) => commas
            .nth(last)
            .and_then(|end| text.get(..end))
            .unwrap_or(text),
        None => "",
    }
}

fn unescaped_commas(text: &str) -> impl Iterator<Item = usize> {
    let mut escaped = false;
    text.char_indices().filter_map(move |(at, letter)| {
        let comma = letter == ',' && !escaped;
        escaped = letter == '\\' && !escaped;
        comma.then_some(at)
    })
}

fn normal_rdn(rdn: &[NamingValue]) -> Option<String> {
    let mut parts = Vec::with_capacity(rdn.len());
    for NamingValue { kind, value } in rdn {
        let prepared = String::from_utf8(kind.prepare(value.as_bytes())?).ok()?;
        parts.push(format!(
            "{}={}",
            kind.oid,
            prepared
                .replace('\\', "\\\\")
                .replace('+', "\\+")
                .replace('\0', "\\0")
        ));
    }
    parts.sort_unstable();
    Some(parts.join("+"))
}

/// The RDNs of a DN, the leaf first; `None` when the text is no DN.
fn rdns(text: &str) -> Option<Vec<Vec<NamingValue>>> {
    if text.trim().is_empty() {
        return Some(Vec::new());
    }
    let mut rest = text;
    let (mut rdns, mut rdn) = (Vec::new(), Vec::new());
    loop {
        let (kind, after) = rest.split_once('=')?;
        let kind = schema::attribute_type(kind.trim())?;
        let (value, end, after) = naming_value(after)?;
        rdn.push(NamingValue { kind, value });
        match end {
            Some('+') => {}
            Some(_) => rdns.push(std::mem::take(&mut rdn)),
            None => {
                rdns.push(rdn);
                return Some(rdns);
            }
        }
        rest = after;
    }
}

/// A value with its escapes undone (RFC 4514 section 2.4), the separator that ended it, and the
/// rest.
///
/// Spaces around it are ignored unless they are escaped. The `#` form, a value in BER, is not
/// supported.
fn naming_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        return None;
    }
    let mut value: Vec<u8> = Vec::new();
    let mut significant = 0;
    let mut letters = text.chars();
    let end = loop {
        match letters.next() {
            None => break None,
            Some(end @ (',' | '+')) => break Some(end),
            Some('"' | ';' | '<' | '>' | '\0') => return None,
            Some(' ') => value.push(b' '),
            Some('\\') => {
                value.push(escaped(&mut letters)?);
                significant = value.len();
            }
            Some(letter) => {
                value.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                significant = value.len();
            }
        }
    };
    value.truncate(significant);
    let value = String::from_utf8(value)
        .ok()
        .filter(|value| !value.is_empty())?;
    Some((value, end, letters.as_str()))
}

/// The byte after a backslash: a special letter, or two hexadecimal digits.
fn escaped(letters: &mut std::str::Chars<'_>) -> Option<u8> {
    let first = letters.next()?;
    if let Some(high) = first.to_digit(16) {
        let low = letters.next()?.to_digit(16)?;
        return u8::try_from(high * 16 + low).ok();
    }
    matches!(
        first,
        '"' | '+' | ',' | ';' | '<' | '>' | ' ' | '#' | '=' | '\\'
    )
    .then(|| u8::try_from(first).ok())?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn same(one: &str, other: &str) {
        assert_eq!(Name::parse(one).unwrap(), Name::parse(other).unwrap());
    }

    #[test]
    fn spelling_does_not_matter() {
        same(
            "UID=Emma ,  ou=People,DC=studio,dc=test",
            "uid=emma,OU=people,dc=Studio,dc=test",
        );
        same("cn=Brown\\, Emma,dc=test", "cn=Brown\\2C Emma,dc=test");
        same("cn=a+uid=b,dc=test", "uid=B+commonName=A,dc=test");
        same("cn=Zoe\u{308},dc=test", "cn=Zo\\C3\\AB,dc=test");
        same("cn=  two   words ,dc=test", "cn=two words,dc=test");
    }

    #[test]
    fn a_plus_in_a_value_is_not_a_second_value() {
        assert_ne!(
            Name::parse("cn=a\\+uid=b,dc=test").unwrap(),
            Name::parse("cn=a+uid=b,dc=test").unwrap()
        );
    }

    #[test]
    fn what_is_no_dn() {
        for text in [
            "nonsense",
            "cn=",
            "cn=a,",
            "cn=a,,dc=test",
            "foo=bar",
            "cn=a;dc=test",
            "cn=\"a\"",
            "cn=\\",
            "cn=\\zz",
            "cn=\\ff",
            "cn=#0401",
        ] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_relative_to_others() {
        let base = Name::parse("ou=people,dc=test").unwrap();
        let person = Name::parse("uid=a,ou=people,dc=test").unwrap();
        assert_eq!(person.depth_below(&base), Some(1));
        assert_eq!(base.depth_below(&person), None);
        assert_eq!(
            Name::parse("uid=a,ou=otherpeople,dc=test")
                .unwrap()
                .depth_below(&base),
            None
        );
        assert_eq!(person.parent(), Some(base.clone()));
        assert_eq!(
            person.moved(&base, &Name::parse("dc=test").unwrap()),
            Name::parse("uid=a,dc=test").unwrap()
        );
        assert_eq!(leading_rdns("cn=a\\,b,ou=x,dc=test", 1), "cn=a\\,b");
        assert_eq!(leading_rdns("cn=a\\,b,ou=x,dc=test", 2), "cn=a\\,b,ou=x");
    }
}
