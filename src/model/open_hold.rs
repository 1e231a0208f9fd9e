//! A hold that waits for a person, or for its time: its number, and the people whose changes it holds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    change::{Action, Change, Fingerprint, HeldBy, Hold},
    change_kind::ChangeKind,
    edit::{Attribute, Field},
    fold::fold,
    hold_number::HoldNumber,
    reason::Cause,
    shown_edit::ShownEdit,
    user::{EntityId, User},
    work::Work,
};

/// What belongs together: the people of one hold are held by the same, from the same kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct HoldKind {
    pub by: HeldBy,
    pub kind: ChangeKind,
}

/// A hold, as `holds` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct OpenHold {
    pub hold: HoldNumber,
    pub job: String,
    pub held_by: HeldBy,
    pub kind: ChangeKind,
    /// When a run first held it.
    pub since: DateTime<Utc>,
    /// The runs that held it.
    pub runs: usize,
    /// The changes that it still holds.
    pub changes: usize,
    /// When it is written by itself; null where only a person or its cause ends it.
    pub opens_at: Option<DateTime<Utc>>,
    /// Why it is held, and what to do, as text.
    pub why: String,
    /// How it ended; omitted while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Those whose changes it holds; of one that ended, those whose changes it held.
    pub people: Vec<HeldPerson>,
    /// Of one that is open, those who have left it, with what became of each; omitted where there are
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<HeldPerson>,
}

/// A hold whose people are counted, and not read.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldHead {
    /// The hold, without people and changes.
    pub of: OpenHold,
    /// How many people it holds; of one that ended, held.
    pub people: usize,
}

/// The end of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Ended {
    pub at: DateTime<Utc>,
    /// What a person decided, if of anybody; where both happened, `approved`.
    pub by: EndedBy,
    /// What became of its people, with how many of them; without those of whom it is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub became: BTreeMap<Became, usize>,
}

impl Ended {
    /// How it ended for its people, in words, with numbers: `2 approved, 28 rejected`.
    #[must_use]
    pub fn in_words(&self, people: usize) -> String {
        let known: usize = self.became.values().sum();
        if known == 0 {
            return self.by.in_words().to_owned();
        }
        let told = self.became.iter();
        let told = told.map(|(became, number)| format!("{number} {}", became.at_the_end()));
        let unknown = people.saturating_sub(known);
        let unknown = (unknown > 0).then(|| format!("{unknown} not known"));
        told.chain(unknown).collect::<Vec<_>>().join(", ")
    }
}

/// What ended a hold, or took a person out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// A person approved it, and it was written.
    Approved,
    /// A person rejected it.
    Rejected,
    /// The change is not held any more, or not the same: its cause ended, or something changed.
    Cause,
}

impl EndedBy {
    /// The name in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Cause => "cause",
        }
    }

    /// How a hold ended, in words, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Cause => "ended by itself, as its cause is gone or the changes are others by now",
        }
    }
}

/// What became of somebody whose change a hold held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// A person approved it, and it was written.
    Written,
    /// A person rejected it.
    Rejected,
    /// Nothing held it any more, and the run was free to write it.
    Released,
    /// Something else holds it.
    HeldOtherwise,
    /// Another change of the person is due instead.
    Changed,
    /// Its cause has ended.
    NotDue,
}

impl Became {
    /// What a person's decision means; none where it was no decision.
    #[must_use]
    pub fn of_decision(by: EndedBy) -> Option<Self> {
        match by {
            EndedBy::Approved => Some(Self::Written),
            EndedBy::Rejected => Some(Self::Rejected),
            EndedBy::Cause => None,
        }
    }

    /// In words, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Rejected => "rejected",
            Self::Released => "held no more, so a run could write it",
            Self::HeldOtherwise => "held by something else: `holds` shows it",
            Self::Changed => "changed: another change is due instead",
            Self::NotDue => "no longer due",
        }
    }

    /// The same in few words, of some of a hold that has ended.
    fn at_the_end(self) -> &'static str {
        match self {
            Self::Written => "approved",
            Self::Rejected => "rejected",
            Self::Released => "held no more",
            Self::HeldOtherwise => "held otherwise",
            Self::Changed => "changed",
            Self::NotDue => "no longer due",
        }
    }
}

/// A hold that is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct OpenedHold {
    pub hold: HoldNumber,
    pub of: HoldKind,
    /// The changes that it holds.
    pub changes: usize,
}

/// A hold that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ClosedHold {
    pub hold: HoldNumber,
    pub of: HoldKind,
    pub by: EndedBy,
}

/// A held change of one person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct HeldPerson {
    pub action: Action,
    /// The login after the change.
    pub username: String,
    /// First and last name.
    pub name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
    pub dn: Option<String>,
    pub directory_id: String,
    pub ftrack_id: EntityId,
    /// Why the change is due, as text.
    pub reason: String,
    /// Where the person is whose user is to be deactivated; omitted otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What is held.
    pub edits: Vec<ShownEdit>,
    /// The work that the person still carries at ftrack; null where it was not counted.
    pub work: Option<Box<Work>>,
    /// What became of it; omitted while it is held, and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became: Option<Became>,
    /// Who approved or rejected it, and when; omitted where nobody did, and where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
}

/// Who decided about a held change, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Decided {
    pub by: String,
    pub at: DateTime<Utc>,
}

/// The held part of a change, as a hold remembers it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct HeldPart {
    pub of: HoldKind,
    /// What it was decided from and what it writes: it is seen when that is the same.
    pub seen: Fingerprint,
    pub why: String,
    /// When it is written by itself.
    pub opens_at: Option<DateTime<Utc>>,
    pub person: HeldPerson,
}

impl HeldPart {
    /// A held change, of this user if there is one.
    #[must_use]
    pub fn new(change: &Change, hold: &Hold, user: Option<&User>) -> Self {
        let text = |attribute: &Attribute| {
            let new = change.values(attribute).map(|values| &values.new);
            new.and_then(Value::as_str).map(str::to_owned)
        };
        let kept = |value: Option<&str>| value.map(str::to_owned);
        let first = user.and_then(|user| user.first_name.as_deref());
        let last = user.and_then(|user| user.last_name.as_deref());
        let names = [
            kept(first).or_else(|| text(&Attribute::FirstName)),
            kept(last).or_else(|| text(&Attribute::LastName)),
        ];
        let names: Vec<String> = names.into_iter().flatten().filter(is_some_text).collect();
        let email = user.and_then(|user| user.email.as_deref());
        Self {
            of: HoldKind {
                by: hold.by,
                kind: change.kind(),
            },
            seen: change.seen(),
            why: hold.why.clone(),
            opens_at: hold.opens_at,
            person: HeldPerson {
                action: change.action,
                username: change.username.clone(),
                name: (!names.is_empty()).then(|| names.join(" ")),
                email: kept(email).or_else(|| text(&Attribute::Email)),
                dn: change.dn.clone(),
                directory_id: change.directory_id.as_str().to_owned(),
                ftrack_id: change.ftrack_id.clone(),
                reason: change.reason.to_string(),
                cause: change.reason.cause(),
                edits: change.edits.iter().map(ShownEdit::from).collect(),
                work: None,
                became: None,
                decided: None,
            },
        }
    }
}

#[allow(clippy::ptr_arg, reason = "the form that filter asks for")]
fn is_some_text(text: &String) -> bool {
    !text.is_empty()
}

impl HeldPerson {
    /// Whether a person is meant: by login, mail address, DN, directory id or ftrack id, in any case.
    #[must_use]
    pub fn is(&self, who: &str) -> bool {
        let who = fold(who);
        let ftrack_id = self.ftrack_id.text();
        let names = [
            Some(self.username.as_str()),
            self.email.as_deref(),
            self.dn.as_deref(),
            Some(self.directory_id.as_str()),
            Some(&*ftrack_id),
        ];
        let old = self.edits.iter().filter_map(|edit| match edit {
            ShownEdit::Set {
                attribute: Field::Username,
                values,
            } => values.old.as_str(),
            ShownEdit::Set { .. }
            | ShownEdit::Activate
            | ShownEdit::Deactivate
            | ShownEdit::Grant { .. }
            | ShownEdit::Revoke { .. }
            | ShownEdit::Join { .. }
            | ShownEdit::Leave { .. }
            | ShownEdit::Link => None,
        });
        names
            .into_iter()
            .flatten()
            .chain(old)
            .any(|name| fold(name) == who)
    }

    /// What tells the person from all others, for people: the DN, or the login where there is none.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.dn.as_deref().unwrap_or(&self.username)
    }
}
