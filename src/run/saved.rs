//! A plan in a file: `plan --out` writes it, and `apply` accepts it, or refuses it as stale.

use std::{collections::HashMap, fs::File, io::Read, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    model::{
        change::{Change, Field, HeldBy, Hold, Plan, Skipped},
        report::{ChangeResult, Reported},
    },
    sync::guard::{Held, Vetted},
};

/// The version of the plan file format.
const FORMAT: u32 = 2;

/// The maximum size of a plan file, in bytes.
const LARGEST: u64 = 1 << 30;

/// A saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// The version of this file's format.
    pub format: u32,
    /// The job of the plan.
    pub job: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// The changes, in the order in which they are written.
    pub changes: Vec<Planned>,
    /// Skipped entries.
    pub skipped: Vec<Skipped>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// One change of a saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Planned {
    pub change: Change,
    /// Why a sync would hold it; null when it would not.
    pub held: Option<String>,
    /// What would hold it.
    pub held_by: Option<HeldBy>,
}

impl Planned {
    /// The change as a report shows it.
    #[must_use]
    pub fn reported(&self) -> Reported {
        match (self.held_by, &self.held) {
            (Some(by), Some(why)) => Reported::held(&self.change, &Hold::new(by, why.as_str())),
            (None, _) | (_, None) => Reported::new(&self.change, ChangeResult::Planned),
        }
    }
}

/// A plan file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPlanFile {
    /// It cannot be read.
    #[error("cannot read the plan file {path}: {source}")]
    Unreadable {
        /// The path.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// It is not a plan.
    #[error("{path} is not a plan that `plan --out` wrote: {why}")]
    NotAPlan {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

impl SavedPlan {
    /// A plan with what would be held, ready to be saved.
    #[must_use]
    pub fn new(job: &str, made_at: DateTime<Utc>, plan: &Plan, vetted: &Vetted) -> Self {
        let mut parts: HashMap<&str, Vec<Planned>> = HashMap::new();
        for change in vetted.allowed() {
            parts
                .entry(change.ftrack_id.as_str())
                .or_default()
                .push(Planned {
                    change: change.clone(),
                    held: None,
                    held_by: None,
                });
        }
        for Held { change, hold } in vetted.held() {
            parts
                .entry(change.ftrack_id.as_str())
                .or_default()
                .push(Planned {
                    change: change.clone(),
                    held: Some(hold.why.clone()),
                    held_by: Some(hold.by),
                });
        }
        let in_order = plan
            .changes
            .iter()
            .filter_map(|change| parts.remove(change.ftrack_id.as_str()));
        Self {
            format: FORMAT,
            job: job.to_owned(),
            made_at,
            changes: in_order.flatten().collect(),
            skipped: plan.skipped.clone(),
            warnings: plan.warnings.clone(),
        }
    }

    /// Reads a saved plan.
    ///
    /// # Errors
    /// The file cannot be read, or is not a plan of this program.
    pub fn load(path: &Path) -> Result<Self, BadPlanFile> {
        let name = || path.display().to_string();
        let unreadable = |source| BadPlanFile::Unreadable {
            path: name(),
            source,
        };
        let mut content = Vec::new();
        File::open(path)
            .map_err(unreadable)?
            .take(LARGEST)
            .read_to_end(&mut content)
            .map_err(unreadable)?;
        let plan: Self =
            serde_json::from_slice(&content).map_err(|error| BadPlanFile::NotAPlan {
                path: name(),
                why: error.to_string(),
            })?;
        if plan.format == FORMAT {
            Ok(plan)
        } else {
            Err(BadPlanFile::NotAPlan {
                path: name(),
                why: format!(
                    "its format version is {}, and this program uses {FORMAT}",
                    plan.format
                ),
            })
        }
    }

    /// The approved part of a new plan, or what has changed since.
    ///
    /// # Errors
    /// The plan is stale: one of its changes is no longer needed, has changed, or is held by
    /// something that was not shown when it was approved.
    pub fn approved(&self, now: &Plan, vetted: &Vetted) -> Result<Plan, Stale> {
        let mut fresh: HashMap<&str, &Change> = now
            .changes
            .iter()
            .map(|change| (change.ftrack_id.as_str(), change))
            .collect();
        let mut stale = Vec::new();
        let mut wanted = std::collections::HashSet::new();
        for change in &self.whole_changes() {
            match fresh.remove(change.ftrack_id.as_str()) {
                Some(new) if same(change, new) => {
                    wanted.insert(change.ftrack_id.clone());
                }
                Some(_) => stale.push(format!(
                    "{} {:?} has changed",
                    change.action, change.username
                )),
                None => stale.push(format!(
                    "{} {:?} is no longer needed",
                    change.action, change.username
                )),
            }
        }
        stale.extend(
            vetted
                .held()
                .iter()
                .filter(|held| wanted.contains(&held.change.ftrack_id))
                .filter_map(|held| self.unseen(held)),
        );
        if stale.is_empty() {
            Ok(Plan {
                changes: now
                    .changes
                    .iter()
                    .filter(|change| wanted.contains(&change.ftrack_id))
                    .cloned()
                    .collect(),
                ..now.clone()
            })
        } else {
            Err(Stale(stale))
        }
    }
}

impl SavedPlan {
    /// What holds a change now although the plan did not show it: an approval releases what was
    /// seen. A limit is only a number, and an approval overrides it; the last administrator is held
    /// in any case.
    fn unseen(&self, Held { change, hold }: &Held) -> Option<String> {
        let is_seen = match hold.by {
            HeldBy::Limit | HeldBy::Administrator => true,
            HeldBy::Doubt | HeldBy::Replica | HeldBy::Configuration | HeldBy::Protected => {
                let of_user = self
                    .changes
                    .iter()
                    .filter(|planned| planned.change.ftrack_id == change.ftrack_id);
                of_user
                    .filter_map(|planned| planned.held_by)
                    .any(|by| by == hold.by)
            }
        };
        (!is_seen).then(|| {
            format!(
                "{} {:?} is held now: {}",
                change.action, change.username, hold.why
            )
        })
    }

    /// The changes, each in as many parts as the guard split it into.
    fn whole_changes(&self) -> Vec<Change> {
        let mut whole: Vec<Change> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for Planned { change, .. } in &self.changes {
            match places
                .get(change.ftrack_id.as_str())
                .and_then(|place| whole.get_mut(*place))
            {
                Some(known) => {
                    known.fields.extend(change.fields.clone());
                    // The user's final login is that of the part that renames it.
                    if change.fields.contains_key(&Field::Username) {
                        known.username.clone_from(&change.username);
                    }
                }
                None => {
                    places.insert(change.ftrack_id.as_str(), whole.len());
                    whole.push(change.clone());
                }
            }
        }
        whole
    }
}

/// A saved plan no longer matches the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale(Vec<String>);

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(differences) = self;
        let shown: Vec<&str> = differences.iter().take(5).map(String::as_str).collect();
        write!(
            f,
            "the plan is stale, and nothing was written: {}",
            shown.join("; ")
        )?;
        if differences.len() > shown.len() {
            write!(f, "; and {} more", differences.len() - shown.len())?;
        }
        f.write_str(". Make a new plan, review it, and apply that")
    }
}

impl std::error::Error for Stale {}

/// Whether two changes write the same values; times and texts may differ.
fn same(a: &Change, b: &Change) -> bool {
    a.action == b.action
        && a.username == b.username
        && a.directory_id == b.directory_id
        && a.fields == b.fields
        && a.link.source == b.link.source
}
