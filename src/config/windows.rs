//! `[jobs.NAME.windows]` and `[[jobs.NAME.freezes]]`: when changes of a kind are written.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    finding::KeyPath,
    notes::Notes,
    table::Complete,
    value::{Day, List, line},
};
use crate::model::{
    change_kind::ChangeKind,
    window::{Freeze, Window},
};

/// When changes of a kind are written: only within these windows of the week, such as
/// `"Mon-Thu 09:00-16:00"`, in the job's time zone; at any time when a key is absent. What they hold is
/// written by the first run inside.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Windows")]
pub struct WindowsTable {
    /// When users are created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<List<Window>>,
    /// When users without an owner become the people's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopt: Option<List<Window>>,
    /// When values change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<List<Window>>,
    /// When logins change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<List<Window>>,
    /// When values are emptied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<List<Window>>,
    /// When users are deactivated; not those whose people may not sign in, which are deactivated at
    /// any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deactivate: Option<List<Window>>,
    /// When users are reactivated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivate: Option<List<Window>>,
    /// When roles and memberships are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<List<Window>>,
    /// When roles and memberships are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke: Option<List<Window>>,
}

impl WindowsTable {
    fn of(&mut self, kind: ChangeKind) -> &mut Option<List<Window>> {
        match kind {
            ChangeKind::Create => &mut self.create,
            ChangeKind::Adopt => &mut self.adopt,
            ChangeKind::Update => &mut self.update,
            ChangeKind::Rename => &mut self.rename,
            ChangeKind::Clear => &mut self.clear,
            ChangeKind::Deactivate => &mut self.deactivate,
            ChangeKind::Reactivate => &mut self.reactivate,
            ChangeKind::Grant => &mut self.grant,
            ChangeKind::Revoke => &mut self.revoke,
        }
    }

    /// Whether no kind has a window.
    pub fn is_empty(&self) -> bool {
        let mut windows = self.clone();
        let mut kinds = ChangeKind::ALL.into_iter();
        kinds.all(|kind| windows.of(kind).is_none())
    }
}

impl From<BTreeMap<ChangeKind, Vec<Window>>> for WindowsTable {
    fn from(windows: BTreeMap<ChangeKind, Vec<Window>>) -> Self {
        let mut table = Self::default();
        for (kind, windows) in windows {
            *table.of(kind) = Some(windows.into());
        }
        table
    }
}

/// Checks the table of windows at this key.
pub fn check_windows(
    notes: &mut Notes,
    at: &KeyPath,
    mut table: WindowsTable,
) -> Option<BTreeMap<ChangeKind, Vec<Window>>> {
    let mut all = BTreeMap::new();
    for kind in ChangeKind::ALL {
        let Some(windows) = table.of(kind).take() else {
            continue;
        };
        let at = at.key(kind.as_str());
        if windows.is_empty() {
            notes.find(
                &at,
                "an empty list is never open; leave the key out for any time, or use a freeze",
            );
        }
        windows.check(notes, &at);
        all.insert(kind, windows.complete());
    }
    let complete = all
        .into_iter()
        .map(|(kind, windows)| Some((kind, windows?)));
    complete.collect()
}

/// Days on which changes of some kinds are not written, of any cause; both days included, in the job's
/// time zone.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Freeze")]
pub struct FreezeTable {
    /// The first day, such as `"2026-12-18"`; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// The last day; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Day>,
    /// The kinds of change: `create`, `adopt`, `update`, `rename`, `clear`, `deactivate`,
    /// `reactivate`, `grant`, `revoke`; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<List<ChangeKind>>,
    /// Why, for people.
    #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<Freeze> for FreezeTable {
    fn from(freeze: Freeze) -> Self {
        let Freeze {
            from,
            to,
            what,
            reason,
        } = freeze;
        Self {
            from: Some(from.into()),
            to: Some(to.into()),
            what: Some(what.into()),
            reason,
        }
    }
}

/// Checks the list of freezes at this key.
pub fn check_freezes(
    notes: &mut Notes,
    at: &KeyPath,
    tables: Vec<FreezeTable>,
) -> Option<Vec<Freeze>> {
    let freezes = tables.into_iter().enumerate();
    let freezes: Vec<Option<Freeze>> = freezes
        .map(|(index, table)| freeze(notes, &at.index(index), table))
        .collect();
    freezes.into_iter().collect()
}

fn freeze(notes: &mut Notes, at: &KeyPath, table: FreezeTable) -> Option<Freeze> {
    let FreezeTable {
        from,
        to,
        what,
        reason,
    } = table;
    let kinds = what.unwrap_or_default();
    let what = at.key("what");
    if kinds.is_empty() {
        notes.missing(
            &what,
            "the kinds of change, such as [\"deactivate\", \"revoke\"]",
        );
    }
    kinds.check(notes, &what);
    let mut day = |key: &str, day: Option<Day>| -> Option<NaiveDate> {
        let at = at.key(key);
        match day {
            Some(Day(Ok(day))) => return Some(day),
            Some(Day(Err(problem))) => notes.find(&at, problem),
            None => notes.missing(&at, "a day, such as \"2026-12-18\""),
        }
        None
    };
    let (from, to) = (day("from", from), day("to", to));
    let (from, to) = (from?, to?);
    if from > to {
        notes.find(&at.key("to"), format!("before from ({from})"));
    }
    Some(Freeze {
        from,
        to,
        what: kinds.complete()?,
        reason,
    })
}
