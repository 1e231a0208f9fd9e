//! The counts of a run, as the state database stores them and `runs` and `status` show them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::model::{
    change::Action,
    hold_number::HoldNumber,
    report::{Counts, FailureKind, FtrackPart, Outcome, Report, Trigger},
};

/// The part of a report that outlives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct RunSummary {
    pub run: String,
    pub job: String,
    pub trigger: Trigger,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// Whether it was for some people alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_some: bool,
    /// Whether the job only observed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observed: bool,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub outcome: Outcome,
    /// Absent when it did not fail.
    pub error_kind: Option<FailureKind>,
    /// Why it failed.
    pub error: Option<String>,
    /// The URL of the ftrack server.
    pub ftrack: String,
    /// The directory server that was read in place of the preferred one; absent where that was read,
    /// and for runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// Entries that were read from the directory.
    pub entries: usize,
    /// Users that the job owned after it.
    pub owned: usize,
    /// Owned users that were active.
    pub owned_active: usize,
    /// Users that had a link of any job after it; absent for runs of earlier versions.
    #[serde(default)]
    pub linked: Option<usize>,
    /// Changes that were held.
    pub held: usize,
    /// Changes that failed.
    pub failed: usize,
    /// People without an active user, for a reason that a person must settle.
    #[serde(default)]
    pub unsettled: usize,
    /// What was written, and what was not; empty for runs of earlier versions without a report.
    #[serde(default)]
    pub counts: Counts,
    /// The changes of the plan, by action; empty for runs of earlier versions.
    #[serde(default)]
    pub planned: BTreeMap<Action, usize>,
    /// Whether ftrack's own synchronisation did more than the job's limits allow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alarm: bool,
    /// The holds that were open after it.
    #[serde(default)]
    pub open_holds: usize,
    /// When the oldest hold was opened that waits for a person, as far as that is known; none where none
    /// waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_hold: Option<DateTime<Utc>>,
    /// The numbers of holds that its report names, the last one that was given among them; only where
    /// the summary is that of a report.
    #[serde(skip)]
    pub hold_numbers: Vec<HoldNumber>,
}

/// The part of a report that its summary is made of: the changes, which are most of a report, are
/// not read.
#[derive(Debug, Deserialize)]
pub struct ReportHead {
    run: String,
    job: String,
    trigger: Trigger,
    dry_run: bool,
    #[serde(default)]
    only: Vec<IgnoredAny>,
    #[serde(default)]
    observed: Option<IgnoredAny>,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    outcome: Outcome,
    error: Option<String>,
    #[serde(default)]
    error_kind: Option<FailureKind>,
    directory: Option<EntriesRead>,
    ftrack: FtrackPart,
    counts: Counts,
    #[serde(default)]
    planned: BTreeMap<Action, usize>,
    #[serde(default)]
    alarm: bool,
    #[serde(default)]
    open_holds: usize,
    #[serde(default)]
    holds_opened: Vec<HoldNumber>,
    #[serde(default)]
    last_hold: Option<HoldNumber>,
}

#[derive(Debug, Deserialize)]
struct EntriesRead {
    #[serde(default)]
    server: Option<String>,
    #[serde(default)]
    replica: bool,
    entries: usize,
}

impl RunSummary {
    /// Whether the run wrote any change of a user, as far as its report tells.
    #[must_use]
    pub fn has_written(&self) -> bool {
        // Of a change that failed, a part may be written.
        let may_be_written = self.counts.failed + self.counts.unconfirmed;
        !self.dry_run && !self.observed && self.counts.changed() + may_be_written > 0
    }

    /// The summary of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let oldest_hold = report.oldest_hold;
        let summary = Self::from(ReportHead {
            run: report.run.clone(),
            job: report.job.clone(),
            trigger: report.trigger,
            dry_run: report.dry_run,
            only: report.only.iter().map(|_| IgnoredAny).collect(),
            observed: report.observed.as_ref().map(|_| IgnoredAny),
            started_at: report.started_at,
            finished_at: report.finished_at,
            outcome: report.outcome,
            error: report.error.clone(),
            error_kind: report.error_kind,
            directory: report.directory.as_ref().map(|directory| EntriesRead {
                server: directory.server.clone(),
                replica: directory.replica,
                entries: directory.entries,
            }),
            ftrack: report.ftrack.clone(),
            counts: report.counts.clone(),
            planned: report.planned.clone(),
            alarm: report.alarm,
            open_holds: report.open_holds,
            holds_opened: report.holds_opened.clone(),
            last_hold: report.last_hold,
        });
        Self {
            oldest_hold,
            ..summary
        }
    }
}

impl From<ReportHead> for RunSummary {
    fn from(head: ReportHead) -> Self {
        let ReportHead {
            run,
            job,
            trigger,
            dry_run,
            only,
            observed,
            started_at,
            finished_at,
            outcome,
            error,
            error_kind,
            directory,
            ftrack,
            counts,
            planned,
            alarm,
            open_holds,
            holds_opened,
            last_hold,
        } = head;
        let added = counts.created + counts.adopted;
        let entries = directory.as_ref().map_or(0, |directory| directory.entries);
        let replica = directory.filter(|directory| directory.replica);
        Self {
            run,
            job,
            trigger,
            dry_run,
            // What is put back says nothing of everybody else.
            for_some: !only.is_empty() || trigger.puts_back(),
            observed: observed.is_some(),
            started_at,
            finished_at,
            outcome,
            error_kind,
            error,
            ftrack: ftrack.server,
            replica: replica.and_then(|directory| directory.server),
            entries,
            owned: ftrack.owned + added,
            owned_active: (ftrack.owned_active + added + counts.reactivated)
                .saturating_sub(counts.deactivated),
            linked: ftrack.linked.map(|linked| linked + added),
            held: counts.held,
            failed: counts.failed,
            unsettled: counts.unsettled,
            counts,
            planned,
            alarm,
            open_holds,
            oldest_hold: None,
            hold_numbers: holds_opened.into_iter().chain(last_hold).collect(),
        }
    }
}
