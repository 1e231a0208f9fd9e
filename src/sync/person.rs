//! A person as ftrack should show them, and what an entry is when it shows none.

use std::ptr;

use super::choice::{Place, Several, split_at_last_space};
use crate::{
    config::WhenAbsent,
    model::{
        entry::{DirectoryId, Kept, of_bytes},
        reason::Reason,
        user::{Current, User},
    },
};

/// A person as ftrack should show them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Person {
    pub dn: Box<str>,
    /// Never empty.
    pub username: Box<str>,
    pub email: DesiredValue,
    pub first_name: DesiredValue,
    pub last_name: DesiredValue,
    /// In the order of the mapping's keys.
    pub custom: Box<[DesiredValue]>,
    /// What is known of values beyond those above; once users are matched, the values of attributes
    /// that take several.
    pub several: Option<Box<Several>>,
    /// The user with just these values, where that was found out while the directory was read.
    pub alike: Option<Alike>,
}

/// The user with a person's link, by its place among all users, where it has just the person's
/// values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alike(pub(super) u32);

impl Alike {
    /// The user, of the reading with which the person was compared.
    pub(super) fn user(self, current: &Current) -> Option<&User> {
        let Self(place) = self;
        current.users.get(usize::try_from(place).ok()?)
    }
}

impl Person {
    /// The only user with a link to the person of this id, where it was found out early that it has
    /// the person's values; `current` is the reading with which the person was compared.
    pub(super) fn alike_user<'c>(
        &self,
        id: &DirectoryId,
        current: &'c Current,
    ) -> Option<&'c User> {
        let user = self.alike?.user(current)?;
        let link = user.link.link()?;
        (link.id == *id).then_some(user)
    }

    /// Whether it was found out early that this user has the person's values.
    pub(super) fn is_alike(&self, user: &User, current: &Current) -> bool {
        let found = self.alike.and_then(|alike| alike.user(current));
        found.is_some_and(|found| ptr::eq(found, user))
    }

    /// A person without any values.
    #[must_use]
    pub fn unmapped(dn: &str, custom: usize) -> Self {
        Self {
            dn: dn.into(),
            username: "".into(),
            email: DesiredValue::Keep,
            first_name: DesiredValue::Keep,
            last_name: DesiredValue::Keep,
            custom: vec![DesiredValue::Keep; custom].into(),
            several: None,
            alike: None,
        }
    }

    /// Puts a value in its field.
    pub(super) fn put(&mut self, place: Place, value: &str) {
        let text = |text: &str| DesiredValue::Text(text.into());
        match place {
            Place::Username => self.username = value.into(),
            Place::Email => self.email = text(value),
            Place::FirstName => self.first_name = text(value),
            Place::LastName => self.last_name = text(value),
            Place::FullName => {
                let (first, last) = split_at_last_space(value);
                self.first_name = text(first);
                self.last_name = text(last);
            }
            Place::Custom(index) => {
                if let Some(slot) = self.custom.get_mut(index) {
                    *slot = text(value);
                }
            }
        }
    }

    /// The values of the custom attribute at this index, where they are several and it takes them all.
    pub fn several_of(&self, index: usize) -> Option<impl Iterator<Item = &str>> {
        let choices = self.several.iter().flat_map(|several| &several.choices);
        let choice = choices
            .into_iter()
            .find(|choice| choice.place == Place::Custom(index))?;
        Some(choice.values.iter().map(|value| &**value))
    }

    /// Whether the directory shows a value for the field.
    pub(super) fn has(&self, place: Place) -> bool {
        let is_text = |value: &DesiredValue| matches!(value, DesiredValue::Text(_));
        match place {
            Place::Username => !self.username.is_empty(),
            Place::Email => is_text(&self.email),
            Place::FirstName | Place::FullName => is_text(&self.first_name),
            Place::LastName => is_text(&self.last_name),
            Place::Custom(index) => self.custom.get(index).is_some_and(is_text),
        }
    }

    /// What happens to the field when the directory shows no value.
    pub(super) fn leave(&mut self, place: Place, when_absent: WhenAbsent) {
        let absent = match when_absent {
            WhenAbsent::Keep => DesiredValue::Keep,
            WhenAbsent::Clear => DesiredValue::Clear,
        };
        match place {
            Place::Username => {}
            Place::Email => self.email = absent,
            Place::FirstName => self.first_name = absent,
            Place::LastName => self.last_name = absent,
            Place::FullName => {
                self.first_name = absent.clone();
                self.last_name = absent;
            }
            Place::Custom(index) => {
                if let Some(slot) = self.custom.get_mut(index) {
                    *slot = absent;
                }
            }
        }
    }
}

/// A person with the directory id.
pub type Identified = (DirectoryId, Person);

/// The desired value of a user's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesiredValue {
    /// Unchanged: absent is not empty.
    Keep,
    Clear,
    Text(Box<str>),
}

impl DesiredValue {
    fn size(&self) -> usize {
        match self {
            Self::Keep | Self::Clear => 0,
            Self::Text(text) => of_bytes(text.len()),
        }
    }
}

/// An entry that shows no person who could have a user; its person is still present.
#[derive(Debug, Clone, PartialEq)]
pub struct SkippedEntry {
    /// The entry's DN.
    pub dn: Box<str>,
    /// What identifies it, where it shows that.
    pub id: Option<DirectoryId>,
    /// The login that it asks for, where it shows one.
    pub username: Option<Box<str>>,
    /// Why.
    pub reason: Reason,
}

/// The result of mapping one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// A person who should have a user.
    Person(Person),
    /// A skipped entry; its person is still present.
    Skipped {
        /// The entry's DN.
        dn: Box<str>,
        /// The login that it asks for, where it shows one.
        username: Option<Box<str>>,
        /// Why.
        reason: Reason,
    },
    /// An alias entry, which is nobody; it counts in no limit.
    Alias {
        /// The entry's DN.
        dn: Box<str>,
    },
}

impl Mapped {
    /// The DN, and the login where there is one.
    #[must_use]
    pub fn into_names(self) -> (Box<str>, Option<Box<str>>) {
        match self {
            Self::Person(Person { dn, username, .. }) => (dn, Some(username)),
            Self::Skipped { dn, username, .. } => (dn, username),
            Self::Alias { dn } => (dn, None),
        }
    }
}

impl Kept for Mapped {
    fn size(&self) -> usize {
        let own = match self {
            Self::Person(person) => {
                let values = [&person.email, &person.first_name, &person.last_name];
                let values = values.into_iter().chain(&person.custom);
                let texts = [&person.dn, &person.username].into_iter();
                let several = person.several.as_deref().map_or(0, Kept::size);
                several
                    + values.map(DesiredValue::size).sum::<usize>()
                    + texts.map(|text| of_bytes(text.len())).sum::<usize>()
                    + size_of_val(&*person.custom)
            }
            Self::Skipped {
                dn,
                username,
                reason,
            } => {
                let words =
                    if let Reason::InvalidValue(words) | Reason::MissingValue(words) = reason {
                        words.len()
                    } else {
                        0
                    };
                let username = username.as_ref().map_or(0, |username| username.len());
                of_bytes(dn.len()) + of_bytes(words) + of_bytes(username)
            }
            Self::Alias { dn } => of_bytes(dn.len()),
        };
        size_of::<Self>() + own
    }
}
