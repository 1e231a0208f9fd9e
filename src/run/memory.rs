//! What a run uses from the runs before it, and saves for those after it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    RunContext, failure::Failure, host::host, ldap_work::LdapWork,
    unsettled_changes::UnsettledChange,
};
use crate::{
    config::schedule::Schedule,
    directory::dn::Dn,
    ftrack,
    model::{
        change::{Action, Change, ChangeId, HeldBy},
        change_kind::ChangeKind,
        clocks::{Clocks, Present},
        edit::Edit,
        entry::DirectoryId,
        held_people::HeldPeople,
        readable_time::readable_time,
        reason::{Cause, Reason},
        report::Trigger,
        user::{Current, EntityId},
    },
    state::{LinkedUsers, Remembered, State, Written},
    sync::{
        decision::{Plan, Replica},
        desired::Desired,
        guard,
        guard::{Approval, Bounds, Held, LIMITED, Times, Vetted},
        settings,
        settings::{Setting, Settings},
    },
};

impl RunContext<'_, LdapWork> {
    /// What the limits of the job leave for this run.
    pub(super) fn bounds<'r>(
        &self,
        plan: &Plan<'_>,
        (remembered, settings): (&'r Remembered, &Settings),
        unsettled: &[UnsettledChange],
    ) -> Bounds<'r>
    where
        Self: 'r,
    {
        let limits = &self.work.job.limits;
        let per = TimeDelta::from_std(limits.per).unwrap_or(TimeDelta::MAX);
        let now = self.present(remembered);
        let links = &plan.deactivated_at;
        let ahead = || {
            let latest = remembered.ahead_of(now.clocks, links)?;
            Some(format!(
                "some of it is dated up to {}, which no clock shows yet, so it counts until then: \
                 a clock was wrong, or is now",
                readable_time(latest, &Utc)
            ))
        };
        Bounds {
            limits: &self.work.job.limits,
            written: remembered.written_within(per, now, links),
            unsettled: of_unsettled(remembered, unsettled, per, now),
            clocks: now.disagreement().or_else(ahead),
            held_before: &remembered.held,
            changed: changed(remembered, settings),
            config_change: self.work.job.config_change,
            closed: self.times().closed_at(now.clocks.here),
            lifted: None,
            rejected: &remembered.rejected,
            work: self.work_that_holds(),
        }
    }

    /// Looks what a person paused by now, right before it is decided what is written: an emergency
    /// stop counts also for a run that is under way.
    pub(super) fn look_at_pauses(&mut self, state: &State) -> Result<(), Failure> {
        let job = &self.prepared.name;
        self.paused = state.paused_kinds_now(job)?;
        let is_of_a_person = is_of_a_person(self.report.trigger);
        let paused = state.pause_now(job)?;
        let paused = paused.filter(|pause| is_of_a_person && !pause.is_over(Utc::now()));
        if let Some(pause) = paused {
            let zone = self.prepared.job.timezone;
            let until = pause.until.map(|until| readable_time(until, &zone));
            let until = until.unwrap_or_else(|| format!("`resume {job}`"));
            let reason = pause.reason.as_ref().map(|reason| format!(" ({reason})"));
            self.notes.push(format!(
                "the job is paused until {until}{}, {}: the daemon starts no run of it, and what a \
                 person starts (`sync`, `apply`, `approve`) runs all the same; `pause --only KIND` \
                 holds a kind of change in each run",
                reason.unwrap_or_default(),
                pause.since_words(&zone)
            ));
        }
        Ok(())
    }

    /// When the changes of the job may be written.
    pub(super) fn times(&self) -> Times<'_> {
        Times {
            job: &self.prepared.name,
            windows: &self.work.job.windows,
            freezes: &self.work.job.freezes,
            paused: &self.paused,
            schedules: self.schedules(),
            zone: self.prepared.job.timezone,
        }
    }

    /// When the daemon runs the job.
    fn schedules(&self) -> Vec<Schedule> {
        let (name, job) = (&self.prepared.name, &self.prepared.job);
        let host = host();
        let all = Schedule::all_of(name, job, &host);
        all.map(|(_, schedule)| schedule).collect()
    }

    /// The settings with which the people were read.
    pub(super) fn settings(&self, desired: &Desired) -> Settings {
        Settings::new(&self.work.job, desired)
    }

    /// Fails when more users lost their links since the run before than may be deactivated: a key
    /// without read access to metadata, or a list that was cut short, would leave all users without
    /// an owner. A person's approval overrides this.
    pub(super) fn fall_of_links(&self, plan: &Plan<'_>, remembered: &Remembered) -> Option<String> {
        // Of what changed, there are only the users that it touches.
        if remembered.users_before.is_some() {
            return None;
        }
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

    /// Saves what later runs have to know, before anything is written to ftrack. What is held is all
    /// of it, also where the run is for the approval of some.
    pub(super) fn remember(
        &self,
        state: &State,
        (remembered, settings): (&Remembered, &Settings),
        plan: &Plan<'_>,
        current: &Current,
        (vetted, held): (&Vetted, &[Held]),
        approval: Approval,
    ) -> Result<(), Failure> {
        let job = &self.prepared.name;
        self.keep_absences(state, remembered, plan)?;
        let clocks = self.clocks();
        let settled = remembered.settled(&plan.deactivated_at, clocks);
        state.count_written(job, &settled.collect::<Vec<_>>())?;
        state.set_clocks_agreed(job, clocks.agreed())?;
        if plan.is_first_contact && !remembered.has_begun {
            state.set_first_contact(job, self.reader.server(), true)?;
        }
        // A reading of a replica releases nobody: it may lag behind.
        if plan.replica.is_none() {
            let changed = changed(remembered, settings);
            let held = held_people(remembered, plan, &changed, (vetted.allowed(), held));
            state.set_held(job, &remembered.held, &held)?;
            state.set_settings(job, remembered.settings.as_ref(), settings)?;
        }
        state.set_inactive(
            job,
            self.reader.server(),
            remembered,
            inactive(plan, current, (vetted.allowed(), held)),
        )?;
        state.set_directory(
            job,
            remembered,
            plan.directory.as_deref(),
            &self.bases(plan, vetted, approval),
        )?;
        if is_settled(plan, vetted, approval) {
            state.set_referrals(job, remembered, self.referrals())?;
        }
        let groups = self.groups(remembered, plan, vetted, approval);
        state.set_groups(job, remembered, &groups)?;
        state.set_reading_sizes(
            self.reader.server(),
            remembered.reading_sizes,
            ftrack::read::sizes(&self.reader, current),
        )?;
        Ok(())
    }

    /// The number of members of each group, and of members that are known to be no groups, none. A
    /// group that shows none any longer, or is not seen and still a member of another one, keeps those
    /// that it had, and what may be a group is not known, until a person approves that somebody is a
    /// member no more.
    fn groups(
        &self,
        remembered: &Remembered,
        plan: &Plan<'_>,
        vetted: &Vetted,
        approval: Approval,
    ) -> BTreeMap<String, usize> {
        let is_approved = approval.is_of(vetted, |change| change.reason == Reason::NotAMember);
        let read = self.report.directory.iter();
        let mut groups = by_dn(read.flat_map(|read| &read.groups));
        let before = by_dn(&remembered.groups);
        for dn in &plan.outside_members {
            let Some(key) = Dn::parse(dn) else { continue };
            if is_approved || plan.member_accounts.contains(dn) {
                groups.insert(key, (dn, 0));
            } else if let Some(known) = before.get(&key) {
                groups.insert(key, *known);
            }
        }
        let of_grants: BTreeSet<Dn> = plan
            .grant_groups
            .iter()
            .filter_map(|dn| Dn::parse(dn))
            .collect();
        let is_only_of_grants = |key: &&Dn| of_grants.contains(*key);
        for (key, (_, members)) in before.iter().filter(|_| !is_approved) {
            if let Some((_, shown @ 0)) = groups.get_mut(key).filter(|_| !is_only_of_grants(&key)) {
                *shown = *members;
            }
        }
        // As long as a role is not taken because of it, the doubt stays.
        if !plan.grant_doubts.is_empty() && leaves_grants(plan, vetted) {
            for (key, (dn, members)) in &before {
                let shown = groups.entry(key.clone()).or_insert((dn, 0));
                if shown.1 == 0 {
                    shown.1 = *members;
                }
            }
        }
        let groups = groups.into_values();
        groups
            .map(|(dn, members)| (dn.to_owned(), members))
            .collect()
    }

    /// Saves how current the directory was. A server that lags behind shows nothing new, unless a
    /// person approved what follows from its reading: then it was restored, or another server was
    /// removed, and nothing newer is to be expected.
    pub(super) fn remember_freshness(
        &self,
        state: &State,
        remembered: &Remembered,
        desired: &Desired,
        (plan, vetted): (&Plan<'_>, &Vetted),
        approval: Approval,
    ) -> Result<(), Failure> {
        let shown = desired.freshness();
        let is_approved = || approval.is_of(vetted, |change| change.action != Action::Create);
        let lags_behind = plan.replica.as_ref().is_some_and(Replica::lags_behind);
        if shown.is_unknown() || lags_behind && !is_approved() {
            return Ok(());
        }
        let directory = desired.directory().map(|id| &**id);
        let seen = remembered
            .freshness_of(directory)
            .cloned()
            .unwrap_or_default();
        let now = shown.after(&seen, self.clocks().latest());
        state.set_freshness(&self.prepared.name, remembered, directory, &now)?;
        Ok(())
    }

    /// The same of a run that read only what changed: nothing about anybody else, and nothing that
    /// only a complete reading shows.
    pub(super) fn remember_changes(
        &self,
        state: &State,
        (remembered, settings): (&Remembered, &Settings),
        (plan, desired, current): (&Plan<'_>, &Desired, &Current),
        vetted: &Vetted,
    ) -> Result<(), Failure> {
        let (job, ftrack) = (&self.prepared.name, self.reader.server());
        state.set_clocks_agreed(job, self.clocks().agreed())?;
        if plan.replica.is_none() {
            let (changed, judged) = (
                changed(remembered, settings),
                (vetted.allowed(), vetted.held()),
            );
            let mut held = held_people(remembered, plan, &changed, judged);
            for (by, kind, id, cause) in remembered.held.iter() {
                let is_told = DirectoryId::new(id).is_some_and(|id| desired.tells_of(&id));
                if !is_told {
                    held.add(by, kind, id, cause);
                }
            }
            state.set_held(job, &remembered.held, &held)?;
        }
        let known = remembered.inactive.iter().flatten().cloned();
        let all = inactive(plan, current, (vetted.allowed(), vetted.held()))
            .into_iter()
            .chain(known)
            .collect();
        state.set_inactive(job, ftrack, remembered, all)?;
        let shown = desired.people().iter();
        let shown = shown
            .map(|(id, person)| (id.as_str(), &*person.dn))
            .collect();
        let gone = vetted.allowed().iter().map(|change| &change.directory_id);
        let gone = gone
            .filter(|id| desired.lacks(id))
            .map(|id| id.as_str().to_owned());
        Ok(state.change_dns(job, &shown, &gone.collect())?)
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
        let is_settled = is_settled(plan, vetted, approval);
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

/// Whether a person started the run, whatever is paused.
fn is_of_a_person(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Manual
        | Trigger::Approval
        | Trigger::Undo
        | Trigger::Restore
        | Trigger::Link
        | Trigger::Release => true,
        Trigger::Schedule
        | Trigger::Startup
        | Trigger::Retry
        | Trigger::Changes
        | Trigger::Watch => false,
    }
}

/// Numbers of members, by the DNs of their groups, whatever the spelling.
fn by_dn<'g>(
    groups: impl IntoIterator<Item = (&'g String, &'g usize)>,
) -> BTreeMap<Dn, (&'g str, usize)> {
    let groups = groups.into_iter();
    groups
        .filter_map(|(dn, members)| Some((Dn::parse(dn)?, (dn.as_str(), *members))))
        .collect()
}

/// Whether what was read is no longer a reason for doubt: nobody is missing, nothing is doubtful, or
/// a person approved those who are missing; a reading of a replica proves nothing.
fn is_settled(plan: &Plan<'_>, vetted: &Vetted, approval: Approval) -> bool {
    let approved: BTreeSet<&str> = deactivated(vetted)
        .map(|change| change.directory_id.as_str())
        .collect();
    let mut missing = plan.absences.keys();
    plan.replica.is_none()
        && (plan.absences.is_empty()
            || plan.doubts.is_empty()
            || approval == Approval::Given && missing.all(|id| approved.contains(id.as_str())))
}

/// Whether a role or a membership that would be taken is not: it is held, or not what a person approved.
fn leaves_grants(plan: &Plan<'_>, vetted: &Vetted) -> bool {
    let taken: BTreeMap<ChangeId, &Change> = vetted
        .allowed()
        .iter()
        .map(|change| (change.id, change))
        .collect();
    plan.changes().any(|change| {
        let mut revokes = change.edits_of(ChangeKind::Revoke);
        revokes.any(|edit| taken.get(&change.id).is_none_or(|taken| !taken.has(edit)))
    })
}

/// The users that are inactive although the program did not deactivate them; of users that a job
/// adopts or takes over it cannot be said later that they were deactivated since.
fn inactive(
    plan: &Plan<'_>,
    current: &Current,
    (allowed, held): (&[Change], &[Held]),
) -> BTreeSet<EntityId> {
    let held = held.iter().map(|held| &held.change);
    let linked = allowed
        .iter()
        .chain(held)
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

/// How many of what was written within that time before now are changes to a user whose results are
/// not known.
fn of_unsettled(
    remembered: &Remembered,
    unsettled: &[UnsettledChange],
    per: TimeDelta,
    now: Present,
) -> BTreeMap<(EntityId, ChangeKind), usize> {
    let mut changes: BTreeMap<(EntityId, ChangeKind), usize> = BTreeMap::new();
    for UnsettledChange { run, user, kind } in unsettled {
        let counts = |written: &&Written| {
            let is_its_own = written.run == *run && written.kind == *kind;
            is_its_own && written.number > 0 && now.passed_since(&written.at) < per
        };
        if remembered.written.iter().any(|written| counts(&written)) {
            *changes.entry((user.clone(), *kind)).or_default() += 1;
        }
    }
    changes
}

/// The settings that changed since the people were last read; none where that is not known.
pub(super) fn changed(remembered: &Remembered, settings: &Settings) -> Vec<Setting> {
    let before = remembered.settings.as_ref();
    before.map_or_else(Vec::new, |before| settings.changed(before))
}

/// The time in the links of the users that a run deactivates; none where it deactivates nobody.
pub(super) fn deactivated_at(vetted: &Vetted) -> Option<DateTime<Utc>> {
    let mut deactivated = vetted.allowed().iter().filter_map(|change| {
        let is_one = change.is_of(ChangeKind::Deactivate);
        is_one.then(|| change.link.activity.deactivated_at())?
    });
    deactivated.next()
}

/// The changes of a run, as they are counted. Approved ones do not count, nor do creates of a first
/// contact; approved deactivations are known by the time in their links.
pub(super) fn written(
    run: &str,
    vetted: &Vetted,
    approval: Approval,
    (is_first_contact, at): (bool, Clocks),
) -> Vec<Written> {
    let allowed = vetted.allowed();
    let since = deactivated_at(vetted).unwrap_or(at.here);
    let counted = LIMITED.into_iter().filter_map(|kind| {
        let number = allowed
            .iter()
            .map(|change| match change.edits_of(kind).count() {
                edits if kind.counts_edits() => edits,
                edits => edits.min(1),
            });
        let number: usize = number.sum();
        let number = match (approval, kind) {
            (_, _) if number == 0 => None,
            (_, ChangeKind::Create) if is_first_contact => None,
            (Approval::None, _) => Some(number),
            (Approval::Given | Approval::OfHold(_), ChangeKind::Deactivate) => Some(0),
            (Approval::Given | Approval::OfHold(_), _) => None,
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

/// The kinds of each of these changes.
fn kinds<'c>(changes: impl IntoIterator<Item = &'c Change>) -> BTreeSet<(ChangeId, ChangeKind)> {
    let of_change = |change: &'c Change| {
        let edits = change.edits.iter();
        edits.map(|edit| (change.id, ChangeKind::of(change.action, edit)))
    };
    changes.into_iter().flat_map(of_change).collect()
}

/// Whose changes a limit or a changed setting holds, now or since an earlier run. They are released
/// when the change is no longer due, or a person approved it: time alone releases nobody.
fn held_people(
    remembered: &Remembered,
    plan: &Plan<'_>,
    changed: &[Setting],
    (allowed, held): (&[Change], &[Held]),
) -> HeldPeople {
    let allowed = kinds(allowed);
    let by_limit = |held: &&Held| held.hold.by == HeldBy::Limit;
    let over_limit = kinds(held.iter().filter(by_limit).map(|held| &held.change));
    let mut people = HeldPeople::default();
    for change in plan.changes() {
        let id = &change.directory_id;
        for edit in &change.edits {
            let kind = ChangeKind::of(change.action, edit);
            let is_held = !allowed.contains(&(change.id, kind));
            let earlier = |by| remembered.held.cause(by, kind, id).map(ToOwned::to_owned);
            let of_setting = settings::cause(changed, change, edit);
            let of_setting = of_setting.or_else(|| earlier(HeldBy::Configuration));
            if let Some(cause) = of_setting.filter(|_| is_held) {
                people.add(HeldBy::Configuration, kind, id.as_str(), &cause);
            }
            let is_limited = LIMITED.contains(&kind)
                && (over_limit.contains(&(change.id, kind)) || earlier(HeldBy::Limit).is_some());
            if is_held && is_limited {
                people.add(HeldBy::Limit, kind, id.as_str(), "");
            }
        }
    }
    add_waiting(&mut people, remembered, plan, changed);
    people
}

/// Those who wait until they have been missing or disabled for long enough: what explains that now
/// explains it then.
fn add_waiting(
    people: &mut HeldPeople,
    remembered: &Remembered,
    plan: &Plan<'_>,
    changed: &[Setting],
) {
    let (by, kind) = (HeldBy::Configuration, ChangeKind::Deactivate);
    let decided: BTreeSet<&str> = plan
        .changes()
        .map(|change| change.directory_id.as_str())
        .collect();
    for (of_cause, cause) in [
        (&plan.absences, Cause::Absent),
        (&plan.disabled, Cause::Disabled),
    ] {
        let of_setting = settings::cause_of_deactivation(changed, cause);
        for id in of_cause.keys().filter(|id| !decided.contains(id.as_str())) {
            let earlier = DirectoryId::new(id)
                .and_then(|id| remembered.held.cause(by, kind, &id).map(ToOwned::to_owned));
            if let Some(cause) = of_setting.clone().or(earlier) {
                people.add(by, kind, id, &cause);
            }
        }
    }
}
