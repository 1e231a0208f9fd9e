//! What is told of a run that has ended: bounded, whatever the run did.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::program_text::ProgramText;
use crate::{
    escape::escape_control,
    model::{
        hold_number::HoldNumber,
        report::{ChangeResult, Report, Reported},
        summary::RunSummary,
    },
};

/// The most people whom a message lists.
pub const LISTED: usize = 50;

/// The most changes that were not made, of one run, that are told from those of another.
const TOLD_APART: usize = 10_000;

/// The longest text of a server in a message, in characters.
const LONGEST: usize = 300;

/// The longest error of a run in a message, in characters.
const LONGEST_ERROR: usize = 2_000;

/// What is told of a run that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its counts, its outcome and its error.
    pub summary: RunSummary,
    /// The holds that it opened.
    pub opened: Vec<HoldNumber>,
    /// What was not made of what it was to do, and who needs a person.
    pub not_done: Vec<NotDone>,
    /// The first of the changes that it made.
    pub applied: Vec<ToldPerson>,
    /// How many users it changed.
    pub changed: usize,
}

/// A change that was not made, or somebody who needs a person's help.
#[derive(Debug, Clone)]
pub struct NotDone {
    /// The same for the same one in another run.
    pub key: u64,
    pub person: ToldPerson,
}

/// What is told of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldPerson {
    /// The login; empty where it is not known.
    pub username: String,
    pub dn: Option<String>,
    /// `create`, `update`, `deactivate`, `reactivate` or `adopt`; null for somebody who was skipped.
    pub action: Option<ProgramText>,
    /// As in reports; `skipped` for somebody who was skipped.
    pub result: ProgramText,
    /// Why.
    pub reason: String,
}

impl Ended {
    /// What is told of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let applied = report
            .changes
            .iter()
            .filter(|change| change.result == ChangeResult::Applied);
        let mut summary = RunSummary::of(report);
        let error = summary.error.as_deref();
        summary.error = error.map(of_a_run);
        Self {
            summary,
            opened: report.holds_opened.clone(),
            not_done: not_done(report).take(TOLD_APART).collect(),
            changed: applied.clone().count(),
            applied: applied.take(LISTED).map(ToldPerson::of).collect(),
        }
    }
}

/// What was not made of what a run was to do, and who needs a person.
pub fn not_done(report: &Report) -> impl Iterator<Item = NotDone> {
    let changes = report.changes.iter().filter(|change| match change.result {
        ChangeResult::Failed | ChangeResult::Unsettled | ChangeResult::Unconfirmed => true,
        ChangeResult::Applied
        | ChangeResult::Held
        | ChangeResult::Rejected
        | ChangeResult::Planned => false,
    });
    let changes = changes.map(|change| NotDone {
        key: key((&change.ftrack_id, change.action.as_str())),
        person: ToldPerson::of(change),
    });
    let skipped = report.skipped.iter().filter(|skipped| skipped.unsettled);
    changes.chain(skipped.map(|skipped| NotDone {
        key: key((skipped.dn.as_str(), "skipped")),
        person: ToldPerson {
            username: short(skipped.username.as_deref().unwrap_or_default()),
            dn: Some(short(&skipped.dn)),
            action: None,
            result: "skipped".into(),
            reason: short(&skipped.reason),
        },
    }))
}

fn key(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl ToldPerson {
    fn of(change: &Reported) -> Self {
        Self {
            username: short(&change.username),
            dn: change.dn.as_deref().map(short),
            action: Some(change.action.as_str().into()),
            result: change.result.as_str().into(),
            reason: short(change.error.as_deref().unwrap_or(&change.reason)),
        }
    }
}

/// The error of a run, as one line of at most 2,000 characters.
pub fn of_a_run(error: &str) -> String {
    cut(error, LONGEST_ERROR)
}

/// A text of a server, as one line of at most 300 characters.
pub fn short(text: &str) -> String {
    cut(text, LONGEST)
}

/// A text of a server, as one line of at most so many characters.
pub fn cut(text: &str, longest: usize) -> String {
    let text = escape_control(text);
    let mut characters = text.chars();
    let mut start: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}
