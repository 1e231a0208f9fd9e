//! Tables for spreadsheets (RFC 4180): each value of a report that changes.

use std::borrow::Cow;

use chrono::SecondsFormat;
use serde_json::Value;

use crate::{
    escape::escape_control,
    model::{
        change::HeldBy,
        edit::{Field, Values},
        reason::Cause,
        report::{LastKnown, Report, Reported},
    },
};

/// What the columns of a report are called.
const COLUMNS: [&str; 18] = [
    "run",
    "job",
    "started_at",
    "action",
    "username",
    "name",
    "email",
    "dn",
    "directory_id",
    "ftrack_id",
    "field",
    "old",
    "new",
    "result",
    "held_by",
    "cause",
    "reason",
    "error",
];

/// A report with a header, and a record for each value that changes; one for a change without any.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut text = record(&COLUMNS.map(Cow::Borrowed));
    for change in &report.changes {
        let fields = change.fields.iter();
        let fields: Vec<_> = fields.filter(|(field, _)| **field != Field::Link).collect();
        if fields.is_empty() {
            text.push_str(&record(&cells(report, change, None)));
        }
        for value in fields {
            text.push_str(&record(&cells(report, change, Some(value))));
        }
    }
    text
}

fn cells<'r>(
    report: &'r Report,
    change: &'r Reported,
    value: Option<(&Field, &Values)>,
) -> [Cow<'r, str>; 18] {
    let optional = |text: Option<&'r str>| Cow::Borrowed(text.unwrap_or_default());
    let person = change.person.as_ref();
    let known = |of: fn(&LastKnown) -> Option<&str>| person.and_then(of).map(Cow::Borrowed);
    let (field, old, new) = value.map_or_else(Default::default, |(field, values)| {
        (field.name(), plain(&values.old), plain(&values.new))
    });
    let started_at = report.started_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    [
        Cow::Borrowed(&*report.run),
        Cow::Borrowed(&*report.job),
        Cow::Owned(started_at),
        Cow::Borrowed(change.action.as_str()),
        Cow::Borrowed(&*change.username),
        known(|person| person.name.as_deref()).unwrap_or_else(|| Cow::Owned(name_given(change))),
        known(|person| person.email.as_deref())
            .unwrap_or_else(|| Cow::Owned(given(change, &Field::Email))),
        optional(change.dn.as_deref()),
        optional(change.directory_id.as_deref()),
        Cow::Owned(change.ftrack_id.to_string()),
        Cow::Owned(field),
        Cow::Owned(old),
        Cow::Owned(new),
        Cow::Borrowed(change.result.as_str()),
        Cow::Borrowed(change.held_by.map_or("", HeldBy::as_str)),
        Cow::Borrowed(change.cause.map_or("", Cause::as_str)),
        Cow::Borrowed(&*change.reason),
        optional(change.error.as_deref()),
    ]
}

/// The name that a change gives the user; empty where it gives none.
fn name_given(change: &Reported) -> String {
    let names = [Field::FirstName, Field::LastName].map(|field| given(change, &field));
    names.join(" ").trim().to_owned()
}

/// What a change writes in a field; empty where it writes nothing there.
fn given(change: &Reported, field: &Field) -> String {
    let values = change.fields.get(field);
    values.map_or_else(String::new, |values| plain(&values.new))
}

/// A value as text; nothing for null.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// One record, with its end. A cell that a spreadsheet would take for a formula begins with an
/// apostrophe.
#[must_use]
pub fn record(cells: &[Cow<'_, str>]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    cells.join(",") + "\r\n"
}

/// One cell, on one line whatever is in it.
fn quoted(cell: &str) -> String {
    let shown = escape_control(cell);
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let apostrophe = if is_formula { "'" } else { "" };
    if is_formula || shown.contains(['"', ',', ';', '\'']) {
        format!("\"{apostrophe}{}\"", shown.replace('"', "\"\""))
    } else {
        shown.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_cell_stays_one_cell_and_is_no_formula() {
        for (cell, written) in [
            ("ada", "ada"),
            ("", ""),
            ("uid=ada,dc=test", "\"uid=ada,dc=test\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("-ada", "\"'-ada\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("+49", "\"'+49\""),
            ("\t=1", "\"'\\u{9}=1\""),
            ("two\nlines", "two\\u{a}lines"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a;b", "\"a;b\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
