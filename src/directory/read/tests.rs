//! What is made of entries while they arrive.
#![allow(clippy::unwrap_used)]

use proptest::{prelude::*, sample::Index};

use super::*;
use crate::config::{AccountRule, PeopleFilter};

/// Notes by which ids what is kept of each entry was prepared, from the moment when that is possible.
struct Noting {
    /// How many more entries arrive before that.
    until: usize,
}

/// The DN of an entry, and the ids by which it was prepared.
type Noted = (String, Vec<String>);

impl Kept for Noted {
    fn size(&self) -> usize {
        0
    }
}

impl Intake<Noted> for Noting {
    fn map(&mut self, _kind: ServerKind, entry: &Entry) -> Noted {
        self.until = self.until.saturating_sub(1);
        (entry.dn.clone(), Vec::new())
    }

    fn can_prepare(&mut self) -> bool {
        self.until == 0
    }

    fn prepare(&mut self, attribute: &IdAttribute, id: &DirectoryId, (_, by): &mut Noted) {
        by.push(format!("{}={id}", attribute.name()));
    }
}

fn collect(until: usize) -> Collect<Noted, Noting, impl FnMut(u64)> {
    let people = ByKind::new(|kind| PeopleSearch {
        filter: PeopleFilter::of_kind(kind),
        attributes: Vec::new(),
        account: AccountRule::default(),
    });
    Collect {
        configured: None,
        entries: Vec::new(),
        kind: ServerKind::default(),
        ids: Vec::new(),
        candidates: 0,
        dns: Vec::new(),
        people: Arc::new(people),
        accounts: BTreeMap::new(),
        memberships: BTreeMap::new(),
        searches: 1,
        disabled: Disabled::default(),
        members: None,
        has_people: false,
        intake: Noting { until },
        prepared: 0,
        progress: |_| (),
    }
}

fn begin(collect: &mut impl EntrySink) {
    let mut about = ServerIdentity::default();
    about.candidates = vec![IdAttribute::EntryUuid];
    collect.begin(&about, None);
}

/// Takes entries in, in pages that end before these places, and with the last one where the reading
/// is complete.
fn arrive(collect: &mut impl EntrySink, entries: &[Entry], ends: &BTreeSet<usize>) {
    let mut budget = Budget::of_a_reading();
    for (place, entry) in entries.iter().enumerate() {
        if ends.contains(&place) {
            collect.page(0);
        }
        collect.entry(0, entry, &mut budget).unwrap();
    }
}

/// Entries with ids of two attributes, which may arrive again in another page.
fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let ids = (prop::option::of(0_u8..9), prop::option::of(0_u8..9));
    proptest::collection::vec(ids, 0..20).prop_map(|all| {
        let entry = |(place, (uuid, unique)): (usize, (Option<u8>, Option<u8>))| {
            let uuid = uuid.map(|id| ("entryUUID", vec![format!("u{id}").into_bytes()]));
            let unique = unique.map(|id| ("nsUniqueId", vec![format!("n{id}").into_bytes()]));
            Entry::showing(&format!("cn={place}"), uuid.into_iter().chain(unique))
        };
        all.into_iter().enumerate().map(entry).collect()
    })
}

proptest! {
    #[test]
    fn whoever_arrives_in_whichever_page_is_prepared_once_by_each_id(
        entries in entries(),
        ends in proptest::collection::vec(any::<Index>(), 0..6),
        until in 0_usize..25,
        failed in proptest::option::of(any::<Index>()),
    ) {
        let places = |index: &Index| index.index(entries.len() + 1);
        let ends: BTreeSet<usize> = ends.iter().map(places).collect();
        let mut paged = collect(until);
        begin(&mut paged);
        // What arrived from a server that failed is forgotten, prepared or not.
        if let Some(failed) = failed {
            arrive(&mut paged, entries.get(..places(&failed)).unwrap(), &ends);
            begin(&mut paged);
            prop_assert!(paged.entries.is_empty() && paged.prepared == 0);
        }
        arrive(&mut paged, &entries, &ends);
        // Entries of a page that is not complete are not prepared.
        let complete = ends.iter().next_back().copied().unwrap_or_default().min(entries.len());
        let early = paged.entries.iter().skip(complete);
        prop_assert!(early.into_iter().all(|(_, (_, by))| by.is_empty()));
        paged.page(0);
        let is_late = paged.intake.until > 0;
        let mut at_once = collect(0);
        begin(&mut at_once);
        arrive(&mut at_once, &entries, &BTreeSet::new());
        at_once.page(0);
        for ((_, (dn, by)), (_, (same, all))) in paged.entries.iter().zip(&at_once.entries) {
            prop_assert_eq!(dn, same);
            let expected = if is_late { &[][..] } else { all };
            prop_assert_eq!(&**by, expected);
        }
        for ((_, (_, by)), entry) in at_once.entries.iter().zip(&entries) {
            let shown = entry.attributes().iter().map(|(name, values)| {
                format!("{name}={}", String::from_utf8(values.first().unwrap().clone()).unwrap())
            });
            prop_assert_eq!(by, &shown.collect::<Vec<String>>());
        }
    }
}
