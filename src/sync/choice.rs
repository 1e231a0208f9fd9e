//! The values of rules that give several. No I/O.

use crate::model::entry::{Kept, of_bytes};

/// Where the value of a rule is put in a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Username,
    Email,
    FirstName,
    LastName,
    FullName,
    /// The custom attribute at this index of the mapping's keys.
    Custom(usize),
}

/// What is known of the values of an entry beyond those in use; most entries have nothing of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Several {
    /// LDAP attributes with several values.
    pub attributes: Vec<Box<str>>,
    /// LDAP attributes that are ignored, since no value of them is text.
    pub not_text: Vec<Box<str>>,
    /// The rules that give several values.
    pub choices: Vec<Choice>,
}

/// The values of one rule: each once, two at least, first the one for a new user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub(super) place: Place,
    pub(super) values: Vec<Box<str>>,
}

impl Kept for Several {
    fn size(&self) -> usize {
        let names = self.attributes.iter().chain(&self.not_text);
        let values = self.choices.iter().flat_map(|choice| &choice.values);
        let texts = names.chain(values);
        size_of::<Self>()
            + size_of_val(&*self.choices)
            + texts
                .map(|text| size_of::<Box<str>>() + of_bytes(text.len()))
                .sum::<usize>()
    }
}

/// The first and last name of a full name: the parts before and after the last space; a single word
/// is a first name without a last name.
pub(super) fn split_at_last_space(full: &str) -> (&str, &str) {
    full.rsplit_once(' ').unwrap_or((full, ""))
}
