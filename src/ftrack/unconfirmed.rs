//! What an earlier run had written of changes whose result it did not know: found out from the users
//! as they are now. No I/O.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{remaining::CannotWrite, user_state::UserState};
use crate::{
    model::{
        change::Action,
        edit::{Field, Values},
        link::{Activity, Link},
        report::{ChangeResult, Reported},
        stored_link::as_value,
        stored_value::{self, Likeness, StoredValue, likeness},
        user::EntityId,
    },
    sync::custom::equal,
};

/// What tells the writes of an earlier run from those of others.
#[derive(Debug, Clone, Copy)]
pub struct EarlierRun<'a> {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Its mark in the links that it made.
    pub run_mark: Option<&'a str>,
    /// The time in the links of the users that it deactivated.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// The mapped custom attributes: the key, and the id of its configuration.
    pub custom_attributes: &'a [(String, EntityId)],
}

/// What is now at ftrack in place of the user of a change.
#[derive(Debug, Clone, Copy)]
pub enum UserNow<'a> {
    /// The user does not exist.
    Missing,
    /// It exists, without a login or an activity, and is left alone.
    Odd,
    /// It is as that.
    Seen(&'a UserState),
}

const NOT_KNOWN_THEN: &str = "the result was not known when the run ended";
const IN_EFFECT: &str = "a later run found it in effect";
const UNDONE_SINCE: &str =
    "a later run found that it was in effect, and that somebody else has activated the user since";
const NOT_IN_EFFECT: &str = "a later run did not find it in effect";
const BY_NOBODY_KNOWN: &str = "a later run found that it is in effect, and it is not known by whom";
const BY_ANOTHER: &str = "a later run found that another program did it";
const ODD: &str = "it cannot be found out: the user has no username, or no is_active";

/// Gives a change the result that its user shows; returns the values that the run wrote, and that
/// ftrack stored otherwise.
pub fn settle(change: &mut Reported, now: UserNow<'_>, run: EarlierRun<'_>) -> Vec<StoredValue> {
    let mut stored = Vec::new();
    let (result, said) = match now {
        UserNow::Odd => (ChangeResult::Unconfirmed, ODD.to_owned()),
        UserNow::Missing => {
            let why = match change.action {
                Action::Create => NOT_IN_EFFECT.to_owned(),
                Action::Update | Action::Deactivate | Action::Reactivate | Action::Adopt => {
                    CannotWrite::Gone.to_string()
                }
            };
            (ChangeResult::Failed, why)
        }
        UserNow::Seen(seen) => {
            let values = Shown::of(change, seen, run);
            let author = author(change, seen, run);
            let of_seen = of_seen(change.action, author, &values);
            if is_written(change.action, author) {
                stored = values.stored;
                if of_seen.0 == ChangeResult::Failed {
                    change.written = values.written;
                }
            }
            of_seen
        }
    };
    let said = format!("{NOT_KNOWN_THEN}; {said}");
    change.result = result;
    (change.error, change.note) = match result {
        ChangeResult::Applied => (None, Some(said)),
        ChangeResult::Held
        | ChangeResult::Failed
        | ChangeResult::Unconfirmed
        | ChangeResult::Planned => (Some(said), None),
    };
    stored
}

/// Whether what a user shows was written by the run: a user without a link may be one that it began
/// to create.
fn is_written(action: Action, author: Author) -> bool {
    author == Author::Run || (author == Author::Nobody && action == Action::Create)
}

/// The result of a change whose user exists, and what is to be said of it.
fn of_seen(action: Action, author: Author, values: &Shown) -> (ChangeResult, String) {
    match (author, values.is_missing) {
        (Author::RunAndUndone, _) => (ChangeResult::Applied, UNDONE_SINCE.to_owned()),
        (Author::Run, false) => {
            let notes = [
                Some(IN_EFFECT.to_owned()),
                stored_value::note(&values.stored),
            ];
            let notes: Vec<String> = notes.into_iter().flatten().collect();
            (ChangeResult::Applied, notes.join("; "))
        }
        (Author::Unknown, false) => (ChangeResult::Unconfirmed, BY_NOBODY_KNOWN.to_owned()),
        (Author::Another, false) => (ChangeResult::Planned, BY_ANOTHER.to_owned()),
        (Author::Person, false) => {
            let why = CannotWrite::DeactivatedByHand;
            (ChangeResult::Failed, why.to_string())
        }
        (author, _) => {
            let why = if is_written(action, author) && !values.written.is_empty() {
                let names: Vec<String> = values.written.iter().map(Field::name).collect();
                format!(
                    "{NOT_IN_EFFECT} as a whole; these were written: {}",
                    names.join(", ")
                )
            } else {
                NOT_IN_EFFECT.to_owned()
            };
            (ChangeResult::Failed, why)
        }
    }
}

/// What a user shows of the values of a change.
#[derive(Default)]
struct Shown {
    /// The fields that have their new values.
    written: BTreeSet<Field>,
    /// Whether others have not.
    is_missing: bool,
    /// The values that are stored otherwise.
    stored: Vec<StoredValue>,
}

impl Shown {
    fn of(change: &Reported, seen: &UserState, run: EarlierRun<'_>) -> Self {
        let mut shown = Self::default();
        for (field, values) in change.fields.iter().filter(|(field, _)| is_value(field)) {
            let there = seen.value(field, run.custom_attributes);
            match state(field, values, &there) {
                ShownValue::Other => shown.is_missing = true,
                ShownValue::AsBefore => {}
                ShownValue::New => {
                    shown.written.insert(field.clone());
                }
                ShownValue::NewInOtherForm => {
                    shown.written.insert(field.clone());
                    shown.stored.push(StoredValue {
                        field: field.clone(),
                        wanted: values.new.clone(),
                        stored: there,
                    });
                }
            }
        }
        shown
    }
}

/// Whether a field is a value of the user; the link tells whose doing it is.
fn is_value(field: &Field) -> bool {
    match field {
        Field::Link => false,
        Field::Username
        | Field::FirstName
        | Field::LastName
        | Field::Email
        | Field::IsActive
        | Field::UserType
        | Field::Custom(_) => true,
    }
}

/// What a user shows of a value that was to be written.
enum ShownValue {
    New,
    NewInOtherForm,
    /// The new value, which is also the old one.
    AsBefore,
    Other,
}

fn state(field: &Field, values: &Values, there: &serde_json::Value) -> ShownValue {
    match (equal(&values.new, there), equal(&values.old, there)) {
        (true, true) => ShownValue::AsBefore,
        (true, false) => ShownValue::New,
        (false, true) => ShownValue::Other,
        (false, false) => match likeness(field, &values.new, there) {
            Likeness::Form => ShownValue::NewInOtherForm,
            Likeness::Other | Likeness::None => ShownValue::Other,
        },
    }
}

/// Who brought a user to where a change was to bring it, as far as the link tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    /// The run: its mark is there, or nothing speaks against it where it leaves none.
    Run,
    /// The run, and somebody else has undone it since.
    RunAndUndone,
    /// Another program, whose mark is there.
    Another,
    /// Somebody by hand: the run would have left a mark.
    Person,
    /// It cannot be told.
    Unknown,
    /// Nobody: the link is not as the change was to leave it.
    Nobody,
}

fn author(change: &Reported, seen: &UserState, run: EarlierRun<'_>) -> Author {
    let link = seen.link.link();
    let of_person = link.filter(|link| change.directory_id.as_deref() == Some(link.id.as_str()));
    match (change.action, of_person) {
        (Action::Create | Action::Adopt | Action::Update, None) => Author::Nobody,
        // The link was there when the change was planned.
        (Action::Deactivate | Action::Reactivate, None) => Author::Unknown,
        (Action::Create | Action::Adopt, Some(_)) => {
            match (run.run_mark, seen.link_made_by.as_deref()) {
                (Some(own), Some(there)) if own == there => Author::Run,
                (Some(_), Some(_)) => Author::Another,
                (_, _) => Author::Unknown,
            }
        }
        (Action::Deactivate, Some(link)) => of_deactivation(link, seen, run),
        (Action::Reactivate, Some(link)) => of_reactivation(change, link, run),
        (Action::Update, Some(link)) if is_as_written(change, link) => Author::Run,
        (Action::Update, Some(_)) => Author::Nobody,
    }
}

/// A deactivation has the time of its run in the link, unless the mark of an earlier one was there.
fn of_deactivation(link: &Link, seen: &UserState, run: EarlierRun<'_>) -> Author {
    let is_its_own =
        run.deactivated_at.is_some() && link.activity.deactivated_at() == run.deactivated_at;
    match (&link.activity, is_its_own) {
        // This is written once the user was read back as inactive.
        (Activity::Deactivated { .. }, true) if seen.is_active => Author::RunAndUndone,
        (Activity::Deactivating { .. } | Activity::Deactivated { .. }, true) => Author::Run,
        (Activity::Deactivating { .. } | Activity::Deactivated { .. }, false) => Author::Unknown,
        (Activity::Settled | Activity::Activating | Activity::Released, _) => Author::Person,
    }
}

/// A reactivation leaves the link as it was until the user was read back as active, and then settles
/// it.
fn of_reactivation(change: &Reported, link: &Link, run: EarlierRun<'_>) -> Author {
    let is_its_own = match link.activity {
        Activity::Settled => is_as_written(change, link),
        Activity::Activating | Activity::Deactivating { .. } | Activity::Deactivated { .. } => {
            let is_later = link.activity.deactivated_at() > Some(run.started_at);
            let before = change.fields.get(&Field::Link);
            let is_as_before =
                before.is_none_or(|values| values.old == as_value(&change.ftrack_id, link));
            is_as_before && !is_later
        }
        Activity::Released => false,
    };
    if is_its_own {
        Author::Run
    } else {
        Author::Unknown
    }
}

/// Whether the link is the one that the change was to write, if it was to write one.
fn is_as_written(change: &Reported, link: &Link) -> bool {
    let written = change.fields.get(&Field::Link);
    written.is_none_or(|values| values.new == as_value(&change.ftrack_id, link))
}
