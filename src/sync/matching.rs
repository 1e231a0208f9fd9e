//! Finds each person's user: by the link first, then by what may be adopted, never two people for
//! one user.

use std::{
    borrow::{Borrow, Cow},
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
};

use crate::{
    config::Adopt,
    model::{
        entry::DirectoryId,
        id::IdAttribute,
        user::{Current, EntityId, User},
    },
};

use super::{
    desired::{Desired, DesiredValue, Person},
    owner::{Owner, Owners},
    rules::{Rules, fold},
};

/// The user of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// The user at this index of [`Current::users`] has the person's link.
    Linked(usize, Owner),
    /// The user at this index has no owner, and the rules allow adopting it.
    Adopted(usize),
    /// There is none: one is to be created.
    New,
    /// Nothing is done for the person, for this reason.
    LeftOut(String),
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

fn entity_id(name: &str) -> EntityId {
    let uuid = uuid::Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string();
    EntityId::new(&uuid).unwrap_or_else(|| unreachable!("a UUID is an entity id"))
}

/// The namespace of the ids of created users; a constant of this program.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0x7c1d_2f0e_6a57_5b1c_9b43_b0f3_a4d2_61e8);

/// Matches every person, in the order of [`Desired::people`].
#[must_use]
pub fn match_people(
    desired: &Desired,
    current: &Current,
    rules: &Rules,
    owners: &Owners<'_>,
) -> Vec<Match> {
    let index = Index::new(current, rules, owners);
    let mut matches: Vec<Match> = desired
        .people()
        .iter()
        .map(|(id, person)| index.find(id, person, desired, rules))
        .collect();
    skip_rivals_for_a_username(desired, &mut matches);
    skip_rivals_for_an_id(desired, &mut matches);
    skip_rivals_for_a_user(desired, current, &mut matches);
    matches
}

/// Indices of the users by everything that they are looked up by.
struct Index<'a> {
    current: &'a Current,
    owners: &'a Owners<'a>,
    /// Users with a link, of any source: a person who has a user never gets a second one.
    linked: Places<&'a DirectoryId>,
    /// Users without a link whose ids this program may have made.
    created: HashMap<&'a EntityId, usize>,
    /// The same of users with a link that says nothing about the people of this reading, or that is
    /// unreadable.
    unclear: HashMap<&'a EntityId, usize>,
    by_key: Places<Cow<'a, str>>,
}

impl<'a> Index<'a> {
    fn new(current: &'a Current, rules: &Rules, owners: &'a Owners<'a>) -> Self {
        let mut index = Self {
            current,
            owners,
            linked: Places::default(),
            created: HashMap::new(),
            unclear: HashMap::new(),
            by_key: Places::default(),
        };
        for (place, user) in current.users.iter().enumerate() {
            match user.link.link() {
                Some(link) if owners.is_comparable(link) => index.linked.add(&link.id, place),
                None if user.link.is_none() => {
                    if user.id.is_of_version_5() {
                        index.created.insert(&user.id, place);
                    }
                    let key = match rules.users.adopt {
                        Adopt::Username => Some(&*user.username),
                        Adopt::Email => user.email.as_deref(),
                        Adopt::Never => None,
                    };
                    if let Some(key) = key.filter(|key| !key.is_empty()) {
                        index.by_key.add(fold(key), place);
                    }
                }
                Some(_) | None if user.id.is_of_version_5() => {
                    index.unclear.insert(&user.id, place);
                }
                Some(_) | None => {}
            }
        }
        index
    }

    fn user(&self, place: usize) -> Option<&'a User> {
        self.current.users.get(place)
    }

    fn find(&self, id: &DirectoryId, person: &Person, desired: &Desired, rules: &Rules) -> Match {
        match self.linked.at(id) {
            [] => {}
            [place] => match self.user(*place).and_then(|user| user.link.link()) {
                Some(link) => return Match::Linked(*place, self.owners.of(link, Some(person))),
                None => return Match::New,
            },
            several => {
                return Match::LeftOut(format!(
                    "{} ftrack users have its link: {}",
                    several.len(),
                    self.names(several)
                ));
            }
        }
        if let Some(place) = self.created_among(&self.created, id, desired, rules) {
            return Match::Adopted(place);
        }
        if let Some(user) = self.current.claims.get(id) {
            return Match::LeftOut(format!(
                "the ftrack user {user} has a link to it that cannot be read"
            ));
        }
        if let Some(user) = self
            .created_among(&self.unclear, id, desired, rules)
            .and_then(|place| self.user(place))
        {
            return Match::LeftOut(format!(
                "its ftrack user {:?} has a link that does not identify it",
                user.username
            ));
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
            [place] => self.adopt(*place, rules),
            several => Match::LeftOut(format!(
                "{} ftrack users could be adopted for it: {}",
                several.len(),
                self.names(several)
            )),
        }
    }

    /// The user that this program, in any job or version, created for a person, or began to, among
    /// these.
    fn created_among(
        &self,
        users: &HashMap<&EntityId, usize>,
        id: &DirectoryId,
        desired: &Desired,
        rules: &Rules,
    ) -> Option<usize> {
        if users.is_empty() {
            return None;
        }
        let now = desired
            .id_attribute()
            .map(|attribute| created_id(&rules.source, attribute, id));
        let sources = std::iter::once(&rules.source)
            .chain(rules.siblings.iter().map(|sibling| &sibling.source));
        let before = sources.map(|source| created_id_of_source(source, id));
        now.into_iter()
            .chain(before)
            .find_map(|user| users.get(&user).copied())
    }

    fn adopt(&self, place: usize, rules: &Rules) -> Match {
        match self
            .user(place)
            .and_then(|user| rules.adoption_refused(user).map(|reason| (user, reason)))
        {
            None => Match::Adopted(place),
            Some((user, reason)) => Match::LeftOut(format!(
                "the ftrack user {:?} is not adopted: {reason}",
                user.username
            )),
        }
    }

    fn names(&self, places: &[usize]) -> String {
        let names: Vec<String> = places
            .iter()
            .filter_map(|place| self.user(*place))
            .map(|user| format!("{:?}", user.username))
            .collect();
        names.join(", ")
    }
}

/// Indices by lookup key: almost always one per key, which needs only its entry in the table.
struct Places<K> {
    first: HashMap<K, usize>,
    /// All indices of the keys that have several, by the first of them.
    several: HashMap<usize, Vec<usize>>,
}

impl<K> Default for Places<K> {
    fn default() -> Self {
        Self {
            first: HashMap::new(),
            several: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash> Places<K> {
    fn add(&mut self, key: K, place: usize) {
        match self.first.entry(key) {
            Entry::Vacant(free) => {
                free.insert(place);
            }
            Entry::Occupied(taken) => {
                let first = *taken.get();
                self.several
                    .entry(first)
                    .or_insert_with(|| vec![first])
                    .push(place);
            }
        }
    }

    fn at<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> &[usize]
    where
        K: Borrow<Q>,
    {
        match self.first.get(key) {
            Some(first) => self
                .several
                .get(first)
                .map_or(std::slice::from_ref(first), Vec::as_slice),
            None => &[],
        }
    }

    /// The indices of each key that has several.
    fn into_several(self) -> impl Iterator<Item = Vec<usize>> {
        self.several.into_values()
    }
}

/// If several entries claim one username, none gets it, and each is reported with another one.
fn skip_rivals_for_a_username(desired: &Desired, matches: &mut [Match]) {
    let mut wanted = Places::default();
    for (place, (_, person)) in desired.people().iter().enumerate() {
        wanted.add(fold(&person.username), place);
    }
    skip(desired, matches, wanted.into_several(), |person| {
        format!("the username {:?}", person.username)
    });
}

/// If several entries show one directory id, none is the person; an attribute that the operator
/// configured may not be unique.
fn skip_rivals_for_an_id(desired: &Desired, matches: &mut [Match]) {
    let mut place = 0;
    // People are ordered by directory id, so that those of one id are adjacent.
    for same in desired
        .people()
        .chunk_by(|(one, _), (other, _)| one == other)
    {
        let places = place..place + same.len();
        place = places.end;
        if let [(id, _), _, ..] = same {
            skip(desired, matches, std::iter::once(places.collect()), |_| {
                format!("the directory id {id}")
            });
        }
    }
}

/// If several entries match one user, none gets it.
fn skip_rivals_for_a_user(desired: &Desired, current: &Current, matches: &mut [Match]) {
    let claims = |found: &Match| match found {
        Match::Linked(user, _) | Match::Adopted(user) => Some(*user),
        Match::New | Match::LeftOut(_) => None,
    };
    let mut claimed = Places::default();
    for (place, found) in matches.iter().enumerate() {
        if let Some(user) = claims(found) {
            claimed.add(user, place);
        }
    }
    for places in claimed.into_several() {
        let user = places
            .first()
            .and_then(|place| matches.get(*place))
            .and_then(claims);
        let name = user
            .and_then(|user| current.users.get(user))
            .map(|user| user.username.clone())
            .unwrap_or_default();
        skip(desired, matches, std::iter::once(places), |_| {
            format!("the ftrack user {name:?}")
        });
    }
}

fn skip(
    desired: &Desired,
    matches: &mut [Match],
    rivals: impl Iterator<Item = Vec<usize>>,
    what: impl Fn(&Person) -> String,
) {
    for places in rivals {
        let entries: Vec<&Person> = places
            .iter()
            .filter_map(|place| desired.people().get(*place))
            .map(|(_, person)| person)
            .collect();
        for (nth, place) in places.iter().enumerate() {
            let others: Vec<&str> = entries
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != nth)
                .map(|(_, person)| &*person.dn)
                .take(3)
                .collect();
            if let (Some(slot), Some(person)) = (matches.get_mut(*place), entries.get(nth)) {
                *slot = Match::LeftOut(format!(
                    "{} is also claimed by {}; none of them gets it",
                    what(person),
                    others.join(" and ")
                ));
            }
        }
    }
}
