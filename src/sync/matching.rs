//! Finds each person's user: by the link first, then by what may be adopted, never two people for
//! one user.

use std::{
    borrow::{Borrow, Cow},
    cell::OnceCell,
    collections::hash_map::Entry,
    hash::Hash,
    ptr, slice,
};

use foldhash::{HashMap, HashMapExt};

use chrono::{DateTime, Utc};

use crate::{
    config::Adopt,
    model::{
        entry::DirectoryId,
        id::IdAttribute,
        link::Link,
        reason::{Contested, ContestedValue, Reason},
        user::{Current, EntityId, User},
    },
};

use super::{
    desired::{Desired, DesiredValue, Identified, Person},
    owner::{Owner, Owners},
    rules::{Rules, fold},
};

/// The user of a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Match<'a> {
    /// The user has the person's link.
    Linked(&'a User, &'a Link, Owner),
    /// The user has no owner, and the rules allow adopting it.
    Adopted(&'a User),
    /// There is none: one is to be created.
    New,
    /// There is none, and none is made, since the person may not sign in; the user that would be
    /// adopted, if there is one.
    Disabled(Option<&'a User>),
    /// There is none, and none is made, since a person unlinked this user from them.
    Unlinked(&'a User),
    /// Nothing is done for the person, for this reason.
    Skipped(Reason),
}

/// The id of the user that is created for a person: the same in every attempt, so that a repeated
/// attempt cannot create a second user (RFC 9562 section 5.5).
///
/// Where the directory id identifies the person everywhere, it is the same for every job and
/// program; otherwise it also depends on the source.
#[must_use]
pub fn created_id(source: &str, attribute: &IdAttribute, id: &DirectoryId) -> EntityId {
    if attribute.is_universal() {
        entity_id(&format!("person:{}", id.as_str()))
    } else {
        created_id_of_source(source, id)
    }
}

/// The id of the user that this program creates for a person of one source, and that earlier
/// versions created for all.
fn created_id_of_source(source: &str, id: &DirectoryId) -> EntityId {
    entity_id(&format!("{}:{source}{}", source.len(), id.as_str()))
}

/// The ids of all users that this program, in any job or version, may have created for a person.
pub fn possible_ids(
    rules: &Rules,
    attribute: Option<&IdAttribute>,
    id: &DirectoryId,
) -> impl Iterator<Item = EntityId> {
    let now = attribute.map(|attribute| created_id(&rules.source, attribute, id));
    let sources =
        std::iter::once(&rules.source).chain(rules.siblings.iter().map(|sibling| &sibling.source));
    let before = sources.map(|source| created_id_of_source(source, id));
    now.into_iter().chain(before)
}

fn entity_id(name: &str) -> EntityId {
    let uuid = uuid::Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string();
    EntityId::new(&uuid).unwrap_or_else(|| unreachable!("a UUID is an entity id"))
}

/// The namespace of the ids of created users; a constant of this program.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0x7c1d_2f0e_6a57_5b1c_9b43_b0f3_a4d2_61e8);

/// Matches every person, in the order of [`Desired::people`].
#[must_use]
pub fn match_people<'a>(
    desired: &Desired,
    current: &'a Current,
    rules: &Rules,
    owners: &Owners<'_>,
    now: DateTime<Utc>,
) -> Vec<Match<'a>> {
    // Where everybody was compared with their users while they arrived, nobody is looked up.
    let index = OnceCell::new();
    let found = |(id, person): &Identified| {
        let found = compared(id, person, current, owners).unwrap_or_else(|| {
            let index = index.get_or_init(|| Index::new(current, rules, owners));
            index.find(id, person, desired, rules)
        });
        // Who may not sign in asks for no user, and for no login.
        let is_disabled = desired.account(id).is_disabled(now);
        match (found, is_disabled) {
            (Match::New, true) => Match::Disabled(None),
            (Match::Adopted(user), true) => Match::Disabled(Some(user)),
            (found, _) => found,
        }
    };
    let mut matches: Vec<Match<'a>> = desired.people().iter().map(found).collect();
    skip_rivals_for_a_username(desired, &mut matches);
    skip_rivals_for_an_id(desired, &mut matches);
    skip_rivals_for_a_user(desired, &mut matches);
    matches
}

/// The user with which a person was compared while the directory was read: the only one with a link
/// to the person.
fn compared<'a>(
    id: &DirectoryId,
    person: &Person,
    current: &'a Current,
    owners: &Owners<'_>,
) -> Option<Match<'a>> {
    let user = person.alike_user(id, current)?;
    let link = user.link.link().filter(|link| owners.is_comparable(link))?;
    Some(Match::Linked(user, link, owners.of(link, Some(person))))
}

/// The users by everything that they are looked up by.
struct Index<'a, 'o> {
    current: &'a Current,
    owners: &'o Owners<'o>,
    /// Users with a link, of any source: a person who has a user never gets a second one.
    linked: Lookup<&'a DirectoryId, &'a User>,
    /// Users that were unlinked, by the person whom each was unlinked from.
    unlinked: HashMap<&'a DirectoryId, &'a User>,
    /// Users without a link whose ids this program may have made.
    created: HashMap<&'a EntityId, &'a User>,
    /// The same of users with a link that says nothing about the people of this reading, or that is
    /// unreadable.
    unclear: HashMap<&'a EntityId, &'a User>,
    by_key: Lookup<Cow<'a, str>, &'a User>,
}

impl<'a, 'o> Index<'a, 'o> {
    fn new(current: &'a Current, rules: &Rules, owners: &'o Owners<'o>) -> Self {
        let mut index = Self {
            current,
            owners,
            linked: Lookup::default(),
            unlinked: HashMap::new(),
            created: HashMap::new(),
            unclear: HashMap::new(),
            by_key: Lookup::default(),
        };
        for user in &current.users {
            if let Some(link) = user.link.unlinked() {
                if owners.is_comparable(link) {
                    index.unlinked.insert(&link.id, user);
                }
                continue;
            }
            match user.link.link() {
                Some(link) if owners.is_comparable(link) => index.linked.add(&link.id, user),
                None if user.link.is_none() => {
                    if user.id.is_of_version_5() {
                        index.created.insert(&user.id, user);
                    }
                    let key = match rules.users.adopt {
                        Adopt::Username => Some(&*user.username),
                        Adopt::Email => user.email.as_deref(),
                        Adopt::Never => None,
                    };
                    if let Some(key) = key.filter(|key| !key.is_empty()) {
                        index.by_key.add(fold(key), user);
                    }
                }
                Some(_) | None if user.id.is_of_version_5() => {
                    index.unclear.insert(&user.id, user);
                }
                Some(_) | None => {}
            }
        }
        index
    }

    fn find(
        &self,
        id: &DirectoryId,
        person: &Person,
        desired: &Desired,
        rules: &Rules,
    ) -> Match<'a> {
        match self.linked.at(id) {
            [] => {}
            [user] => match user.link.link() {
                Some(link) => return Match::Linked(user, link, self.owners.of(link, Some(person))),
                None => return Match::New,
            },
            several => return Match::Skipped(Reason::SeveralUsers(names(several))),
        }
        if let Some(user) = self.unlinked.get(id) {
            return Match::Unlinked(user);
        }
        if let Some(user) = self.created_among(&self.created, id, desired, rules) {
            return Match::Adopted(user);
        }
        if let Some(user) = self.current.claims.get(id) {
            return Match::Skipped(Reason::ClaimedBy(user.clone()));
        }
        if let Some(user) = self.created_among(&self.unclear, id, desired, rules) {
            return Match::Skipped(Reason::LinkOfAnother(user.username.clone()));
        }
        let key = match (rules.users.adopt, &person.email) {
            (Adopt::Username, _) => fold(&person.username),
            (Adopt::Email, DesiredValue::Text(email)) => fold(email),
            (Adopt::Email, DesiredValue::Keep | DesiredValue::Clear) | (Adopt::Never, _) => {
                return Match::New;
            }
        };
        match self.by_key.at(&*key) {
            [] => Match::New,
            [user] => match rules.adoption_refused(user) {
                None => Match::Adopted(user),
                Some(why) => {
                    Match::Skipped(Reason::NotAdopted(Box::new((user.username.clone(), why))))
                }
            },
            several => Match::Skipped(Reason::SeveralAdoptable(names(several))),
        }
    }

    /// The user that this program, in any job or version, created for a person, or began to, among
    /// these.
    fn created_among(
        &self,
        users: &HashMap<&EntityId, &'a User>,
        id: &DirectoryId,
        desired: &Desired,
        rules: &Rules,
    ) -> Option<&'a User> {
        if users.is_empty() {
            return None;
        }
        possible_ids(rules, desired.id_attribute(), id).find_map(|user| users.get(&user).copied())
    }
}

fn names(users: &[&User]) -> Box<[Box<str>]> {
    users.iter().map(|user| user.username.clone()).collect()
}

/// Values by lookup key: almost always one per key, which needs only its entry in the table.
struct Lookup<K, V>(HashMap<K, Found<V>>);

enum Found<V> {
    One(V),
    #[allow(
        clippy::box_collection,
        reason = "rare, and the usual case stays small"
    )]
    Several(Box<Vec<V>>),
}

impl<K, V> Default for Lookup<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Copy> Lookup<K, V> {
    fn add(&mut self, key: K, value: V) {
        match self.0.entry(key) {
            Entry::Vacant(free) => {
                free.insert(Found::One(value));
            }
            Entry::Occupied(mut taken) => match taken.get_mut() {
                Found::One(first) => {
                    let both = vec![*first, value];
                    taken.insert(Found::Several(Box::new(both)));
                }
                Found::Several(several) => several.push(value),
            },
        }
    }

    fn at<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> &[V]
    where
        K: Borrow<Q>,
    {
        match self.0.get(key) {
            Some(Found::One(one)) => slice::from_ref(one),
            Some(Found::Several(several)) => several,
            None => &[],
        }
    }

    /// The values of each key that has several.
    fn into_several(self) -> impl Iterator<Item = Vec<V>> {
        self.0.into_values().filter_map(|found| match found {
            Found::One(_) => None,
            Found::Several(several) => Some(*several),
        })
    }
}

/// If several entries claim one username, none gets it, and each is reported with another one;
/// unless it is the login of a user of one of them: whoever asks for a colleague's login does not
/// take part.
fn skip_rivals_for_a_username(desired: &Desired, matches: &mut [Match<'_>]) {
    let mut wanted = Lookup::default();
    for (place, ((_, person), found)) in desired.people().iter().zip(&*matches).enumerate() {
        if !matches!(found, Match::Disabled(_) | Match::Unlinked(_)) {
            wanted.add(fold(&person.username), place);
        }
    }
    let contested: Vec<Vec<usize>> = wanted
        .into_several()
        .filter(|places| present_owner(desired, matches, places).is_none())
        .collect();
    skip(desired, matches, contested.into_iter(), |person| {
        ContestedValue::Username(person.username.clone())
    });
}

/// The only one of these places whose person has a link, and the login that the person asks for.
fn present_owner(desired: &Desired, matches: &[Match<'_>], places: &[usize]) -> Option<usize> {
    let has_the_login = |place: &usize| match (desired.people().get(*place), matches.get(*place)) {
        (Some((_, person)), Some(Match::Linked(user, ..))) => {
            fold(&person.username) == fold(&user.username)
        }
        (_, _) => false,
    };
    let mut owners = places.iter().copied().filter(has_the_login);
    owners.next().filter(|_| owners.next().is_none())
}

/// If several entries show one directory id, none is the person, unless only one of them has the
/// login of the person's user; an attribute that the operator configured may not be unique.
fn skip_rivals_for_an_id(desired: &Desired, matches: &mut [Match<'_>]) {
    let mut place = 0;
    // People are ordered by directory id, so that those of one id are adjacent.
    for same in desired
        .people()
        .chunk_by(|(one, _), (other, _)| one == other)
    {
        let places = place..place + same.len();
        place = places.end;
        if let [(id, _), _, ..] = same {
            let places: Vec<usize> = places.collect();
            let owner = present_owner(desired, matches, &places);
            let kept = owner.and_then(|owner| Some((owner, matches.get(owner)?.clone())));
            skip(desired, matches, std::iter::once(places), |_| {
                ContestedValue::DirectoryId(id.as_str().into())
            });
            if let Some((owner, found)) = kept
                && let Some(slot) = matches.get_mut(owner)
            {
                *slot = found;
            }
        }
    }
}

/// If several entries match one user, none gets it.
fn skip_rivals_for_a_user<'a>(desired: &Desired, matches: &mut [Match<'a>]) {
    // By address, which costs a fraction of hashing the id.
    let mut claimed: Lookup<*const User, usize> = Lookup::default();
    let user = |found: &Match<'a>| match found {
        Match::Linked(user, ..) | Match::Adopted(user) => Some(*user),
        Match::New | Match::Disabled(_) | Match::Unlinked(_) | Match::Skipped(_) => None,
    };
    for (place, found) in matches.iter().enumerate() {
        if let Some(user) = user(found) {
            claimed.add(ptr::from_ref(user), place);
        }
    }
    for places in claimed.into_several() {
        let first = places.first().and_then(|place| matches.get(*place));
        let Some(user) = first.and_then(user) else {
            continue;
        };
        skip(desired, matches, std::iter::once(places), |_| {
            ContestedValue::User(user.username.clone())
        });
    }
}

/// Skips entries that claim the same; `rivals` are their positions among the people.
fn skip(
    desired: &Desired,
    matches: &mut [Match<'_>],
    rivals: impl Iterator<Item = Vec<usize>>,
    what: impl Fn(&Person) -> ContestedValue,
) {
    for places in rivals {
        let mut entries: Vec<(usize, &Person)> = places
            .iter()
            .filter_map(|place| Some((*place, &desired.people().get(*place)?.1)))
            .collect();
        entries.sort_by_key(|(_, person)| &person.dn);
        for (place, person) in &entries {
            let others = entries
                .iter()
                .filter(|(other, _)| other != place)
                .map(|(_, person)| person.dn.clone())
                .take(3);
            if let Some(slot) = matches.get_mut(*place) {
                *slot = Match::Skipped(Reason::Contested(Box::new(Contested {
                    what: what(person),
                    others: others.collect(),
                })));
            }
        }
    }
}
