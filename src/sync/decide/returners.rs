//! People without a user who seem to have had one: somebody whom the program deactivated is back,
//! with an entry that has another id. The former user is proposed to them, and never given without a
//! person's approval.

use std::{fmt, ptr};

use foldhash::{HashMap, HashMapExt};

use serde_json::Value;

use super::{Decider, Matched};
use crate::{
    model::{
        change::{HeldBy, Hold},
        edit::Edit,
        entry::DirectoryId,
        link::{Activity, Link},
        user::User,
    },
    sync::{
        desired::{DesiredValue, Identified, Person},
        matching::{Match, created_id},
        owner::Owner,
        rules::fold,
    },
};

/// The most users who are named in one hold.
const NAMED: usize = 5;

/// What a person without a user has in common with a user that the program deactivated; the first of
/// these that anybody has counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InCommon {
    EmployeeNumber,
    Login,
    Mail,
}

impl fmt::Display for InCommon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmployeeNumber => "employee number",
            Self::Login => "login",
            Self::Mail => "mail address",
        })
    }
}

/// Whose user a person without one most likely had.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Returner<'a> {
    /// This one, which becomes the person's again once that is approved.
    Of(&'a User, &'a Link, Owner, Hold),
    /// It is not clear which one, or it is not this job's to give: creating another waits for a
    /// person.
    Unclear(Hold),
}

/// The users that the program deactivated, by what they may have in common with somebody.
#[derive(Default)]
struct Former<'a> {
    by_number: HashMap<String, Vec<&'a User>>,
    by_login: HashMap<String, Vec<&'a User>>,
    by_mail: HashMap<String, Vec<&'a User>>,
}

impl<'a> Matched<'a> {
    /// Those people without a user who most likely had one.
    pub(super) fn returners(&self) -> HashMap<&'a DirectoryId, Returner<'a>> {
        let people = self.desired.people().iter().zip(&self.matches);
        let new: Vec<&Identified> = people
            .filter(|(_, found)| **found == Match::New)
            .map(|(identified, _)| identified)
            .collect();
        if new.is_empty() {
            return HashMap::new();
        }
        let former = self.former();
        let found = new.into_iter().filter_map(|identified| {
            let (users, what) = former.of(&identified.1, self.rules.employee_number)?;
            Some((identified, users, what))
        });
        let found: Vec<_> = found.collect();
        let mut claims: HashMap<*const User, usize> = HashMap::new();
        for user in found.iter().flat_map(|(_, users, _)| *users) {
            *claims.entry(ptr::from_ref(*user)).or_default() += 1;
        }
        let returners = found.iter().map(|((id, person), users, what)| {
            let returner = match users {
                [user] if claims.get(&ptr::from_ref(*user)) == Some(&1) => {
                    self.returner(person, user, *what)
                }
                several => Returner::Unclear(unclear(several, *what)),
            };
            (id, returner)
        });
        returners.collect()
    }

    /// The users that the program deactivated, and whose people this reading does not show.
    fn former(&self) -> Former<'a> {
        let mut former = Former::default();
        for user in &self.current.users {
            let Some(link) = user.link.link().filter(|_| !user.is_active) else {
                continue;
            };
            let is_deactivated = match link.activity {
                Activity::Deactivating { .. } | Activity::Deactivated { .. } => true,
                Activity::Settled
                | Activity::Activating
                | Activity::Released
                | Activity::Unlinked => false,
            };
            // Whoever is there has a user, whatever its state is.
            let may_be_there = self.desired.is_told_by(&link.attribute)
                && self.desired.tells_of(&link.id)
                && !self.desired.lacks(&link.id);
            if is_deactivated && !may_be_there && self.rules.untouchable(user).is_none() {
                former.add(user, self.rules.employee_number);
            }
        }
        former
    }

    fn returner(&self, person: &Person, user: &'a User, what: InCommon) -> Returner<'a> {
        let Some(link) = user.link.link() else {
            return Returner::Unclear(unclear(&[user], what));
        };
        let owner = self.owners.of(link, None);
        let is_told = self.desired.is_told_by(&link.attribute) && self.desired.tells_of(&link.id);
        // Otherwise this run completes the deactivation first.
        let is_settled = matches!(link.activity, Activity::Deactivated { .. });
        let may_wake = self.rules.users.reactivate;
        match owner {
            Owner::Ours | Owner::OursBefore if is_told && is_settled && may_wake => {
                let hold = proposed(person, user, link, what);
                Returner::Of(user, link, owner, hold)
            }
            Owner::Ours
            | Owner::OursBefore
            | Owner::Sibling { .. }
            | Owner::Left { .. }
            | Owner::NoJob { .. }
            | Owner::OtherDirectory { .. } => Returner::Unclear(unclear(&[user], what)),
        }
    }
}

impl<'a> Former<'a> {
    fn add(&mut self, user: &'a User, employee_number: Option<usize>) {
        let number = employee_number.and_then(|place| number(user.custom_values.get(place)?));
        if let Some(number) = number {
            self.by_number.entry(number).or_default().push(user);
        }
        let login = fold(&user.username).into_owned();
        self.by_login.entry(login).or_default().push(user);
        if let Some(mail) = user.email.as_deref().filter(|mail| !mail.is_empty()) {
            self.by_mail
                .entry(fold(mail).into_owned())
                .or_default()
                .push(user);
        }
    }

    /// Those who have something in common with a person.
    fn of<'f>(
        &'f self,
        person: &Person,
        employee_number: Option<usize>,
    ) -> Option<(&'f [&'a User], InCommon)> {
        let text = |value: &DesiredValue| match value {
            DesiredValue::Text(text) if !text.is_empty() => Some(text.to_string()),
            DesiredValue::Text(_) | DesiredValue::Keep | DesiredValue::Clear => None,
        };
        let number = employee_number.and_then(|place| text(person.custom.get(place)?));
        let by_number = number.and_then(|number| self.by_number.get(number.trim()));
        if let Some(users) = by_number {
            return Some((users, InCommon::EmployeeNumber));
        }
        if let Some(users) = self.by_login.get(&*fold(&person.username)) {
            return Some((users, InCommon::Login));
        }
        let users = self.by_mail.get(&*fold(&text(&person.email)?))?;
        Some((users, InCommon::Mail))
    }
}

impl<'a> Decider<'a, '_> {
    /// Proposes the former user to somebody who seems to be back; or, where a person rejected that,
    /// creates one.
    pub(super) fn returned(&mut self, identified: &'a Identified, returner: &Returner<'a>) {
        match returner {
            Returner::Of(user, link, owner, hold) => {
                let before = self.changes.len();
                self.linked(identified, user, link, owner);
                let Some(draft) = self.changes.get(before) else {
                    return;
                };
                let rejected = self.matched.known.rejected;
                // Whose the user is makes the proposal; what else was rejected was of the former person.
                if rejected.has(&draft.change, &Edit::Link) {
                    self.changes.truncate(before);
                    self.plan.holds.remove(&user.id);
                    self.plan.proposals_rejected.insert(user.id.clone());
                    self.create(identified);
                } else {
                    self.hold(user, hold.clone());
                }
            }
            Returner::Unclear(hold) => {
                self.create(identified);
                if let Some(attribute) = self.matched.desired.id_attribute() {
                    let id = created_id(&self.matched.rules.source, attribute, &identified.0);
                    self.plan.holds.entry(id).or_insert(hold.clone());
                }
            }
        }
    }
}

/// An employee number of ftrack as text.
fn number(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

/// Holds the proposal of a former user.
fn proposed(person: &Person, user: &User, link: &Link, what: InCommon) -> Hold {
    let first = if fold(&user.username) == fold(&person.username) {
        ", once you renamed that user in ftrack, which frees the login"
    } else {
        ""
    };
    let why = format!(
        "the new entry {dn:?} has the {what} of the user {login:?}, which this program deactivated \
         when the entry with the directory id {gone} left. If it is the same person, who is back, \
         approve this, and the user is theirs again; if it is another person, reject it, and they \
         get a user of their own{first}",
        dn = &*person.dn,
        login = &*user.username,
        gone = link.id,
    );
    Hold::new(HeldBy::Returner, why)
}

/// Holds the creation of a user for somebody who most likely had one.
fn unclear(users: &[&User], what: InCommon) -> Hold {
    let named = users.iter().take(NAMED);
    let named: Vec<String> = named.map(|user| format!("{:?}", user.username)).collect();
    let more = match users.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let why = format!(
        "the person has the {what} of {}{more}, which this program deactivated when somebody left. \
         If it is the same person, who is back, end the link of that user (`unlink USER`), and give \
         the user to the person (`link WHO USER`); if it is another person, approve this, and they \
         get a user of their own",
        named.join(", "),
    );
    Hold::new(HeldBy::Returner, why)
}
