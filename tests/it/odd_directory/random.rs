//! Random faults of names and values, and random orders: what a complete read may be called, and what
//! must not matter.

use std::collections::BTreeSet;

use ftrack_ldap_sync::model::{report::Outcome, verdict::Verdict};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{Odd, OddDirectory, mapping, names::schema, situation};
use crate::{
    faults::{NO_LIMIT, cases},
    in_process,
    rules::add_config,
    studio::Studio,
};

/// What may be mapped to an attribute: names in many spellings, names that nobody has, and templates.
const SOURCES: [&str; 22] = [
    "uid",
    "UID",
    "userid",
    "0.9.2342.19200300.100.1.1",
    "uid;lang-en",
    "uidd",
    "mail",
    "rfc822Mailbox",
    "sn",
    "surname",
    "gn",
    "name",
    "badge",
    "employeeNumber",
    "entryUUID",
    "objectClass",
    "{{ uid }}",
    "{{ userid }}",
    "{{ uidd }}",
    "{{ givenName }}.{{ surname }}",
    "{{ 'one' }}",
    "{{ badge }}-{{ uid }}",
];

/// What is wrong with one attribute of an entry.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Missing,
    Empty,
    NoText,
    Control,
    Several,
    OfAnother,
    UnderOption,
}

/// The attributes in which entries may have faults.
const FAULTY: [&str; 5] = ["uid", "mail", "sn", "givenName", "entryUUID"];

#[derive(Debug, Clone)]
struct Case {
    username: &'static str,
    others: Vec<(&'static str, &'static str, bool)>,
    people: usize,
    faults: Vec<(usize, &'static str, Fault)>,
    has_schema: bool,
    is_split: bool,
    has_aliases: bool,
    is_synced: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let source = || select(SOURCES.as_slice());
    let target = select(["email", "first_name", "last_name"].as_slice());
    let fault = select(
        [
            Fault::Missing,
            Fault::Empty,
            Fault::NoText,
            Fault::Control,
            Fault::Several,
            Fault::OfAnother,
            Fault::UnderOption,
        ]
        .as_slice(),
    );
    let username = prop_oneof![2 => Just("uid"), 3 => source()];
    let faults = vec((0_usize..7, select(FAULTY.as_slice()), fault), 0..9);
    let others = vec((target, source(), any::<bool>()), 0..3);
    (username, others, 1_usize..7, faults, any::<[bool; 4]>()).prop_map(
        |(username, mut others, people, faults, [has_schema, is_split, has_aliases, is_synced])| {
            others.sort_by_key(|(target, ..)| *target);
            others.dedup_by_key(|(target, ..)| *target);
            Case {
                username,
                others,
                people,
                faults,
                has_schema,
                is_split,
                has_aliases,
                is_synced,
            }
        },
    )
}

impl Case {
    fn uids(&self) -> Vec<String> {
        (0..self.people).map(|nth| format!("p{nth}")).collect()
    }

    /// The mapping, as the configuration has it.
    fn attributes(&self) -> String {
        let mut attributes = format!("username = {:?}", self.username);
        for (target, from, required) in &self.others {
            attributes.push_str(&format!(
                ", {target} = {{ from = {from:?}, required = {required} }}"
            ));
        }
        attributes
    }

    /// What the server sends, with the faults.
    fn spoil(&self, odd: &mut Odd) {
        odd.is_split = self.is_split;
        if self.has_schema {
            odd.schema = schema();
        }
        if self.has_aliases {
            odd.aliases = [
                ("userid", "uid"),
                ("rfc822Mailbox", "mail"),
                ("gn", "givenName"),
            ]
            .map(|(alias, of)| (alias.to_owned(), of.to_owned()))
            .to_vec();
        }
        for (nth, name, fault) in &self.faults {
            let person = odd.person(&format!("p{}", nth % self.people));
            let Some(place) = person.iter().position(|(known, _)| known == name) else {
                continue;
            };
            let (description, values) = &mut person[place];
            match fault {
                Fault::Missing => {
                    person.remove(place);
                }
                Fault::Empty => values.clear(),
                Fault::NoText => *values = vec![vec![0xff, 0xfe, 0x00]],
                Fault::Control => *values = vec![b"a\n\x1b[2Jb".to_vec()],
                Fault::Several => values.push(b"another".to_vec()),
                Fault::OfAnother => *values = vec![b"p0".to_vec()],
                Fault::UnderOption => description.push_str(";x-odd"),
            }
        }
    }
}

/// How many people these are: entries with one entryUUID are one that arrived twice.
fn one_by_id(odd: &mut Odd, uids: &[&str]) -> usize {
    let mut ids = BTreeSet::new();
    let mut id_of = |uid: &&&str| {
        let person = odd.person(uid);
        let id = person.iter().find(|(name, _)| name == "entryUUID");
        let id = id.map_or_else(Vec::new, |(_, values)| values.concat());
        ids.insert(if id.is_empty() {
            uid.as_bytes().to_vec()
        } else {
            id
        })
    };
    uids.iter().filter(|uid| id_of(uid)).count()
}

proptest! {
    #![proptest_config(cases(25))]

    #[test]
    fn no_read_of_which_most_entries_are_unusable_is_a_success(case in case()) {
        let uids = case.uids();
        let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
        let directory = OddDirectory::start(Odd::of(&uids));
        let mut situation = situation(&directory).job(NO_LIMIT);
        if case.is_synced {
            situation.sync();
        }
        let mut people = case.people;
        directory.set(|odd| {
            case.spoil(odd);
            people = one_by_id(odd, &uids);
        });
        mapping(&mut situation, &case.attributes());
        let file = Studio::config(&situation);
        let finished = situation
            .runtime()
            .block_on(in_process::report(&file, &["sync", "--format", "json"]));
        let users: Vec<_> = situation
            .ftrack()
            .users()
            .into_iter()
            .filter(|user| user.metadata.contains_key("ftrack-ldap-sync"))
            .collect();
        // Everybody is in the directory.
        prop_assert!(users.iter().all(|user| user.is_active), "{:#?}", users);
        // A configuration that can never work is refused.
        let Ok(finished) = finished else {
            return Ok(());
        };
        let report = finished.result;
        if report.outcome == Outcome::Succeeded {
            // A login that is another's makes nobody's entry unusable.
            let unusable = report.skipped.iter();
            let unusable = unusable.filter(|skipped| skipped.verdict != Some(Verdict::Collision));
            prop_assert!(unusable.count() * 2 <= people, "{:#?}", report);
            prop_assert!(users.len() * 2 >= people, "{:#?}\n{:#?}", report, users);
        } else {
            prop_assert!(finished.status != 0);
        }
    }

    #[test]
    fn the_order_of_values_entries_and_pages_does_not_matter(
        people in 2_usize..7,
        several in vec((0_usize..7, select(FAULTY.split_at(4).0), 1_usize..4), 0..8),
        keys in vec(any::<u32>(), 64),
        page in 1_u32..5,
        is_split in any::<[bool; 2]>(),
        is_synced in any::<bool>(),
    ) {
        let uids: Vec<String> = (0..people).map(|nth| format!("p{nth}")).collect();
        let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
        let directory = OddDirectory::start(Odd::of(&uids));
        let situation = situation(&directory).job(NO_LIMIT);
        if is_synced {
            situation.sync();
        }
        directory.set(|odd| {
            for (nth, name, more) in &several {
                let person = odd.person(&format!("p{}", nth % people));
                let (_, values) = person.iter_mut().find(|(known, _)| known == name).unwrap();
                for number in 0..*more {
                    values.push(format!("a{nth}{number}@studio.test").into_bytes());
                }
            }
            odd.is_split = is_split[0];
        });
        let one = situation.plan_text();
        let mut keys = keys.into_iter().cycle();
        let mut key = |_: &_| keys.next();
        directory.set(|odd| {
            odd.is_split = is_split[1];
            odd.entries.sort_by_cached_key(|entry| key(&entry.0.len()));
            for (_, attributes) in &mut odd.entries {
                attributes.sort_by_cached_key(|attribute| key(&attribute.0.len()));
                for (_, values) in attributes {
                    values.sort_by_cached_key(|value| key(&value.len()));
                }
            }
        });
        add_config(&situation, &format!("[directories.studio]\npage_size = {page}\n"));
        let other = situation.plan_text();
        prop_assert_eq!(one, other);
    }
}
