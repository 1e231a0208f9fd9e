//! A look at one entry, and what the messages of a search mean.

use ldap3::{
    DerefAliases, ResultEntry, Scope, SearchOptions,
    asn1::{PL, StructureTag},
};

use super::{
    connection::{Connection, Message},
    error::DirectoryError,
    wire::{entries::as_read, too_large::LONGEST_DN},
};
use crate::model::entry::{Attributes, Entry, Values};

/// The most addresses of a referral that an error names.
const MOST_ADDRESSES: usize = 10;
/// The most references that are taken from one search.
const MOST_REFERENCES: usize = 1000;
/// A filter that nobody matches, and that Active Directory need not compare with every entry.
const NOBODY: &str =
    "(objectGUID=\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00)";

/// Reads only the base entry, without paging; the answer contains one entry, or none when the
/// filter does not match.
///
/// # Errors
/// As for `search`.
pub(super) async fn look(
    connection: &mut Connection,
    base: &str,
    filter: &str,
    attributes: &[&str],
) -> Result<Option<Entry>, DirectoryError> {
    first(connection, (base, Scope::Base), filter, attributes).await
}

/// The first entry that a search finds, without paging.
///
/// # Errors
/// As for `search`.
pub(super) async fn first(
    connection: &mut Connection,
    (base, scope): (&str, Scope),
    filter: &str,
    attributes: &[&str],
) -> Result<Option<Entry>, DirectoryError> {
    let tried = format!("reading {base:?}");
    let limit = connection.operation_timeout;
    let mut ldap = connection.ldap.clone();
    let mut stream = ldap
        .with_search_options(SearchOptions::new().deref(DerefAliases::Never))
        .with_timeout(limit)
        .streaming_search(base, scope, filter, attributes.to_vec())
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut found = None;
    while let Some(message) = connection.next(&mut stream, &tried).await? {
        let entry = entry(connection, base, message)?;
        found.get_or_insert(entry.merged());
    }
    let result = stream.finish().await;
    concluded(connection, base, &tried, &result)?;
    Ok(found)
}

/// The addresses to which a server refers from everything below a base (RFC 4511 section 4.5.3).
///
/// # Errors
/// As for `search`; references themselves are none.
pub(super) async fn references(
    connection: &mut Connection,
    base: &str,
) -> Result<Vec<String>, DirectoryError> {
    let tried = format!("asking what is below {base:?}");
    let limit = connection.operation_timeout;
    let mut ldap = connection.ldap.clone();
    let mut stream = ldap
        .with_search_options(SearchOptions::new().deref(DerefAliases::Never))
        .with_timeout(limit)
        .streaming_search(base, Scope::Subtree, NOBODY, vec!["1.1"])
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut to = Vec::new();
    while let Some(message) = connection.next(&mut stream, &tried).await? {
        if let Message::Other(message) = message
            && message.is_ref()
        {
            to.extend(strings(connection, message.0));
        }
        if to.len() > MOST_REFERENCES {
            return Err(DirectoryError::TooMuch {
                server: connection.server().into(),
                reason: format!("it refers to more than {MOST_REFERENCES} places below {base:?}"),
            });
        }
    }
    let result = stream.finish().await;
    concluded(connection, base, &tried, &result)?;
    Ok(to)
}

/// Interprets the final result of a search.
pub(super) fn concluded(
    connection: &Connection,
    base: &str,
    tried: &str,
    result: &ldap3::LdapResult,
) -> Result<(), DirectoryError> {
    let server = connection.server().to_owned();
    match result.rc {
        // A success that also refers elsewhere is incomplete.
        0 if result.refs.is_empty() => Ok(()),
        0 | 10 => Err(DirectoryError::Referred {
            server,
            base: base.into(),
            to: result
                .refs
                .iter()
                .take(MOST_ADDRESSES)
                .map(|uri| connection.words(uri))
                .collect(),
        }),
        32 => Err(DirectoryError::NoSuchBase {
            server,
            base: base.into(),
            matched: matched(connection, &result.matched),
        }),
        code => Err(DirectoryError::Refused {
            server,
            tried: tried.into(),
            code,
            text: connection.words(&result.text),
            kind: connection.known_kind(),
        }),
    }
}

/// The entry in a message of a search.
///
/// # Errors
/// The message is a reference, or something else that is not an entry.
pub(super) fn entry(
    connection: &Connection,
    base: &str,
    message: Message,
) -> Result<Entry, DirectoryError> {
    let entry = match message {
        Message::Entry(entry) => entry,
        Message::Other(message) => of_library(connection, base, message)?,
    };
    if entry.dn.len() > LONGEST_DN {
        return Err(DirectoryError::TooMuch {
            server: connection.server().into(),
            reason: format!("it sent an entry whose DN is longer than {LONGEST_DN} bytes"),
        });
    }
    Ok(entry)
}

/// The entry in a message that took the library's way.
fn of_library(
    connection: &Connection,
    base: &str,
    message: ResultEntry,
) -> Result<Entry, DirectoryError> {
    if message.is_ref() {
        let to = strings(connection, message.0);
        return Err(DirectoryError::Referred {
            server: connection.server().into(),
            base: base.into(),
            to,
        });
    }
    if message.is_intermediate() {
        return Err(connection.garbled("an unsolicited intermediate message"));
    }
    decode(message.0).ok_or_else(|| connection.garbled("an entry that cannot be parsed"))
}

/// The part of a base that exists, safe to print.
fn matched(connection: &Connection, dn: &str) -> String {
    if dn.is_empty() {
        String::new()
    } else {
        connection.words(dn)
    }
}

/// Parses an entry (RFC 4511 section 4.5.2), values byte for byte; none when it is malformed.
pub(super) fn decode(tag: StructureTag) -> Option<Entry> {
    let mut parts = constructed(tag)?.into_iter();
    let dn = String::from_utf8_lossy(&primitive(parts.next()?)?).into_owned();
    let attributes = constructed(parts.next()?)?
        .into_iter()
        .map(|attribute| {
            let mut parts = constructed(attribute)?.into_iter();
            let name = String::from_utf8(primitive(parts.next()?)?).ok()?;
            let values = constructed(parts.next()?)?
                .into_iter()
                .map(primitive)
                .collect::<Option<Values>>()?;
            Some((name.into(), values))
        })
        .collect::<Option<Attributes>>()?;
    Some(as_read(dn, attributes))
}

/// The first addresses of a reference.
fn strings(connection: &Connection, tag: StructureTag) -> Vec<String> {
    let parts = constructed(tag).unwrap_or_default();
    parts
        .into_iter()
        .filter_map(primitive)
        .take(MOST_ADDRESSES)
        .map(|bytes| connection.words(&String::from_utf8_lossy(&bytes)))
        .collect()
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}
