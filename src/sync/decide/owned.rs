//! The users that the job owns, counted in one pass; those whose people the reading does not show
//! are examined further.

use std::{collections::BTreeMap, ptr};

use foldhash::{HashMap, HashMapExt, HashSet};

use chrono::{DateTime, Utc};

use super::UsersBefore;
use crate::{
    model::{
        entry::DirectoryId,
        link::{Activity, Link, LinkFound, Signature},
        reason::Reason,
        user::{Current, EntityId, User},
    },
    sync::{
        desired::Desired,
        matching::Match,
        owner::{Owner, Owners},
    },
};

/// What one pass over the users shows.
#[derive(Debug, Default)]
pub(super) struct OwnedUsers<'a> {
    /// Users with a trusted link, of any source.
    pub linked: usize,
    /// Users that the job owns.
    pub users: usize,
    /// Active ones among them.
    pub active: usize,
    /// When they were deactivated, according to their links.
    pub deactivated_at: Vec<DateTime<Utc>>,
    /// Those that are inactive although the program did not deactivate them, with their logins.
    pub inactive: BTreeMap<&'a EntityId, &'a str>,
    /// Those whose people the reading does not show.
    pub missing: Vec<MissingPerson<'a>>,
    /// Those whose people's entries are of no use but for one thing: they may not sign in.
    pub disabled: Vec<MissingPerson<'a>>,
    /// Those without a match whose people may be present, and why nothing is decided about them.
    pub undecided: Vec<(&'a User, Reason)>,
    /// Those whose links say since when their people have been missing.
    pub noted: Vec<Noted<'a>>,
    /// Users with a link that cannot be read.
    pub unreadable: Vec<&'a User>,
    /// Users that are marked as unlinked, which cannot be verified.
    pub unproven: Vec<&'a User>,
    /// Users with a link that names another user.
    pub of_another: Vec<&'a User>,
    /// Users with a link of the job's source from another directory.
    pub elsewhere: usize,
}

/// A user whose person the reading does not show.
#[derive(Debug)]
pub(super) struct MissingPerson<'a> {
    pub user: &'a User,
    pub link: &'a Link,
    pub owner: Owner,
    /// Whether other users have the same link.
    pub is_shared: bool,
}

/// A user whose link says since when its person has been missing.
#[derive(Debug)]
pub(super) struct Noted<'a> {
    pub user: &'a User,
    pub link: &'a Link,
}

impl<'a> OwnedUsers<'a> {
    pub fn new(
        desired: &Desired,
        current: &'a Current,
        owners: &Owners<'_>,
        matches: &[Match<'a>],
        now: DateTime<Utc>,
    ) -> Self {
        // By address, which costs a fraction of hashing the id.
        let matched: HashSet<*const User> = matches
            .iter()
            .filter_map(|found| match found {
                Match::Linked(user, ..) => Some(ptr::from_ref(*user)),
                Match::Adopted(_)
                | Match::New
                | Match::Disabled(_)
                | Match::Unlinked(_)
                | Match::Skipped(_) => None,
            })
            .collect();
        let mut owned = Self::default();
        for user in &current.users {
            let link = match &user.link {
                LinkFound::Link(link) => link,
                // It lost its link to a person's word, and not to a list that was cut short.
                LinkFound::Unlinked(link) => {
                    owned.linked += 1;
                    if link.signature == Signature::Invalid {
                        owned.unproven.push(user);
                    }
                    continue;
                }
                LinkFound::Unreadable => {
                    owned.unreadable.push(user);
                    continue;
                }
                LinkFound::OfAnotherUser => {
                    owned.of_another.push(user);
                    continue;
                }
                LinkFound::Absent => continue,
            };
            owned.linked += 1;
            let owner = owners.of(link, None);
            match &owner {
                Owner::Ours | Owner::OursBefore => {}
                Owner::OtherDirectory { .. } => {
                    owned.elsewhere += 1;
                    continue;
                }
                Owner::Left { .. } | Owner::Sibling { .. } | Owner::NoJob { .. } => continue,
            }
            owned.count(user, link);
            if link.notes.missing().is_some() {
                owned.noted.push(Noted { user, link });
            }
            if matched.contains(&ptr::from_ref(user)) {
                continue;
            }
            if !desired.tells_of(&link.id) {
                continue;
            }
            if !desired.is_told_by(&link.attribute) {
                owned.undecided.push((user, Reason::OtherIdAttribute));
            } else if desired.lacks(&link.id) {
                owned.missing.push(MissingPerson {
                    user,
                    link,
                    owner,
                    is_shared: false,
                });
            } else if desired.account(&link.id).is_disabled(now) {
                owned.disabled.push(MissingPerson {
                    user,
                    link,
                    owner,
                    is_shared: false,
                });
            } else {
                owned.undecided.push((user, Reason::EntrySkipped));
            }
        }
        owned.find_shared(desired, current, owners, &matched);
        owned
    }

    /// Users that are identified by another id attribute than the reading uses.
    pub fn otherwise_identified(&self) -> usize {
        let is_other = |(_, reason): &&(&User, Reason)| *reason == Reason::OtherIdAttribute;
        self.undecided.iter().filter(is_other).count()
    }

    /// The numbers of users.
    pub fn counts(&self) -> UsersBefore {
        UsersBefore {
            owned: self.users,
            owned_active: self.active,
            linked: self.linked,
            deactivated_at: self.deactivated_at.clone(),
        }
    }

    fn count(&mut self, user: &'a User, link: &Link) {
        self.users += 1;
        self.active += usize::from(user.is_active);
        self.deactivated_at.extend(link.activity.deactivated_at());
        if !user.is_active && matches!(link.activity, Activity::Settled | Activity::Released) {
            self.inactive.insert(&user.id, &user.username);
        }
    }

    /// Marks those whose link other users have as well, of whatever source.
    fn find_shared(
        &mut self,
        desired: &Desired,
        current: &Current,
        owners: &Owners<'_>,
        matched: &HashSet<*const User>,
    ) {
        if self.missing.is_empty() && self.disabled.is_empty() {
            return;
        }
        let skipped: HashSet<&DirectoryId> = self
            .disabled
            .iter()
            .map(|disabled| &disabled.link.id)
            .collect();
        let is_without_person = |id: &DirectoryId| desired.lacks(id) || skipped.contains(id);
        let mut carriers: HashMap<&DirectoryId, usize> = HashMap::new();
        let unmatched = current
            .users
            .iter()
            .filter(|user| !matched.contains(&ptr::from_ref(*user)));
        let links = unmatched.filter_map(|user| user.link.link());
        for link in links.filter(|link| owners.is_comparable(link) && is_without_person(&link.id)) {
            *carriers.entry(&link.id).or_default() += 1;
        }
        for missing in self.missing.iter_mut().chain(&mut self.disabled) {
            missing.is_shared = carriers.get(&missing.link.id) != Some(&1);
        }
    }
}
