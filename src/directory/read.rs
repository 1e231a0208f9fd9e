//! A read of a directory: complete, from one server, or failed. The only place where a `Reading` is
//! made.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use foldhash::HashSet;
use tokio_util::sync::CancellationToken;

use super::{
    account,
    budget::{Budget, OverBudget},
    connection::Connection,
    error::DirectoryError,
    filter,
    group_graph::{Members, Memberships},
    groups,
    id_search::GROUP,
    identity::{FreshnessUse, SchemaUse, ServerIdentity},
    name_fault::NameFault,
    pool::DirectoryPool,
    reading::{Ids, Parts, Reading},
    request::{PeopleSearch, ReadFailure, ReadRequest},
    search::Search,
    searches::{
        EntrySink, SearchRun, Searches, Servers, Wanted, bounded, of_request, run, run_over,
    },
    server::{Continuations, ReferralObjects},
};
use crate::model::{
    account::Account,
    entry::{DirectoryId, Entry, Kept},
    id::IdAttribute,
    server_kind::{ByKind, ServerKind},
};

/// What the caller of a read makes of the entries while they arrive. It must have no side effects,
/// since its results are discarded when the read fails.
pub trait Intake<T> {
    /// Converts an entry to the caller's compact form, so that the entries are never all in memory.
    fn map(&mut self, kind: ServerKind, entry: &Entry) -> T;

    /// Whether what is kept can be prepared by now; from then on, it always can.
    fn can_prepare(&mut self) -> bool {
        false
    }

    /// Prepares what is kept of an entry of a complete page, by one of the ids that it shows.
    fn prepare(&mut self, _attribute: &IdAttribute, _id: &DirectoryId, _kept: &mut T) {}
}

/// Entries are mapped, and nothing more.
struct OnlyMapped<M>(M);

impl<T, M: FnMut(ServerKind, &Entry) -> T> Intake<T> for OnlyMapped<M> {
    fn map(&mut self, kind: ServerKind, entry: &Entry) -> T {
        (self.0)(kind, entry)
    }
}

/// Reads everything, or fails: what is kept of an entry is what `map` makes of it. `progress`
/// receives the number of entries after each page.
///
/// Another server is tried only before the first entry has arrived.
///
/// # Errors
/// Whatever prevented a complete answer: see `DirectoryError`.
pub async fn read<T: Kept>(
    pool: &DirectoryPool,
    request: &ReadRequest,
    map: impl FnMut(ServerKind, &Entry) -> T,
    cancel: &CancellationToken,
    progress: impl FnMut(u64),
) -> Result<Reading<T>, ReadFailure> {
    read_into(pool, request, OnlyMapped(map), cancel, progress).await
}

/// The same, where more may be made of the entries while they arrive.
///
/// # Errors
/// As for `read`.
pub async fn read_into<T: Kept>(
    pool: &DirectoryPool,
    request: &ReadRequest,
    intake: impl Intake<T>,
    cancel: &CancellationToken,
    progress: impl FnMut(u64),
) -> Result<Reading<T>, ReadFailure> {
    let wanted = Wanted {
        bases: &request.bases,
        schema: SchemaUse::Needed,
        freshness: FreshnessUse::Needed,
        searches: &|about| searches(pool, request, about),
    };
    let mut collect = Collect::new(pool, request, intake, progress);
    let mut course = SearchRun::default();
    let outcome = bounded(
        run(pool, Servers::InOrder, wanted, &mut collect, &mut course),
        request.deadline,
        cancel,
    )
    .await;
    let outcome = outcome
        .and_then(|server| names_mean_something(server, &course))
        .and_then(|server| collect.shows_members(server, request));
    match outcome {
        Ok(server) => Ok(collect.reading(pool, server, course).0),
        Err(error) => Err(course.failure(error)),
    }
}

/// What the entries of some people show: nothing about anybody else. That somebody is missing from
/// it does not show that the person is absent.
#[derive(Debug)]
pub struct ChangedEntries<T> {
    entries: Reading<T>,
}

impl<T> ChangedEntries<T> {
    /// The entries, for a desired state that knows that these are not all.
    pub(crate) fn into_part(self) -> Reading<T> {
        self.entries
    }

    /// The same with ids of the attribute by which the people are known.
    #[must_use]
    pub fn known_by(self, attribute: &IdAttribute) -> Self {
        Self {
            entries: self.entries.known_by(attribute),
        }
    }

    /// Where they were read, and how.
    pub(crate) fn part(&self) -> &Reading<T> {
        &self.entries
    }
}

#[cfg(test)]
impl<T> ChangedEntries<T> {
    /// These entries, for tests of later steps.
    pub(crate) fn for_tests(entries: Vec<(Option<DirectoryId>, T)>) -> Self {
        Self {
            entries: Reading::for_tests(entries),
        }
    }
}

/// Reads the entries of these people, as a whole read would show them: what is mapped, and whether
/// they may sign in.
///
/// # Errors
/// As for `read`, and that an id cannot be a value of the attribute.
pub async fn read_changed<T: Kept>(
    pool: &DirectoryPool,
    server: &str,
    request: &ReadRequest,
    (id_attribute, ids): (&IdAttribute, &[DirectoryId]),
    map: impl FnMut(ServerKind, &Entry) -> T,
    cancel: &CancellationToken,
) -> Result<ChangedEntries<T>, ReadFailure> {
    let by_id: Vec<String> = ids
        .iter()
        .filter_map(|id| id_attribute.filter(id))
        .collect();
    let groups: Vec<String> = by_id.chunks(GROUP).map(filter::any).collect();
    let of_groups = |searches: Vec<Search>| -> Vec<Search> {
        let of_group = |search: &Search| {
            let search = search.clone();
            groups.iter().map(move |ids| Search {
                filter: format!("(&{}{ids})", search.filter),
                ..search.clone()
            })
        };
        searches.iter().flat_map(of_group).collect()
    };
    let some = |about: &ServerIdentity| {
        let all = searches(pool, request, about);
        Searches {
            list: of_groups(all.list),
            disabled: of_groups(all.disabled),
            referral_objects: ReferralObjects::LeftOut,
            ..all
        }
    };
    let wanted = Wanted {
        bases: &request.bases,
        schema: SchemaUse::Needed,
        freshness: FreshnessUse::Needed,
        searches: &some,
    };
    let mut collect = Collect::new(pool, request, OnlyMapped(map), |_| ());
    collect.searches = request.bases.len() * groups.len();
    let mut course = SearchRun::default();
    let outcome = bounded(
        run(
            pool,
            Servers::Only(server),
            wanted,
            &mut collect,
            &mut course,
        ),
        request.deadline,
        cancel,
    )
    .await;
    let outcome = outcome
        .and_then(|server| names_mean_something(server, &course))
        .and_then(|server| collect.shows_members(server, request));
    match outcome {
        Ok(server) => {
            let (entries, _) = collect.reading(pool, server, course);
            let entries = entries.known_by(id_attribute);
            Ok(ChangedEntries { entries })
        }
        Err(error) => Err(course.failure(error)),
    }
}

/// Whether what the entries do not show may just have no value.
///
/// # Errors
/// Names mean nothing on that server: "no value" would be untrue.
fn names_mean_something(server: String, course: &SearchRun) -> Result<String, DirectoryError> {
    let faults = course.name_faults.iter();
    let names: Vec<NameFault> = faults.filter(|fault| fault.is_certain()).cloned().collect();
    if names.is_empty() {
        Ok(server)
    } else {
        Err(DirectoryError::UnknownNames { server, names })
    }
}

/// The same over one connection, for `check`: with attributes that are only looked at, and what is
/// wrong with names, which fails nothing here.
///
/// # Errors
/// As for `read`.
pub(super) async fn read_over<T: Kept>(
    pool: &DirectoryPool,
    connection: &mut Connection,
    request: &ReadRequest,
    also: &[&str],
    map: impl FnMut(ServerKind, &Entry) -> T,
) -> Result<(Reading<T>, Vec<NameFault>), ReadFailure> {
    let also = |about: &ServerIdentity| {
        let mut searches = searches(pool, request, about);
        for search in &mut searches.list {
            search
                .attributes
                .extend(also.iter().map(|name| (*name).to_owned()));
            search.attributes = dedup(std::mem::take(&mut search.attributes));
        }
        searches
    };
    let wanted = Wanted {
        bases: &request.bases,
        schema: SchemaUse::Needed,
        freshness: FreshnessUse::Needed,
        searches: &also,
    };
    let mut collect = Collect::new(pool, request, OnlyMapped(map), |_| ());
    let mut course = SearchRun {
        server: Some(connection.server().to_owned()),
        ..SearchRun::default()
    };
    let work = run_over(connection, wanted, &mut collect, &mut course);
    match bounded(work, request.deadline, &CancellationToken::new()).await {
        Ok(()) => match collect.shows_members(connection.server().to_owned(), request) {
            Ok(server) => Ok(collect.reading(pool, server, course)),
            Err(error) => Err(course.failure(error)),
        },
        Err(error) => Err(course.failure(error)),
    }
}

/// The searches of a read on a server. The object class is requested as well, since not every entry
/// is a person's.
fn searches(pool: &DirectoryPool, request: &ReadRequest, about: &ServerIdentity) -> Searches {
    let (people, filter) = (request.people.of(about.kind), about.people(request));
    let configured = configured(pool, request);
    let ids = configured.clone().map_or_else(
        || IdAttribute::candidates(ServerKind::Generic),
        |named| vec![named],
    );
    let ids: Vec<String> = ids.iter().map(|id| id.name().to_owned()).collect();
    let mut attributes = people.attributes.clone();
    attributes.extend(ids.iter().cloned());
    attributes.extend(people.account.attributes().map(ToOwned::to_owned));
    attributes.push("objectClass".into());
    let mut ids = ids;
    if request.groups.is_some() {
        attributes = groups::with_member_names(attributes);
        ids = groups::with_member_names(ids);
    }
    let meant = people.attributes.iter().cloned();
    let meant = meant.chain(configured.map(|id| id.name().to_owned()));
    let meant = meant.chain(people.account.named.iter().cloned());
    // A search of its own: of an attribute that a server does not know, a NOT within the people's
    // filter would match everybody on some servers, and nobody on others.
    let disabled = people.account.filter.as_ref().map(|disabled| {
        let both = filter::both(&filter, disabled.as_str());
        of_request(pool, request, &both, &ids, &ids)
    });
    Searches {
        groups: groups::of_request(pool, request, about),
        list: of_request(pool, request, filter.as_str(), &dedup(attributes), &ids),
        disabled: disabled.unwrap_or_default(),
        meant: dedup(meant.collect()),
        people: Some(filter),
        left_out: about.left_out(&request.bases),
        referral_objects: ReferralObjects::Counted,
        continuations: Continuations::LeftOutWithoutPeople,
    }
}

/// The id attribute of the configuration.
fn configured(pool: &DirectoryPool, request: &ReadRequest) -> Option<IdAttribute> {
    let name = request.id_attribute.as_deref().or(pool.id_attribute());
    name.map(IdAttribute::named)
}

/// The memory that an entry with several ids takes beside itself, in bytes.
const SEVERAL_IDS: usize = 4 * size_of::<(usize, usize)>();

/// Keeps of each entry what the caller makes of it.
struct Collect<T, M, P> {
    configured: Option<IdAttribute>,
    entries: Vec<(Option<DirectoryId>, T)>,
    /// The kind of the server that answers.
    kind: ServerKind,
    ids: Vec<Ids>,
    candidates: usize,
    dns: Vec<u64>,
    people: Arc<ByKind<PeopleSearch>>,
    accounts: BTreeMap<usize, Account>,
    /// What memberships make of entries, where that is more than people who get nothing.
    memberships: BTreeMap<usize, Memberships>,
    /// The number of searches for people; those that follow are for people who may not sign in.
    searches: usize,
    disabled: Disabled,
    /// Who is a member of the groups that people must be in, if any.
    members: Option<Members>,
    /// Whether there was any entry, of a member or not.
    has_people: bool,
    intake: M,
    /// How many of the entries were prepared.
    prepared: usize,
    progress: P,
}

impl<T, M, P> Collect<T, M, P> {
    fn new(pool: &DirectoryPool, request: &ReadRequest, intake: M, progress: P) -> Self {
        Self {
            configured: configured(pool, request),
            entries: Vec::new(),
            kind: ServerKind::default(),
            ids: Vec::new(),
            candidates: 0,
            dns: Vec::new(),
            people: Arc::clone(&request.people),
            accounts: BTreeMap::new(),
            memberships: BTreeMap::new(),
            searches: request.bases.len(),
            disabled: Disabled::default(),
            members: None,
            has_people: false,
            intake,
            prepared: 0,
            progress,
        }
    }

    /// Whether the entries show by what they would be members of groups.
    ///
    /// # Errors
    /// An attribute is hidden: "no member" would be untrue.
    fn shows_members(
        &self,
        server: String,
        request: &ReadRequest,
    ) -> Result<String, DirectoryError> {
        let members = self.members.as_ref().filter(|_| self.has_people);
        let (Some(name), Some(groups)) = (
            members.and_then(Members::lacking),
            request.groups.as_deref(),
        ) else {
            return Ok(server);
        };
        Err(DirectoryError::Group {
            server,
            group: groups.all().next().cloned().unwrap_or_default(),
            reason: format!("no entry shows {name}, by which people are members of groups"),
        })
    }

    fn reading(
        mut self,
        pool: &DirectoryPool,
        server: String,
        mut course: SearchRun,
    ) -> (Reading<T>, Vec<NameFault>) {
        for place in self.disabled.places(&self.ids, &self.dns) {
            let shown = self.accounts.remove(&place).unwrap_or_default();
            self.accounts.insert(place, shown.and(Account::Disabled));
        }
        let of_people = self.searches.min(course.searches.len());
        let disabled_searches = course.searches.split_off(of_people);
        let of_names = course.name_faults.iter().map(ToString::to_string);
        let notes = course.about.kind_in_doubt.take().into_iter();
        let notes = notes.chain(of_names);
        let reading = Reading::new(Parts {
            entries: self.entries,
            ids: self.ids,
            candidates: self.candidates,
            dns: self.dns,
            accounts: self.accounts,
            memberships: self.memberships,
            is_preferred: pool.is_preferred(&server),
            server,
            kind: self.kind,
            account: course.account,
            filter: course.people,
            directory_id: pool.id().map(str::to_owned).or(course.about.directory_id),
            freshness: course.about.freshness,
            notes: notes.collect(),
            searches: course.searches,
            disabled_searches,
            group_searches: course.group_searches,
            groups: self.members.map(Members::groups_read),
        });
        (reading, course.name_faults)
    }
}

impl<T, M: Intake<T>, P> Collect<T, M, P> {
    /// Prepares what was not prepared yet, if that is possible by now.
    fn prepare(&mut self) {
        let from = self.prepared;
        if from == self.entries.len() || !self.intake.can_prepare() {
            return;
        }
        for Ids {
            attribute, found, ..
        } in &self.ids
        {
            // In the order of the entries.
            let first = found.partition_point(|(place, _)| *place < from);
            for (place, id) in found.iter().skip(first) {
                if let Some((_, kept)) = self.entries.get_mut(*place) {
                    self.intake.prepare(attribute, id, kept);
                }
            }
        }
        self.prepared = self.entries.len();
    }
}

impl<T: Kept, M: Intake<T>, P: FnMut(u64)> EntrySink for Collect<T, M, P> {
    fn begin(&mut self, about: &ServerIdentity, members: Option<Members>) {
        self.members = members;
        self.has_people = false;
        self.kind = about.kind;
        let attributes = match &self.configured {
            Some(configured) => vec![configured.clone()],
            None => about.candidates.clone(),
        };
        // Those that this kind of server usually does not have come last: people may be known by
        // them.
        let others = IdAttribute::candidates(ServerKind::Generic).into_iter();
        let others = others.filter(|id| self.configured.is_none() && !attributes.contains(id));
        let others: Vec<IdAttribute> = others.collect();
        self.candidates = attributes.len();
        self.ids = attributes.into_iter().chain(others).map(Ids::new).collect();
        self.entries.clear();
        self.prepared = 0;
        self.dns.clear();
        self.accounts.clear();
        self.memberships.clear();
        self.disabled = Disabled::default();
    }

    fn entry(
        &mut self,
        search: usize,
        entry: &Entry,
        budget: &mut Budget,
    ) -> Result<(), OverBudget> {
        if search >= self.searches {
            return self.disabled.add(entry, &self.ids, budget);
        }
        self.has_people = true;
        let members = self.members.as_mut();
        let memberships = members.map(|members| members.memberships(entry));
        if memberships.as_ref().is_some_and(|found| !found.is_person) {
            return Ok(());
        }
        let place = self.entries.len();
        for ids in &mut self.ids {
            match ids.attribute.read(entry) {
                Ok(Some(id)) => {
                    let id_size = size_of::<(usize, DirectoryId)>() + id.heap_size();
                    budget.take(id_size)?;
                    ids.found.push((place, id));
                }
                Ok(None) => {}
                Err(values) => {
                    budget.take(SEVERAL_IDS)?;
                    ids.several.insert(place, values);
                }
            }
        }
        self.dns.push(hash(&entry.dn));
        let account = account::shown(&self.people.of(self.kind).account, entry);
        if account != Account::Enabled {
            budget.take(size_of::<(usize, Account)>())?;
            self.accounts.insert(place, account);
        }
        if let Some(found) = memberships.filter(|found| found.tells_of_grants()) {
            budget.take(size_of::<(usize, Memberships)>() + size_of_val(&*found.of_grants))?;
            self.memberships.insert(place, found);
        }
        let mapped = self.intake.map(self.kind, entry);
        budget.take(mapped.size() + size_of::<(Option<DirectoryId>, u64)>())?;
        self.entries.push((None, mapped));
        Ok(())
    }

    fn page(&mut self, entries: u64) {
        (self.progress)(entries);
        self.prepare();
    }
}

fn hash(dn: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    dn.hash(&mut hasher);
    hasher.finish()
}

/// The people whom the searches for those who may not sign in showed.
#[derive(Debug, Default)]
struct Disabled {
    /// By ids that servers keep unique.
    ids: HashSet<DirectoryId>,
    /// By hashes of their DNs, for those who have no such id.
    dns: HashSet<u64>,
}

impl Disabled {
    fn add(
        &mut self,
        entry: &Entry,
        attributes: &[Ids],
        budget: &mut Budget,
    ) -> Result<(), OverBudget> {
        let mut has_id = false;
        let universal = attributes.iter().map(|ids| &ids.attribute);
        for id in universal
            .filter(|attribute| attribute.is_universal())
            .filter_map(|attribute| attribute.of(entry))
        {
            budget.take(size_of::<DirectoryId>() + id.heap_size())?;
            self.ids.insert(id);
            has_id = true;
        }
        // Another entry may have had its DN when the people were read.
        if !has_id {
            budget.take(size_of::<u64>())?;
            self.dns.insert(hash(&entry.dn));
        }
        Ok(())
    }

    /// The positions of their entries; an entry that was renamed between two searches is found by
    /// its id.
    fn places(&self, ids: &[Ids], dns: &[u64]) -> BTreeSet<usize> {
        let by_dn = dns.iter().enumerate();
        let by_dn = by_dn.filter(|(_, dn)| self.dns.contains(dn));
        let by_id = ids
            .iter()
            .filter(|ids| ids.attribute.is_universal())
            .flat_map(|ids| &ids.found)
            .filter(|(_, id)| self.ids.contains(id));
        let by_id = by_id.map(|(place, _)| *place);
        by_dn.map(|(place, _)| place).chain(by_id).collect()
    }
}

fn dedup(attributes: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    attributes
        .into_iter()
        .filter(|name| seen.insert(name.to_ascii_lowercase()))
        .collect()
}

#[cfg(test)]
mod tests;
