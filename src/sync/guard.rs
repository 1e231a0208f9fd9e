//! The guard decides which changes of a plan may be written, and which are held for a person.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    config::Limits,
    model::{
        change::{Action, Change, ChangeId, HeldBy, Hold},
        edit::{Attribute, Edit},
        user::EntityId,
    },
};

use super::{decision::Plan, order};

/// Changes that may be written, and those that are held; made only by the guard, and nothing else
/// can be applied.
#[derive(Debug)]
pub struct Vetted {
    allowed: Vec<Change>,
    held: Vec<Held>,
}

/// A change that is not written until a person approves it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub change: Change,
    /// Why it is held, and what to do.
    pub hold: Hold,
}

impl Vetted {
    /// In the order of the plan.
    #[must_use]
    pub fn allowed(&self) -> &[Change] {
        &self.allowed
    }

    /// The changes that are held.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// All changes; one that is held in part comes in its two parts.
    pub fn changes(&self) -> impl Iterator<Item = &Change> + Clone {
        let held = self.held.iter().map(|held| &held.change);
        self.allowed.iter().chain(held)
    }

    /// Holds those of the allowed deactivations that would remove the last active administrator,
    /// using a fresh read of the administrators right before the write; without a person's
    /// approval, every administrator's deactivation.
    pub fn look_again(&mut self, administrators: &BTreeSet<EntityId>, approval: Approval) {
        let going: BTreeSet<&EntityId> = self
            .allowed
            .iter()
            .filter(|change| deactivates(change))
            .map(|change| &change.ftrack_id)
            .collect();
        let hold = if administrators
            .iter()
            .all(|administrator| going.contains(administrator))
        {
            Some(Hold::new(HeldBy::Administrator, WOULD_BE_THE_LAST))
        } else if approval == Approval::None {
            Some(Hold::new(
                HeldBy::Protected,
                "it became an administrator since it was read",
            ))
        } else {
            None
        };
        let Some(hold) = hold else { return };
        let is_held =
            |change: &Change| deactivates(change) && administrators.contains(&change.ftrack_id);
        let (held, allowed) = std::mem::take(&mut self.allowed)
            .into_iter()
            .partition(is_held);
        self.allowed = allowed;
        self.held.extend(held.into_iter().map(|change| Held {
            change,
            hold: hold.clone(),
        }));
    }
}

/// Whether a person approved the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Approval {
    None,
    Given,
}

/// How many dangerous changes may be written without a person's approval.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Bounds<'a> {
    pub limits: &'a Limits,
    /// Deactivations that were written within `limits.per` before this run, without approval.
    pub deactivated: usize,
    /// The people whose deactivation has been held by a limit since an earlier run: time alone does
    /// not release them.
    pub held_before: &'a BTreeSet<String>,
}

/// Holds what is dangerous: see [`HeldBy`].
#[must_use]
pub fn vet(plan: &Plan<'_>, bounds: Bounds<'_>) -> Vetted {
    let last = LastAdministrator::of(plan, plan.changes());
    let holds: Vec<Option<Verdict>> = plan
        .changes()
        .map(|change| verdict(plan, &last, change))
        .collect();
    let over = Limit::of(plan, &holds, bounds);
    let judged = plan
        .changes()
        .zip(holds)
        .map(|(change, hold)| (change, hold.or_else(|| over.verdict(change))));
    settle(judged)
}

/// Lets a person's approval of these changes release everything but the deactivation of the last
/// administrator, which cannot be approved.
#[must_use]
pub fn approve(plan: &Plan<'_>, approved: &BTreeSet<ChangeId>) -> Vetted {
    let changes = || {
        plan.changes()
            .filter(|change| approved.contains(&change.id))
    };
    let last = LastAdministrator::of(plan, changes());
    let last_hold = |change: &Change| {
        let hold = change
            .edits
            .iter()
            .find_map(|edit| last.hold(change, edit))?;
        Some(Verdict::Whole(hold))
    };
    settle(changes().map(|change| (change, last_hold(change))))
}

/// What is held of a change, and why.
enum Verdict {
    Whole(Hold),
    /// Only these edits.
    Part(Hold, Vec<Edit>),
}

/// What holds a change, apart from the limit.
fn verdict(plan: &Plan<'_>, last: &LastAdministrator, change: &Change) -> Option<Verdict> {
    let last_hold = change.edits.iter().find_map(|edit| last.hold(change, edit));
    if let Some(hold) = last_hold.or_else(|| plan.holds.get(&change.ftrack_id).cloned()) {
        return Some(Verdict::Whole(hold));
    }
    let held: Vec<(&Edit, Hold)> = change
        .edits
        .iter()
        .filter_map(|edit| Some((edit, rule(plan, change, edit)?)))
        .collect();
    let of_activity = held
        .iter()
        .find(|(edit, _)| matches!(edit, Edit::Activate | Edit::Deactivate));
    let (_, hold) = of_activity.or(held.first())?;
    // Values that belong to the other activity are held with it.
    if of_activity.is_some() || held.len() == change.edits.len() {
        return Some(Verdict::Whole(hold.clone()));
    }
    let edits = held.iter().map(|(edit, _)| (*edit).clone()).collect();
    Some(Verdict::Part(hold.clone(), edits))
}

/// What holds an edit. Every kind of edit has its rule here, and none is written without one.
fn rule(plan: &Plan<'_>, change: &Change, edit: &Edit) -> Option<Hold> {
    match edit {
        Edit::Deactivate => doubtful(plan)
            .or_else(|| of_a_replica(plan, change))
            .or_else(|| guarded(plan, change)),
        Edit::Activate => of_a_replica(plan, change).or_else(|| guarded(plan, change)),
        Edit::Set { attribute, .. } => match attribute {
            Attribute::Username | Attribute::Email => {
                of_a_replica(plan, change).or_else(|| guarded(plan, change))
            }
            Attribute::FirstName
            | Attribute::LastName
            | Attribute::UserType
            | Attribute::Custom(_) => of_a_replica(plan, change),
        },
        Edit::Link => of_a_replica(plan, change),
    }
}

/// A doubtful reading shows nobody absent.
fn doubtful(plan: &Plan<'_>) -> Option<Hold> {
    let doubt = plan.doubts.first()?;
    Some(Hold::new(HeldBy::Doubt, doubt.as_str()))
}

/// A reading of a replica only creates users.
fn of_a_replica(plan: &Plan<'_>, change: &Change) -> Option<Hold> {
    let server = plan.replica.as_ref()?;
    match change.action {
        Action::Create => None,
        Action::Update | Action::Deactivate | Action::Reactivate | Action::Adopt => {
            let why = format!(
                "{server} is not the preferred server and may lag behind; the next reading of the \
                 preferred server releases it, or a person's approval: `plan --out FILE`, then \
                 `apply FILE`"
            );
            Some(Hold::new(HeldBy::Replica, why))
        }
    }
}

/// Login, mail and activity of administrators and protected users.
fn guarded(plan: &Plan<'_>, change: &Change) -> Option<Hold> {
    let reason = plan.guarded.get(&change.ftrack_id)?;
    let why = format!(
        "{reason}, whose login, mail and activity change only with a person's approval; review it \
         with `plan --out FILE`, then approve with `apply FILE`"
    );
    Some(Hold::new(HeldBy::Protected, why))
}

/// Whether a change ends the user's access.
fn deactivates(change: &Change) -> bool {
    change.has(&Edit::Deactivate)
}

/// The limit on deactivations.
enum Limit<'a> {
    /// Within the limit; these people have been held since an earlier run.
    Within(&'a BTreeSet<String>),
    /// Above the limit.
    Over(String),
}

impl<'a> Limit<'a> {
    /// Counts what would be written, and what was written without approval before.
    fn of(plan: &Plan<'_>, holds: &[Option<Verdict>], bounds: Bounds<'a>) -> Self {
        let free = plan
            .changes()
            .zip(holds)
            .filter(|(change, hold)| deactivates(change) && hold.is_none());
        let (wanted, most) = (
            free.count(),
            most(bounds.limits.deactivate, plan.owned_active),
        );
        if wanted == 0 || wanted + bounds.deactivated <= most {
            return Self::Within(bounds.held_before);
        }
        let before = match bounds.deactivated {
            0 => String::new(),
            written => format!(
                ", with {written} written within {} before,",
                humantime::format_duration(bounds.limits.per)
            ),
        };
        let (noun, verb) = if wanted == 1 {
            ("deactivation", "is")
        } else {
            ("deactivations", "are")
        };
        Self::Over(format!(
            "{wanted} {noun}{before} {verb} more than limits.deactivate allows ({most}); review \
             them with `plan --out FILE`, then approve with `apply FILE`"
        ))
    }

    fn verdict(&self, change: &Change) -> Option<Verdict> {
        if !deactivates(change) {
            return None;
        }
        match self {
            Self::Over(why) => Some(Verdict::Whole(Hold::new(HeldBy::Limit, why.as_str()))),
            Self::Within(held_before) => {
                held_before.contains(change.directory_id.as_str()).then(|| {
                    let why = "it was more than limits.deactivate allows in an earlier run, and \
                        time alone does not release it; review it with `plan --out FILE`, \
                               then approve with `apply FILE`";
                    Verdict::Whole(Hold::new(HeldBy::Limit, why))
                })
            }
        }
    }
}

/// The most deactivations that a limit allows for this number of active users: a percentage is
/// rounded down, and allows one unless it is 0.
#[must_use]
pub fn most(limit: crate::config::Limit, owned_active: usize) -> usize {
    match limit {
        crate::config::Limit::Count(count) => count,
        crate::config::Limit::Percent(0) => 0,
        crate::config::Limit::Percent(percent) => {
            (owned_active.saturating_mul(usize::from(percent)) / 100).max(1)
        }
    }
}

/// Separates what is held from what may be written.
fn settle<'a>(judged: impl Iterator<Item = (&'a Change, Option<Verdict>)>) -> Vetted {
    let mut vetted = Vetted {
        allowed: Vec::new(),
        held: Vec::new(),
    };
    for (change, verdict) in judged {
        match verdict {
            None => vetted.allowed.push(change.clone()),
            Some(Verdict::Whole(hold)) => vetted.held.push(Held {
                change: change.clone(),
                hold,
            }),
            Some(Verdict::Part(hold, edits)) => {
                let (held, allowed) = parted(change, &edits);
                vetted.allowed.extend(allowed);
                vetted.held.push(Held { change: held, hold });
            }
        }
    }
    hold_dependents(&mut vetted);
    vetted
}

/// Splits a change into the part with these edits, which is held, and the rest, if any.
fn parted(change: &Change, held: &[Edit]) -> (Change, Option<Change>) {
    let (held, allowed): (Vec<Edit>, Vec<Edit>) = change
        .edits
        .iter()
        .cloned()
        .partition(|edit| held.contains(edit));
    let allowed = (!allowed.is_empty()).then(|| change.part(allowed));
    (change.part(held), allowed)
}

/// Holds changes that take a login which a held change would free: the server would refuse them.
fn hold_dependents(vetted: &mut Vetted) {
    loop {
        let kept: BTreeMap<String, HeldBy> = vetted
            .held
            .iter()
            .filter_map(|held| {
                Some((
                    order::released(&held.change, &Attribute::Username)?,
                    held.hold.by,
                ))
            })
            .collect();
        let waits = |change: &Change| {
            order::taken(change, &Attribute::Username).and_then(|login| kept.get(&login).copied())
        };
        let Some(place) = vetted
            .allowed
            .iter()
            .position(|change| waits(change).is_some())
        else {
            return;
        };
        let change = vetted.allowed.remove(place);
        let Some(by) = waits(&change) else { return };
        let hold = Hold::new(
            by,
            "it takes a login that another user has until a held change is approved",
        );
        let (held, allowed) = match change.action {
            Action::Update => {
                let is_login = |edit: &&Edit| edit.sets(&Attribute::Username);
                let login: Vec<Edit> = change.edits.iter().filter(is_login).cloned().collect();
                parted(&change, &login)
            }
            Action::Create | Action::Adopt | Action::Reactivate | Action::Deactivate => {
                (change, None)
            }
        };
        vetted.held.push(Held { change: held, hold });
        if let Some(allowed) = allowed {
            vetted.allowed.insert(place, allowed);
        }
    }
}

const WOULD_BE_THE_LAST: &str = "it would leave ftrack without an active administrator";

/// What a plan would do to the last active administrators.
enum LastAdministrator {
    /// At least one remains.
    Safe,
    /// These would be the last.
    Would(BTreeSet<EntityId>),
    /// The API user sees no administrator but itself, so anybody may be the last.
    NoneVisible,
}

impl LastAdministrator {
    /// What these changes of a plan would do.
    fn of<'c>(plan: &Plan<'_>, changes: impl Iterator<Item = &'c Change>) -> Self {
        if plan.active_administrators.is_empty() {
            return Self::NoneVisible;
        }
        let going: BTreeSet<&EntityId> = changes
            .filter(|change| deactivates(change))
            .map(|change| &change.ftrack_id)
            .collect();
        if plan
            .active_administrators
            .iter()
            .all(|administrator| going.contains(administrator))
        {
            Self::Would(plan.active_administrators.iter().cloned().collect())
        } else {
            Self::Safe
        }
    }

    /// What holds an edit, whoever approves it.
    fn hold(&self, change: &Change, edit: &Edit) -> Option<Hold> {
        let is_end = match edit {
            Edit::Deactivate => true,
            Edit::Activate | Edit::Set { .. } | Edit::Link => false,
        };
        let why = match self {
            Self::Safe => return None,
            Self::Would(last) if last.contains(&change.ftrack_id) => WOULD_BE_THE_LAST,
            Self::Would(_) => return None,
            Self::NoneVisible => {
                "no active administrator except the API user is visible in ftrack, so this may be \
                 the last one; grant the API user's role read access to security roles, or list \
                 yours in ftrack.administrator_roles"
            }
        };
        is_end.then(|| Hold::new(HeldBy::Administrator, why))
    }
}
