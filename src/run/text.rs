//! Plans and reports as text, for people. Every text from a server passes `escape_control`.

use std::{collections::BTreeMap, fmt::Write};

use anstyle::{AnsiColor, Style};

use super::saved::SavedPlan;
use crate::{
    escape::escape_control,
    model::{
        change::{Action, Skipped},
        edit::Field,
        report::{BuiltinPart, ChangeResult, DirectoryPart, Outcome, Report, Reported},
    },
};

/// A report as text; the caller strips colours where they are not wanted.
#[must_use]
pub fn report(report: &Report) -> String {
    shortened(report, usize::MAX)
}

/// A report that shows only this many changes of each kind; the others are counted.
#[must_use]
pub fn shortened(report: &Report, most: usize) -> String {
    let mut text = String::new();
    let seconds = report
        .finished_at
        .signed_duration_since(report.started_at)
        .as_seconds_f64()
        .max(0.0);
    let dry = if report.dry_run { ", dry run" } else { "" };
    let alarm = if report.alarm { ", ALARM" } else { "" };
    let outcome = paint(
        outcome_style(report.outcome),
        &format!("{}{alarm}", report.outcome.as_str()),
    );
    line(
        &mut text,
        &format!(
            "Run {} of {}{dry}: {outcome} in {seconds:.1} s",
            report.run, report.job
        ),
    );
    if let Some(error) = &report.error {
        line(
            &mut text,
            &format!("  {}", paint(red(), &escape_control(error))),
        );
    }
    if let Some(directory) = &report.directory {
        read(&mut text, directory);
    }
    ftrack_line(&mut text, report);
    if let Some(builtin) = &report.builtin {
        builtin_line(&mut text, builtin);
    }
    let read = if report.builtin.is_some() {
        Read::FtrackAlone
    } else {
        Read::Directory
    };
    changes(&mut text, &report.changes, read, most);
    held(&mut text, &report.changes);
    skipped(&mut text, &report.skipped);
    warnings(&mut text, &report.warnings);
    text.push('\n');
    line(&mut text, &summary(report));
    text
}

fn ftrack_line(text: &mut String, report: &Report) {
    let ftrack = &report.ftrack;
    let calls = format!(
        "{}, {}",
        several(ftrack.read_calls, "read call", "read calls"),
        several(ftrack.write_calls, "write call", "write calls")
    );
    // The API user always exists, so zero users mean that the run ended before the number was
    // known.
    let users = match ftrack.users {
        0 => String::new(),
        // For a run that failed before, it is not known who owns them.
        users if ftrack.owned == 0 && ftrack.linked.is_none() => {
            format!("{}; ", several(users, "user", "users"))
        }
        users => format!(
            "{}, {} of this job; ",
            several(users, "user", "users"),
            ftrack.owned
        ),
    };
    line(
        text,
        &format!("  ftrack     {}: {users}{calls}", ftrack.server),
    );
}

fn builtin_line(text: &mut String, builtin: &BuiltinPart) {
    let BuiltinPart {
        job_id,
        status,
        text: said,
    } = builtin;
    let job = job_id
        .as_ref()
        .map_or_else(|| "no known job".to_owned(), |id| format!("job {id}"));
    let status = status
        .as_deref()
        .map(|status| format!(": {}", escape_control(status)))
        .unwrap_or_default();
    let said = said
        .as_deref()
        .map(|said| format!(", {}", escape_control(said)))
        .unwrap_or_default();
    line(
        text,
        &format!("             its own synchronisation, {job}{status}{said}"),
    );
}

/// What was read from the directory.
fn read(text: &mut String, directory: &DirectoryPart) {
    let server = directory.server.as_deref().unwrap_or("no server reached");
    let read = if directory.complete {
        format!(
            "{}, read completely",
            several(directory.entries, "entry", "entries")
        )
    } else {
        "not read to its end".to_owned()
    };
    line(text, &format!("  directory  {server}: {read}"));
    for search in directory
        .searches
        .iter()
        .filter(|search| search.result != "success")
    {
        line(
            text,
            &format!(
                "             {} {}: {} after {} entries",
                escape_control(&search.base),
                escape_control(&search.filter),
                escape_control(&search.result),
                search.entries
            ),
        );
    }
}

/// A plan as text.
#[must_use]
pub fn plan(plan: &SavedPlan) -> String {
    let mut text = String::new();
    let reported: Vec<Reported> = plan
        .changes
        .iter()
        .map(|planned| planned.reported())
        .collect();
    let headline = format!(
        "Plan for {}: {}",
        plan.job,
        planned(&reported, plan.skipped.len())
    );
    line(&mut text, &headline);
    changes(&mut text, &reported, Read::Directory, usize::MAX);
    held(&mut text, &reported);
    skipped(&mut text, &plan.skipped);
    warnings(&mut text, &plan.warnings);
    if reported.len() > ON_A_SCREEN {
        line(&mut text, &format!("\n{headline}"));
    }
    text
}

/// How many changes fit on a screen; after more of them the headline is repeated.
const ON_A_SCREEN: usize = 8;

/// Why changes are held, each reason once.
fn held(text: &mut String, changes: &[Reported]) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for change in changes
        .iter()
        .filter(|change| change.result == ChangeResult::Held)
    {
        *reasons
            .entry(change.error.as_deref().unwrap_or_default())
            .or_default() += 1;
    }
    for (reason, count) in reasons {
        let what = paint(
            magenta(),
            &format!("{} held", several(count, "change is", "changes are")),
        );
        line(text, &format!("\n  {what}: {}", escape_control(reason)));
    }
}

/// The number of changes of each kind, and how many are held.
fn planned(changes: &[Reported], left_out: usize) -> String {
    if changes.is_empty() && left_out == 0 {
        return "nothing to do".into();
    }
    let count = |action| {
        changes
            .iter()
            .filter(|change| change.action == action)
            .count()
    };
    let held = changes
        .iter()
        .filter(|change| change.result == ChangeResult::Held)
        .count();
    let mut parts: Vec<String> = ALL
        .into_iter()
        .map(|action| (action, count(action)))
        .filter(|(_, count)| *count > 0)
        .map(|(action, count)| format!("{count} to {action}"))
        .collect();
    if held > 0 {
        parts.push(format!("{held} of them held"));
    }
    if changes.is_empty() {
        parts.push("nothing to do".into());
    }
    if left_out > 0 {
        parts.push(format!("{} skipped", several(left_out, "entry", "entries")));
    }
    parts.join(", ")
}

/// The order in which changes are shown.
const ALL: [Action; 5] = [
    Action::Create,
    Action::Adopt,
    Action::Update,
    Action::Reactivate,
    Action::Deactivate,
];

/// The last line of a report: what was really written.
fn summary(report: &Report) -> String {
    let counts = &report.counts;
    if report.dry_run {
        return format!(
            "Nothing was written. {}; {} unchanged.",
            capital(&planned(&report.changes, counts.skipped)),
            counts.unchanged
        );
    }
    let parts = [
        (counts.created, "created"),
        (counts.adopted, "adopted"),
        (counts.updated, "updated"),
        (counts.reactivated, "reactivated"),
        (counts.deactivated, "deactivated"),
        (counts.unchanged, "unchanged"),
        (counts.skipped, "skipped"),
        (counts.held, "held"),
        (counts.failed, "failed"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match (&report.error, said.is_empty()) {
        (None, true) => "Nothing was written.".into(),
        (None, false) => format!("{}.", capital(&said.join(", "))),
        (Some(_), true) if report.builtin.is_some() => {
            "It failed, and the changes of ftrack's own synchronisation are not known yet.".into()
        }
        (Some(_), true) => "It failed, and nothing was written.".into(),
        (Some(error), false) => format!(
            "{}. It failed: {}.",
            capital(&said.join(", ")),
            escape_control(error)
        ),
    }
}

/// The actions for which a report can say whether the person is in the directory.
#[derive(Clone, Copy)]
enum Read {
    Directory,
    FtrackAlone,
}

fn changes(text: &mut String, changes: &[Reported], read: Read, most: usize) {
    for action in ALL {
        let mut of_action: Vec<&Reported> = changes
            .iter()
            .filter(|change| change.action == action)
            .collect();
        of_action.sort_by(|a, b| a.username.cmp(&b.username));
        for change in of_action.iter().take(most) {
            text.push('\n');
            one_change(text, change, read);
        }
        let more = of_action.len().saturating_sub(most);
        if more > 0 {
            line(
                text,
                &format!("\n  … and {more} more to {}", action.as_str()),
            );
        }
    }
}

fn one_change(text: &mut String, change: &Reported, read: Read) {
    let (sign, style) = match change.action {
        Action::Create => ('+', green()),
        Action::Adopt => ('=', blue()),
        Action::Update => ('~', yellow()),
        Action::Reactivate => ('^', green()),
        Action::Deactivate => ('-', red()),
    };
    let result = match change.result {
        ChangeResult::Applied | ChangeResult::Planned => String::new(),
        ChangeResult::Held => paint(magenta(), " HELD"),
        ChangeResult::Failed => paint(red(), " FAILED"),
    };
    let dn = match (&change.dn, read) {
        (Some(dn), _) => format!("  {}", escape_control(dn)),
        (None, Read::Directory) => "  not in the directory".to_owned(),
        (None, Read::FtrackAlone) => String::new(),
    };
    line(
        text,
        &format!(
            "  {} {}{result}{dn}",
            paint(style, &format!("{sign} {:<10}", change.action.as_str())),
            paint(Style::new().bold(), &escape_control(&change.username))
        ),
    );
    for (field, values) in &change.fields {
        if *field != Field::Link {
            let old = if values.old.is_null() {
                String::new()
            } else {
                format!("{} -> ", value(&values.old))
            };
            line(
                text,
                &format!("      {}: {old}{}", field.name(), value(&values.new)),
            );
        }
    }
    line(
        text,
        &format!("      {}", paint(dim(), &escape_control(&change.reason))),
    );
    // Many changes are held for the same reason, which is shown once for all.
    if let Some(error) = change
        .error
        .as_ref()
        .filter(|_| change.result != ChangeResult::Held)
    {
        line(
            text,
            &format!("      {}", paint(red(), &escape_control(error))),
        );
    }
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

fn skipped(text: &mut String, skipped: &[Skipped]) {
    if skipped.is_empty() {
        return;
    }
    line(
        text,
        &format!(
            "\n  {} skipped:",
            several(skipped.len(), "entry", "entries")
        ),
    );
    for entry in skipped {
        line(
            text,
            &format!(
                "    {}\n      {}",
                escape_control(&entry.dn),
                paint(yellow(), &escape_control(&entry.reason))
            ),
        );
    }
}

fn warnings(text: &mut String, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    line(text, "\n  Warnings:");
    for warning in warnings {
        line(
            text,
            &format!("    {}", paint(yellow(), &escape_control(warning))),
        );
    }
}

/// A number with the right form of its noun.
fn several(count: impl Copy + std::fmt::Display + TryInto<u64>, one: &str, many: &str) -> String {
    let form = if count.try_into().is_ok_and(|count| count == 1) {
        one
    } else {
        many
    };
    format!("{count} {form}")
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

fn line(text: &mut String, line: &str) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{line}");
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn outcome_style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Succeeded => green(),
        Outcome::Partial | Outcome::Held => yellow(),
        Outcome::Failed => red(),
    }
}

fn green() -> Style {
    AnsiColor::Green.on_default()
}

fn red() -> Style {
    AnsiColor::Red.on_default()
}

fn yellow() -> Style {
    AnsiColor::Yellow.on_default()
}

fn blue() -> Style {
    AnsiColor::Blue.on_default()
}

fn magenta() -> Style {
    AnsiColor::Magenta.on_default().bold()
}

fn dim() -> Style {
    Style::new().dimmed()
}
