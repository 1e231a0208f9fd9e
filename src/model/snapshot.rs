//! A snapshot: what ftrack held of a job's users before a run wrote anything. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{edit::Field, fold::fold, link::Link, user::EntityId};

/// The version of the form in which snapshots are saved.
pub const FORMAT: u32 = 1;

/// What a snapshot is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct SnapshotHead {
    /// The version of its form.
    pub format: u32,
    /// Its id: that of the run before which it was taken.
    pub snapshot: String,
    pub job: String,
    pub run: String,
    pub taken_at: DateTime<Utc>,
    /// The users that it has.
    pub users: usize,
    /// The URL of the ftrack server.
    pub ftrack: String,
    pub extent: SnapshotExtent,
    /// What the job managed of its users then; everything else is not put back.
    pub managed: BTreeSet<Field>,
}

/// Which users a snapshot has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotExtent {
    /// All of the job, and those that the run was to adopt.
    Job,
    /// Those that a run which read only what changed read.
    Part,
    /// All of the server, for a run of ftrack's own synchronisation.
    Everybody,
}

/// One user, as it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct SnapshotUser {
    pub ftrack_id: EntityId,
    /// The values of the user, the activity and the mapped roles among them; null where there was
    /// none.
    pub fields: BTreeMap<Field, Value>,
    pub link: LinkThen,
}

/// The link that a user had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkThen {
    /// None: the user had no owner.
    None,
    /// This one.
    Link(Box<Link>),
    /// What `unlink` leaves in place of one, which is never put back.
    Unlinked,
    /// One that could not be read or verified, and is never put back.
    Unusable,
}

impl LinkThen {
    /// The link, if there was one that can be put back.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        match self {
            Self::Link(link) => Some(link),
            Self::None | Self::Unlinked | Self::Unusable => None,
        }
    }
}

/// A whole snapshot.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Snapshot {
    pub head: SnapshotHead,
    /// Ordered by id.
    pub users: Vec<SnapshotUser>,
}

impl Snapshot {
    /// The user with this id.
    #[must_use]
    pub fn user(&self, id: &EntityId) -> Option<&SnapshotUser> {
        let place = self
            .users
            .binary_search_by(|user| user.ftrack_id.cmp(id))
            .ok()?;
        self.users.get(place)
    }
}

/// That a user did not have what a job gives.
static NOT_GIVEN: Value = Value::Null;

impl SnapshotUser {
    /// The value of a field; none of one that was not read, or where the field has no value in the
    /// snapshot. What the user did not have of what a job gives is not in it.
    #[must_use]
    pub fn value(&self, field: &Field) -> Option<&Value> {
        let absent = || field.is_grant().then_some(&NOT_GIVEN);
        self.fields.get(field).or_else(absent)
    }

    /// The text of a field; none where it had none.
    #[must_use]
    pub fn text(&self, field: &Field) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// Whether the user might sign in.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.fields.get(&Field::IsActive) == Some(&Value::Bool(true))
    }

    /// Whether the login, the mail address, the directory id or the ftrack id is this text, which is
    /// folded.
    #[must_use]
    pub fn is_named(&self, folded: &str) -> bool {
        let ftrack_id = self.ftrack_id.text();
        let names = [
            self.text(&Field::Username),
            self.text(&Field::Email),
            self.link.link().map(|link| link.id.as_str()),
            Some(&*ftrack_id),
        ];
        names.into_iter().flatten().any(|name| fold(name) == folded)
    }
}
