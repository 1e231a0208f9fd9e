//! A read of a directory: complete, from one server, or failed. The only place where a `Reading` is made.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    connection::Connection,
    entry::{DirectoryId, Entry},
    error::DirectoryError,
    filter,
    id::IdAttribute,
    pool::{DirectoryPool, Server},
    search::{Search, SearchEvidence, search},
    server::{Kind, RootDse},
};
use crate::config::Scope;

/// Ids asked for by one search of the second look.
const GROUP: usize = 100;

/// What is to be read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Where the searches start; they may overlap.
    pub bases: Vec<String>,
    /// How deep they go.
    pub scope: Scope,
    /// Which entries match (RFC 4515).
    pub filter: String,
    /// The attributes to return; the id is asked for besides.
    pub attributes: Vec<String>,
    /// The attribute that identifies an entry for ever; found by itself when absent.
    pub id_attribute: Option<String>,
    /// When the whole read must be done.
    pub deadline: Instant,
}

/// A complete read: it exists only when every search of it ended with success on one and the same server, every page and
/// value range was fetched, and nothing was referred elsewhere.
#[derive(Debug)]
pub struct Reading<T> {
    entries: Vec<(Option<DirectoryId>, T)>,
    server: String,
    id_attribute: Option<IdAttribute>,
    searches: Vec<SearchEvidence>,
}

impl<T> Reading<T> {
    /// What was made of each entry, with its id. Each entry comes once; so does each id, unless the operator chose an attribute
    /// of which two entries have the same value.
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

    /// The attribute that identified the entries; none when no entry had any.
    #[must_use]
    pub fn id_attribute(&self) -> Option<&IdAttribute> {
        self.id_attribute.as_ref()
    }

    /// How each search ended.
    #[must_use]
    pub fn searches(&self) -> &[SearchEvidence] {
        &self.searches
    }

    /// A complete reading of these entries, for tests of what comes after it.
    #[cfg(test)]
    pub(crate) fn for_tests(entries: Vec<(Option<DirectoryId>, T)>) -> Self {
        Self {
            entries,
            server: "ldap://tests".into(),
            id_attribute: Some(IdAttribute::EntryUuid),
            searches: Vec::new(),
        }
    }
}

/// A read that is not complete, and how far it came.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ReadFailure {
    /// Why.
    #[source]
    pub error: DirectoryError,
    /// The URL of the server that was asked last.
    pub server: Option<String>,
    /// The searches so far; the last one says how it ended.
    pub searches: Vec<SearchEvidence>,
}

/// Reads everything, or fails. `map` makes the caller's compact form of each entry as it comes, so that the entries are never
/// all held; it must not do anything else, since what it made is thrown away when the read fails. `progress` is told the
/// number of entries after each page.
///
/// Another server is tried only while not one entry has come.
///
/// # Errors
/// Whatever kept any part of the answer away: see `DirectoryError`.
pub async fn read<T>(
    pool: &DirectoryPool,
    request: &ReadRequest,
    map: impl FnMut(&Entry) -> T,
    cancel: &CancellationToken,
    progress: impl FnMut(u64),
) -> Result<Reading<T>, ReadFailure> {
    let configured = request.id_attribute.as_deref().or(pool.id_attribute()).map(IdAttribute::named);
    let mut attributes = request.attributes.clone();
    let ids = configured.clone().map_or_else(|| IdAttribute::candidates(Kind::Other), |named| vec![named]);
    attributes.extend(ids.iter().map(|id| id.name().to_owned()));
    let searches = searches(pool, request, &request.filter, &dedup(attributes));
    let mut collect = Collect {
        configured,
        candidates: Vec::new(),
        chosen: None,
        entries: Vec::new(),
        marks: Vec::new(),
        map,
        progress,
    };
    let mut course = Course::default();
    let outcome = bounded(run(pool, Servers::InOrder, &searches, &mut collect, &mut course), request.deadline, cancel).await;
    match outcome {
        Ok(server) => Ok(Reading {
            server,
            id_attribute: collect.chosen,
            entries: once_each(collect.entries, &collect.marks),
            searches: course.searches,
        }),
        Err(error) => Err(course.failure(error)),
    }
}

/// Asks for people by id, over the same bases and with the same filter, the server that was read (`Reading::server`) and no other: a replica
/// that lags behind knows nothing of who moved meanwhile. Returns those who are there. Everybody else is gone, since this is a complete
/// search as well. To be asked before somebody is deactivated.
///
/// # Errors
/// As for `read`; then nobody is known to be gone.
pub async fn still_there(
    pool: &DirectoryPool,
    server: &str,
    request: &ReadRequest,
    id_attribute: &IdAttribute,
    ids: &[DirectoryId],
    cancel: &CancellationToken,
) -> Result<BTreeSet<DirectoryId>, ReadFailure> {
    let attributes = [id_attribute.name().to_owned()];
    let mut wanted = Vec::new();
    for group in ids.chunks(GROUP) {
        let filters: Vec<String> = group.iter().filter_map(|id| id_attribute.filter(id)).collect();
        if filters.len() != group.len() {
            let reason = format!("not every id of these people is one of the attribute {id_attribute}; was the id attribute changed?");
            let error = DirectoryError::Settings {
                directory: pool.name().into(),
                reason,
            };
            return Err(Course::default().failure(error));
        }
        wanted.extend(searches(pool, request, &filter::both(&request.filter, &filter::any(&filters)), &attributes));
    }
    let mut seen = Seen {
        attribute: id_attribute,
        found: BTreeSet::new(),
    };
    let mut course = Course::default();
    if wanted.is_empty() {
        return Ok(seen.found);
    }
    match bounded(run(pool, Servers::Only(server), &wanted, &mut seen, &mut course), request.deadline, cancel).await {
        // The server compares by rules of its own, mostly without case: what it finds for an id counts, also when it is spelt otherwise by now.
        Ok(_) => {
            let found: BTreeSet<String> = seen.found.iter().map(|id| id.as_str().to_ascii_lowercase()).collect();
            let is_there = |id: &&DirectoryId| found.contains(&id.as_str().to_ascii_lowercase());
            Ok(ids.iter().filter(is_there).cloned().collect())
        }
        Err(error) => Err(course.failure(error)),
    }
}

/// Which servers of a directory may be asked.
#[derive(Debug, Clone, Copy)]
enum Servers<'a> {
    /// All, one after the other, until one can be used.
    InOrder,
    /// The one of this URL.
    Only(&'a str),
}

/// How far a read has come; kept outside of the work, so that it is still known when the work is stopped.
#[derive(Debug, Default)]
struct Course {
    server: Option<String>,
    searches: Vec<SearchEvidence>,
}

impl Course {
    fn is_untouched(&self) -> bool {
        self.searches.iter().all(|search| search.pages == 0 && search.entries == 0)
    }

    fn failure(mut self, error: DirectoryError) -> ReadFailure {
        if let Some(last) = self.searches.last_mut() {
            last.result = error.outcome();
        }
        ReadFailure {
            error,
            server: self.server,
            searches: self.searches,
        }
    }
}

/// What becomes of the entries of a read.
trait Sink {
    /// A server is about to be asked; whatever another one said is void.
    fn begin(&mut self, kind: Kind);
    /// An entry came.
    fn entry(&mut self, entry: &Entry);
    /// A page is done, `entries` came in all.
    fn page(&mut self, entries: u64);
    /// Whether `begin` must know the kind of server.
    fn wants_kind(&self) -> bool;
}

/// Makes the caller's form of each entry.
struct Collect<T, M, P> {
    configured: Option<IdAttribute>,
    candidates: Vec<IdAttribute>,
    /// The one attribute of this read: of the candidates the best that the first entry with any of them has.
    chosen: Option<IdAttribute>,
    entries: Vec<(Option<DirectoryId>, T)>,
    /// What tells entries of the same id apart, in the same order.
    marks: Vec<u64>,
    map: M,
    progress: P,
}

impl<T, M: FnMut(&Entry) -> T, P: FnMut(u64)> Sink for Collect<T, M, P> {
    fn begin(&mut self, kind: Kind) {
        self.candidates = IdAttribute::candidates(kind);
        self.chosen.clone_from(&self.configured);
        self.entries.clear();
        self.marks.clear();
    }

    fn entry(&mut self, entry: &Entry) {
        if self.chosen.is_none() {
            self.chosen = self.candidates.iter().find(|candidate| candidate.of(entry).is_some()).cloned();
        }
        let id = self.chosen.as_ref().and_then(|attribute| attribute.of(entry));
        self.marks.push(mark(self.chosen.as_ref(), id.as_ref(), &entry.dn));
        self.entries.push((id, (self.map)(entry)));
    }

    fn page(&mut self, entries: u64) {
        (self.progress)(entries);
    }

    fn wants_kind(&self) -> bool {
        self.configured.is_none()
    }
}

/// Notes who is there.
struct Seen<'a> {
    attribute: &'a IdAttribute,
    found: BTreeSet<DirectoryId>,
}

impl Sink for Seen<'_> {
    fn begin(&mut self, _: Kind) {
        self.found.clear();
    }

    fn entry(&mut self, entry: &Entry) {
        self.found.extend(self.attribute.of(entry));
    }

    fn page(&mut self, _: u64) {}

    fn wants_kind(&self) -> bool {
        false
    }
}

/// Ends the work at the deadline or on request; the connection in use is thrown away with it.
async fn bounded<R>(work: impl Future<Output = Result<R, DirectoryError>>, deadline: Instant, cancel: &CancellationToken) -> Result<R, DirectoryError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(DirectoryError::Cancelled),
        outcome = work => outcome,
        () = tokio::time::sleep_until(deadline) => Err(DirectoryError::Deadline { tried: "reading the directory".into() }),
    }
}

/// Runs all searches on the first server that can be used, and returns its URL.
async fn run(pool: &DirectoryPool, servers: Servers<'_>, searches: &[Search], sink: &mut impl Sink, course: &mut Course) -> Result<String, DirectoryError> {
    if searches.is_empty() {
        // Nothing asked is not nobody there.
        return Err(DirectoryError::Settings {
            directory: pool.name().into(),
            reason: "there is no search base".into(),
        });
    }
    filter_of_each(searches)?;
    let mut failures = Vec::new();
    let may_be_asked = |server: &&Server| match servers {
        Servers::InOrder => true,
        Servers::Only(url) => server.connector.server() == url,
    };
    for server in pool.servers().iter().filter(may_be_asked) {
        course.server = Some(server.connector.server().into());
        match run_on(server, searches, sink, course).await {
            Ok(()) => return Ok(server.connector.server().into()),
            Err(error) if error.concerns_one_server() && course.is_untouched() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    Err(DirectoryError::of_all(failures))
}

async fn run_on(server: &Server, searches: &[Search], sink: &mut impl Sink, course: &mut Course) -> Result<(), DirectoryError> {
    loop {
        course.searches.clear();
        let mut lent = server.lend().await?;
        match run_over(&mut lent, searches, sink, course).await {
            Ok(()) => {
                lent.give_back();
                return Ok(());
            }
            // A connection from the pool may have been dead already, which says nothing about the server.
            Err(DirectoryError::Lost { .. }) if !lent.is_fresh() && course.is_untouched() => {}
            Err(error) => return Err(error),
        }
    }
}

async fn run_over(connection: &mut Connection, searches: &[Search], sink: &mut impl Sink, course: &mut Course) -> Result<(), DirectoryError> {
    let kind = if sink.wants_kind() {
        RootDse::read(connection).await?.kind
    } else {
        Kind::Other
    };
    sink.begin(kind);
    let mut entries = 0;
    for wanted in searches {
        course.searches.push(SearchEvidence::of(wanted));
        let Some(evidence) = course.searches.last_mut() else { continue };
        let mut pages = 0;
        search(connection, wanted, evidence, |entry, so_far| {
            if so_far.pages != pages {
                pages = so_far.pages;
                sink.page(entries + so_far.entries);
            }
            sink.entry(&entry);
        })
        .await?;
        entries += evidence.entries;
        sink.page(entries);
    }
    Ok(())
}

fn filter_of_each(searches: &[Search]) -> Result<(), DirectoryError> {
    searches.iter().try_for_each(|search| filter::check(&search.filter))
}

fn searches(pool: &DirectoryPool, request: &ReadRequest, filter: &str, attributes: &[String]) -> Vec<Search> {
    let scope = match request.scope {
        Scope::Subtree => ldap3::Scope::Subtree,
        Scope::One => ldap3::Scope::OneLevel,
    };
    let search = |base: &String| Search {
        base: base.clone(),
        scope,
        filter: filter.into(),
        attributes: attributes.to_vec(),
        page_size: pool.page_size(),
    };
    request.bases.iter().map(search).collect()
}

fn dedup(attributes: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    attributes.into_iter().filter(|name| seen.insert(name.to_ascii_lowercase())).collect()
}

/// What makes an entry the same as another besides its id: nothing where the server keeps ids unique (the entry may have been
/// moved during the read), its DN where the operator chose the attribute or there is no id, since two people may share a value.
fn mark(attribute: Option<&IdAttribute>, id: Option<&DirectoryId>, dn: &str) -> u64 {
    match (attribute, id) {
        (Some(IdAttribute::EntryUuid | IdAttribute::ObjectGuid | IdAttribute::NsUniqueId | IdAttribute::IpaUniqueId), Some(_)) => 0,
        (Some(IdAttribute::Other(_)), Some(_)) | (_, None) | (None, Some(_)) => {
            let mut hasher = DefaultHasher::new();
            dn.hash(&mut hasher);
            hasher.finish()
        }
    }
}

/// Leaves out entries that came again, by overlapping bases or because they were moved during the read; the first one stays.
fn once_each<T>(mut entries: Vec<(Option<DirectoryId>, T)>, marks: &[u64]) -> Vec<(Option<DirectoryId>, T)> {
    let mut seen = HashSet::with_capacity(entries.len());
    let known = entries.iter().zip(marks).map(|((id, _), mark)| (id.as_ref(), mark));
    let again: Vec<usize> = known.enumerate().filter(|(_, known)| !seen.insert(*known)).map(|(place, _)| place).collect();
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
        let ids: Vec<_> = entries.iter().enumerate().map(|(nth, (id, _))| (DirectoryId::new(id), nth)).collect();
        let marks: Vec<u64> = ids
            .iter()
            .zip(entries)
            .map(|((id, _), (_, dn))| mark(Some(attribute), id.as_ref(), dn))
            .collect();
        once_each(ids, &marks).into_iter().map(|(_, nth)| nth).collect()
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
        assert_eq!(came(&IdAttribute::named("employeeNumber"), &entries), [0, 1]);
    }

    #[test]
    fn a_reading_for_tests_is_whole() {
        assert_eq!(
            Reading::for_tests(vec![(DirectoryId::new("a"), "x")]).into_entries(),
            [(DirectoryId::new("a"), "x")]
        );
    }
}
