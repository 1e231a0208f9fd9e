//! The guard decides which changes of a plan may be written, and which are held for a person.

use std::collections::{BTreeMap, BTreeSet};

use crate::{config::Limits, model::user::EntityId};

use super::order;
use crate::model::change::{Action, Change, Field, HeldBy, Hold, Plan, Values};

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
    /// The change.
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

    /// Holds those of the allowed deactivations that would remove the last active administrator,
    /// using a fresh read of the administrators right before the write; without a person's
    /// approval, every administrator's deactivation.
    pub fn look_again(&mut self, administrators: &BTreeSet<EntityId>, approval: Approval) {
        let going: BTreeSet<&EntityId> = self
            .allowed
            .iter()
            .filter(|change| change.action == Action::Deactivate)
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
        let is_held = |change: &Change| {
            change.action == Action::Deactivate && administrators.contains(&change.ftrack_id)
        };
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
pub fn vet(plan: &Plan, bounds: Bounds<'_>) -> Vetted {
    let last = last_administrator(plan);
    let holds: Vec<Option<Verdict>> = plan
        .changes
        .iter()
        .map(|change| verdict(plan, &last, change))
        .collect();
    let over = Limit::of(plan, &holds, bounds);
    let judged = plan
        .changes
        .iter()
        .zip(holds)
        .map(|(change, hold)| (change, hold.or_else(|| over.verdict(change))));
    settle(judged)
}

/// Lets a person's approval release everything but the deactivation of the last administrator,
/// which cannot be approved.
#[must_use]
pub fn approve(plan: &Plan) -> Vetted {
    let last = last_administrator(plan);
    settle(
        plan.changes
            .iter()
            .map(|change| (change, last.verdict(change))),
    )
}

/// The held part of a change, and why.
struct Verdict {
    hold: Hold,
    /// The held fields; an empty list means all of them.
    fields: Option<BTreeSet<Field>>,
}

impl Verdict {
    fn whole(by: HeldBy, why: impl Into<String>) -> Self {
        Self {
            hold: Hold::new(by, why),
            fields: None,
        }
    }
}

/// What holds a change, apart from the limit.
fn verdict(plan: &Plan, last: &LastAdministrator, change: &Change) -> Option<Verdict> {
    let whole = |hold: &Hold| Verdict {
        hold: hold.clone(),
        fields: None,
    };
    if let Some(of_user) = last
        .verdict(change)
        .or_else(|| plan.holds.get(&change.ftrack_id).map(whole))
    {
        return Some(of_user);
    }
    match change.action {
        Action::Deactivate => {
            if let Some(doubt) = plan.doubts.first() {
                return Some(Verdict::whole(HeldBy::Doubt, doubt.as_str()));
            }
        }
        Action::Create => return None,
        Action::Update | Action::Reactivate | Action::Adopt => {}
    }
    if let Some(server) = &plan.replica {
        let why = format!(
            "{server} is not the preferred server and may lag behind; the next reading of the \
             preferred server releases it, or a person's approval: `plan --out FILE`, then `apply \
             FILE`"
        );
        return Some(Verdict::whole(HeldBy::Replica, why));
    }
    guarded(plan, change)
}

/// Login, mail and activity of administrators and protected users.
fn guarded(plan: &Plan, change: &Change) -> Option<Verdict> {
    let reason = plan.guarded.get(&change.ftrack_id)?;
    let held: BTreeSet<Field> = [Field::Username, Field::Email, Field::IsActive]
        .into_iter()
        .filter(|field| change.fields.contains_key(field))
        .collect();
    if held.is_empty() {
        return None;
    }
    let why = format!(
        "{reason}, whose login, mail and activity change only with a person's approval; review it \
         with `plan --out FILE`, then approve with `apply FILE`"
    );
    Some(Verdict {
        hold: Hold::new(HeldBy::Protected, why),
        // Values that belong to the other activity are held with it.
        fields: (!held.contains(&Field::IsActive)).then_some(held),
    })
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
    fn of(plan: &Plan, holds: &[Option<Verdict>], bounds: Bounds<'a>) -> Self {
        let free = plan
            .changes
            .iter()
            .zip(holds)
            .filter(|(change, hold)| change.action == Action::Deactivate && hold.is_none());
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
        if change.action != Action::Deactivate {
            return None;
        }
        match self {
            Self::Over(why) => Some(Verdict::whole(HeldBy::Limit, why.as_str())),
            Self::Within(held_before) => {
                held_before.contains(change.directory_id.as_str()).then(|| {
                    let why = "it was more than limits.deactivate allows in an earlier run, and \
                        time alone does not release it; review it with `plan --out FILE`, \
                               then approve with `apply FILE`";
                    Verdict::whole(HeldBy::Limit, why)
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
            Some(Verdict { hold, fields: None }) => vetted.held.push(Held {
                change: change.clone(),
                hold,
            }),
            Some(Verdict {
                hold,
                fields: Some(fields),
            }) => {
                let (held, allowed) = parted(change, &fields);
                vetted.allowed.extend(allowed);
                vetted.held.push(Held { change: held, hold });
            }
        }
    }
    hold_dependents(&mut vetted);
    vetted
}

/// Splits a change into the part that is held, and the part that is not.
fn parted(change: &Change, held: &BTreeSet<Field>) -> (Change, Option<Change>) {
    let part = |fields: BTreeMap<Field, Values>| {
        let username = match fields.get(&Field::Username) {
            Some(renamed) => renamed.new.as_str(),
            None => change
                .fields
                .get(&Field::Username)
                .and_then(|renamed| renamed.old.as_str()),
        };
        Change {
            username: username.unwrap_or(&change.username).to_owned(),
            fields,
            rotation: None,
            ..change.clone()
        }
    };
    let (held, allowed): (BTreeMap<_, _>, BTreeMap<_, _>) = change
        .fields
        .clone()
        .into_iter()
        .partition(|(field, _)| held.contains(field));
    (part(held), (!allowed.is_empty()).then(|| part(allowed)))
}

/// Holds changes that take a login which a held change would free: the server would refuse them.
fn hold_dependents(vetted: &mut Vetted) {
    loop {
        let kept: BTreeMap<String, HeldBy> = vetted
            .held
            .iter()
            .filter_map(|held| {
                Some((
                    order::released(&held.change, &Field::Username)?,
                    held.hold.by,
                ))
            })
            .collect();
        let waits = |change: &Change| {
            order::taken(change, &Field::Username).and_then(|login| kept.get(&login).copied())
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
            Action::Update => parted(&change, &BTreeSet::from([Field::Username])),
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
    fn verdict(&self, change: &Change) -> Option<Verdict> {
        if change.action != Action::Deactivate {
            return None;
        }
        match self {
            Self::Safe => None,
            Self::Would(last) => last
                .contains(&change.ftrack_id)
                .then(|| Verdict::whole(HeldBy::Administrator, WOULD_BE_THE_LAST)),
            Self::NoneVisible => Some(Verdict::whole(
                HeldBy::Administrator,
                "no active administrator except the API user is visible in ftrack, so this may be \
                 the last one; grant the API user's role read access to security roles, or list \
                 yours in ftrack.administrator_roles",
            )),
        }
    }
}

fn last_administrator(plan: &Plan) -> LastAdministrator {
    if plan.active_administrators.is_empty() {
        return LastAdministrator::NoneVisible;
    }
    let going: BTreeSet<&EntityId> = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Deactivate)
        .map(|change| &change.ftrack_id)
        .collect();
    if plan
        .active_administrators
        .iter()
        .all(|administrator| going.contains(administrator))
    {
        LastAdministrator::Would(plan.active_administrators.iter().cloned().collect())
    } else {
        LastAdministrator::Safe
    }
}
