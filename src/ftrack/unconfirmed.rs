//! What an earlier run had written of changes whose result it did not know: found out from the users
//! as they are now. No I/O.

mod in_other_reports;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{cannot_write::CannotWrite, user_state::UserState};
use crate::{
    model::{
        change::Action,
        edit::{Field, Values},
        link::{Activity, Link},
        report::{ChangeResult, Reported},
        snapshot::Snapshot,
        stored_link::as_value,
        stored_value::{self, Likeness, StoredValue, likeness},
        user::EntityId,
    },
    sync::custom::equal,
};

use in_other_reports::InOtherReports;

/// What tells the writes of an earlier run from those of others.
#[derive(Debug, Clone, Copy)]
pub struct EarlierRun<'a> {
    /// When it began, by the clock that showed the latest time, as the times in links are.
    pub began_at: DateTime<Utc>,
    /// What ftrack had before it wrote anything; none where that is gone, or not needed.
    pub before: Option<&'a Snapshot>,
    /// Its mark in the links that it made.
    pub run_mark: Option<&'a str>,
    /// The marks of runs of the job before it, whose creates it may have finished.
    pub marks_before: &'a [String],
    /// The time in the links of the users that it deactivated.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// The times of other runs of the job.
    pub other_deactivations: &'a [DateTime<Utc>],
    /// Changes that other reports of the job have as applied, since the run or just now.
    pub in_other_reports: &'a [Reported],
    /// Whether a call of it may take effect still.
    pub late_calls: LateCalls,
    /// The mapped custom attributes: the key, and the id of its configuration.
    pub custom_attributes: &'a [(String, EntityId)],
}

/// Whether a call that an ended run had sent may take effect still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateCalls {
    /// One may: what is not in effect is not known to stay so.
    Possible,
    /// It is too long ago.
    Over,
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
const BY_ANOTHER_RUN: &str = "another run of the job did the same, and reports it";
const ODD: &str = "it cannot be found out: the user has no username, or no is_active";

/// What the users show of a change.
struct Found {
    result: ChangeResult,
    said: String,
    /// Whether a late call cannot change it.
    is_final: bool,
    /// The values that the run wrote of a change that is not in effect as a whole.
    written: BTreeSet<Field>,
    /// The values that it wrote, and that ftrack stored otherwise.
    stored: Vec<StoredValue>,
}

impl Found {
    fn new(result: ChangeResult, said: impl Into<String>) -> Self {
        Self {
            result,
            said: said.into(),
            is_final: false,
            written: BTreeSet::new(),
            stored: Vec::new(),
        }
    }

    fn finally(self) -> Self {
        Self {
            is_final: true,
            ..self
        }
    }
}

/// Gives a change the result that its user shows; returns the values that the run wrote, and that
/// ftrack stored otherwise. As long as a call may take effect late, a change that is not in effect
/// stays as it is, but for the values that were written by now.
pub fn settle(change: &mut Reported, now: UserNow<'_>, run: EarlierRun<'_>) -> Vec<StoredValue> {
    let Found {
        result,
        said,
        is_final,
        written,
        stored,
    } = found(change, now, run);
    if run.late_calls == LateCalls::Possible && !is_final {
        change.written.extend(written);
        return Vec::new();
    }
    let mut said = format!("{NOT_KNOWN_THEN}; {said}");
    if let (ChangeResult::Failed, Some(before)) = (result, &change.error)
        && !is_of_interruption(before)
    {
        said = format!("{said}; the run itself said: {before}");
    }
    change.result = result;
    change.written = written;
    (change.error, change.note) = match result {
        ChangeResult::Applied => (None, Some(said)),
        ChangeResult::Held
        | ChangeResult::Rejected
        | ChangeResult::Failed
        | ChangeResult::Unsettled
        | ChangeResult::Unconfirmed
        | ChangeResult::Planned => (Some(said), None),
    };
    stored
}

/// Whether the result of a change is still to be found out: it is not known, and no later run found
/// that it never will be.
#[must_use]
pub fn is_open(change: &Reported) -> bool {
    let is_settled = |error: &String| error.starts_with(NOT_KNOWN_THEN);
    change.result == ChangeResult::Unconfirmed && !change.error.as_ref().is_some_and(is_settled)
}

/// Why a change of a run that was killed is unconfirmed, which says nothing of the change itself.
pub const INTERRUPTED: &str = "the run was interrupted before the result was known; a later run \
                               that reads ftrack finds out, and does what is left";

fn is_of_interruption(error: &str) -> bool {
    error == INTERRUPTED
}

fn found(change: &Reported, now: UserNow<'_>, run: EarlierRun<'_>) -> Found {
    let elsewhere = InOtherReports::of(change, run.in_other_reports);
    if elsewhere.is_whole {
        return Found::new(ChangeResult::Planned, BY_ANOTHER_RUN).finally();
    }
    match now {
        UserNow::Odd => Found::new(ChangeResult::Unconfirmed, ODD),
        UserNow::Missing => match change.action {
            Action::Create => Found::new(ChangeResult::Failed, NOT_IN_EFFECT),
            Action::Update | Action::Deactivate | Action::Reactivate | Action::Adopt => {
                Found::new(ChangeResult::Failed, CannotWrite::Gone.to_string()).finally()
            }
        },
        UserNow::Seen(seen) => {
            let mut values = Shown::of(change, seen, run, &elsewhere.fields);
            let author = author(change, seen, run);
            let is_written = is_written(change.action, author);
            let known = change.written.difference(&elsewhere.fields).cloned();
            if is_written {
                values.written.extend(known);
            } else {
                values.written = known.collect();
            }
            let mut found = of_seen(change.action, author, &values);
            if found.result == ChangeResult::Failed {
                found.written = values.written;
            }
            if is_written {
                found.stored = values.stored;
            }
            found
        }
    }
}

/// Whether what a user shows was written by the run: a user without a link may be one that it began
/// to create.
fn is_written(action: Action, author: Author) -> bool {
    author == Author::Run || (author == Author::Nobody && action == Action::Create)
}

/// Whether a user gets its link by the change.
fn makes_link(action: Action) -> bool {
    match action {
        Action::Create | Action::Adopt => true,
        Action::Update | Action::Deactivate | Action::Reactivate => false,
    }
}

/// What is found of a change whose user exists.
fn of_seen(action: Action, author: Author, values: &Shown) -> Found {
    match (author, values.is_missing) {
        (Author::RunAndUndone, _) => Found::new(ChangeResult::Applied, UNDONE_SINCE).finally(),
        (Author::Run, false) => {
            let notes = [
                Some(IN_EFFECT.to_owned()),
                stored_value::note(&values.stored),
            ];
            let notes: Vec<String> = notes.into_iter().flatten().collect();
            Found::new(ChangeResult::Applied, notes.join("; ")).finally()
        }
        // What is done from now on would make it look as if the run had done it.
        (Author::Unknown, false) => {
            Found::new(ChangeResult::Unconfirmed, BY_NOBODY_KNOWN).finally()
        }
        (Author::Another, false) if values.written.is_empty() => {
            Found::new(ChangeResult::Planned, BY_ANOTHER)
        }
        (Author::AnotherRun, false) if values.written.is_empty() => {
            Found::new(ChangeResult::Planned, BY_ANOTHER_RUN)
        }
        (Author::Person, false) => {
            let why = CannotWrite::DeactivatedByHand;
            Found::new(ChangeResult::Failed, why.to_string())
        }
        (Author::Run, true) if values.written.is_empty() && makes_link(action) => Found::new(
            ChangeResult::Failed,
            format!("{NOT_IN_EFFECT} as a whole; the user's link was written"),
        ),
        (_, _) if values.written.is_empty() => Found::new(ChangeResult::Failed, NOT_IN_EFFECT),
        (_, _) => {
            let names: Vec<String> = values.written.iter().map(Field::name).collect();
            let why = format!(
                "{NOT_IN_EFFECT} as a whole; these were written: {}",
                names.join(", ")
            );
            Found::new(ChangeResult::Failed, why)
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
    /// Those fields are in other reports.
    fn of(
        change: &Reported,
        seen: &UserState,
        run: EarlierRun<'_>,
        elsewhere: &BTreeSet<Field>,
    ) -> Self {
        let mut shown = Self::default();
        // A picture comes after everything else, which is in effect without it.
        let is_alone = change.fields.len() == 1;
        let counts = |field: &Field| is_value(field) && (is_alone || *field != Field::Thumbnail);
        for (field, values) in change.fields.iter().filter(|(field, _)| counts(field)) {
            let there = seen.value(field, run.custom_attributes);
            match state(field, values, &there) {
                ShownValue::New | ShownValue::NewInOtherForm if elsewhere.contains(field) => {
                    shown.is_missing = true;
                }
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
        Field::Invitation | Field::Link => false,
        Field::Username
        | Field::FirstName
        | Field::LastName
        | Field::Email
        | Field::IsActive
        | Field::UserType
        | Field::Thumbnail
        | Field::Custom(_)
        | Field::Role(_)
        | Field::ProjectRole { .. }
        | Field::Group(_) => true,
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
    /// Another run of the job, whose mark is there.
    AnotherRun,
    /// Somebody by hand: the run would have left a mark.
    Person,
    /// It cannot be told.
    Unknown,
    /// Nobody: the link is not as the change was to leave it.
    Nobody,
}

fn author(change: &Reported, seen: &UserState, run: EarlierRun<'_>) -> Author {
    let link = match change.action {
        // A person may have ended it by this change.
        Action::Update if takes_link_away(change) => {
            return if seen.link.is_row() {
                Author::Nobody
            } else {
                Author::Run
            };
        }
        Action::Update => seen.link.tie(),
        Action::Create | Action::Deactivate | Action::Reactivate | Action::Adopt => {
            seen.link.link()
        }
    };
    let of_person = link.filter(|link| change.directory_id.as_deref() == Some(link.id.as_str()));
    match (change.action, of_person) {
        (Action::Create | Action::Adopt | Action::Update, None) => Author::Nobody,
        // The link was there when the change was planned.
        (Action::Deactivate | Action::Reactivate, None) => Author::Unknown,
        (Action::Create | Action::Adopt, Some(_)) => {
            match (run.run_mark, seen.link_made_by.as_deref()) {
                (Some(own), Some(there)) if own == there => Author::Run,
                // That run does not report it: this one had finished what the other began.
                (Some(_), Some(there)) if run.marks_before.iter().any(|mark| mark == there) => {
                    Author::Run
                }
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
        (Activity::Deactivating { .. } | Activity::Deactivated { .. }, false) => {
            let at = link.activity.deactivated_at();
            let is_another_runs = at.is_some_and(|at| run.other_deactivations.contains(&at));
            if is_another_runs {
                Author::AnotherRun
            } else {
                Author::Unknown
            }
        }
        (Activity::Settled | Activity::Activating | Activity::Released | Activity::Unlinked, _) => {
            Author::Person
        }
    }
}

/// A reactivation leaves the link as it was until the user was read back as active, and then settles
/// it.
fn of_reactivation(change: &Reported, link: &Link, run: EarlierRun<'_>) -> Author {
    let is_its_own = match link.activity {
        Activity::Settled => is_as_written(change, link),
        Activity::Activating | Activity::Deactivating { .. } | Activity::Deactivated { .. } => {
            let before = run.before.and_then(|all| all.user(&change.ftrack_id));
            let deactivated_at = link.activity.deactivated_at();
            // A clock may have been set between a deactivation and the run.
            let is_later = match before.and_then(|user| user.link.link()) {
                Some(before) => deactivated_at != before.activity.deactivated_at(),
                None => deactivated_at > Some(run.began_at),
            };
            let before = change.fields.get(&Field::Link);
            let is_as_before =
                before.is_none_or(|values| values.old == as_value(&change.ftrack_id, link));
            is_as_before && !is_later
        }
        Activity::Released | Activity::Unlinked => false,
    };
    if is_its_own {
        Author::Run
    } else {
        Author::Unknown
    }
}

/// Whether there is no link after the change, and there was one before it.
fn takes_link_away(change: &Reported) -> bool {
    let written = change.fields.get(&Field::Link);
    written.is_some_and(|values| values.new.is_null() && !values.old.is_null())
}

/// Whether the link is the one that the change was to write, if it was to write one.
fn is_as_written(change: &Reported, link: &Link) -> bool {
    let written = change.fields.get(&Field::Link);
    written.is_none_or(|values| values.new == as_value(&change.ftrack_id, link))
}
