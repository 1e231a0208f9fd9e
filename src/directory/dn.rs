//! Distinguished names, parsed from text (RFC 4514) and normalised for comparison, since servers
//! spell one name in several ways. No I/O.

use crate::config::Scope;

/// Ends each RDN of a normalised DN, and is in none of them: their blanks are single spaces.
const END: char = '\n';

/// A DN for which the spelling does not matter: case, blanks around separators, and which
/// characters are escaped.
///
/// Attribute types are compared by their names as written; values ignore case, as servers do for
/// almost all attributes used in DNs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dn(
    /// The normalised RDNs, from the entry to the root.
    String,
);

impl Dn {
    /// Parses a DN; the empty text is the root, and `None` means that the text is not a DN.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut key = String::with_capacity(text.len() + 1);
        if !is_root(text) {
            write_rdns(text, &mut key)?;
        }
        Some(Self(key))
    }

    /// The DN as one text, by which DNs are found; equal DNs have equal texts, and others have not.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0
    }

    /// The number of RDNs below another DN (0 for the same DN); `None` when it is not below it.
    #[must_use]
    pub fn depth_below(&self, base: &Self) -> Option<usize> {
        let below = self.0.strip_suffix(&base.0)?;
        let is_whole = below.is_empty() || below.ends_with(END);
        is_whole.then(|| below.matches(END).count())
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

/// The keys of DNs, one after the other; most have the parent of the one before, which is written
/// once: directories have a million members.
#[derive(Debug, Default)]
pub(super) struct Keys {
    key: String,
    /// The last parent as text, and its key.
    parent: Option<(Box<str>, Box<str>)>,
}

impl Keys {
    /// The key that `Dn::parse` gives a DN; none where the text is not one.
    pub fn of(&mut self, text: &str) -> Option<&str> {
        self.key.clear();
        if is_root(text) {
            return Some(&self.key);
        }
        let (rdn, parent) = split_first(text, is_between_rdns);
        write_rdn(rdn, &mut self.key)?;
        if let Some(parent) = parent {
            self.write_parent(parent)?;
        }
        Some(&self.key)
    }

    fn write_parent(&mut self, text: &str) -> Option<()> {
        match &self.parent {
            Some((same, key)) if **same == *text => self.key.push_str(key),
            Some(_) | None => {
                let start = self.key.len();
                write_rdns(text, &mut self.key)?;
                self.parent = Some((text.into(), self.key.get(start..)?.into()));
            }
        }
        Some(())
    }
}

fn is_root(text: &str) -> bool {
    text.trim().is_empty()
}

fn write_rdns(text: &str, key: &mut String) -> Option<()> {
    split(text, is_between_rdns).try_for_each(|rdn| write_rdn(rdn, key))
}

/// The DN with a key, as servers take it (RFC 4514 section 2.4).
pub(super) fn from_key(key: &str) -> String {
    let rdns: Vec<String> = key.trim_end_matches(END).split(END).map(escaped).collect();
    rdns.join(",")
}

fn write_rdn(rdn: &str, key: &mut String) -> Option<()> {
    if is_simple(rdn) {
        write_simple(rdn, key)?;
    } else {
        write_any(rdn, key)?;
    }
    key.push(END);
    Some(())
}

/// Whether an RDN is ASCII, of one value and without escapes, as most are.
fn is_simple(rdn: &str) -> bool {
    rdn.bytes()
        .all(|byte| byte.is_ascii() && !matches!(byte, b'\\' | b'+'))
}

/// Writes a simple RDN as any other, in less time.
fn write_simple(rdn: &str, key: &mut String) -> Option<()> {
    let (kind, value) = rdn.split_once('=')?;
    let kind = kind.trim();
    let begin = key.len();
    key.push_str(kind);
    key.push('=');
    for (place, word) in value.split_whitespace().enumerate() {
        if place > 0 {
            key.push(' ');
        }
        key.push_str(word);
    }
    key.get_mut(begin..)?.make_ascii_lowercase();
    is_type(kind).then_some(())
}

fn write_any(rdn: &str, key: &mut String) -> Option<()> {
    let parts = split(rdn, |separator| separator == b'+').map(part);
    let mut parts = parts.collect::<Option<Vec<_>>>()?;
    parts.sort_unstable();
    key.push_str(&parts.join("+"));
    Some(())
}

fn is_type(kind: &str) -> bool {
    !kind.is_empty() && !kind.contains(END)
}

/// The values in the name of the entry itself, its RDN, without escapes; none where the text is not
/// a DN.
#[must_use]
pub fn naming_values(dn: &str) -> Vec<String> {
    let rdn = split(dn, is_between_rdns).next();
    let parts = split(rdn.unwrap_or_default(), |separator| separator == b'+');
    parts
        .filter_map(|part| unescaped(part.split_once('=')?.1))
        .collect()
}

fn is_between_rdns(separator: u8) -> bool {
    matches!(separator, b',' | b';')
}

/// The parts of a text between unescaped separators.
fn split(text: &str, is_separator: impl Fn(u8) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (part, after) = split_first(rest?, &is_separator);
        rest = after;
        Some(part)
    })
}

/// A text before and after the first unescaped separator, which is ASCII.
fn split_first(text: &str, is_separator: impl Fn(u8) -> bool) -> (&str, Option<&str>) {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let separates = !escaped && is_separator(byte);
        escaped = !escaped && byte == b'\\';
        separates
    });
    let parts = end.and_then(|end| text.split_at_checked(end));
    parts.map_or((text, None), |(part, after)| (part, after.get(1..)))
}

/// One attribute of an RDN, as `type=value`.
fn part(text: &str) -> Option<String> {
    let (kind, value) = text.split_once('=')?;
    let kind = kind.trim();
    let mut part = kind.to_ascii_lowercase();
    part.push('=');
    for (place, word) in unescaped(value)?
        .to_lowercase()
        .split_whitespace()
        .enumerate()
    {
        if place > 0 {
            part.push(' ');
        }
        for character in word.chars() {
            // Plus signs of a value must not be confused with those between parts.
            if matches!(character, '\\' | '+') {
                part.push('\\');
            }
            part.push(character);
        }
    }
    is_type(kind).then_some(part)
}

/// An RDN of a key, whose backslashes and plus signs are escaped already.
fn escaped(rdn: &str) -> String {
    let mut text = String::with_capacity(rdn.len());
    let mut characters = rdn.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                text.push('\\');
                text.extend(characters.next());
            }
            '\0' => text.push_str("\\00"),
            ',' | ';' | '"' | '<' | '>' => text.extend(['\\', character]),
            '#' if text.ends_with('=') => text.push_str("\\#"),
            _ => text.push(character),
        }
    }
    text
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
        // A sign in front would be taken for a part of the number.
        let pair = rest
            .get(..2)
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))
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
    let text = String::from_utf8(bytes);
    Some(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
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
            (r"cn=R\+D,dc=test", r"cn=R\2BD,dc=test"),
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
        for none in ["people", "=x", "c\nn=x", "cn=a,,dc=test", "cn=a,", "cn=a\\"] {
            assert_eq!(Dn::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_simple_rdn_is_written_as_any_other() {
        let any = |rdn: &str| {
            let mut key = String::new();
            write_any(rdn, &mut key).map(|()| key)
        };
        let simple = |rdn: &str| {
            let mut key = String::new();
            write_simple(rdn, &mut key).map(|()| key)
        };
        for rdn in [
            "uid=ada",
            " UID = Ada  Adams\t",
            "cn=a=b",
            "cn=",
            "=x",
            " = x",
            "x",
            "cn=\u{b}a\u{1c}b",
        ] {
            assert!(is_simple(rdn), "{rdn}");
            assert_eq!(simple(rdn), any(rdn), "{rdn}");
        }
        for rdn in ["cn=Å", "cn=a+uid=b", "cn=a\\2C b"] {
            assert!(!is_simple(rdn), "{rdn}");
        }
    }

    #[test]
    fn keys_one_after_the_other_are_those_of_the_dns() {
        let mut keys = Keys::default();
        for text in [
            "uid=a,",
            "uid=a,ou=people,dc=test",
            "UID=b,ou=people,dc=test",
            "uid=b, ou=people,dc=test",
            "uid=c\\,ou=people,dc=test",
            "uid=d,people",
            "uid=e,people",
            "uid=f,",
            "uid=g, ",
            " ",
            "uid=h",
            "ou=people,dc=test",
            "uid=i,ou=people,dc=test",
        ] {
            let dn = Dn::parse(text);
            assert_eq!(keys.of(text), dn.as_ref().map(Dn::key), "{text}");
        }
    }

    #[test]
    fn what_a_key_is_written_as_is_the_same_name() {
        for (text, written) in [
            ("UID=Ada, OU=People ,dc=test", "uid=ada,ou=people,dc=test"),
            (r"CN=Holm\2C Anna,dc=test", r"cn=holm\, anna,dc=test"),
            (
                r"cn=Holm\, Anna\+\\b\3B,dc=test",
                r"cn=holm\, anna\+\\b\;,dc=test",
            ),
            (
                r"cn=\#a=\22b\22+uid=b\2Bc,dc=test",
                r#"cn=\#a=\"b\"+uid=b\+c,dc=test"#,
            ),
            (r"cn=\00\<\>\C3\85sa,dc=test", r"cn=\00\<\>åsa,dc=test"),
            ("", ""),
        ] {
            let dn = dn(text);
            let from_key = from_key(dn.key());
            assert_eq!(from_key, written);
            assert_eq!(Dn::parse(&from_key), Some(dn));
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
            ("uid=ada,xou=people,dc=test", false, false),
            ("uid=ada,ou=more people,dc=test", false, false),
            ("dc=test", false, false),
        ] {
            assert_eq!(dn(text).lies_in(&base, Scope::Subtree), subtree, "{text}");
            assert_eq!(dn(text).lies_in(&base, Scope::One), one, "{text}");
        }
        assert!(base.lies_in(&dn(""), Scope::Subtree));
    }
}
