//! A read of a directory: complete, from one server, or failed. The only place where a `Reading` is
//! made.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use tokio_util::sync::CancellationToken;

use super::{
    budget::{BUDGET, OverBudget},
    pool::DirectoryPool,
    request::{ReadFailure, ReadRequest},
    search::SearchEvidence,
    searches::{EntrySink, SearchRun, ServerIdentity, Servers, bounded, of_request, run},
    server::ServerKind,
};
use crate::model::{
    entry::{DirectoryId, Entry, Kept, of_bytes},
    id::IdAttribute,
};

/// A complete read: it exists only when every search ended with success on one and the same server,
/// every page and value range was fetched, and nothing was referred elsewhere.
#[derive(Debug)]
pub struct Reading<T> {
    entries: Vec<(Option<DirectoryId>, T)>,
    server: String,
    is_preferred: bool,
    directory_id: Option<String>,
    id_attribute: Option<IdAttribute>,
    searches: Vec<SearchEvidence>,
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

    /// The attribute that identified the entries; none when no entry had one.
    #[must_use]
    pub fn id_attribute(&self) -> Option<&IdAttribute> {
        self.id_attribute.as_ref()
    }

    /// The result of each search.
    #[must_use]
    pub fn searches(&self) -> &[SearchEvidence] {
        &self.searches
    }

    /// A complete reading of these entries, for tests of later steps.
    #[cfg(test)]
    pub(crate) fn for_tests(entries: Vec<(Option<DirectoryId>, T)>) -> Self {
        Self {
            entries,
            server: "ldap://tests".into(),
            is_preferred: true,
            directory_id: Some("d-1".into()),
            id_attribute: Some(IdAttribute::EntryUuid),
            searches: Vec::new(),
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

    /// The same with ids of another attribute.
    #[cfg(test)]
    pub(crate) fn identified_by(self, attribute: IdAttribute) -> Self {
        Self {
            id_attribute: Some(attribute),
            ..self
        }
    }
}

/// Reads everything, or fails. `map` converts each entry to the caller's compact form as it
/// arrives, so that the entries are never all in memory; it must have no side effects, since its
/// results are discarded when the read fails. `progress` receives the number of entries after each
/// page.
///
/// Another server is tried only before the first entry has arrived.
///
/// # Errors
/// Whatever prevented a complete answer: see `DirectoryError`.
pub async fn read<T: Kept>(
    pool: &DirectoryPool,
    request: &ReadRequest,
    map: impl FnMut(&Entry) -> T,
    cancel: &CancellationToken,
    progress: impl FnMut(u64),
) -> Result<Reading<T>, ReadFailure> {
    let configured = request
        .id_attribute
        .as_deref()
        .or(pool.id_attribute())
        .map(IdAttribute::named);
    let mut attributes = request.attributes.clone();
    let ids = configured.clone().map_or_else(
        || IdAttribute::candidates(ServerKind::Other),
        |named| vec![named],
    );
    let ids: Vec<String> = ids.iter().map(|id| id.name().to_owned()).collect();
    attributes.extend(ids.iter().cloned());
    let (filter, attributes) = (request.filter.as_str(), dedup(attributes));
    let searches = of_request(pool, request, filter, &attributes, &ids);
    let mut collect = Collect {
        configured,
        candidates: Vec::new(),
        chosen: None,
        entries: Vec::new(),
        marks: Vec::new(),
        bytes: 0,
        map,
        progress,
    };
    let mut course = SearchRun::default();
    let outcome = bounded(
        run(pool, Servers::InOrder, &searches, &mut collect, &mut course),
        request.deadline,
        cancel,
    )
    .await;
    match outcome {
        Ok(server) => Ok(Reading {
            is_preferred: pool.is_preferred(&server),
            server,
            directory_id: pool.id().map(str::to_owned).or(course.about.directory_id),
            id_attribute: collect.chosen,
            entries: once_each(collect.entries, &collect.marks),
            searches: course.searches,
        }),
        Err(error) => Err(course.failure(error)),
    }
}

/// Converts each entry to the caller's form.
struct Collect<T, M, P> {
    configured: Option<IdAttribute>,
    candidates: Vec<IdAttribute>,
    /// The id attribute of this read: the best candidate that the first entry with any of them has.
    chosen: Option<IdAttribute>,
    entries: Vec<(Option<DirectoryId>, T)>,
    /// Distinguishes entries of the same id, in the same order.
    marks: Vec<u64>,
    /// The memory that the entries take, in bytes.
    bytes: usize,
    map: M,
    progress: P,
}

impl<T: Kept, M: FnMut(&Entry) -> T, P: FnMut(u64)> EntrySink for Collect<T, M, P> {
    fn begin(&mut self, about: &ServerIdentity) {
        self.candidates.clone_from(&about.candidates);
        self.chosen.clone_from(&self.configured);
        self.entries.clear();
        self.marks.clear();
        self.bytes = 0;
    }

    fn entry(&mut self, _: usize, entry: &Entry) -> Result<(), OverBudget> {
        if self.chosen.is_none() {
            self.chosen = self
                .candidates
                .iter()
                .find(|candidate| candidate.of(entry).is_some())
                .cloned();
        }
        let id = self
            .chosen
            .as_ref()
            .and_then(|attribute| attribute.of(entry));
        self.marks
            .push(mark(self.chosen.as_ref(), id.as_ref(), &entry.dn));
        let mapped = (self.map)(entry);
        let of_id = id.as_ref().map_or(0, |id| of_bytes(id.as_str().len()));
        self.bytes += mapped.size() + of_id + size_of::<(Option<DirectoryId>, u64)>();
        if self.bytes > BUDGET {
            return Err(OverBudget);
        }
        self.entries.push((id, mapped));
        Ok(())
    }

    fn page(&mut self, entries: u64) {
        (self.progress)(entries);
    }
}

fn dedup(attributes: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    attributes
        .into_iter()
        .filter(|name| seen.insert(name.to_ascii_lowercase()))
        .collect()
}

/// What identifies an entry besides its id: nothing where the server keeps ids unique (the entry
/// may have been moved during the read), its DN where the operator configured the attribute or
/// there is no id, since two people may share a value.
fn mark(attribute: Option<&IdAttribute>, id: Option<&DirectoryId>, dn: &str) -> u64 {
    match (attribute, id) {
        (
            Some(
                IdAttribute::EntryUuid
                | IdAttribute::ObjectGuid
                | IdAttribute::NsUniqueId
                | IdAttribute::IpaUniqueId,
            ),
            Some(_),
        ) => 0,
        (Some(IdAttribute::Other(_)), Some(_)) | (_, None) | (None, Some(_)) => {
            let mut hasher = DefaultHasher::new();
            dn.hash(&mut hasher);
            hasher.finish()
        }
    }
}

/// Removes entries that arrived again, through overlapping bases or because they were moved during
/// the read; the first one stays.
fn once_each<T>(
    mut entries: Vec<(Option<DirectoryId>, T)>,
    marks: &[u64],
) -> Vec<(Option<DirectoryId>, T)> {
    let mut seen = HashSet::with_capacity(entries.len());
    let known = entries
        .iter()
        .zip(marks)
        .map(|((id, _), mark)| (id.as_ref(), mark));
    let again: Vec<usize> = known
        .enumerate()
        .filter(|(_, known)| !seen.insert(*known))
        .map(|(place, _)| place)
        .collect();
    drop(seen);
    let (mut place, mut again) = (0, again.into_iter().peekable());
    entries.retain(|_| {
        let is_again = again.next_if_eq(&place).is_some();
        place += 1;
        !is_again
    });
    entries.shrink_to_fit();
    entries
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn came(attribute: &IdAttribute, entries: &[(&str, &str)]) -> Vec<usize> {
        let ids: Vec<_> = entries
            .iter()
            .enumerate()
            .map(|(nth, (id, _))| (DirectoryId::new(id), nth))
            .collect();
        let marks: Vec<u64> = ids
            .iter()
            .zip(entries)
            .map(|((id, _), (_, dn))| mark(Some(attribute), id.as_ref(), dn))
            .collect();
        once_each(ids, &marks)
            .into_iter()
            .map(|(_, nth)| nth)
            .collect()
    }

    #[test]
    fn who_comes_twice_is_there_once() {
        let entries = [
            ("b", "cn=b"),
            ("", "cn=x"),
            ("a", "cn=a"),
            ("b", "cn=moved"),
            ("", "cn=y"),
            ("b", "cn=b"),
            ("", "cn=x"),
        ];
        assert_eq!(came(&IdAttribute::EntryUuid, &entries), [0, 1, 2, 4]);
    }

    #[test]
    fn two_people_with_one_chosen_id_are_both_there() {
        let entries = [("7", "cn=a"), ("7", "cn=b"), ("7", "cn=a")];
        assert_eq!(
            came(&IdAttribute::named("employeeNumber"), &entries),
            [0, 1]
        );
    }

    #[test]
    fn a_reading_for_tests_is_whole() {
        assert_eq!(
            Reading::for_tests(vec![(DirectoryId::new("a"), "x")]).into_entries(),
            [(DirectoryId::new("a"), "x")]
        );
    }
}
