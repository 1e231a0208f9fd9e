//! A change: what is written to one user, and why; what holds it; and entries that are skipped.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::{
    edit::{Attribute, Edit, Field, Values},
    entry::DirectoryId,
    fold::fold,
    link::Link,
    reason::Reason,
    stored_link::as_value,
    user::EntityId,
    verdict::Verdict,
};

/// What a change does to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Creates a user for a person who has none.
    Create,
    /// Sets other values on a user that the job owns.
    Update,
    /// Ends the access of a user whose person left.
    Deactivate,
    /// Restores the access of a user that the program deactivated, or that was refused a seat.
    Reactivate,
    /// Makes a user without an owner the person's.
    Adopt,
}

impl Action {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 5] = [
        Self::Create,
        Self::Adopt,
        Self::Update,
        Self::Reactivate,
        Self::Deactivate,
    ];

    /// The name in reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Reactivate => "reactivate",
            Self::Adopt => "adopt",
        }
    }

    /// Whether the change makes a user active, which takes a seat.
    #[must_use]
    pub fn takes_a_seat(self) -> bool {
        match self {
            Self::Create | Self::Reactivate => true,
            Self::Update | Self::Deactivate | Self::Adopt => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Identifies a change in every run that proposes it: the same user, and the same action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChangeId(Uuid);

/// What a change was decided from and what it writes, as a digest: two changes with the same
/// fingerprint do the same to the same values. Times and texts do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(Uuid);

/// The namespace of both; a constant of this program.
const NAMESPACE: Uuid = Uuid::from_u128(0x2f53_94d6_0c3b_5f0e_9a41_5d6d_7c1e_b8a7);

/// One change to one user, with everything that is needed to judge, write, report and undo it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Change {
    pub id: ChangeId,
    pub action: Action,
    /// The user's login after the change.
    pub username: String,
    /// The DN of the person's entry; absent when it has none, or it is not known.
    pub dn: Option<String>,
    pub directory_id: DirectoryId,
    /// The user's id in ftrack; for a user to be created, its future id.
    pub ftrack_id: EntityId,
    /// At most one of each kind and attribute.
    pub edits: Vec<Edit>,
    pub reason: Reason,
    /// The link that was read; none where the user had none.
    pub before: Option<Link>,
    /// The link after the change, but for the roles and memberships that it gives and takes; of a change
    /// that takes the link away, the one that it takes.
    pub link: Link,
    /// Whether there is a link after the change.
    pub row: LinkRow,
    /// That of the whole change, also in a part of it.
    pub fingerprint: Fingerprint,
    /// The rotation that the change is part of: changes of one rotation swap unique values with
    /// each other, and are written together.
    pub rotation: Option<usize>,
}

/// What becomes of the metadata row that a user's link is stored in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkRow {
    /// It is there after the change.
    #[default]
    Kept,
    /// It is deleted: the user has no owner then.
    Deleted,
}

/// What a change is made of.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are those of the change")]
pub struct ChangeParts {
    pub action: Action,
    /// The user's login before the change.
    pub username: String,
    pub dn: Option<String>,
    pub directory_id: DirectoryId,
    pub ftrack_id: EntityId,
    pub edits: Vec<Edit>,
    pub reason: Reason,
    pub before: Option<Link>,
    pub link: Link,
}

impl Change {
    /// A change, with its id and fingerprint.
    #[must_use]
    pub fn new(parts: ChangeParts) -> Self {
        let ChangeParts {
            action,
            username,
            dn,
            directory_id,
            ftrack_id,
            edits,
            reason,
            before,
            link,
        } = parts;
        let name = format!("{}:{ftrack_id}", action.as_str());
        let mut change = Self {
            id: ChangeId(Uuid::new_v5(&NAMESPACE, name.as_bytes())),
            action,
            username: login_after(&edits, &username),
            dn,
            directory_id,
            ftrack_id,
            edits,
            reason,
            before,
            link,
            row: LinkRow::Kept,
            fingerprint: Fingerprint(Uuid::nil()),
            rotation: None,
        };
        change.fingerprint = change.digest();
        change
    }

    /// The same change, after which the user has no link.
    #[must_use]
    pub fn deleting_the_link(mut self) -> Self {
        self.row = LinkRow::Deleted;
        self.fingerprint = self.digest();
        self
    }

    fn digest(&self) -> Fingerprint {
        let before = self.before.as_ref();
        let decided = (
            self.action,
            &self.username,
            self.directory_id.as_str(),
            &self.ftrack_id,
            before.map(|link| as_value(&self.ftrack_id, link)),
            &self.link.source,
            self.fields(),
        );
        let text = serde_json::to_vec(&decided).unwrap_or_default();
        Fingerprint(Uuid::new_v5(&NAMESPACE, &text))
    }

    /// What this change, or this part of one, does and why, as a digest: a person who saw it saw any
    /// other one with the same digest. Of a part, the rest of the change does not count.
    #[must_use]
    pub fn seen(&self) -> Fingerprint {
        let mut fields = self.fields();
        if let Some(Value::Object(link)) = fields.get_mut(&Field::Link).map(|link| &mut link.new) {
            // The time of the run that would write it.
            link.remove("since");
        }
        let shown = (
            self.action,
            self.directory_id.as_str(),
            &self.ftrack_id,
            &self.link.source,
            self.reason.cause(),
            fields,
        );
        let text = serde_json::to_vec(&shown).unwrap_or_default();
        Fingerprint(Uuid::new_v5(&NAMESPACE, &text))
    }

    /// The edits by column, each from what to what.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<Field, Values> {
        let link = |link: &Link| as_value(&self.ftrack_id, link);
        let columns = self.edits.iter().map(|edit| match edit {
            Edit::Set { attribute, values } => (attribute.field(), values.clone()),
            Edit::Activate => {
                // Of a user that does not exist yet, nothing was read.
                let old = match self.action {
                    Action::Create => Value::Null,
                    Action::Update | Action::Deactivate | Action::Reactivate | Action::Adopt => {
                        Value::Bool(false)
                    }
                };
                let new = Value::Bool(true);
                (Field::IsActive, Values::new(old, new))
            }
            Edit::Deactivate => {
                let (old, new) = (Value::Bool(true), Value::Bool(false));
                (Field::IsActive, Values::new(old, new))
            }
            Edit::Grant(grant) => {
                let (old, new) = (Value::Null, grant.value());
                (grant.field(), Values::new(old, new))
            }
            Edit::Revoke(grant) => {
                let (old, new) = (grant.value(), Value::Null);
                (grant.field(), Values::new(old, new))
            }
            Edit::Link => {
                let old = self.before.as_ref().map_or(Value::Null, link);
                let new = match self.row {
                    LinkRow::Kept => link(&self.link_after()),
                    LinkRow::Deleted => Value::Null,
                };
                (Field::Link, Values::new(old, new))
            }
        });
        columns.collect()
    }

    /// The values of an attribute that the change sets.
    #[must_use]
    pub fn values(&self, of: &Attribute) -> Option<&Values> {
        let mut sets = self.edits.iter().filter_map(Edit::set);
        sets.find_map(|(attribute, values)| (attribute == of).then_some(values))
    }

    /// Whether it contains this edit.
    #[must_use]
    pub fn has(&self, edit: &Edit) -> bool {
        self.edits.contains(edit)
    }

    /// Whether the user is to be active afterwards; none where the activity stays.
    #[must_use]
    pub fn activity(&self) -> Option<bool> {
        self.edits.iter().find_map(|edit| match edit {
            Edit::Activate => Some(true),
            Edit::Deactivate => Some(false),
            Edit::Set { .. } | Edit::Grant(_) | Edit::Revoke(_) | Edit::Link => None,
        })
    }

    /// The link after the change, if nobody else gives or takes what it does meanwhile.
    #[must_use]
    pub fn link_after(&self) -> Link {
        let mut link = self.link.clone();
        for edit in &self.edits {
            match edit {
                Edit::Grant(grant) => link.given.note(&grant.id()),
                Edit::Revoke(grant) => link.given.forget(&grant.id()),
                Edit::Set { .. } | Edit::Activate | Edit::Deactivate | Edit::Link => {}
            }
        }
        link
    }

    /// Whether the user becomes the job's or the person's by it, and was another one's or nobody's.
    #[must_use]
    pub fn takes_over(&self) -> bool {
        let is_anothers =
            |before: &Link| before.source != self.link.source || before.id != self.link.id;
        self.action == Action::Adopt || self.before.as_ref().is_some_and(is_anothers)
    }

    /// Whether the user was another person's.
    #[must_use]
    pub fn is_for_another_person(&self) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|before| before.id != self.link.id)
    }

    /// Whether it writes nothing but what the user's link says beside who owns the user.
    #[must_use]
    pub fn is_note(&self) -> bool {
        let before = self.before.as_ref();
        self.edits == [Edit::Link]
            && before.is_some_and(|before| before.is_same_but_for_notes(&self.link))
    }

    /// The change without the login, which another user has and keeps; none where nothing is left.
    #[must_use]
    pub fn without_username(self) -> Option<Self> {
        let is_login = |edit: &Edit| edit.sets(&Attribute::Username);
        let username = self.login_before().to_owned();
        let edits: Vec<Edit> = self
            .edits
            .into_iter()
            .filter(|edit| !is_login(edit))
            .collect();
        if edits.is_empty() {
            return None;
        }
        Some(Self::new(ChangeParts {
            action: self.action,
            username,
            dn: self.dn,
            directory_id: self.directory_id,
            ftrack_id: self.ftrack_id,
            edits,
            reason: self.reason,
            before: self.before,
            link: self.link,
        }))
    }

    /// The part with some of the edits. It keeps the id and the fingerprint: it is approved with
    /// the whole.
    #[must_use]
    pub fn part(&self, edits: Vec<Edit>) -> Self {
        Self {
            username: login_after(&edits, self.login_before()),
            row: if edits.contains(&Edit::Link) {
                self.row
            } else {
                LinkRow::Kept
            },
            edits,
            rotation: None,
            ..self.clone()
        }
    }

    /// Lets the change set another value of a field.
    pub fn set_new(&mut self, of: &Field, new: &Value) {
        if let Some(values) = self.values_mut(of) {
            values.new.clone_from(new);
        }
    }

    /// Lets the change replace another value of a field than the one that was read.
    pub fn set_old(&mut self, of: &Field, old: &Value) {
        if let Some(values) = self.values_mut(of) {
            values.old.clone_from(old);
        }
    }

    fn values_mut(&mut self, of: &Field) -> Option<&mut Values> {
        self.edits.iter_mut().find_map(|edit| match edit {
            Edit::Set { attribute, values } if attribute.field() == *of => Some(values),
            Edit::Set { .. }
            | Edit::Activate
            | Edit::Deactivate
            | Edit::Grant(_)
            | Edit::Revoke(_)
            | Edit::Link => None,
        })
    }

    /// The user's login before the change; that of a user to be created is its first one.
    fn login_before(&self) -> &str {
        let old = self
            .values(&Attribute::Username)
            .and_then(|values| values.old.as_str());
        old.unwrap_or(&self.username)
    }
}

/// The login that edits leave a user, who has this one now.
fn login_after(edits: &[Edit], now: &str) -> String {
    let new = edits.iter().find_map(|edit| match edit {
        Edit::Set { attribute, values } if *attribute == Attribute::Username => values.new.as_str(),
        Edit::Set { .. }
        | Edit::Activate
        | Edit::Deactivate
        | Edit::Grant(_)
        | Edit::Revoke(_)
        | Edit::Link => None,
    });
    new.unwrap_or(now).to_owned()
}

/// What holds a change until a person approves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldBy {
    /// It would leave ftrack without an active administrator; cannot be approved.
    Administrator,
    /// The program itself doubts the reading, or a link.
    Doubt,
    /// A replica was read, or shows somebody whom the preferred server does not.
    Replica,
    /// The configuration, or the directory's id, is a more likely cause than the directory's
    /// people.
    Configuration,
    /// Login, mail or activity of an administrator or a protected user.
    Protected,
    /// An existing user would become a person's after the first contact, or with further security
    /// roles than a new user gets; or a second user would be created for somebody who seems to have
    /// one.
    Adoption,
    /// The entry was most likely deleted and made again.
    Successor,
    /// Somebody whom the program deactivated seems to be back, with another directory id.
    Returner,
    /// Somebody who is to be deactivated still carries work in ftrack.
    Work,
    /// More changes of the kind than the limit allows.
    Limit,
    /// No window of its kind is open.
    Window,
    /// Its kind is frozen today.
    Freeze,
    /// A person paused its kind.
    Paused,
    /// A person rejected it; the result of the change is then `rejected`, and no hold has it.
    Rejected,
}

impl HeldBy {
    /// The name in reports and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Doubt => "doubt",
            Self::Replica => "replica",
            Self::Configuration => "configuration",
            Self::Protected => "protected",
            Self::Adoption => "adoption",
            Self::Successor => "successor",
            Self::Returner => "returner",
            Self::Work => "work",
            Self::Limit => "limit",
            Self::Window => "window",
            Self::Freeze => "freeze",
            Self::Paused => "paused",
            Self::Rejected => "rejected",
        }
    }

    /// Whether a person has to decide; otherwise a later run writes it by itself, or a person has
    /// decided.
    #[must_use]
    pub fn waits_for_a_person(self) -> bool {
        match self {
            Self::Administrator
            | Self::Doubt
            | Self::Replica
            | Self::Configuration
            | Self::Protected
            | Self::Adoption
            | Self::Successor
            | Self::Returner
            | Self::Work
            | Self::Limit => true,
            Self::Window | Self::Freeze | Self::Paused | Self::Rejected => false,
        }
    }

    /// Whether the approval of its hold writes the change.
    #[must_use]
    pub fn ends_by_approval(self) -> bool {
        match self {
            Self::Doubt
            | Self::Replica
            | Self::Configuration
            | Self::Protected
            | Self::Adoption
            | Self::Successor
            | Self::Returner
            | Self::Work
            | Self::Limit
            | Self::Window
            | Self::Freeze => true,
            Self::Administrator | Self::Paused | Self::Rejected => false,
        }
    }
}

/// Why a change is held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Hold {
    pub by: HeldBy,
    /// Why, and what to do, as text.
    pub why: String,
    /// From when on a run writes it by itself; none where that takes a person's word.
    pub opens_at: Option<DateTime<Utc>>,
    /// The pause that holds it as well, in words: no approval of something else ends it.
    pub paused: Option<Arc<str>>,
}

impl Hold {
    /// A hold with this reason.
    #[must_use]
    pub fn new(by: HeldBy, why: impl Into<String>) -> Self {
        Self {
            by,
            why: why.into(),
            opens_at: None,
            paused: None,
        }
    }

    /// The same while a person paused the kind of change.
    #[must_use]
    pub fn while_paused(self, pause: &Arc<str>) -> Self {
        Self {
            why: format!(
                "{}; no approval by number writes it while {pause}",
                self.why
            ),
            paused: Some(Arc::clone(pause)),
            ..self
        }
    }
}

/// An entry that was skipped in a run; the person still counts as present.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// The entry's DN.
    pub dn: String,
    /// The login that the person asks for; omitted where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The mail address; omitted where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The person's directory id; omitted where the entry shows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory_id: Option<String>,
    /// Why, in one word; omitted in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// As text.
    pub reason: String,
    /// Whether a person must settle it: the report's `unsettled` counts these; omitted otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsettled: bool,
}

impl Skipped {
    /// Whether its login, mail address, DN or directory id is this text, which is folded.
    #[must_use]
    pub fn is_named(&self, folded: &str) -> bool {
        let known = [&self.username, &self.email, &self.directory_id];
        let mut known = known.into_iter().flatten().chain([&self.dn]);
        known.any(|text| fold(text) == folded)
    }
}
