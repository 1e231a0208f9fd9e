//! What people rejected: it is not written until its cause has ended.

use std::collections::BTreeSet;

use crate::model::{
    change::Change, edit::Edit, open_hold::HeldPerson, open_hold::ShownEdit, reason::Cause,
    user::EntityId,
};

/// Rejected edits, each by its user and as a text of the edit and its cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected(BTreeSet<(EntityId, String)>);

impl Rejected {
    /// Adds one, by the text of [`Rejected::texts`].
    pub fn add(&mut self, user: EntityId, edit: String) {
        self.0.insert((user, edit));
    }

    /// Whether an edit of a change was rejected.
    #[must_use]
    pub fn has(&self, change: &Change, edit: &Edit) -> bool {
        !self.0.is_empty() && self.0.contains(&key(change, edit))
    }

    /// Those of them that are among the edits of these changes, and those that `stay` anyway.
    #[must_use]
    pub fn still<'c>(
        &self,
        due: impl Iterator<Item = &'c Change>,
        stay: impl Fn(&EntityId) -> bool,
    ) -> Self {
        let of_change = |change: &'c Change| {
            let edits = change.edits.iter();
            edits.map(move |edit| key(change, edit))
        };
        let due: BTreeSet<(EntityId, String)> = due.flat_map(of_change).collect();
        let all = self.0.iter();
        let still = all.filter(|rejected| due.contains(rejected) || stay(&rejected.0));
        Self(still.cloned().collect())
    }

    /// All of them: the user, and the text of the edit.
    pub fn iter(&self) -> impl Iterator<Item = (&EntityId, &str)> {
        self.0.iter().map(|(user, edit)| (user, edit.as_str()))
    }

    /// The edits of a held person as texts.
    pub fn texts(person: &HeldPerson) -> impl Iterator<Item = String> {
        let edits = person.edits.iter();
        edits.map(|edit| text(edit, person.cause))
    }
}

fn key(change: &Change, edit: &Edit) -> (EntityId, String) {
    let text = text(&ShownEdit::from(edit), change.reason.cause());
    (change.ftrack_id.clone(), text)
}

fn text(edit: &ShownEdit, cause: Option<Cause>) -> String {
    serde_json::to_string(&(edit, cause)).unwrap_or_default()
}
