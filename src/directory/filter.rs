//! Search filters as text (RFC 4515): escaping of values, and combinations. No I/O.

use std::fmt::Write;

use crate::config::Filter;

/// A filter for an attribute that holds exactly these bytes (RFC 4515 section 3).
#[must_use]
pub fn equals(attribute: &str, value: &[u8]) -> String {
    asserts(attribute, value, ")")
}

/// A filter for an attribute that begins with these bytes.
#[must_use]
pub fn begins(attribute: &str, value: &[u8]) -> String {
    asserts(attribute, value, "*)")
}

fn asserts(attribute: &str, value: &[u8], end: &str) -> String {
    let mut filter = format!("({attribute}=");
    for byte in value {
        if byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'*' | b'\\') {
            filter.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(filter, "\\{byte:02x}");
        }
    }
    filter.push_str(end);
    filter
}

/// A filter that matches any of several filters.
#[must_use]
pub fn any(filters: &[String]) -> String {
    format!("(|{})", filters.concat())
}

/// A filter that matches both.
#[must_use]
pub fn both(one: &Filter, other: &str) -> String {
    format!("(&{one}{other})")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn values_cannot_leave_their_place() {
        let filter = equals("cn", b"a)(uid=*\\ \0");
        assert_eq!(filter, "(cn=a\\29\\28uid=\\2a\\5c\\20\\00)");
        assert_eq!(begins("cn", b"a*"), "(cn=a\\2a*)");
        let people: Filter = "(objectClass=person)".parse().unwrap();
        let both = both(&people, &any(&[filter]));
        assert!(both.parse::<Filter>().is_ok(), "{both}");
    }
}
