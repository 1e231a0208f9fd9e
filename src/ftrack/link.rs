//! The link: a `Metadata` row of a user that says who owns the user. No I/O.
//!
//! It is stored as JSON in ftrack itself, so that a lost local state loses nothing. Versions:
//!
//! | version | contains |
//! |---|---|
//! | none | source, directory id, attribute, activity |
//! | 2 | also the ids of its user and of the directory, a mark of the run that made it, and a signature where `ftrack.link_key_file` is set |

#[cfg(test)]
mod tests;

use std::{borrow::Cow, cell::RefCell, sync::Arc, thread::LocalKey};

use aws_lc_rs::hmac;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::user::EntityId;
use crate::{
    config::Secret,
    directory::{IdAttribute, entry::DirectoryId},
};

/// The key of the `Metadata` row that contains a user's link.
pub const LINK_KEY: &str = "ftrack-ldap-sync";

/// The version that is written, and the newest that can be read.
const VERSION: u32 = 2;

/// The content of a user's metadata under [`LINK_KEY`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkFound {
    /// Nothing: the user has no owner.
    Absent,
    /// A readable link, which names its own user if it names one.
    Link(Box<Link>),
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
            Self::Absent | Self::OfAnotherUser | Self::Unreadable => None,
        }
    }

    /// Whether the user has no owner.
    #[must_use]
    pub fn is_none(&self) -> bool {
        match self {
            Self::Absent | Self::OfAnotherUser => true,
            Self::Link(_) | Self::Unreadable => false,
        }
    }

    /// Whether there is a row that a new link must replace.
    #[must_use]
    pub fn is_row(&self) -> bool {
        *self != Self::Absent
    }
}

/// The owner of a user: which source, which entry of which directory, and what the program last did
/// to the user's activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The source of the job that owns the user.
    pub source: Arc<str>,
    /// The id of the directory: of the naming context's own entry, or as configured. Absent in
    /// links of earlier versions, and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Arc<str>>,
    /// The id of the person's entry.
    #[serde(with = "directory_id")]
    pub id: DirectoryId,
    /// The attribute that the id comes from.
    pub attribute: IdAttribute,
    /// What the program last did to the user's activity.
    #[serde(flatten)]
    pub activity: Activity,
    /// Whether it names its user.
    #[serde(skip)]
    pub form: Form,
    /// Whether it can be verified.
    #[serde(skip)]
    pub signature: Signature,
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
}

impl Activity {
    /// When the program deactivated the user, or began to, RFC 3339.
    #[must_use]
    pub fn deactivated_since(&self) -> Option<&str> {
        match self {
            Self::Deactivating { since } | Self::Deactivated { since } => Some(since),
            Self::Settled | Self::Activating | Self::Released => None,
        }
    }

    /// The same as a parsed time; none if it is invalid.
    #[must_use]
    pub fn deactivated_at(&self) -> Option<DateTime<Utc>> {
        let since = DateTime::parse_from_rfc3339(self.deactivated_since()?).ok()?;
        Some(since.with_timezone(&Utc))
    }
}

/// A link as it is stored: flat, so that it is parsed in one pass.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<'a> {
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
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    by: Option<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    signature: Option<Cow<'a, str>>,
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
    fn of(user: &'a EntityId, link: &'a Link, by: Option<&'a str>) -> Self {
        let is_current = link.form == Form::Current;
        let (activity, since) = match &link.activity {
            Activity::Settled => ("settled", None),
            Activity::Activating => ("activating", None),
            Activity::Deactivating { since } => ("deactivating", Some(since.as_str())),
            Activity::Deactivated { since } => ("deactivated", Some(since.as_str())),
            Activity::Released => ("released", None),
        };
        Self {
            version: if is_current { VERSION } else { first() },
            user: is_current.then(|| user.as_str().into()),
            source: (&*link.source).into(),
            directory: link.directory.as_deref().map(Into::into),
            id: link.id.as_str().into(),
            attribute: Cow::Borrowed(&link.attribute),
            activity: activity.into(),
            since: since.map(Into::into),
            by: by.filter(|_| is_current).map(Into::into),
            signature: None,
        }
    }

    /// Parses a user's link; none when it is not a link of a readable version.
    fn parse(text: &'a str) -> Option<(Self, Link)> {
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
            _ => return None,
        };
        let link = Link {
            source: shared(&LAST_SOURCE, &stored.source),
            directory: stored
                .directory
                .as_deref()
                .map(|directory| shared(&LAST_DIRECTORY, directory)),
            id: DirectoryId::new(&stored.id)?,
            attribute: stored.attribute.clone().into_owned(),
            activity,
            form,
            signature: Signature::NotChecked,
        };
        Some((stored, link))
    }
}

thread_local! {
    static LAST_SOURCE: RefCell<Arc<str>> = RefCell::new("".into());
    static LAST_DIRECTORY: RefCell<Arc<str>> = RefCell::new("".into());
    static LAST_RUN: RefCell<Arc<str>> = RefCell::new("".into());
}

/// A text that most links of a list have in common, stored once as long as it stays the same.
fn shared(last: &'static LocalKey<RefCell<Arc<str>>>, text: &str) -> Arc<str> {
    last.with_borrow_mut(|last| {
        if **last != *text {
            *last = text.into();
        }
        Arc::clone(last)
    })
}

/// The value of a link's row without its signature and the run that made it, for reports.
#[must_use]
pub fn as_value(user: &EntityId, link: &Link) -> serde_json::Value {
    serde_json::to_value(Stored::of(user, link, None)).unwrap_or(serde_json::Value::Null)
}

/// A user's link before the signature is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    found: LinkFound,
    made_by: Option<Arc<str>>,
    signature: Option<Box<str>>,
    claims: Option<DirectoryId>,
}

/// The directory id in a link of an unreadable version.
#[derive(Deserialize)]
struct Claim<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

impl Unverified {
    /// Parses a stored text, found on a user.
    #[must_use]
    pub fn parse(user: &EntityId, text: &str) -> Self {
        let Some((stored, link)) = Stored::parse(text) else {
            let claim = serde_json::from_str::<Claim<'_>>(text).ok();
            return Self {
                claims: claim.and_then(|claim| DirectoryId::new(&claim.id)),
                ..Self::unreadable()
            };
        };
        let is_of_another =
            link.form == Form::Current && stored.user.as_deref() != Some(user.as_str());
        Self {
            found: if is_of_another {
                LinkFound::OfAnotherUser
            } else {
                LinkFound::Link(Box::new(link))
            },
            made_by: stored.by.as_deref().map(|by| shared(&LAST_RUN, by)),
            signature: stored.signature.map(Into::into),
            claims: None,
        }
    }

    /// The person named by an unreadable link, if any.
    #[must_use]
    pub fn claims(&self) -> Option<&DirectoryId> {
        self.claims.as_ref()
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
        }
    }
}

/// Signs and verifies links with the key of `ftrack.link_key_file`, if there is one.
#[derive(Clone, Default)]
pub struct Signer(Option<Arc<hmac::Key>>);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Signer(key)"
        } else {
            "Signer(none)"
        })
    }
}

impl Signer {
    /// Signs with HMAC-SHA-256 (RFC 2104) and this key; does not sign without a key.
    #[must_use]
    pub fn new(key: Option<&Secret>) -> Self {
        Self(key.map(|key| Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes()))))
    }

    /// The signature state of links from this signer.
    #[must_use]
    pub fn signature(&self) -> Signature {
        match self.0 {
            Some(_) => Signature::Valid,
            None => Signature::NotChecked,
        }
    }

    /// The text to store as the link of a user, made by the run with this mark.
    ///
    /// # Errors
    /// None in practice: a link is text in every part, but the JSON writer may refuse.
    pub fn write(
        &self,
        user: &EntityId,
        link: &Link,
        made_by: Option<&str>,
    ) -> Result<String, serde_json::Error> {
        let mut stored = Stored::of(user, link, made_by);
        if let Some(key) = &self.0 {
            let text = serde_json::to_string(&stored)?;
            stored.signature = Some(hex(hmac::sign(key, text.as_bytes()).as_ref()).into());
        }
        serde_json::to_string(&stored)
    }

    /// A user's link, with the state of its signature.
    #[must_use]
    pub fn verified(
        &self,
        user: &EntityId,
        Unverified {
            found,
            made_by,
            signature,
            claims: _,
        }: Unverified,
    ) -> LinkFound {
        match found {
            LinkFound::Link(mut link) => {
                link.signature = self.verify(user, &link, made_by.as_deref(), signature.as_deref());
                LinkFound::Link(link)
            }
            LinkFound::Absent | LinkFound::OfAnotherUser | LinkFound::Unreadable => found,
        }
    }

    fn verify(
        &self,
        user: &EntityId,
        link: &Link,
        made_by: Option<&str>,
        signature: Option<&str>,
    ) -> Signature {
        let Some(key) = &self.0 else {
            return Signature::NotChecked;
        };
        let text = serde_json::to_string(&Stored::of(user, link, made_by));
        match (text, signature.and_then(unhex)) {
            (Ok(text), Some(signature))
                if link.form == Form::Current
                    && hmac::verify(key, text.as_bytes(), &signature).is_ok() =>
            {
                Signature::Valid
            }
            _ => Signature::Invalid,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
    (digits.len() == 64)
        .then(|| digits.chunks(2).map(byte).collect())
        .flatten()
}

mod directory_id {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::directory::entry::DirectoryId;

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
