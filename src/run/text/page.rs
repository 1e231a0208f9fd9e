//! A report as a page: HTML in one file, or Markdown. No text from a server is markup in either.

use std::fmt::Display;

use anstream::adapter::strip_str;
use chrono::TimeZone;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, value::Serde};
use serde::Serialize;

use super::{ABOUT, changes, end, facts, further, headline, reasons_held, whole::started, work};
use crate::{
    escape::escape_control,
    model::{
        change::Action,
        hold_number::HoldNumber,
        report::{Outcome, Report, Reported},
    },
};

const HTML: &str = include_str!("page.html");
const MARKDOWN: &str = include_str!("page.md");

/// What a page shows.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Page {
    pub title: String,
    pub outcome: &'static str,
    /// Whether a person should look.
    pub trouble: bool,
    pub facts: Vec<Fact>,
    pub kinds: Vec<Kind>,
    pub held: Vec<String>,
    pub skipped: Vec<Fact>,
    pub warnings: Vec<String>,
    pub summary: Vec<String>,
}

/// A text with what it is about.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Fact {
    pub name: String,
    pub text: String,
}

/// The changes of one action.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Kind {
    pub title: String,
    pub action: &'static str,
    pub changes: Vec<Row>,
}

/// One change.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Row {
    /// By which the person is found: as it is, and not made safe to show.
    #[serde(skip)]
    pub who: String,
    /// The hold that has it, and does for a person to decide.
    #[serde(skip)]
    pub hold: Option<u64>,
    pub username: String,
    /// Who a missing person is, and where the entry is.
    pub about: Vec<String>,
    pub result: &'static str,
    pub values: Vec<Line>,
    pub reasons: Vec<String>,
}

/// One value.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct Line {
    pub name: String,
    pub old: String,
    pub new: String,
}

/// A report as an HTML page without anything from elsewhere; times by a zone's clocks.
///
/// # Errors
/// None in practice: the template is a part of the program.
pub fn html<Z: TimeZone<Offset: Display>>(
    report: &Report,
    zone: &Z,
) -> Result<String, minijinja::Error> {
    rendered(
        "page.html",
        HTML,
        &Page::of(report, zone, &ToOwned::to_owned),
    )
}

/// The same as Markdown (GitHub's: tables).
///
/// # Errors
/// None in practice: the template is a part of the program.
pub fn markdown<Z: TimeZone<Offset: Display>>(
    report: &Report,
    zone: &Z,
) -> Result<String, minijinja::Error> {
    rendered("page.md", MARKDOWN, &Page::of(report, zone, &no_markdown))
}

fn rendered(name: &str, template: &str, page: &Page) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    let page = environment.render_named_str(name, template, Value::from(Serde(page)))?;
    Ok(page + "\n")
}

/// A text in which no character is markup (CommonMark 2.4: any punctuation may be escaped).
fn no_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\`*_{}[]<>#+!|~&$@:".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

impl Page {
    /// A report as it is shown, with no markup: whoever shows it escapes it once more.
    #[must_use]
    pub fn plain<Z: TimeZone<Offset: Display>>(report: &Report, zone: &Z) -> Self {
        Self::of(report, zone, &ToOwned::to_owned)
    }

    fn of<Z: TimeZone<Offset: Display>>(
        report: &Report,
        zone: &Z,
        escape: &dyn Fn(&str) -> String,
    ) -> Self {
        let shown = |text: &str| escape(&escape_control(text));
        let kinds = Action::ALL.into_iter().filter_map(|action| {
            let of_action = changes::of_action(&report.changes, action);
            let changes: Vec<Row> = of_action
                .iter()
                .map(|change| Row::of(change, &shown))
                .collect();
            let title = changes::heading(action, &of_action);
            let action = action.as_str();
            (!changes.is_empty()).then_some(Kind {
                title,
                action,
                changes,
            })
        });
        let held = reasons_held(&report.changes).into_iter();
        let skipped = report.skipped.iter().map(|entry| Fact {
            name: shown(&entry.dn),
            text: shown(&entry.reason),
        });
        let warnings = further(&report.warnings, &report.changes).into_iter();
        let mut last = String::new();
        end(&mut last, report);
        Self {
            title: shown(&strip_str(&headline(report)).to_string()),
            outcome: report.outcome.as_str(),
            trouble: report.outcome != Outcome::Succeeded || report.alarm,
            facts: Fact::all_of(report, zone, &shown),
            kinds: kinds.collect(),
            held: held
                .map(|(what, reason)| shown(&format!("{what}: {reason}")))
                .collect(),
            skipped: skipped.collect(),
            warnings: warnings.map(|warning| shown(warning)).collect(),
            summary: last
                .lines()
                .map(|line| shown(&strip_str(line).to_string()))
                .collect(),
        }
    }
}

impl Fact {
    fn all_of<Z: TimeZone<Offset: Display>>(
        report: &Report,
        zone: &Z,
        shown: &dyn Fn(&str) -> String,
    ) -> Vec<Self> {
        let of = |name: &str, text: &str| Self {
            name: name.to_owned(),
            text: shown(text),
        };
        let mut all = vec![of("started", &started(report, zone))];
        all.extend(report.error.iter().map(|error| of("error", error)));
        let mut text = String::new();
        facts(&mut text, report);
        for line in text.lines() {
            let line = strip_str(line).to_string();
            // A line without that column is one text.
            let columns = line.split_at_checked(ABOUT);
            let columns = columns.filter(|(name, _)| name.ends_with("  "));
            let (name, text) = columns.unwrap_or(("", &line));
            // What belongs to the line before is not named again.
            all.push(of(name.trim(), text.trim()));
        }
        all
    }
}

impl Row {
    /// A change as it is shown, with no markup.
    #[must_use]
    pub fn plain(change: &Reported) -> Self {
        Self::of(change, &|text| escape_control(text).into_owned())
    }

    fn of(change: &Reported, shown: &dyn Fn(&str) -> String) -> Self {
        let person = change.person.as_ref();
        let known = person.and_then(|person| changes::last_known(person, change.dn.as_deref()));
        let about = change.dn.iter().chain(&known).map(|text| shown(text));
        let values = change.fields.iter().filter_map(|(field, values)| {
            let (old, new) = changes::old_and_new(field, values)?;
            Some(Line {
                name: shown(&field.name()),
                old: shown(&old.unwrap_or_default()),
                new: shown(&new),
            })
        });
        let mut reasons = vec![shown(&change.reason)];
        let carried = change.work.iter().flat_map(|carried| work(carried));
        reasons.extend(carried.map(|carried| shown(&carried)));
        reasons.extend(changes::remarks(change).map(|remark| shown(remark)));
        Self {
            who: change.username.clone(),
            hold: change.hold.map(HoldNumber::get),
            username: shown(&change.username),
            about: about.collect(),
            result: changes::result(change).map_or("", |(_, result)| result),
            values: values.collect(),
            reasons,
        }
    }
}
