//! Finds the entries of somebody whom a person names: by login, mail, DN or id, whatever the job's
//! filter says, and wherever they are. It shows nobody absent.

use std::collections::{BTreeMap, BTreeSet};

use tokio_util::sync::CancellationToken;

use super::{
    budget::{Budget, OverBudget},
    error::DirectoryError,
    filter,
    group_graph::Members,
    identity::{FreshnessUse, SchemaUse, ServerIdentity},
    pool::DirectoryPool,
    range::ANYTHING,
    request::{ReadFailure, ReadRequest},
    searches::{EntrySink, SearchRun, Searches, Servers, Wanted, bounded, of_request, run},
    server::{Continuations, ReferralObjects, naming_context},
};
use crate::{
    config::{Filter, Scope},
    model::{
        entry::{DirectoryId, Entry, Kept},
        id::IdAttribute,
        server_kind::ServerKind,
    },
};

/// invalidDNSyntax (RFC 4511 section 4.1.9).
const INVALID_DN: u32 = 34;
/// The most entries that are kept: whoever is named is one of a few.
const MOST: usize = 20;

/// By what entries are found: any of it is enough.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Names {
    /// Attributes, and a value that one of them has.
    pub values: Vec<(Vec<String>, String)>,
    /// Attributes, and with what a value of one of them begins.
    pub beginnings: Vec<(Vec<String>, String)>,
    pub ids: Vec<(IdAttribute, DirectoryId)>,
    /// An id of the attribute by which the server identifies its entries.
    pub id: Option<DirectoryId>,
}

impl Names {
    /// Whether nothing can be found by them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.beginnings.is_empty()
            && self.ids.is_empty()
            && self.id.is_none()
    }

    /// The filter for a server that identifies its entries by one of these attributes.
    fn filter(&self, candidates: &[IdAttribute]) -> String {
        let of_values = self.values.iter().flat_map(|(attributes, value)| {
            let of_value = |name: &String| filter::equals(name, value.as_bytes());
            attributes.iter().map(of_value)
        });
        let of_beginnings = self.beginnings.iter().flat_map(|(attributes, value)| {
            let of_value = |name: &String| filter::begins(name, value.as_bytes());
            attributes.iter().map(of_value)
        });
        let given = self.id.iter().flat_map(|id| {
            let all = candidates.iter();
            all.map(move |attribute| (attribute, id))
        });
        let ids = self.ids.iter().map(|(attribute, id)| (attribute, id));
        let of_ids = ids
            .chain(given)
            .filter_map(|(attribute, id)| attribute.filter(id));
        let all: BTreeSet<String> = of_values.chain(of_beginnings).chain(of_ids).collect();
        let all: Vec<String> = all.into_iter().collect();
        filter::any(&all)
    }
}

/// Where somebody is looked for.
#[derive(Debug, Clone, Copy)]
pub enum Where<'a> {
    /// Where a read searches.
    Bases(&'a Names),
    /// In these whole naming contexts.
    Contexts(&'a [String], &'a Names),
    /// At one DN.
    Dn(&'a str),
}

/// What was found.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Found {
    /// The URL of the server that was asked.
    pub server: String,
    pub kind: ServerKind,
    /// The bases of the searches.
    pub bases: Vec<String>,
    /// Whether only the entries at these bases were looked at.
    pub is_one_entry: bool,
    /// The filter by which the entries were found.
    pub filter: String,
    /// The naming contexts of the bases of the request.
    pub contexts: Vec<String>,
    /// The filter for people of that server.
    pub people: Option<Filter>,
    /// At most 20, by DN.
    pub entries: Vec<FoundEntry>,
}

/// An entry that was found.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct FoundEntry {
    /// With what the job maps.
    pub entry: Entry,
    /// Whether the job's filter for people matches it.
    pub matches_filter: bool,
}

impl FoundEntry {
    /// What identifies it: of these attributes, the first that it shows.
    #[must_use]
    pub fn id(&self, attributes: &[IdAttribute]) -> Option<(IdAttribute, DirectoryId)> {
        attributes
            .iter()
            .find_map(|attribute| Some((attribute.clone(), attribute.of(&self.entry)?)))
    }
}

/// Looks for entries on the first server that can be asked; none found is no proof of anything.
///
/// # Errors
/// As for a read.
pub async fn find(
    pool: &DirectoryPool,
    request: &ReadRequest,
    place: Where<'_>,
    cancel: &CancellationToken,
) -> Result<Found, ReadFailure> {
    let bases = match place {
        Where::Bases(_) => request.bases.clone(),
        Where::Contexts(contexts, _) => contexts.to_vec(),
        Where::Dn(dn) => vec![dn.to_owned()],
    };
    let scope = match place {
        Where::Bases(_) => request.scope,
        Where::Contexts(..) | Where::Dn(_) => Scope::Subtree,
    };
    let asked = ReadRequest {
        bases,
        scope,
        ..request.clone()
    };
    let configured = pool.id_attribute().map(IdAttribute::named);
    let filter = |about: &ServerIdentity| match place {
        Where::Bases(names) | Where::Contexts(_, names) => match &configured {
            Some(attribute) => names.filter(std::slice::from_ref(attribute)),
            None => names.filter(&about.candidates),
        },
        Where::Dn(_) => ANYTHING.to_owned(),
    };
    let is_one_entry = matches!(place, Where::Dn(_));
    let searches = |about: &ServerIdentity| {
        let people = about.people(&asked);
        searches(pool, &asked, (about, &people, &filter(about)), is_one_entry)
    };
    let wanted = Wanted {
        bases: &asked.bases,
        schema: SchemaUse::Needed,
        freshness: FreshnessUse::None,
        searches: &searches,
    };
    let mut sink = Collect {
        bases: asked.bases.len(),
        ..Collect::default()
    };
    let mut course = SearchRun::default();
    let work = run(pool, Servers::InOrder, wanted, &mut sink, &mut course);
    let server = match bounded(work, request.deadline, cancel).await {
        Ok(server) => server,
        // There is no such entry.
        Err(
            DirectoryError::NoSuchBase { server, .. }
            | DirectoryError::Refused {
                server,
                code: INVALID_DN,
                ..
            },
        ) if is_one_entry => server,
        Err(error) => return Err(course.failure(error)),
    };
    Ok(Found {
        server,
        kind: sink.kind,
        is_one_entry,
        filter: filter(&course.about),
        contexts: contexts(request, &sink.contexts),
        people: course.people,
        entries: sink.entries.into_values().collect(),
        bases: asked.bases,
    })
}

/// The searches: for the entries, then for those of them that are people.
fn searches(
    pool: &DirectoryPool,
    request: &ReadRequest,
    (about, people, filter): (&ServerIdentity, &Filter, &str),
    is_one_entry: bool,
) -> Searches {
    let configured = pool.id_attribute().map(IdAttribute::named);
    let ids = IdAttribute::candidates(ServerKind::Generic);
    let ids: Vec<String> = ids
        .iter()
        .chain(&configured)
        .map(|id| id.name().to_owned())
        .collect();
    let wanted = request.people.of(about.kind);
    let mut attributes: BTreeSet<String> = wanted.attributes.iter().cloned().collect();
    attributes.extend(ids.iter().cloned());
    attributes.extend(wanted.account.attributes().map(ToOwned::to_owned));
    attributes.insert("objectClass".to_owned());
    let attributes: Vec<String> = attributes.into_iter().collect();
    let both = filter::both(people, filter);
    let mut list = of_request(pool, request, filter, &attributes, &ids);
    list.extend(of_request(pool, request, &both, &ids, &ids));
    if is_one_entry {
        for search in &mut list {
            search.scope = ldap3::Scope::Base;
        }
    }
    Searches {
        groups: None,
        list,
        disabled: Vec::new(),
        meant: Vec::new(),
        people: Some(people.clone()),
        left_out: Vec::new(),
        referral_objects: ReferralObjects::LeftOut,
        continuations: Continuations::LeftOut,
    }
}

/// The naming contexts of the bases of a request, each once.
fn contexts(request: &ReadRequest, all: &[String]) -> Vec<String> {
    let context = |base: &String| naming_context(all, base).map(str::to_owned);
    let contexts: BTreeSet<String> = request.bases.iter().filter_map(context).collect();
    contexts.into_iter().collect()
}

/// Keeps the entries, each once.
#[derive(Default)]
struct Collect {
    /// The number of searches for entries; those that follow are for people.
    bases: usize,
    kind: ServerKind,
    contexts: Vec<String>,
    entries: BTreeMap<String, FoundEntry>,
}

impl EntrySink for Collect {
    fn begin(&mut self, about: &ServerIdentity, _: Option<Members>) {
        self.kind = about.kind;
        self.contexts.clone_from(&about.naming_contexts);
        self.entries.clear();
    }

    fn entry(
        &mut self,
        search: usize,
        entry: &Entry,
        budget: &mut Budget,
    ) -> Result<(), OverBudget> {
        if search >= self.bases {
            if let Some(found) = self.entries.get_mut(&entry.dn) {
                found.matches_filter = true;
            }
            return Ok(());
        }
        if self.entries.len() < MOST {
            budget.take(entry.size())?;
            let found = FoundEntry {
                entry: entry.clone(),
                matches_filter: false,
            };
            self.entries.insert(entry.dn.clone(), found);
        }
        Ok(())
    }

    fn page(&mut self, _: u64) {}
}
