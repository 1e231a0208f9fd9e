//! A run that writes what a person approved of a hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Local, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    CompiledJob, Progress, Purpose, RunContext, decided,
    failure::{HoldError, RunStartError},
    ldap_work::LdapWork,
};
use crate::{
    event::Event,
    model::{
        change::{Change, ChangeId, Fingerprint, HeldBy},
        change_kind::ChangeKind,
        hold_number::HoldNumber,
        open_hold::{Decided, EndedBy, HeldPerson, OpenHold},
        report::{Approver, ChangeResult, Outcome, Report, Reported, Trigger},
        shown_edit::ShownEdit,
        user::EntityId,
    },
    state::{SeenHold, State, files::StateError},
    sync::{decision::Plan, guard::Vetted},
};

/// Why a hold holds nobody of a name: the person was decided about, or another hold has the person.
fn held_no_more(state: &State, hold: &OpenHold, who: &str) -> Result<HoldError, StateError> {
    let (number, named) = (hold.hold, who.to_owned());
    if let Some(person) = hold.left.iter().find(|person| person.is(who)) {
        return Ok(HoldError::Decided {
            hold: number,
            who: named,
            told: decided::became_in_words(hold, person, &Local),
        });
    }
    let others = state.all_holds()?;
    let others = others
        .iter()
        .filter(|other| other.ended.is_none() && other.people.iter().any(|person| person.is(who)));
    let others = others.map(|other| {
        let OpenHold {
            hold, kind, job, ..
        } = other;
        format!("; hold {hold} ({kind}, {job}) does")
    });
    Ok(HoldError::Nobody {
        hold: number,
        who: named,
        elsewhere: others.take(CAUSES).collect(),
    })
}

/// The most reasons that are named why nothing was written.
const CAUSES: usize = 3;

/// What a person decided about a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldDecision {
    /// Which one.
    pub hold: HoldNumber,
    /// Only these of its people: login, mail address, DN, directory id or ftrack id; everybody, where
    /// it is empty.
    pub only: Vec<String>,
    /// The person who decided.
    pub by: Approver,
}

/// The changes of a hold that a person approved.
#[derive(Debug, Clone)]
pub struct ApprovedHold {
    pub(super) hold: OpenHold,
    /// By what was seen of them.
    pub(super) wanted: BTreeMap<Fingerprint, HeldPerson>,
    /// Those of them that are still due.
    pub(super) still: BTreeMap<Fingerprint, Change>,
}

impl HoldDecision {
    /// The job of the hold.
    ///
    /// # Errors
    /// There is no such hold, it has ended, or it holds nobody of that name.
    pub fn job(&self, state: &State) -> Result<String, HoldError> {
        Ok(self.people(state)?.hold.job)
    }

    /// Whom it is about.
    ///
    /// # Errors
    /// There is no such hold, it has ended, or it holds nobody or several of that name.
    pub(super) fn people(&self, state: &State) -> Result<ApprovedHold, HoldError> {
        let SeenHold { hold, waiting } = self.open(state)?;
        let names = |who: &String| waiting.values().any(|person| person.is(who));
        if let Some(who) = self.only.iter().find(|who| !names(who)) {
            return Err(held_no_more(state, &hold, who)?);
        }
        for who in &self.only {
            let named = waiting.values().filter(|person| person.is(who));
            let people: BTreeMap<&EntityId, &str> = named
                .map(|person| (&person.ftrack_id, person.shown()))
                .collect();
            if people.len() > 1 {
                let people: Vec<&str> = people.into_values().collect();
                return Err(HoldError::Several {
                    hold: self.hold,
                    who: who.clone(),
                    people: people.join(" and "),
                });
            }
        }
        let is_wanted = |person: &HeldPerson| {
            self.only.is_empty() || self.only.iter().any(|who| person.is(who))
        };
        let wanted = waiting
            .into_iter()
            .filter(|(_, person)| is_wanted(person))
            .collect();
        Ok(ApprovedHold {
            hold,
            wanted,
            still: BTreeMap::new(),
        })
    }

    fn open(&self, state: &State) -> Result<SeenHold, HoldError> {
        let found = state.hold(self.hold)?;
        let found = found.ok_or(HoldError::Unknown(self.hold))?;
        match &found.hold.ended {
            None => Ok(found),
            Some(ended) => Err(HoldError::Settled {
                hold: self.hold,
                ended: ended.by,
                at: ended.at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            }),
        }
    }
}

impl CompiledJob {
    /// Writes what a person approved of a hold of this job, once no other run of it is in progress.
    ///
    /// # Errors
    /// There is nothing to approve, another run does not end within the job's time limit, or the
    /// state directory cannot be used; a run that has started always returns a report.
    pub async fn approve(
        &self,
        state: &State,
        decision: &HoldDecision,
        cancel: &CancellationToken,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Report, RunStartError> {
        let begin = || {
            let purpose = Purpose::Hold(decision.clone());
            self.run(state, Trigger::Approval, purpose, cancel, progress)
        };
        self.once_free(cancel, begin, || progress(Progress::WaitingForRun))
            .await
    }

    /// Whether an approval of a hold of this job may write anything.
    ///
    /// # Errors
    /// There is no such hold, it has ended or holds nobody of that name; no approval writes what it
    /// holds; or a person paused that.
    pub fn can_approve(&self, state: &State, decision: &HoldDecision) -> Result<(), HoldError> {
        self.approvable(state, decision).map(drop)
    }

    /// The people of a hold of this job that a person approved.
    pub(super) fn approved_hold(
        &self,
        state: &State,
        decision: &HoldDecision,
    ) -> Result<ApprovedHold, RunStartError> {
        Ok(self.approvable(state, decision)?)
    }

    fn approvable(
        &self,
        state: &State,
        decision: &HoldDecision,
    ) -> Result<ApprovedHold, HoldError> {
        let approved = decision.people(state)?;
        let hold = decision.hold;
        if approved.hold.job != self.name {
            let job = approved.hold.job;
            return Err(HoldError::NoJob { hold, job });
        }
        if approved.hold.held_by == HeldBy::Administrator {
            return Err(HoldError::LastAdministrator { hold });
        }
        let kind = approved.hold.kind;
        let paused = state.paused_kinds_now(&self.name)?;
        let pause = paused.get(&kind);
        match pause.filter(|pause| !pause.is_over(Utc::now()) && is_all_of(&approved.hold)) {
            None => Ok(approved),
            Some(pause) => Err(HoldError::Paused {
                hold,
                why: pause.of_kind(kind, &self.name, &self.job.timezone),
                then: if approved.hold.held_by == HeldBy::Paused {
                    "the first run after that writes it"
                } else {
                    // What held it goes on.
                    "approve it after that"
                },
            }),
        }
    }
}

/// Whether a pause of its kind leaves nothing of what a hold holds: of other kinds, other values of the
/// same change may be written.
fn is_all_of(hold: &OpenHold) -> bool {
    match hold.kind {
        ChangeKind::Create
        | ChangeKind::Adopt
        | ChangeKind::Deactivate
        | ChangeKind::Reactivate => true,
        ChangeKind::Update
        | ChangeKind::Rename
        | ChangeKind::Clear
        | ChangeKind::Grant
        | ChangeKind::Revoke => matches!(hold.held_by, HeldBy::Paused | HeldBy::Limit),
    }
}

/// What became of what a person approved: all of it was written, some of it, or nothing, and why not.
pub(super) fn outcome(report: &Report) -> (Outcome, Option<String>) {
    let changes = report.changes.iter();
    let done = changes.filter(|change| is_done(change)).count();
    if done > 0 && done == report.changes.len() {
        return (Outcome::Succeeded, None);
    }
    if done > 0 {
        return (Outcome::Partial, None);
    }
    let why = "nothing of what was approved was written";
    (Outcome::Failed, Some(format!("{why}: {}", causes(report))))
}

/// Why changes were not written, the first few of the different reasons.
fn causes(report: &Report) -> String {
    let errors = report
        .changes
        .iter()
        .filter_map(|change| change.error.as_deref());
    let all: BTreeSet<&str> = errors.collect();
    let mut named: Vec<&str> = all.iter().take(CAUSES).copied().collect();
    if all.len() > named.len() {
        named.push("and more, as each change says");
    }
    if named.is_empty() {
        named.push("it is not as it was seen");
    }
    named.join("; ")
}

fn is_done(change: &Reported) -> bool {
    change.result == ChangeResult::Applied || change.is_so_already()
}

impl ApprovedHold {
    /// Those whose changes are not as they were seen, each with what has become of it.
    pub(super) fn refused(&self, plan: &Plan<'_>) -> Vec<Reported> {
        let due: BTreeSet<&EntityId> = plan.changes().map(|change| &change.ftrack_id).collect();
        let is_gone = |seen: &Fingerprint| !self.still.contains_key(seen);
        let gone = self.wanted.iter().filter(|(seen, _)| is_gone(seen));
        gone.map(|(_, person)| {
            let why = if due.contains(&person.ftrack_id) {
                "it is not what was seen any more, and was not written: another hold shows what it \
                 is now, or it is written by the next run"
            } else {
                "it is not due any more, and was not written"
            };
            self.reported(person, why)
        })
        .collect()
    }

    fn reported(&self, person: &HeldPerson, why: &str) -> Reported {
        let fields = person.edits.iter().filter_map(|edit| match edit {
            ShownEdit::Set { attribute, values } => Some((attribute.clone(), values.clone())),
            ShownEdit::Activate
            | ShownEdit::Deactivate
            | ShownEdit::Grant { .. }
            | ShownEdit::Revoke { .. }
            | ShownEdit::Join { .. }
            | ShownEdit::Leave { .. }
            | ShownEdit::Link => None,
        });
        Reported {
            action: person.action,
            username: person.username.clone(),
            dn: person.dn.clone(),
            directory_id: Some(person.directory_id.clone()),
            ftrack_id: person.ftrack_id.clone(),
            person: None,
            fields: fields.collect(),
            edits: person.edits.clone(),
            reason: person.reason.clone(),
            cause: None,
            result: ChangeResult::Failed,
            held_by: None,
            opens_at: None,
            hold: Some(self.hold.hold),
            error: Some(why.to_owned()),
            note: None,
            work: None,
            written: BTreeSet::new(),
        }
    }
}

impl RunContext<'_, LdapWork> {
    /// Adds those to the report whose changes are refused, by name.
    pub(super) fn add_refused(&mut self, refused: Vec<Reported>, unchanged: usize) {
        for change in &refused {
            let of = self.name();
            Event::Change { of, change }.emit();
        }
        self.report.changes.extend(refused);
        self.count(unchanged);
    }

    /// Takes those out of the hold whose changes are written.
    pub(super) fn end_approved(
        &mut self,
        state: &State,
        approved: &ApprovedHold,
        vetted: &Vetted,
    ) -> Result<(), StateError> {
        let results = self.report.changes.iter().zip(vetted.allowed());
        let written: BTreeMap<ChangeId, &Change> = results
            .filter(|(reported, _)| is_done(reported))
            .map(|(_, change)| (change.id, change))
            .collect();
        let is_written = |part: &Change| {
            let change = written.get(&part.id);
            change.is_some_and(|change| part.edits.iter().all(|edit| change.has(edit)))
        };
        let still = approved.still.iter();
        let written: BTreeSet<Fingerprint> = still
            .filter(|(_, part)| is_written(part))
            .map(|(seen, _)| *seen)
            .collect();
        let hold = approved.hold.hold;
        let closed = state.end_held(hold, &self.approval(), &written, EndedBy::Approved)?;
        if let Some(closed) = closed {
            self.closed(closed);
        }
        Ok(())
    }

    /// Who approved what the run wrote.
    fn approval(&self) -> Decided {
        let Report {
            approved_by,
            started_by,
            ..
        } = &self.report;
        let by = approved_by.as_ref().or(started_by.as_ref());
        Decided {
            by: by.map_or_else(|| "somebody".to_owned(), Approver::to_string),
            at: Utc::now(),
        }
    }

    /// Takes those out of the job's holds whose changes an approved plan has written.
    pub(super) fn end_applied(&mut self, state: &State) -> Result<(), StateError> {
        let done: HashMap<&EntityId, Vec<&Reported>> = by_user(&self.report.changes);
        let is_written = |person: &HeldPerson| {
            let mut changes = done.get(&person.ftrack_id).into_iter().flatten();
            changes.any(|change| {
                change.action == person.action
                    && person.edits.iter().all(|edit| change.edits.contains(edit))
            })
        };
        let mut ended = Vec::new();
        for open in state.all_holds()? {
            if open.job != self.prepared.name || open.ended.is_some() {
                continue;
            }
            let seen = state.hold(open.hold)?;
            let waiting = seen.into_iter().flat_map(|seen| seen.waiting);
            let written = waiting.filter(|(_, person)| is_written(person));
            let written: BTreeSet<Fingerprint> = written.map(|(seen, _)| seen).collect();
            if !written.is_empty() {
                ended.push((open.hold, written));
            }
        }
        for (hold, written) in ended {
            let closed = state.end_held(hold, &self.approval(), &written, EndedBy::Approved)?;
            if let Some(closed) = closed {
                self.closed(closed);
            }
        }
        Ok(())
    }
}

/// The changes that are done, by user.
fn by_user(changes: &[Reported]) -> HashMap<&EntityId, Vec<&Reported>> {
    let mut done: HashMap<&EntityId, Vec<&Reported>> = HashMap::new();
    for change in changes.iter().filter(|change| is_done(change)) {
        done.entry(&change.ftrack_id).or_default().push(change);
    }
    done
}
