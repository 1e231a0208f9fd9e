//! Where the entries of absent people are, and whether these people may sign in: whoever is outside of
//! what a job searches is not gone from the directory. It decides which cause a report names, and for
//! how long it must have lasted; that somebody is absent is proven without it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    account,
    budget::{Budget, OverBudget},
    error::DirectoryError,
    filter,
    group_graph::Members,
    id_search::GROUP,
    identity::{FreshnessUse, SchemaUse, ServerIdentity},
    pool::{DirectoryPool, PooledConnection},
    request::{PeopleSearch, ReadRequest},
    searches::{EntrySink, SearchRun, Searches, Wanted, bounded, of_request, run_over},
    server::{Continuations, ReferralObjects, RootDse, naming_context},
};
use crate::{
    config::Scope,
    model::{
        account::Account,
        entry::{DirectoryId, Entry, Kept},
        id::IdAttribute,
        server_kind::{ByKind, ServerKind},
    },
};

/// The most bytes of DNs that are kept: those of tens of thousands of people fit.
const MOST_BYTES: usize = 8 << 20;

/// Where the entry of an absent person is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Within the bases and the scope: the filter excludes it.
    Filtered(Elsewhere),
    /// Outside of them.
    Outside(Elsewhere),
    /// Nowhere in the naming contexts of the bases, as far as the account can see.
    Nowhere,
}

/// An entry that is not among the people of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Its DN.
    pub dn: String,
    /// What it shows of its person's account.
    pub account: Account,
}

impl Location {
    /// The DN of the entry, if there is one.
    #[must_use]
    pub fn dn(&self) -> Option<&str> {
        match self {
            Self::Filtered(entry) | Self::Outside(entry) => Some(&entry.dn),
            Self::Nowhere => None,
        }
    }
}

/// Whom to locate, and until when.
#[derive(Debug)]
pub struct LocateRequest<'a> {
    /// The attribute that the ids are values of.
    pub id_attribute: &'a IdAttribute,
    /// The people.
    pub ids: &'a [DirectoryId],
    /// Nobody is looked for any longer.
    pub deadline: Instant,
    /// Requests a stop.
    pub cancel: &'a CancellationToken,
}

/// Looks for the entries of people by id alone: first where a request searches, then in the whole
/// naming contexts of its bases. Whoever is not in `found` afterwards has a location that is not
/// known: the server did not answer, or several entries have the id.
///
/// # Errors
/// Whatever ended it early; what was found before then stays in `found`.
pub async fn locate(
    pool: &DirectoryPool,
    server: &str,
    request: &ReadRequest,
    wanted: &LocateRequest<'_>,
    found: &mut BTreeMap<DirectoryId, Location>,
) -> Result<(), DirectoryError> {
    let mut found = Found { found, bytes: 0 };
    let servers = pool.servers();
    let Some(server) = servers
        .iter()
        .find(|known| known.connector.server() == server)
    else {
        return Ok(());
    };
    let look = async {
        let mut lent = server.get().await?;
        let others = in_bases(pool, &mut lent, request, wanted, &mut found).await?;
        if !others.is_empty() {
            in_contexts(pool, &mut lent, request, (wanted, &others), &mut found).await?;
        }
        lent.give_back();
        Ok(())
    };
    bounded(look, wanted.deadline, wanted.cancel).await
}

/// Finds those whom only the filter excludes, and returns the others.
async fn in_bases(
    pool: &DirectoryPool,
    lent: &mut PooledConnection,
    request: &ReadRequest,
    wanted: &LocateRequest<'_>,
    found: &mut Found<'_>,
) -> Result<Vec<DirectoryId>, DirectoryError> {
    let mut others = Vec::new();
    for ids in wanted.ids.chunks(GROUP) {
        let entries = entries(pool, lent, request, wanted.id_attribute, ids).await?;
        others.extend(entries.others().cloned());
        let certain = entries.certain();
        found
            .add(certain.map(|(id, entry)| (id, Location::Filtered(entry))))
            .map_err(|over| over.error(lent))?;
    }
    Ok(others)
}

/// Finds people in the whole naming contexts of the bases; nobody where a base has none.
async fn in_contexts(
    pool: &DirectoryPool,
    lent: &mut PooledConnection,
    request: &ReadRequest,
    (wanted, others): (&LocateRequest<'_>, &[DirectoryId]),
    found: &mut Found<'_>,
) -> Result<(), DirectoryError> {
    let root = RootDse::read(lent).await?;
    let context = |base: &String| naming_context(&root.naming_contexts, base).map(str::to_owned);
    let contexts: Option<BTreeSet<String>> = request.bases.iter().map(context).collect();
    let Some(contexts) = contexts else {
        return Ok(());
    };
    let request = ReadRequest {
        bases: contexts.into_iter().collect(),
        scope: Scope::Subtree,
        ..request.clone()
    };
    for ids in others.chunks(GROUP) {
        let entries = entries(pool, lent, &request, wanted.id_attribute, ids).await?;
        // One that shows no id may be anybody's.
        if !entries.has_strangers {
            let nowhere = entries.others().cloned();
            found
                .add(nowhere.map(|id| (id, Location::Nowhere)))
                .map_err(|over| over.error(lent))?;
        }
        let certain = entries.certain();
        found
            .add(certain.map(|(id, entry)| (id, Location::Outside(entry))))
            .map_err(|over| over.error(lent))?;
    }
    Ok(())
}

/// The entries that have one of these ids, where a request searches, whatever its filter.
async fn entries<'a>(
    pool: &DirectoryPool,
    lent: &mut PooledConnection,
    request: &'a ReadRequest,
    id_attribute: &'a IdAttribute,
    ids: &'a [DirectoryId],
) -> Result<Entries<'a>, DirectoryError> {
    let by_id: Vec<(&DirectoryId, String)> = ids
        .iter()
        .filter_map(|id| Some((id, id_attribute.filter(id)?)))
        .collect();
    let filters: Vec<String> = by_id.iter().map(|(_, filter)| filter.clone()).collect();
    let mut sink = Entries {
        id_attribute,
        entries: by_id
            .into_iter()
            .map(|(id, _)| (id, BTreeMap::new()))
            .collect(),
        has_strangers: false,
        people: &request.people,
        kind: ServerKind::default(),
        searches: request.bases.len(),
    };
    if filters.is_empty() {
        return Ok(sink);
    }
    let ids = [id_attribute.name().to_owned()];
    let filter = filter::any(&filters);
    let searches = |about: &ServerIdentity| {
        let rule = &request.people.of(about.kind).account;
        let own = rule.attributes().map(ToOwned::to_owned);
        let attributes: Vec<String> = ids.iter().cloned().chain(own).collect();
        let disabled = rule.filter.as_ref().map(|disabled| {
            let both = filter::both(disabled, &filter);
            of_request(pool, request, &both, &ids, &ids)
        });
        Searches {
            groups: None,
            list: of_request(pool, request, &filter, &attributes, &ids),
            disabled: disabled.unwrap_or_default(),
            meant: Vec::new(),
            people: None,
            left_out: Vec::new(),
            referral_objects: ReferralObjects::LeftOut,
            continuations: Continuations::LeftOut,
        }
    };
    let wanted = Wanted {
        bases: &request.bases,
        schema: SchemaUse::Needed,
        freshness: FreshnessUse::None,
        searches: &searches,
    };
    run_over(lent, wanted, &mut sink, &mut SearchRun::default()).await?;
    Ok(sink)
}

/// What was found.
struct Found<'f> {
    found: &'f mut BTreeMap<DirectoryId, Location>,
    /// The length of all DNs.
    bytes: usize,
}

impl Found<'_> {
    /// Adds locations, as long as their DNs do not need too much memory.
    fn add(
        &mut self,
        locations: impl Iterator<Item = (DirectoryId, Location)>,
    ) -> Result<(), OverBudget> {
        for (id, location) in locations {
            self.bytes += location.dn().map_or(0, str::len);
            if self.bytes > MOST_BYTES {
                let what = "the list of entries elsewhere";
                return Err(OverBudget {
                    what,
                    most: MOST_BYTES,
                });
            }
            self.found.insert(id, location);
        }
        Ok(())
    }
}

/// The entries that came back.
struct Entries<'a> {
    id_attribute: &'a IdAttribute,
    /// By the id that was asked for and their DNs, with what they show of their people's accounts.
    entries: BTreeMap<&'a DirectoryId, BTreeMap<String, Account>>,
    /// Whether there were others, which show no id that was asked for.
    has_strangers: bool,
    /// Who may not sign in.
    people: &'a ByKind<PeopleSearch>,
    /// The kind of the server that answers.
    kind: ServerKind,
    /// The number of searches; those that follow are for people who may not sign in.
    searches: usize,
}

impl<'a> Entries<'a> {
    /// The people of whom exactly one entry came back.
    fn certain(self) -> impl Iterator<Item = (DirectoryId, Elsewhere)> + use<'a> {
        self.entries.into_iter().filter_map(|(id, entries)| {
            let mut entries = entries.into_iter();
            let (dn, account) = entries.next()?;
            let is_only = entries.next().is_none();
            is_only.then(|| (id.clone(), Elsewhere { dn, account }))
        })
    }

    /// The people of whom no entry came back.
    fn others(&self) -> impl Iterator<Item = &'a DirectoryId> {
        let others = self
            .entries
            .iter()
            .filter(|(_, entries)| entries.is_empty());
        others.map(|(id, _)| *id)
    }
}

impl EntrySink for Entries<'_> {
    fn begin(&mut self, about: &ServerIdentity, _: Option<Members>) {
        self.kind = about.kind;
    }

    /// Only an id as a read would find it counts: the server compares with rules of its own, and an
    /// entry must not be called somebody's because it resembles.
    fn entry(
        &mut self,
        search: usize,
        entry: &Entry,
        budget: &mut Budget,
    ) -> Result<(), OverBudget> {
        let id = self.id_attribute.of(entry);
        let of_id = id.and_then(|id| self.entries.get_mut(&id));
        if search >= self.searches {
            if let Some(account) = of_id.and_then(|entries| entries.get_mut(&entry.dn)) {
                *account = std::mem::take(account).and(Account::Disabled);
            }
            return Ok(());
        }
        match of_id {
            // Two show already that it is not certain.
            Some(entries) if entries.len() < 2 => {
                budget.take(entry.dn.size())?;
                let account = account::shown(&self.people.of(self.kind).account, entry);
                entries.insert(entry.dn.clone(), account);
            }
            Some(_) => {}
            None => self.has_strangers = true,
        }
        Ok(())
    }

    fn page(&mut self, _: u64) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::config::{AccountRule, PeopleFilter};

    fn at(dn: &str) -> Elsewhere {
        Elsewhere {
            dn: dn.to_owned(),
            account: Account::Enabled,
        }
    }

    #[test]
    fn dns_of_any_length_need_a_bounded_memory() {
        let mut locations = BTreeMap::new();
        let mut found = Found {
            found: &mut locations,
            bytes: 0,
        };
        let long = "x".repeat(16 << 10);
        let many = (0..10_000).map(|number| {
            let id = DirectoryId::new(&number.to_string()).unwrap();
            (id, Location::Outside(at(&long)))
        });
        assert!(found.add(many).is_err());
        assert_eq!(locations.len(), MOST_BYTES / long.len());
    }

    #[test]
    fn only_one_entry_with_exactly_the_id_is_certain() {
        let id = |text: &str| DirectoryId::new(text).unwrap();
        let ids = ["7", "8", "9", "10"].map(id);
        let id_attribute = IdAttribute::named("badge");
        let people = ByKind::new(|_| PeopleSearch {
            filter: PeopleFilter::of_kind(ServerKind::Generic),
            attributes: Vec::new(),
            account: AccountRule::default(),
        });
        let mut sink = Entries {
            id_attribute: &id_attribute,
            entries: ids.iter().map(|id| (id, BTreeMap::new())).collect(),
            has_strangers: false,
            people: &people,
            kind: ServerKind::Generic,
            searches: 1,
        };
        // Overlapping bases show one entry twice.
        for (dn, badge) in [("a", "7"), ("a", "7"), ("b", "8"), ("c", "8"), ("d", "8")] {
            let values = vec![badge.as_bytes().to_vec()];
            let entry = Entry::showing(dn, [("badge", values)]);
            sink.entry(0, &entry, &mut Budget::of_a_reading()).unwrap();
        }
        assert!(!sink.has_strangers);
        let values = vec![b"007".to_vec()];
        let entry = Entry::showing("e", [("badge", values)]);
        sink.entry(0, &entry, &mut Budget::of_a_reading()).unwrap();
        assert!(sink.has_strangers);
        let others: Vec<_> = sink.others().map(DirectoryId::as_str).collect();
        assert_eq!(others, ["10", "9"]);
        let certain: Vec<_> = sink.certain().collect();
        assert_eq!(certain, [(id("7"), at("a"))]);
    }
}
