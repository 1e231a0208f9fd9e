//! What a run that was killed had written: found out from the users as they are now. No I/O.

use chrono::{DateTime, Utc};

use super::user_state::UserState;
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

/// What tells the writes of a killed run from those of others.
#[derive(Debug, Clone, Copy)]
pub struct KilledRun<'a> {
    /// Its mark in the links that it made.
    pub run_mark: Option<&'a str>,
    /// The time in the links of the users that it deactivated.
    pub deactivated_at: Option<DateTime<Utc>>,
    /// The mapped custom attributes: the key, and the id of its configuration.
    pub custom_attributes: &'a [(String, EntityId)],
}

const IN_EFFECT: &str =
    "the run was interrupted before the result was known; a later run found it in effect";
const NOT_IN_EFFECT: &str = "the run was interrupted before it was written";

/// Gives a change the result that its user shows; none where the user does not exist.
pub fn settle(change: &mut Reported, seen: Option<&UserState>, run: KilledRun<'_>) {
    let (mut written, mut missing, mut stored) = (Vec::new(), false, Vec::new());
    for (field, values) in change.fields.iter().filter(|(field, _)| is_value(field)) {
        let there = seen.map(|seen| seen.value(field, run.custom_attributes));
        match there.map(|there| (state(field, values, &there), there)) {
            None | Some((Shown::Other, _)) => missing = true,
            Some((Shown::AsBefore, _)) => {}
            Some((Shown::New, _)) => written.push(field.name()),
            Some((Shown::NewInOtherForm, there)) => {
                written.push(field.name());
                stored.push(StoredValue {
                    field: field.clone(),
                    wanted: values.new.clone(),
                    stored: there,
                });
            }
        }
    }
    let is_its_own = seen.is_some_and(|seen| is_by(change, seen, run));
    if is_its_own && !missing {
        change.result = ChangeResult::Applied;
        change.error = None;
        let notes = [Some(IN_EFFECT.to_owned()), stored_value::note(&stored)];
        change.note = Some(notes.into_iter().flatten().collect::<Vec<_>>().join("; "));
        return;
    }
    let is_partly = is_its_own || change.action == Action::Create;
    change.result = ChangeResult::Failed;
    change.error = Some(if is_partly && !written.is_empty() {
        format!(
            "{NOT_IN_EFFECT} as a whole; these were written: {}",
            written.join(", ")
        )
    } else {
        NOT_IN_EFFECT.to_owned()
    });
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
enum Shown {
    New,
    NewInOtherForm,
    /// The new value, which is also the old one.
    AsBefore,
    Other,
}

fn state(field: &Field, values: &Values, there: &serde_json::Value) -> Shown {
    match (equal(&values.new, there), equal(&values.old, there)) {
        (true, true) => Shown::AsBefore,
        (true, false) => Shown::New,
        (false, true) => Shown::Other,
        (false, false) => match likeness(field, &values.new, there) {
            Likeness::Form => Shown::NewInOtherForm,
            Likeness::Other | Likeness::None => Shown::Other,
        },
    }
}

/// Whether the link of a user shows that the change is the run's own doing.
fn is_by(change: &Reported, seen: &UserState, run: KilledRun<'_>) -> bool {
    let Some(link) = seen.link.link() else {
        return false;
    };
    let is_of_person = change.directory_id.as_deref() == Some(link.id.as_str());
    let is_its_own = match change.action {
        Action::Create | Action::Adopt => {
            run.run_mark.is_some() && seen.link_made_by.as_deref() == run.run_mark
        }
        Action::Deactivate => {
            let at = link.activity.deactivated_at();
            at.is_some() && at == run.deactivated_at
        }
        // Until it is read back as active, a user keeps the link of its deactivation.
        Action::Reactivate => match link.activity {
            Activity::Activating
            | Activity::Settled
            | Activity::Deactivating { .. }
            | Activity::Deactivated { .. } => true,
            Activity::Released => false,
        },
        Action::Update => is_as_written(change, link),
    };
    is_of_person && is_its_own
}

/// Whether the link is the one that the change was to write, if it was to write one.
fn is_as_written(change: &Reported, link: &Link) -> bool {
    let written = change.fields.get(&Field::Link);
    written.is_none_or(|values| values.new == as_value(&change.ftrack_id, link))
}
