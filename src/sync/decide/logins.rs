//! Logins that are in use: changes that cannot get theirs are skipped, and those that depend on
//! them.

use foldhash::HashMap;

use super::{Decider, Draft};
use crate::{
    model::{
        change::{Action, Change, HeldBy},
        edit::Attribute,
        link::LinkFound,
        reason::Reason,
        user::{EntityId, User},
    },
    sync::{decision::Who, order, owner::Owner, rules::fold},
};

impl<'a> Decider<'a, '_> {
    /// A username that somebody else has and does not free cannot be taken: such changes are
    /// skipped, and those that depend on them.
    pub(super) fn skip_taken_usernames(&mut self) {
        let changes = self.changes.iter().map(|draft| &draft.change);
        let wanted = changes
            .clone()
            .filter_map(|change| order::taken(change, &Attribute::Username));
        let mut holders: HashMap<String, Vec<&User>> =
            wanted.map(|username| (username, Vec::new())).collect();
        if holders.is_empty() {
            return;
        }
        for user in &self.matched.current.users {
            if let Some(holders) = holders.get_mut(&*fold(&user.username)) {
                holders.push(user);
            }
        }
        let freed = |change: &Change| {
            let login = order::released(change, &Attribute::Username)?;
            Some((change.ftrack_id.clone(), login))
        };
        let mut giving_up: HashMap<_, _> = changes.filter_map(freed).collect();
        loop {
            let is_blocked =
                |draft: &Draft<'_>| blocker(&draft.change, &holders, &giving_up).is_some();
            let (blocked, free) = std::mem::take(&mut self.changes)
                .into_iter()
                .partition::<Vec<_>, _>(is_blocked);
            self.changes = free;
            if blocked.is_empty() {
                return;
            }
            let reasons: Vec<Option<(Reason, &User)>> = blocked
                .iter()
                .map(|Draft { change, .. }| {
                    let holder = blocker(change, &holders, &giving_up)?;
                    let taken = (change.username.as_str().into(), self.whose(holder));
                    Some((Reason::UsernameTaken(Box::new(taken)), holder))
                })
                .collect();
            for (draft, reason) in blocked.into_iter().zip(reasons) {
                giving_up.remove(&draft.change.ftrack_id);
                if let Some((reason, holder)) = reason {
                    // An active user without an owner is most likely the person's own.
                    if !(holder.link.is_none() && holder.is_active) {
                        self.needs_a_person(draft.who);
                    }
                    self.skip(draft.who, reason);
                }
                // For a user that already is the person's, only the login is dropped: somebody who
                // is back gets access all the same.
                let rest = match draft.change.action {
                    Action::Update | Action::Reactivate => draft.change.without_username(),
                    Action::Create | Action::Deactivate | Action::Adopt => None,
                };
                if let Some(change) = rest {
                    self.changes.push(Draft { change, ..draft });
                }
            }
        }
    }

    fn needs_a_person(&mut self, who: Who<'a>) {
        match who {
            Who::Person((id, _)) => {
                self.unsettled.insert(id);
            }
            Who::Entry(_) | Who::User(_) => {}
        }
    }

    fn whose(&self, user: &User) -> String {
        let link = match &user.link {
            LinkFound::Absent | LinkFound::OfAnotherUser => {
                return match self.matched.rules.adoption_refused(user) {
                    Some(reason) => format!("which is not adopted: {reason}"),
                    None => format!(
                        "which has no owner: if it is the person's, `link {0} {0}` gives it to them; or \
                         else rename that user in ftrack",
                        user.username
                    ),
                };
            }
            LinkFound::Unlinked(_) => return "which a person unlinked".into(),
            LinkFound::Unreadable => return "whose link cannot be read".into(),
            LinkFound::Link(link) => link,
        };
        match self.matched.owners.of(link, None) {
            Owner::Ours | Owner::OursBefore => {}
            Owner::Sibling { job } | Owner::Left { job, part: _ } => {
                return format!("which belongs to the job {job:?}");
            }
            Owner::NoJob { source } => {
                return format!("which belongs to the source {:?}", &*source);
            }
            Owner::OtherDirectory { directory } => {
                return format!(
                    "which belongs to this source in another directory, {:?}",
                    &*directory
                );
            }
        }
        if !self.matched.desired.is_told_by(&link.attribute) {
            return format!(
                "which is identified by {} and not by the id attribute of this read",
                link.attribute
            );
        }
        let hold = self.plan.holds.get(&user.id).map(|hold| hold.by);
        if hold == Some(HeldBy::Successor) && self.unusable_successor(user, link).is_none() {
            return format!(
                "of an entry that is gone (directory id {}) and was most likely this one; the \
                 deactivation of that user says what to do",
                link.id
            );
        }
        if self.matched.desired.lacks(&link.id) {
            return format!(
                "of a person who left (directory id {}); a successor never inherits it: rename \
                 that user to free the login",
                link.id
            );
        }
        match self.matched.desired.person(&link.id) {
            Some(person) => format!("of {}", person.dn),
            None => format!("of the entry with the directory id {}", link.id),
        }
    }
}

/// Who has the username that a change takes, and does not free it.
fn blocker<'a>(
    change: &Change,
    holders: &HashMap<String, Vec<&'a User>>,
    giving_up: &HashMap<EntityId, String>,
) -> Option<&'a User> {
    let taken = order::taken(change, &Attribute::Username)?;
    let holders = holders.get(&taken)?;
    holders
        .iter()
        .find(|holder| holder.id != change.ftrack_id && giving_up.get(&holder.id) != Some(&taken))
        .copied()
}
