//! The links of the people of a reading.

use super::Matched;
use crate::{
    model::{
        entry::DirectoryId,
        id::IdAttribute,
        link::{Link, LinkContent, Signature},
        sent::{Invitation, Sent},
        user::User,
    },
    sync::desired::{Identified, Person},
};

impl Matched<'_> {
    /// The link for a person of this reading.
    pub(super) fn link(&self, id: &DirectoryId) -> Link {
        Link::new(id.clone(), self.content()).signed(self.rules.signature)
    }

    /// The content of the links of this reading.
    fn content(&self) -> LinkContent {
        let attribute = self.desired.id_attribute().cloned();
        LinkContent {
            directory: self.desired.directory().cloned(),
            ..LinkContent::of(
                self.rules.source.clone(),
                attribute.unwrap_or(IdAttribute::EntryUuid),
            )
        }
    }

    /// The link of a user that is created for a person of this reading.
    pub(super) fn first_link(&self, id: &DirectoryId) -> Link {
        let invites = self.rules.users.invite;
        let content = LinkContent {
            sent: Sent {
                invitation: invites.then_some(Invitation::Asked),
                picture: None,
            },
            ..self.content()
        };
        Link::new(id.clone(), content).signed(self.rules.signature)
    }

    /// The link that a person of this reading should have in place of the present one; as complete
    /// as possible.
    pub(super) fn settled(&self, (id, person): &Identified, user: &User, link: &Link) -> Link {
        let mut new = LinkContent {
            protected: self.protection(person, user, link),
            given: link.given.clone(),
            notes: link.notes.clone(),
            sent: self.sent(link),
            ..self.content()
        };
        if new.directory.is_none() {
            // Unknown parts are not written; they wait until the directory's id can be read.
            new.directory.clone_from(&link.directory);
            match link.signature {
                Signature::NotChecked | Signature::Valid => new.form = link.form,
                Signature::Invalid => {}
            }
        }
        Link::new(id.clone(), new).signed(self.rules.signature)
    }

    /// What is sent for a user that has a link, once it is settled.
    fn sent(&self, link: &Link) -> Sent {
        let invitation = match link.sent.invitation {
            Some(Invitation::Due) if !self.rules.users.invite => None,
            invitation => invitation.map(Invitation::settled),
        };
        Sent {
            invitation,
            picture: link.sent.picture.clone(),
        }
    }

    /// Whether a user is protected, as its link is to record it: by the login that it has when
    /// protection is first recorded, or when the patterns changed. None where its login, which no
    /// pattern matches, decides.
    pub(super) fn protection(&self, person: &Person, user: &User, link: &Link) -> Option<bool> {
        let is_protected = || self.rules.is_protected(&user.username);
        match link.protected {
            Some(recorded) if !self.known.is_protect_changed => Some(recorded),
            Some(_) | None if is_protected() => Some(true),
            // A login that matches a pattern from now on was given by the directory.
            Some(_) | None if self.rules.is_protected(&person.username) => Some(false),
            Some(_) | None => None,
        }
    }
}
