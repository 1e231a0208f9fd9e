//! The summary of a week.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::program_text::ProgramText;
use crate::{
    model::{counts::Counts, report::Outcome, summary::RunSummary},
    state::database::each_run,
};

/// How long a digest looks back.
const WEEK: TimeDelta = TimeDelta::days(7);

/// The runs of a job within a week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    pub since: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// How many runs ended how.
    pub runs: BTreeMap<ProgramText, usize>,
    /// What all of them wrote, of what a run writes once.
    pub written: Written,
    /// Users of the job after the last run that did not fail, and how many of them are active; null
    /// where there was none.
    pub users: Option<Users>,
    /// Why the last run failed, where it did.
    pub error: Option<String>,
}

/// What runs wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in the counts of a run")]
pub struct Written {
    pub created: usize,
    pub updated: usize,
    pub deactivated: usize,
    pub reactivated: usize,
    pub adopted: usize,
    pub role_changes: usize,
    pub group_changes: usize,
}

/// The users of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Users {
    pub owned: usize,
    pub active: usize,
    /// People without an active user, for a reason that a person must settle.
    pub unsettled: usize,
}

impl Digest {
    /// Of the week before this moment; what cannot be read is not in it.
    #[must_use]
    pub fn of(state_dir: &Path, job: &str, now: DateTime<Utc>) -> Self {
        let mut digest = Self {
            since: now - WEEK,
            until: now,
            runs: BTreeMap::new(),
            written: Written::default(),
            users: None,
            error: None,
        };
        let mut is_last = true;
        let mut look = |run: RunSummary| {
            if run.job == job && !run.dry_run && run.started_at <= now {
                if run.started_at < digest.since {
                    return ControlFlow::Break(());
                }
                digest.add(&run, is_last);
                is_last = false;
            }
            ControlFlow::Continue(())
        };
        // A digest of what can be read is better than none.
        let _ = each_run(state_dir, &mut look);
        digest
    }

    /// Adds a run, the newest first.
    fn add(&mut self, run: &RunSummary, is_last: bool) {
        *self.runs.entry(run.outcome.as_str().into()).or_default() += 1;
        self.written.add(&run.counts);
        if is_last {
            self.error = run.error.as_deref().map(super::ended::short);
        }
        if self.users.is_none() && run.outcome != Outcome::Failed {
            self.users = Some(Users {
                owned: run.owned,
                active: run.owned_active,
                unsettled: run.unsettled,
            });
        }
    }
}

impl Written {
    fn add(&mut self, counts: &Counts) {
        self.created += counts.created;
        self.updated += counts.updated;
        self.deactivated += counts.deactivated;
        self.reactivated += counts.reactivated;
        self.adopted += counts.adopted;
        self.role_changes += counts.role_changes;
        self.group_changes += counts.group_changes;
    }

    /// The same as the counts of a run.
    #[must_use]
    pub fn counts(self) -> Counts {
        Counts {
            created: self.created,
            updated: self.updated,
            deactivated: self.deactivated,
            reactivated: self.reactivated,
            adopted: self.adopted,
            role_changes: self.role_changes,
            group_changes: self.group_changes,
            ..Counts::default()
        }
    }
}
