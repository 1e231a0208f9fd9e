//! The guard: which changes of a plan may be written, and which are held for a person.

use std::collections::BTreeSet;

use crate::{config::Limit, ftrack::user::EntityId};

use super::change::{Action, Change, Plan};

/// Changes that may be written, and those that may not; made by the guard alone, and nothing else can be applied.
#[derive(Debug)]
pub struct Vetted {
    allowed: Vec<Change>,
    held: Vec<Held>,
}

/// A change that is not written until a person agrees.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The change.
    pub change: Change,
    /// Why it is held, and the way out.
    pub why: String,
}

impl Vetted {
    /// The changes that may be written, in their order.
    #[must_use]
    pub fn allowed(&self) -> &[Change] {
        &self.allowed
    }

    /// The changes that are held.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }
}

/// Holds what is dangerous: deactivations above the limit, all of them while an absence is doubtful, and the last administrator's.
#[must_use]
pub fn vet(plan: &Plan, limit: Limit) -> Vetted {
    let deactivations = plan.changes.iter().filter(|change| change.action == Action::Deactivate).count();
    let most = most(limit, plan.owned_active);
    let over = (deactivations > most).then(|| {
        format!(
            "{deactivations} deactivations are more than limits.deactivate allows ({most}); review them with `plan --out FILE`, then approve with `apply FILE`"
        )
    });
    hold(plan, over.as_deref())
}

/// Lets a person's approval stand in for the limit; what protects the last administrator and doubtful absences still holds.
#[must_use]
pub fn approve(plan: &Plan) -> Vetted {
    hold(plan, None)
}

/// The most deactivations that a limit allows among so many active users: a percentage is rounded down, and always allows one.
#[must_use]
pub fn most(limit: Limit, owned_active: usize) -> usize {
    match limit {
        Limit::Count(count) => count,
        Limit::Percent(percent) => (owned_active.saturating_mul(usize::from(percent)) / 100).max(1),
    }
}

fn hold(plan: &Plan, over: Option<&str>) -> Vetted {
    let last = last_administrator(plan);
    let doubt = (plan.unidentified > 0).then(|| {
        format!(
            "{} entries show no id attribute, so nobody can be called absent; let the bind account read it, or set id_attribute",
            plan.unidentified
        )
    });
    let mut vetted = Vetted {
        allowed: Vec::new(),
        held: Vec::new(),
    };
    for change in &plan.changes {
        let why = match change.action {
            Action::Deactivate => doubt.as_deref().or_else(|| last.why(&change.ftrack_id)).or(over),
            Action::Create | Action::Update | Action::Reactivate | Action::Adopt => None,
        };
        match why {
            Some(why) => vetted.held.push(Held {
                change: change.clone(),
                why: why.to_owned(),
            }),
            None => vetted.allowed.push(change.clone()),
        }
    }
    vetted
}

/// What a plan would do to the last active administrators.
enum LastAdministrator {
    /// Somebody else stays.
    Safe,
    /// These would be the last.
    Would(BTreeSet<EntityId>),
    /// The API user sees no administrator at all, so anybody may be the last.
    NoneVisible,
}

impl LastAdministrator {
    fn why(&self, user: &EntityId) -> Option<&'static str> {
        match self {
            Self::Safe => None,
            Self::Would(last) => last.contains(user).then_some("it would leave ftrack without an active administrator"),
            Self::NoneVisible => Some(
                "no active administrator is visible at ftrack, so this may be the last one; let the API user's role read security roles, or name yours in ftrack.administrator_roles",
            ),
        }
    }
}

fn last_administrator(plan: &Plan) -> LastAdministrator {
    if plan.active_administrators.is_empty() {
        return LastAdministrator::NoneVisible;
    }
    let going: BTreeSet<EntityId> = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Deactivate)
        .map(|change| change.ftrack_id.clone())
        .collect();
    if plan.active_administrators.iter().all(|administrator| going.contains(administrator)) {
        LastAdministrator::Would(plan.active_administrators.iter().cloned().collect())
    } else {
        LastAdministrator::Safe
    }
}
