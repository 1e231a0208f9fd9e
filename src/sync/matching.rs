//! Finds each person's user: by the link first, then by what may be adopted, never two people for one user.

use std::collections::{BTreeMap, HashMap};

use crate::{
    config::Adopt,
    directory::entry::DirectoryId,
    ftrack::user::{Current, EntityId, LinkFound, User},
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

/// The users by everything that they are looked up by.
struct Index<'a> {
    current: &'a Current,
    linked: HashMap<&'a DirectoryId, Vec<usize>>,
    by_id: HashMap<&'a EntityId, usize>,
    by_key: HashMap<String, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(desired: &Desired, current: &'a Current, rules: &Rules) -> Self {
        let mut index = Self {
            current,
            linked: HashMap::new(),
            by_id: HashMap::new(),
            by_key: HashMap::new(),
        };
        for (place, user) in current.users.iter().enumerate() {
            match &user.link {
                LinkFound::Link(link) if link.source == rules.source && desired.tells_of(&link.attribute) => {
                    index.linked.entry(&link.id).or_default().push(place)
                }
                LinkFound::Absent => {
                    index.by_id.insert(&user.id, place);
                    let key = match rules.users.adopt {
                        Adopt::Username => Some(&*user.username),
                        Adopt::Email => user.email.as_deref(),
                        Adopt::Never => None,
                    };
                    if let Some(key) = key.filter(|key| !key.is_empty()) {
                        index.by_key.entry(fold(key)).or_default().push(place);
                    }
                }
                LinkFound::Link(_) | LinkFound::Unreadable => {}
            }
        }
        index
    }

    fn user(&self, place: usize) -> Option<&'a User> {
        self.current.users.get(place)
    }

    fn find(&self, id: &DirectoryId, person: &Person, rules: &Rules) -> Match {
        match self.linked.get(id).map(Vec::as_slice) {
            Some([place]) => return Match::Linked(*place),
            Some(several @ [_, ..]) => return Match::LeftOut(format!("{} ftrack users carry its link: {}", several.len(), self.names(several))),
            Some([]) | None => {}
        }
        if let Some(place) = self.by_id.get(&created_id(&rules.source, id)) {
            return Match::Adopted(*place);
        }
        let key = match (rules.users.adopt, &person.email) {
            (Adopt::Username, _) => fold(&person.username),
            (Adopt::Email, Wanted::Text(email)) => fold(email),
            (Adopt::Email, Wanted::Keep | Wanted::Clear) | (Adopt::Never, _) => return Match::New,
        };
        match self.by_key.get(&key).map(Vec::as_slice) {
            None | Some([]) => Match::New,
            Some([place]) => self.adopt(*place, rules),
            Some(several) => Match::LeftOut(format!("{} ftrack users could be adopted for it: {}", several.len(), self.names(several))),
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

/// Of entries that want one username, none gets it, and each names another.
fn leave_out_rivals_for_a_username(desired: &Desired, matches: &mut [Match]) {
    let mut wanted: HashMap<String, Vec<usize>> = HashMap::with_capacity(matches.len());
    for (place, (_, person)) in desired.people().iter().enumerate() {
        wanted.entry(fold(&person.username)).or_default().push(place);
    }
    let rivals = wanted.into_values().filter(|places| places.len() > 1);
    leave_out(desired, matches, rivals, |person| format!("the username {:?}", person.username));
}

/// Of entries that show one directory id, none is the person; an attribute that the operator chose may be no identity.
fn leave_out_rivals_for_an_id(desired: &Desired, matches: &mut [Match]) {
    let mut shown: BTreeMap<&DirectoryId, Vec<usize>> = BTreeMap::new();
    for (place, (id, _)) in desired.people().iter().enumerate() {
        shown.entry(id).or_default().push(place);
    }
    for (id, places) in shown.into_iter().filter(|(_, places)| places.len() > 1) {
        leave_out(desired, matches, std::iter::once(places), |_| format!("the directory id {id}"));
    }
}

/// Of entries that match one user, none gets it.
fn leave_out_rivals_for_a_user(desired: &Desired, current: &Current, matches: &mut [Match]) {
    let mut claimed: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (place, found) in matches.iter().enumerate() {
        match found {
            Match::Linked(user) | Match::Adopted(user) => claimed.entry(*user).or_default().push(place),
            Match::New | Match::LeftOut(_) => {}
        }
    }
    for (user, places) in claimed.into_iter().filter(|(_, places)| places.len() > 1) {
        let name = current.users.get(user).map(|user| user.username.clone()).unwrap_or_default();
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
