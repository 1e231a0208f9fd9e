//! The link: a `Metadata` row of a user that says who owns the user. No I/O.
//!
//! It is stored as JSON in ftrack itself, so that a lost local state loses nothing. Versions:
//!
//! | version | contains |
//! |---|---|
//! | none | source, directory id, attribute, activity |
//! | 2 | also the ids of its user and of the directory, a mark of the run that made it, a signature where `ftrack.link_key_file` is set, and the ids of the roles and groups that were given (absent in links of earlier programs: none), since when the person has been missing, and digests of the edits that a person rejected, and what was sent for the user (likewise) |
//!
//! What `unlink` leaves in its place is such a link with the activity `unlinked`, which programs before
//! that cannot read: they leave the user alone, and give its person no other.

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{
    entry::{DirectoryId, of_bytes},
    given::Given,
    id::IdAttribute,
    link_notes::LinkNotes,
    sent::Sent,
};

/// The key of the `Metadata` row that contains a user's link.
pub const LINK_KEY: &str = "ftrack-ldap-sync";

/// The content of a user's metadata under [`LINK_KEY`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFound {
    /// Nothing: the user has no owner.
    Absent,
    /// A readable link, which names its own user if it names one.
    Link(Link),
    /// What a person left in place of a link by `unlink`: the user has no owner, and neither the user
    /// nor the person that it names is touched until a person links them again.
    Unlinked(Link),
    /// A link that names another user, so that somebody moved or copied it: it counts as none.
    OfAnotherUser,
    /// Something that is not a link, or a link of a newer version; the user is left alone and
    /// reported.
    Unreadable,
}

impl LinkFound {
    /// The link, if it is trusted.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        match self {
            Self::Link(link) => Some(link),
            Self::Absent | Self::Unlinked(_) | Self::OfAnotherUser | Self::Unreadable => None,
        }
    }

    /// What `unlink` left in place of the link.
    #[must_use]
    pub fn unlinked(&self) -> Option<&Link> {
        match self {
            Self::Unlinked(link) => Some(link),
            Self::Absent | Self::Link(_) | Self::OfAnotherUser | Self::Unreadable => None,
        }
    }

    /// The link, or what `unlink` left of it: whom the user is, or was, tied to.
    #[must_use]
    pub fn tie(&self) -> Option<&Link> {
        self.link().or_else(|| self.unlinked())
    }

    /// Whether the user may become a person's: it has no owner, and no person said that it is to have
    /// none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        match self {
            Self::Absent | Self::OfAnotherUser => true,
            Self::Link(_) | Self::Unlinked(_) | Self::Unreadable => false,
        }
    }

    /// Whether there is a row that a new link must replace.
    #[must_use]
    pub fn is_row(&self) -> bool {
        *self != Self::Absent
    }
}

/// The owner of a user: which entry of which directory, in which source, and what the program last did
/// to the user's activity.
///
/// There are as many as users, and what most of them say beside the id is the same: they share it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "FlatLink", from = "FlatLink")]
pub struct Link {
    /// The id of the person's entry.
    pub id: DirectoryId,
    content: Arc<LinkContent>,
    /// Whether it can be verified.
    pub signature: Signature,
}

/// What a link says beside whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkContent {
    /// The source of the job that owns the user.
    pub source: Arc<str>,
    /// The id of the directory: of the naming context's own entry, or as configured. Absent in
    /// links of earlier versions, and where it is not known.
    pub directory: Option<Arc<str>>,
    /// The attribute that the id comes from.
    pub attribute: IdAttribute,
    /// What the program last did to the user's activity.
    pub activity: Activity,
    /// Whether the user is protected, whatever its login is now; absent where its login decides.
    pub protected: Option<bool>,
    /// The security roles and memberships that the program gave the user, or is about to give.
    pub given: Given,
    /// What it says beside who owns the user.
    pub notes: LinkNotes,
    /// What was sent for the user.
    pub sent: Sent,
    /// Whether it names its user.
    pub form: Form,
}

/// How many contents of links are remembered for the next links, in each thread.
const REMEMBERED: usize = 8;

thread_local! {
    /// The last contents, and the place of the one that is forgotten next.
    static LAST: RefCell<(Vec<Arc<LinkContent>>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

impl LinkContent {
    /// The content of a source's links that say nothing of the directory or the user.
    #[must_use]
    pub fn of(source: Arc<str>, attribute: IdAttribute) -> Self {
        Self {
            source,
            directory: None,
            attribute,
            activity: Activity::Settled,
            protected: None,
            given: Given::default(),
            notes: LinkNotes::default(),
            sent: Sent::default(),
            form: Form::Current,
        }
    }

    /// The same, shared with one of the last links that say just that; and whether there was none.
    fn shared(self) -> (Arc<Self>, bool) {
        LAST.with_borrow_mut(|(last, next)| {
            if let Some(same) = last.iter().find(|content| ***content == self) {
                return (Arc::clone(same), false);
            }
            let new = Arc::new(self);
            match last.get_mut(*next) {
                Some(place) => *place = Arc::clone(&new),
                None => last.push(Arc::clone(&new)),
            }
            *next = (*next + 1) % REMEMBERED;
            (new, true)
        })
    }

    /// The memory that it takes, in bytes.
    fn size(&self) -> usize {
        let since = self.activity.deactivated_since();
        let attribute = match &self.attribute {
            IdAttribute::EntryUuid
            | IdAttribute::ObjectGuid
            | IdAttribute::NsUniqueId
            | IdAttribute::IpaUniqueId => None,
            IdAttribute::Other(name) => Some(name.as_str()),
        };
        let texts = [
            Some(&*self.source),
            self.directory.as_deref(),
            since,
            attribute,
        ];
        let texts = texts.into_iter().flatten();
        of_bytes(size_of::<Self>())
            + texts.map(|text| of_bytes(text.len())).sum::<usize>()
            + self.given.heap_size()
            + self.notes.heap_size()
            + self.sent.heap_size()
    }
}

impl Deref for Link {
    type Target = LinkContent;

    fn deref(&self) -> &LinkContent {
        &self.content
    }
}

impl DerefMut for Link {
    fn deref_mut(&mut self) -> &mut LinkContent {
        Arc::make_mut(&mut self.content)
    }
}

impl Link {
    /// The link to the person with this id, which is not signed.
    #[must_use]
    pub fn new(id: DirectoryId, content: LinkContent) -> Self {
        Self::measured(id, content).0
    }

    /// The same, and the memory that it takes besides itself and what it shares with an earlier link,
    /// in bytes.
    pub(super) fn measured(id: DirectoryId, content: LinkContent) -> (Self, usize) {
        let (content, is_new) = content.shared();
        let own = if is_new { content.size() } else { 0 };
        let size = id.heap_size() + own;
        let link = Self {
            id,
            content,
            signature: Signature::NotChecked,
        };
        (link, size)
    }

    /// The same link with another content.
    #[must_use]
    pub fn with(self, change: impl FnOnce(&mut LinkContent)) -> Self {
        let mut content = Arc::unwrap_or_clone(self.content);
        change(&mut content);
        Self {
            content: content.shared().0,
            ..self
        }
    }

    /// The same link with a signature in this state.
    #[must_use]
    pub fn signed(self, signature: Signature) -> Self {
        Self { signature, ..self }
    }

    /// Whether two links of one user are the same, whatever else they say of the person.
    #[must_use]
    pub fn is_same_but_for_notes(&self, other: &Self) -> bool {
        self.activity == other.activity && self.differs_in_activity_alone(other)
    }

    /// Whether two links of one user are the same but for the activity, and for what else they say of
    /// the person.
    #[must_use]
    pub fn differs_in_activity_alone(&self, other: &Self) -> bool {
        // Each run compares everybody's, so that none is copied; every part is named, so that none is
        // forgotten.
        let Self {
            id,
            content,
            signature,
        } = self;
        let LinkContent {
            source,
            directory,
            attribute,
            activity: _,
            protected,
            given,
            notes: _,
            sent,
            form,
        } = &**content;
        let rest = &*other.content;
        *id == other.id
            && *signature == other.signature
            && *source == rest.source
            && *directory == rest.directory
            && *attribute == rest.attribute
            && *protected == rest.protected
            && *given == rest.given
            && *sent == rest.sent
            && *form == rest.form
    }
}

#[cfg(test)]
impl Link {
    /// A link of the job `artists` to one person, with this activity.
    pub fn for_tests(activity: Activity) -> Self {
        let content = LinkContent {
            directory: Some("d-1".into()),
            activity,
            ..LinkContent::of("artists".into(), IdAttribute::EntryUuid)
        };
        Self::new(
            DirectoryId::new("p-1").unwrap_or_else(|| unreachable!("it is an id")),
            content,
        )
    }
}

/// A link as it is saved.
#[derive(Serialize, Deserialize)]
struct FlatLink {
    source: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    directory: Option<Arc<str>>,
    #[serde(with = "directory_id")]
    id: DirectoryId,
    attribute: IdAttribute,
    #[serde(flatten)]
    activity: Activity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protected: Option<bool>,
    #[serde(flatten)]
    given: Given,
    #[serde(default, skip_serializing_if = "LinkNotes::is_empty")]
    notes: LinkNotes,
    #[serde(default, skip_serializing_if = "Sent::is_nothing")]
    sent: Sent,
}

impl From<Link> for FlatLink {
    fn from(link: Link) -> Self {
        let LinkContent {
            source,
            directory,
            attribute,
            activity,
            protected,
            given,
            notes,
            sent,
            form: _,
        } = Arc::unwrap_or_clone(link.content);
        Self {
            source,
            directory,
            id: link.id,
            attribute,
            activity,
            protected,
            given,
            notes,
            sent,
        }
    }
}

impl From<FlatLink> for Link {
    fn from(link: FlatLink) -> Self {
        let content = LinkContent {
            source: link.source,
            directory: link.directory,
            attribute: link.attribute,
            activity: link.activity,
            protected: link.protected,
            given: link.given,
            notes: link.notes,
            sent: link.sent,
            form: Form::default(),
        };
        Self::new(link.id, content)
    }
}

/// Whether a link names its user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// It does, as all links of this version do.
    #[default]
    Current,
    /// It does not: an earlier version wrote it.
    Earlier,
}

/// The state of a link's signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// There is no key to verify it with.
    #[default]
    NotChecked,
    /// It matches the key.
    Valid,
    /// It is missing, or does not match the key.
    Invalid,
}

/// What the program last did to a user's activity; with `is_active` it distinguishes the program's
/// own changes from a person's, wherever a run may be interrupted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "activity", rename_all = "lowercase")]
pub enum Activity {
    /// Nothing is pending: an inactive user was deactivated by somebody else.
    #[default]
    Settled,
    /// The user was to become active, which was not confirmed yet: an inactive one was refused a
    /// seat.
    Activating,
    /// The user was to be deactivated: an active one still has to be.
    Deactivating {
        /// When, RFC 3339.
        since: String,
    },
    /// The user was deactivated: an active one was reactivated by somebody else.
    Deactivated {
        /// When, RFC 3339.
        since: String,
    },
    /// Somebody else reactivated the user while the person was absent: the user is then theirs
    /// until the person is back.
    Released,
    /// A person ended the link by `unlink`: nothing is done to the user, and nothing for the person.
    Unlinked,
}

impl Activity {
    /// When the program deactivated the user, or began to, RFC 3339.
    #[must_use]
    pub fn deactivated_since(&self) -> Option<&str> {
        match self {
            Self::Deactivating { since } | Self::Deactivated { since } => Some(since),
            Self::Settled | Self::Activating | Self::Released | Self::Unlinked => None,
        }
    }

    /// The same as a parsed time; none if it is invalid.
    #[must_use]
    pub fn deactivated_at(&self) -> Option<DateTime<Utc>> {
        let since = DateTime::parse_from_rfc3339(self.deactivated_since()?).ok()?;
        Some(since.with_timezone(&Utc))
    }
}

mod directory_id {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::model::entry::DirectoryId;

    pub fn serialize<S: Serializer>(id: &DirectoryId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(id.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DirectoryId, D::Error> {
        let text = String::deserialize(deserializer)?;
        DirectoryId::new(&text).ok_or_else(|| D::Error::custom("not a directory id"))
    }
}
