//! Explains one person: reads the person's entry, those with the same login or mail, and ftrack's
//! users, and takes the way of a run with them, without writing or saving anything.
//!
//! Limits count everybody, so they are those of the last run, as its report has them.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::{
    CompiledJob, Progress, RunContext,
    failure::{Failure, PlanError, ReadError},
    ldap::OBSERVES,
    ldap_work::LdapWork,
};
use crate::{
    config::Mode,
    directory,
    directory::ChangedEntries,
    ftrack,
    model::{
        change::{Action, Change},
        entry::DirectoryId,
        explanation::{ExplainedUser, Explanation, Step, StepName, Verdict},
        id::IdAttribute,
        own_links::OwnLinks,
        reason::ByHand,
        report::{ChangeResult, Reported},
        user::{Current, User},
    },
    state::{Remembered, history::History},
    sync::{
        decision::{Decision, Outcome, Plan, Who},
        desired::{Desired, Mapped},
        difference::{Sides, left_as_they_are},
        guard, put_back, several, verdict,
    },
};

mod candidates;
mod commands;
mod entry;
mod groups;
mod parts;
pub mod past;
mod reasons;
mod rejected;
pub mod renamed;
mod users;

use candidates::Candidate;
use entry::{Chosen, entry_of, of_stranger};
use parts::record_parts;
use renamed::Renamed;
use users::{link_of, user_of, user_of_person, users_before, users_named};

/// Nobody can be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// A server could not be asked, or ftrack decides what a run of this job changes.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Several people have that name.
    #[error("{}", of_several(who, candidates))]
    Ambiguous {
        /// As asked for.
        who: String,
        /// Who may be meant.
        candidates: Vec<Candidate>,
    },
}

/// Who may be meant, and the command that explains each.
fn of_several(who: &str, candidates: &[Candidate]) -> String {
    let shown: Vec<&str> = candidates.iter().map(|one| one.shown.as_str()).collect();
    let commands = candidates.iter().map(|one| {
        let name = shlex::try_quote(&one.name).unwrap_or_else(|_| one.name.as_str().into());
        format!("`explain {name}`")
    });
    let commands: Vec<String> = commands.collect();
    format!(
        "{who:?} may be {}: name the person by the DN or an id, {}",
        shown.join(" or "),
        commands.join(" or ")
    )
}

/// The same in the making.
enum Failed {
    Run(Failure),
    Ambiguous {
        who: String,
        candidates: Vec<Candidate>,
    },
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::Run(failure)
    }
}

impl From<Failed> for ExplainError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Run(Failure { why, .. }) => Self::Plan(PlanError::Read(why)),
            Failed::Ambiguous { who, candidates } => Self::Ambiguous { who, candidates },
        }
    }
}

/// What is decided about somebody.
struct Decided {
    verdict: Verdict,
    reason: String,
    changes: Vec<Reported>,
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

/// What is known of somebody beside what is decided.
struct Facts<'a> {
    /// The parts of the changes, with what holds them.
    parts: Vec<Reported>,
    chosen: Option<&'a Chosen>,
    /// The user that is, or was, linked with the person.
    user: Option<&'a User>,
    /// Whether the user was to be created in the last run, and there was no seat.
    had_no_seat: bool,
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
    /// A server could not be asked, several people have that name, or ftrack decides what a run of this
    /// job changes.
    pub async fn explain(
        &self,
        who: &str,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Explanation, ExplainError> {
        let (mut context, remembered) = self.look(cancel, progress)?;
        let explained = Box::pin(context.explain(who, &remembered)).await?;
        if explained.verdict != Verdict::Unknown {
            return Ok(explained);
        }
        let history = History::new(&self.config.state_dir);
        let Some(Renamed { ftrack_id, said }) = renamed::renamed(&history, &self.name, who) else {
            return Ok(explained);
        };
        let now = Box::pin(context.explain(&ftrack_id.text(), &remembered)).await?;
        Ok(Explanation {
            who: explained.who,
            renamed: Some(said),
            ..now
        })
    }
}

impl RunContext<'_, LdapWork> {
    async fn explain(&mut self, who: &str, remembered: &Remembered) -> Result<Explanation, Failed> {
        let remembered = self.counting_unsettled(remembered)?;
        self.paused.clone_from(&remembered.paused);
        let current = self.all_users().await?;
        let known = self.known_links(&remembered, &current).ok();
        // Where it is not known whose they are, they may be the job's.
        let source = &self.work.rules.source;
        let own = known.clone().unwrap_or_else(|| OwnLinks::new(source, []));
        let mut trace = Trace::default();
        let named = users_named(&current, who);
        let mut found = self.search(who, (&named, &own), &mut trace).await?;
        if found.entries.is_empty()
            && let Some(mail) = self.mail_to_adopt_by(&named)
        {
            found = self.search(mail, (&named, &own), &mut trace).await?;
        }
        let chosen = self.choose(who, &found, &named, (&current, &own))?;
        self.record_entry(&found, chosen.as_ref(), &mut trace);
        let id = match &chosen {
            Some(chosen) => chosen.id.clone(),
            None => link_of(&named, &own).map(|link| (link.attribute.clone(), link.id.clone())),
        };
        let decided = match &id {
            Some(id) => {
                let about = (id, chosen.as_ref(), found.server.as_str());
                self.decided_about(about, (&current, known), remembered, &mut trace)
                    .await?
            }
            None => None,
        };
        let decided = match decided {
            Some(decided) => decided,
            None if chosen.is_none() && named.is_empty() => {
                let near = self.named_almost_so(who, &current).await?;
                unknown(&near)
            }
            None => self.undecided(chosen.as_ref(), &named, &own),
        };
        Ok(Explanation {
            who: who.to_owned(),
            job: self.prepared.name.clone(),
            run: None,
            verdict: decided.verdict,
            reason: decided.reason,
            renamed: None,
            directory: chosen.map(|chosen| entry_of(&found.server, &chosen)),
            ftrack: decided.user,
            change: decided.changes.first().cloned(),
            changes: decided.changes,
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
    fn undecided(&self, chosen: Option<&Chosen>, named: &[&User], own: &OwnLinks) -> Decided {
        let user = named.first().copied();
        let unlinked = user.and_then(|user| user.link.unlinked());
        let (verdict, reason) = match (chosen, user) {
            (Some(chosen), _) => of_stranger(chosen, !self.work.job.member_of.is_empty()),
            (None, Some(_)) if unlinked.is_some() => (
                Verdict::NotOwned,
                "no entry is known by that name".to_owned(),
            ),
            (None, Some(user)) => match user.link.link() {
                Some(link) if own.is_elsewhere(link) => {
                    (Verdict::OtherSource, put_back::elsewhere(link))
                }
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
            (None, None) => return unknown(""),
        };
        let reason = match unlinked {
            Some(_) => format!("{reason}; {}", ByHand::Unlinked),
            None => reason,
        };
        Decided {
            verdict,
            reason,
            changes: Vec::new(),
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
        (all, own): (&Current, Option<OwnLinks>),
        mut remembered: Remembered,
        trace: &mut Trace,
    ) -> Result<Option<Decided>, Failure> {
        let entries = self.people(id, chosen, server).await?;
        let request = entries.part().asking_again(self.read_request());
        let deleted = BTreeSet::from([id.1.clone()]);
        let limits = &self.work.job.limits;
        // Of a few, any part may be unusable.
        let desired = Desired::of_changes(entries, deleted, usize::MAX, limits);
        let desired = desired.map_err(Failure::refused)?;
        // Else the directory itself tells which links are the job's.
        let of_directory = || {
            let directory = desired.directory().map(|directory| &**directory);
            OwnLinks::new(&self.work.rules.source, directory)
        };
        let own = own.unwrap_or_else(of_directory);
        remembered.users_before = Some(users_before(all, &own));
        remembered.rejected.add_links(all, &own);
        let remembered = &remembered;
        let current = self.concerned(all, &desired, &id.1);
        let desired = several::settled(desired, &current, &self.work.rules);
        let desired = Box::pin(self.with_pictures_of_few(desired, &request)).await;
        let user = user_of_person(&current, &id.1, &own);
        if let Some(chosen) = chosen.filter(|chosen| chosen.is_of_job()) {
            self.record_groups(&desired, (&id.1, user), &current, trace);
            self.record_person(&desired, (&id.1, chosen), trace);
            if let Some(user) = user {
                self.record_on_create(&desired, (&id.1, user), (&current, remembered), trace);
            }
            self.add_commands(server, chosen, &desired, trace);
        }
        let settings = self.settings(&desired);
        let past = (remembered, &settings);
        let plan = self.decide(&desired, &current, past, &request).await?;
        self.look_at_work(&plan).await;
        let unsettled = self.unsettled_changes()?;
        let vetted = guard::vet(&plan, &self.bounds(&plan, past, &unsettled));
        let dn = chosen.map(|chosen| chosen.found.entry.dn.as_str());
        let decisions = decisions_about(&plan, &id.1, dn);
        let Some(decision) = deciding(&decisions) else {
            return Ok(None);
        };
        let unfit = plan.unfit.get(&id.1);
        let unfit = unfit.map_or_else(String::new, |unfit| unfit.join("; "));
        if !unfit.is_empty() {
            trace.step(StepName::Map, false, &*unfit);
        }
        let had_no_seat = |change: &Change| {
            change.action == Action::Create && remembered.without_seat.contains(&change.ftrack_id)
        };
        let facts = Facts {
            parts: self.parts(&id.1, &plan, &vetted),
            chosen,
            user,
            had_no_seat: decision.change().is_some_and(had_no_seat),
        };
        let decided = self.conclude(decision, facts, all, trace);
        Ok(Some(decided.noting(&unfit)))
    }

    /// Adds whether the person may sign in, and what the entry is mapped to.
    fn record_person(
        &self,
        desired: &Desired,
        (id, chosen): (&DirectoryId, &Chosen),
        trace: &mut Trace,
    ) {
        if !desired.shown().any(|shown| shown == id) {
            return;
        }
        self.record_account(desired, id, trace);
        match desired.person(id) {
            Some(person) => {
                let custom = self.work.custom_keys();
                trace.step(StepName::Map, true, reasons::values(person, custom));
            }
            None => {
                let mut skipped = desired.skipped().iter();
                let own = skipped.find(|entry| *entry.dn == *chosen.found.entry.dn);
                let why = own.map_or_else(String::new, |entry| entry.reason.to_string());
                trace.step(StepName::Map, false, why);
            }
        }
    }

    /// Adds what is written on creation only, and is another value by now.
    fn record_on_create(
        &self,
        desired: &Desired,
        (id, user): (&DirectoryId, &User),
        (current, remembered): (&Current, &Remembered),
        trace: &mut Trace,
    ) {
        let sides = Sides {
            current,
            known: &remembered.stored_otherwise,
            rules: &self.work.rules.written,
        };
        let person = desired.person(id).into_iter();
        for (attribute, values) in person.flat_map(|person| left_as_they_are(person, user, sides)) {
            let (name, now) = (attribute.name(), &values.old);
            let detail = format!("{name} is written on creation only, and is {now} in ftrack");
            trace.step(StepName::Map, true, detail);
        }
    }

    /// Adds the last steps, and what comes of them.
    fn conclude(
        &self,
        decision: &Decision<'_>,
        facts: Facts<'_>,
        current: &Current,
        trace: &mut Trace,
    ) -> Decided {
        let Facts {
            mut parts, chosen, ..
        } = facts;
        let user = decision.user.or(facts.user);
        trace.step(
            StepName::Match,
            user.is_some(),
            self.matched(decision, user, current),
        );
        let mut reason = decision.reason.to_string();
        let mut verdict = verdict::of_decision(decision);
        let is_left_as_it_is = matches!(decision.outcome, Outcome::LeftAlone | Outcome::Unchanged);
        if let Some(chosen) = chosen.filter(|chosen| is_left_as_it_is && !chosen.is_of_job()) {
            // Why nothing is done about an inactive user does not say why the person has none.
            let of_entry = of_stranger(chosen, false);
            (verdict, reason) = (of_entry.0, format!("{}; {reason}", of_entry.1));
        }
        if decision.outcome == Outcome::Skipped
            && let Some(part) = parts.first()
        {
            reason = format!("{reason}; besides, {}: {}", part.action, part.reason);
        }
        if let Some(user) = user {
            reason.push_str(&self.deactivated_by(user));
        }
        reason.push_str(&self.holds_of_others(decision, current));
        if self.work.job.mode == Mode::Observe && !parts.is_empty() {
            reason.push_str(&format!("; {OBSERVES}"));
        }
        let is_done = matches!(decision.outcome, Outcome::Change(_) | Outcome::Unchanged);
        trace.step(StepName::Decide, is_done, &*reason);
        if facts.had_no_seat {
            verdict = Verdict::NoSeat;
            reason.push_str("; in the last run there was no seat for the user");
        }
        let rejections = self.rejections(&parts);
        self.name_who_rejected(&mut parts);
        record_parts((&parts, &rejections), trace);
        if self.work.job.mode == Mode::Observe {
            trace.step(StepName::Guard, false, OBSERVES);
        }
        if decision.outcome != Outcome::Skipped
            && let Some(part) = parts.first()
        {
            verdict = match (part.result, part.held_by) {
                (ChangeResult::Rejected, _) => Verdict::Rejected,
                (_, Some(by)) => verdict::of_hold(by),
                (_, None) => verdict,
            };
        }
        reason.push_str(&reasons::of_parts(&parts, &rejections));
        Decided {
            verdict,
            reason,
            changes: parts,
            user: user
                .or_else(|| reasons::not_adopted(decision, current))
                .map(user_of),
        }
    }
}

/// Nobody is known by that name; with who is named almost so.
fn unknown(near: &str) -> Decided {
    Decided {
        verdict: Verdict::Unknown,
        reason: format!(
            "neither the directory, as far as the account may see it, nor ftrack knows anybody by \
             that login, mail address, DN or id{near}"
        ),
        changes: Vec::new(),
        user: None,
    }
}

/// The decisions about a person, an entry, or the user of somebody without an entry; a change comes
/// first.
fn decisions_about<'p>(
    plan: &'p Plan<'_>,
    id: &DirectoryId,
    dn: Option<&str>,
) -> Vec<&'p Decision<'p>> {
    let is_about = |decision: &&Decision<'_>| match decision.who {
        Who::Person((person, _)) => person == id,
        Who::Entry(entry) => Some(&*entry.dn) == dn,
        Who::User(user) => user.link.link().is_some_and(|link| link.id == *id),
    };
    plan.decisions.iter().filter(is_about).collect()
}

/// The one that tells most: why somebody is skipped, unless the access ends; then a change.
fn deciding<'p>(decisions: &[&'p Decision<'p>]) -> Option<&'p Decision<'p>> {
    let ends = |decision: &&&Decision<'_>| {
        let change = decision.change();
        change.is_some_and(|change| change.activity() == Some(false))
    };
    let is_skipped = |decision: &&&Decision<'_>| decision.outcome == Outcome::Skipped;
    let mut all = decisions.iter();
    all.clone()
        .find(ends)
        .or_else(|| all.clone().find(is_skipped))
        .or_else(|| all.next())
        .copied()
}
