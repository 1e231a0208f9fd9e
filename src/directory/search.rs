//! One search, proven complete: every page, every value range, and a final result of success.

use ldap3::{
    DerefAliases, Scope, SearchOptions,
    controls::{Control, MakeCritical, ManageDsaIt, PagedResults, RawControl},
};

use super::{
    budget::{Budget, OverBudget},
    connection::Connection,
    error::DirectoryError,
    lookup::{concluded, entry, look},
    range,
    range::{ANYTHING, Gap},
    server::{Continuations, DOMAIN_SCOPE, PAGED_RESULTS, ReferralObjects, Referrals},
};
use crate::{
    directory::wire::ber,
    model::{
        entry::{Entry, Kept},
        server_kind::ServerKind,
    },
};

/// The object class of referral objects (RFC 3296 section 2.2), by name and OID.
const REFERRAL: [&str; 2] = ["referral", "2.16.840.1.113730.3.2.6"];
/// The most entries of one search.
const MAX_ENTRIES: u64 = 2_000_000;
/// The maximum number of empty pages in a row: a server may send some while it searches.
const MAX_EMPTY_PAGES: u32 = 1000;

/// The parameters of a search.
#[derive(Debug, Clone)]
pub struct Search {
    /// The search base.
    pub base: String,
    pub scope: Scope,
    /// The filter (RFC 4515).
    pub filter: String,
    /// The attributes to return.
    pub attributes: Vec<String>,
    /// Those among them that may identify an entry.
    pub ids: Vec<String>,
    /// Entries of the first page.
    pub page_size: i32,
    /// Entries of the pages after it.
    pub later_pages: LaterPages,
    /// How referral objects are returned.
    pub(super) referrals: Referrals,
    pub(super) referral_objects: ReferralObjects,
    pub(super) continuations: Continuations,
}

/// How many entries the pages of a search have after the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaterPages {
    /// As many: entries may be large.
    Same,
    /// More, where the server allows it: entries of people are small.
    Larger,
}

/// Pages are made larger from so many entries on: who asks for fewer has a reason.
const GROWS_FROM: i32 = 1000;
/// The most entries of a page that was made larger.
const LARGEST_PAGE: i32 = 5000;
/// The results by which a server refuses a page for its size: sizeLimitExceeded and
/// adminLimitExceeded (RFC 4511 appendix A.1).
const REFUSES_SIZE: [u32; 2] = [4, 11];

impl Search {
    /// The most entries that are asked for of the pages after the first one. A larger page is refused
    /// as a whole by OpenLDAP, which can be asked again; others cut it, or end the search within it.
    fn largest_page(&self, kind: Option<ServerKind>) -> i32 {
        let grows = self.later_pages == LaterPages::Larger
            && kind == Some(ServerKind::OpenLdap)
            && self.page_size >= GROWS_FROM;
        if grows {
            self.page_size.max(LARGEST_PAGE)
        } else {
            self.page_size
        }
    }

    /// The filter that is sent: referral objects hide what lies elsewhere, so they are returned as
    /// well, whatever people are.
    fn sent_filter(&self) -> String {
        match (self.referrals, self.referral_objects) {
            (Referrals::AsEntries, ReferralObjects::Counted) => {
                format!("(|{}(objectClass=referral))", self.filter)
            }
            (Referrals::AsEntries, ReferralObjects::LeftOut) | (Referrals::AsReferences, _) => {
                self.filter.clone()
            }
        }
    }
}

/// The result of a search, or how far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct SearchEvidence {
    /// The search base.
    pub base: String,
    pub filter: String,
    /// Pages that ended with success.
    pub pages: u32,
    /// Entries received, without referral objects.
    pub entries: u64,
    /// Referral objects received, where the server returns them as entries.
    pub referrals: u64,
    /// The result: `success`, `timeout`, `busy (51)` and so on.
    pub result: String,
}

impl SearchEvidence {
    /// The result of a search that was not answered yet.
    #[must_use]
    pub fn of(search: &Search) -> Self {
        Self {
            base: search.base.clone(),
            filter: search.filter.clone(),
            pages: 0,
            entries: 0,
            referrals: 0,
            result: "not finished".into(),
        }
    }
}

/// Searches page by page and passes on each entry; `Ok` proves that these were all.
///
/// The library's own paging is not used: it takes an answer without the control for the last page,
/// and reports success after errors.
///
/// # Errors
/// Whatever prevented a complete answer. Entries passed on before must then be discarded.
pub(super) async fn search(
    connection: &mut Connection,
    search: &Search,
    evidence: &mut SearchEvidence,
    budget: &mut Budget,
    mut sink: impl FnMut(Entry, &SearchEvidence, &mut Budget) -> Result<(), OverBudget>,
) -> Result<(), DirectoryError> {
    let mut cookie = Vec::new();
    let mut empty_pages = 0_u32;
    let mut size = search.page_size;
    let mut largest = search.largest_page(connection.known_kind());
    loop {
        let before = evidence.entries + evidence.referrals;
        let wanted = PagedResults {
            size,
            cookie: cookie.clone(),
        };
        let next = match page(connection, search, wanted, evidence, budget, &mut sink).await {
            Err(DirectoryError::Refused { code, .. })
                if size > search.page_size
                    && REFUSES_SIZE.contains(&code)
                    && evidence.entries + evidence.referrals == before =>
            {
                (size, largest) = (search.page_size, search.page_size);
                continue;
            }
            next => next?,
        };
        size = largest;
        evidence.pages = evidence.pages.saturating_add(1);
        if next.is_empty() {
            evidence.result = "success".into();
            return Ok(());
        }
        empty_pages = if evidence.entries + evidence.referrals == before {
            empty_pages + 1
        } else {
            0
        };
        let not_proven = |reason: String| DirectoryError::NotProven {
            server: connection.server().into(),
            base: search.base.clone(),
            reason,
        };
        if empty_pages > 1 && next == cookie {
            return Err(not_proven(
                "the server repeats an empty page endlessly".into(),
            ));
        }
        if empty_pages > MAX_EMPTY_PAGES {
            return Err(not_proven(format!(
                "the server sent more than {MAX_EMPTY_PAGES} empty pages in a row"
            )));
        }
        cookie = next;
    }
}

/// One page; returns the cookie of the next, which is empty after the last.
async fn page(
    connection: &mut Connection,
    search: &Search,
    wanted: PagedResults,
    evidence: &mut SearchEvidence,
    budget: &mut Budget,
    sink: &mut impl FnMut(Entry, &SearchEvidence, &mut Budget) -> Result<(), OverBudget>,
) -> Result<Vec<u8>, DirectoryError> {
    let tried = format!(
        "page {} of the search of {:?} for {}",
        evidence.pages.saturating_add(1),
        search.base,
        search.filter
    );
    let limit = connection.operation_timeout;
    let mut ldap = connection.ldap.clone();
    let mut stream = ldap
        .with_search_options(SearchOptions::new().deref(DerefAliases::Never))
        .with_controls(controls(search, wanted))
        .with_timeout(limit)
        .streaming_search(
            &search.base,
            search.scope,
            &search.sent_filter(),
            search.attributes.as_slice(),
        )
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut unfinished = Unfinished::default();
    while let Some(message) = connection.next(&mut stream, &tried).await? {
        let mut entry = entry(connection, &search.base, message)?;
        if is_referral(&entry) {
            evidence.referrals += 1;
        } else {
            evidence.entries += 1;
        }
        if evidence.entries + evidence.referrals > MAX_ENTRIES {
            let reason = format!(
                "the search of {:?} returned more than {MAX_ENTRIES} entries",
                search.base
            );
            return Err(DirectoryError::TooMuch {
                server: connection.server().into(),
                reason,
            });
        }
        if is_referral(&entry) {
            continue;
        }
        let gaps = range::started(&mut entry).map_err(|reason| connection.garbled(&reason))?;
        let kept = if entry.is_too_large() {
            unfinished.too_large(entry.dn, budget)
        } else if gaps.is_empty() {
            sink(entry, evidence, budget)
        } else {
            unfinished.ranged(entry, gaps, budget)
        };
        kept.map_err(|over| over.error(connection))?;
    }
    // The verdict is this page's own result, which is available only after its stream has ended.
    let result = stream.finish().await;
    concluded(connection, &search.base, &tried, &result)?;
    let next = next_cookie(&result.ctrls).map_err(|reason| DirectoryError::NotProven {
        server: connection.server().into(),
        base: search.base.clone(),
        reason: format!("{tried}: {reason}"),
    })?;
    unfinished
        .finish(connection, search, evidence, budget, sink)
        .await?;
    Ok(next)
}

/// Entries of a page for which something else must be asked. What waits counts like what is kept.
#[derive(Default)]
struct Unfinished {
    ranged: Vec<(Entry, Vec<Gap>)>,
    /// The DNs of entries that were too large.
    too_large: Vec<String>,
}

impl Unfinished {
    fn ranged(
        &mut self,
        entry: Entry,
        gaps: Vec<Gap>,
        budget: &mut Budget,
    ) -> Result<(), OverBudget> {
        budget.take(entry.size())?;
        self.ranged.push((entry, gaps));
        Ok(())
    }

    fn too_large(&mut self, dn: String, budget: &mut Budget) -> Result<(), OverBudget> {
        budget.take(dn.size())?;
        self.too_large.push(dn);
        Ok(())
    }

    /// Asks, and passes on the entries.
    async fn finish(
        self,
        connection: &mut Connection,
        search: &Search,
        evidence: &SearchEvidence,
        budget: &mut Budget,
        sink: &mut impl FnMut(Entry, &SearchEvidence, &mut Budget) -> Result<(), OverBudget>,
    ) -> Result<(), DirectoryError> {
        for (mut entry, gaps) in self.ranged {
            let waited = entry.size();
            let added = range::complete(connection, &mut entry, gaps, budget).await?;
            sink(entry, evidence, budget).map_err(|over| over.error(connection))?;
            budget.give_back(waited + added);
        }
        for dn in self.too_large {
            let waited = dn.size();
            let entry = identified(connection, dn, &search.ids).await?;
            sink(entry, evidence, budget).map_err(|over| over.error(connection))?;
            budget.give_back(waited);
        }
        Ok(())
    }
}

/// An entry that was too large, with its id if that can be read alone.
async fn identified(
    connection: &mut Connection,
    dn: String,
    ids: &[String],
) -> Result<Entry, DirectoryError> {
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let found = match look(connection, &dn, ANYTHING, &names).await {
        Ok(found) => found,
        Err(DirectoryError::NoSuchBase { .. }) => None,
        Err(error) => return Err(error),
    };
    Ok(found
        .unwrap_or_else(|| Entry::new(dn, Vec::new()))
        .too_large())
}

/// The controls of a search: the next page, or nothing; referral objects as entries, where the server
/// offers that; and no references, where nobody needs them.
fn controls(search: &Search, wanted: PagedResults) -> Vec<RawControl> {
    let mut controls: Vec<RawControl> = vec![wanted.critical().into()];
    match search.referrals {
        Referrals::AsEntries => controls.push(ManageDsaIt.into()),
        Referrals::AsReferences => {}
    }
    match search.continuations {
        Continuations::LeftOut => controls.push(RawControl {
            ctype: DOMAIN_SCOPE.into(),
            crit: true,
            val: None,
        }),
        Continuations::EndTheSearch | Continuations::LeftOutWithoutPeople => {}
    }
    controls
}

/// Whether an entry is a referral object; without its object class it is not.
fn is_referral(entry: &Entry) -> bool {
    let mut classes = entry.values("objectClass").iter();
    classes.any(|class| {
        REFERRAL
            .iter()
            .any(|name| class.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// The cookie in the paging control of an answer (RFC 2696 section 2), without which the answer
/// proves nothing.
fn next_cookie(controls: &[Control]) -> Result<Vec<u8>, &'static str> {
    let Some(Control(_, control)) = controls
        .iter()
        .find(|Control(_, raw)| raw.ctype == PAGED_RESULTS)
    else {
        return Err("the answer came without the control for paged results");
    };
    let cookie = || {
        let sequence = ber::element(control.val.as_deref()?)
            .filter(|outer| outer.tag == 0x30 && outer.is_whole && outer.rest.is_empty())?;
        let size = ber::element(sequence.content).filter(|size| size.tag == 0x02)?;
        let cookie = ber::element(size.rest)
            .filter(|cookie| cookie.tag == 0x04 && cookie.is_whole && cookie.rest.is_empty())?;
        Some(cookie.content.to_vec())
    };
    cookie().ok_or("the answer's control for paged results is malformed")
}
