//! Gives what a run holds its numbers, and tells once of each hold that it began or ended.

use std::collections::{BTreeSet, HashMap};

use super::{RunContext, failure::Failure, ldap_work::LdapWork};
use crate::{
    event::{Event, HoldEvent},
    model::{
        change::{Action, Change, Fingerprint, HeldBy},
        entry::DirectoryId,
        hold_number::HoldNumber,
        open_hold::{Became, ClosedHold, HeldPart, HeldPerson, HoldKind},
        rejected::Rejected,
        shown_edit::ShownEdit,
        user::{Current, EntityId},
    },
    state::{FirstNumber, Remembered, State},
    sync::{
        decision::{Plan, Who},
        desired::Desired,
        guard::{Approval, Held, Vetted},
        put_back, undecided,
    },
};

impl RunContext<'_, LdapWork> {
    /// Numbers what is held, in the state and in the report.
    pub(super) fn number_holds(
        &mut self,
        state: &State,
        (plan, desired, current): (&Plan<'_>, &Desired, &Current),
        (vetted, held): (&Vetted, &[Held]),
        approval: Approval,
    ) -> Result<(), Failure> {
        // What was rejected is in no hold.
        let is_in_one = |held: &&Held| held.hold.by != HeldBy::Rejected;
        let parts: Vec<HeldPart> = held
            .iter()
            .filter(is_in_one)
            .map(|Held { change, hold }| {
                let user = put_back::user(current, &change.ftrack_id);
                let mut part = HeldPart::new(change, hold, user);
                part.person.work = self.work_of(change.action, &change.ftrack_id);
                part
            })
            .collect();
        let named = self.named(plan);
        let stays = |of: HoldKind, person: &HeldPerson| match approval {
            // Nothing is known of those whom the run is not for.
            _ if named
                .as_ref()
                .is_some_and(|named| !named.contains(&*person.directory_id)) =>
            {
                true
            }
            // What is not in the plan that was approved is none of this run's business.
            Approval::Given => true,
            // A reading of a replica releases nobody.
            Approval::None | Approval::OfHold(_)
                if plan.replica.is_some() && of.by != HeldBy::Replica =>
            {
                true
            }
            Approval::None | Approval::OfHold(_) => {
                let id = DirectoryId::new(&person.directory_id);
                !desired.is_of_everybody() && !id.is_some_and(|id| desired.tells_of(&id))
            }
        };
        let now = ByUser::new(plan, vetted, held);
        let leaves =
            |of: HoldKind, person: &HeldPerson| (!stays(of, person)).then(|| now.became(person));
        let has_new_links = || {
            let mut allowed = vetted.allowed().iter();
            allowed.any(|change| match change.action {
                Action::Create | Action::Adopt => true,
                Action::Update | Action::Deactivate | Action::Reactivate => false,
            })
        };
        let first = if plan.linked == 0 && held.is_empty() && has_new_links() {
            FirstNumber::One
        } else {
            FirstNumber::ByClock(self.clocks().latest())
        };
        let (job, at) = (&self.prepared.name, self.clocks().here);
        let numbered = state.number_holds(job, at, (&parts, first), leaves)?;
        let numbers: HashMap<(HoldKind, Fingerprint), HoldNumber> = parts
            .iter()
            .zip(&numbered.numbers)
            .map(|(part, number)| ((part.of, part.seen), *number))
            .collect();
        // The report has first what may be written, then what is held, as it is vetted.
        let reported = self.report.changes.iter_mut();
        let reported = reported.skip(vetted.allowed().len());
        for (change, Held { change: part, hold }) in reported.zip(vetted.held()) {
            let (by, kind) = (hold.by, part.kind());
            let of = HoldKind { by, kind };
            change.hold = numbers.get(&(of, part.seen())).copied();
        }
        for opened in &numbered.opened {
            self.report.holds_opened.push(opened.hold);
            let (of, what) = (self.name(), HoldEvent::Opened(*opened));
            Event::Hold { of, what }.emit();
        }
        for closed in numbered.closed {
            self.closed(closed);
        }
        Ok(())
    }

    /// The directory ids of those whom the run is for; none where it is for everybody.
    fn named<'p>(&self, plan: &'p Plan<'_>) -> Option<BTreeSet<&'p str>> {
        let decisions = plan.decisions.iter();
        let ids = decisions.filter_map(|decision| match decision.who {
            Who::Person((id, _)) => Some(id.as_str()),
            Who::Entry(entry) => entry.id.as_ref().map(DirectoryId::as_str),
            Who::User(user) => user.link.link().map(|link| link.id.as_str()),
        });
        (!self.prepared.only.is_empty()).then(|| ids.collect())
    }

    /// Forgets what was rejected and whose cause has ended, so that it is judged anew when it arises
    /// again; returns what is still rejected. A reading of a replica ends nothing, and neither does one
    /// that decides nothing about the user. The state forgets what links say.
    pub(super) fn end_rejections(
        &self,
        state: &State,
        remembered: &Remembered,
        (plan, desired, current): (&Plan<'_>, &Desired, &Current),
        held: &[Held],
    ) -> Result<Rejected, Failure> {
        let before = &remembered.rejected;
        if plan.replica.is_some() {
            return Ok(before.clone());
        }
        let is_told = |id: &EntityId| {
            let user = put_back::user(current, id);
            let link = user.and_then(|user| user.link.link());
            link.is_some_and(|link| desired.tells_of(&link.id))
        };
        let is_partial = !desired.is_of_everybody();
        let undecided = undecided::users(plan, desired, current, &self.work.rules.source);
        let now = before.still(plan.changes(), |id| {
            plan.proposals_rejected.contains(id)
                || undecided.contains(id)
                || (is_partial && !is_told(id))
        });
        let in_state = now.without_links(current, &self.own);
        let due: Vec<HeldPerson> = held
            .iter()
            .filter(|held| held.hold.by == HeldBy::Rejected)
            .map(|Held { change, hold }| {
                let user = put_back::user(current, &change.ftrack_id);
                HeldPart::new(change, hold, user).person
            })
            .collect();
        state.set_rejected(&self.prepared.name, (&now, &in_state), &due)?;
        Ok(now)
    }

    /// Tells that a hold ended.
    pub(super) fn closed(&mut self, closed: ClosedHold) {
        self.report.holds_closed.push(closed.hold);
        let (of, what) = (self.name(), HoldEvent::Closed(closed));
        Event::Hold { of, what }.emit();
    }
}

/// What is due of each user now, and what became of it.
struct ByUser<'c> {
    due: HashMap<&'c EntityId, Vec<&'c Change>>,
    allowed: HashMap<&'c EntityId, Vec<&'c Change>>,
    held: HashMap<&'c EntityId, Vec<&'c Held>>,
}

impl<'c> ByUser<'c> {
    fn new(plan: &'c Plan<'_>, vetted: &'c Vetted, all_held: &'c [Held]) -> Self {
        let mut due: HashMap<&EntityId, Vec<&Change>> = HashMap::new();
        for change in plan.changes() {
            due.entry(&change.ftrack_id).or_default().push(change);
        }
        let mut allowed: HashMap<&EntityId, Vec<&Change>> = HashMap::new();
        for change in vetted.allowed() {
            allowed.entry(&change.ftrack_id).or_default().push(change);
        }
        let mut held: HashMap<&EntityId, Vec<&Held>> = HashMap::new();
        for part in all_held {
            held.entry(&part.change.ftrack_id).or_default().push(part);
        }
        Self { due, allowed, held }
    }

    /// What became of a change that a hold does not hold any more.
    fn became(&self, person: &HeldPerson) -> Became {
        let has_all = |change: &Change| {
            let edits: Vec<ShownEdit> = change.edits.iter().map(ShownEdit::from).collect();
            change.action == person.action
                && change.reason.cause() == person.cause
                && person.edits.iter().all(|edit| edits.contains(edit))
        };
        let user = &person.ftrack_id;
        let mut held = self.held.get(user).into_iter().flatten();
        let mut allowed = self.allowed.get(user).into_iter().flatten();
        match held.find(|held| has_all(&held.change)) {
            Some(held) if held.hold.by == HeldBy::Rejected => Became::Rejected,
            Some(_) => Became::HeldOtherwise,
            None if allowed.any(|change| has_all(change)) => Became::Released,
            None if self.due.contains_key(user) => Became::Changed,
            None => Became::NotDue,
        }
    }
}
