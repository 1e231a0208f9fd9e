//! Entries that were most likely made again, and second users for people who have one already.

use std::borrow::Cow;

use foldhash::{HashMap, HashMapExt};

use super::{Decider, Evidence, Matched};
use crate::{
    config::Adopt,
    model::{
        change::{Action, HeldBy, Hold},
        edit::Attribute,
        link::Link,
        reason::Reason,
        user::{EntityId, User},
        way_to_approve::BY_NUMBER,
    },
    sync::{
        desired::{DesiredValue, Identified, Person, SkippedEntry},
        matching::Match,
        rules::fold,
    },
};

/// The most people who are named in one hold.
const NAMED: usize = 5;

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

    /// People whom no user has a link to, by folded DN; empty where nobody is due.
    pub(super) fn unknown_people(
        &self,
        evidence: &Evidence,
    ) -> HashMap<Cow<'a, str>, &'a Identified> {
        if evidence.last_dns.is_empty() {
            return HashMap::new();
        }
        let people = self.desired.people().iter().zip(&self.matches);
        let unknown = people.filter(|(_, found)| !matches!(found, Match::Linked(..)));
        unknown
            .map(|(identified, _)| (fold(&identified.1.dn), identified))
            .collect()
    }

    /// Entries that have an id and cannot be used, by folded DN; empty where nobody is due.
    pub(super) fn unusable(&self, evidence: &Evidence) -> HashMap<Cow<'a, str>, &'a SkippedEntry> {
        if evidence.last_dns.is_empty() {
            return HashMap::new();
        }
        // An entry without an id makes every absence doubtful.
        let has_id =
            |entry: &&SkippedEntry| !matches!(entry.reason, Reason::NoId | Reason::SeveralIds(_));
        let skipped = self.desired.skipped().iter().filter(has_id);
        skipped.map(|entry| (fold(&entry.dn), entry)).collect()
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
             made again. If it is the same person, end the link of the user (`unlink {login:?}`), and \
             give the user to the new entry (`link {dn:?} {login:?}`). If it is another person, \
             approve the deactivation (`holds` shows its number) and rename the user in ftrack, \
             which frees the login",
            dn = &*person.dn,
            login = &*user.username,
            gone = link.id,
        );
        Some(Hold::new(HeldBy::Successor, why))
    }

    /// Holds the deactivation of a user where there is an entry that cannot be used in the place of
    /// the person's: it was most likely made again, and who it is for is not known.
    pub(super) fn unusable_successor(&self, user: &User, link: &Link) -> Option<Hold> {
        let last_dn = self.evidence.last_dns.get(&link.id)?;
        let entry = self.unusable.get(&fold(last_dn))?;
        let why = format!(
            "the entry {dn:?} has the name of the entry of the user {login:?} (directory id \
             {gone}), but not its id, and cannot be used: {reason}. It was most likely deleted and \
             made again: correct the entry; or, if the person is gone, approve the deactivation \
             ({BY_NUMBER})",
            dn = &*entry.dn,
            login = &*user.username,
            gone = link.id,
            reason = entry.reason,
        );
        Some(Hold::new(HeldBy::Successor, why))
    }

    /// The same where the entry in its place is somebody's whom no user has a link to, under another
    /// login. What the mail address says about the same login, it cannot say about another one: a
    /// mapping that changed, or a move to another domain, gives the same person both anew. The
    /// creation of a user for the entry is held as well.
    pub(super) fn successor_in_its_place(&mut self, user: &User, link: &Link) -> Option<Hold> {
        let last_dn = self.evidence.last_dns.get(&link.id)?;
        let (id, person) = self.unknown_people.get(&fold(last_dn))?;
        if fold(&person.username) == fold(&user.username) {
            return None;
        }
        let why = format!(
            "the new entry {dn:?} (directory id {id}, login {new:?}) has the name of the entry of \
             the user {login:?} (directory id {gone}), which is gone: it was most likely deleted \
             and made again. If it is the same person, end the link of the user (`unlink {login:?}`), \
             and give the user to the new entry (`link {dn:?} {login:?}`). If it is another person, \
             approve this (`holds` shows its number)",
            dn = &*person.dn,
            new = &*person.username,
            login = &*user.username,
            gone = link.id,
        );
        let hold = Hold::new(HeldBy::Successor, why);
        // With a user of their own already, the same person would have two.
        let mut changes = self.changes.iter().map(|draft| &draft.change);
        let create = changes
            .find(|change| change.action == Action::Create && change.directory_id == *id)
            .map(|change| change.ftrack_id.clone());
        if let Some(create) = create {
            self.plan.holds.entry(create).or_insert(hold.clone());
        }
        Some(hold)
    }

    /// Holds creates for people whose mail address a user without an owner has under another login:
    /// most likely it is theirs, and a second user of a person is hard to take back. How many they
    /// are says nothing: where most logins are the directory's, the others may be mail addresses.
    pub(super) fn hold_second_users(&mut self) {
        if self.matched.rules.users.adopt != Adopt::Username {
            return;
        }
        let changes = self.changes.iter().map(|draft| &draft.change);
        let creates: Vec<_> = changes
            .filter(|change| change.action == Action::Create)
            .collect();
        if creates.is_empty() {
            return;
        }
        let first = self.first_users();
        let seconds = creates.iter().filter_map(|change| {
            let mail = change.values(&Attribute::Email)?.new.as_str()?;
            let user = first.get(&fold(mail)).filter(|_| !mail.is_empty())?;
            Some((change.ftrack_id.clone(), &*change.username, *user))
        });
        let mut seconds: Vec<_> = seconds.collect();
        // The order of the people is that of their ids.
        seconds.sort_by_key(|(_, login, _)| *login);
        if seconds.is_empty() {
            return;
        }
        let why = second_users(creates.len(), &seconds);
        let ids: Vec<_> = seconds.into_iter().map(|(id, ..)| id).collect();
        for id in ids {
            let hold = Hold::new(HeldBy::Adoption, why.as_str());
            self.plan.holds.entry(id).or_insert(hold);
        }
        self.plan.notices.push(why);
    }

    /// The logins of the users without an owner, by folded mail address; without those that the
    /// login shows to be another person's, who shares the address.
    fn first_users(&self) -> HashMap<Cow<'_, str>, &str> {
        let people = self.matched.desired.people().iter();
        let by_login: HashMap<Cow<'_, str>, &Person> = people
            .map(|(_, person)| (fold(&person.username), person))
            .collect();
        let is_anothers = |user: &&User| {
            let person = by_login.get(&fold(&user.username));
            person.is_some_and(|person| may_be_the_same(person, user))
        };
        let users = self.matched.current.users.iter();
        users
            .filter(|user| user.link.is_none() && !is_anothers(user))
            .filter_map(|user| Some((fold(user.email.as_deref()?), &*user.username)))
            .collect()
    }
}

/// Why the creates of second users are held, of so many creates.
fn second_users(creates: usize, seconds: &[(EntityId, &str, &str)]) -> String {
    let count = seconds.len();
    let named = seconds.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|(_, new, user)| format!("{new:?} is {user:?}"))
        .collect();
    let more = match count.saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let have = if count == 1 {
        "has the mail address of an ftrack user with another login"
    } else {
        "have the mail addresses of ftrack users with other logins"
    };
    format!(
        "{count} of {creates} people to be created {have}, and would get a second user ({}{more}): set users.adopt = \"email\", with which they get the \
         one they have, and look at `plan` again; or, if they should get a new one, approve it: \
         {BY_NUMBER}",
        named.join(", ")
    )
}

/// Whether a person may be the one whom a user of the same login was for: no mail address speaks
/// against it.
fn may_be_the_same(person: &Person, user: &User) -> bool {
    match (&person.email, user.email.as_deref()) {
        (DesiredValue::Text(new), Some(old)) if !old.is_empty() => fold(new) == fold(old),
        (DesiredValue::Text(_) | DesiredValue::Keep | DesiredValue::Clear, _) => true,
    }
}
