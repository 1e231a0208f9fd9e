//! What people rejected: it is not written until its cause has ended. It stands in the user's link; of a
//! user that does not exist yet, and until the link could be written, in the state.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;

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

/// Rejected edits, each by its user and as a digest of the edit, its cause and its person: the same edit
/// of another person is another matter.
///
/// What earlier versions rejected names no person, and is anybody's.
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

    /// Those whose user and edit, by the text of [`Rejected::texts`], are among these; also where a link
    /// of an earlier version does not tell whose edit it is.
    #[must_use]
    pub fn among<'t>(&self, these: impl Iterator<Item = (&'t EntityId, &'t str)>) -> Self {
        let keys =
            these.flat_map(|(user, edit)| digests(edit).map(move |digest| (user.clone(), digest)));
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
        if self.0.is_empty() {
            return false;
        }
        let [of_person, of_anybody] = keys(change, edit);
        // Of what may have been rejected of the user's former person, only who gets the user is the new
        // one's.
        let is_anothers = *edit != Edit::Link && change.is_for_another_person();
        self.0.contains(&of_person) || (!is_anothers && self.0.contains(&of_anybody))
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
        // As nearly always; the changes may be many.
        if self.0.is_empty() {
            return Self::default();
        }
        let of_change = |change: &'c Change| {
            let edits = change.edits.iter();
            edits.flat_map(move |edit| keys(change, edit))
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

    /// An edit as text, in a change of the person with this directory id and with this cause; of anybody
    /// where the person is not known.
    #[must_use]
    pub fn text(edit: &ShownEdit, cause: Option<Cause>, person: Option<&str>) -> String {
        text(edit, cause, person)
    }

    /// The edits of a held person as texts.
    pub fn texts(person: &HeldPerson) -> impl Iterator<Item = String> {
        let of = Some(&*person.directory_id);
        let edits = person.edits.iter();
        edits.map(move |edit| text(edit, person.cause, of))
    }

    /// The same, and as earlier versions know them, which tell no person.
    pub fn known_texts(person: &HeldPerson) -> impl Iterator<Item = String> {
        let edits = person.edits.iter();
        Self::texts(person).chain(edits.map(|edit| text(edit, person.cause, None)))
    }

    /// An edit by its text, with its cause; none of one that cannot be read.
    #[must_use]
    pub fn shown(text: &str) -> Option<(ShownEdit, Option<Cause>)> {
        let of_person = serde_json::from_str::<(_, _, String)>(text);
        let of_person = of_person.map(|(edit, cause, _)| (edit, cause));
        of_person.or_else(|_| serde_json::from_str(text)).ok()
    }

    /// Whether the edit with this text is among these.
    #[must_use]
    pub fn is_among(text: &str, known: &[EditDigest]) -> bool {
        digests(text).any(|digest| known.contains(&digest))
    }
}

/// The digests by which an edit of a change may be known: that of the person's, and that of anybody's.
fn keys(change: &Change, edit: &Edit) -> [(EntityId, EditDigest); 2] {
    let (edit, cause) = (ShownEdit::from(edit), change.reason.cause());
    let persons = [Some(change.directory_id.as_str()), None];
    persons.map(|person| {
        let digest = EditDigest::of(&text(&edit, cause, person));
        (change.ftrack_id.clone(), digest)
    })
}

/// The digests by which an edit may be known, by its text.
fn digests(text: &str) -> impl Iterator<Item = EditDigest> + use<> {
    let anybodys = of_anybody(text).map(|text| EditDigest::of(&text));
    std::iter::once(EditDigest::of(text)).chain(anybodys)
}

/// The text without the person; none where it has none.
fn of_anybody(text: &str) -> Option<String> {
    let (_, _, person) = serde_json::from_str::<(IgnoredAny, IgnoredAny, String)>(text).ok()?;
    let person = serde_json::to_string(&person).ok()?;
    let edit_and_cause = text.strip_suffix(&format!(",{person}]"))?;
    Some(format!("{edit_and_cause}]"))
}

fn text(edit: &ShownEdit, cause: Option<Cause>, person: Option<&str>) -> String {
    let text = match person {
        Some(person) => serde_json::to_string(&(edit, cause, person)),
        None => serde_json::to_string(&(edit, cause)),
    };
    text.unwrap_or_default()
}
