//! What people rejected: it is not written until its cause has ended. It stands in the user's link; of a
//! user that does not exist yet, and until the link could be written, in the state.

use std::collections::BTreeSet;

use crate::model::{
    change::Change,
    edit::Edit,
    link::Signature,
    link_notes::EditDigest,
    open_hold::HeldPerson,
    own_links::OwnLinks,
    reason::Cause,
    shown_edit::ShownEdit,
    user::{Current, EntityId},
};

/// Rejected edits, each by its user and as a digest of the edit and its cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected(BTreeSet<(EntityId, EditDigest)>);

impl Rejected {
    /// Adds one, by the text of [`Rejected::texts`].
    pub fn add(&mut self, user: EntityId, edit: &str) {
        self.0.insert((user, EditDigest::of(edit)));
    }

    /// Adds what the links of a job's users say. A link that cannot be verified says nothing:
    /// everything that concerns its user is held.
    pub fn add_links(&mut self, current: &Current, own: &OwnLinks) {
        let links = own.users(current);
        for (user, link) in links.filter(|(_, link)| link.signature != Signature::Invalid) {
            let rejected = link.notes.rejected().iter();
            self.0.extend(rejected.map(|edit| (user.id.clone(), *edit)));
        }
    }

    /// The same, without others.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self(self.0.difference(&others.0).cloned().collect())
    }

    /// Those whose user and edit, by the text of [`Rejected::texts`], are among these.
    #[must_use]
    pub fn among<'t>(&self, these: impl Iterator<Item = (&'t EntityId, &'t str)>) -> Self {
        let keys = these.map(|(user, edit)| (user.clone(), EditDigest::of(edit)));
        Self(keys.filter(|key| self.0.contains(key)).collect())
    }

    /// Those of these users.
    #[must_use]
    pub fn of_users(&self, users: &BTreeSet<EntityId>) -> Self {
        let all = self.0.iter();
        Self(
            all.filter(|(user, _)| users.contains(user))
                .cloned()
                .collect(),
        )
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> BTreeSet<EntityId> {
        self.0.iter().map(|(user, _)| user.clone()).collect()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an edit of a change was rejected.
    #[must_use]
    pub fn has(&self, change: &Change, edit: &Edit) -> bool {
        !self.0.is_empty() && self.0.contains(&key(change, edit))
    }

    /// Whether it has the edit of a user with this text.
    #[must_use]
    pub fn has_text(&self, user: &EntityId, edit: &str) -> bool {
        self.0.contains(&(user.clone(), EditDigest::of(edit)))
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
        let due: BTreeSet<(EntityId, EditDigest)> = due.flat_map(of_change).collect();
        let all = self.0.iter();
        let still = all.filter(|rejected| due.contains(rejected) || stay(&rejected.0));
        Self(still.cloned().collect())
    }

    /// Those of a user, in order.
    #[must_use]
    pub fn of_user(&self, user: &EntityId) -> Vec<EditDigest> {
        let first = (user.clone(), EditDigest::FIRST);
        let all = self.0.range(first..);
        all.take_while(|(of, _)| of == user)
            .map(|(_, edit)| *edit)
            .collect()
    }

    /// Those that the links of these users do not say.
    #[must_use]
    pub fn without_links(&self, current: &Current, own: &OwnLinks) -> Self {
        let mut said = Self::default();
        said.add_links(current, own);
        Self(self.0.difference(&said.0).cloned().collect())
    }

    /// An edit as text, in a change with this cause.
    #[must_use]
    pub fn text(edit: &ShownEdit, cause: Option<Cause>) -> String {
        text(edit, cause)
    }

    /// The edits of a held person as texts.
    pub fn texts(person: &HeldPerson) -> impl Iterator<Item = String> {
        let edits = person.edits.iter();
        edits.map(|edit| text(edit, person.cause))
    }
}

fn key(change: &Change, edit: &Edit) -> (EntityId, EditDigest) {
    let text = text(&ShownEdit::from(edit), change.reason.cause());
    (change.ftrack_id.clone(), EditDigest::of(&text))
}

fn text(edit: &ShownEdit, cause: Option<Cause>) -> String {
    serde_json::to_string(&(edit, cause)).unwrap_or_default()
}
