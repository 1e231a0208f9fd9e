//! Answers a search (RFC 4511 section 4.5): access, base, filter, and limits.

use std::{io, sync::Arc, time::Duration};

use ldap3_proto::{
    control::LdapControl,
    proto::{LdapOp, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchScope},
};
use tokio::{task::yield_now, time::timeout};

use super::{
    connection::{Identity, Session},
    filter::{Filter, Truth},
    name::Name,
    page::Position,
    root_dse::root_dse,
    selection::{Selection, Values},
    stored::Stored,
    tree::{SUBSCHEMA_DN, Tree, subschema},
    wire::{Writer, result},
};

/// The number of entries examined before other tasks get their turn.
const STRIDE: usize = 256;

/// A validated search.
struct Search {
    place: Place,
    filter: Filter,
    selection: Selection,
    /// The most entries to return, over all pages.
    limit: usize,
    /// The number of entries, over all pages, after which the server reports `busy`.
    busy_after: usize,
    paging: Option<Paging>,
    start: Position,
}

/// The candidates of a search.
enum Place {
    /// One entry, already found.
    Entry(Arc<Stored>),
    /// The entries of the tree at these depths below a base.
    Below {
        base: Name,
        depths: std::ops::RangeInclusive<usize>,
    },
}

/// The paged results control.
struct Paging {
    size: usize,
    cookie: Vec<u8>,
}

/// The progress of a search when it stopped.
enum Reached {
    End,
    PageFull(Position),
    Limit,
    Busy,
}

/// Executes a search and sends its whole answer.
pub(super) async fn answer(
    session: &mut Session,
    writer: &mut Writer,
    msgid: i32,
    request: LdapSearchRequest,
    controls: Vec<LdapControl>,
) -> io::Result<()> {
    let search = match prepare(session, &request, &controls) {
        Ok(search) => search,
        Err(refusal) => {
            return writer
                .send(msgid, LdapOp::SearchResultDone(refusal), Vec::new())
                .await;
        }
    };
    let reached = match u64::try_from(request.timelimit) {
        Ok(seconds @ 1..) => timeout(
            Duration::from_secs(seconds),
            entries(&session.tree, writer, msgid, &search),
        )
        .await
        .ok(),
        _ => Some(entries(&session.tree, writer, msgid, &search).await),
    };
    let (done, cookie) = match reached.transpose()? {
        None => (result(LdapResultCode::TimeLimitExceeded, ""), Vec::new()),
        Some(Reached::Limit) => (result(LdapResultCode::SizeLimitExceeded, ""), Vec::new()),
        Some(Reached::Busy) => (
            result(LdapResultCode::Busy, "the server is too busy to continue"),
            Vec::new(),
        ),
        Some(Reached::End) => (result(LdapResultCode::Success, ""), Vec::new()),
        Some(Reached::PageFull(position)) => (
            result(LdapResultCode::Success, ""),
            session.pages.suspend(request, position),
        ),
    };
    let controls = search
        .paging
        .map(|_| LdapControl::SimplePagedResults { size: 0, cookie });
    writer
        .send(
            msgid,
            LdapOp::SearchResultDone(done),
            controls.into_iter().collect(),
        )
        .await
}

/// Whether a control is critical and not supported here; kinds whose criticality the decoder drops
/// count as critical.
pub(super) fn is_critical(control: &LdapControl) -> bool {
    match control {
        LdapControl::Unknown { criticality, .. }
        | LdapControl::SyncRequest { criticality, .. }
        | LdapControl::PasswordPolicyRequest { criticality }
        | LdapControl::SearchOptions { criticality, .. }
        | LdapControl::ShowDeleted { criticality }
        | LdapControl::SdFlags { criticality, .. }
        | LdapControl::ExtendedDn { criticality, .. } => *criticality,
        LdapControl::AdDirsync { .. }
        | LdapControl::ServerSort { .. }
        | LdapControl::SimplePagedResults { .. } => true,
        LdapControl::ManageDsaIT { .. }
        | LdapControl::SyncState { .. }
        | LdapControl::SyncDone { .. }
        | LdapControl::ServerSortResult { .. } => false,
    }
}

/// Validates a search, or says why it is refused.
fn prepare(
    session: &mut Session,
    request: &LdapSearchRequest,
    controls: &[LdapControl],
) -> Result<Search, LdapResult> {
    let paging = paging(controls)?;
    let (Ok(limit), Ok(_)) = (
        usize::try_from(request.sizelimit),
        u32::try_from(request.timelimit),
    ) else {
        return Err(result(
            LdapResultCode::ProtocolError,
            "a limit must not be negative",
        ));
    };
    let place = place(session, request)?;
    let start = match &paging {
        Some(Paging { cookie, .. }) if !cookie.is_empty() => {
            session.pages.resume(cookie, request).ok_or_else(|| {
                result(
                    LdapResultCode::UnwillingToPerform,
                    "the cookie is not the last one of this search (RFC 2696 section 3)",
                )
            })?
        }
        Some(Paging { size: 0, .. }) => {
            return Err(result(
                LdapResultCode::UnwillingToPerform,
                "a page must have at least one entry",
            ));
        }
        _ => Position::default(),
    };
    let values = if request.typesonly {
        Values::LeftOut
    } else {
        Values::Returned
    };
    Ok(Search {
        place,
        filter: Filter::new(&request.filter),
        selection: Selection::new(&request.attrs, values),
        limit: if limit == 0 { usize::MAX } else { limit },
        busy_after: session.busy_after,
        paging,
        start,
    })
}

/// The one paged results control, if there is one; refuses what is critical and unknown.
fn paging(controls: &[LdapControl]) -> Result<Option<Paging>, LdapResult> {
    let mut paging = None;
    for control in controls {
        if let LdapControl::SimplePagedResults { size, cookie } = control {
            let size = usize::try_from(*size).map_err(|_| {
                result(
                    LdapResultCode::ProtocolError,
                    "a page size must not be negative",
                )
            })?;
            if paging
                .replace(Paging {
                    size,
                    cookie: cookie.clone(),
                })
                .is_some()
            {
                return Err(result(
                    LdapResultCode::ProtocolError,
                    "a control is given twice",
                ));
            }
        } else if is_critical(control) {
            return Err(result(
                LdapResultCode::UnavailableCriticalExtension,
                "a critical control is not supported here",
            ));
        }
    }
    Ok(paging)
}

/// The candidates of a search; anonymous clients only see the root DSE.
fn place(session: &Session, request: &LdapSearchRequest) -> Result<Place, LdapResult> {
    let LdapSearchRequest { base, scope, .. } = request;
    let name = Name::parse(base)
        .map_err(|invalid| result(LdapResultCode::InvalidDNSyntax, &invalid.to_string()))?;
    if name.is_root() && *scope == LdapSearchScope::Base {
        return Ok(Place::Entry(Arc::new(root_dse(&session.tree))));
    }
    if session.identity == Identity::Anonymous {
        return Err(result(
            LdapResultCode::InsufficentAccessRights,
            "bind first; anonymous clients may only read the root DSE",
        ));
    }
    if Name::parse(SUBSCHEMA_DN).is_ok_and(|subschema| subschema == name)
        && *scope == LdapSearchScope::Base
    {
        return Ok(Place::Entry(Arc::new(subschema())));
    }
    let Some(entry) = session.tree.at(&name) else {
        let matcheddn = session.tree.nearest_above(&name);
        return Err(LdapResult {
            matcheddn,
            ..result(LdapResultCode::NoSuchObject, "")
        });
    };
    Ok(match scope {
        LdapSearchScope::Base => Place::Entry(entry),
        LdapSearchScope::OneLevel => Place::Below {
            base: name,
            depths: 1..=1,
        },
        LdapSearchScope::Subtree => Place::Below {
            base: name,
            depths: 0..=usize::MAX,
        },
        LdapSearchScope::Children => Place::Below {
            base: name,
            depths: 1..=usize::MAX,
        },
    })
}

/// Sends the entries of one page, or of the whole search when it is not paged.
async fn entries(
    tree: &Tree,
    writer: &mut Writer,
    msgid: i32,
    search: &Search,
) -> io::Result<Reached> {
    let Position {
        mut after,
        mut returned,
    } = search.start;
    let mut room = search
        .paging
        .as_ref()
        .map_or(usize::MAX, |paging| paging.size);
    if room == 0 {
        // A page of none with a cookie gives up the rest of the search (RFC 2696 section 3).
        return Ok(Reached::End);
    }
    loop {
        let stride = match &search.place {
            Place::Entry(entry) if after == 0 => vec![Arc::clone(entry)],
            Place::Entry(_) => Vec::new(),
            Place::Below { .. } => tree.after(after, STRIDE),
        };
        for entry in &stride {
            if search.selects(entry) {
                if returned >= search.busy_after {
                    return Ok(Reached::Busy);
                }
                if returned >= search.limit {
                    return Ok(Reached::Limit);
                }
                if room == 0 {
                    return Ok(Reached::PageFull(Position { after, returned }));
                }
                writer
                    .feed(
                        msgid,
                        LdapOp::SearchResultEntry(search.selection.of(entry)),
                        Vec::new(),
                    )
                    .await?;
                returned = returned.saturating_add(1);
                room -= 1;
            }
            after = entry.number;
        }
        if stride.is_empty() || matches!(search.place, Place::Entry(_)) {
            return Ok(Reached::End);
        }
        yield_now().await;
    }
}

impl Search {
    fn selects(&self, entry: &Stored) -> bool {
        let in_place = match &self.place {
            Place::Entry(_) => true,
            Place::Below { base, depths } => entry
                .name
                .depth_below(base)
                .is_some_and(|depth| depths.contains(&depth)),
        };
        in_place && self.filter.truth(entry) == Truth::True
    }
}
