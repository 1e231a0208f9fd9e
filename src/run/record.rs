//! Puts the results of a run into its report, and logs them as events.

use std::{collections::BTreeSet, ops::Range, time::Duration};

use super::{
    RunContext,
    failure::{Failure, ReadError},
    last_known::LastKnownPeople,
    ldap_work::LdapWork,
};
use crate::{
    directory::{GroupsRead, ReadFailure, Reading, SearchEvidence},
    event::{Event, RunName},
    ftrack::{
        error::{FtrackError, FtrackErrorKind},
        outcome::{ChangeOutcome, OutcomeKind},
    },
    model::{
        report::{ChangeResult, Counts, DirectoryPart, FailureKind, Reported, Search},
        stored_value,
        stored_value::StoredOtherwise,
        user::Current,
        way_to_approve::in_plan,
    },
    state::journal::Line,
    sync::{decision::Plan, desired::Mapped, guard::Vetted},
};

impl RunContext<'_, LdapWork> {
    /// What there is to say of a run without a plan.
    pub(super) fn record_warnings(&mut self, warnings: Vec<String>) {
        self.report.warnings.extend(warnings);
        self.emit_warnings();
    }

    pub(super) fn record_reading(&mut self, reading: &Reading<Mapped>, took: Duration) {
        self.report.directory = Some(part(reading));
        Event::DirectoryRead {
            of: self.name(),
            server: reading.server(),
            entries: reading.entries().len(),
            took,
        }
        .emit();
    }

    pub(super) fn record_read_error(&mut self, unread: ReadError) -> Failure {
        match unread {
            ReadError::Ftrack(error) => self.ftrack_unread(&error),
            ReadError::Directory(ReadFailure {
                error,
                server,
                searches,
            }) => {
                let part = self.directory_part();
                part.complete = false;
                // Where it is the second look that failed, the read stands there already.
                part.server = part.server.take().or(server);
                part.searches.extend(searches.iter().map(search));
                self.unless_stopped(Failure {
                    kind: FailureKind::from(&error),
                    why: format!(
                        "the directory could not be read completely, and nothing was written: \
                         {error}"
                    ),
                })
            }
        }
    }
}

impl<W> RunContext<'_, W> {
    /// What turned out while the plan was written.
    pub(super) fn add_warnings(&mut self, warnings: Vec<String>) {
        let of = self.name();
        for warning in &warnings {
            Event::RunWarning { of, warning }.emit();
        }
        self.report.warnings.extend(warnings);
    }

    fn emit_warnings(&self) {
        let of = self.name();
        for warning in &self.report.warnings {
            Event::RunWarning { of, warning }.emit();
        }
    }

    /// Puts the plan into the report.
    pub(super) fn record_plan(&mut self, plan: &Plan<'_>, vetted: &Vetted) {
        self.record_owned(plan);
        let allowed = vetted
            .allowed()
            .iter()
            .map(|change| Reported::new(change, ChangeResult::Planned));
        let held = vetted.held().iter().map(|held| match self.report.observed {
            None => Reported::held(&held.change, &held.hold),
            Some(_) => Reported::would_be_held(&held.change, &held.hold),
        });
        self.report.changes = allowed.chain(held).collect();
        let people = LastKnownPeople::of_plan(plan);
        let mut changes = std::mem::take(&mut self.report.changes);
        for change in &mut changes {
            change.person = people.of(change.action, &change.ftrack_id);
            change.work = self.work_of(change.action, &change.ftrack_id);
            if self.report.dry_run {
                // What it would hold has no number.
                change.error = change.error.take().map(|why| in_plan(&why));
            }
        }
        self.name_who_rejected(&mut changes);
        self.report.changes = changes;
        let mut seen = BTreeSet::new();
        for change in vetted.changes().filter(|change| seen.insert(change.id)) {
            *self.report.planned.entry(change.action).or_default() += 1;
        }
        self.report.skipped = plan.skipped();
        self.report.warnings = std::mem::take(&mut self.notes);
        let warnings = plan.warnings().into_iter();
        let is_dry = self.report.dry_run;
        let warnings = warnings.map(|why| if is_dry { in_plan(&why) } else { why });
        self.report.warnings.extend(warnings);
        self.unsettled = plan.unsettled.len();
        self.active_leavers = plan.active_leavers();
        self.count(plan.unchanged());
        let of = self.name();
        Event::RunPlanned {
            of,
            dry_run: self.report.dry_run,
            changes: vetted.allowed().len(),
            held: self.report.counts.held,
            skipped: self.report.skipped.len(),
        }
        .emit();
        for entry in &self.report.skipped {
            Event::EntrySkipped {
                of,
                dn: &entry.dn,
                reason: &entry.reason,
            }
            .emit();
        }
        self.emit_warnings();
        let of = self.name();
        for change in self
            .report
            .changes
            .iter()
            .filter(|change| change.result == ChangeResult::Held)
        {
            Event::Change { of, change }.emit();
        }
    }

    /// How many users the job owns, and how many people get none.
    pub(super) fn record_owned(&mut self, plan: &Plan<'_>) {
        if let Some(directory) = &mut self.report.directory {
            directory.disabled_without_user = plan.disabled_without_user();
        }
        self.report.ftrack.owned = plan.owned;
        self.report.ftrack.owned_active = plan.owned_active;
        self.report.ftrack.linked = Some(plan.linked);
    }

    /// Counts the results so far, beside the people whose users need no change.
    pub(super) fn count(&mut self, unchanged: usize) {
        let counts = Counts::of_results(&self.report.changes);
        self.report.counts = Counts {
            unchanged: unchanged + counts.unchanged,
            skipped: self.report.skipped.len(),
            unsettled: self.unsettled + counts.unsettled,
            active_leavers: self.active_leavers + counts.active_leavers,
            ..counts
        };
    }

    pub(super) fn record_current(&mut self, current: &Current, took: Duration) {
        self.report.ftrack.users = current.users.len();
        Event::FtrackRead {
            of: self.name(),
            users: current.users.len(),
            took,
        }
        .emit();
    }

    /// ftrack could not be read before anything was written.
    pub(super) fn ftrack_unread(&self, error: &FtrackError) -> Failure {
        let why = if let FtrackErrorKind::UnusableGrant { problem, known } = error.kind() {
            // It was read, and the configuration is at fault.
            format!(
                "{problem}; it has: {known}. Correct the job's roles and groups; nothing was written"
            )
        } else {
            format!("ftrack could not be read, and nothing was written: {error}")
        };
        let kind = FailureKind::from(error);
        self.unless_stopped(Failure { kind, why })
    }

    /// Which of two reads saw the stop first does not matter; that an account may be locked must be
    /// reported all the same.
    fn unless_stopped(&self, failure: Failure) -> Failure {
        if self.until.cancel.is_cancelled() && !failure.kind.is_refusal() {
            return Failure {
                kind: FailureKind::Stopped,
                why: "the run was stopped on request while it was reading, and nothing was written"
                    .into(),
            };
        }
        failure
    }
}

/// What the report says of a complete read.
pub(super) fn part(reading: &Reading<Mapped>) -> DirectoryPart {
    DirectoryPart {
        kind: Some(reading.kind().name().to_owned()),
        server: Some(reading.server().to_owned()),
        replica: !reading.is_preferred(),
        complete: true,
        entries: reading.entries().len(),
        disabled_without_user: 0,
        id_attribute: reading.id_attribute().map(ToString::to_string),
        searches: reading.searches().iter().map(search).collect(),
        disabled_searches: reading.disabled_searches().iter().map(search).collect(),
        group_searches: reading.group_searches().iter().map(search).collect(),
        groups: reading
            .groups()
            .map(GroupsRead::all_reached)
            .unwrap_or_default(),
        freshness: reading.freshness().lines(),
        asked: Vec::new(),
        changes: None,
    }
}

fn search(evidence: &SearchEvidence) -> Search {
    let SearchEvidence {
        base,
        filter,
        pages,
        entries,
        referrals,
        result,
    } = evidence;
    Search {
        base: base.clone(),
        filter: filter.clone(),
        pages: u64::from(*pages),
        entries: *entries,
        referrals: *referrals,
        result: result.clone(),
    }
}

/// Why nothing had to be written.
const SO_ALREADY: &str = "it was already in effect, and nothing was written";

/// Puts results into the report and into lines for the journal. Of what only links say, at the places
/// of `notes`, nothing is told as long as it is known.
pub(super) fn record_results(
    reported: &mut [Reported],
    done: &[ChangeOutcome],
    (of, notes): (RunName<'_>, &Range<usize>),
) -> Vec<Line> {
    let mut lines = Vec::with_capacity(done.len());
    for ChangeOutcome { place, became } in done {
        let Some(change) = reported.get_mut(*place) else {
            continue;
        };
        (change.result, change.error) = match became {
            OutcomeKind::Applied(stored) => {
                change.note = stored_value::note(stored);
                (ChangeResult::Applied, None)
            }
            OutcomeKind::SoAlready => (ChangeResult::Planned, Some(SO_ALREADY.to_owned())),
            OutcomeKind::ByAnother(why) => (ChangeResult::Planned, Some(why.clone())),
            OutcomeKind::Unconfirmed(why, written) => {
                change.written = written.clone();
                (ChangeResult::Unconfirmed, Some(why.clone()))
            }
            OutcomeKind::NoSeat(why, written) => {
                change.written = written.clone();
                (ChangeResult::Unsettled, Some(why.clone()))
            }
            OutcomeKind::Failed(why) => (ChangeResult::Failed, Some(why.clone())),
            OutcomeKind::FailedInPart(why, written) => {
                change.written = written.clone();
                (ChangeResult::Failed, Some(why.clone()))
            }
        };
        if !notes.contains(place) || change.result == ChangeResult::Unconfirmed {
            Event::Change { of, change }.emit();
        }
        lines.push(Line {
            change: *place,
            result: change.result,
            error: change.error.clone(),
            note: change.note.clone(),
            written: change.written.clone(),
        });
    }
    lines
}

/// Adds the values that ftrack stored otherwise to what is known.
pub(super) fn add_stored(
    known: &mut StoredOtherwise,
    reported: &[Reported],
    done: &[ChangeOutcome],
) {
    for ChangeOutcome { place, became } in done {
        let (OutcomeKind::Applied(values), Some(change)) = (became, reported.get(*place)) else {
            continue;
        };
        for value in values {
            known.add(change.ftrack_id.clone(), value);
        }
    }
}
