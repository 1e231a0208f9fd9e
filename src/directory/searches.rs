//! Several searches on one server; another server may take its place only before the first entry.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    budget::{Budget, OverBudget},
    connection::Connection,
    dn::Dn,
    error::DirectoryError,
    group_graph::Members,
    groups,
    groups::GroupSearches,
    identity::{FreshnessUse, SchemaUse, ServerIdentity, about},
    name_fault::NameFault,
    names::Names,
    pool::{DirectoryPool, Server},
    request::{ReadFailure, ReadRequest},
    search::{LaterPages, Search, SearchEvidence, search},
    server::{Continuations, ReferralObjects, Referrals},
};
use crate::{
    config::{Filter, Scope},
    model::{bind_account::BindAccount, entry::Entry},
};

/// Which servers of a directory may be asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Servers<'a> {
    /// All, in order, until one can be used.
    InOrder,
    /// Only the one with this URL.
    Only(&'a str),
}

/// What is asked of the server that answers; the searches depend on what it is.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// The bases of the searches.
    pub bases: &'a [String],
    pub schema: SchemaUse,
    pub freshness: FreshnessUse,
    /// The searches of that server.
    pub searches: &'a (dyn Fn(&ServerIdentity) -> Searches + Sync),
}

/// Searches that are one read.
#[derive(Debug)]
pub(super) struct Searches {
    /// Those for groups come first: whoever is in none of them is nobody's.
    pub groups: Option<GroupSearches>,
    pub list: Vec<Search>,
    /// Those that follow them: for people who may not sign in.
    pub disabled: Vec<Search>,
    /// The names of attributes that must have a meaning.
    pub meant: Vec<String>,
    /// The filter for people, in a read.
    pub people: Option<Filter>,
    /// Where entries are nobody's, though they are found.
    pub left_out: Vec<Dn>,
    /// What is done about referral objects, where the server returns them as entries.
    pub referral_objects: ReferralObjects,
    /// What is done about references to other servers.
    pub continuations: Continuations,
}

/// The progress of a read; kept outside the work, so that it is still known when the work is
/// stopped.
#[derive(Debug, Default)]
pub(super) struct SearchRun {
    pub server: Option<String>,
    pub group_searches: Vec<SearchEvidence>,
    pub searches: Vec<SearchEvidence>,
    /// As whom it was bound.
    pub account: BindAccount,
    /// What the server is.
    pub about: ServerIdentity,
    /// What is wrong with names that no entry showed.
    pub name_faults: Vec<NameFault>,
    /// The filter for people that was used, in a read.
    pub people: Option<Filter>,
}

impl SearchRun {
    fn is_untouched(&self) -> bool {
        let mut all = self.group_searches.iter().chain(&self.searches);
        all.all(|search| search.pages == 0 && search.entries + search.referrals == 0)
    }

    pub fn failure(mut self, error: DirectoryError) -> ReadFailure {
        let mut searches = self.group_searches;
        searches.append(&mut self.searches);
        // Of a group that cannot be used, its search was complete.
        if let Some(last) = searches.last_mut()
            && !matches!(error, DirectoryError::Group { .. })
        {
            last.result = error.outcome();
        }
        ReadFailure {
            error,
            server: self.server,
            searches,
        }
    }
}

/// Receives the entries of a read.
pub(super) trait EntrySink {
    /// A server is about to be asked for people, of whom only the members count, if any are named;
    /// discard what another one returned.
    fn begin(&mut self, about: &ServerIdentity, members: Option<Members>);
    /// An entry of the search at that index.
    ///
    /// # Errors
    /// What is kept of the entries needs more memory than the budget has, from which it is taken.
    fn entry(
        &mut self,
        search: usize,
        entry: &Entry,
        budget: &mut Budget,
    ) -> Result<(), OverBudget>;
    /// A page is complete; `entries` is the total so far.
    fn page(&mut self, entries: u64);
}

/// Ends the work at the deadline or on request; the connection in use is closed with it. A library
/// that panics ends it too, and nothing more.
pub(super) async fn bounded<R>(
    work: impl Future<Output = Result<R, DirectoryError>>,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Result<R, DirectoryError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(DirectoryError::Cancelled),
        outcome = AssertUnwindSafe(work).catch_unwind() => outcome.unwrap_or_else(|_| {
            Err(DirectoryError::Garbled {
                server: "the directory".into(),
                reason: "a library could not cope with it".into(),
            })
        }),
        () = tokio::time::sleep_until(deadline) => Err(DirectoryError::Deadline { tried: "reading the directory".into() }),
    }
}

/// Runs all searches on the first server that can be used, and returns its URL.
pub(super) async fn run(
    pool: &DirectoryPool,
    servers: Servers<'_>,
    wanted: Wanted<'_>,
    sink: &mut impl EntrySink,
    course: &mut SearchRun,
) -> Result<String, DirectoryError> {
    if wanted.bases.is_empty() {
        // Asking nothing does not show that nobody is there.
        return Err(DirectoryError::Settings {
            directory: pool.name().into(),
            reason: "there is no search base".into(),
        });
    }
    let mut failures = Vec::new();
    let asked = match servers {
        Servers::InOrder => pool.in_order().await?,
        Servers::Only(url) => {
            let known = pool.servers();
            let named = known
                .iter()
                .filter(|server| server.connector.server() == url);
            named.cloned().collect()
        }
    };
    for server in asked {
        course.server = Some(server.connector.server().into());
        match run_on((&server, servers), wanted, sink, course).await {
            Ok(()) => return Ok(server.connector.server().into()),
            Err(error) if error.concerns_one_server() && course.is_untouched() => {
                failures.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(DirectoryError::of_all(failures))
}

async fn run_on(
    (server, servers): (&Server, Servers<'_>),
    wanted: Wanted<'_>,
    sink: &mut impl EntrySink,
    course: &mut SearchRun,
) -> Result<(), DirectoryError> {
    loop {
        course.searches.clear();
        course.group_searches.clear();
        let mut lent = match servers {
            Servers::InOrder => server.get().await?,
            Servers::Only(_) => server.get_unless_just_tried().await?,
        };
        match run_over(&mut lent, wanted, sink, course).await {
            Ok(()) => {
                lent.give_back();
                return Ok(());
            }
            Err(error) if course.is_untouched() && lent.may_have_been_dead(&error) => {
                server.close_idle();
            }
            Err(error) => {
                server.did_not_answer(&error);
                return Err(error);
            }
        }
    }
}

/// Runs all searches over one connection.
pub(super) async fn run_over(
    connection: &mut Connection,
    wanted: Wanted<'_>,
    sink: &mut impl EntrySink,
    course: &mut SearchRun,
) -> Result<(), DirectoryError> {
    course.account.clone_from(connection.account());
    let bases: Vec<&str> = wanted.bases.iter().map(String::as_str).collect();
    course.about = about(connection, &bases, (wanted.schema, wanted.freshness)).await?;
    let searches = (wanted.searches)(&course.about);
    course.people.clone_from(&searches.people);
    let mut budget = Budget::of_a_reading();
    let members = match &searches.groups {
        Some(groups) => Some(
            groups::read(
                connection,
                groups,
                &course.about,
                &mut course.group_searches,
                &mut budget,
            )
            .await?,
        ),
        None => None,
    };
    sink.begin(&course.about, members);
    let asked = searches.list.first().map(|search| &*search.attributes);
    let mut names = Names::new(asked.unwrap_or_default(), course.about.schema.take());
    let mut entries = 0;
    let list = searches.list.iter().chain(&searches.disabled);
    for (place, wanted) in list.enumerate() {
        course.searches.push(SearchEvidence::of(wanted));
        let Some(evidence) = course.searches.last_mut() else {
            continue;
        };
        let references = (searches.referral_objects, searches.continuations);
        let wanted = course.about.suited(wanted, references);
        let is_of_people = place < searches.list.len();
        let mut pages = 0;
        let each = |entry: Entry, so_far: &SearchEvidence, budget: &mut Budget| {
            if is_of_people && so_far.pages != pages {
                pages = so_far.pages;
                sink.page(entries + so_far.entries);
            }
            if is_below(&entry.dn, &searches.left_out) {
                return Ok(());
            }
            sink.entry(place, &names.resolve(entry), budget)
        };
        let searched = search(connection, &wanted, evidence, &mut budget, each).await;
        searched.map_err(|error| course.about.explained(error))?;
        if is_of_people {
            entries += evidence.entries;
        }
        sink.page(entries);
    }
    if wanted.schema == SchemaUse::Needed && entries > 0 {
        course.name_faults = names.faults(&searches.meant);
    }
    Ok(())
}

/// Whether the entry with this DN lies in one of these places.
fn is_below(dn: &str, places: &[Dn]) -> bool {
    // Of most directories there are none, and their DNs need not be parsed.
    !places.is_empty()
        && Dn::parse(dn)
            .is_some_and(|dn| places.iter().any(|place| dn.depth_below(place).is_some()))
}

/// One search for each base of a request.
pub(super) fn of_request(
    pool: &DirectoryPool,
    request: &ReadRequest,
    filter: &str,
    attributes: &[String],
    ids: &[String],
) -> Vec<Search> {
    let scope = match request.scope {
        Scope::Subtree => ldap3::Scope::Subtree,
        Scope::One => ldap3::Scope::OneLevel,
    };
    let search = |base: &String| Search {
        base: base.clone(),
        scope,
        filter: filter.into(),
        attributes: attributes.to_vec(),
        ids: ids.to_vec(),
        page_size: pool.page_size(),
        later_pages: LaterPages::Larger,
        referrals: Referrals::default(),
        referral_objects: ReferralObjects::LeftOut,
        continuations: Continuations::EndTheSearch,
    };
    request.bases.iter().map(search).collect()
}
