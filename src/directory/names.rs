//! The names of attributes: gives what a server sent the names that were asked for, whatever its
//! own spelling. No I/O.

use std::{collections::BTreeSet, sync::Arc};

use foldhash::{HashMap, HashSet, HashSetExt};

use super::{
    error::words,
    name_fault::NameFault,
    schema::{AttributeType, Schema},
};
use crate::model::entry::{Attributes, Entry, Values};

/// The most descriptions whose meaning is remembered; others are looked up each time.
const MOST_KNOWN: usize = 4096;
/// The longest description that is remembered, in bytes.
const LONGEST_KNOWN: usize = 256;
/// The most descriptions of others that are named in an error.
const MOST_OTHERS: usize = 8;

/// The attributes that were asked for, and how a server calls them.
///
/// With a schema, every name and OID of a type means it (RFC 4512 section 2.5); without, only the
/// name itself in any case. The order of options means nothing. Where an entry has no value of a
/// description itself, those of its subtypes count (section 2.5.2): with more options, or of a type
/// that is derived from it.
#[derive(Debug, Default)]
pub(super) struct Names {
    asked: Vec<Asked>,
    schema: Option<Arc<Schema>>,
    /// What the descriptions that the server sent mean.
    known: HashMap<String, Arc<[Meaning]>>,
    /// Some of those that mean nothing that was asked for.
    others: BTreeSet<String>,
}

/// An attribute that was asked for.
#[derive(Debug)]
struct Asked {
    name: Arc<str>,
    description: Description,
    /// Whether any entry had it.
    is_shown: bool,
}

/// An attribute description (RFC 4512 section 2.5).
#[derive(Debug)]
struct Description {
    /// Name or OID, in lower case.
    kind: String,
    /// In lower case.
    options: BTreeSet<String>,
}

/// That a description is that of an attribute that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    /// Its position among those that were asked for.
    place: usize,
    is_exact: bool,
}

/// The values that an entry has of an attribute that was asked for.
#[derive(Debug, Default)]
struct Found {
    exact: Values,
    of_subtypes: Values,
}

impl Found {
    fn add(&mut self, meaning: Meaning, mut values: Values) {
        let list = if meaning.is_exact {
            &mut self.exact
        } else {
            &mut self.of_subtypes
        };
        if list.is_empty() {
            *list = values;
        } else {
            list.append(&mut values);
        }
    }
}

impl Names {
    /// The attributes that are asked for, each once.
    pub fn new(asked: &[String], schema: Option<Arc<Schema>>) -> Self {
        let asked = asked.iter().map(|name| Asked {
            name: name.as_str().into(),
            description: Description::of(name),
            is_shown: false,
        });
        Self {
            asked: asked.collect(),
            schema,
            ..Self::default()
        }
    }

    /// The entry with the attributes that were asked for, under the names under which they were:
    /// the parts of one attribute are one, and so are equal values.
    pub fn resolve(&mut self, mut entry: Entry) -> Entry {
        if self.name_in_place(entry.attributes_mut()) {
            return entry;
        }
        let is_too_large = entry.is_too_large();
        let (dn, attributes) = entry.into_parts();
        let mut found: Vec<Found> = self.asked.iter().map(|_| Found::default()).collect();
        for (description, values) in attributes {
            let meanings = self.meanings(&description);
            let Some((last, others)) = meanings.split_last() else {
                continue;
            };
            for meaning in others {
                if let Some(found) = found.get_mut(meaning.place) {
                    found.add(*meaning, values.clone());
                }
            }
            if let Some(found) = found.get_mut(last.place) {
                found.add(*last, values);
            }
        }
        let mut resolved = Vec::with_capacity(self.asked.len());
        for (asked, Found { exact, of_subtypes }) in self.asked.iter_mut().zip(found) {
            let values = if exact.is_empty() { of_subtypes } else { exact };
            if !values.is_empty() {
                asked.is_shown = true;
                resolved.push((Arc::clone(&asked.name), each_once(values)));
            }
        }
        let resolved = Entry::new(dn, resolved);
        if is_too_large {
            resolved.too_large()
        } else {
            resolved
        }
    }

    /// Gives the attributes of an entry the names under which they were asked for, where each is one
    /// of these, and comes once, as in nearly every entry. Answers whether it was so.
    fn name_in_place(&mut self, attributes: &mut Attributes) -> bool {
        let mut found = 0_u64;
        let mut is_called_otherwise = false;
        for (description, values) in attributes.iter_mut() {
            let Some(place) = self
                .only_meaning(description)
                .filter(|_| !values.is_empty())
            else {
                return false;
            };
            let bit = u32::try_from(place)
                .ok()
                .and_then(|place| 1_u64.checked_shl(place));
            let (Some(bit), Some(asked)) = (bit, self.asked.get_mut(place)) else {
                return false;
            };
            if found & bit != 0 {
                return false;
            }
            found |= bit;
            asked.is_shown = true;
            is_called_otherwise |= asked.name != *description;
            if values.len() > 1 {
                *values = each_once(std::mem::take(values));
            }
        }
        if is_called_otherwise {
            for (description, _) in attributes {
                let place = self.only_meaning(description);
                if let Some(asked) = place.and_then(|place| self.asked.get(place)) {
                    *description = Arc::clone(&asked.name);
                }
            }
        }
        true
    }

    /// The place of the only attribute that a description means, and means exactly.
    fn only_meaning(&mut self, sent: &str) -> Option<usize> {
        match *self.meanings(sent) {
            [
                Meaning {
                    place,
                    is_exact: true,
                },
            ] => Some(place),
            _ => None,
        }
    }

    /// What is wrong with those of these names that no entry showed.
    pub fn faults<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Vec<NameFault> {
        let is_shown = |name: &String| {
            let mut asked = self.asked.iter();
            asked.any(|asked| asked.is_shown && asked.name.eq_ignore_ascii_case(name))
        };
        let unseen = names.into_iter().filter(|name| !is_shown(name));
        unseen
            .filter_map(|name| {
                let name = name.clone();
                match &self.schema {
                    Some(schema) if schema.find(&name).is_some() => None,
                    Some(schema) => Some(NameFault::NotInSchema {
                        near: schema.nearest(&name).map(str::to_owned),
                        name,
                    }),
                    None if self.others.is_empty() => Some(NameFault::NotKnown { name }),
                    None => Some(NameFault::OtherNames {
                        name,
                        others: self.others.iter().cloned().collect(),
                    }),
                }
            })
            .collect()
    }

    /// What a description means that a server sent.
    fn meanings(&mut self, sent: &str) -> Arc<[Meaning]> {
        if let Some(known) = self.known.get(sent) {
            return Arc::clone(known);
        }
        let meanings: Arc<[Meaning]> = self.find(&Description::of(sent)).into();
        if meanings.is_empty() && self.others.len() < MOST_OTHERS {
            self.others.insert(words(sent));
        }
        if self.known.len() < MOST_KNOWN && sent.len() <= LONGEST_KNOWN {
            self.known.insert(sent.to_owned(), Arc::clone(&meanings));
        }
        meanings
    }

    fn find(&self, sent: &Description) -> Vec<Meaning> {
        let kind_of = |name: &str| self.schema.as_ref()?.find(name);
        let sent_kind = kind_of(&sent.kind);
        let meaning = |(place, asked): (usize, &Asked)| {
            let asked = &asked.description;
            let is_same = asked.kind == sent.kind
                || sent_kind.is_some_and(|kind| kind.is_called(&asked.kind));
            let is_derived = || {
                let both: Option<(&AttributeType, &AttributeType)> =
                    sent_kind.zip(kind_of(&asked.kind));
                both.zip(self.schema.as_ref())
                    .is_some_and(|((sent, asked), schema)| schema.is_derived(sent, asked))
            };
            let is_exact = is_same && asked.options == sent.options;
            let is_subtype = asked.options.is_subset(&sent.options) && (is_same || is_derived());
            (is_exact || is_subtype).then_some(Meaning { place, is_exact })
        };
        self.asked.iter().enumerate().filter_map(meaning).collect()
    }
}

impl Description {
    fn of(text: &str) -> Self {
        let mut parts = text.split(';').map(str::to_ascii_lowercase);
        Self {
            kind: parts.next().unwrap_or_default(),
            options: parts.collect(),
        }
    }
}

/// Equal values are one value; the first of them keeps its place.
fn each_once(mut values: Values) -> Values {
    if values.len() < 2 {
        return values;
    }
    let mut seen = HashSet::with_capacity(values.len());
    let is_first: Vec<bool> = values.iter().map(|value| seen.insert(&**value)).collect();
    if seen.len() < values.len() {
        let mut is_first = is_first.into_iter();
        values.retain(|_| is_first.next() == Some(true));
    }
    values
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn schema() -> Option<Arc<Schema>> {
        Some(Arc::new(Schema::of([
            "( 2.5.4.41 NAME 'name' )",
            "( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )",
            "( 2.5.4.42 NAME ( 'givenName' 'gn' ) SUP name )",
            "( 0.9.2342.19200300.100.1.3 NAME ( 'mail' 'rfc822Mailbox' ) )",
            "( 1.2.3 NAME 'badge' )",
        ])))
    }

    fn names(asked: &[&str], schema: Option<Arc<Schema>>) -> Names {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        Names::new(&asked, schema)
    }

    fn entry(attributes: &[(&str, &[&str])]) -> Entry {
        let bytes = |values: &[&str]| {
            values
                .iter()
                .map(|value| value.as_bytes().to_vec())
                .collect()
        };
        let attributes = attributes
            .iter()
            .map(|(name, values)| (*name, bytes(values)));
        Entry::showing("uid=x", attributes)
    }

    fn values(entry: &Entry, name: &str) -> Vec<String> {
        let values = entry.values(name).iter();
        values
            .map(|value| String::from_utf8(value.clone()).unwrap())
            .collect()
    }

    #[test]
    fn what_a_server_calls_otherwise_is_found() {
        let sent = entry(&[
            ("sn", &["Adams"]),
            ("givenName;lang-ja", &["エイダ"]),
            ("MAIL", &["ada@x.test"]),
        ]);
        let asked = ["surname", "2.5.4.42", "RFC822mailbox", "sn"];
        let resolved = names(&asked, schema()).resolve(sent.clone());
        assert_eq!(
            asked.map(|name| values(&resolved, name).concat()),
            ["Adams", "エイダ", "ada@x.test", "Adams"]
        );
        let resolved = names(&asked, None).resolve(sent);
        assert_eq!(
            asked.map(|name| values(&resolved, name).concat()),
            ["", "", "", "Adams"]
        );
    }

    #[test]
    fn the_order_of_options_means_nothing_and_more_options_are_a_subtype() {
        for schema in [None, schema()] {
            let both = entry(&[("SN;lang-EN;lang-ja", &["tagged"]), ("sn", &["plain"])]);
            for (asked, found) in [
                ("sn;lang-ja;lang-en", "tagged"),
                ("sn;lang-ja", "tagged"),
                ("sn", "plain"),
                ("sn;lang-fr", ""),
            ] {
                let resolved = names(&[asked], schema.clone()).resolve(both.clone());
                assert_eq!(values(&resolved, asked).concat(), found, "{asked}");
            }
        }
    }

    #[test]
    fn types_that_are_derived_from_one_count_where_it_has_no_value_itself() {
        let derived = entry(&[
            ("sn", &["Adams"]),
            ("givenName", &["Ada"]),
            ("mail", &["a"]),
        ]);
        let resolved = names(&["name"], schema()).resolve(derived);
        assert_eq!(values(&resolved, "name"), ["Adams", "Ada"]);
    }

    #[test]
    fn several_parts_of_one_attribute_are_one_and_so_are_equal_values() {
        let parts = entry(&[("mail", &["b", "a"]), ("Mail", &["b"]), ("mail", &["c"])]);
        let resolved = names(&["mail"], None).resolve(parts);
        assert_eq!(values(&resolved, "mail"), ["b", "a", "c"]);
    }

    #[test]
    fn names_that_nobody_showed_are_faults_where_the_schema_does_not_have_them() {
        let asked = ["uid", "surnam", "mail", "badge"].map(str::to_owned);
        let sent = entry(&[("uid", &["a"]), ("Mail", &["b"]), ("odd", &["c"])]);
        let mut known = Names::new(&asked, schema());
        known.resolve(sent.clone());
        let near = Some("surname".to_owned());
        let name = "surnam".to_owned();
        assert_eq!(
            known.faults(&asked),
            [NameFault::NotInSchema { name, near }]
        );
        let mut unknown = Names::new(&asked, None);
        unknown.resolve(entry(&[("uid", &["a"])]));
        let name = |name: &str| name.to_owned();
        assert_eq!(
            unknown.faults(asked.iter().skip(2)),
            ["mail", "badge"].map(|of| NameFault::NotKnown { name: name(of) })
        );
        unknown.resolve(sent);
        let others = vec!["odd".to_owned()];
        assert_eq!(
            unknown.faults(asked.iter().skip(3)),
            [NameFault::OtherNames {
                name: name("badge"),
                others
            }]
        );
    }

    proptest! {
        #[test]
        fn what_is_named_in_place_is_what_is_found_otherwise(
            attributes in proptest::collection::vec(
                (
                    prop::sample::select(&["sn", "SN", "sn;lang-ja", "surname", "mail", "gn", "givenName", "name"][..]),
                    proptest::collection::vec(prop::sample::select(&["a", "b", "c"][..]), 0..4),
                ),
                0..5,
            ),
            has_schema in any::<bool>(),
        ) {
            let asked = ["sn", "mail", "givenName"];
            let attributes: Vec<(&str, &[&str])> =
                attributes.iter().map(|(name, values)| (*name, &values[..])).collect();
            // An attribute that was not asked for is nobody's.
            let with_another = [&attributes[..], &[("badge", &["1"][..])]].concat();
            let schema = || has_schema.then(schema).flatten();
            let resolved = names(&asked, schema()).resolve(entry(&attributes));
            let otherwise = names(&asked, schema()).resolve(entry(&with_another));
            for name in asked {
                prop_assert_eq!(values(&resolved, name), values(&otherwise, name));
            }
            prop_assert!(resolved.attributes().iter().all(|(name, _)| asked.contains(&&**name)));
        }
    }
}
