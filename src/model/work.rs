//! The work that somebody still carries at ftrack, and the API keys that are theirs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::user::EntityId;

/// The most pieces of work that are named for one user.
const NAMED: usize = 20;
/// The most API keys that are named for one user.
const KEYS_NAMED: usize = 10;
/// The longest name, in characters.
const LONGEST_NAME: usize = 120;

/// What a user still carries, as far as ftrack shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Assigned tasks that are not done, in projects that are not hidden; null where it is not known.
    pub tasks: Option<usize>,
    /// Timers that are running; null where it is not known.
    pub timers: Option<usize>,
    /// Projects that the user manages and that are not hidden; null where it is not known.
    pub projects: Option<usize>,
    /// The numbers that may be larger; omitted where there are none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub at_least: BTreeSet<WorkKind>,
    /// The first of them, at most 20; omitted where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<WorkItem>,
    /// The identifiers of the user's own API keys, at most 10; omitted where none is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<String>,
    /// How many more API keys there are; omitted where there are none.
    #[serde(default, skip_serializing_if = "is_no_number")]
    pub more_api_keys: usize,
    /// Why some of it could not be read; omitted where everything that ftrack has was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_no_number(number: &usize) -> bool {
    *number == 0
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkKind {
    /// Running timers.
    Timers,
    /// Projects that the user manages.
    Projects,
    /// Assigned tasks.
    Tasks,
}

impl WorkKind {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 3] = [Self::Tasks, Self::Timers, Self::Projects];

    /// So many of them, in words.
    fn words(self, number: usize) -> &'static str {
        match (self, number) {
            (Self::Tasks, 1) => "open task",
            (Self::Tasks, _) => "open tasks",
            (Self::Timers, 1) => "running timer",
            (Self::Timers, _) => "running timers",
            (Self::Projects, 1) => "managed project",
            (Self::Projects, _) => "managed projects",
        }
    }
}

/// One task, timer or project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkItem {
    /// What it is.
    pub kind: WorkKind,
    /// Its name; null where it has none.
    pub name: Option<String>,
    /// Where it is in ftrack's web interface.
    pub url: String,
}

impl Work {
    /// The number of one kind; none where it is not known.
    #[must_use]
    pub fn number(&self, kind: WorkKind) -> Option<usize> {
        match kind {
            WorkKind::Tasks => self.tasks,
            WorkKind::Timers => self.timers,
            WorkKind::Projects => self.projects,
        }
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_some(&self) -> bool {
        let mut kinds = WorkKind::ALL.into_iter();
        kinds.any(|kind| self.number(kind).is_some_and(|number| number > 0))
    }

    /// Counts none of a kind, until some are added.
    pub fn knows(&mut self, kind: WorkKind) {
        self.counter(kind).get_or_insert(0);
    }

    /// Adds one, and its name and address as long as few are named.
    pub fn add(&mut self, kind: WorkKind, name: Option<&str>, url: impl FnOnce() -> String) {
        *self.counter(kind).get_or_insert(0) += 1;
        if self.items.len() < NAMED {
            self.items.push(WorkItem {
                kind,
                name: name.filter(|name| !name.is_empty()).map(beginning),
                url: url(),
            });
        }
    }

    /// Adds an API key by its identifier.
    pub fn add_api_key(&mut self, identifier: Option<&str>) {
        if self.api_keys.len() < KEYS_NAMED {
            let name = identifier.filter(|name| !name.is_empty());
            self.api_keys
                .push(beginning(name.unwrap_or("without a name")));
        } else {
            self.more_api_keys += 1;
        }
    }

    fn counter(&mut self, kind: WorkKind) -> &mut Option<usize> {
        match kind {
            WorkKind::Tasks => &mut self.tasks,
            WorkKind::Timers => &mut self.timers,
            WorkKind::Projects => &mut self.projects,
        }
    }

    /// How much it is, such as `2 open tasks, at least 500 running timers`; none where nothing is
    /// known to be there.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let counted = WorkKind::ALL.into_iter().filter_map(|kind| {
            let number = self.number(kind).filter(|number| *number > 0)?;
            let at_least = if self.at_least.contains(&kind) {
                "at least "
            } else {
                ""
            };
            Some(format!("{at_least}{number} {}", kind.words(number)))
        });
        let counted: Vec<String> = counted.collect();
        (!counted.is_empty()).then(|| counted.join(", "))
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What was found out about the work of users who are to be deactivated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkOfUsers(BTreeMap<EntityId, Work>);

impl WorkOfUsers {
    /// The work of a user; none for whom nobody asked.
    #[must_use]
    pub fn of(&self, user: &EntityId) -> Option<&Work> {
        self.0.get(user)
    }

    /// The work of a user, to be added to.
    pub fn entry(&mut self, user: &EntityId) -> &mut Work {
        self.0.entry(user.clone()).or_default()
    }
}
