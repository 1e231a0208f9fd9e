//! Entries that were most likely made again, and second users for people who have one already.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{Decider, Matched};
use crate::{
    config::Adopt,
    model::{
        change::{Action, HeldBy, Hold},
        edit::Attribute,
        link::{LINK_KEY, Link},
        user::User,
    },
    sync::{
        desired::{DesiredValue, Identified, Person},
        matching::Match,
        rules::fold,
    },
};

impl<'a> Matched<'a> {
    /// The people without a user, by folded login; empty where nobody is missing.
    pub(super) fn newcomers(&self) -> HashMap<Cow<'a, str>, &'a Identified> {
        if self.owned.missing.is_empty() {
            return HashMap::new();
        }
        let people = self.desired.people().iter().zip(&self.matches);
        let new = people.filter(|(_, found)| **found == Match::New);
        new.map(|(identified, _)| (fold(&identified.1.username), identified))
            .collect()
    }
}

impl Decider<'_, '_> {
    /// Holds the deactivation of a user whose login and mail a new entry has: tools that move
    /// entries by copying them, and restored servers, give the same person another id.
    pub(super) fn successor(&self, user: &User, link: &Link) -> Option<Hold> {
        let (id, person) = self.newcomers.get(&fold(&user.username))?;
        if !may_be_the_same(person, user) {
            return None;
        }
        let why = format!(
            "the new entry {dn:?} (directory id {id}) has the login and mail address of the user \
             {login:?}, whose entry (directory id {gone}) is gone: it was most likely deleted and \
             made again. If it is another person, approve the deactivation (`plan --out FILE`, \
             then `apply FILE`) and rename the user in ftrack, which frees the login. If it is \
             the same person, delete the user's metadata {LINK_KEY:?} in ftrack: the job then \
             adopts the user for the new entry",
            dn = &*person.dn,
            login = &*user.username,
            gone = link.id,
        );
        Some(Hold::new(HeldBy::Successor, why))
    }

    /// Holds creates for people who most likely have a user already, under another login: ftrack's
    /// logins are mail addresses, and most people to be created have their mail address there.
    pub(super) fn hold_second_users(&mut self) {
        if self.matched.rules.users.adopt != Adopt::Username {
            return;
        }
        let creates = || {
            let changes = self.changes.iter().map(|draft| &draft.change);
            changes.filter(|change| change.action == Action::Create)
        };
        let count = creates().count();
        if count == 0 {
            return;
        }
        let users = self.matched.current.users.iter();
        let unowned = users.filter(|user| user.link.is_none());
        let mails: HashSet<Cow<'_, str>> = unowned
            .filter_map(|user| user.email.as_deref().map(fold))
            .collect();
        let seconds: Vec<_> = creates()
            .filter(|change| {
                let mail = change.values(&Attribute::Email);
                mail.and_then(|values| values.new.as_str())
                    .is_some_and(|mail| !mail.is_empty() && mails.contains(&fold(mail)))
            })
            .map(|change| change.ftrack_id.clone())
            .collect();
        if seconds.len() * 2 <= count {
            return;
        }
        let why = format!(
            "{} of {count} people to be created have their mail address on an ftrack user with \
             another login, and would get a second user; users.adopt = \"email\" gives them the \
             one they have",
            seconds.len()
        );
        for id in seconds {
            let hold = Hold::new(HeldBy::Adoption, why.as_str());
            self.plan.holds.entry(id).or_insert(hold);
        }
        self.plan.notices.push(why);
    }
}

/// Whether a person may be the one whom a user of the same login was for: no mail address speaks
/// against it.
fn may_be_the_same(person: &Person, user: &User) -> bool {
    match (&person.email, user.email.as_deref()) {
        (DesiredValue::Text(new), Some(old)) if !old.is_empty() => fold(new) == fold(old),
        (DesiredValue::Text(_) | DesiredValue::Keep | DesiredValue::Clear, _) => true,
    }
}
