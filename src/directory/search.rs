//! One search, proven complete: every page, every value range, and a final result of success.

use ldap3::{
    DerefAliases, ResultEntry, Scope, SearchOptions,
    asn1::{PL, StructureTag},
    controls::{Control, MakeCritical, PagedResults},
};

use super::{
    ber,
    connection::Connection,
    entry::Entry,
    error::{DirectoryError, words},
    range,
};

/// Paged results (RFC 2696).
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// The most entries of one search.
const MAX_ENTRIES: u64 = 2_000_000;
/// The maximum number of empty pages in a row: a server may send some while it searches.
const MAX_EMPTY_PAGES: u32 = 1000;

/// The parameters of a search.
#[derive(Debug, Clone)]
pub struct Search {
    /// The search base.
    pub base: String,
    /// The scope.
    pub scope: Scope,
    /// The filter (RFC 4515).
    pub filter: String,
    /// The attributes to return.
    pub attributes: Vec<String>,
    /// Entries per page.
    pub page_size: i32,
}

/// The result of a search, or how far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchEvidence {
    /// The search base.
    pub base: String,
    /// The filter.
    pub filter: String,
    /// Pages that ended with success.
    pub pages: u32,
    /// Entries received.
    pub entries: u64,
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
    mut sink: impl FnMut(Entry, &SearchEvidence),
) -> Result<(), DirectoryError> {
    let mut cookie = Vec::new();
    let mut empty_pages = 0_u32;
    loop {
        let before = evidence.entries;
        let next = page(connection, search, cookie.clone(), evidence, &mut sink).await?;
        evidence.pages = evidence.pages.saturating_add(1);
        if next.is_empty() {
            evidence.result = "success".into();
            return Ok(());
        }
        empty_pages = if evidence.entries == before {
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

/// Reads only the base entry, without paging; the answer contains one entry, or none when the
/// filter does not match.
///
/// # Errors
/// As for `search`.
pub(super) async fn look(
    connection: &mut Connection,
    base: &str,
    filter: &str,
    attributes: &[&str],
) -> Result<Option<Entry>, DirectoryError> {
    let tried = format!("reading {base:?}");
    let limit = connection.operation_timeout;
    let mut ldap = connection.ldap.clone();
    let mut stream = ldap
        .with_search_options(SearchOptions::new().deref(DerefAliases::Never))
        .with_timeout(limit)
        .streaming_search(base, Scope::Base, filter, attributes.to_vec())
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut found = None;
    while let Some(message) = stream
        .next()
        .await
        .map_err(|error| connection.failure(&tried, &error))?
    {
        if let Some(entry) = entry(connection, base, message)? {
            found.get_or_insert(entry);
        }
    }
    let result = stream.finish().await;
    concluded(connection, base, &tried, &result)?;
    Ok(found)
}

/// One page; returns the cookie of the next, which is empty after the last.
async fn page(
    connection: &mut Connection,
    search: &Search,
    cookie: Vec<u8>,
    evidence: &mut SearchEvidence,
    sink: &mut impl FnMut(Entry, &SearchEvidence),
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
        .with_controls(
            PagedResults {
                size: search.page_size,
                cookie,
            }
            .critical(),
        )
        .with_timeout(limit)
        .streaming_search(
            &search.base,
            search.scope,
            &search.filter,
            search.attributes.as_slice(),
        )
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut ranged = Vec::new();
    while let Some(message) = stream
        .next()
        .await
        .map_err(|error| connection.failure(&tried, &error))?
    {
        let Some(mut entry) = entry(connection, &search.base, message)? else {
            continue;
        };
        evidence.entries += 1;
        if evidence.entries > MAX_ENTRIES {
            let reason = format!(
                "the search of {:?} returned more than {MAX_ENTRIES} entries",
                search.base
            );
            return Err(DirectoryError::TooMuch {
                server: connection.server().into(),
                reason,
            });
        }
        match range::started(&mut entry).map_err(|reason| connection.garbled(&reason))? {
            gaps if gaps.is_empty() => sink(entry, evidence),
            gaps => ranged.push((entry, gaps)),
        }
    }
    // The verdict is this page's own result, which is available only after its stream has ended.
    let result = stream.finish().await;
    concluded(connection, &search.base, &tried, &result)?;
    let next = next_cookie(&result.ctrls).map_err(|reason| DirectoryError::NotProven {
        server: connection.server().into(),
        base: search.base.clone(),
        reason: format!("{tried}: {reason}"),
    })?;
    for (mut entry, gaps) in ranged {
        range::complete(connection, &mut entry, gaps).await?;
        sink(entry, evidence);
    }
    Ok(next)
}

/// Interprets the final result of a search.
pub(super) fn concluded(
    connection: &Connection,
    base: &str,
    tried: &str,
    result: &ldap3::LdapResult,
) -> Result<(), DirectoryError> {
    let server = connection.server().to_owned();
    match result.rc {
        // A success that also refers elsewhere is incomplete.
        0 if result.refs.is_empty() => Ok(()),
        0 | 10 => Err(DirectoryError::Referred {
            server,
            base: base.into(),
            to: result.refs.iter().map(|uri| words(uri)).collect(),
        }),
        32 => Err(DirectoryError::NoSuchBase {
            server,
            base: base.into(),
            matched: result.matched.replace(char::is_control, " "),
        }),
        code => Err(DirectoryError::Refused {
            server,
            tried: tried.into(),
            code,
            text: words(&result.text),
        }),
    }
}

/// The entry in a message of a search; none for intermediate messages (RFC 4511 section 4.13),
/// which contain no entries here.
fn entry(
    connection: &Connection,
    base: &str,
    message: ResultEntry,
) -> Result<Option<Entry>, DirectoryError> {
    if message.is_ref() {
        let to = strings(message.0);
        return Err(DirectoryError::Referred {
            server: connection.server().into(),
            base: base.into(),
            to,
        });
    }
    if message.is_intermediate() {
        return Err(connection.garbled("an unsolicited intermediate message"));
    }
    decode(message.0)
        .map(Some)
        .ok_or_else(|| connection.garbled("an entry that cannot be parsed"))
}

/// Parses an entry (RFC 4511 section 4.5.2), values byte for byte; none when it is malformed.
pub(super) fn decode(tag: StructureTag) -> Option<Entry> {
    let mut parts = constructed(tag)?.into_iter();
    let dn = String::from_utf8_lossy(&primitive(parts.next()?)?).into_owned();
    let attributes = constructed(parts.next()?)?
        .into_iter()
        .map(|attribute| {
            let mut parts = constructed(attribute)?.into_iter();
            let name = String::from_utf8(primitive(parts.next()?)?).ok()?;
            let values = constructed(parts.next()?)?
                .into_iter()
                .map(primitive)
                .collect::<Option<Vec<_>>>()?;
            Some((name, values))
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Entry::new(dn, attributes))
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

pub(super) fn strings(tag: StructureTag) -> Vec<String> {
    let parts = constructed(tag).unwrap_or_default();
    parts
        .into_iter()
        .filter_map(primitive)
        .map(|bytes| words(&String::from_utf8_lossy(&bytes)))
        .collect()
}

fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}
