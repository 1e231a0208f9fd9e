//! Rules that give several values, since LDAP attributes are sets: what ftrack has is kept as long
//! as it is among them. No I/O.

use foldhash::{HashMap, HashMapExt};

use super::{
    choice::{Choice, Place, Several, split_at_last_space},
    custom,
    desired::{Desired, DesiredValue, Identified, Person},
    rules::{Rules, fold},
};
use crate::{
    config::Adopt,
    model::{
        custom_kind::CustomKind,
        edit::Attribute,
        entry::DirectoryId,
        user::{Current, User},
    },
};

/// The state in which it is settled which of several values people have: what their users have, if it is among them.
/// Custom attributes that take several get them all.
///
/// A person without a user is known by any of the values by which users are adopted, if they lead
/// to one user. Everything after this step, such as the search for rivals, sees only the settled
/// value.
#[must_use]
pub fn settled(mut desired: Desired, current: &Current, rules: &Rules) -> Desired {
    settle(desired.people_mut(), current, rules.users.adopt);
    let all = current.custom_attributes.iter().zip(&current.custom_kinds);
    let taking_several: Vec<Attribute> = all
        .filter(|(_, kind)| kind.has_several())
        .map(|((key, _), _)| Attribute::Custom(key.clone()))
        .collect();
    desired.note_several(&rules.written.sources_of(&taking_several));
    desired
}

fn settle(people: &mut [Identified], current: &Current, adopt: Adopt) {
    if people.iter().all(|(_, person)| person.several.is_none()) {
        return;
    }
    let users = Users::new(people, current, adopt);
    for (id, person) in people {
        let Some(several) = person.several.take() else {
            continue;
        };
        let user = users.of(id, person, &several.choices);
        let mut all_used = Vec::new();
        for choice in several.choices {
            if choice.kind(current).is_some_and(CustomKind::has_several) {
                all_used.push(choice);
            } else if let Some(value) = choice.settled(user, current) {
                person.put(choice.place, value);
            }
        }
        if !all_used.is_empty() {
            person.several = Some(Box::new(Several {
                choices: all_used,
                ..Several::default()
            }));
        }
    }
}

/// The users of people with choices.
struct Users<'a> {
    linked: HashMap<&'a DirectoryId, &'a User>,
    /// Users without an owner, by the folded value by which they are adopted; none where several
    /// have it.
    adoptable: HashMap<String, Option<&'a User>>,
    adopt: Adopt,
}

impl<'a> Users<'a> {
    fn new(people: &[Identified], current: &'a Current, adopt: Adopt) -> Self {
        let with_choices = |(_, person): &&Identified| person.several.is_some();
        let ids: std::collections::HashSet<&DirectoryId> = people
            .iter()
            .filter(with_choices)
            .map(|(id, _)| id)
            .collect();
        let mut users = Self {
            linked: HashMap::new(),
            adoptable: HashMap::new(),
            adopt,
        };
        for user in &current.users {
            if let Some(link) = user.link.link() {
                if ids.contains(&link.id) {
                    users.linked.entry(&link.id).or_insert(user);
                }
            } else if user.link.is_none() {
                let key = match adopt {
                    Adopt::Username => Some(&*user.username),
                    Adopt::Email => user.email.as_deref(),
                    Adopt::Never => None,
                };
                if let Some(key) = key {
                    let others = users.adoptable.entry(fold(key).into_owned());
                    others.and_modify(|user| *user = None).or_insert(Some(user));
                }
            }
        }
        users
    }

    /// The person's user: the one with the link, or the only one that could be adopted.
    fn of(&self, id: &DirectoryId, person: &Person, choices: &[Choice]) -> Option<&'a User> {
        if let Some(user) = self.linked.get(id) {
            return Some(user);
        }
        let (place, used) = match (self.adopt, &person.email) {
            (Adopt::Username, _) => (Place::Username, Some(&person.username)),
            (Adopt::Email, DesiredValue::Text(mail)) => (Place::Email, Some(mail)),
            (Adopt::Email, DesiredValue::Keep | DesiredValue::Clear) => (Place::Email, None),
            (Adopt::Never, _) => return None,
        };
        let at = |value: &str| self.adoptable.get(&*fold(value)).copied().flatten();
        if let Some(user) = used.and_then(|value| at(value)) {
            return Some(user);
        }
        let choice = choices.iter().find(|choice| choice.place == place)?;
        let mut found = choice.values.iter().filter_map(|value| at(value));
        found
            .next()
            .filter(|first| found.all(|user| user.id == first.id))
    }
}

impl Choice {
    /// The value that the user has, exactly or in the form in which logins are compared; otherwise
    /// the first that ftrack can take. `None` where the first is used, as mapped.
    fn settled(&self, user: Option<&User>, current: &Current) -> Option<&str> {
        let is_held = |value: &&str| user.is_some_and(|user| self.is_held(user, value, current));
        let is_alike = |value: &&str| user.is_some_and(|user| self.is_alike(user, value));
        let values = || self.values.iter().map(|value| &**value);
        let held = values().find(is_held).or_else(|| values().find(is_alike));
        held.or_else(|| values().find(|value| self.fits(value, current)))
    }

    fn is_held(&self, user: &User, value: &str, current: &Current) -> bool {
        match self.texts(user, value) {
            Some(pairs) => pairs.iter().all(|(shown, value)| shown == value),
            None => match self.custom(user, current) {
                Some((kind, old)) => {
                    custom::value(kind, old, value).is_ok_and(|new| custom::equal(&new, old))
                }
                None => false,
            },
        }
    }

    fn is_alike(&self, user: &User, value: &str) -> bool {
        self.texts(user, value).is_some_and(|pairs| {
            pairs
                .iter()
                .all(|(shown, value)| fold(shown) == fold(value))
        })
    }

    /// Whether ftrack can take the value.
    fn fits(&self, value: &str, current: &Current) -> bool {
        let kind = self.kind(current);
        kind.is_none_or(|kind| custom::value(kind, &serde_json::Value::Null, value).is_ok())
    }

    /// The kind of the custom attribute that it is for, if it is for one.
    fn kind<'c>(&self, current: &'c Current) -> Option<&'c CustomKind> {
        let Place::Custom(index) = self.place else {
            return None;
        };
        current
            .custom_kinds
            .get(index)
            .or(Some(&CustomKind::Unknown))
    }

    /// What the user has beside what it would get, where both are text.
    fn texts<'v>(&self, user: &'v User, value: &'v str) -> Option<Vec<(&'v str, &'v str)>> {
        let text = |shown: &'v Option<Box<str>>| shown.as_deref().unwrap_or_default();
        Some(match self.place {
            Place::Username => vec![(&*user.username, value)],
            Place::Email => vec![(text(&user.email), value)],
            Place::FirstName => vec![(text(&user.first_name), value)],
            Place::LastName => vec![(text(&user.last_name), value)],
            Place::FullName => {
                let (first, last) = split_at_last_space(value);
                vec![
                    (text(&user.first_name), first),
                    (text(&user.last_name), last),
                ]
            }
            Place::Custom(_) => return None,
        })
    }

    fn custom<'v>(
        &self,
        user: &'v User,
        current: &'v Current,
    ) -> Option<(&'v CustomKind, &'v serde_json::Value)> {
        let Place::Custom(index) = self.place else {
            return None;
        };
        Some((self.kind(current)?, user.custom_values.get(index)?))
    }
}
