//! Links that a person ends: what is still to be written of it.

use super::is_of;
use crate::{
    ftrack::cannot_write::CannotWrite,
    model::{
        change::{Action, Change, LinkRow},
        link::{Activity, Link, LinkFound},
    },
};

/// The link that a change takes away; none where it is gone already.
///
/// # Errors
/// The user has another link by now.
pub(super) fn link_to_delete<'s>(
    change: &Change,
    found: &'s LinkFound,
) -> Result<Option<&'s Link>, CannotWrite> {
    match found {
        LinkFound::Absent => Ok(None),
        LinkFound::Link(link) if is_of(link, change) => Ok(Some(link)),
        LinkFound::Link(link) if link.source != change.link.source => {
            Err(CannotWrite::OwnedBy(link.source.to_string()))
        }
        LinkFound::Link(_) | LinkFound::OfAnotherUser => Err(CannotWrite::Relinked),
        LinkFound::Unlinked(_) => Err(CannotWrite::Unlinked),
        LinkFound::Unreadable => Err(CannotWrite::UnreadableLink),
    }
}

/// The link with which a change continues, of a user that a person unlinked; none where a person links
/// it again.
///
/// # Errors
/// The change is another one, and the user is not to be touched.
pub(super) fn of_unlinked<'s>(
    change: &Change,
    unlinked: &'s Link,
) -> Result<Option<&'s Link>, CannotWrite> {
    if unlinks(change) && is_of(unlinked, change) {
        return Ok(Some(unlinked));
    }
    let is_known = change.action == Action::Adopt && change.before.as_ref() == Some(unlinked);
    if is_known {
        Ok(None)
    } else {
        Err(CannotWrite::Unlinked)
    }
}

/// The link of a user as the change leaves it, if it may be that: what `unlink` leaves is only one of
/// a change that unlinks.
pub(super) fn link_of<'s>(change: &Change, found: &'s LinkFound) -> Option<&'s Link> {
    if unlinks(change) {
        found.tie()
    } else {
        found.link()
    }
}

/// Whether a link is gone that the change takes away.
pub(super) fn is_deleted(change: &Change, found: &LinkFound) -> bool {
    change.row == LinkRow::Deleted && *found == LinkFound::Absent
}

fn unlinks(change: &Change) -> bool {
    change.link.activity == Activity::Unlinked
}
