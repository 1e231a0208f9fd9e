//! Logins that are in use: changes that cannot get theirs are skipped, and those that depend on
//! them.

use std::collections::HashMap;

use serde_json::Value;

use super::Planner;
use crate::{
    model::{
        change::{Action, Change, Field},
        link::LinkFound,
        user::{EntityId, User},
    },
    sync::{order, owner::Owner, rules::fold},
};

impl Planner<'_> {
    /// A username that somebody else has and does not free cannot be taken: such changes are
    /// skipped, and those that depend on them.
    pub(super) fn skip_taken_usernames(&mut self) {
        let wanted = self
            .plan
            .changes
            .iter()
            .filter_map(|change| order::taken(change, &Field::Username));
        let mut holders: HashMap<String, Vec<&User>> =
            wanted.map(|username| (username, Vec::new())).collect();
        if holders.is_empty() {
            return;
        }
        for user in &self.current.users {
            if let Some(holders) = holders.get_mut(&*fold(&user.username)) {
                holders.push(user);
            }
        }
        let mut giving_up: HashMap<_, _> = self
            .plan
            .changes
            .iter()
            .filter_map(|change| {
                Some((
                    change.ftrack_id.clone(),
                    order::released(change, &Field::Username)?,
                ))
            })
            .collect();
        loop {
            let (blocked, free) = std::mem::take(&mut self.plan.changes)
                .into_iter()
                .partition::<Vec<_>, _>(|change| blocker(change, &holders, &giving_up).is_some());
            self.plan.changes = free;
            if blocked.is_empty() {
                return;
            }
            for change in &blocked {
                if let Some(holder) = blocker(change, &holders, &giving_up) {
                    let reason = format!(
                        "the username {:?} belongs to another ftrack user, {}",
                        change.username,
                        self.whose(holder)
                    );
                    self.skip(change.dn.as_deref().unwrap_or_default(), reason);
                }
            }
            for mut change in blocked {
                giving_up.remove(&change.ftrack_id);
                // For a user that already is the person's, only the login is dropped: somebody who
                // is back gets access all the same.
                let old = change
                    .fields
                    .remove(&Field::Username)
                    .map(|values| values.old);
                let goes_on = match change.action {
                    Action::Update | Action::Reactivate => !change.fields.is_empty(),
                    Action::Create | Action::Deactivate | Action::Adopt => false,
                };
                if let (Some(Value::String(old)), true) = (old, goes_on) {
                    change.username = old;
                    self.plan.changes.push(change);
                }
            }
        }
    }

    fn whose(&self, user: &User) -> String {
        let link = match &user.link {
            LinkFound::Absent | LinkFound::OfAnotherUser => {
                return match self.rules.adoption_refused(user) {
                    Some(reason) => format!("which is not adopted: {reason}"),
                    None => "which has no owner".into(),
                };
            }
            LinkFound::Unreadable => return "whose link cannot be read".into(),
            LinkFound::Link(link) => link,
        };
        match self.owners.of(link, None) {
            Owner::Ours | Owner::OursBefore => {}
            Owner::Sibling { job } | Owner::Left { job } => {
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
        if !self.desired.is_told_by(&link.attribute) {
            return format!(
                "which is identified by {} and not by the id attribute of this read",
                link.attribute
            );
        }
        if self.desired.lacks(&link.id) {
            return format!(
                "of a person who left (directory id {}); a successor never inherits it: rename \
                 that user to free the login",
                link.id
            );
        }
        format!("of the entry with the directory id {}", link.id)
    }
}

/// Who has the username that a change takes, and does not free it.
fn blocker<'a>(
    change: &Change,
    holders: &HashMap<String, Vec<&'a User>>,
    giving_up: &HashMap<EntityId, String>,
) -> Option<&'a User> {
    let taken = order::taken(change, &Field::Username)?;
    let holders = holders.get(&taken)?;
    holders
        .iter()
        .find(|holder| holder.id != change.ftrack_id && giving_up.get(&holder.id) != Some(&taken))
        .copied()
}
