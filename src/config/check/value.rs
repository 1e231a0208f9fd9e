//! Checks of single values: numbers, durations, the hosts of URLs, schedules, time zones, filters,
//! DNs and names, each with its error message.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use chrono::{DateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use url::{Host, Url};

use crate::config::{
    finding::{KeyPath, did_you_mean},
    notes::Notes,
    written::Period,
};

pub const SECOND: Duration = Duration::from_secs(1);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// A hundred years: longer than any setting needs, and safe to add to a date without overflow.
pub const CENTURY: Duration = Duration::from_secs(36_525 * 24 * 3600);

/// How deep the parentheses of a filter may nest; the filter parser recurses for each.
const DEEPEST_FILTER: usize = 64;

/// A number within bounds.
pub fn number<N: TryFrom<i64>>(
    notes: &mut Notes,
    key: &KeyPath,
    number: i64,
    bounds: RangeInclusive<i64>,
) -> Option<N> {
    let within = bounds
        .contains(&number)
        .then(|| N::try_from(number).ok())
        .flatten();
    if within.is_none() {
        notes.find(
            key,
            format!(
                "{number} is out of range; it must be {} to {}",
                bounds.start(),
                bounds.end()
            ),
        );
    }
    within
}

/// A duration within bounds.
pub fn period(
    notes: &mut Notes,
    key: &KeyPath,
    period: &Period,
    bounds: RangeInclusive<Duration>,
) -> Option<Duration> {
    match humantime::parse_duration(period.0.trim()) {
        Ok(length) if bounds.contains(&length) => Some(length),
        Ok(_) => {
            let (from, to) = (Period::of(*bounds.start()).0, Period::of(*bounds.end()).0);
            notes.find(
                key,
                format!("{:?} is out of range; it must be {from} to {to}", period.0),
            );
            None
        }
        Err(error) => {
            notes.find(
                key,
                format!(
                    "{:?} is not a duration such as \"90s\", \"15m\" or \"1h 30m\": {error}",
                    period.0
                ),
            );
            None
        }
    }
}

/// Text that is not empty, has no blanks at either end, and is one line.
pub fn line(notes: &mut Notes, key: &KeyPath, text: &str) -> Option<String> {
    let problem = if text.trim().is_empty() {
        "empty"
    } else if text.chars().any(char::is_control) {
        "contains a line break or another control character"
    } else if text.trim() != text {
        "begins or ends with a blank"
    } else {
        return Some(text.to_owned());
    };
    notes.find(key, problem);
    None
}

/// Whether a URL points to this machine by its text alone: `localhost`, 127.0.0.0/8 or ::1. No name
/// is resolved.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    // The url crate parses the hosts of web schemes by kind, and those of `ldap` as text only.
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost")
                || name
                    .parse::<IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// A cron expression of five fields, of six with seconds first, or a nickname such as `@daily`,
/// that occurs at least once.
///
/// The day of the month and the day of the week must both match where both are given, as in the
/// scheduler.
///
/// # Errors
/// What is wrong with it.
pub fn schedule(expression: &str) -> Result<Cron, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .dom_and_dow(true)
        .build();
    let cron = parser.parse(expression).map_err(|error| {
        format!(
            "{expression:?} is not a cron expression of five fields (six with seconds first): \
             {error}"
        )
    })?;
    if let Some(step) = expression
        .split_whitespace()
        .find(|field| steps_over_everything(expression, field))
    {
        return Err(format!(
            "{expression:?} has the step {step:?}, which is longer than the range that it \
             divides, so that it has no effect"
        ));
    }
    // The result does not depend on the start time, since the expression has no years.
    let start = DateTime::<Utc>::UNIX_EPOCH;
    match cron.find_next_occurrence(&start, false) {
        Ok(_) => Ok(cron),
        Err(_) => Err(format!("{expression:?} never occurs")),
    }
}

/// Whether a field such as `*/75` has a step that leaves only the first value.
fn steps_over_everything(expression: &str, field: &str) -> bool {
    /// The number of values, from the right: days of the week, months, days, hours, minutes,
    /// seconds.
    const VALUES: [u32; 6] = [7, 12, 31, 24, 60, 60];
    let from_the_right = expression
        .split_whitespace()
        .rev()
        .zip(VALUES)
        .find(|(other, _)| std::ptr::eq(other.as_ptr(), field.as_ptr()));
    let step = |part: &str| {
        part.split_once('/')
            .and_then(|(_, step)| step.parse::<u32>().ok())
    };
    from_the_right
        .is_some_and(|(_, values)| field.split(',').filter_map(step).any(|step| step >= values))
}

/// The time zone of an IANA name.
///
/// # Errors
/// What is wrong with it.
pub fn timezone(name: &str) -> Result<chrono_tz::Tz, String> {
    let names = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    name.parse().map_err(|_| {
        format!(
            "{name:?} is not an IANA time zone such as \"Europe/Stockholm\"{}",
            did_you_mean(name, names())
        )
    })
}

/// A search filter (RFC 4515).
///
/// # Errors
///
/// What is wrong with it.
pub fn filter(filter: &str) -> Result<(), String> {
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
    if deepest > DEEPEST_FILTER {
        return Err(format!(
            "the filter's parentheses are nested deeper than {DEEPEST_FILTER}"
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

/// Whether text looks like a DN (RFC 4514): parts such as `ou=people`, separated by commas. Only
/// the server can tell what it means.
#[must_use]
pub fn is_dn(text: &str) -> bool {
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

/// The name of a job or directory, which becomes part of file names, labels and (in capitals)
/// variables.
pub fn name(notes: &mut Notes, at: &KeyPath, name: &str) {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.')
    };
    let begins_well =
        name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    if !begins_well || name.len() > 64 || !name.bytes().all(allowed) {
        notes.find(
            at,
            "a name consists of lower-case letters, digits, \"-\", \"_\" and \".\", starts with a \
             letter or digit, and has at most 64 characters",
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
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

    #[test]
    fn schedules() {
        for expression in [
            "*/15 * * * *",
            "30 0 3 * * *",
            "@daily",
            "0 3 * * MON-FRI",
            "0 0 29 2 *",
            "0 0 L * *",
        ] {
            assert!(schedule(expression).is_ok(), "{expression}");
        }
        for expression in [
            "",
            "* * * *",
            "61 * * * *",
            "hourly",
            "0 0 3 * * * 2030",
            "@never",
        ] {
            assert!(
                schedule(expression)
                    .is_err_and(|problem| problem.contains("is not a cron expression")),
                "{expression}"
            );
        }
        for expression in [
            "*/75 * * * *",
            "*/61 * * * * *",
            "0 */24 * * *",
            "0,*/60 * * * *",
        ] {
            assert!(
                schedule(expression).is_err_and(|problem| problem.contains("has the step")),
                "{expression}"
            );
        }
        assert!(schedule("*/59 */23 */30 */11 */6").is_ok());
        assert_eq!(
            schedule("0 0 30 2 *").unwrap_err(),
            "\"0 0 30 2 *\" never occurs"
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
            assert_eq!(filter(text), Ok(()), "{text}");
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
            assert!(filter(text).is_err(), "{text}");
        }
        let deep = format!("{}(a=b){}", "(!".repeat(100_000), ")".repeat(100_000));
        assert!(filter(&deep).unwrap_err().contains("nested deeper"));
    }

    #[test]
    fn loopback_is_told_by_words() {
        for url in [
            "ldap://localhost",
            "ldap://127.0.0.9:3890",
            "ldap://[::1]",
            "http://localhost:80",
            "http://127.1",
        ] {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in [
            "ldap://localhost.test",
            "ldap://10.0.0.1",
            "http://127.0.0.1.test",
            "ldap://[::2]",
        ] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "\\PC*|[()&|!*=\\\\,;:.a0-9 @L#/-]{0,40}") {
            let _ = (schedule(&text), filter(&text), timezone(&text), is_dn(&text), is_attribute(&text));
        }
    }
}
