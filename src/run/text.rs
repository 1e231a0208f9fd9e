//! Plans and reports as text, for people. Every text from a server passes `escape_control`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use anstyle::{AnsiColor, Style};

use super::saved::SavedPlan;
use crate::{
    escape::escape_control,
    model::{
        adopted_roles,
        change::{Action, Skipped},
        changed_setting,
        report::{ChangeResult, FtrackPart, Outcome, Report, Reported},
    },
    state::journal,
};

mod access;
mod changes;
pub mod csv;
mod explained;
mod facts;
mod folded;
mod observed;
pub mod page;
mod rejects;
pub mod summary;
mod whole;
mod why;
mod work;

use facts::{ABOUT, facts, headline, read, seats};
use folded::{Folded, NAMED, by_reason, folded};

pub use changes::old_and_new;
pub use explained::{again, commands, explained};
pub use whole::whole;
pub use work::work;

/// How much of a plan or report is shown; what is left out is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// This many changes of each kind.
    OfEachKind(usize),
    /// As much as fits on this many rows, but at least one change of each kind.
    Rows(usize),
}

impl Extent {
    /// How many entries, warnings and reasons are shown of each kind.
    fn few(self) -> usize {
        match self {
            Self::Whole | Self::OfEachKind(_) => usize::MAX,
            Self::Rows(rows) => (rows / 8).max(2),
        }
    }

    /// The texts, each with how many it is about; where not everything is shown, those that differ only
    /// in the person are one.
    fn folded<'t>(self, texts: impl Iterator<Item = (&'t str, usize)>) -> Vec<Folded> {
        match self {
            Self::Rows(_) => folded(texts),
            Self::Whole | Self::OfEachKind(_) => texts.map(Folded::from).collect(),
        }
    }

    /// How many skipped entries, and how many warnings, are shown: any of them may be the one that
    /// matters.
    fn unless_very_many(self) -> usize {
        self.few().max(VERY_MANY)
    }
}

/// So many skipped entries, or warnings, are shown in any case.
const VERY_MANY: usize = 20;

/// A report as text; the caller strips colours where they are not wanted.
#[must_use]
pub fn report(report: &Report, extent: Extent) -> String {
    let mut text = String::new();
    line(&mut text, &headline(report));
    if let Some(error) = &report.error {
        line(
            &mut text,
            &format!("  {}", paint(red(), &escape_control(error))),
        );
    }
    facts(&mut text, report);
    if let Some(observed) = &report.observed {
        observed::write(&mut text, observed, extent);
    }
    let changes = changes::write(&mut text, &report.changes, extent);
    let held = held(&mut text, &report.changes, extent);
    let skipped = skipped(&mut text, &report.skipped, extent);
    let warnings = warnings(&mut text, &report.warnings, &report.changes, extent);
    text.push('\n');
    end(&mut text, report);
    let is_all = [changes, held, skipped, warnings] == [0; 4];
    if matches!(extent, Extent::Rows(_)) && !is_all {
        let all = format!("`runs show {}` shows the rest.", report.run);
        line(&mut text, &all);
    }
    text
}

/// Whether the program ended before the run did: then what it did last is not known.
fn is_interrupted(report: &Report) -> bool {
    report.error.as_deref().is_some_and(journal::is_interrupted)
}

/// A plan as text: what was read and owned, the changes, and how many there are.
#[must_use]
pub fn plan(plan: &SavedPlan, extent: Extent) -> String {
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
    if let Some(directory) = &plan.directory {
        read(&mut text, directory);
    }
    if let Some(ftrack) = &plan.ftrack {
        owned(&mut text, ftrack);
    }
    if !plan.new_groups.is_empty() {
        let groups = escape_control(&plan.new_groups.join(", ")).into_owned();
        line(&mut text, &format!("  new groups {groups}"));
    }
    let changes = changes::write(&mut text, &reported, extent);
    let held = held(&mut text, &reported, extent);
    let skipped = skipped(&mut text, &plan.skipped, extent);
    let warnings = warnings(&mut text, &plan.warnings, &reported, extent);
    let is_all = [changes, held, skipped, warnings] == [0; 4];
    if reported.len() > ON_A_SCREEN || !is_all {
        line(&mut text, &format!("\n{headline}"));
    }
    if !is_all {
        line(&mut text, "`--all` shows the rest.");
    }
    text
}

/// What was read of ftrack, and how many of it the job owns.
fn owned(text: &mut String, ftrack: &FtrackPart) {
    let FtrackPart {
        server,
        users,
        owned,
        owned_active,
        ..
    } = ftrack;
    line(
        text,
        &format!(
            "  ftrack     {server}: {}, {owned} of this job, {owned_active} of them active",
            several(*users, "user", "users")
        ),
    );
    seats(text, ftrack);
}

/// How many changes fit on a screen; after more of them the headline is repeated.
const ON_A_SCREEN: usize = 8;

/// How many changes are held for each reason.
fn reasons_held(changes: &[Reported]) -> Vec<(String, String)> {
    let reasons = counted_reasons(changes).into_iter();
    let reasons = reasons.map(|(reason, count)| (so_many_held(count), reason));
    reasons.collect()
}

fn so_many_held(count: usize) -> String {
    format!("{} held", several(count, "change is", "changes are"))
}

fn counted_reasons(changes: &[Reported]) -> Vec<(String, usize)> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in changes.iter().filter_map(Reported::hold) {
        *reasons.entry(reason).or_default() += 1;
    }
    let reasons = by_setting(reasons);
    let reasons = reasons.iter().map(|(reason, count)| (&**reason, *count));
    adopted_roles::grouped(reasons)
}

/// The reasons, of which those that differ only in the setting that changed are one that names each
/// setting, with the number of its changes.
fn by_setting(reasons: BTreeMap<&str, usize>) -> Vec<(String, usize)> {
    let mut settings: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    let mut all = Vec::new();
    for (reason, count) in reasons {
        match changed_setting::parts(reason) {
            Some((setting, rest)) => settings.entry(rest).or_default().push((setting, count)),
            None => all.push((reason.to_owned(), count)),
        }
    }
    all.extend(settings.into_iter().map(|(rest, settings)| {
        let number = settings.iter().map(|(_, count)| count).sum();
        let named: Vec<String> = match settings.as_slice() {
            [(setting, _)] => vec![(*setting).to_owned()],
            several => {
                let several = several.iter();
                several
                    .map(|(setting, count)| format!("{setting}: {count} of them"))
                    .collect()
            }
        };
        (
            changed_setting::with_setting(&named.join("; "), rest),
            number,
        )
    }));
    all.sort();
    all
}

/// Writes why changes are held, each reason once, and returns how many reasons are left out.
fn held(text: &mut String, changes: &[Reported], extent: Extent) -> usize {
    let reasons = counted_reasons(changes);
    let reasons = reasons
        .iter()
        .map(|(reason, count)| (reason.as_str(), *count));
    let reasons = extent.folded(reasons);
    let few = extent.few();
    for reason in reasons.iter().take(few) {
        let what = paint(magenta(), &so_many_held(reason.number));
        let reason = escape_control(&reason.text);
        line(text, &format!("\n  {what}: {reason}"));
    }
    let more = reasons.len().saturating_sub(few);
    if more > 0 {
        line(text, &format!("  … and {more} more reasons"));
    }
    left_out(&reasons, few)
}

/// How many texts are not shown where so few are.
fn left_out(texts: &[Folded], few: usize) -> usize {
    let shown = texts.iter().take(few).map(|text| text.not_named);
    shown.sum::<usize>() + texts.len().saturating_sub(few)
}

/// The number of users with changes of each kind, and with held ones.
fn planned(changes: &[Reported], left_out: usize) -> String {
    if changes.is_empty() && left_out == 0 {
        return "nothing to do".into();
    }
    let held = users(changes, &|change| change.hold().is_some());
    let mut parts: Vec<String> = Action::ALL
        .into_iter()
        .map(|action| (action, users(changes, &|change| change.action == action)))
        .filter(|(_, count)| *count > 0)
        .map(|(action, count)| format!("{count} to {action}"))
        .collect();
    if held > 0 {
        parts.push(format!("{held} of them held"));
    }
    let rejected = users(changes, &|change| change.result == ChangeResult::Rejected);
    if rejected > 0 {
        parts.push(format!("{rejected} of them rejected"));
    }
    if changes.is_empty() {
        parts.push("nothing to do".into());
    }
    if left_out > 0 {
        parts.push(format!("{} skipped", several(left_out, "entry", "entries")));
    }
    parts.join(", ")
}

/// What so many given and taken roles are called.
#[must_use]
pub fn role_changes(number: usize) -> &'static str {
    if number == 1 {
        "role change"
    } else {
        "role changes"
    }
}

/// What so many memberships that began or ended are called.
#[must_use]
pub fn group_changes(number: usize) -> &'static str {
    if number == 1 {
        "membership change"
    } else {
        "membership changes"
    }
}

/// The number of users with such changes: one that several things hold is listed once for each.
fn users(changes: &[Reported], is_so: &dyn Fn(&Reported) -> bool) -> usize {
    let users = changes.iter().filter(|change| is_so(change));
    users
        .map(|change| &change.ftrack_id)
        .collect::<BTreeSet<_>>()
        .len()
}

/// What came of it, in the last lines.
fn end(text: &mut String, report: &Report) {
    line(text, &summary(report));
    rejects::write(text, report);
    access::write(text, report);
}

/// The last line of a report: what was really written.
fn summary(report: &Report) -> String {
    let counts = &report.counts;
    let is_in_the_middle = report
        .error
        .as_deref()
        .is_some_and(journal::is_in_the_middle);
    if report.dry_run || report.observed.is_some() && report.error.is_none() {
        let unchanged = match counts.unchanged {
            0 => String::new(),
            number => format!("; {number} unchanged"),
        };
        let planned = capital(&planned(&report.changes, counts.skipped));
        return format!("Nothing was written. {planned}{unchanged}.");
    }
    let changes = report.changes.iter();
    let without_seat = changes.filter(|change| change.result == ChangeResult::Unsettled);
    let without_seat = without_seat.count();
    let unsettled = counts.unsettled.saturating_sub(without_seat);
    let parts = [
        (counts.created, "created"),
        (counts.adopted, "adopted"),
        (counts.updated, "updated"),
        (counts.reactivated, "reactivated"),
        (counts.deactivated, "deactivated"),
        (counts.role_changes, role_changes(counts.role_changes)),
        (counts.group_changes, group_changes(counts.group_changes)),
        (counts.unchanged, "unchanged"),
        (counts.skipped, "skipped"),
        (counts.held, "held"),
        (counts.rejected, "rejected"),
        (
            counts.failed,
            if is_in_the_middle {
                "not written"
            } else {
                "failed"
            },
        ),
        (counts.unconfirmed, "unconfirmed"),
        (without_seat, "without a seat"),
    ];
    let held = users(&report.changes, &|change| {
        change.result == ChangeResult::Held
    });
    let said: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| match *what {
            // One user may have several, each held by something else.
            "held" if held < *count => format!("{count} {what} (of {held} users)"),
            "skipped" if unsettled == 1 => format!("{count} {what} (1 needs a decision)"),
            "skipped" if unsettled > 0 => {
                format!("{count} {what} ({unsettled} need a decision)")
            }
            what => format!("{count} {what}"),
        })
        .collect();
    match (&report.error, said.is_empty()) {
        (None, true) => "Nothing was written.".into(),
        (None, false) => format!("{}.", capital(&said.join(", "))),
        (Some(_), true) if report.builtin.is_some() => {
            "It failed, and the changes of ftrack's own synchronisation are not known yet.".into()
        }
        (Some(_), true) => "It failed, and nothing was written.".into(),
        (Some(error), false) => format!(
            "{}. It {}: {}.",
            capital(&said.join(", ")),
            if is_in_the_middle {
                "was interrupted"
            } else {
                "failed"
            },
            escape_control(error)
        ),
    }
}

/// Writes the skipped entries, on a terminal by their reasons; returns how many are left out.
fn skipped(text: &mut String, skipped: &[Skipped], extent: Extent) -> usize {
    if skipped.is_empty() {
        return 0;
    }
    line(
        text,
        &format!(
            "\n  {} skipped:",
            several(skipped.len(), "entry", "entries")
        ),
    );
    if !matches!(extent, Extent::Rows(_)) {
        skipped.iter().for_each(|entry| one_skipped(text, entry));
        return 0;
    }
    let groups = by_reason(skipped);
    let mut left_out = skipped.len();
    for (reason, entries) in groups.iter().take(extent.unless_very_many()) {
        left_out = left_out.saturating_sub(entries.len().min(NAMED));
        if let [entry] = entries.as_slice() {
            one_skipped(text, entry);
            continue;
        }
        let reason = paint(yellow(), &escape_control(reason));
        line(text, &format!("    {reason}"));
        for entry in entries.iter().take(NAMED) {
            line(text, &format!("      {}", escape_control(&entry.dn)));
        }
        let more = entries.len().saturating_sub(NAMED);
        if more > 0 {
            line(text, &format!("      … and {more} more"));
        }
    }
    let others = groups.iter().skip(extent.unless_very_many());
    let others: usize = others.map(|(_, entries)| entries.len()).sum();
    if others > 0 {
        line(text, &format!("    … and {others} more"));
    }
    left_out
}

fn one_skipped(text: &mut String, entry: &Skipped) {
    let reason = paint(yellow(), &escape_control(&entry.reason));
    line(
        text,
        &format!("    {}\n      {reason}", escape_control(&entry.dn)),
    );
}

/// The warnings but those that say why changes are held, which are shown with these.
fn further<'w>(warnings: &'w [String], changes: &[Reported]) -> Vec<&'w String> {
    let held: BTreeSet<&str> = changes.iter().filter_map(Reported::hold).collect();
    let warnings = warnings.iter();
    warnings
        .filter(|warning| !held.contains(warning.as_str()))
        .collect()
}

/// Writes the warnings but those that are the reason of a held change, which is shown; returns how
/// many are left out.
fn warnings(text: &mut String, warnings: &[String], changes: &[Reported], extent: Extent) -> usize {
    let warnings = further(warnings, changes);
    if warnings.is_empty() {
        return 0;
    }
    line(text, "\n  Warnings:");
    let warnings = warnings.iter().map(|warning| (warning.as_str(), 1));
    let (warnings, few) = (extent.folded(warnings), extent.unless_very_many());
    for warning in warnings.iter().take(few) {
        let warning = paint(yellow(), &escape_control(&warning.text));
        line(text, &format!("    {warning}"));
    }
    let more = warnings.len().saturating_sub(few);
    if more > 0 {
        line(text, &format!("    … and {more} more"));
    }
    left_out(&warnings, few)
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

/// A text that begins with a capital.
#[must_use]
pub fn capital(text: &str) -> String {
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
