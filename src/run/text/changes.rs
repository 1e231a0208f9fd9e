//! Changes as text.

use anstyle::Style;

use super::{Extent, blue, dim, green, line, magenta, paint, red, work, yellow};
use crate::{
    escape::escape_control,
    model::{
        change::Action,
        edit::{Field, Values},
        reason::Cause,
        report::{ChangeResult, LastKnown, Reported},
    },
};

/// Writes the changes, and returns how many are left out.
pub(super) fn write(text: &mut String, changes: &[Reported], extent: Extent) -> usize {
    let by_action = Action::ALL.map(|action| of_action(changes, action));
    let most = numbers(&by_action, extent);
    let mut left_out = 0;
    for ((action, of_action), most) in Action::ALL.into_iter().zip(by_action).zip(most) {
        for change in of_action.iter().take(most) {
            text.push('\n');
            one_change(text, change);
        }
        let more = of_action.len().saturating_sub(most);
        if more > 0 {
            let rest: Vec<&Reported> = of_action.iter().skip(most).copied().collect();
            line(
                text,
                &format!("\n  … and {}", in_number(action, &rest, " more")),
            );
        }
        left_out += more;
    }
    left_out
}

/// The changes of one kind, by login.
pub(super) fn of_action(changes: &[Reported], action: Action) -> Vec<&Reported> {
    let mut of_action: Vec<&Reported> = changes
        .iter()
        .filter(|change| change.action == action)
        .collect();
    of_action.sort_by(|a, b| a.username.cmp(&b.username));
    of_action
}

/// What became of the changes of one kind, such as `1 deactivated, 1 held`; how many there are to
/// make, where none is written or refused: all are of a plan, or held.
pub(super) fn heading(action: Action, changes: &[&Reported]) -> String {
    in_number(action, changes, "")
}

/// The same with a word after the first number.
fn in_number(action: Action, changes: &[&Reported], more: &str) -> String {
    let number = |wanted: ChangeResult| {
        let changes = changes.iter();
        changes.filter(|change| change.result == wanted).count()
    };
    let planned = number(ChangeResult::Planned);
    let is_held = |change: &&&Reported| change.hold().is_some();
    let held = changes.iter().filter(is_held).count();
    if planned + number(ChangeResult::Held) == changes.len() {
        let held = match held {
            0 => String::new(),
            // Of those that are left out, the reasons are below.
            _ if !more.is_empty() => String::new(),
            held => format!(", {held} of them held"),
        };
        return format!("{}{more} to {action}{held}", changes.len());
    }
    let (done, one, many) = match action {
        Action::Create => ("created", "creation", "creations"),
        Action::Adopt => ("adopted", "adoption", "adoptions"),
        Action::Update => ("updated", "update", "updates"),
        Action::Deactivate => ("deactivated", "deactivation", "deactivations"),
        Action::Reactivate => ("reactivated", "reactivation", "reactivations"),
    };
    let to_do = format!("to {action}");
    let results = [
        (number(ChangeResult::Applied), done),
        (planned, &to_do),
        (number(ChangeResult::Held), "held"),
        (number(ChangeResult::Rejected), "rejected"),
        (number(ChangeResult::Failed), "failed"),
        (number(ChangeResult::Unsettled), "without a seat"),
        (number(ChangeResult::Unconfirmed), "unconfirmed"),
    ];
    let is_said = |result: &str| result == done || result == to_do;
    let results = results.iter().filter(|(number, _)| *number > 0);
    let results = results.enumerate().map(|(place, (number, result))| {
        let more = if place == 0 { more } else { "" };
        // The first says what was, or was not, done.
        match (place, number) {
            (0, 1) if !is_said(result) => format!("1{more} {one} {result}"),
            (0, _) if !is_said(result) => format!("{number}{more} {many} {result}"),
            _ => format!("{number}{more} {result}"),
        }
    });
    results.collect::<Vec<_>>().join(", ")
}

/// How many changes of each kind are shown.
fn numbers(by_action: &[Vec<&Reported>; 5], extent: Extent) -> [usize; 5] {
    let rows = match extent {
        Extent::Whole => return [usize::MAX; 5],
        Extent::OfEachKind(most) => return [most; 5],
        Extent::Rows(rows) => rows,
    };
    let mut numbers = [0; 5];
    // The headlines and the counts.
    let mut used = 8;
    let mut is_full = false;
    // One of each kind in turn, so that many of one kind do not hide the others.
    while !is_full {
        is_full = true;
        for (number, of_action) in numbers.iter_mut().zip(by_action) {
            let Some(change) = of_action.get(*number) else {
                continue;
            };
            let mut text = String::new();
            one_change(&mut text, change);
            used += text.lines().count() + 1;
            if used <= rows || *number == 0 {
                *number += 1;
                is_full = false;
            }
        }
    }
    numbers
}

/// What the user still carries.
pub(super) fn carried(text: &mut String, change: &Reported) {
    for carried in change.work.iter().flat_map(|carried| work(carried)) {
        line(text, &format!("      {carried}"));
    }
}

pub(super) fn one_change(text: &mut String, change: &Reported) {
    values(text, change);
    line(
        text,
        &format!("      {}", paint(dim(), &escape_control(&change.reason))),
    );
    carried(text, change);
    for remark in remarks(change) {
        let is_error = change.error.as_ref() == Some(remark);
        let style = if is_error { red() } else { yellow() };
        line(
            text,
            &format!("      {}", paint(style, &escape_control(remark))),
        );
    }
}

/// What is to be known of a change, and why it failed. Many are held for the same reason, which is
/// shown once for all.
pub(super) fn remarks(change: &Reported) -> impl Iterator<Item = &String> {
    let hold = change.hold();
    let both = change.note.iter().chain(&change.error);
    both.filter(move |text| hold != Some(text.as_str()))
}

/// What a change does to whom, without why.
pub(super) fn values(text: &mut String, change: &Reported) {
    let (sign, style) = match change.action {
        Action::Create => ('+', green()),
        Action::Adopt => ('=', blue()),
        Action::Update => ('~', yellow()),
        Action::Reactivate => ('^', green()),
        Action::Deactivate => ('-', red()),
    };
    let result = result(change).map_or_else(String::new, |(style, result)| {
        format!(" {}", paint(style, result))
    });
    let dn = match &change.dn {
        Some(dn) => format!("  {}", escape_control(dn)),
        None if change.cause == Some(Cause::Absent) => "  not in the directory".to_owned(),
        // Nobody looked for the entry, or it is not known where it is.
        None => String::new(),
    };
    line(
        text,
        &format!(
            "  {} {}{result}{dn}",
            paint(style, &format!("{sign} {:<10}", change.action.as_str())),
            paint(Style::new().bold(), &escape_control(&change.username))
        ),
    );
    let person = change.person.as_ref();
    if let Some(known) = person.and_then(|person| last_known(person, change.dn.as_deref())) {
        line(text, &format!("      person: {known}"));
    }
    for (field, values) in &change.fields {
        if let Some((old, new)) = old_and_new(field, values) {
            let old = old.map_or_else(String::new, |old| format!("{old} -> "));
            line(text, &format!("      {}: {old}{new}", field.name()));
        }
    }
}

/// What became of a change that is not simply written.
pub(super) fn result(change: &Reported) -> Option<(Style, &'static str)> {
    match change.result {
        ChangeResult::Planned | ChangeResult::Held if change.hold().is_some() => {
            Some((magenta(), "HELD"))
        }
        ChangeResult::Applied | ChangeResult::Planned | ChangeResult::Held => None,
        ChangeResult::Rejected => Some((dim(), "REJECTED")),
        ChangeResult::Failed => Some((red(), "FAILED")),
        ChangeResult::Unsettled => Some((yellow(), "NO SEAT")),
        ChangeResult::Unconfirmed => Some((red(), "UNCONFIRMED")),
    }
}

/// The old value, where there is one, and the new one; nothing of a link, which is the program's own.
#[must_use]
pub fn old_and_new(field: &Field, values: &Values) -> Option<(Option<String>, String)> {
    let is_new = values.old.is_null();
    match field {
        Field::Link => None,
        // What is known of a picture is a digest.
        Field::Thumbnail if is_new => Some((None, "a picture".to_owned())),
        Field::Thumbnail => Some((None, "another picture".to_owned())),
        Field::Username
        | Field::FirstName
        | Field::LastName
        | Field::Email
        | Field::IsActive
        | Field::UserType
        | Field::Invitation
        | Field::Custom(_)
        | Field::Role(_)
        | Field::ProjectRole { .. }
        | Field::Group(_) => Some(((!is_new).then(|| value(&values.old)), value(&values.new))),
    }
}

/// Who a missing person is: name, mail, and last DN unless that is the one now, as far as they are
/// known.
pub(super) fn last_known(person: &LastKnown, now: Option<&str>) -> Option<String> {
    let LastKnown {
        name,
        email,
        last_dn,
    } = person;
    let before = last_dn.as_deref().filter(|dn| Some(*dn) != now);
    let dn = before.map(|dn| format!("last DN {dn}"));
    let known: Vec<&str> = [name, email, &dn]
        .into_iter()
        .filter_map(|known| known.as_deref())
        .filter(|known| !known.is_empty())
        .collect();
    (!known.is_empty()).then(|| escape_control(&known.join(", ")).into_owned())
}

fn value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "(none)".into(),
        serde_json::Value::String(text) if text.is_empty() => "(empty)".into(),
        serde_json::Value::String(text) => escape_control(text).into_owned(),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => escape_control(&value.to_string()).into_owned(),
    }
}
