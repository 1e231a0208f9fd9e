//! Entries as LDIF (RFC 2849), to load the same people into other directory servers.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::demo::directory::TreeEntry;

/// Characters on a line before it is folded (RFC 2849 note 2 asks for at most 76 columns).
const COLUMNS: usize = 76;

/// The entries in their order, parents first as they were given; values that are not safe text are
/// in base64.
///
/// Without the `version` line, which `slapadd` takes for an attribute.
#[must_use]
pub fn ldif(entries: &[TreeEntry]) -> String {
    let mut ldif = String::new();
    for entry in entries {
        line(&mut ldif, "dn", entry.dn.as_bytes());
        for (name, values) in &entry.attributes {
            for value in values {
                line(&mut ldif, name, value);
            }
        }
        ldif.push('\n');
    }
    ldif
}

fn line(ldif: &mut String, name: &str, value: &[u8]) {
    let whole = match std::str::from_utf8(value) {
        Ok(text) if is_safe(value) => format!("{name}: {text}"),
        _ => format!("{name}:: {}", BASE64_STANDARD.encode(value)),
    };
    // Both forms are ASCII, so that every byte is a column.
    for (number, piece) in whole.as_bytes().chunks(COLUMNS - 1).enumerate() {
        let fold = if number == 0 { "" } else { " " };
        let _ = writeln!(ldif, "{fold}{}", String::from_utf8_lossy(piece));
    }
}

/// `SAFE-STRING` (RFC 2849), without a space at the end, which editors lose.
fn is_safe(value: &[u8]) -> bool {
    let safe = value
        .iter()
        .all(|byte| byte.is_ascii() && !matches!(byte, b'\0' | b'\n' | b'\r'));
    safe && !matches!(value.first(), Some(b' ' | b':' | b'<')) && value.last() != Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_values_are_plain() {
        let entry = TreeEntry::new("cn=a,dc=test")
            .with("cn", "a")
            .with("sn", "Brown ")
            .with("sn", "Müller")
            .with("sn", ":b")
            .with("sn", "x\ny")
            .with("sn", "a<b");
        let expected = "dn: cn=a,dc=test\ncn: a\nsn:: QnJvd24g\nsn:: TcO8bGxlcg==\nsn:: \
                        OmI=\nsn:: eAp5\nsn: a<b\n\n";
        assert_eq!(ldif(&[entry]), expected);
    }

    #[test]
    fn long_lines_are_folded() {
        let text = ldif(&[TreeEntry::new("cn=a,dc=test").with("description", "x".repeat(200))]);
        assert!(text.lines().all(|line| line.len() <= COLUMNS));
        assert!(text.replace("\n ", "").contains(&"x".repeat(200)));
    }
}
