//! The counts of a run, as the state database stores them and `status` shows them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::report::{FailureKind, Outcome, Report, Trigger};

/// The part of a report that outlives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct RunSummary {
    pub run: String,
    pub job: String,
    pub trigger: Trigger,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub outcome: Outcome,
    /// Absent when it did not fail.
    pub error_kind: Option<FailureKind>,
    /// Why it failed.
    pub error: Option<String>,
    /// The URL of the ftrack server.
    pub ftrack: String,
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
}

impl RunSummary {
    /// The summary of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let counts = &report.counts;
        Self {
            run: report.run.clone(),
            job: report.job.clone(),
            trigger: report.trigger,
            dry_run: report.dry_run,
            started_at: report.started_at,
            finished_at: report.finished_at,
            outcome: report.outcome,
            error_kind: report.error_kind,
            error: report.error.clone(),
            ftrack: report.ftrack.server.clone(),
            entries: report
                .directory
                .as_ref()
                .map_or(0, |directory| directory.entries),
            owned: report.ftrack.owned + counts.created + counts.adopted,
            owned_active: (report.ftrack.owned_active
                + counts.created
                + counts.adopted
                + counts.reactivated)
                .saturating_sub(counts.deactivated),
            linked: report
                .ftrack
                .linked
                .map(|linked| linked + counts.created + counts.adopted),
            held: counts.held,
            failed: counts.failed,
            unsettled: counts.unsettled,
        }
    }
}
