//! The reports of earlier runs that do not know every result, since the program was killed, or ftrack
//! gave no clear answer or could not be read back: a run that reads ftrack finds out which of the
//! changes are in effect, before it changes anything itself.

mod settling;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::{RunContext, failure::Failure, ldap_work::LdapWork, outcome};
use crate::{
    event::{Confirmed, Event, RunName},
    ftrack::{
        earlier::EarlierWrites,
        unconfirmed::{LateCalls, is_open},
        user_state::{Columns, states},
    },
    model::{
        change::Action,
        report::{ChangeResult, Counts, Outcome, Report, Reported},
        snapshot::Snapshot,
        stored_value::StoredValue,
        summary::RunSummary,
        user::{Current, EntityId},
    },
    state::{Remembered, State, Written, journal, journal::UnsettledRun, snapshots::Snapshots},
};

use settling::{Examined, Pass, Settling};

/// How much longer than `ftrack.request_timeout` ago a run must have ended before none of its calls
/// can take effect any more. What was sent may wait in the buffers of this machine, of a proxy and of
/// the server after the program has stopped waiting; proxies and servers give up after a minute or
/// two. Clocks that agree may differ by two minutes as well.
const GRACE: TimeDelta = TimeDelta::minutes(5);

/// The runs whose results were not all known.
#[derive(Debug, Default)]
pub(super) struct EarlierRuns {
    /// What tells their writes from those of others: a call may arrive late.
    pub writes: EarlierWrites,
    /// Those whose results are all known by now, as far as they ever will be.
    complete: Vec<String>,
    /// Whether what is remembered has changed.
    pub is_changed: bool,
}

impl RunContext<'_, LdapWork> {
    /// Completes the reports of earlier runs.
    pub(super) async fn confirm_earlier(
        &self,
        state: &State,
        remembered: &Remembered,
        current: &Current,
    ) -> Result<EarlierRuns, Failure> {
        let (job, config) = (&self.prepared.name, &self.prepared.config);
        let runs = journal::unsettled(&config.state_dir, job)?;
        let mut settling = Settling {
            state,
            remembered,
            current,
            runs: &runs,
            found: Vec::new(),
            stored: remembered.stored_otherwise.clone(),
        };
        let mut earlier = EarlierRuns::default();
        let mut examined = Vec::new();
        for run in &runs {
            match self.history.load(job, &run.run) {
                Ok(report) => {
                    if report.ftrack.server == self.reader.server() {
                        examined.push(self.examine(current, run, report).await?);
                    }
                }
                Err(_) if self.history.is_without(job, &run.run) => {
                    // It was removed: nothing can be completed.
                    journal::remove_unsettled(&config.state_dir, job, &run.run);
                }
                Err(_) => {
                    // That it cannot be read may pass; what its run sent may arrive still.
                    let counted = self.count_all(&settling, &run.run)?;
                    earlier.is_changed |= counted;
                    earlier.add_unread(run);
                }
            }
        }
        for pass in [Pass::InEffect, Pass::Others] {
            for run in &mut examined {
                settling.settle(run, pass);
            }
        }
        for run in examined {
            self.complete(&mut settling, &mut earlier, run)?;
        }
        Ok(earlier)
    }

    /// Reads what is to be known of a run.
    async fn examine<'r>(
        &self,
        current: &Current,
        run: &'r UnsettledRun,
        report: Report,
    ) -> Result<Examined<'r>, Failure> {
        let ids: BTreeSet<EntityId> = unknown(&report)
            .map(|change| change.ftrack_id.clone())
            .collect();
        let mut examined = Examined {
            run,
            before: report.clone(),
            late_calls: self.late_calls(run, &report),
            report,
            seen: Some(BTreeMap::new()),
            snapshot: None,
            applied_since: Vec::new(),
            stored: Vec::new(),
        };
        if !ids.is_empty() {
            examined.snapshot = self.snapshot_of_links(run, &examined.report);
            examined.applied_since = self.applied_since(run, &ids)?;
            let ids: Vec<EntityId> = ids.into_iter().collect();
            let columns = Columns {
                custom_attributes: &current.custom_attributes,
                grants: &current.grants,
            };
            let seen = states(&self.reader, &ids, columns, &self.until).await;
            examined.seen = seen.ok();
        }
        Ok(examined)
    }

    /// What ftrack had before a run whose reactivations are open: only the link of before tells whose
    /// they are. Where it cannot be read, the times have to do.
    fn snapshot_of_links(&self, run: &UnsettledRun, report: &Report) -> Option<Snapshot> {
        let is_needed = unknown(report).any(|change| change.action == Action::Reactivate);
        let snapshots = Snapshots::new(&self.prepared.config.state_dir);
        let snapshot = || snapshots.load(&self.prepared.name, &run.run).ok();
        is_needed.then(snapshot).flatten()
    }

    /// Saves what was found out about a run.
    fn complete(
        &self,
        settling: &mut Settling<'_>,
        earlier: &mut EarlierRuns,
        examined: Examined<'_>,
    ) -> Result<(), Failure> {
        let Examined {
            run,
            before,
            mut report,
            late_calls,
            seen,
            snapshot: _,
            applied_since: _,
            stored,
        } = examined;
        earlier.writes.marks.extend(run.run_mark.clone());
        if seen.is_none() {
            // What went wrong stops this run as well, or the next one finds out.
            earlier.is_changed |= self.count_all(settling, &run.run)?;
            earlier.add_changes(run, unknown(&before));
            return Ok(());
        }
        if unknown(&before).next().is_some() {
            report.counts.unchanged += so_already(&report.changes) - so_already(&before.changes);
            conclude(&mut report);
            let is_changed = report != before;
            if is_changed {
                self.log(&before, &report);
                self.keep(settling, &report, &stored)?;
            }
            let counted = counted(settling.remembered, &report);
            settling
                .state
                .count_written(&self.prepared.name, &counted)?;
            earlier.is_changed |= is_changed || !counted.is_empty();
        }
        let changes = before.changes.iter().zip(&report.changes);
        // What was found in effect just now may be newer than what this run has read.
        let is_counted = |(before, change): &(&Reported, &Reported)| {
            is_open(before) && (is_open(change) || change.result == ChangeResult::Applied)
        };
        let counted = changes.filter(is_counted).map(|(_, change)| change);
        earlier.add_changes(run, counted);
        if late_calls == LateCalls::Over || unknown(&report).next().is_none() {
            earlier.complete.push(run.run.clone());
        }
        Ok(())
    }

    /// Whether calls of a run may arrive still. Each clock is compared with itself, and one that was
    /// set back makes the time count anew.
    fn late_calls(&self, run: &UnsettledRun, report: &Report) -> LateCalls {
        let (config, now) = (&self.prepared.config, self.clocks());
        let longest = TimeDelta::from_std(config.ftrack.request_timeout).unwrap_or(TimeDelta::MAX);
        // Where nothing can be saved, the time of the report has to do.
        let saved = || (!run.is_readable).then(|| report.finished_at.into());
        let passed = run
            .ended
            .or_else(saved)
            .map(|ended| now.passed_since(&ended));
        // A `Date` shows whole seconds, so a little less than before is no clock that was set back.
        let passed = passed.filter(|passed| *passed >= -GRACE);
        let Some(passed) = passed else {
            if run.is_readable {
                journal::set_ended(&config.state_dir, &self.prepared.name, &run.run, now);
            }
            return LateCalls::Possible;
        };
        if passed
            .checked_sub(&GRACE)
            .is_some_and(|passed| passed > longest)
        {
            LateCalls::Over
        } else {
            LateCalls::Possible
        }
    }

    /// The changes of these users that later runs of the job have applied.
    fn applied_since(
        &self,
        run: &UnsettledRun,
        users: &BTreeSet<EntityId>,
    ) -> Result<Vec<Reported>, Failure> {
        let job = &self.prepared.name;
        let runs = self.history.runs(Some(job))?;
        let later = runs.iter().take_while(|(later, _)| *later > run.run);
        let reports = later.filter_map(|(later, _)| self.history.load(job, later).ok());
        let here = reports.filter(|report| report.ftrack.server == self.reader.server());
        let is_of_them = |change: &Reported| {
            change.result == ChangeResult::Applied && users.contains(&change.ftrack_id)
        };
        Ok(here
            .flat_map(|report| report.changes)
            .filter(is_of_them)
            .collect())
    }

    /// Logs what was found out.
    fn log(&self, before: &Report, report: &Report) {
        let of = RunName {
            job: &self.prepared.name,
            run: &report.run,
        };
        let (mut found, mut is_any_known) = (Confirmed::default(), false);
        let changes = before.changes.iter().zip(&report.changes);
        for (_, change) in changes.filter(|(before, _)| is_open(before)) {
            count(&mut found, change.result);
            if !is_open(change) {
                is_any_known = true;
                Event::EarlierChange { of, change }.emit();
            }
        }
        if is_any_known {
            Event::RunConfirmed { of, found }.emit();
        }
    }

    /// Saves a report of which more is known, and what ftrack stored otherwise.
    fn keep(
        &self,
        settling: &mut Settling<'_>,
        report: &Report,
        values: &[(EntityId, StoredValue)],
    ) -> Result<(), Failure> {
        let (job, config) = (&self.prepared.name, &self.prepared.config);
        self.history.keep(report)?;
        settling
            .state
            .add_run(&RunSummary::of(report), &config.reports)?;
        let stored = &mut settling.stored;
        values
            .iter()
            .for_each(|(user, value)| stored.add(user.clone(), value));
        let before = &settling.remembered.stored_otherwise;
        let server = self.reader.server();
        settling
            .state
            .set_stored_otherwise(job, server, before, stored)?;
        Ok(())
    }

    /// Lets everything that a run was to write count for the limits, as long as nothing else is known:
    /// what the links show by now may be less than what arrives. Returns whether that is new.
    fn count_all(&self, settling: &Settling<'_>, run: &str) -> Result<bool, Failure> {
        let counted = counted_whole(settling.remembered, run);
        settling
            .state
            .count_written(&self.prepared.name, &counted)?;
        Ok(!counted.is_empty())
    }

    /// The journals of these runs are of no more use: what they had begun, this one has finished.
    pub(super) fn forget_earlier(&self, earlier: EarlierRuns) {
        for run in earlier.complete {
            let state_dir = &self.prepared.config.state_dir;
            journal::remove_unsettled(state_dir, &self.prepared.name, &run);
        }
    }
}

impl EarlierRuns {
    /// Those of a run whose report cannot be read: it may count anybody.
    fn add_unread(&mut self, run: &UnsettledRun) {
        self.writes.marks.extend(run.run_mark.clone());
        self.writes.deactivated_at.extend(run.deactivated_at);
    }

    /// The changes that the report of a run counts, or will if they take effect.
    fn add_changes<'r>(&mut self, run: &UnsettledRun, changes: impl Iterator<Item = &'r Reported>) {
        for change in changes {
            let user = change.ftrack_id.clone();
            match (change.action, run.deactivated_at) {
                (Action::Deactivate, Some(at)) => {
                    self.writes.deactivated.insert((user, at));
                }
                (Action::Reactivate, _) => {
                    self.writes.reactivated.insert(user);
                }
                (Action::Create | Action::Update | Action::Deactivate | Action::Adopt, _) => {}
            }
        }
    }
}

/// The changes whose results are still to be found out.
pub(super) fn unknown(report: &Report) -> impl Iterator<Item = &Reported> {
    report.changes.iter().filter(|change| is_open(change))
}

/// Counts a change whose result was not known.
fn count(found: &mut Confirmed, result: ChangeResult) {
    match result {
        ChangeResult::Applied | ChangeResult::Planned => found.in_effect += 1,
        ChangeResult::Failed
        | ChangeResult::Unsettled
        | ChangeResult::Held
        | ChangeResult::Rejected => found.not_in_effect += 1,
        ChangeResult::Unconfirmed => found.unconfirmed += 1,
    }
}

/// Brings what a report says as a whole in step with its changes.
fn conclude(report: &mut Report) {
    let counts = Counts::of_results(&report.changes);
    report.counts = Counts {
        unchanged: report.counts.unchanged,
        skipped: report.counts.skipped,
        unsettled: report.counts.unsettled,
        ..counts
    };
    let error = report.error.as_deref();
    if error.is_some_and(journal::is_in_the_middle) {
        let open = unknown(report).count();
        let unknown = match (report.counts.unconfirmed, open) {
            (0, _) => journal::Unknown::Nothing,
            (changes, 0) => journal::Unknown::ForGood(changes),
            (_, open) => journal::Unknown::Yet(open),
        };
        report.error = Some(journal::in_the_middle(unknown));
    }
    match report.outcome {
        Outcome::Failed => {}
        Outcome::Succeeded | Outcome::Partial | Outcome::Held => {
            report.outcome = outcome(report);
        }
    }
}

/// How many changes did not have to be written.
fn so_already(changes: &[Reported]) -> usize {
    changes
        .iter()
        .filter(|change| change.is_so_already())
        .count()
}

/// What counts for the limits of a run of which nothing is known: all that it was to write; only where
/// that is not saved yet.
pub(super) fn counted_whole(remembered: &Remembered, run: &str) -> Vec<Written> {
    let written = remembered.written.iter();
    let of_run = written.filter(|written| written.run == run && !written.is_settled);
    let counted = of_run.map(|written| Written {
        is_settled: true,
        ..written.clone()
    });
    counted.collect()
}

/// What counts for the limits of a run of whose report more is known: what it wrote, and what it may
/// have written; only where that is not saved yet.
pub(super) fn counted(remembered: &Remembered, report: &Report) -> Vec<Written> {
    let of_run = remembered
        .written
        .iter()
        .filter(|written| written.run == report.run);
    let counted = of_run.map(|written| {
        let may_have_written = |change: &&Reported| change.may_have_written(written.kind);
        let number = report.changes.iter().filter(may_have_written).count();
        let counted = Written {
            number: written.number.min(number),
            is_settled: true,
            ..written.clone()
        };
        (counted != *written).then_some(counted)
    });
    counted.flatten().collect()
}
