//! The text of a link, as it is stored in a `Metadata` row.

use std::{borrow::Cow, cell::RefCell, fmt, sync::Arc, thread::LocalKey};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

use crate::model::{
    absence::Absence,
    clocks::Clocks,
    entry::{DirectoryId, of_bytes},
    given::{Given, GrantId},
    id::IdAttribute,
    link::{Activity, Form, Link, LinkContent, LinkFound},
    link_notes::{EditDigest, LinkNotes},
    picture::PictureDigest,
    sent::{Invitation, Sent},
    user::EntityId,
};

/// The version that is written, and the newest that can be read.
const VERSION: u32 = 2;

/// A link as it is stored: flat, so that it is parsed in one pass.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored<'a> {
    #[serde(default = "first", skip_serializing_if = "is_first")]
    version: u32,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    directory: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    attribute: Cow<'a, IdAttribute>,
    #[serde(borrow)]
    activity: Cow<'a, str>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    since: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protected: Option<bool>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    project_roles: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<Cow<'a, str>>,
    #[serde(
        default,
        deserialize_with = "if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    missing: Option<Missing>,
    #[serde(
        default,
        deserialize_with = "if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    rejected: Option<Vec<String>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    invitation: Option<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    picture: Option<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    by: Option<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<Cow<'a, str>>,
}

/// Since when the person has been missing.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Missing {
    since: DateTime<Utc>,
    /// The same by ftrack's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since_ftrack: Option<DateTime<Utc>>,
    reads: u32,
}

/// What says nothing that can be used says nothing: the link itself is one all the same.
fn if_readable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored<T> {
        Readable(T),
        Other(IgnoredAny),
    }
    Ok(match Stored::deserialize(deserializer)? {
        Stored::Readable(readable) => Some(readable),
        Stored::Other(IgnoredAny) => None,
    })
}

/// What a stored link says beside who owns the user.
fn notes(missing: Option<&Missing>, rejected: Option<&Vec<String>>) -> LinkNotes {
    let missing = missing.filter(|missing| missing.reads > 0);
    let rejected = rejected.into_iter().flatten();
    let rejected = rejected.filter_map(|edit| EditDigest::parse(edit));
    LinkNotes::new(missing.map(Into::into), rejected.collect())
}

impl From<&Absence> for Missing {
    fn from(Absence { since, reads }: &Absence) -> Self {
        Self {
            since: since.here,
            since_ftrack: since.ftrack,
            reads: *reads,
        }
    }
}

impl From<&Missing> for Absence {
    fn from(missing: &Missing) -> Self {
        Self {
            since: Clocks {
                here: missing.since,
                ftrack: missing.since_ftrack,
            },
            reads: missing.reads,
        }
    }
}

/// The version of links without a version.
fn first() -> u32 {
    1
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
fn is_first(version: &u32) -> bool {
    *version == first()
}

impl<'a> Stored<'a> {
    /// A link as it is stored on a user, without a signature.
    pub(crate) fn of(user: &'a EntityId, link: &'a Link, by: Option<&'a str>) -> Self {
        let is_current = link.form == Form::Current;
        let (activity, since) = match &link.activity {
            Activity::Settled => ("settled", None),
            Activity::Activating => ("activating", None),
            Activity::Deactivating { since } => ("deactivating", Some(since.as_str())),
            Activity::Deactivated { since } => ("deactivated", Some(since.as_str())),
            Activity::Released => ("released", None),
            Activity::Unlinked => ("unlinked", None),
        };
        let mut stored = Self {
            version: if is_current { VERSION } else { first() },
            user: is_current.then(|| Cow::Owned(user.to_string())),
            source: (&*link.source).into(),
            directory: link.directory.as_deref().map(Into::into),
            id: link.id.as_str().into(),
            attribute: Cow::Borrowed(&link.attribute),
            activity: activity.into(),
            since: since.map(Into::into),
            protected: link.protected,
            roles: Vec::new(),
            project_roles: Vec::new(),
            groups: Vec::new(),
            missing: link.notes.missing().map(Into::into),
            rejected: Some(link.notes.rejected())
                .filter(|rejected| !rejected.is_empty())
                .map(|rejected| rejected.iter().map(ToString::to_string).collect()),
            invitation: link.sent.invitation.map(|sent| sent.as_str().into()),
            picture: link.sent.picture.as_ref().map(|sent| sent.as_str().into()),
            by: by.filter(|_| is_current).map(Into::into),
            signature: None,
        };
        for given in link.given.iter() {
            match given {
                GrantId::Role(role) => stored.roles.push(Cow::Owned(role.to_string())),
                GrantId::ProjectRole { role, project } => {
                    let ids = (
                        Cow::Owned(role.to_string()),
                        Cow::Owned(project.to_string()),
                    );
                    stored.project_roles.push(ids);
                }
                GrantId::Group(group) => stored.groups.push(Cow::Owned(group.to_string())),
            }
        }
        stored
    }

    /// Parses a user's link, and measures it; none when it is not a link of a readable version.
    fn parse(text: &'a str) -> Option<(Self, (Link, usize))> {
        let stored: Self = serde_json::from_str(text).ok()?;
        let form = match (stored.version, &stored.user) {
            (1, _) => Form::Earlier,
            (VERSION, Some(_)) => Form::Current,
            (_, _) => return None,
        };
        let since = || stored.since.as_deref().map(str::to_owned);
        let activity = match &*stored.activity {
            "settled" => Activity::Settled,
            "activating" => Activity::Activating,
            "deactivating" => Activity::Deactivating { since: since()? },
            "deactivated" => Activity::Deactivated { since: since()? },
            "released" => Activity::Released,
            // Earlier programs read no link in it, and still keep its person from a second user.
            "unlinked" => Activity::Unlinked,
            _ => return None,
        };
        let id = DirectoryId::new(&stored.id)?;
        let content = LinkContent {
            source: shared(&LAST_SOURCE, &stored.source).0,
            directory: stored
                .directory
                .as_deref()
                .map(|directory| shared(&LAST_DIRECTORY, directory).0),
            attribute: stored.attribute.clone().into_owned(),
            activity,
            protected: stored.protected,
            given: stored.given()?,
            notes: notes(stored.missing.as_ref(), stored.rejected.as_ref()),
            sent: Sent {
                invitation: stored.invitation.as_deref().map(Invitation::named),
                picture: stored.picture.as_deref().and_then(PictureDigest::parse),
            },
            form,
        };
        Some((stored, Link::measured(id, content)))
    }

    /// What was given; none where one of the ids is none.
    fn given(&self) -> Option<Given> {
        let id = |text: &Cow<'_, str>| EntityId::new(text);
        let roles = self.roles.iter().map(|role| id(role).map(GrantId::Role));
        let on_projects = self.project_roles.iter().map(|(role, project)| {
            Some(GrantId::ProjectRole {
                role: id(role)?,
                project: id(project)?,
            })
        });
        let groups = self.groups.iter();
        let groups = groups.map(|group| id(group).map(GrantId::Group));
        roles.chain(on_projects).chain(groups).collect()
    }
}

thread_local! {
    static LAST_SOURCE: RefCell<Arc<str>> = RefCell::new("".into());
    static LAST_DIRECTORY: RefCell<Arc<str>> = RefCell::new("".into());
    static LAST_RUN: RefCell<Arc<str>> = RefCell::new("".into());
}

/// A text that most links of a list have in common, stored once as long as it stays the same; and
/// whether it is another one than before.
fn shared(last: &'static LocalKey<RefCell<Arc<str>>>, text: &str) -> (Arc<str>, bool) {
    last.with_borrow_mut(|last| {
        let is_new = **last != *text;
        if is_new {
            *last = text.into();
        }
        (Arc::clone(last), is_new)
    })
}

/// The value of a link's row for reports: without its signature, the run that made it, and what it
/// says beside who owns the user.
#[must_use]
pub fn as_value(user: &EntityId, link: &Link) -> serde_json::Value {
    let stored = Stored {
        missing: None,
        rejected: None,
        ..Stored::of(user, link, None)
    };
    serde_json::to_value(stored).unwrap_or(serde_json::Value::Null)
}

/// A user's link before the signature is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    pub(crate) found: LinkFound,
    pub(crate) made_by: Option<Arc<str>>,
    /// None where it has none that may be one.
    pub(crate) signature: Option<Box<[u8; SIGNATURE]>>,
    /// Of an unreadable link.
    claims: Option<Box<DirectoryId>>,
    heap_size: HeapSize,
}

/// The memory that a link takes besides itself and what it shares with earlier links, in bytes: as it
/// depends on those, it is no part of what the link says.
#[derive(Clone, Copy, Default)]
struct HeapSize(u32);

impl PartialEq for HeapSize {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for HeapSize {}

impl fmt::Debug for HeapSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeapSize")
    }
}

/// The bytes of a signature.
pub(crate) const SIGNATURE: usize = 32;

/// A signature as links have it, in hexadecimal digits; none of any other text.
fn signature_of(text: &str) -> Option<Box<[u8; SIGNATURE]>> {
    let mut bytes = Box::new([0; SIGNATURE]);
    let digits = text.as_bytes();
    if digits.len() != 2 * SIGNATURE {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(bytes)
}

/// The directory id in a link of an unreadable version.
#[derive(Deserialize)]
struct Claim<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// A link whose text was parsed, before it is known on which user it was found.
#[derive(Debug)]
pub struct Unplaced {
    link: Unverified,
    /// The user that a link of the current form names; of earlier ones none.
    of: Option<Option<EntityId>>,
}

impl Unplaced {
    /// Parses a stored text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let Some((stored, (link, of_link))) = Stored::parse(text) else {
            let claim = serde_json::from_str::<Claim<'_>>(text).ok();
            let claims = claim.and_then(|claim| DirectoryId::new(&claim.id));
            let heap = claims
                .as_ref()
                .map_or(0, |id| of_bytes(size_of::<DirectoryId>()) + id.heap_size());
            return Self {
                link: Unverified {
                    claims: claims.map(Box::new),
                    heap_size: measured(heap),
                    ..Unverified::unreadable()
                },
                of: None,
            };
        };
        let named = || stored.user.as_deref().and_then(EntityId::new);
        let of = (link.form == Form::Current).then(named);
        let made_by = stored.by.as_deref().map(|by| shared(&LAST_RUN, by));
        let signature = stored.signature.as_deref().and_then(signature_of);
        let of_mark = made_by.as_ref().filter(|(_, is_new)| *is_new);
        let heap = of_link
            + of_mark.map_or(0, |(mark, _)| of_bytes(mark.len()))
            + signature.as_ref().map_or(0, |_| of_bytes(SIGNATURE));
        let link = Unverified {
            found: match link.activity {
                Activity::Unlinked => LinkFound::Unlinked(link),
                Activity::Settled
                | Activity::Activating
                | Activity::Deactivating { .. }
                | Activity::Deactivated { .. }
                | Activity::Released => LinkFound::Link(link),
            },
            made_by: made_by.map(|(mark, _)| mark),
            signature,
            claims: None,
            heap_size: measured(heap),
        };
        Self { link, of }
    }

    /// Something that is not a link.
    #[must_use]
    pub fn unreadable() -> Self {
        Self {
            link: Unverified::unreadable(),
            of: None,
        }
    }

    /// The link, found on a user.
    #[must_use]
    pub fn on(self, user: &EntityId) -> Unverified {
        match self.of {
            Some(named) if named.as_ref() != Some(user) => Unverified {
                found: LinkFound::OfAnotherUser,
                ..self.link
            },
            Some(_) | None => self.link,
        }
    }
}

impl Unverified {
    /// Parses a stored text, found on a user.
    #[must_use]
    pub fn parse(user: &EntityId, text: &str) -> Self {
        Unplaced::parse(text).on(user)
    }

    /// The person named by an unreadable link, if any.
    #[must_use]
    pub fn claims(&self) -> Option<&DirectoryId> {
        self.claims.as_deref()
    }

    /// The memory that it takes besides itself, in bytes; not what it shares with links that were
    /// parsed before it.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        usize::try_from(self.heap_size.0).unwrap_or(usize::MAX)
    }

    /// The mark of the run that made the link: created the user, or adopted it.
    #[must_use]
    pub fn made_by(&self) -> Option<&Arc<str>> {
        self.made_by.as_ref()
    }

    /// Something that is not a link.
    #[must_use]
    pub fn unreadable() -> Self {
        Self {
            found: LinkFound::Unreadable,
            made_by: None,
            signature: None,
            claims: None,
            heap_size: HeapSize::default(),
        }
    }
}

fn measured(bytes: usize) -> HeapSize {
    HeapSize(u32::try_from(bytes).unwrap_or(u32::MAX))
}
