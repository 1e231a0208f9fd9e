//! Explains one person: reads the person's entry, those with the same login or mail, and ftrack's
//! users, and takes the way of a run with them, without writing or saving anything.
//!
//! Limits count everybody, so they are those of the last run, as its report has them.

use std::collections::BTreeSet;

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{
    CompiledJob, Progress, RunContext,
    failure::{Failure, PlanError, ReadError},
    ldap_work::LdapWork,
};
use crate::{
    directory,
    directory::ChangedEntries,
    ftrack,
    model::{
        change::{Action, Change, HeldBy},
        entry::DirectoryId,
        explanation::{ExplainedUser, Explanation, Step, StepName, Verdict},
        id::IdAttribute,
        reason::ByHand,
        report::{ChangeResult, Outcome as RunOutcome, Report, Reported, Trigger},
        user::{Current, EntityId, User},
    },
    state::Remembered,
    sync::{
        decision::{Decision, Outcome, Plan, Who},
        desired::{Desired, DesiredValue, Mapped},
        guard,
        guard::{Held, Vetted},
        several, verdict,
    },
};

mod commands;
mod entry;
pub mod past;
mod users;

use entry::{Chosen, entry_of, of_stranger};
use users::{link_of, user_of, users_before, users_named};

/// The most reports that are read to find out what the last run held.
const RUNS: usize = 20;

/// What is decided about somebody.
struct Decided {
    verdict: Verdict,
    reason: String,
    change: Option<Reported>,
    user: Option<ExplainedUser>,
}

impl Decided {
    /// The same where values of the person are left out, for these reasons.
    fn noting(self, unfit: &str) -> Self {
        if unfit.is_empty() {
            return self;
        }
        let verdict = if self.verdict == Verdict::InStep {
            Verdict::InvalidValue
        } else {
            self.verdict
        };
        Self {
            verdict,
            reason: format!("{}; but {unfit}, so ftrack keeps what it has", self.reason),
            ..self
        }
    }
}

/// An explanation in the making.
#[derive(Default)]
struct Trace {
    steps: Vec<Step>,
    commands: Vec<String>,
}

impl Trace {
    fn step(&mut self, step: StepName, passed: bool, detail: impl Into<String>) {
        self.steps.push(Step {
            step,
            passed,
            detail: detail.into(),
        });
    }
}

impl CompiledJob {
    /// Explains what a run would do about one person, and why.
    ///
    /// # Errors
    /// A server could not be asked, or ftrack decides what a run of this job changes.
    pub async fn explain(
        &self,
        who: &str,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Explanation, PlanError> {
        let (mut context, remembered) = self.look(cancel, progress)?;
        let explained = Box::pin(context.explain(who, &remembered)).await;
        explained.map_err(|Failure { why, .. }| PlanError::Read(why))
    }
}

impl RunContext<'_, LdapWork> {
    async fn explain(
        &mut self,
        who: &str,
        remembered: &Remembered,
    ) -> Result<Explanation, Failure> {
        let mut remembered = self.counting_unsettled(remembered)?;
        let current = self.all_users().await?;
        remembered.users_before = Some(users_before(&current, &self.work.rules.source));
        self.paused.clone_from(&remembered.paused);
        remembered
            .rejected
            .add_links(&current, &self.work.rules.source);
        let mut trace = Trace::default();
        let named = users_named(&current, who);
        let found = self.search(who, &named, &mut trace).await?;
        let chosen = self.choose(&found, &named, &current);
        self.record_entry(&found, chosen.as_ref(), &mut trace);
        let id = match &chosen {
            Some(chosen) => chosen.id.clone(),
            None => link_of(&named).map(|link| (link.attribute.clone(), link.id.clone())),
        };
        let decided = match &id {
            Some(id) => {
                let about = (id, chosen.as_ref(), found.server.as_str());
                self.decided_about(about, &current, &remembered, &mut trace)
                    .await?
            }
            None => None,
        };
        let decided = decided.unwrap_or_else(|| self.undecided(chosen.as_ref(), &named));
        Ok(Explanation {
            who: who.to_owned(),
            job: self.prepared.name.clone(),
            run: None,
            verdict: decided.verdict,
            reason: decided.reason,
            directory: chosen.map(|chosen| entry_of(&found.server, &chosen)),
            ftrack: decided.user,
            change: decided.change,
            steps: trace.steps,
            commands: trace.commands,
        })
    }

    pub(super) async fn all_users(&mut self) -> Result<Current, Failure> {
        self.reader
            .take_key()
            .await
            .map_err(|error| self.record_read_error(ReadError::Ftrack(error)))?;
        let wanted = self.current_wanted();
        let current = ftrack::read::read(&self.reader, wanted, &self.until).await;
        current.map_err(|error| self.record_read_error(ReadError::Ftrack(error)))
    }

    /// Where nothing is decided about somebody: the person is none of the job's people, and has no
    /// user of this job.
    fn undecided(&self, chosen: Option<&Chosen>, named: &[&User]) -> Decided {
        let user = named.first().copied();
        let unlinked = user.and_then(|user| user.link.unlinked());
        let (verdict, reason) = match (chosen, user) {
            (Some(chosen), _) => of_stranger(chosen, !self.work.job.member_of.is_empty()),
            (None, Some(_)) if unlinked.is_some() => (
                Verdict::NotOwned,
                "no entry is known by that name".to_owned(),
            ),
            (None, Some(user)) => match user.link.link() {
                Some(link) => {
                    let source = &link.source;
                    let reason = format!("the user belongs to the source {source:?}");
                    (Verdict::OtherSource, reason)
                }
                None => (
                    Verdict::NotOwned,
                    "the user belongs to no job, and no entry is known by that name".to_owned(),
                ),
            },
            (None, None) => (
                Verdict::Unknown,
                "neither the directory, as far as the account may see it, nor ftrack knows \
                 anybody by that login, mail address, DN or id"
                    .to_owned(),
            ),
        };
        let reason = match unlinked {
            Some(_) => format!("{reason}; {}", ByHand::Unlinked),
            None => reason,
        };
        Decided {
            verdict,
            reason,
            change: None,
            user: user.map(user_of),
        }
    }

    /// The person and those with the same login or mail, as a read shows them.
    async fn people(
        &mut self,
        (attribute, id): &(IdAttribute, DirectoryId),
        chosen: Option<&Chosen>,
        server: &str,
    ) -> Result<ChangedEntries<Mapped>, Failure> {
        let mut ids = BTreeSet::from([id.clone()]);
        ids.extend(self.rivals(attribute, chosen).await?);
        let ids: Vec<DirectoryId> = ids.into_iter().collect();
        let (work, request) = (self.work, self.read_request());
        let people = directory::read_changed(
            &work.pool,
            server,
            &request,
            (attribute, &ids),
            |kind, entry| work.mappings.of(kind).map(entry),
            &self.until.cancel,
        )
        .await;
        people.map_err(|unread| self.record_read_error(ReadError::Directory(unread)))
    }

    /// What is decided about a person, after what a run finds out before it decides.
    async fn decided_about(
        &mut self,
        (id, chosen, server): (&(IdAttribute, DirectoryId), Option<&Chosen>, &str),
        current: &Current,
        remembered: &Remembered,
        trace: &mut Trace,
    ) -> Result<Option<Decided>, Failure> {
        let entries = self.people(id, chosen, server).await?;
        let request = entries.part().asking_again(self.read_request());
        let deleted = BTreeSet::from([id.1.clone()]);
        let limits = &self.work.job.limits;
        // Of a few, any part may be unusable.
        let desired = Desired::of_changes(entries, deleted, usize::MAX, limits);
        let desired = desired.map_err(Failure::refused)?;
        self.record_person(&desired, (&id.1, chosen), trace);
        let current = self.concerned(current, &desired, &id.1);
        let desired = several::settled(desired, &current, &self.work.rules);
        let desired = Box::pin(self.with_pictures_of_few(desired, &request)).await;
        let settings = self.settings(&desired);
        let past = (remembered, &settings);
        let plan = self.decide(&desired, &current, past, &request).await?;
        self.look_at_work(&plan).await;
        let unsettled = self.unsettled_changes()?;
        let vetted = guard::vet(&plan, &self.bounds(&plan, past, &unsettled));
        let dn = chosen.map(|chosen| chosen.found.entry.dn.as_str());
        let Some(decision) = decision_about(&plan, &id.1, dn) else {
            return Ok(None);
        };
        let held = Parts::of(&vetted, &id.1);
        let unfit = plan
            .unfit
            .get(&id.1)
            .map_or("".into(), |unfit| unfit.join("; "));
        if !unfit.is_empty() {
            trace.step(StepName::Map, false, &*unfit);
        }
        let decided = self.conclude(decision, held, (chosen, &remembered.without_seat), trace);
        Ok(decided.map(|decided| decided.noting(&unfit)))
    }

    /// Adds what a run would find out about a person who is among those that it reads.
    fn record_person(
        &self,
        desired: &Desired,
        (id, chosen): (&DirectoryId, Option<&Chosen>),
        trace: &mut Trace,
    ) {
        if !chosen.is_some_and(Chosen::is_of_job) {
            return;
        }
        let is_shown = desired.shown().any(|shown| shown == id);
        let groups = &self.work.job.member_of;
        if !groups.is_empty() {
            let words = if is_shown { "is" } else { "is not" };
            let detail = format!(
                "the person {words} a member of the job's groups: {}",
                groups.join(", ")
            );
            trace.step(StepName::Groups, is_shown, detail);
        }
        if !is_shown {
            return;
        }
        let is_disabled = desired.account(id).is_disabled(Utc::now());
        let words = if is_disabled {
            "the person may not sign in, as the directory shows"
        } else {
            "the person may sign in"
        };
        trace.step(StepName::Disabled, !is_disabled, words);
        match desired.person(id) {
            Some(person) => {
                let mail = match &person.email {
                    DesiredValue::Text(mail) => format!(", mail {mail}"),
                    DesiredValue::Keep | DesiredValue::Clear => String::new(),
                };
                let detail = format!("the login is {}{mail}", person.username);
                trace.step(StepName::Map, true, detail);
            }
            None => {
                let skipped = desired.skipped().first();
                let why = skipped.map_or_else(String::new, |entry| entry.reason.to_string());
                trace.step(StepName::Map, false, why);
            }
        }
    }

    /// Adds the last steps, and what comes of them.
    fn conclude(
        &self,
        decision: &Decision<'_>,
        held: Parts,
        (chosen, without_seat): (Option<&Chosen>, &BTreeSet<EntityId>),
        trace: &mut Trace,
    ) -> Option<Decided> {
        let had_no_seat = |change: &Change| {
            change.action == Action::Create && without_seat.contains(&change.ftrack_id)
        };
        let has_user = decision.user.is_some();
        let user = decision.user.map_or_else(
            || "ftrack has no user for the person".to_owned(),
            |user| format!("the user in ftrack is {} ({})", user.username, user.id),
        );
        trace.step(StepName::Match, has_user, user);
        let mut reason = decision.reason.to_string();
        let mut verdict = verdict::of_decision(decision);
        let is_left_as_it_is = matches!(decision.outcome, Outcome::LeftAlone | Outcome::Unchanged);
        if let Some(chosen) = chosen.filter(|chosen| is_left_as_it_is && !chosen.is_of_job()) {
            // Why nothing is done about an inactive user does not say why the person has none.
            let of_entry = of_stranger(chosen, false);
            (verdict, reason) = (of_entry.0, format!("{}; {reason}", of_entry.1));
        }
        trace.step(StepName::Decide, true, &*reason);
        if decision.change().is_some_and(had_no_seat) {
            verdict = Verdict::NoSeat;
            reason = format!("{reason}; in the last run there was no seat for the user");
        }
        let change = decision.change().map(|change| {
            let planned = Reported::new(change, ChangeResult::Planned);
            let before = || self.held_before(&planned);
            let held = held.certain.or_else(before).or(held.by_limit);
            let mut change = held.unwrap_or(planned);
            change.work = self.work_of(change.action, &change.ftrack_id);
            change
        });
        if let Some(change) = &change {
            let is_rejected = change.result == ChangeResult::Rejected;
            let by = change.held_by;
            let by = by.or(is_rejected.then_some(HeldBy::Rejected));
            let rejected = change.error.as_deref().filter(|_| is_rejected);
            let why = change.hold().or(rejected).map(ToOwned::to_owned);
            if let (Some(by), Some(why)) = (by, &why) {
                verdict = verdict::of_hold(by);
                reason = if is_rejected {
                    format!("{reason}; {why}")
                } else {
                    format!("{reason}; it is held ({}): {why}", by.as_str())
                };
            }
            let detail = why.unwrap_or_else(|| {
                "nothing holds it; limits count everybody, and the last run held nothing of this"
                    .to_owned()
            });
            trace.step(StepName::Guard, by.is_none(), detail);
        }
        Some(Decided {
            verdict,
            reason,
            change,
            user: decision.user.map(user_of),
        })
    }

    /// The same change, if the last run for everybody held it by what only the people as a whole
    /// show, or a run for some since then.
    fn held_before(&self, planned: &Reported) -> Option<Reported> {
        let job = &self.prepared.name;
        let runs = self.history.runs(Some(job)).ok()?;
        let reports = runs
            .iter()
            .take(RUNS)
            .filter_map(|(run, job)| self.history.load(job, run).ok());
        for report in reports.filter(|report| !report.dry_run) {
            let held = held_before(&report, planned);
            if held.is_some() || is_for_everybody(&report) {
                return held;
            }
        }
        None
    }
}

/// What holds the change of a person.
struct Parts {
    /// By what is known of this person alone.
    certain: Option<Reported>,
    /// By a limit, as far as these few people tell: the last run knows better by how much it is
    /// exceeded.
    by_limit: Option<Reported>,
}

impl Parts {
    fn of(vetted: &Vetted, id: &DirectoryId) -> Self {
        let is_of_limit = |held: &&Held| held.hold.by == HeldBy::Limit;
        let of_person = vetted
            .held()
            .iter()
            .filter(|held| held.change.directory_id == *id);
        let (by_limit, certain): (Vec<&Held>, Vec<&Held>) = of_person.partition(is_of_limit);
        let first = |all: Vec<&Held>| {
            let held = all.first()?;
            Some(Reported::held(&held.change, &held.hold))
        };
        Self {
            certain: first(certain),
            by_limit: first(by_limit),
        }
    }
}

/// Whether the report of a run has everything that was held then.
fn is_for_everybody(report: &Report) -> bool {
    report.outcome != RunOutcome::Failed
        && report.trigger != Trigger::Changes
        && report.approved_by.is_none()
        && report.only.is_empty()
}

/// The decision about a person, an entry, or the user of somebody without an entry.
fn decision_about<'p>(
    plan: &'p Plan<'_>,
    id: &DirectoryId,
    dn: Option<&str>,
) -> Option<&'p Decision<'p>> {
    let is_about = |decision: &&Decision<'_>| match decision.who {
        Who::Person((person, _)) => person == id,
        Who::Entry(entry) => Some(&*entry.dn) == dn,
        Who::User(user) => user.link.link().is_some_and(|link| link.id == *id),
    };
    // A change comes first.
    plan.decisions.iter().find(is_about)
}

/// The same change in a report, if it was held by what only the people as a whole show: everything
/// else is known anew.
fn held_before(report: &Report, planned: &Reported) -> Option<Reported> {
    let is_same = |change: &&Reported| {
        (change.action, &change.ftrack_id) == (planned.action, &planned.ftrack_id)
            && change.held_by.is_some_and(is_of_everybody)
    };
    let before = report.changes.iter().find(is_same)?;
    Some(Reported {
        result: ChangeResult::Held,
        held_by: before.held_by,
        error: before
            .hold()
            .map(|why| format!("{why} (in the run {})", report.run)),
        ..planned.clone()
    })
}

/// Whether it takes the reading of everybody to know what holds a change.
fn is_of_everybody(by: HeldBy) -> bool {
    match by {
        HeldBy::Limit | HeldBy::Doubt | HeldBy::Administrator => true,
        HeldBy::Replica
        | HeldBy::Configuration
        | HeldBy::Protected
        | HeldBy::Adoption
        | HeldBy::Successor
        | HeldBy::Returner
        | HeldBy::Work
        | HeldBy::Window
        | HeldBy::Freeze
        | HeldBy::Paused
        | HeldBy::Rejected => false,
    }
}
