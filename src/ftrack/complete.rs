//! Checks that the lists of users and of links are complete: whatever does not match is asked for
//! again by id, and both lists are read from their other end.
//!
//! A list may end too early without an error. If that went unnoticed, existing users would be
//! created again, and users with a link would be adopted.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    error::{FtrackError, FtrackErrorKind},
    page::{beginning, list, users_a_call},
    query,
    query::Listing,
    row::{IdRow, LinkRow, ParentRow, Row, UserRow},
    session::{Reader, Until},
};
use crate::model::user::{Current, EntityId};

/// The number of rows read from the other end of a list.
const ROWS_OF_THE_END: u32 = 3;

/// The maximum number of orphans named in a warning.
const NAMED: usize = 3;

/// A list lacks a row that the server shows otherwise.
#[derive(Debug)]
pub(super) struct MissingRows {
    what: &'static str,
    rows: usize,
    lacks: EntityId,
}

impl MissingRows {
    /// The error for a list that was read this many times.
    pub(super) fn error(self, reader: &Reader, tries: u32) -> FtrackError {
        let Self { what, rows, lacks } = self;
        FtrackError::new(
            &format!("reading {what}"),
            reader.server(),
            tries,
            FtrackErrorKind::CutShort { what, rows, lacks },
        )
    }
}

/// The relation of two lists, read at about the same time and sorted.
pub(super) enum Lists {
    /// Both are complete.
    Whole {
        /// The ids that have a link but no user.
        orphans: BTreeSet<EntityId>,
    },
    /// One of them is incomplete.
    Short(MissingRows),
}

/// Looks for rows that the lists lack: users of links, links of users whose ids this program made,
/// and the rows at the end.
///
/// # Errors
/// Those of [`Reader::read_call`], and those of a list that changes while it is read.
pub(super) async fn examine(
    reader: &Reader,
    users: &[UserRow],
    links: &[LinkRow],
    until: &Until,
) -> Result<Lists, FtrackError> {
    let orphans: Vec<EntityId> = missing_in_order(users, links.iter().map(Row::identity))
        .cloned()
        .collect();
    let made_here = users
        .iter()
        .map(Row::identity)
        .filter(|id| id.is_of_version_5());
    let unlinked: Vec<EntityId> = missing_in_order(links, made_here).cloned().collect();
    let (last_users, last_links) = (query::users_from_the_end(), query::links_from_the_end());
    let (last_user, last_link, user, link) = tokio::try_join!(
        lacked_at_the_end::<IdRow, _>(reader, &last_users, users, until),
        lacked_at_the_end::<ParentRow, _>(reader, &last_links, links, until),
        first_of::<IdRow>(reader, &orphans, query::ids_of_users, until),
        first_of::<ParentRow>(reader, &unlinked, query::links_of, until),
    )?;
    let gap = |what, rows, lacks| MissingRows { what, rows, lacks };
    let of_users = last_user
        .or(user)
        .map(|lacks| gap("users", users.len(), lacks));
    let of_links = last_link
        .or(link)
        .map(|lacks| gap("links of users", links.len(), lacks));
    Ok(match of_users.or(of_links) {
        Some(gap) => Lists::Short(gap),
        None => Lists::Whole {
            orphans: orphans.into_iter().collect(),
        },
    })
}

/// The warning about links without a user, with their ids.
pub(super) fn warning(orphans: &BTreeSet<EntityId>) -> Option<String> {
    let named: Vec<String> = orphans
        .iter()
        .take(NAMED)
        .map(EntityId::to_string)
        .collect();
    let more = if orphans.len() > named.len() {
        ", …"
    } else {
        ""
    };
    (!orphans.is_empty()).then(|| {
        format!(
            "{} links in ftrack belong to no existing user, as after users were deleted, and are \
             ignored: {}{more}",
            orphans.len(),
            named.join(", ")
        )
    })
}

/// Makes sure, before users are created or adopted, that users to be created do not exist, and that
/// users without a link really have none.
///
/// Where this program has never worked there is neither, and nothing is asked.
///
/// # Errors
/// [`FtrackErrorKind::CutShort`] when there is one; those of [`Reader::read_call`].
pub async fn confirm(
    reader: &Reader,
    current: &Current,
    created: &[EntityId],
    until: &Until,
) -> Result<(), FtrackError> {
    let is_first_contact = current.orphans.is_empty()
        && !current
            .users
            .iter()
            .any(|user| user.link.is_row() || user.id.is_of_version_5());
    if is_first_contact {
        return Ok(());
    }
    let is_known = |id: &EntityId| {
        current
            .users
            .binary_search_by(|user| user.id.cmp(id))
            .is_ok()
    };
    let created: Vec<EntityId> = created.iter().filter(|id| !is_known(id)).cloned().collect();
    // Users with ids that this program made were asked for when the lists were read.
    let unlinked = current
        .users
        .iter()
        .filter(|user| !user.link.is_row() && !user.id.is_of_version_5());
    let unlinked: Vec<EntityId> = unlinked.map(|user| user.id.clone()).collect();
    let (user, link) = tokio::try_join!(
        first_of::<IdRow>(reader, &created, query::ids_of_users, until),
        first_of::<ParentRow>(reader, &unlinked, query::links_of, until),
    )?;
    let links = current
        .users
        .iter()
        .filter(|user| user.link.is_row())
        .count()
        + current.orphans.len();
    let gap = |what, rows, lacks| MissingRows { what, rows, lacks };
    let of_users = user.map(|lacks| gap("users", current.users.len(), lacks));
    let of_links = link.map(|lacks| gap("links of users", links, lacks));
    match of_users.or(of_links) {
        Some(gap) => Err(gap.error(reader, 1)),
        None => Ok(()),
    }
}

/// The ids that are not among the rows; both are sorted, and compared in one pass.
fn missing_in_order<'i, R: Row>(
    rows: &'i [R],
    ids: impl Iterator<Item = &'i EntityId>,
) -> impl Iterator<Item = &'i EntityId> {
    let mut known = rows.iter().map(Row::identity).peekable();
    ids.filter(move |id| {
        while known.next_if(|known| known < id).is_some() {}
        known.peek() != Some(id)
    })
}

/// The ids, in any order, that are not among the rows, which are sorted.
fn missing_in<'i, R: Row>(
    rows: &[R],
    ids: impl Iterator<Item = &'i EntityId>,
) -> impl Iterator<Item = &'i EntityId> {
    ids.filter(|id| rows.binary_search_by(|row| row.identity().cmp(id)).is_err())
}

/// A row at the other end that a list lacks.
async fn lacked_at_the_end<R: Row, L: Row>(
    reader: &Reader,
    end: &Listing,
    rows: &[L],
    until: &Until,
) -> Result<Option<EntityId>, FtrackError> {
    let end = beginning::<R>(reader, end, ROWS_OF_THE_END, until).await?;
    Ok(missing_in(rows, end.iter().map(Row::identity))
        .next()
        .cloned())
}

/// One of the ids for which there is a row after all; the others are then not asked for.
async fn first_of<R: Row>(
    reader: &Reader,
    ids: &[EntityId],
    listing: fn(&[EntityId]) -> Listing,
    until: &Until,
) -> Result<Option<EntityId>, FtrackError> {
    let listings: Vec<Listing> = ids.chunks(users_a_call(reader)).map(listing).collect();
    let mut found = stream::iter(&listings)
        .map(|listing| list::<R>(reader, listing, until))
        .buffer_unordered(reader.connections());
    while let Some(rows) = found.try_next().await? {
        if let Some(row) = rows.first() {
            return Ok(Some(row.identity().clone()));
        }
    }
    Ok(None)
}
