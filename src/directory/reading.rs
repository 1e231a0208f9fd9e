//! What a complete read returned, and which attribute identifies the entries.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashSet, HashSetExt};

use super::{
    group_graph::{GroupsRead, Memberships},
    request::ReadRequest,
    search::SearchEvidence,
};
use crate::{
    config::Filter,
    model::{
        account::Account, bind_account::BindAccount, entry::DirectoryId, freshness::Freshness,
        id::IdAttribute, server_kind::ServerKind,
    },
};

/// A complete read: it exists only when every search ended with success on one and the same server,
/// every page and value range was fetched, and nothing was referred elsewhere.
#[derive(Debug)]
pub struct Reading<T> {
    entries: Vec<(Option<DirectoryId>, T)>,
    server: String,
    kind: ServerKind,
    account: BindAccount,
    filter: Option<Filter>,
    is_preferred: bool,
    directory_id: Option<String>,
    freshness: Freshness,
    id_attribute: Option<IdAttribute>,
    /// Entries with several values of it, and how many.
    several: BTreeMap<usize, usize>,
    /// Those that show anything but a person who may sign in.
    accounts: BTreeMap<usize, Account>,
    /// Those that are in groups that give something, or may be.
    memberships: BTreeMap<usize, Memberships>,
    /// The ids of the attributes that do not identify the entries.
    others: Vec<Ids>,
    searches: Vec<SearchEvidence>,
    /// Those for people who may not sign in.
    disabled_searches: Vec<SearchEvidence>,
    /// Those for groups.
    group_searches: Vec<SearchEvidence>,
    groups: Option<GroupsRead>,
    notes: Vec<String>,
}

/// What one attribute shows of the entries, each by its position.
#[derive(Debug)]
pub(super) struct Ids {
    pub attribute: IdAttribute,
    /// In the order of the entries.
    pub found: Vec<(usize, DirectoryId)>,
    /// Entries with several values of it, which identify nobody, and how many.
    pub several: BTreeMap<usize, usize>,
}

impl<T> Reading<T> {
    /// The mapped form of each entry, with its id. Each entry occurs once; so does each id, unless
    /// two entries have the same value of an attribute that the operator configured.
    #[must_use]
    pub fn entries(&self) -> &[(Option<DirectoryId>, T)] {
        &self.entries
    }

    /// The entries themselves.
    #[must_use]
    pub fn into_entries(self) -> Vec<(Option<DirectoryId>, T)> {
        self.entries
    }

    /// The URL of the server that answered.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What kind of server it is, by which the entries were mapped.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// As whom the server was bound to.
    #[must_use]
    pub fn account(&self) -> &BindAccount {
        &self.account
    }

    /// The filter for people with which it was made.
    #[must_use]
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// The request for people whom the reading does not show: for whom it asked, whatever kind
    /// the next server seems to be, and without the groups that only give something.
    #[must_use]
    pub fn asking_again(&self, request: ReadRequest) -> ReadRequest {
        let request = request.without_grants();
        match &self.filter {
            Some(filter) => request.for_people(filter),
            None => request,
        }
    }

    /// Whether the server is the preferred one, or equivalent by configuration: a replica may lag
    /// behind.
    #[must_use]
    pub fn is_preferred(&self) -> bool {
        self.is_preferred
    }

    /// The directory's id: as configured, or the id of its naming context's own entry; none where
    /// neither is known.
    #[must_use]
    pub fn directory_id(&self) -> Option<&str> {
        self.directory_id.as_deref()
    }

    /// How current the server's copy of the directory was when the reading began, as far as it
    /// shows that.
    #[must_use]
    pub fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    /// The attribute that identified the entries; none when no entry had one.
    #[must_use]
    pub fn id_attribute(&self) -> Option<&IdAttribute> {
        self.id_attribute.as_ref()
    }

    /// Entries that have several values of the attribute that identifies the others, by their
    /// positions, and how many values.
    #[must_use]
    pub fn several_ids(&self) -> &BTreeMap<usize, usize> {
        &self.several
    }

    /// The same with ids of the attribute by which the people are known, if any entry has it: an
    /// attribute that appears beside it, as after an upgrade of the server, makes nobody another
    /// person. A configured attribute stays.
    #[must_use]
    pub fn known_by(mut self, attribute: &IdAttribute) -> Self {
        let is_shown = |ids: &Ids| ids.attribute == *attribute && !ids.found.is_empty();
        let Some(place) = self.others.iter().position(is_shown) else {
            return self;
        };
        let ids = self.others.swap_remove(place);
        for (id, _) in &mut self.entries {
            *id = None;
        }
        self.identify(ids);
        self
    }

    /// Gives the entries their ids.
    fn identify(&mut self, ids: Ids) {
        for (place, id) in ids.found {
            if let Some((slot, _)) = self.entries.get_mut(place) {
                *slot = Some(id);
            }
        }
        self.several = ids.several;
        self.id_attribute = Some(ids.attribute);
    }

    /// What entries show of their people's accounts, by their positions; all others may sign in.
    #[must_use]
    pub fn accounts(&self) -> &BTreeMap<usize, Account> {
        &self.accounts
    }

    /// The groups that give something to entries, by the positions of the entries; all others are in none.
    #[must_use]
    pub fn memberships(&self) -> &BTreeMap<usize, Memberships> {
        &self.memberships
    }

    /// What is to be said about the names of attributes.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The result of each search.
    #[must_use]
    pub fn searches(&self) -> &[SearchEvidence] {
        &self.searches
    }

    /// The result of each search for people who may not sign in, where there is a filter for them.
    #[must_use]
    pub fn disabled_searches(&self) -> &[SearchEvidence] {
        &self.disabled_searches
    }

    /// The result of each search for groups, where only their members are people.
    #[must_use]
    pub fn group_searches(&self) -> &[SearchEvidence] {
        &self.group_searches
    }

    /// The groups that were read, where only their members are people.
    #[must_use]
    pub fn groups(&self) -> Option<&GroupsRead> {
        self.groups.as_ref()
    }

    /// A complete reading of these entries, for tests of later steps.
    #[cfg(test)]
    pub(crate) fn for_tests(entries: Vec<(Option<DirectoryId>, T)>) -> Self {
        Self {
            entries,
            server: "ldap://tests".into(),
            kind: ServerKind::Generic,
            account: BindAccount::Anonymous,
            filter: None,
            is_preferred: true,
            directory_id: Some("d-1".into()),
            freshness: Freshness::default(),
            id_attribute: Some(IdAttribute::EntryUuid),
            several: BTreeMap::new(),
            accounts: BTreeMap::new(),
            memberships: BTreeMap::new(),
            others: Vec::new(),
            searches: Vec::new(),
            disabled_searches: Vec::new(),
            group_searches: Vec::new(),
            groups: None,
            notes: Vec::new(),
        }
    }

    /// The same from another server than the preferred one.
    #[cfg(test)]
    pub(crate) fn of_a_replica(self) -> Self {
        Self {
            is_preferred: false,
            ..self
        }
    }

    /// The same from a server that shows how current it is.
    #[cfg(test)]
    pub(crate) fn showing(self, freshness: Freshness) -> Self {
        Self { freshness, ..self }
    }

    /// The same, in which the entry at a place is in these groups.
    #[cfg(test)]
    pub(crate) fn with_memberships(mut self, place: usize, found: Memberships) -> Self {
        if found.tells_of_grants() {
            self.memberships.insert(place, found);
        }
        self
    }

    /// The same where the entry at a position shows this.
    #[cfg(test)]
    pub(crate) fn with_account(mut self, place: usize, account: Account) -> Self {
        self.accounts.insert(place, account);
        self
    }

    /// The same with ids of another attribute.
    #[cfg(test)]
    pub(crate) fn identified_by(self, attribute: IdAttribute) -> Self {
        Self {
            id_attribute: Some(attribute),
            ..self
        }
    }
}

/// Of what a reading is made.
#[derive(Debug)]
pub(super) struct Parts<T> {
    /// Without their ids.
    pub entries: Vec<(Option<DirectoryId>, T)>,
    /// Of the attributes that may identify them, the best first; those behind the first
    /// `candidates` only for people who are known by them.
    pub ids: Vec<Ids>,
    pub candidates: usize,
    /// Distinguish entries without an id that is unique: hashes of their DNs.
    pub dns: Vec<u64>,
    /// By the position of an entry, where it shows anything but a person who may sign in.
    pub accounts: BTreeMap<usize, Account>,
    pub memberships: BTreeMap<usize, Memberships>,
    pub server: String,
    pub kind: ServerKind,
    pub account: BindAccount,
    pub filter: Option<Filter>,
    pub is_preferred: bool,
    pub directory_id: Option<String>,
    pub freshness: Freshness,
    pub searches: Vec<SearchEvidence>,
    pub disabled_searches: Vec<SearchEvidence>,
    pub group_searches: Vec<SearchEvidence>,
    pub groups: Option<GroupsRead>,
    pub notes: Vec<String>,
}

impl<T> Reading<T> {
    /// The reading of these entries, without those that arrived again through overlapping bases, or
    /// because they were moved during the read; the first of each stays.
    ///
    /// They are identified by the attribute that most of them have, and of several the best.
    pub(super) fn new(parts: Parts<T>) -> Self {
        let Parts {
            entries,
            mut ids,
            candidates,
            dns,
            accounts,
            memberships,
            server,
            kind,
            account,
            filter,
            is_preferred,
            directory_id,
            freshness,
            searches,
            disabled_searches,
            group_searches,
            groups,
            notes,
        } = parts;
        let again = again(entries.len(), &ids, &dns);
        let mut reading = Self {
            entries,
            server,
            kind,
            account,
            filter,
            is_preferred,
            directory_id,
            freshness,
            id_attribute: None,
            several: BTreeMap::new(),
            accounts,
            memberships,
            others: Vec::new(),
            searches,
            disabled_searches,
            group_searches,
            groups,
            notes,
        };
        if !again.is_empty() {
            let mut place = 0;
            reading.entries.retain(|_| {
                place += 1;
                !again.contains(&(place - 1))
            });
            for ids in &mut ids {
                ids.forget(&again);
            }
            reading.accounts = without(std::mem::take(&mut reading.accounts), &again);
            reading.memberships = without(std::mem::take(&mut reading.memberships), &again);
        }
        reading.entries.shrink_to_fit();
        // Of several with the same number of entries, the first: the best.
        let best = ids.iter().enumerate().take(candidates);
        let best = best.filter(|(_, ids)| !ids.is_empty());
        let best = best.max_by_key(|(place, ids)| (ids.found.len(), std::cmp::Reverse(*place)));
        if let Some((place, _)) = best {
            let best = ids.remove(place);
            reading.identify(best);
        }
        reading.others = ids;
        reading
    }
}

impl Ids {
    pub fn new(attribute: IdAttribute) -> Self {
        Self {
            attribute,
            found: Vec::new(),
            several: BTreeMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.found.is_empty() && self.several.is_empty()
    }

    /// Leaves out these entries; the positions of those behind them change.
    fn forget(&mut self, left_out: &BTreeSet<usize>) {
        // In the order of the entries, so that those left out are counted once.
        let (mut gone, mut next) = (0, left_out.iter().copied().peekable());
        self.found.retain_mut(|(place, _)| {
            while next.next_if(|left_out| left_out < place).is_some() {
                gone += 1;
            }
            let stays = next.peek() != Some(place);
            *place -= gone;
            stays
        });
        self.several = without(std::mem::take(&mut self.several), left_out);
    }
}

/// What is known of entries by their positions, when these are left out: the positions of those
/// behind them change.
fn without<V>(of_places: BTreeMap<usize, V>, left_out: &BTreeSet<usize>) -> BTreeMap<usize, V> {
    let (mut gone, mut next) = (0, left_out.iter().copied().peekable());
    let stay = of_places.into_iter().filter_map(|(place, value)| {
        while next.next_if(|left_out| *left_out < place).is_some() {
            gone += 1;
        }
        (next.peek() != Some(&place)).then_some((place - gone, value))
    });
    stay.collect()
}

/// The positions of the entries that arrived before: those with the same value of an attribute that
/// servers keep unique; where an entry has none, those of the same DN, since two people may share a
/// value of an attribute that the operator configured.
fn again(entries: usize, ids: &[Ids], dns: &[u64]) -> BTreeSet<usize> {
    let mut unique: Vec<Option<(usize, &DirectoryId)>> = vec![None; entries];
    for (of, ids) in ids.iter().enumerate() {
        let universal = ids.found.iter().filter(|_| ids.attribute.is_universal());
        for (place, id) in universal {
            if let Some(slot) = unique.get_mut(*place) {
                slot.get_or_insert((of, id));
            }
        }
    }
    let (mut by_id, mut by_dn) = (HashSet::with_capacity(entries), HashSet::new());
    let places = unique.into_iter().zip(dns).enumerate();
    places
        .filter_map(|(place, (id, dn))| {
            let is_new = match id {
                Some(id) => by_id.insert(id),
                None => by_dn.insert(*dn),
            };
            (!is_new).then_some(place)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// The values of one attribute for each entry in turn; of an empty text, the entry has none.
    fn ids(attribute: &IdAttribute, values: &[&str]) -> Ids {
        let found = values.iter().enumerate();
        Ids {
            found: found
                .filter_map(|(place, id)| Some((place, DirectoryId::new(id)?)))
                .collect(),
            ..Ids::new(attribute.clone())
        }
    }

    /// Entries that are called by the order of their arrival.
    fn reading(dns: &[u64], ids: Vec<Ids>) -> Reading<usize> {
        Reading::new(Parts {
            entries: (0..dns.len()).map(|nth| (None, nth)).collect(),
            candidates: ids.len(),
            ids,
            dns: dns.to_vec(),
            accounts: BTreeMap::new(),
            memberships: BTreeMap::new(),
            server: "ldap://tests".into(),
            kind: ServerKind::Generic,
            account: BindAccount::Anonymous,
            filter: None,
            is_preferred: true,
            directory_id: None,
            freshness: Freshness::default(),
            searches: Vec::new(),
            disabled_searches: Vec::new(),
            group_searches: Vec::new(),
            groups: None,
            notes: Vec::new(),
        })
    }

    fn text(reading: &Reading<usize>) -> Vec<(usize, &str)> {
        let entries = reading.entries().iter();
        entries
            .map(|(id, nth)| (*nth, id.as_ref().map_or("", DirectoryId::as_str)))
            .collect()
    }

    #[test]
    fn who_comes_twice_is_there_once() {
        let came = ids(&IdAttribute::EntryUuid, &["b", "", "a", "b", "", "b", ""]);
        let reading = reading(&[1, 2, 3, 4, 5, 1, 2], vec![came]);
        assert_eq!(text(&reading), [(0, "b"), (1, ""), (2, "a"), (4, "")]);
    }

    #[test]
    fn two_people_with_one_chosen_id_are_both_there() {
        let came = ids(&IdAttribute::named("employeeNumber"), &["7", "7", "7"]);
        let reading = reading(&[1, 2, 1], vec![came]);
        assert_eq!(text(&reading), [(0, "7"), (1, "7")]);
    }

    #[test]
    fn the_attribute_that_most_entries_have_identifies_them_unless_they_are_known_by_another() {
        let of_both = || {
            vec![
                ids(&IdAttribute::EntryUuid, &["u0", "", "", "u0", ""]),
                ids(&IdAttribute::NsUniqueId, &["n0", "n1", "n2", "n0", "n1"]),
            ]
        };
        let dns = [1, 2, 3, 9, 2];
        let first = reading(&dns, of_both());
        assert_eq!(first.id_attribute(), Some(&IdAttribute::NsUniqueId));
        assert_eq!(text(&first), [(0, "n0"), (1, "n1"), (2, "n2")]);
        let known = first.known_by(&IdAttribute::EntryUuid);
        assert_eq!(known.id_attribute(), Some(&IdAttribute::EntryUuid));
        assert_eq!(text(&known), [(0, "u0"), (1, ""), (2, "")]);
        let known = reading(&dns, of_both()).known_by(&IdAttribute::ObjectGuid);
        assert_eq!(
            known.id_attribute(),
            Some(&IdAttribute::NsUniqueId),
            "nobody has it"
        );
        let alike = vec![
            ids(&IdAttribute::EntryUuid, &["u0", "u1"]),
            ids(&IdAttribute::NsUniqueId, &["n0", "n1"]),
        ];
        let best = reading(&[1, 2], alike);
        assert_eq!(
            best.id_attribute(),
            Some(&IdAttribute::EntryUuid),
            "the best of those"
        );
    }

    #[test]
    fn several_values_stay_with_their_entry() {
        let mut came = ids(&IdAttribute::EntryUuid, &["b", "b", "", ""]);
        came.several = BTreeMap::from([(2, 3)]);
        let reading = reading(&[1, 2, 3, 4], vec![came]);
        assert_eq!(text(&reading), [(0, "b"), (2, ""), (3, "")]);
        assert_eq!(reading.several_ids(), &BTreeMap::from([(1, 3)]));
    }

    #[test]
    fn a_reading_for_tests_is_whole() {
        assert_eq!(
            Reading::for_tests(vec![(DirectoryId::new("a"), "x")]).into_entries(),
            [(DirectoryId::new("a"), "x")]
        );
    }
}
