//! Range retrieval: attributes of which a server returns the values in parts (MS-ADTS section
//! 3.1.1.3.1.3.3); all parts are fetched. Each begins with the last value of the one before it, so that
//! no value escapes when one before it is removed meanwhile.

use super::{budget::Budget, connection::Connection, error::DirectoryError, lookup::look};
use crate::model::entry::{Entry, Values, of_bytes};

/// The most values of one attribute.
const MAX_VALUES: usize = 1_000_000;
/// Matches the entry itself, whatever its class (RFC 4512 section 2.4.1).
pub(super) const ANYTHING: &str = "(objectClass=*)";

/// An attribute of which only a first part of the values was returned.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The attribute, without the range.
    name: String,
    /// The number of the next value.
    next: usize,
}

/// Gives ranged attributes their plain names, and returns those with missing values.
pub(super) fn started(entry: &mut Entry) -> Result<Vec<Gap>, String> {
    let mut gaps = Vec::new();
    let mut plain = Vec::new();
    for (description, values) in entry.attributes_mut() {
        let Some(range) = Range::of(description)? else {
            continue;
        };
        if range.first != 0 {
            return Err(format!(
                "the values of {} do not start at the first",
                short(description)
            ));
        }
        if let Some(last) = range.last {
            if last + 1 != values.len() {
                return Err(format!("{} values in {}", values.len(), short(description)));
            }
            gaps.push(Gap {
                name: range.name.clone(),
                next: last + 1,
            });
        }
        plain.push(range.name.clone());
        *description = range.name.into();
    }
    // Active Directory returns the plain attribute as well, without values.
    for name in plain {
        entry.attributes_mut().retain(|(description, values)| {
            !(values.is_empty() && description.eq_ignore_ascii_case(&name))
        });
    }
    Ok(gaps)
}

/// Fetches the missing values, over the same connection and so from the same server; returns the
/// memory that they take, in bytes, which is taken from the budget.
pub(super) async fn complete(
    connection: &mut Connection,
    entry: &mut Entry,
    gaps: Vec<Gap>,
    budget: &mut Budget,
) -> Result<usize, DirectoryError> {
    let mut taken = 0;
    for Gap { name, mut next } in gaps {
        loop {
            let part = next_part(connection, entry, &name, next).await?;
            next += part.values.len();
            let bytes = |value: &Vec<u8>| size_of::<Vec<u8>>() + of_bytes(value.len());
            let bytes = part.values.iter().map(bytes).sum();
            budget.take(bytes).map_err(|over| over.error(connection))?;
            taken += bytes;
            if let Some(all) = values_of(entry, &name) {
                all.extend(part.values);
            }
            if part.is_last {
                break;
            }
        }
    }
    Ok(taken)
}

/// What follows the values of an attribute that are known.
struct Part {
    values: Values,
    is_last: bool,
}

/// Fetches the values from this number on, with the one before them.
async fn next_part(
    connection: &mut Connection,
    entry: &mut Entry,
    name: &str,
    next: usize,
) -> Result<Part, DirectoryError> {
    let first = next.saturating_sub(1);
    let wanted = format!("{name};range={first}-*");
    let answer = look(connection, &entry.dn, ANYTHING, &[&wanted]).await?;
    let dn = entry.dn.clone();
    let not_proven = |reason: String| DirectoryError::NotProven {
        server: connection.server().into(),
        base: dn.clone(),
        reason,
    };
    let mut part = answer.ok_or_else(|| {
        not_proven(format!(
            "the entry was deleted while the values of {name} were fetched"
        ))
    })?;
    let mut found = None;
    for (description, values) in part.attributes_mut() {
        let range = Range::of(description).map_err(|reason| connection.garbled(&reason))?;
        if let Some(range) =
            range.filter(|range| range.name.eq_ignore_ascii_case(name) && range.first == first)
        {
            found = Some((range.last, std::mem::take(values)));
        }
    }
    let (last, mut values) =
        found.ok_or_else(|| not_proven(format!("the values {wanted} were not returned")))?;
    let as_many = |last: usize| last >= first && last - first + 1 == values.len();
    if !last.is_none_or(as_many) || first + values.len() > MAX_VALUES {
        return Err(not_proven(format!(
            "the values {wanted} are inconsistent, or more than {MAX_VALUES}"
        )));
    }
    let known = values_of(entry, name).and_then(|all| all.last());
    if values.is_empty() || values.first() != known {
        return Err(not_proven(format!(
            "the values of {name} changed while they were fetched"
        )));
    }
    values.remove(0);
    if values.is_empty() && last.is_some() {
        return Err(not_proven(format!(
            "the values {wanted} do not come to an end"
        )));
    }
    Ok(Part {
        values,
        is_last: last.is_none(),
    })
}

/// The values of an attribute that an entry has under this name.
fn values_of<'e>(entry: &'e mut Entry, name: &str) -> Option<&'e mut Values> {
    let mut attributes = entry.attributes_mut().iter_mut();
    attributes
        .find(|(description, _)| description.eq_ignore_ascii_case(name))
        .map(|(_, values)| values)
}

/// The beginning of a description, for an error.
fn short(description: &str) -> String {
    description
        .chars()
        .take(100)
        .filter(|c| !c.is_control())
        .collect()
}

/// `member;range=0-1499`; `last` is none for `*`, which means up to the end.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    name: String,
    first: usize,
    last: Option<usize>,
}

impl Range {
    fn of(description: &str) -> Result<Option<Self>, String> {
        if !description.contains(';') {
            return Ok(None);
        }
        let mut options = description.split(';');
        let mut name = options.next().unwrap_or_default().to_owned();
        let mut range = None;
        for option in options {
            match option
                .get(..6)
                .filter(|start| start.eq_ignore_ascii_case("range="))
            {
                Some(_) => range = option.get(6..),
                None => name = format!("{name};{option}"),
            }
        }
        let Some(range) = range else { return Ok(None) };
        let parsed = range.split_once('-').and_then(|(first, last)| {
            let last = if last == "*" {
                None
            } else {
                Some(last.parse().ok()?)
            };
            Some((first.parse().ok()?, last))
        });
        let (first, last) = parsed.ok_or_else(|| format!("the range of {}", short(description)))?;
        if last.is_some_and(|last: usize| last >= MAX_VALUES) {
            return Err(format!(
                "the range of {} goes beyond {MAX_VALUES}",
                short(description)
            ));
        }
        Ok(Some(Self { name, first, last }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn entry(attributes: &[(&str, usize)]) -> Entry {
        let attributes = attributes.iter();
        let attributes = attributes.map(|(name, count)| (*name, vec![b"v".to_vec(); *count]));
        Entry::showing("cn=x", attributes)
    }

    #[test]
    fn a_whole_range_is_plain() {
        let mut whole = entry(&[("member", 0), ("member;range=0-*", 3), ("cn;lang-sv", 1)]);
        assert_eq!(started(&mut whole).unwrap(), []);
        assert_eq!(whole.values("member").len(), 3);
        assert_eq!(whole.values("cn;lang-sv").len(), 1);
    }

    #[test]
    fn a_first_part_leaves_a_gap() {
        let mut part = entry(&[("member", 0), ("Member;Range=0-1499", 1500)]);
        assert_eq!(
            started(&mut part).unwrap(),
            [Gap {
                name: "Member".into(),
                next: 1500
            }]
        );
        assert_eq!(part.values("member").len(), 1500);
    }

    #[test]
    fn nonsense_is_refused() {
        for name in [
            "member;range=",
            "member;range=x-y",
            "member;range=5-*",
            "member;range=0-18446744073709551615",
            "member;range=0-1",
        ] {
            assert!(started(&mut entry(&[(name, 1)])).is_err(), "{name}");
        }
    }
}
