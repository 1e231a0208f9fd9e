//! Whether a filter matches an entry that no server was asked for (RFC 4511 section 4.5.1.7). Without
//! a schema, every attribute counts as known, text is compared without case, and numbers as numbers.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use ldap3::asn1::{ASNTag as _, PL, StructureTag};

use super::dn::{Dn, naming_values};
use crate::{config::Filter, model::entry::Entry};

/// The matching rules of Active Directory: all of these bits, one of them, and the members of groups in
/// groups ([MS-ADTS] section 3.1.1.3.4.4).
const ALL_BITS: &str = "1.2.840.113556.1.4.803";
const ANY_BIT: &str = "1.2.840.113556.1.4.804";
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// Equality of text (RFC 4517 sections 4.2.11 and 4.2.4).
const IGNORING_CASE: [&str; 2] = ["2.5.13.2", "caseIgnoreMatch"];
const WITH_CASE: [&str; 2] = ["2.5.13.5", "caseExactMatch"];
/// The object classes from which others are derived, which servers count to an entry though it need
/// not show them (RFC 4512 section 2.4.1; RFC 4519 section 3, RFC 2798 section 3).
const DERIVED: [(&[u8], &[u8]); 5] = [
    (b"inetorgperson", b"organizationalperson"),
    (b"organizationalperson", b"person"),
    (b"residentialperson", b"person"),
    (b"computer", b"user"),
    (b"user", b"organizationalperson"),
];

/// A filter of which it can be told without a server whether it matches.
#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// An attribute that has values, and one of them meets the assertion.
    Has(String, Assertion),
}

/// What is asserted of a value.
#[derive(Debug)]
pub(super) enum Assertion {
    IsThere,
    Equals(Vec<u8>),
    EqualsExactly(Vec<u8>),
    AtLeast(Vec<u8>),
    AtMost(Vec<u8>),
    Parts {
        initial: Vec<u8>,
        any: Vec<Vec<u8>>,
        last: Vec<u8>,
    },
    AllBits(i64),
    AnyBit(i64),
    InChain(Dn),
}

/// Why it cannot be told without a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("only a server can tell whom the filter {filter} matches: it uses {what}")]
pub struct OnlyAServer {
    /// The whole filter.
    pub filter: String,
    /// The part of it.
    pub what: String,
}

impl Condition {
    /// The condition that a filter is.
    ///
    /// # Errors
    /// It uses a matching rule that is not known here.
    pub fn new(filter: &Filter) -> Result<Self, OnlyAServer> {
        let fault = |what: String| OnlyAServer {
            filter: filter.to_string(),
            what,
        };
        // The tree that the library sends to servers. A filter of the configuration is one.
        let parsed = ldap3::parse_filter(filter.as_str());
        let tag = parsed.map_err(|()| fault("what is no filter".to_owned()))?;
        condition(tag.into_structure()).map_err(fault)
    }

    /// Whether it matches an entry; the groups, their entries, are those whose members it may ask for.
    pub fn matches(&self, entry: &Entry, groups: &[&Entry]) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.matches(entry, groups)),
            Self::Any(any) => any.iter().any(|one| one.matches(entry, groups)),
            Self::Not(one) => !one.matches(entry, groups),
            Self::Has(name, assertion) => assertion.is_met(name, entry, groups),
        }
    }
}

fn condition(StructureTag { id, payload, .. }: StructureTag) -> Result<Condition, String> {
    let all = |tags: Vec<StructureTag>| -> Result<Vec<Condition>, String> {
        tags.into_iter().map(condition).collect()
    };
    Ok(match (id, payload) {
        (0, PL::C(tags)) => Condition::All(all(tags)?),
        (1, PL::C(tags)) => Condition::Any(all(tags)?),
        (2, PL::C(mut tags)) => {
            let inner = tags.pop().ok_or("an empty NOT")?;
            Condition::Not(Box::new(condition(inner)?))
        }
        (7, PL::P(name)) => Condition::Has(text(&name), Assertion::IsThere),
        (9, PL::C(tags)) => extensible(tags)?,
        (4, PL::C(tags)) => {
            let mut tags = tags.into_iter();
            let name = tags.next().map(primitive).unwrap_or_default();
            let parts = tags.next().map(|parts| parts.payload);
            let Some(PL::C(parts)) = parts else {
                return Err("a part of a value without parts".into());
            };
            Condition::Has(text(&name), of_parts(parts))
        }
        (id, PL::C(tags)) => {
            let mut tags = tags.into_iter().map(primitive);
            let name = text(&tags.next().unwrap_or_default());
            let value = tags.next().unwrap_or_default();
            let assertion = match id {
                3 | 8 => Assertion::Equals(comparable(&value)),
                5 => Assertion::AtLeast(comparable(&value)),
                6 => Assertion::AtMost(comparable(&value)),
                other => return Err(format!("the choice {other}")),
            };
            Condition::Has(name, assertion)
        }
        (id, PL::P(_)) => return Err(format!("the choice {id}")),
    })
}

fn of_parts(parts: Vec<StructureTag>) -> Assertion {
    let (mut initial, mut any, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let id = part.id;
        // A blank at an end of a part is between two words.
        let value = folded(&primitive(part)).into_owned();
        match id {
            0 => initial = value,
            1 => any.push(value),
            _ => last = value,
        }
    }
    Assertion::Parts { initial, any, last }
}

fn extensible(tags: Vec<StructureTag>) -> Result<Condition, String> {
    let (mut rule, mut name, mut value, mut of_dn) = (None, None, Vec::new(), false);
    for tag in tags {
        match tag.id {
            1 => rule = Some(text(&primitive(tag))),
            2 => name = Some(text(&primitive(tag))),
            3 => value = primitive(tag),
            _ => of_dn = true,
        }
    }
    let Some(name) = name.filter(|_| !of_dn) else {
        return Err("a match of attributes of the DN, or of every attribute".into());
    };
    let is = |names: [&str; 2]| {
        let mut names = names.into_iter();
        let rule = rule.as_deref().unwrap_or_default();
        names.any(|name| rule.eq_ignore_ascii_case(name))
    };
    let bits = || {
        let number = std::str::from_utf8(&value)
            .ok()
            .and_then(|text| text.parse().ok());
        number.ok_or_else(|| format!("bits that are no number ({})", text(&value)))
    };
    let assertion = match rule.as_deref() {
        None => Assertion::Equals(comparable(&value)),
        Some(ALL_BITS) => Assertion::AllBits(bits()?),
        Some(ANY_BIT) => Assertion::AnyBit(bits()?),
        Some(IN_CHAIN) => {
            let dn = Dn::parse(&text(&value));
            Assertion::InChain(dn.ok_or_else(|| format!("{:?}, which is no DN", text(&value)))?)
        }
        Some(_) if is(IGNORING_CASE) => Assertion::Equals(comparable(&value)),
        Some(_) if is(WITH_CASE) => Assertion::EqualsExactly(value),
        Some(other) => return Err(format!("the matching rule {other}")),
    };
    Ok(Condition::Has(name, assertion))
}

fn primitive(tag: StructureTag) -> Vec<u8> {
    tag.expect_primitive().unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Assertion {
    fn is_met(&self, name: &str, entry: &Entry, groups: &[&Entry]) -> bool {
        if let Self::InChain(group) = self {
            return name.eq_ignore_ascii_case("memberOf") && is_in_chain(entry, group, groups);
        }
        values(entry, name).any(|value| self.is_met_by(name, value))
    }

    fn is_met_by(&self, name: &str, value: &[u8]) -> bool {
        match self {
            Self::IsThere => true,
            Self::Equals(wanted) if name.eq_ignore_ascii_case("objectClass") => {
                is_class(comparable(value), wanted)
            }
            Self::Equals(wanted) => {
                comparable(value) == *wanted
                    || is_same_dn(value, wanted)
                    || (name.eq_ignore_ascii_case("objectCategory") && is_category(value, wanted))
            }
            Self::EqualsExactly(wanted) => value == wanted,
            Self::AtLeast(bound) => is_ordered(bound, &comparable(value)),
            Self::AtMost(bound) => is_ordered(&comparable(value), bound),
            Self::Parts { initial, any, last } => are_in((initial, any, last), &comparable(value)),
            Self::AllBits(bits) => number(value).is_some_and(|number| number & bits == *bits),
            Self::AnyBit(bits) => number(value).is_some_and(|number| number & bits != 0),
            Self::InChain(_) => false,
        }
    }
}

/// The values of an attribute, and of its subtypes with more options (RFC 4512 section 2.5.2).
fn values<'e>(entry: &'e Entry, name: &str) -> impl Iterator<Item = &'e [u8]> {
    let options = |text: &str| -> BTreeSet<String> {
        text.split(';')
            .skip(1)
            .map(str::to_ascii_lowercase)
            .collect()
    };
    let kind = |text: &str| {
        text.split(';')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let (wanted, of) = (options(name), kind(name));
    let is_it =
        move |description: &str| kind(description) == of && wanted.is_subset(&options(description));
    let attributes = entry.attributes().iter();
    let found = attributes.filter(move |(description, _)| is_it(description));
    found.flat_map(|(_, values)| values).map(Vec::as_slice)
}

/// Text as servers compare it: without case, of several blanks one, none at the ends. Other bytes as
/// they are.
fn comparable(bytes: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let words: Vec<&str> = text.split_whitespace().collect();
            words.join(" ").to_lowercase().into_bytes()
        }
        Err(_) => bytes.to_vec(),
    }
}

fn folded(bytes: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Owned(text.to_lowercase().into_bytes()),
        Err(_) => Cow::Borrowed(bytes),
    }
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

fn is_ordered(lower: &[u8], higher: &[u8]) -> bool {
    match (number(lower), number(higher)) {
        (Some(lower), Some(higher)) => lower <= higher,
        (Some(_) | None, _) => lower <= higher,
    }
}

fn is_class(mut class: Vec<u8>, wanted: &[u8]) -> bool {
    loop {
        if class == wanted || wanted == b"top" {
            return true;
        }
        let derived = DERIVED.iter().find(|(name, _)| *name == class);
        match derived {
            Some((_, from)) => class = from.to_vec(),
            None => return false,
        }
    }
}

fn is_same_dn(value: &[u8], wanted: &[u8]) -> bool {
    let dn = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        Dn::parse(text).filter(|dn| !dn.key().is_empty())
    };
    let looks_like_one = wanted.contains(&b'=');
    looks_like_one && dn(value).is_some_and(|value| dn(wanted) == Some(value))
}

/// Active Directory takes the name of a class for its category ([MS-ADTS] section 3.1.1.3.1.3.5).
fn is_category(value: &[u8], wanted: &[u8]) -> bool {
    let wanted: &[u8] = if wanted == b"user" { b"person" } else { wanted };
    let names = naming_values(&text(value));
    names
        .iter()
        .any(|name| comparable(name.as_bytes()) == wanted)
}

/// Whether the parts occur in this order without overlapping.
fn are_in((initial, any, last): (&[u8], &[Vec<u8>], &[u8]), value: &[u8]) -> bool {
    let Some(mut rest) = value.strip_prefix(initial.trim_ascii_start()) else {
        return false;
    };
    for part in any.iter().filter(|part| !part.is_empty()) {
        let found = rest
            .windows(part.len())
            .position(|window| window == part.as_slice());
        let Some(place) = found else { return false };
        rest = rest.get(place + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last.trim_ascii_end())
}

/// Whether an entry is in a group, or in one that is in it, as it shows itself or the groups do.
fn is_in_chain(entry: &Entry, group: &Dn, groups: &[&Entry]) -> bool {
    let dns = |entry: &Entry, name: &str| -> Vec<Dn> {
        values(entry, name)
            .filter_map(|value| Dn::parse(&text(value)))
            .collect()
    };
    let mut open = dns(entry, "memberOf");
    let of_entry = |dn: &Dn| {
        let holds = |other: &&&Entry| dns(other, "member").contains(dn);
        let holding = groups.iter().filter(holds);
        holding
            .filter_map(|other| Dn::parse(&other.dn))
            .collect::<Vec<_>>()
    };
    open.extend(Dn::parse(&entry.dn).iter().flat_map(of_entry));
    let mut seen = HashSet::new();
    while let Some(dn) = open.pop() {
        if dn == *group {
            return true;
        }
        if seen.insert(dn.clone()) {
            open.extend(of_entry(&dn));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::{config::PeopleFilter, directory::ldif::Ldif, model::server_kind::ServerKind};

    const FILE: &str = "\
dn: CN=Ada,OU=people,DC=test
objectClass: inetOrgPerson
cn: Ada  Lovelace
cn;lang-sv: Åda
uid: ada
mail: Ada@Studio.test
uidNumber: 1000
userAccountControl: 514
memberOf: cn=Leads,ou=groups,dc=test
objectCategory: CN=Person,CN=Schema,CN=Configuration,DC=test
objectGUID:: AAECA//+/fz7+vn49/b19A==
description: a (b) * c

dn: cn=all,ou=groups,dc=test
objectClass: group
member: cn=leads, ou=groups, dc=test
member: cn=all,ou=groups,dc=test

dn: cn=other,ou=groups,dc=test
objectClass: group
member: cn=ada,ou=people,dc=test
";

    fn matches(filter: &str) -> bool {
        let file = Ldif::parse(FILE.as_bytes()).unwrap();
        let entries: Vec<&Entry> = file.entries.iter().map(|(_, entry)| entry).collect();
        let filter: Filter = filter.parse().unwrap();
        Condition::new(&filter)
            .unwrap()
            .matches(entries[0], &entries[1..])
    }

    #[test]
    fn what_a_server_would_match() {
        for filter in [
            "(uid=ADA)",
            "(UID=*)",
            "(cn=ada lovelace)",
            "(cn=åda)",
            "(cn;lang-sv=*)",
            "(objectClass=person)",
            "(objectClass=top)",
            "(cn=a*a l*ace)",
            "(cn=*love*)",
            "(mail=*@studio.test)",
            "(uidNumber>=999)",
            "(uidNumber<=1000)",
            "(uid~=ada)",
            "(userAccountControl:1.2.840.113556.1.4.803:=2)",
            "(userAccountControl:1.2.840.113556.1.4.804:=3)",
            "(memberOf=CN=leads, OU=groups, DC=test)",
            "(memberOf:1.2.840.113556.1.4.1941:=cn=all,ou=groups,dc=test)",
            "(memberOf:1.2.840.113556.1.4.1941:=cn=other,ou=groups,dc=test)",
            "(objectCategory=person)",
            "(objectCategory=user)",
            r"(objectGUID=\00\01\02\03\ff\fe\fd\fc\fb\fa\f9\f8\f7\f6\f5\f4)",
            r"(description=a \28b\29 \2a c)",
            "(&(uid=ada)(!(sn=*)))",
            "(|(uid=bob)(uid=ada))",
            "(&)",
            "(uid:caseExactMatch:=ada)",
            "(uid:=Ada)",
        ] {
            assert!(matches(filter), "{filter}");
        }
    }

    #[test]
    fn what_no_server_would_match() {
        for filter in [
            "(uid=ad)",
            "(sn=*)",
            "(objectClass=user)",
            "(cn;lang-de=*)",
            "(cn=*lace*love*)",
            "(uidNumber>=1001)",
            "(userAccountControl:1.2.840.113556.1.4.803:=3)",
            "(userAccountControl:1.2.840.113556.1.4.804:=1)",
            "(memberOf:1.2.840.113556.1.4.1941:=cn=none,ou=groups,dc=test)",
            "(objectCategory=computer)",
            "(!(uid=ada))",
            "(|)",
            "(uid:caseExactMatch:=Ada)",
        ] {
            assert!(!matches(filter), "{filter}");
        }
    }

    #[test]
    fn what_only_a_server_can_tell() {
        for (filter, what) in [
            ("(uid:1.2.3:=a)", "the matching rule 1.2.3"),
            ("(uid:dn:=a)", "attributes of the DN"),
            (
                "(userAccountControl:1.2.840.113556.1.4.803:=x)",
                "bits that are no number (x)",
            ),
        ] {
            let error = Condition::new(&filter.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn the_filter_of_each_kind_can_be_told() {
        for kind in ServerKind::ALL {
            let filter = PeopleFilter::of_kind(kind).where_known(|_| true);
            Condition::new(&filter).unwrap();
        }
    }

    proptest! {
        #[test]
        fn no_filter_makes_it_panic(filter in "\\((&|!|\\|)?[a-z():=*<>~&|!.0-9\\\\]{0,40}\\)") {
            if let Ok(filter) = filter.parse::<Filter>()
                && let Ok(condition) = Condition::new(&filter)
            {
                condition.matches(&Entry::new("cn=a".into(), Vec::new()), &[]);
            }
        }
    }
}
