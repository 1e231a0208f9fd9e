//! Whose changes are held until a person approves them or their cause ends.

use std::collections::BTreeMap;

use crate::model::{change::HeldBy, change_kind::ChangeKind, entry::DirectoryId};

/// The people whose changes were held, by what holds them and the kind of change. Time alone
/// releases none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldPeople(BTreeMap<(HeldBy, ChangeKind), BTreeMap<String, String>>);

impl HeldPeople {
    /// Adds a person by directory id, with the cause, which may be empty.
    pub fn add(&mut self, by: HeldBy, kind: ChangeKind, id: &str, cause: &str) {
        let people = self.0.entry((by, kind)).or_default();
        people.insert(id.to_owned(), cause.to_owned());
    }

    /// The cause for which a person's change is held; none where it is not.
    #[must_use]
    pub fn cause(&self, by: HeldBy, kind: ChangeKind, id: &DirectoryId) -> Option<&str> {
        let cause = self.0.get(&(by, kind))?.get(id.as_str())?;
        Some(cause)
    }

    /// All of them: what holds the change, its kind, the directory id, and the cause.
    pub fn iter(&self) -> impl Iterator<Item = (HeldBy, ChangeKind, &str, &str)> {
        self.0.iter().flat_map(|((by, kind), people)| {
            people
                .iter()
                .map(|(id, cause)| (*by, *kind, id.as_str(), cause.as_str()))
        })
    }
}
