//! The parts of somebody's change: what may be written, and what each hold holds of it.
//!
//! Limits, and doubts about a reading as a whole, concern everybody: what they hold is what they held
//! in the last run for everybody, or in a run for some since then.

use super::Trace;
use crate::{
    model::{
        change::HeldBy,
        edit::Field,
        entry::DirectoryId,
        explanation::StepName,
        open_hold::OpenHold,
        report::{ChangeResult, Outcome, Report, Reported},
        way_to_approve::{before_a_run, in_hold},
    },
    run::{RunContext, last_known::LastKnownPeople, ldap_work::LdapWork},
    state::{self, Holds},
    sync::{decision::Plan, guard::Vetted},
};

/// The most reports that are read to find out what the last run held.
const RUNS: usize = 20;

impl RunContext<'_, LdapWork> {
    /// The parts of the changes to somebody's users, the one that matters most first: what a person
    /// has to decide, then what is held otherwise, what may be written, and what was rejected.
    pub(super) fn parts(
        &self,
        id: &DirectoryId,
        plan: &Plan<'_>,
        vetted: &Vetted,
    ) -> Vec<Reported> {
        let mut parts: Vec<Reported> = Vec::new();
        let mut open: Vec<Reported> = Vec::new();
        let mut by_limit: Vec<Reported> = Vec::new();
        let allowed = vetted.allowed().iter();
        for change in allowed.filter(|change| change.directory_id == *id) {
            add(&mut open, Reported::new(change, ChangeResult::Planned));
        }
        for held in vetted.held() {
            let change = &held.change;
            if change.directory_id != *id {
                continue;
            }
            match held.hold.by {
                // The last run knows better by how much it is exceeded.
                HeldBy::Limit => {
                    add(&mut open, Reported::new(change, ChangeResult::Planned));
                    by_limit.push(Reported::held(change, &held.hold));
                }
                HeldBy::Administrator
                | HeldBy::Doubt
                | HeldBy::Replica
                | HeldBy::Configuration
                | HeldBy::Protected
                | HeldBy::Adoption
                | HeldBy::Successor
                | HeldBy::Returner
                | HeldBy::Work
                | HeldBy::Window
                | HeldBy::Freeze
                | HeldBy::Paused
                | HeldBy::Rejected => parts.push(Reported::held(change, &held.hold)),
            }
        }
        for planned in open {
            let mut holding = self.held_before(&planned);
            holding.extend(
                by_limit
                    .iter()
                    .filter(|held| is_same(held, &planned))
                    .cloned(),
            );
            parts.extend(split(planned, &holding));
        }
        let people = LastKnownPeople::of_plan(plan);
        let holds = self.open_holds();
        for part in &mut parts {
            part.person = people.of(part.action, &part.ftrack_id);
            part.work = self.work_of(part.action, &part.ftrack_id);
            part.hold = holds
                .iter()
                .find(|hold| holds_part(hold, part, id))
                .map(|hold| hold.hold);
            // Nothing has opened a hold, or a person took back what was rejected of it.
            if part.held_by.is_some() {
                part.error = part.error.take().map(|why| match part.hold {
                    Some(hold) => in_hold(&why, hold),
                    None => before_a_run(&why),
                });
            }
        }
        parts.sort_by_key(rank);
        parts
    }

    /// The holds of the job that are open; none where the state cannot be read.
    pub(super) fn open_holds(&self) -> Vec<OpenHold> {
        let state_dir = &self.prepared.config.state_dir;
        let all = match state::all_holds(state_dir) {
            Ok(Holds::Known(all)) => all,
            Ok(Holds::Unusable) | Err(_) => Vec::new(),
        };
        let is_own = |hold: &OpenHold| hold.ended.is_none() && hold.job == self.prepared.name;
        all.into_iter().filter(is_own).collect()
    }

    /// What the last run for everybody held of a change by what only the people as a whole show, or a
    /// run for some since then.
    fn held_before(&self, planned: &Reported) -> Vec<Reported> {
        let runs = self.history.runs(Some(&self.prepared.name));
        let runs = runs.unwrap_or_default();
        let reports = runs
            .iter()
            .take(RUNS)
            .filter_map(|(run, job)| self.history.load(job, run).ok());
        for report in reports.filter(|report| !report.dry_run) {
            let held = held_in(&report, planned);
            if !held.is_empty() || is_for_everybody(&report) {
                return held;
            }
        }
        Vec::new()
    }
}

/// Adds the steps about what holds the parts, and who rejected which of them.
pub(super) fn record_parts((parts, rejections): (&[Reported], &[String]), trace: &mut Trace) {
    for (part, rejection) in parts.iter().zip(rejections) {
        match part.result {
            ChangeResult::Held => {
                let by = part.held_by.map(HeldBy::as_str).unwrap_or_default();
                let number = part.hold.map(|hold| format!(", hold {hold}"));
                let detail = format!(
                    "{} is held ({by}{}): {}",
                    what(part, parts),
                    number.unwrap_or_default(),
                    part.hold().unwrap_or_default()
                );
                trace.step(StepName::Guard, false, detail);
            }
            ChangeResult::Rejected => {
                trace.step(StepName::Guard, false, rejection);
            }
            ChangeResult::Planned
            | ChangeResult::Applied
            | ChangeResult::Failed
            | ChangeResult::Unsettled
            | ChangeResult::Unconfirmed => {
                let detail = format!(
                    "nothing holds {}; limits count everybody, and the last run held nothing of \
                     this",
                    what(part, parts)
                );
                trace.step(StepName::Guard, true, detail);
            }
        }
    }
}

/// What a part is called: `it`, where it is the whole.
pub(super) fn what(part: &Reported, parts: &[Reported]) -> String {
    if parts.len() < 2 {
        return "it".to_owned();
    }
    let shown = part.fields.keys().filter(|field| **field != Field::Link);
    let names: Vec<String> = shown.map(Field::name).collect();
    if names.is_empty() {
        Field::Link.name()
    } else {
        names.join(", ")
    }
}

/// Adds a part that nothing holds, as far as it is known; the parts of one change are one.
fn add(open: &mut Vec<Reported>, part: Reported) {
    match open.iter_mut().find(|known| is_same(known, &part)) {
        Some(known) => known.fields.extend(part.fields),
        None => open.push(part),
    }
}

/// Whether two are parts of one change.
fn is_same(one: &Reported, other: &Reported) -> bool {
    (one.action, &one.ftrack_id) == (other.action, &other.ftrack_id)
}

/// Whether the report of a run has everything that was held then.
fn is_for_everybody(report: &Report) -> bool {
    report.outcome != Outcome::Failed
        && !report.trigger.is_of_changes()
        && report.approved_by.is_none()
        && report.only.is_empty()
}

/// What a report has held of a change by what only the people as a whole show: everything else is
/// known anew.
fn held_in(report: &Report, planned: &Reported) -> Vec<Reported> {
    let is_held = |change: &&Reported| {
        is_same(change, planned) && change.held_by.is_some_and(is_of_everybody)
    };
    let held = report.changes.iter().filter(is_held);
    let told = held.map(|held| Reported {
        result: ChangeResult::Held,
        error: held
            .hold()
            .map(|why| format!("{why} (in the run {})", report.run)),
        ..held.clone()
    });
    told.collect()
}

/// What holds parts of a change, each with what it holds, and the rest.
fn split(mut planned: Reported, holding: &[Reported]) -> Vec<Reported> {
    let mut parts = Vec::new();
    for held in holding {
        let (fields, rest) = std::mem::take(&mut planned.fields)
            .into_iter()
            .partition(|(field, _)| held.fields.contains_key(field));
        planned.fields = rest;
        let part = Reported {
            fields,
            result: ChangeResult::Held,
            held_by: held.held_by,
            error: held.error.clone(),
            ..planned.clone()
        };
        if !part.fields.is_empty() {
            parts.push(part);
        }
    }
    if parts.is_empty() || !planned.fields.is_empty() {
        parts.push(planned);
    }
    parts
}

/// Whether it depends on more people than are looked at here; the rest is judged anew.
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

/// Whether a numbered hold holds this part.
fn holds_part(hold: &OpenHold, part: &Reported, id: &DirectoryId) -> bool {
    part.held_by == Some(hold.held_by)
        && part.is_of(hold.kind)
        && hold
            .people
            .iter()
            .any(|person| person.directory_id == id.as_str())
}

/// The order of the parts.
fn rank(part: &Reported) -> u8 {
    match part.result {
        ChangeResult::Held if part.waits_for_a_person() => 0,
        ChangeResult::Held => 1,
        ChangeResult::Planned
        | ChangeResult::Applied
        | ChangeResult::Failed
        | ChangeResult::Unsettled
        | ChangeResult::Unconfirmed => 2,
        ChangeResult::Rejected => 3,
    }
}
