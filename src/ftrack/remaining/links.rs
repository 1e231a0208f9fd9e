//! The links that a change writes, and when.

use serde_json::Value;

use super::{grants::given_of_links, is_of_nobody};
use crate::{
    ftrack::user_state::UserState,
    model::{
        change::{Action, Change, LinkRow},
        edit::Field,
        given::Given,
        link::{Activity, Link},
        sent::{Invitation, Sent},
    },
};

/// The links to write before and after the user's attributes.
///
/// A user that is to become active, or inactive, has a link that says so until it is confirmed:
/// whoever finds the user in another state in between finds an intention, not another person's
/// change. A user without a link gets it first, so that nothing is written to a user that somebody
/// else took over in the meantime.
pub(super) fn links(
    change: &Change,
    seen: &UserState,
    found: Option<&Link>,
    differing: &[(Field, Value)],
) -> (Option<Link>, Option<Link>) {
    if change.row == LinkRow::Deleted || is_of_nobody(change) {
        return (None, None);
    }
    let (given_before, given_after) = given_of_links(change, seen, found, differing);
    let with = |activity: Activity| {
        change.link.clone().with(|link| {
            link.activity = activity;
            link.given = given_before.clone();
            link.sent = unsettled(change, found);
        })
    };
    let activity_differs = differing.iter().any(|(field, _)| *field == Field::IsActive);
    match change.activity() {
        Some(true) if activity_differs => {
            let marked = found.is_some_and(|link| {
                !matches!(link.activity, Activity::Settled | Activity::Released)
            });
            let gives = found.is_some_and(|link| link.given != given_before);
            let activity = match found.map(|link| &link.activity) {
                Some(activity) if marked => activity.clone(),
                Some(_) | None => Activity::Activating,
            };
            ((!marked || gives).then(|| with(activity)), None)
        }
        Some(false) if activity_differs => {
            let Some(since) = change.link.activity.deactivated_since() else {
                // As if by hand: the link is as it is to stay before the user is inactive.
                let stays = found.is_some_and(|link| link.activity == change.link.activity);
                return ((!stays).then(|| with(change.link.activity.clone())), None);
            };
            let since = since.to_owned();
            // The time in the link tells which run deactivated the user: not that of a run before.
            let mark = Activity::Deactivating { since };
            let marked = found.is_some_and(|link| link.activity == mark);
            ((!marked).then(|| with(mark)), None)
        }
        _ if found.is_none() && change.action == Action::Create => {
            (Some(with(Activity::Activating)), None)
        }
        _ if found.is_none() => {
            let sent = change.link.sent.clone();
            let link = with(change.link.activity.clone());
            (Some(link.with(|link| link.sent = sent)), None)
        }
        _ if change.is_note() => (None, found.and_then(|found| noted(change, found))),
        _ => {
            let after = change.link.clone().with(|link| link.given = given_after);
            let before = found
                .filter(|link| link.given != given_before)
                .map(|link| link.clone().with(|link| link.given = given_before.clone()));
            let stands = before.as_ref().or(found);
            let done =
                stands == Some(&after) || (!seen.is_active && change.action == Action::Create);
            (before, (!done).then_some(after))
        }
    }
}

/// The link as it is now, with what a change is to note in it; none where it says so already.
pub(super) fn noted(change: &Change, found: &Link) -> Option<Link> {
    let notes = change.link.notes.clone();
    let noted = found.clone().with(|link| link.notes = notes);
    (noted != *found).then_some(noted)
}

/// What the link says was sent, as long as the change is not in effect: nothing is asked for before.
pub(super) fn unsettled(change: &Change, found: Option<&Link>) -> Sent {
    if let Some(found) = found {
        return found.sent.clone();
    }
    let asked = change.link.sent.invitation;
    Sent {
        invitation: asked.map(|_| Invitation::Due),
        picture: None,
    }
}

pub(super) fn is_same_but_for_given(one: &Link, other: &Link) -> bool {
    let without = |link: &Link| link.clone().with(|link| link.given = Given::default());
    without(one) == without(other)
}
