//! What a run uses from the runs before it, and saves for those after it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{TimeDelta, Utc};

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    model::{
        change::{Action, Change, HeldBy},
        edit::Edit,
        user::{Current, EntityId},
    },
    state::{LinkedUsers, Remembered, State, Written},
    sync::{
        decision::Plan,
        guard,
        guard::{Approval, Bounds, Vetted},
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
            deactivated: remembered.deactivated_within(per, Utc::now(), &plan.deactivated_at),
            held_before: &remembered.held,
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
        for written in remembered.settled(&plan.deactivated_at) {
            state.count_deactivations(job, &written)?;
        }
        // A reading of a replica releases nobody: it may lag behind.
        if approval == Approval::None && plan.replica.is_none() {
            state.set_held(job, &remembered.held, &held_by_limit(remembered, vetted))?;
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

/// The deactivations of a run, as they are counted: the links contain the time at which the plan
/// was made. Approved ones do not count.
pub(super) fn deactivations(run: &str, vetted: &Vetted, approval: Approval) -> Option<Written> {
    let deactivations = vetted
        .allowed()
        .iter()
        .filter(|change| change.action == Action::Deactivate);
    let number = match approval {
        Approval::None => deactivations.clone().count(),
        Approval::Given => 0,
    };
    let since = deactivations
        .filter_map(|change| change.link.activity.deactivated_at())
        .next()?;
    Some(Written {
        run: run.to_owned(),
        at: Utc::now(),
        number,
        since,
        is_settled: false,
    })
}

/// The deactivations, held or not.
fn deactivated(vetted: &Vetted) -> impl Iterator<Item = &Change> {
    vetted
        .changes()
        .filter(|change| change.action == Action::Deactivate)
}

/// Whose deactivation a limit holds, now or since an earlier run; they are released only when the
/// deactivation is no longer due, or a person approves it.
fn held_by_limit(remembered: &Remembered, vetted: &Vetted) -> BTreeSet<String> {
    let id = |change: &Change| change.directory_id.as_str().to_owned();
    let now = vetted
        .held()
        .iter()
        .filter(|held| held.hold.by == HeldBy::Limit)
        .map(|held| id(&held.change));
    let wanted = deactivated(vetted).map(id);
    now.chain(wanted.filter(|id| remembered.held.contains(id)))
        .collect()
}
