//! What a run uses from the runs before it, and saves for those after it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, Utc};

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    model::{
        change::{Change, HeldBy},
        change_kind::ChangeKind,
        edit::Edit,
        held_people::HeldPeople,
        user::{Current, EntityId},
    },
    state::{LinkedUsers, Remembered, State, Written},
    sync::{
        decision::Plan,
        guard,
        guard::{Approval, Bounds, Held, LIMITED, Vetted},
    },
};

impl RunContext<'_, LdapWork> {
    /// What the limits of the job leave for this run.
    pub(super) fn bounds<'r>(&self, plan: &Plan<'_>, remembered: &'r Remembered) -> Bounds<'r>
    where
        Self: 'r,
    {
        let limits = &self.work.job.limits;
        let per = TimeDelta::from_std(limits.per).unwrap_or(TimeDelta::MAX);
        Bounds {
            limits: &self.work.job.limits,
            written: remembered.written_within(per, Utc::now(), &plan.deactivated_at),
            held_before: &remembered.held,
            is_first_contact: is_first_contact(plan, remembered),
        }
    }

    /// Fails when more users lost their links since the run before than may be deactivated: a key
    /// without read access to metadata, or a list that was cut short, would leave all users without
    /// an owner. A person's approval overrides this.
    pub(super) fn fall_of_links(&self, plan: &Plan<'_>, remembered: &Remembered) -> Option<String> {
        let LinkedUsers { owned, of_all } = remembered.linked?;
        let lost = owned.saturating_sub(plan.owned);
        // Users that another job took over have not lost their links.
        let lost = of_all.map_or(lost, |of_all| lost.min(of_all.saturating_sub(plan.linked)));
        let most = guard::most(self.work.job.limits.deactivate, owned);
        (lost > most).then(|| {
            format!(
                "{} users in ftrack have a link of this job, which owned {owned} users after the \
                 run before, and limits.deactivate allows {most} fewer, so nothing was written: \
                 does the key's role still have read access to users and metadata? If users or \
                 links were deleted on purpose, review `plan --out FILE` and approve it with \
                 `apply FILE`",
                plan.owned
            )
        })
    }

    /// Saves what later runs have to know, before anything is written to ftrack.
    pub(super) fn remember(
        &self,
        state: &State,
        remembered: &Remembered,
        plan: &Plan<'_>,
        current: &Current,
        vetted: &Vetted,
        approval: Approval,
    ) -> Result<(), Failure> {
        let job = &self.prepared.name;
        state.set_absences(job, &remembered.absences, &plan.absences)?;
        let settled: Vec<Written> = remembered.settled(&plan.deactivated_at).collect();
        state.count_written(job, &settled)?;
        if is_first_contact(plan, remembered) && !remembered.has_begun {
            state.begin_first_contact(job, self.reader.server())?;
        }
        // A reading of a replica releases nobody: it may lag behind.
        if approval == Approval::None && plan.replica.is_none() {
            state.set_held(job, &remembered.held, &held_people(remembered, vetted))?;
        }
        state.set_inactive(
            job,
            self.reader.server(),
            remembered,
            inactive(plan, current, vetted),
        )?;
        state.set_directory(
            job,
            remembered,
            plan.directory.as_deref(),
            &self.bases(plan, vetted, approval),
        )?;
        Ok(())
    }

    /// The number of entries of each search base. An empty base is no longer a reason for doubt
    /// once nobody is missing, or a person approved those who are; a reading of a replica proves
    /// nothing.
    fn bases(
        &self,
        plan: &Plan<'_>,
        vetted: &Vetted,
        approval: Approval,
    ) -> BTreeMap<String, usize> {
        let approved: BTreeSet<&str> = deactivated(vetted)
            .map(|change| change.directory_id.as_str())
            .collect();
        let is_approved = || {
            approval == Approval::Given
                && plan
                    .absences
                    .keys()
                    .all(|id| approved.contains(id.as_str()))
        };
        let is_settled = plan.replica.is_none()
            && (plan.absences.is_empty() || plan.doubts.is_empty() || is_approved());
        let read = self
            .report
            .directory
            .iter()
            .flat_map(|directory| &directory.searches);
        let searches = read.filter(|search| search.entries > 0 || is_settled);
        searches
            .map(|search| {
                (
                    search.base.clone(),
                    usize::try_from(search.entries).unwrap_or(usize::MAX),
                )
            })
            .collect()
    }
}

/// The users that are inactive although the program did not deactivate them; of users that a job
/// adopts or takes over it cannot be said later that they were deactivated since.
fn inactive(plan: &Plan<'_>, current: &Current, vetted: &Vetted) -> BTreeSet<EntityId> {
    let linked = vetted
        .changes()
        .filter(|change| change.has(&Edit::Link))
        .map(|change| &change.ftrack_id);
    let is_inactive = |id: &&EntityId| {
        let user = current
            .users
            .binary_search_by(|user| user.id.cmp(id))
            .ok()
            .and_then(|place| current.users.get(place));
        user.is_some_and(|user| !user.is_active)
    };
    plan.inactive
        .iter()
        .chain(linked.filter(is_inactive))
        .cloned()
        .collect()
}

/// Whether the job has only begun with its people: it had no run that did not fail, and owned
/// nobody when it began.
pub(super) fn is_first_contact(plan: &Plan<'_>, remembered: &Remembered) -> bool {
    remembered.linked.is_none() && (plan.owned == 0 || remembered.has_begun)
}

/// The changes of a run, as they are counted. Approved ones do not count, nor do creates of a first
/// contact; approved deactivations are known by the time in their links.
pub(super) fn written(
    run: &str,
    vetted: &Vetted,
    approval: Approval,
    is_first_contact: bool,
) -> Vec<Written> {
    let allowed = vetted.allowed();
    let mut deactivated = allowed.iter().filter_map(|change| {
        let is_one = change.is_of(ChangeKind::Deactivate);
        is_one.then(|| change.link.activity.deactivated_at())?
    });
    let at = Utc::now();
    let since = deactivated.next().unwrap_or(at);
    let counted = LIMITED.into_iter().filter_map(|kind| {
        let number = allowed.iter().filter(|change| change.is_of(kind)).count();
        let number = match (approval, kind) {
            (_, _) if number == 0 => None,
            (_, ChangeKind::Create) if is_first_contact => None,
            (Approval::None, _) => Some(number),
            (Approval::Given, ChangeKind::Deactivate) => Some(0),
            (Approval::Given, _) => None,
        }?;
        Some(Written {
            run: run.to_owned(),
            kind,
            at,
            number,
            since,
            is_settled: false,
        })
    });
    counted.collect()
}

/// The deactivations, held or not.
fn deactivated(vetted: &Vetted) -> impl Iterator<Item = &Change> {
    vetted
        .changes()
        .filter(|change| change.is_of(ChangeKind::Deactivate))
}

/// Whose changes a limit holds, now or since an earlier run; they are released only when the change
/// is no longer due, or a person approves it.
fn held_people(remembered: &Remembered, vetted: &Vetted) -> HeldPeople {
    let mut people = HeldPeople::default();
    let by_limit = |held: &&Held| held.hold.by == HeldBy::Limit;
    for Held { change, .. } in vetted.held().iter().filter(by_limit) {
        for kind in LIMITED.into_iter().filter(|kind| change.is_of(*kind)) {
            people.add(HeldBy::Limit, kind, change.directory_id.as_str(), "");
        }
    }
    for change in vetted.changes() {
        for kind in LIMITED.into_iter().filter(|kind| change.is_of(*kind)) {
            let id = &change.directory_id;
            if let Some(cause) = remembered.held.cause(HeldBy::Limit, kind, id) {
                people.add(HeldBy::Limit, kind, id.as_str(), cause);
            }
        }
    }
    people
}
