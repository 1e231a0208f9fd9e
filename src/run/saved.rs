//! A plan in a file: `plan --out` writes it, and `apply` accepts it, or refuses it as stale.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::{
    config::files,
    model::{
        change::{Action, Change, ChangeId, Fingerprint, HeldBy, Skipped},
        edit::{Edit, Field, Values},
        grant::Group,
        link::Link,
        reason::Cause,
        report::{ChangeResult, DirectoryPart, FtrackPart, LastKnown, Reported},
        shown_edit::ShownEdit,
        user::EntityId,
        way_to_approve::in_plan,
        work::Work,
    },
    sync::{
        decision::Plan,
        guard::{Held, Vetted},
    },
};

/// The version of the plan file format.
const FORMAT: u32 = 3;

/// The maximum size of a plan file, in bytes.
const LARGEST: u64 = 1 << 30;

/// A plan that `plan --out FILE` writes, and `apply FILE` takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct SavedPlan {
    /// The version of this file's format.
    pub format: u32,
    /// The job of the plan.
    pub job: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// What was read from the directory.
    #[serde(default)]
    pub directory: Option<Box<DirectoryPart>>,
    /// What was read from ftrack.
    #[serde(default)]
    pub ftrack: Option<Box<FtrackPart>>,
    /// The paths of the groups that ftrack lacks and that are made first, since changes of the plan
    /// join them; omitted where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_groups: Vec<String>,
    /// The changes, in the order in which they are written.
    pub changes: Vec<Planned>,
    /// Skipped entries.
    pub skipped: Vec<Skipped>,
    pub warnings: Vec<String>,
}

/// One change of a saved plan, or the part of one that the guard judges alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Planned {
    pub change: PlannedChange,
    /// Why a sync would hold it; null when it would not.
    pub held: Option<String>,
    /// What would hold it.
    pub held_by: Option<HeldBy>,
    /// From when on a sync writes it by itself; omitted where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<DateTime<Utc>>,
}

/// A change as it is saved: what a person approves, and how it is recognised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "fields are those of the change")]
pub struct PlannedChange {
    pub id: ChangeId,
    pub fingerprint: Fingerprint,
    pub action: Action,
    pub username: String,
    pub dn: Option<String>,
    pub directory_id: String,
    pub ftrack_id: EntityId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<LastKnown>,
    /// What the user still carries who is to be deactivated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Box<Work>>,
    pub fields: BTreeMap<Field, Values>,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    pub link: Link,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<usize>,
}

impl PlannedChange {
    /// Whether it is that change: decided from the same, and to the same end as the file shows it.
    fn is(&self, new: &Change) -> bool {
        let Self {
            id,
            fingerprint,
            action,
            username,
            dn: _,
            directory_id,
            ftrack_id,
            person: _,
            work: _,
            fields,
            reason: _,
            cause: _,
            link: _,
            rotation: _,
        } = self;
        (*id, *fingerprint, *action) == (new.id, new.fingerprint, new.action)
            && (username, ftrack_id) == (&new.username, &new.ftrack_id)
            && directory_id == new.directory_id.as_str()
            && *fields == new.fields()
    }
}

impl From<&Change> for PlannedChange {
    fn from(change: &Change) -> Self {
        Self {
            id: change.id,
            fingerprint: change.fingerprint,
            action: change.action,
            username: change.username.clone(),
            dn: change.dn.clone(),
            directory_id: change.directory_id.as_str().to_owned(),
            ftrack_id: change.ftrack_id.clone(),
            person: None,
            work: None,
            fields: change.fields(),
            reason: change.reason.to_string(),
            cause: change.reason.cause(),
            link: change.link.clone(),
            rotation: change.rotation,
        }
    }
}

impl Planned {
    /// Whether it shows just this part of a change as rejected.
    fn is_rejected(&self, part: &Change) -> bool {
        self.held_by == Some(HeldBy::Rejected)
            && self.change.id == part.id
            && self.change.fields == part.fields()
    }

    /// The change as a report shows it.
    #[must_use]
    pub fn reported(&self) -> Reported {
        let PlannedChange {
            id: _,
            fingerprint: _,
            action,
            username,
            dn,
            directory_id,
            ftrack_id,
            person,
            work,
            fields,
            reason,
            cause,
            link: _,
            rotation: _,
        } = self.change.clone();
        let (result, held_by) = match self.held_by {
            None => (ChangeResult::Planned, None),
            // No hold has it: a person has decided.
            Some(HeldBy::Rejected) => (ChangeResult::Rejected, None),
            Some(by) => (ChangeResult::Held, Some(by)),
        };
        Reported {
            edits: ShownEdit::of_fields(&fields),
            action,
            username,
            dn,
            directory_id: Some(directory_id),
            ftrack_id,
            person,
            fields: fields.into(),
            reason,
            cause,
            result,
            held_by,
            opens_at: self.opens_at,
            hold: None,
            error: self.held.clone(),
            note: None,
            work,
            written: BTreeSet::new(),
        }
    }
}

/// The paths of the groups that are made for these changes, each once and those above it first.
fn new_groups<'c>(changes: impl Iterator<Item = &'c Change>) -> Vec<String> {
    let edits = changes.flat_map(|change| &change.edits);
    let joined = edits.filter_map(Edit::joins);
    let paths: BTreeSet<String> = joined.flat_map(Group::paths_to_make).collect();
    paths.into_iter().collect()
}

/// A plan file cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum BadPlanFile {
    /// It cannot be read.
    #[error("the plan file {path} {problem}")]
    Unreadable {
        path: String,
        /// What is wrong, to follow the file's name.
        problem: String,
    },
    #[error("{path} is not a plan that `plan --out` wrote: {why}")]
    NotAPlan {
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

impl SavedPlan {
    /// A plan with what would be held, ready to be saved.
    #[must_use]
    pub fn new(
        job: &str,
        made_at: DateTime<Utc>,
        plan: &Plan<'_>,
        vetted: &Vetted,
        fall: Option<String>,
    ) -> Self {
        let mut parts: HashMap<ChangeId, Vec<Planned>> = HashMap::new();
        for change in vetted.allowed() {
            parts.entry(change.id).or_default().push(Planned {
                change: change.into(),
                held: None,
                held_by: None,
                opens_at: None,
            });
        }
        for Held { change, hold } in vetted.held() {
            parts.entry(change.id).or_default().push(Planned {
                change: change.into(),
                held: Some(in_plan(&hold.why)),
                held_by: Some(hold.by),
                opens_at: hold.opens_at,
            });
        }
        let in_order = plan.changes().filter_map(|change| parts.remove(&change.id));
        Self {
            format: FORMAT,
            job: job.to_owned(),
            made_at,
            directory: None,
            ftrack: None,
            new_groups: new_groups(plan.changes()),
            changes: in_order.flatten().collect(),
            skipped: plan.skipped(),
            warnings: plan
                .warnings()
                .iter()
                .map(|warning| in_plan(warning))
                .chain(fall)
                .collect(),
        }
    }

    /// Whether a person has to decide about any of its changes.
    #[must_use]
    pub fn waits_for_a_person(&self) -> bool {
        let holds = self.changes.iter().filter_map(|planned| planned.held_by);
        holds.into_iter().any(HeldBy::waits_for_a_person)
    }

    /// Whether a sync would write nothing and hold nothing: a person rejected all that is left.
    #[must_use]
    pub fn is_all_rejected(&self) -> bool {
        let mut changes = self.changes.iter();
        changes.all(|planned| planned.held_by == Some(HeldBy::Rejected))
    }

    /// Reads a saved plan.
    ///
    /// # Errors
    /// The file cannot be read, or is not a plan of this program.
    pub fn load(path: &Path) -> Result<Self, BadPlanFile> {
        let name = || path.display().to_string();
        let unreadable = |problem| BadPlanFile::Unreadable {
            path: name(),
            problem,
        };
        let content = files::read(path, LARGEST).map_err(unreadable)?;
        let plan: Self =
            serde_json::from_slice(&content).map_err(|error| BadPlanFile::NotAPlan {
                path: name(),
                why: match error.classify() {
                    Category::Io | Category::Syntax => "it is not JSON".to_owned(),
                    Category::Eof => "it ends in the middle".to_owned(),
                    // Without the place, which says little in JSON on one line.
                    Category::Data => {
                        let why = error.to_string();
                        why.split(" at line ").next().unwrap_or_default().to_owned()
                    }
                },
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

    /// Which changes of a new plan are approved, or what has changed since.
    ///
    /// # Errors
    /// The plan is stale: one of its changes is no longer needed, has changed, or is held by
    /// something that was not shown when it was approved.
    pub fn approved(&self, now: &Plan<'_>, vetted: &Vetted) -> Result<BTreeSet<ChangeId>, Stale> {
        let fresh: HashMap<&EntityId, &Change> = now
            .changes()
            .map(|change| (&change.ftrack_id, change))
            .collect();
        let (mut stale, mut approved) = (Vec::new(), BTreeSet::new());
        let whole = self.whole_changes();
        let mut gone = 0;
        for change in &whole {
            let PlannedChange {
                action, username, ..
            } = change;
            match fresh.get(&change.ftrack_id) {
                Some(new) if change.is(new) => {
                    approved.insert(new.id);
                }
                Some(new) if new.fingerprint == change.fingerprint => {
                    return Err(Stale::Edited(format!("{action} {username:?}")));
                }
                Some(_) => stale.push(format!("{action} {username:?} has changed")),
                None => {
                    gone += 1;
                    stale.push(format!("{action} {username:?} is no longer needed"));
                }
            }
        }
        if gone > 0 && gone == whole.len() {
            return Err(Stale::NothingLeft);
        }
        let held = vetted.held().iter();
        let wanted = held.filter(|held| approved.contains(&held.change.id));
        stale.extend(wanted.filter_map(|held| self.unseen(held)));
        stale.extend(self.taken_back(&approved, vetted));
        if stale.is_empty() {
            Ok(approved)
        } else {
            Err(Stale::Differs(stale))
        }
    }

    /// What holds a change now although the plan did not show it: an approval releases what was
    /// seen. A limit is only a number, and windows and freezes are only times, which an approval
    /// overrides; the last administrator is held in any case. A pause is a person's word: one that came
    /// after the plan is not overridden.
    fn unseen(&self, Held { change, hold }: &Held) -> Option<String> {
        let shown = || {
            let planned = self.changes.iter();
            planned.filter(|planned| planned.change.id == change.id)
        };
        let why = in_plan(&hold.why);
        let is_pause_seen = |pause: &str| {
            let pause = in_plan(pause);
            let mut held = shown().filter_map(|planned| planned.held.as_deref());
            held.any(|held| held.contains(&*pause))
        };
        if let Some(pause) = hold.paused.as_deref().filter(|pause| !is_pause_seen(pause)) {
            return Some(format!("{} {:?}: {pause}", change.action, change.username));
        }
        let is_seen = match hold.by {
            HeldBy::Limit | HeldBy::Administrator | HeldBy::Window | HeldBy::Freeze => true,
            HeldBy::Rejected => shown().any(|planned| planned.is_rejected(change)),
            HeldBy::Doubt
            | HeldBy::Replica
            | HeldBy::Configuration
            | HeldBy::Protected
            | HeldBy::Successor
            | HeldBy::Returner
            | HeldBy::Work
            | HeldBy::Paused => shown().any(|planned| planned.held_by == Some(hold.by)),
            // Roles that the user was given since were not seen.
            HeldBy::Adoption if change.action == Action::Adopt => shown().any(|planned| {
                (planned.held_by, planned.held.as_deref()) == (Some(hold.by), Some(&*why))
            }),
            HeldBy::Adoption => shown().any(|planned| planned.held_by == Some(hold.by)),
        };
        (!is_seen).then(|| format!("{} {:?} is held now: {why}", change.action, change.username))
    }

    /// What the plan showed as rejected, and is so no more: that was not approved.
    fn taken_back(&self, approved: &BTreeSet<ChangeId>, vetted: &Vetted) -> Vec<String> {
        let is_rejected = |planned: &Planned| {
            let mut held = vetted.held().iter();
            held.any(|held| held.hold.by == HeldBy::Rejected && planned.is_rejected(&held.change))
        };
        self.changes
            .iter()
            .filter(|planned| planned.held_by == Some(HeldBy::Rejected))
            .filter(|planned| approved.contains(&planned.change.id) && !is_rejected(planned))
            .map(|Planned { change, .. }| {
                format!(
                    "{} {:?} is rejected no more",
                    change.action, change.username
                )
            })
            .collect()
    }

    /// The changes, each put together from the parts in which the guard judged it.
    fn whole_changes(&self) -> Vec<PlannedChange> {
        let mut whole: Vec<PlannedChange> = Vec::new();
        let mut places: HashMap<ChangeId, usize> = HashMap::new();
        for Planned { change, .. } in &self.changes {
            match places
                .get(&change.id)
                .and_then(|place| whole.get_mut(*place))
            {
                Some(known) => {
                    // The user's final login is that of the part that renames it.
                    if change.fields.contains_key(&Field::Username) {
                        known.username.clone_from(&change.username);
                    }
                    known.fields.extend(change.fields.clone());
                }
                None => {
                    places.insert(change.id, whole.len());
                    whole.push(change.clone());
                }
            }
        }
        whole
    }
}

/// A saved plan does not match the servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// A change of the file is not the one that `plan` wrote.
    Edited(String),
    /// None of its changes is needed.
    NothingLeft,
    /// Something has changed since.
    Differs(Vec<String>),
}

impl std::fmt::Display for Stale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let differences = match self {
            Self::Edited(change) => {
                return write!(
                    f,
                    "the plan was edited after `plan` wrote it ({change}), and nothing was \
                     written: only a plan that is as it was written can be applied. Make a new \
                     plan, review it, and apply that"
                );
            }
            Self::NothingLeft => {
                return f.write_str(
                    "there is nothing left to do, and nothing was written: the plan was applied \
                     already, or ftrack has its values from elsewhere",
                );
            }
            Self::Differs(differences) => differences,
        };
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
