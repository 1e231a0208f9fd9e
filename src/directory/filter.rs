//! Search filters as text (RFC 4515): validation, and escaping of values. No I/O.

use std::fmt::Write;

use super::error::DirectoryError;

/// Checks that a text is a filter.
///
/// # Errors
/// `Filter`, with the text.
pub fn check(filter: &str) -> Result<(), DirectoryError> {
    // The parser's own errors give no detail.
    match ldap3::parse_filter(filter) {
        Ok(_) => Ok(()),
        Err(()) => Err(DirectoryError::Filter {
            filter: filter.into(),
        }),
    }
}

/// A filter for an attribute that holds exactly these bytes (RFC 4515 section 3).
#[must_use]
pub fn equals(attribute: &str, value: &[u8]) -> String {
    let mut filter = format!("({attribute}=");
    for byte in value {
        if byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'*' | b'\\') {
            filter.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(filter, "\\{byte:02x}");
        }
    }
    filter.push(')');
    filter
}

/// A filter that matches any of several filters.
#[must_use]
pub fn any(filters: &[String]) -> String {
    format!("(|{})", filters.concat())
}

/// A filter that matches both; bare `a=b` forms are put in parentheses.
#[must_use]
pub fn both(one: &str, other: &str) -> String {
    format!("(&{}{})", bracketed(one), bracketed(other))
}

fn bracketed(filter: &str) -> String {
    if filter.starts_with('(') {
        filter.into()
    } else {
        format!("({filter})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn values_cannot_leave_their_place() {
        let filter = equals("cn", b"a)(uid=*\\ \0");
        assert_eq!(filter, "(cn=a\\29\\28uid=\\2a\\5c\\20\\00)");
        check(&both("objectClass=person", &any(&[filter]))).unwrap();
    }

    #[test]
    fn malformed_filters_are_named() {
        for malformed in ["", "(", "(cn=a", "(cn=a))", "((cn=a))", "(&(cn=a)"] {
            let error = check(malformed).expect_err(malformed);
            assert!(error.to_string().contains(malformed), "{error}");
        }
    }
}
