//! Several searches on one server; another server may take its place only before the first entry.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    budget::{Budget, OverBudget},
    connection::Connection,
    dn::Dn,
    error::DirectoryError,
    lookup::look,
    name_fault::NameFault,
    names::Names,
    pool::{DirectoryPool, Server},
    request::{ReadFailure, ReadRequest},
    schema::Schema,
    search::{Search, SearchEvidence, search},
    server::{Continuations, ReferralObjects, Referrals, RootDse},
};
use crate::{
    config::{Filter, Scope},
    model::{entry::Entry, id::IdAttribute, server_kind::ServerKind},
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
    /// The searches of that server.
    pub searches: &'a (dyn Fn(&ServerIdentity) -> Searches + Sync),
}

/// Whether the schema of a server is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaUse {
    /// For the names of attributes.
    Needed,
    /// It is not read.
    None,
}

impl SchemaUse {
    /// For searches that ask for ids alone: servers have one name for the universal ones.
    pub fn of_ids(id_attribute: &IdAttribute) -> Self {
        if id_attribute.is_universal() {
            Self::None
        } else {
            Self::Needed
        }
    }
}

/// Searches that are one read.
#[derive(Debug)]
pub(super) struct Searches {
    pub list: Vec<Search>,
    /// Those that follow them: for people who may not sign in.
    pub disabled: Vec<Search>,
    /// The names of attributes that must have a meaning.
    pub meant: Vec<String>,
    /// The filter for people, in a read.
    pub people: Option<Filter>,
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
    pub searches: Vec<SearchEvidence>,
    /// What the server is.
    pub about: ServerIdentity,
    /// What is wrong with names that no entry showed.
    pub name_faults: Vec<NameFault>,
    /// The filter for people that was used, in a read.
    pub people: Option<Filter>,
}

/// What a server says about itself before it is searched.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerIdentity {
    pub kind: ServerKind,
    /// The attributes that may identify its entries, the best first.
    pub candidates: Vec<IdAttribute>,
    /// The id of the entry of the naming context that contains the first base; none where it cannot
    /// be read.
    pub directory_id: Option<String>,
    referrals: Referrals,
    /// Whether it leaves out references on request.
    leaves_out_continuations: bool,
    schema: Option<Arc<Schema>>,
}

impl ServerIdentity {
    /// The filter for the people of a request.
    pub fn people(&self, request: &ReadRequest) -> Filter {
        request.filter(self.kind, self.schema.as_deref())
    }
}

impl SearchRun {
    fn is_untouched(&self) -> bool {
        self.searches
            .iter()
            .all(|search| search.pages == 0 && search.entries + search.referrals == 0)
    }

    pub fn failure(mut self, error: DirectoryError) -> ReadFailure {
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

/// Receives the entries of a read.
pub(super) trait EntrySink {
    /// A server is about to be asked; discard what another one returned.
    fn begin(&mut self, about: &ServerIdentity);
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
        let mut lent = match servers {
            Servers::InOrder => server.get().await?,
            Servers::Only(_) => server.get_unless_just_tried().await?,
        };
        match run_over(&mut lent, wanted, sink, course).await {
            Ok(()) => {
                lent.give_back();
                return Ok(());
            }
            // A connection from the pool may have been closed already, or forgotten by a firewall in
            // silence, which says nothing about the server.
            Err(DirectoryError::Lost { .. } | DirectoryError::TimedOut { .. })
                if !lent.is_fresh() && course.is_untouched() =>
            {
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
    let bases: Vec<&str> = wanted.bases.iter().map(String::as_str).collect();
    course.about = about(connection, &bases, wanted.schema).await?;
    let searches = (wanted.searches)(&course.about);
    course.people.clone_from(&searches.people);
    sink.begin(&course.about);
    let asked = searches.list.first().map(|search| &*search.attributes);
    let mut names = Names::new(asked.unwrap_or_default(), course.about.schema.take());
    let mut entries = 0;
    let mut budget = Budget::of_a_reading();
    let list = searches.list.iter().chain(&searches.disabled);
    for (place, wanted) in list.enumerate() {
        course.searches.push(SearchEvidence::of(wanted));
        let Some(evidence) = course.searches.last_mut() else {
            continue;
        };
        let wanted = Search {
            referrals: course.about.referrals,
            referral_objects: searches.referral_objects,
            continuations: match searches.continuations {
                Continuations::LeftOut if course.about.leaves_out_continuations => {
                    Continuations::LeftOut
                }
                Continuations::LeftOut | Continuations::EndTheSearch => Continuations::EndTheSearch,
            },
            ..wanted.clone()
        };
        let is_of_people = place < searches.list.len();
        let mut pages = 0;
        let each = |entry, so_far: &SearchEvidence, budget: &mut Budget| {
            if is_of_people && so_far.pages != pages {
                pages = so_far.pages;
                sink.page(entries + so_far.entries);
            }
            sink.entry(place, &names.resolve(entry), budget)
        };
        search(connection, &wanted, evidence, &mut budget, each).await?;
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

/// Reads the root DSE of a server, its schema where that is needed, and the id of its directory.
async fn about(
    connection: &mut Connection,
    bases: &[&str],
    schema: SchemaUse,
) -> Result<ServerIdentity, DirectoryError> {
    let root = RootDse::read(connection).await?;
    let candidates = IdAttribute::candidates(root.kind);
    let directory_id = directory_id(connection, &root, bases).await?;
    let schema = match schema {
        SchemaUse::Needed => Schema::read(connection, &root).await?.map(Arc::new),
        SchemaUse::None => None,
    };
    Ok(ServerIdentity {
        kind: root.kind,
        candidates,
        directory_id,
        referrals: root.referrals(),
        leaves_out_continuations: root.leaves_out_continuations(),
        schema,
    })
}

/// The directory's id: the id of the entry of the naming context that contains the bases, of
/// several the first by name, so that the order of the bases does not matter; none where it cannot
/// be read.
pub(super) async fn directory_id(
    connection: &mut Connection,
    root: &RootDse,
    bases: &[&str],
) -> Result<Option<String>, DirectoryError> {
    match bases
        .iter()
        .filter_map(|base| naming_context(&root.naming_contexts, base))
        .min()
    {
        Some(context) => context_id(connection, context, &IdAttribute::candidates(root.kind)).await,
        None => Ok(None),
    }
}

/// The naming context of a base (RFC 4512 section 5.1): the lowest of those that contain it.
pub(super) fn naming_context<'a>(contexts: &'a [String], base: &str) -> Option<&'a str> {
    let base = Dn::parse(base)?;
    let holds =
        |context: &&'a String| Some((base.depth_below(&Dn::parse(context)?)?, context.as_str()));
    contexts
        .iter()
        .filter_map(|context| holds(&context))
        .min()
        .map(|(_, context)| context)
}

/// The id of a naming context's own entry; none where it cannot be read.
async fn context_id(
    connection: &mut Connection,
    context: &str,
    candidates: &[IdAttribute],
) -> Result<Option<String>, DirectoryError> {
    let names: Vec<&str> = candidates.iter().map(IdAttribute::name).collect();
    match look(connection, context, "(objectClass=*)", &names).await {
        Ok(Some(entry)) => Ok(candidates
            .iter()
            .find_map(|candidate| candidate.of(&entry))
            .map(|id| id.as_str().to_owned())),
        Ok(None) | Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Referred { .. }) => {
            Ok(None)
        }
        // A refusal for this entry says nothing about the search; "busy" does.
        Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => Ok(None),
        Err(error) => Err(error),
    }
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
        referrals: Referrals::default(),
        referral_objects: ReferralObjects::LeftOut,
        continuations: Continuations::EndTheSearch,
    };
    request.bases.iter().map(search).collect()
}
