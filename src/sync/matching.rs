//! Finds each person's user: by the link first, then by what may be adopted, never two people for one user.

use std::{
    borrow::{Borrow, Cow},
    collections::{BTreeMap, HashMap, HashSet, hash_map::Entry},
    hash::Hash,
};

use crate::{
    config::Adopt,
    directory::entry::DirectoryId,
    ftrack::user::{Activity, Current, EntityId, Link, LinkFound, User},
};

use super::{
    desired::{Desired, Person, Wanted},
    rules::{Rules, fold},
};

/// Whose user a person's is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// The user at this place of [`Current::users`] carries the person's link.
    Linked(usize),
    /// Nobody owns the user at this place, and the rules let it be taken over.
    Adopted(usize),
    /// There is none: one is to be created.
    New,
    /// Nothing is done for the person, for this reason.
    LeftOut(String),
}

/// The id of the user that is created for a person: the same in every attempt, so that a repeated attempt cannot make a second user
/// (RFC 9562 section 5.5, over the source and the directory id).
#[must_use]
pub fn created_id(source: &str, id: &DirectoryId) -> EntityId {
    let name = format!("{}:{source}{}", source.len(), id.as_str());
    let uuid = uuid::Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string();
    EntityId::new(&uuid).unwrap_or_else(|| unreachable!("a UUID is an entity id"))
}

/// The namespace of the ids of created users; a constant of this program.
const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128(0x7c1d_2f0e_6a57_5b1c_9b43_b0f3_a4d2_61e8);

/// Matches every person, in the order of [`Desired::people`].
#[must_use]
pub fn match_people(desired: &Desired, current: &Current, rules: &Rules) -> Vec<Match> {
    let index = Index::new(desired, current, rules);
    let mut matches: Vec<Match> = desired.people().iter().map(|(id, person)| index.find(id, person, rules)).collect();
    leave_out_rivals_for_a_username(desired, &mut matches);
    leave_out_rivals_for_an_id(desired, &mut matches);
    leave_out_rivals_for_a_user(desired, current, &mut matches);
    matches
}

/// Says how many people have users that belong to each other source: most likely those of a job that was renamed.
#[must_use]
pub fn of_other_sources(desired: &Desired, current: &Current, rules: &Rules) -> Vec<String> {
    let people: HashSet<_> = desired.people().iter().map(|(_, person)| fold(&person.username)).collect();
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for user in &current.users {
        if let LinkFound::Link(link) = &user.link
            && link.source != rules.source
            && people.contains(&fold(&user.username))
        {
            *others.entry(&link.source).or_default() += 1;
        }
    }
    let said = |(source, count)| {
        format!(
            "{count} of these people have users that belong to the source {source:?}, and are left out; if this job had that name before, set source = {source:?}"
        )
    };
    others.into_iter().map(said).collect()
}

/// The users by everything that they are looked up by.
struct Index<'a> {
    current: &'a Current,
    linked: Places<&'a DirectoryId>,
    /// Users whom another job on the same directory deactivated, since the person left its part of the tree.
    moved: Places<&'a DirectoryId>,
    by_id: HashMap<&'a EntityId, usize>,
    by_key: Places<Cow<'a, str>>,
}

impl<'a> Index<'a> {
    fn new(desired: &Desired, current: &'a Current, rules: &Rules) -> Self {
        let mut index = Self {
            current,
            linked: Places::default(),
            moved: Places::default(),
            by_id: HashMap::new(),
            by_key: Places::default(),
        };
        for (place, user) in current.users.iter().enumerate() {
            match &user.link {
                LinkFound::Link(link) if link.source == rules.source && desired.tells_of(&link.attribute) => index.linked.add(&link.id, place),
                LinkFound::Absent => {
                    index.by_id.insert(&user.id, place);
                    let key = match rules.users.adopt {
                        Adopt::Username => Some(&*user.username),
                        Adopt::Email => user.email.as_deref(),
                        Adopt::Never => None,
                    };
                    if let Some(key) = key.filter(|key| !key.is_empty()) {
                        index.by_key.add(fold(key), place);
                    }
                }
                LinkFound::Link(link) if has_moved(user, link, rules) && desired.tells_of(&link.attribute) => index.moved.add(&link.id, place),
                LinkFound::Link(_) | LinkFound::Unreadable => {}
            }
        }
        index
    }

    fn user(&self, place: usize) -> Option<&'a User> {
        self.current.users.get(place)
    }

    fn find(&self, id: &DirectoryId, person: &Person, rules: &Rules) -> Match {
        match self.linked.at(id) {
            [] => {}
            [place] => return Match::Linked(*place),
            several => return Match::LeftOut(format!("{} ftrack users carry its link: {}", several.len(), self.names(several))),
        }
        if let [place] = self.moved.at(id) {
            return Match::Linked(*place);
        }
        if let Some(place) = self.by_id.get(&created_id(&rules.source, id)) {
            return Match::Adopted(*place);
        }
        let key = match (rules.users.adopt, &person.email) {
            (Adopt::Username, _) => fold(&person.username),
            (Adopt::Email, Wanted::Text(email)) => fold(email),
            (Adopt::Email, Wanted::Keep | Wanted::Clear) | (Adopt::Never, _) => return Match::New,
        };
        match self.by_key.at(&*key) {
            [] => Match::New,
            [place] => self.adopt(*place, rules),
            several => Match::LeftOut(format!("{} ftrack users could be adopted for it: {}", several.len(), self.names(several))),
        }
    }

    fn adopt(&self, place: usize, rules: &Rules) -> Match {
        match self.user(place).and_then(|user| rules.adoption_refused(user).map(|reason| (user, reason))) {
            None => Match::Adopted(place),
            Some((user, reason)) => Match::LeftOut(format!("the ftrack user {:?} is not adopted: {reason}", user.username)),
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

/// Places by what they are looked up by: almost always one for each key, which takes no more than its entry in the table.
struct Places<K> {
    first: HashMap<K, usize>,
    /// All places of the keys that have several, by the first of them.
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
                self.several.entry(first).or_insert_with(|| vec![first]).push(place);
            }
        }
    }

    fn at<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> &[usize]
    where
        K: Borrow<Q>,
    {
        match self.first.get(key) {
            Some(first) => self.several.get(first).map_or(std::slice::from_ref(first), Vec::as_slice),
            None => &[],
        }
    }

    /// The places of each key that has several.
    fn into_several(self) -> impl Iterator<Item = Vec<usize>> {
        self.several.into_values()
    }
}

/// Whether a user was deactivated by another job on the same directory, and not since touched by anybody.
fn has_moved(user: &User, link: &Link, rules: &Rules) -> bool {
    let deactivated = matches!(link.activity, Activity::Deactivated { .. } | Activity::Deactivating { .. });
    !user.is_active && deactivated && rules.siblings.contains(&link.source)
}

/// Of entries that want one username, none gets it, and each names another.
fn leave_out_rivals_for_a_username(desired: &Desired, matches: &mut [Match]) {
    let mut wanted = Places::default();
    for (place, (_, person)) in desired.people().iter().enumerate() {
        wanted.add(fold(&person.username), place);
    }
    leave_out(desired, matches, wanted.into_several(), |person| format!("the username {:?}", person.username));
}

/// Of entries that show one directory id, none is the person; an attribute that the operator chose may be no identity.
fn leave_out_rivals_for_an_id(desired: &Desired, matches: &mut [Match]) {
    let mut place = 0;
    // People are ordered by directory id, so that those of one id stand together.
    for same in desired.people().chunk_by(|(one, _), (other, _)| one == other) {
        let places = place..place + same.len();
        place = places.end;
        if let [(id, _), _, ..] = same {
            leave_out(desired, matches, std::iter::once(places.collect()), |_| format!("the directory id {id}"));
        }
    }
}

/// Of entries that match one user, none gets it.
fn leave_out_rivals_for_a_user(desired: &Desired, current: &Current, matches: &mut [Match]) {
    let claims = |found: &Match| match found {
        Match::Linked(user) | Match::Adopted(user) => Some(*user),
        Match::New | Match::LeftOut(_) => None,
    };
    let mut claimed = Places::default();
    for (place, found) in matches.iter().enumerate() {
        if let Some(user) = claims(found) {
            claimed.add(user, place);
        }
    }
    for places in claimed.into_several() {
        let user = places.first().and_then(|place| matches.get(*place)).and_then(claims);
        let name = user
            .and_then(|user| current.users.get(user))
            .map(|user| user.username.clone())
            .unwrap_or_default();
        leave_out(desired, matches, std::iter::once(places), |_| format!("the ftrack user {name:?}"));
    }
}

fn leave_out(desired: &Desired, matches: &mut [Match], rivals: impl Iterator<Item = Vec<usize>>, what: impl Fn(&Person) -> String) {
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
                *slot = Match::LeftOut(format!("{} is also wanted by {}; none of them gets it", what(person), others.join(" and ")));
            }
        }
    }
}
