//! The links of the people of a reading.

use super::Matched;
use crate::{
    model::{
        entry::DirectoryId,
        given::Given,
        id::IdAttribute,
        link::{Activity, Form, Link, Signature},
        link_notes::LinkNotes,
        sent::{Invitation, Sent},
        user::User,
    },
    sync::desired::{Identified, Person},
};

impl Matched<'_> {
    /// The link for a person of this reading.
    pub(super) fn link(&self, id: &DirectoryId) -> Link {
        Link {
            source: self.rules.source.clone(),
            directory: self.desired.directory().cloned(),
            id: id.clone(),
            attribute: self
                .desired
                .id_attribute()
                .cloned()
                .unwrap_or(IdAttribute::EntryUuid),
            activity: Activity::Settled,
            protected: None,
            given: Given::default(),
            notes: LinkNotes::default(),
            sent: Sent::default(),
            form: Form::Current,
            signature: self.rules.signature,
        }
    }

    /// The link of a user that is created for a person of this reading.
    pub(super) fn first_link(&self, id: &DirectoryId) -> Link {
        let invites = self.rules.users.invite;
        Link {
            sent: Sent {
                invitation: invites.then_some(Invitation::Asked),
                picture: None,
            },
            ..self.link(id)
        }
    }

    /// The link that a person of this reading should have in place of the present one; as complete
    /// as possible.
    pub(super) fn settled(&self, (id, person): &Identified, user: &User, link: &Link) -> Link {
        let new = Link {
            protected: self.protection(person, user, link),
            given: link.given.clone(),
            notes: link.notes.clone(),
            sent: self.sent(link),
            ..self.link(id)
        };
        match (&new.directory, link.signature) {
            // Unknown parts are not written; they wait until the directory's id can be read.
            (None, Signature::NotChecked | Signature::Valid) => Link {
                directory: link.directory.clone(),
                form: link.form,
                ..new
            },
            (None, Signature::Invalid) => Link {
                directory: link.directory.clone(),
                ..new
            },
            (Some(_), _) => new,
        }
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
