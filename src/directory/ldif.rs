//! Entries in a file (RFC 2849), as `ldapsearch -LLL` prints them. No I/O.

use std::collections::HashMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::dn::Dn;
use crate::{
    config::is_attribute,
    model::entry::{Attributes, Entry, Values},
};

/// The entries of a file.
#[derive(Debug, Default)]
pub struct Ldif {
    /// In their order, each with the number of the line with its DN, from 1 on.
    pub entries: Vec<(usize, Entry)>,
    /// The lines in which `ldapsearch` says that it was referred to another server, whose entries the
    /// file lacks.
    pub references: Vec<usize>,
}

/// Why a file shows no entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LdifError {
    /// From 1 on.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is in UTF-16.
    #[error(
        "the file is in UTF-16, as Windows PowerShell writes it with >; save it as UTF-8, or let \
         the command itself write the file"
    )]
    Utf16,
    /// It has no `:`, or no name before it.
    #[error("{0:?} is no `attribute: value` (RFC 2849); a long value goes on after a space")]
    NoAttribute(String),
    /// The first line of an entry is another one.
    #[error(
        "an entry begins with `dn:`, and not with {0:?}; `ldapsearch -LLL` prints entries alone"
    )]
    NoDn(String),
    /// The entry has two.
    #[error("a second `dn:` within one entry; an empty line separates entries")]
    SecondDn,
    /// The DN is no text, or no DN.
    #[error("{0:?} is not a DN (RFC 4514)")]
    NotDn(String),
    /// An entry of the same DN came before.
    #[error("{dn} is in the file twice, first at line {first}")]
    Twice {
        /// As it is written here.
        dn: String,
        /// The line of the other entry.
        first: usize,
    },
    /// A value is not base64.
    #[error("the value of {0} is not base64")]
    NotBase64(String),
    /// A value is in another file.
    #[error(
        "the value of {0} is in another file, which is not read; write it in base64, after `::`"
    )]
    InAnotherFile(String),
    /// A server shows a list of values in parts, as Active Directory does.
    #[error(
        "{0} is only a part of the values; ask for the others too, and write all of them as one \
         attribute without `;range`"
    )]
    OnlyAPart(String),
    /// A change, and not an entry.
    #[error("{0} makes this a change and not an entry")]
    Change(String),
    /// A line goes on that was not begun.
    #[error("it goes on with a line before it, and there is none")]
    NothingToContinue,
    /// The version is another one.
    #[error("the version is {0:?}; RFC 2849 is version 1")]
    Version(String),
}

impl Ldif {
    /// Takes the bytes of a file apart.
    ///
    /// # Errors
    /// A line is wrong; the first of them is named.
    pub fn parse(bytes: &[u8]) -> Result<Self, LdifError> {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(at(1, Problem::Utf16));
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut ldif = Self::default();
        let mut dns = HashMap::new();
        let mut open: Option<OpenEntry> = None;
        for (line, text) in unfolded(bytes)? {
            if text.is_empty() {
                ldif.close(open.take());
                continue;
            }
            if let Some(comment) = text.strip_prefix(b"#") {
                if is_reference(comment) {
                    ldif.references.push(line);
                }
                continue;
            }
            let (name, value) = attribute(line, &text)?;
            let is = |word: &str| name.eq_ignore_ascii_case(word);
            match &mut open {
                None if is("version") && ldif.entries.is_empty() => {
                    if value != b"1" {
                        let version = String::from_utf8_lossy(&value).into_owned();
                        return Err(at(line, Problem::Version(version)));
                    }
                }
                None if is("dn") => {
                    let dn = dn_of(line, value, &mut dns)?;
                    open = Some(OpenEntry::new(line, dn));
                }
                None => return Err(at(line, Problem::NoDn(shown(&text)))),
                Some(_) if is("dn") => return Err(at(line, Problem::SecondDn)),
                // As `ldifde` of Windows writes entries.
                Some(_) if is("changetype") && value.eq_ignore_ascii_case(b"add") => {}
                Some(_) if is("changetype") || is("control") => {
                    return Err(at(line, Problem::Change(shown(&text))));
                }
                Some(entry) => entry
                    .attributes
                    .push((name.into(), Values::from_elem(value, 1))),
            }
        }
        ldif.close(open);
        Ok(ldif)
    }

    fn close(&mut self, open: Option<OpenEntry>) {
        let closed = open.map(
            |OpenEntry {
                 line,
                 dn,
                 attributes,
             }| {
                let entry = Entry::new(dn, attributes);
                (line, entry.merged())
            },
        );
        self.entries.extend(closed);
    }
}

/// An entry of which more lines may follow.
struct OpenEntry {
    line: usize,
    dn: String,
    attributes: Attributes,
}

impl OpenEntry {
    fn new(line: usize, dn: String) -> Self {
        Self {
            line,
            dn,
            attributes: Attributes::new(),
        }
    }
}

fn at(line: usize, problem: Problem) -> LdifError {
    LdifError { line, problem }
}

/// What of a line is shown in an error.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(60).collect()
}

/// The lines with their numbers; those that go on after a space are one with the line before.
fn unfolded(bytes: &[u8]) -> Result<Vec<(usize, Vec<u8>)>, LdifError> {
    let mut lines: Vec<(usize, Vec<u8>)> = Vec::new();
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        match (text.strip_prefix(b" "), lines.last_mut()) {
            (Some(rest), Some((_, before))) if !before.is_empty() => before.extend(rest),
            (Some(_), _) => return Err(at(line, Problem::NothingToContinue)),
            (None, _) => lines.push((line, text.to_vec())),
        }
    }
    Ok(lines)
}

/// Whether a comment is one in which `ldapsearch` names where it was referred to.
fn is_reference(comment: &[u8]) -> bool {
    let comment = comment.trim_ascii_start();
    let comment = comment.strip_prefix(b"ref: ").unwrap_or(comment);
    comment.starts_with(b"refldap")
        || comment.starts_with(b"ldap://")
        || comment.starts_with(b"ldaps://")
}

/// The name of a line's attribute, and its value.
fn attribute(line: usize, text: &[u8]) -> Result<(&str, Vec<u8>), LdifError> {
    let no_attribute = || at(line, Problem::NoAttribute(shown(text)));
    let end = text.iter().position(|byte| *byte == b':');
    let (name, rest) = end
        .and_then(|end| text.split_at_checked(end))
        .ok_or_else(no_attribute)?;
    let name = std::str::from_utf8(name).map_err(|_| no_attribute())?;
    if !is_attribute(name) {
        let is_part = name.to_ascii_lowercase().contains(";range=");
        let part = is_part.then(|| at(line, Problem::OnlyAPart(name.to_owned())));
        return Err(part.unwrap_or_else(no_attribute));
    }
    let rest = rest.get(1..).unwrap_or_default();
    let value = match rest.split_first() {
        Some((b':', encoded)) => BASE64_STANDARD
            .decode(encoded.trim_ascii())
            .map_err(|_| at(line, Problem::NotBase64(name.to_owned())))?,
        Some((b'<', _)) => return Err(at(line, Problem::InAnotherFile(name.to_owned()))),
        Some(_) | None => without_blanks(rest).to_vec(),
    };
    Ok((name, value))
}

/// Without the spaces at its beginning.
fn without_blanks(text: &[u8]) -> &[u8] {
    let begin = text.iter().position(|byte| *byte != b' ');
    begin
        .and_then(|begin| text.get(begin..))
        .unwrap_or_default()
}

fn dn_of(line: usize, value: Vec<u8>, dns: &mut HashMap<Dn, usize>) -> Result<String, LdifError> {
    let not_dn = |value: &[u8]| at(line, Problem::NotDn(shown(value)));
    let text = String::from_utf8(value).map_err(|error| not_dn(error.as_bytes()))?;
    let dn = Dn::parse(&text).ok_or_else(|| not_dn(text.as_bytes()))?;
    match dns.insert(dn, line) {
        Some(first) => Err(at(line, Problem::Twice { dn: text, first })),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_ldapsearch_and_ldifde_print_is_read() {
        let text = "version: 1\r\n\r\n# a comment\r\n  of two lines\r\ndn: uid=a,\r\n dc=test\r\n\
                    objectClass: top\r\nobjectclass: person\r\ncn:: w4RkYQ==\r\ndescription:   x \
                    \r\nempty:\r\n\r\n\r\ndn:: dWlkPcOkLGRjPXRlc3Q=\r\nchangetype: add\r\nsn;lang-de: Ä\r\n\r\n\
                    # refldap://forest.test/dc=test\r\n";
        let Ldif {
            entries,
            references,
        } = Ldif::parse(text.as_bytes()).unwrap();
        assert_eq!(references, [18]);
        let [(5, first), (14, second)] = &*entries else {
            panic!("{entries:?}");
        };
        assert_eq!(
            (&*first.dn, &*second.dn),
            ("uid=a,dc=test", "uid=ä,dc=test")
        );
        assert_eq!(
            first.values("objectClass"),
            [b"top".to_vec(), b"person".to_vec()]
        );
        assert_eq!(first.values("cn"), ["Äda".as_bytes()]);
        assert_eq!(first.values("description"), [b"x ".to_vec()]);
        assert_eq!(first.values("empty"), [Vec::<u8>::new()]);
        assert_eq!(second.values("sn;lang-de"), ["Ä".as_bytes()]);
        assert!(second.values("changetype").is_empty());
    }

    #[test]
    fn the_first_line_that_is_wrong_is_named() {
        for (text, said) in [
            (
                "dn: cn=a\nnonsense\n",
                "line 2: \"nonsense\" is no `attribute: value`",
            ),
            (
                "dn: cn=a\n: x\n",
                "line 2: \": x\" is no `attribute: value`",
            ),
            ("\n\ncn: a\n", "line 3: an entry begins with `dn:`"),
            (
                "search: 2\nresult: 0 Success\n",
                "line 1: an entry begins with `dn:`",
            ),
            ("dn: cn=a\ncn: a\ndn: cn=b\n", "line 3: a second `dn:`"),
            ("dn: a\n", "line 1: \"a\" is not a DN"),
            ("dn:: /w==\n", "is not a DN"),
            (
                "dn: cn=a\n\ndn: CN=A\n",
                "line 3: CN=A is in the file twice, first at line 1",
            ),
            (
                "dn: cn=a\ncn:: x\n",
                "line 2: the value of cn is not base64",
            ),
            (
                "dn: cn=a\njpegPhoto:< file:///tmp/a\n",
                "line 2: the value of jpegPhoto is in another file",
            ),
            (
                "dn: cn=a\nchangetype: modify\n",
                "line 2: changetype: modify makes this a change",
            ),
            (
                "dn: cn=a\nmember;range=0-1: cn=b\n",
                "line 2: member;range=0-1 is only a part",
            ),
            (" cn: a\n", "line 1: it goes on with a line before it"),
            ("version: 2\n", "line 1: the version is \"2\""),
            ("\u{feff}dn: cn=a\ncn\n", "line 2:"),
        ] {
            let error = Ldif::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
        let error = Ldif::parse(b"\xff\xfed\0n\0").unwrap_err().to_string();
        assert!(error.contains("UTF-16"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            text in "(dn|cn|version|#)?:?:? ?[a-z=,:<\\n #]{0,60}",
        ) {
            let _ = Ldif::parse(&bytes);
            let _ = Ldif::parse(text.as_bytes());
        }

        /// What the demo writes for other servers is read back.
        #[test]
        fn values_come_back(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..5)) {
            let mut values = values;
            values.sort();
            values.dedup();
            let encoded: String = values
                .iter()
                .map(|value| format!("x:: {}\n", BASE64_STANDARD.encode(value)))
                .collect();
            let ldif = Ldif::parse(format!("dn: cn=a\n{encoded}").as_bytes()).unwrap();
            let (_, entry) = ldif.entries.first().unwrap();
            prop_assert_eq!(entry.values("x"), &*values);
        }
    }
}
