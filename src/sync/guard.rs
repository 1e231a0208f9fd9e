//! The guard decides which changes of a plan may be written, and which are held for a person.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use crate::{
    config::{ConfigChange, Limits},
    model::{
        change::{Action, Change, ChangeId, HeldBy, Hold},
        change_kind::ChangeKind,
        changed_setting,
        edit::{Attribute, Edit},
        grant::Grant,
        held_people::HeldPeople,
        preferred_server::LONG_ENOUGH_TOLD,
        rejected::Rejected,
        user::EntityId,
        way_to_approve::BY_NUMBER,
        work::WorkOfUsers,
    },
};

use super::{
    decision::{MayLag, Plan, Replica},
    order, settings,
    settings::Setting,
};

mod administrators;
mod given;
mod lift;
mod limits;
mod notes;
mod put_back;
mod windows;
mod work;

pub use administrators::ends_administration;
use administrators::{LastAdministrator, WOULD_BE_THE_LAST};
pub use given::give;
pub use lift::{Lifted, Seen, lift};
use limits::Limit;
pub use limits::{LIMITED, most};
pub use notes::{VettedNotes, notes};
pub use put_back::put_back;
pub use windows::{ClosedKind, ClosedKinds, Times};

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
    /// approval of just that, every administrator's deactivation.
    pub fn look_again(&mut self, administrators: &BTreeSet<EntityId>, approval: Approval) {
        let going: BTreeSet<&EntityId> = self
            .allowed
            .iter()
            .filter(|change| ends_administration(change))
            .map(|change| &change.ftrack_id)
            .collect();
        let hold = if administrators
            .iter()
            .all(|administrator| going.contains(administrator))
        {
            Some(Hold::new(HeldBy::Administrator, WOULD_BE_THE_LAST))
        } else if !approval.is_of_administrators() {
            Some(Hold::new(
                HeldBy::Protected,
                "it became an administrator since it was read",
            ))
        } else {
            None
        };
        let Some(hold) = hold else { return };
        let is_held = |change: &Change| {
            ends_administration(change) && administrators.contains(&change.ftrack_id)
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
    /// A person approved some of what was held: these changes, and nothing that follows for the
    /// reading or for anybody else; and what held them.
    OfHold(HeldBy),
}

impl Approval {
    /// Whether a person approved changes to administrators as such.
    fn is_of_administrators(self) -> bool {
        match self {
            Self::None => false,
            Self::Given => true,
            Self::OfHold(held_by) => held_by == HeldBy::Protected,
        }
    }

    /// Whether a person approved a plan with a change that is so, and with it the reading.
    #[must_use]
    pub fn is_of(self, vetted: &Vetted, is_so: impl Fn(&Change) -> bool) -> bool {
        self == Self::Given && vetted.allowed().iter().any(is_so)
    }
}

/// How many dangerous changes may be written without a person's approval.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Bounds<'a> {
    pub limits: &'a Limits,
    /// What was written within `limits.per` before this run, without approval.
    pub written: BTreeMap<ChangeKind, usize>,
    /// How many of these are a change of that kind to a user, of a run whose results are not known:
    /// the same change made again is no further one.
    pub unsettled: BTreeMap<(EntityId, ChangeKind), usize>,
    /// What is to be known of the clocks where a limit holds something because of what was written
    /// before.
    pub clocks: Option<String>,
    /// The people whose changes have been held by a limit since an earlier run: time alone does not
    /// release them.
    pub held_before: &'a HeldPeople,
    /// The settings that changed since the people were last read.
    pub changed: Vec<Setting>,
    /// Whether what they bear on is held.
    pub config_change: ConfigChange,
    /// The kinds that may not be written now.
    pub closed: ClosedKinds,
    /// What holds nothing, since a person approved what it held.
    pub lifted: Option<HeldBy>,
    /// What a person rejected.
    pub rejected: &'a Rejected,
    /// What people carry who are to be deactivated, where that holds it.
    pub work: Option<Arc<WorkOfUsers>>,
}

impl Bounds<'_> {
    /// Whether something that would be held is, for all that a person approved.
    fn stands(&self, hold: &Hold) -> bool {
        self.lifted != Some(hold.by)
    }
}

/// Holds what is dangerous: see [`HeldBy`].
#[must_use]
pub fn vet(plan: &Plan<'_>, bounds: &Bounds<'_>) -> Vetted {
    let last = LastAdministrator::of(plan, plan.changes());
    let mut verdicts: Vec<Verdict> = plan
        .changes()
        .map(|change| verdict(plan, bounds, &last, change))
        .collect();
    // Before the limits, which count only what would be written.
    for (change, verdict) in plan.changes().zip(&mut verdicts) {
        bounds.closed.judge(change, bounds.held_before, verdict);
    }
    for kind in LIMITED {
        let limit = Limit::of(kind, plan, &verdicts, bounds);
        for (change, verdict) in plan.changes().zip(&mut verdicts) {
            limit.judge(change, verdict);
        }
    }
    for (change, verdict) in plan.changes().zip(&mut verdicts) {
        bounds.closed.name_pauses(change, verdict);
    }
    settle(plan.changes().zip(verdicts))
}

/// Lets a person's approval of these changes release everything but what a person rejected, and the
/// deactivation of the last administrator, which cannot be approved.
#[must_use]
pub fn approve(plan: &Plan<'_>, approved: &BTreeSet<ChangeId>, rejected: &Rejected) -> Vetted {
    let changes = || {
        plan.changes()
            .filter(|change| approved.contains(&change.id))
    };
    let last = LastAdministrator::of(plan, changes());
    let verdict = |change: &Change| {
        let mut verdict = of_rejected(rejected, change);
        last.judge(change, &mut verdict);
        verdict
    };
    settle(changes().map(|change| (change, verdict(change))))
}

/// The edits of a change that are held, each by its position, and why.
#[derive(Debug, Default)]
struct Verdict {
    held: Vec<(usize, Hold)>,
}

impl Verdict {
    fn is_held(&self, place: usize) -> bool {
        self.held.iter().any(|(held, _)| *held == place)
    }

    /// Holds an edit, unless something else does; values that belong to the other activity are held
    /// with it.
    fn hold(&mut self, change: &Change, place: usize, hold: &Hold) {
        match change.edits.get(place) {
            Some(Edit::Activate | Edit::Deactivate) => self.hold_all(change, hold),
            Some(Edit::Set { .. } | Edit::Grant(_) | Edit::Revoke(_) | Edit::Link)
                if !self.is_held(place) =>
            {
                self.held.push((place, hold.clone()));
            }
            Some(Edit::Set { .. } | Edit::Grant(_) | Edit::Revoke(_) | Edit::Link) | None => {}
        }
    }

    /// Holds everything that nothing else holds.
    fn hold_all(&mut self, change: &Change, hold: &Hold) {
        for place in 0..change.edits.len() {
            if !self.is_held(place) {
                self.held.push((place, hold.clone()));
            }
        }
    }

    /// How many edits of this kind may be written.
    fn free(&self, change: &Change, kind: ChangeKind) -> usize {
        let edits = change.edits.iter().enumerate();
        let is_free = |(place, edit): &(usize, &Edit)| {
            ChangeKind::of(change.action, edit) == kind && !self.is_held(*place)
        };
        edits.filter(is_free).count()
    }

    /// The held edits, by what holds them.
    fn into_parts(self, change: &Change) -> Vec<(Hold, Vec<Edit>)> {
        let mut parts: Vec<(Hold, Vec<Edit>)> = Vec::new();
        for (place, hold) in self.held {
            let Some(edit) = change.edits.get(place) else {
                continue;
            };
            match parts.iter_mut().find(|(known, _)| *known == hold) {
                Some((_, edits)) => edits.push(edit.clone()),
                None => parts.push((hold, vec![edit.clone()])),
            }
        }
        parts
    }
}

/// What holds a change, apart from the limits.
fn verdict(
    plan: &Plan<'_>,
    bounds: &Bounds<'_>,
    last: &LastAdministrator,
    change: &Change,
) -> Verdict {
    let mut verdict = of_rejected(bounds.rejected, change);
    last.judge(change, &mut verdict);
    let of_user = plan.holds.get(&change.ftrack_id);
    if let Some(hold) = of_user.filter(|hold| bounds.stands(hold)) {
        verdict.hold_all(change, hold);
        return verdict;
    }
    let rules: Vec<Option<Hold>> = change
        .edits
        .iter()
        .map(|edit| rule(plan, bounds, change, edit))
        .collect();
    let of_activity = change.edits.iter().zip(&rules).find_map(|(edit, hold)| {
        hold.as_ref()
            .filter(|_| matches!(edit, Edit::Activate | Edit::Deactivate))
    });
    if let Some(hold) = of_activity {
        verdict.hold_all(change, hold);
        return verdict;
    }
    for (place, hold) in rules.iter().enumerate() {
        if let Some(hold) = hold {
            verdict.hold(change, place, hold);
        }
    }
    verdict
}

/// What a person rejected is not written, whatever else holds it or does not.
fn of_rejected(rejected: &Rejected, change: &Change) -> Verdict {
    let mut verdict = Verdict::default();
    let why = "a person rejected it, so it is not written until its cause has ended";
    let hold = Hold::new(HeldBy::Rejected, why);
    for (place, edit) in change.edits.iter().enumerate() {
        match edit {
            _ if !rejected.has(change, edit) => {}
            // Nothing is written to a user that does not become the person's, or the job's.
            Edit::Link if change.takes_over() => verdict.hold_all(change, &hold),
            Edit::Link
            | Edit::Set { .. }
            | Edit::Activate
            | Edit::Deactivate
            | Edit::Grant(_)
            | Edit::Revoke(_) => verdict.hold(change, place, &hold),
        }
    }
    verdict
}

/// What holds an edit. Every kind of edit has its rule here, and none is written without one.
fn rule(plan: &Plan<'_>, bounds: &Bounds<'_>, change: &Change, edit: &Edit) -> Option<Hold> {
    let stands = |hold: &Hold| bounds.stands(hold);
    let replica = || of_a_replica(plan, change).filter(stands);
    let configured = || of_a_changed_setting(bounds, change, edit).filter(stands);
    let guarded = || guarded(plan, change).filter(stands);
    match edit {
        Edit::Deactivate => doubtful(plan)
            .filter(stands)
            .or_else(replica)
            .or_else(configured)
            .or_else(guarded)
            .or_else(|| work::carried(bounds, change).filter(stands)),
        Edit::Activate => replica().or_else(configured).or_else(guarded),
        Edit::Set { attribute, .. } => match attribute {
            Attribute::Username | Attribute::Email => {
                replica().or_else(configured).or_else(guarded)
            }
            Attribute::FirstName
            | Attribute::LastName
            | Attribute::UserType
            | Attribute::Invitation
            | Attribute::Thumbnail
            | Attribute::Custom(_) => replica().or_else(configured),
        },
        Edit::Grant(grant) => {
            replica().or_else(|| guarded_grant(plan, change, grant).filter(stands))
        }
        Edit::Revoke(grant) => doubtful(plan)
            .filter(stands)
            .or_else(|| doubtful_grant(plan, change, grant).filter(stands))
            .or_else(replica)
            .or_else(configured)
            .or_else(|| guarded_grant(plan, change, grant).filter(stands)),
        Edit::Link => replica(),
    }
}

/// A doubtful reading of the groups takes nothing from anybody, and neither does what a second look
/// says of the person.
fn doubtful_grant(plan: &Plan<'_>, change: &Change, grant: &Grant) -> Option<Hold> {
    let of_person = plan
        .grant_holds
        .get(&(change.ftrack_id.clone(), grant.id()));
    of_person.cloned().or_else(|| {
        let doubt = plan.grant_doubts.first()?;
        Some(Hold::new(HeldBy::Doubt, doubt.as_str()))
    })
}

/// Roles and memberships of administrators and protected users, and roles that make administrators.
fn guarded_grant(plan: &Plan<'_>, change: &Change, grant: &Grant) -> Option<Hold> {
    let way_out = format!("review it, and approve it: {BY_NUMBER}");
    let why = match plan.guarded.get(&change.ftrack_id) {
        Some(reason) => {
            let noun = grant.noun();
            format!("{reason}, whose {noun}s change only with a person's approval; {way_out}")
        }
        None => {
            let role = grant.role().filter(|role| role.is_administrator)?;
            format!(
                "the role {:?} makes an administrator, which takes a person's approval; {way_out}",
                &*role.name
            )
        }
    };
    Some(Hold::new(HeldBy::Protected, why))
}

/// A setting that changed explains the edit better than the people do: now, or when the first
/// reading after it showed the person to be affected.
fn of_a_changed_setting(bounds: &Bounds<'_>, change: &Change, edit: &Edit) -> Option<Hold> {
    match bounds.config_change {
        ConfigChange::Hold => {}
        ConfigChange::Apply => return None,
    }
    let kind = ChangeKind::of(change.action, edit);
    let earlier = || {
        let id = &change.directory_id;
        let cause = bounds.held_before.cause(HeldBy::Configuration, kind, id);
        cause.map(ToOwned::to_owned)
    };
    let cause = settings::cause(&bounds.changed, change, edit).or_else(earlier)?;
    Some(Hold::new(
        HeldBy::Configuration,
        changed_setting::why_held(&cause),
    ))
}

/// A doubtful reading shows nobody absent.
fn doubtful(plan: &Plan<'_>) -> Option<Hold> {
    let doubt = plan.doubts.first()?;
    Some(Hold::new(HeldBy::Doubt, doubt.as_str()))
}

/// A reading of a replica only creates users.
fn of_a_replica(plan: &Plan<'_>, change: &Change) -> Option<Hold> {
    let Replica { server, why } = plan.replica.as_ref()?;
    match change.action {
        Action::Create => None,
        Action::Update | Action::Deactivate | Action::Reactivate | Action::Adopt => {
            let why = match why {
                MayLag::NotPreferred => format!(
                    "{server} is not the preferred server and may lag behind; the next reading of \
                     the preferred server releases it, or a person's approval: {BY_NUMBER}"
                ),
                MayLag::NewlyFirst(former) => format!(
                    "{server} comes first in the DNS in place of {former}, and may lag behind; the \
                     next reading of {former} releases it, or a person's approval: {BY_NUMBER}; once a \
                     person applied a plan, {server} counts \
                     as the preferred server, as it does after {LONG_ENOUGH_TOLD}"
                ),
                MayLag::LagsBehind(lag) => format!(
                    "{server} lags behind: {lag}; the next reading of a server that does not releases \
                     it, or a person's approval: {BY_NUMBER}; once a person applied a \
                     plan, what this server shows counts"
                ),
            };
            Some(Hold::new(HeldBy::Replica, why))
        }
    }
}

/// Login, mail and activity of administrators and protected users.
fn guarded(plan: &Plan<'_>, change: &Change) -> Option<Hold> {
    let reason = plan.guarded.get(&change.ftrack_id)?;
    let why = format!(
        "{reason}, whose login, mail and activity change only with a person's approval; review it, \
         and approve it: {BY_NUMBER}"
    );
    Some(Hold::new(HeldBy::Protected, why))
}

/// Separates what is held from what may be written.
fn settle<'a>(judged: impl Iterator<Item = (&'a Change, Verdict)>) -> Vetted {
    let mut vetted = Vetted {
        allowed: Vec::new(),
        held: Vec::new(),
    };
    for (change, verdict) in judged {
        let is_whole = verdict.held.len() == change.edits.len();
        let parts = verdict.into_parts(change);
        match parts.as_slice() {
            [] => vetted.allowed.push(change.clone()),
            [(hold, _)] if is_whole => vetted.held.push(Held {
                change: change.clone(),
                hold: hold.clone(),
            }),
            parts => {
                let held = parts.iter().map(|(hold, edits)| Held {
                    change: change.part(edits.clone()),
                    hold: hold.clone(),
                });
                vetted.held.extend(held);
                let all: Vec<Edit> = parts.iter().flat_map(|(_, edits)| edits.clone()).collect();
                let (_, allowed) = parted(change, &all);
                vetted.allowed.extend(allowed);
            }
        }
    }
    hold_dependents(&mut vetted);
    vetted.allowed.shrink_to_fit();
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
        let kept: BTreeMap<String, (HeldBy, Option<DateTime<Utc>>)> = vetted
            .held
            .iter()
            .filter_map(|held| {
                let login = order::released(&held.change, &Attribute::Username)?;
                Some((login, (held.hold.by, held.hold.opens_at)))
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
        let Some((by, opens_at)) = waits(&change) else {
            return;
        };
        let why = if by.waits_for_a_person() {
            "it takes a login that another user has until a held change is approved"
        } else {
            "it takes a login that another user has until a held change is written"
        };
        let hold = Hold {
            opens_at,
            ..Hold::new(by, why)
        };
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
