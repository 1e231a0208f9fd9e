//! The subject of a change, what holds every change to that user, and the reasons that come from
//! links.

use chrono::Utc;

use crate::{
    model::{
        change::{HeldBy, Hold},
        entry::DirectoryId,
        link::{Activity, Link, Signature},
        readable_time::readable_time,
        reason::{JobPart, LeftJob, Reason},
        user::User,
        way_to_approve::BY_NUMBER,
    },
    sync::owner::Owner,
};

/// The user that a change is about.
pub(super) struct Subject<'o, 'a> {
    pub user: &'a User,
    pub id: &'a DirectoryId,
    /// That of the person's entry, if it has one.
    pub dn: Option<&'o str>,
    pub link: Option<&'a Link>,
    pub owner: Option<&'o Owner>,
}

impl<'o, 'a> Subject<'o, 'a> {
    /// A user whose person left.
    pub fn of_link(user: &'a User, link: &'a Link, owner: &'o Owner) -> Self {
        Self {
            user,
            id: &link.id,
            dn: None,
            link: Some(link),
            owner: Some(owner),
        }
    }
}

impl Subject<'_, '_> {
    /// What holds every change to the user, whatever its kind.
    pub fn hold(&self) -> Option<Hold> {
        if self
            .link
            .is_some_and(|link| link.signature == Signature::Invalid)
        {
            return Some(Hold::new(
                HeldBy::Doubt,
                format!(
                    "the user's link is not signed with the current link key: it was written \
                     before the key was set, with another key, or by somebody else; if the key was \
                     just set or changed, approve it: {BY_NUMBER}"
                ),
            ));
        }
        match self.owner? {
            Owner::NoJob { source } => Some(Hold::new(
                HeldBy::Configuration,
                format!(
                    "the user belongs to the source {:?}, which no job has any more; an approval \
                     assigns it to this job",
                    &**source
                ),
            )),
            Owner::OtherDirectory { directory } => Some(Hold::new(
                HeldBy::Configuration,
                format!(
                    "the user's link names another directory, {:?}; an approval rewrites it",
                    &**directory
                ),
            )),
            Owner::OursBefore => Some(Hold::new(
                HeldBy::Configuration,
                "the directory's id differs from the user's link; an approval rewrites it",
            )),
            Owner::Ours | Owner::Left { .. } | Owner::Sibling { .. } => None,
        }
    }
}

/// Why a user becomes active again.
pub(super) fn reason_to_reactivate(link: &Link, owner: &Owner) -> Reason {
    match (&link.activity, owner) {
        (_, Owner::Left { job, part }) => Reason::LeftJobInactive(left_job(job, *part)),
        (activity @ (Activity::Deactivating { since } | Activity::Deactivated { since }), _) => {
            let since = activity
                .deactivated_at()
                .map_or_else(|| since.clone(), |since| readable_time(since, &Utc));
            Reason::Back(since.into())
        }
        (Activity::Activating | Activity::Settled | Activity::Released | Activity::Unlinked, _) => {
            Reason::SeatRefused
        }
    }
}

fn left_job(job: &str, part: JobPart) -> Box<LeftJob> {
    let job = job.into();
    Box::new(LeftJob { job, part })
}

/// Why a link is rewritten, where that says more than the values do.
pub(super) fn reason_to_rewrite(
    old: &Link,
    new: &Link,
    owner: &Owner,
    is_alone: bool,
) -> Option<Reason> {
    if let Owner::Left { job, part } = owner {
        return Some(Reason::LeftJob(left_job(job, *part)));
    }
    if let Owner::NoJob { source } = owner {
        return Some(Reason::FromNoJob((&**source).into()));
    }
    if !is_alone {
        return None;
    }
    if old.activity != new.activity || old.sent != new.sent {
        return Some(Reason::Completed);
    }
    if old.given != new.given {
        return Some(Reason::RoleGone);
    }
    if old.signature != new.signature {
        return Some(Reason::Unsigned);
    }
    if old.protected != new.protected {
        return Some(Reason::Protection);
    }
    Some(Reason::LinkIncomplete)
}
