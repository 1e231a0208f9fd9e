//! A user that a person gives to somebody of the directory by hand, by `link`.

use std::collections::BTreeSet;

use super::Matched;
use crate::{
    model::{
        entry::DirectoryId,
        given::Given,
        link::{Link, LinkFound},
        user::User,
    },
    sync::{
        desired::{DesiredValue, Identified},
        matching::Match,
        rules::fold,
    },
};

/// The most people or users that are named where several are meant.
const NAMED: usize = 3;

/// Who gets which user.
#[derive(Debug, Clone, Copy)]
pub struct GivenUser<'g> {
    /// The person of the directory: login, mail address, DN or directory id.
    pub who: &'g str,
    /// The user: login, mail address or ftrack id.
    pub user: &'g str,
}

/// Why a user cannot be given to a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGiven {
    /// Whom or which user is meant cannot be told from the name.
    #[error("link: {0}; nothing was written")]
    Misnamed(String),
    /// The person does not get the user.
    #[error("link: {0}; nothing was written")]
    Refused(String),
}

impl<'a> Matched<'a> {
    /// The same, but for one person, whose user is the one that is given; and who that is.
    ///
    /// # Errors
    /// Nobody or several have one of the names, one of the sides has a link, or the user is one that
    /// is never changed.
    pub fn giving(mut self, given: GivenUser<'_>) -> Result<(Self, DirectoryId), NotGiven> {
        let place = self.person_named(given.who)?;
        let user = user_named(&self.current.users, given.user).map_err(NotGiven::Misnamed)?;
        let Some((identified, found)) = self
            .desired
            .people()
            .get(place)
            .zip(self.matches.get(place))
        else {
            return Err(nobody(given.who));
        };
        let id = identified.0.clone();
        self.may_get_one(identified, found)?;
        self.may_be_given(&id, user)?;
        if let Some(found) = self.matches.get_mut(place) {
            *found = Match::Adopted(user);
        }
        self.given = Some(user);
        Ok((self, id))
    }

    /// Whether a person gave the user to somebody.
    pub(super) fn is_given(&self, user: &User) -> bool {
        self.given.is_some_and(|given| given.id == user.id)
    }

    /// The roles and memberships that the job gave a user before a person unlinked it.
    pub(super) fn given_before(&self, user: &User) -> Given {
        let before = user.link.unlinked();
        before
            .filter(|before| self.owners.is_ours(before))
            .map(|before| before.given.clone())
            .unwrap_or_default()
    }

    /// The link of a user that is given to a person: it is protected as it was, or by its login.
    pub(super) fn given_link(&self, identified: &Identified, user: &'a User) -> Link {
        let (id, person) = identified;
        let new = self.link(id);
        let before = user.link.unlinked().unwrap_or(&new);
        let protected = self.protection(person, user, before);
        new.with(|link| {
            link.protected = protected;
            link.given = self.given_before(user);
        })
    }

    /// The place of the only person of that name.
    fn person_named(&self, who: &str) -> Result<usize, NotGiven> {
        let folded = fold(who);
        let is = |text: &str| fold(text) == folded;
        let is_named = |(id, person): &Identified| {
            let mail = match &person.email {
                DesiredValue::Text(mail) => is(mail),
                DesiredValue::Keep | DesiredValue::Clear => false,
            };
            mail || is(&person.username) || is(&person.dn) || is(id.as_str())
        };
        let people = self.desired.people().iter().enumerate();
        let found: Vec<_> = people.filter(|(_, person)| is_named(person)).collect();
        match found.as_slice() {
            [] => Err(nobody(who)),
            [(place, _)] => Ok(*place),
            several => {
                let names = several
                    .iter()
                    .take(NAMED)
                    .map(|(_, (_, person))| &*person.dn);
                let names: BTreeSet<&str> = names.collect();
                let names: Vec<&str> = names.into_iter().collect();
                Err(NotGiven::Misnamed(format!(
                    "{who:?} may be {}: name the person by the DN or the directory id",
                    names.join(" or ")
                )))
            }
        }
    }

    /// Whether a person has no user yet, and may get one.
    fn may_get_one(&self, (id, person): &Identified, found: &Match<'a>) -> Result<(), NotGiven> {
        let dn = &*person.dn;
        let users = self.current.users.iter();
        let is_theirs = |link: &Link| link.id == *id && self.owners.is_comparable(link);
        let mut owned = users.filter(|user| user.link.link().is_some_and(is_theirs));
        let has_user = |user: &User| {
            let name = &*user.username;
            format!("the person {dn} has the user {name:?} already: `unlink` it first")
        };
        let why = match (owned.next(), found) {
            (Some(user), _) => has_user(user),
            (None, Match::Linked(user, ..)) => has_user(user),
            (None, Match::Disabled(_)) => {
                format!("the person {dn} may not sign in, as the directory shows")
            }
            (None, Match::Skipped(reason)) if reason.needs_a_person() => {
                format!("the person {dn} cannot get a user: {reason}")
            }
            (None, Match::Adopted(_) | Match::New | Match::Unlinked(_) | Match::Skipped(_)) => {
                return Ok(());
            }
        };
        Err(NotGiven::Refused(why))
    }

    /// Whether a user has no owner, and may get this one.
    fn may_be_given(&self, id: &DirectoryId, user: &User) -> Result<(), NotGiven> {
        let name = &*user.username;
        if let Some(why) = self.rules.untouchable(user) {
            return Err(NotGiven::Refused(format!(
                "the user {name:?} is never changed: {why}"
            )));
        }
        let why = match &user.link {
            LinkFound::Absent | LinkFound::OfAnotherUser => return Ok(()),
            LinkFound::Unlinked(before) if before.id == *id || self.is_settled(before) => {
                return Ok(());
            }
            LinkFound::Unlinked(before) => format!(
                "the user {name:?} was unlinked from the person with the directory id {} (source \
                 {:?}), who would get a new user if it were another person's: `link` that person \
                 to a user first",
                before.id, before.source
            ),
            LinkFound::Link(link) if link.id == *id => {
                format!("the user {name:?} is this person's already")
            }
            LinkFound::Link(link) => format!(
                "the user {name:?} belongs to the person with the directory id {} (source {:?}): \
                 `unlink` it first",
                link.id, link.source
            ),
            LinkFound::Unreadable => format!("the link of the user {name:?} cannot be read"),
        };
        Err(NotGiven::Refused(why))
    }

    /// Whether nothing follows for the person whom a user was unlinked from, if the user becomes
    /// somebody else's: they have another user, or are none of the job's people.
    fn is_settled(&self, before: &Link) -> bool {
        let mut users = self.current.users.iter();
        let has_user = users.any(|user| user.link.link().is_some_and(|link| link.id == before.id));
        let is_ours = self.owners.is_ours(before);
        has_user || is_ours && self.desired.is_of_everybody() && self.desired.lacks(&before.id)
    }
}

fn nobody(who: &str) -> NotGiven {
    NotGiven::Misnamed(format!(
        "none of the job's people has the login, mail address, DN or directory id {who:?}; \
         `explain` says why"
    ))
}

/// The only user of that login, mail address or ftrack id.
///
/// # Errors
/// There is none, or there are several, in words.
pub fn user_named<'a>(users: &'a [User], name: &str) -> Result<&'a User, String> {
    let folded = fold(name);
    let found: Vec<&User> = users.iter().filter(|user| user.is_named(&folded)).collect();
    match found.as_slice() {
        [] => Err(format!(
            "no user in ftrack has the login, mail address or id {name:?}"
        )),
        [user] => Ok(user),
        several => {
            let names = several.iter().take(NAMED);
            let names: Vec<String> = names
                .map(|user| format!("{:?} ({})", &*user.username, user.id))
                .collect();
            Err(format!(
                "{name:?} may be {}: name the user by the login or the ftrack id",
                names.join(" or ")
            ))
        }
    }
}
