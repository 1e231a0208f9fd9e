//! Compares people with the users that have their links, while the directory still answers: what
//! needs nobody else. It counts only with the complete reading that it is a part of. No I/O.

use foldhash::HashMap;

use super::{
    difference::{Sides, differences},
    person::{Alike, Mapped, Person},
    rules::Rules,
    written::Stage,
};
use crate::model::{
    entry::DirectoryId, id::IdAttribute, stored_value::StoredOtherwise, user::Current,
};

/// The users with links, all of whom were read, by their people.
#[derive(Debug)]
pub struct UsersByPerson<'a> {
    current: &'a Current,
    rules: &'a Rules,
    /// The place of the user; none where several have a link to one person.
    places: HashMap<&'a DirectoryId, Option<u32>>,
}

impl<'a> UsersByPerson<'a> {
    /// The users of a complete reading.
    #[must_use]
    pub fn new(current: &'a Current, rules: &'a Rules) -> Self {
        let mut places = HashMap::with_capacity_and_hasher(current.users.len(), Default::default());
        for (place, user) in current.users.iter().enumerate() {
            if let Some(link) = user.link.link() {
                let place = u32::try_from(place).ok();
                let known = places.entry(&link.id);
                known.and_modify(|known| *known = None).or_insert(place);
            }
        }
        Self {
            current,
            rules,
            places,
        }
    }

    /// Notes the user of the person with this id, if it has the person's values.
    pub fn compare(&self, attribute: &IdAttribute, id: &DirectoryId, mapped: &mut Mapped) {
        let Mapped::Person(person) = mapped else {
            return;
        };
        // Which of several values counts is settled later.
        if person.several.is_none()
            && let Some(place) = self.places.get(id).copied().flatten()
            && self.is_alike(attribute, place, person)
        {
            person.alike = Some(Alike(place));
        }
    }

    fn is_alike(&self, attribute: &IdAttribute, place: u32, person: &Person) -> bool {
        let Some(user) = Alike(place).user(self.current) else {
            return false;
        };
        let sides = Sides {
            current: self.current,
            known: &StoredOtherwise::default(),
            rules: &self.rules.written,
        };
        user.link
            .link()
            .is_some_and(|link| link.attribute == *attribute)
            && differences(person, user, sides, Stage::Existing).is_ok_and(|found| found.is_none())
    }
}
