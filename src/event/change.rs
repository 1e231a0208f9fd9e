//! The events about one change.

use std::fmt::Write;

use serde_json::Value;
use tracing::Level;

use super::RunName;
use crate::{
    escape::escape_control,
    model::{
        edit::Field,
        entity_id::EntityIdText,
        reason::Cause,
        report::{ChangeResult, Reported},
    },
};

/// The longest value and the longest reason in an event, in characters.
const LONGEST: usize = 200;

/// The longest list of values in an event, in bytes.
const MOST: usize = 4096;

/// What each event about a change says.
struct Said<'a> {
    action: &'static str,
    username: String,
    dn: String,
    directory_id: &'a str,
    ftrack_id: EntityIdText<'a>,
    reason: String,
    cause: &'static str,
    fields: String,
    /// What a user carries who is or would be deactivated; empty where that is nothing, or not known.
    work: String,
}

impl<'a> Said<'a> {
    fn of(change: &'a Reported) -> Self {
        Self {
            action: change.action.as_str(),
            username: escape_control(&change.username).into_owned(),
            dn: escape_control(change.dn.as_deref().unwrap_or_default()).into_owned(),
            directory_id: change.directory_id.as_deref().unwrap_or_default(),
            ftrack_id: change.ftrack_id.text(),
            reason: escape_control(&beginning(&change.reason)).into_owned(),
            cause: change.cause.map_or("", Cause::as_str),
            fields: values(change),
            work: change
                .work
                .as_ref()
                .and_then(|work| work.summary())
                .unwrap_or_default(),
        }
    }
}

pub(super) fn emit(level: Level, RunName { job, run }: RunName<'_>, change: &Reported) {
    let error = escape_control(change.error.as_deref().unwrap_or_default());
    let Said {
        action,
        username,
        dn,
        directory_id,
        ftrack_id,
        reason,
        cause,
        fields,
        work,
    } = Said::of(change);
    let ftrack_id = &*ftrack_id;
    let note = escape_control(&beginning(change.note.as_deref().unwrap_or_default())).into_owned();
    match change.result {
        ChangeResult::Applied => {
            say!(level, event = "change.applied", job, run, action, %username, %dn, directory_id, ftrack_id, %reason, cause, %fields, %work, %note, "changed")
        }
        ChangeResult::Held => {
            say!(level, event = "change.held", job, run, action, %username, %dn, directory_id, ftrack_id, %reason, cause, %fields, %work, %error, "held")
        }
        ChangeResult::Failed => {
            say!(level, event = "change.failed", job, run, action, %username, %dn, directory_id, ftrack_id, %reason, cause, %fields, %error, "not applied")
        }
        ChangeResult::Unsettled => {
            say!(level, event = "change.unsettled", job, run, action, %username, %dn, directory_id, ftrack_id, %reason, cause, %fields, %error, "no seat for the user")
        }
        ChangeResult::Unconfirmed => {
            say!(level, event = "change.unconfirmed", job, run, action, %username, %dn, directory_id, ftrack_id, %reason, cause, %fields, %error, "not known to be applied")
        }
        // It was told when the hold was closed.
        ChangeResult::Planned | ChangeResult::Rejected => {}
    }
}

/// The values of a change but its link, each from what to what, as `email: "a" -> "b"; …`. Text is
/// quoted as in JSON, so that no value can pass for another one.
pub(super) fn values(change: &Reported) -> String {
    let mut said = String::new();
    for (field, values) in &change.fields {
        if *field == Field::Link {
            continue;
        }
        if said.len() > MOST {
            said.push_str("; …");
            break;
        }
        let separator = if said.is_empty() { "" } else { "; " };
        // Writing to a `String` cannot fail.
        let _ = write!(
            said,
            "{separator}{}: {} -> {}",
            escape_control(&beginning(&field.name())),
            value(&values.old),
            value(&values.new)
        );
    }
    said
}

fn value(value: &Value) -> String {
    let text = match value {
        Value::String(text) => Value::String(beginning(text)).to_string(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => beginning(&value.to_string()),
    };
    escape_control(&text).into_owned()
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
