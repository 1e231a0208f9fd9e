//! The state of one job: which runs are requested, and what it is doing.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::{JobRules, OutageChange, PersistedJob};
use crate::model::{
    backoff::{Backoff, Failed},
    pause::Pause,
    report::{FailureKind, Trigger},
};

/// The delay before a job is retried whose lock another program holds: probably a manual run.
const WHILE_BUSY: TimeDelta = TimeDelta::seconds(30);
/// One job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) rules: JobRules,
    /// Whether the configuration no longer has it; it is removed when its run has ended.
    pub(super) retired: bool,
    /// The run that a person requested.
    pub(super) asked: Option<QueuedRun>,
    /// The run that its schedule or its failures require.
    pub(super) wanted: Option<QueuedRun>,
    /// Until when it must not contact its servers, as last determined.
    pub(super) barred: Option<DateTime<Utc>>,
    pub(super) elsewhere: Option<RunElsewhere>,
    pub(super) underway: Option<RunningJob>,
    pub(super) backoff: Option<Backoff>,
    pub(super) pause: Option<Pause>,
    /// The kinds of failure that were reported in this outage.
    pub(super) said: BTreeSet<FailureKind>,
    pub(super) ticks_skipped: u64,
}

/// A queued run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueuedRun {
    pub(super) trigger: Trigger,
    pub(super) dry_run: bool,
    pub(super) since: DateTime<Utc>,
}

/// Another program runs the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunElsewhere {
    pub(super) since: DateTime<Utc>,
    /// When it is checked again.
    pub(super) next_at: DateTime<Utc>,
    /// Whether it was reported that this takes longer than any run may.
    pub(super) stuck: bool,
}

/// A run in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningJob {
    /// What started it.
    pub trigger: Trigger,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// When it started.
    pub since: DateTime<Utc>,
    /// Whether a skipped tick during it was logged.
    pub(super) skip_said: bool,
    /// Whether it is far beyond its time limit, and no longer takes a slot.
    pub(super) stuck: bool,
}

impl Job {
    /// A job without any state.
    pub(super) fn new(rules: JobRules, PersistedJob { backoff, pause }: PersistedJob) -> Self {
        let said = backoff.iter().map(|backoff| backoff.kind).collect();
        Self {
            rules,
            retired: false,
            asked: None,
            wanted: None,
            barred: None,
            elsewhere: None,
            underway: None,
            backoff,
            pause,
            said,
            ticks_skipped: 0,
        }
    }

    pub(super) fn queue(&mut self, trigger: Trigger, since: DateTime<Utc>) {
        let dry_run = false;
        self.wanted = Some(QueuedRun {
            trigger,
            dry_run,
            since,
        });
    }

    /// The next run to start.
    pub(super) fn next(&self) -> Option<QueuedRun> {
        self.asked.or(self.wanted)
    }

    pub(super) fn clear_queue(&mut self) {
        (self.asked, self.wanted, self.elsewhere) = (None, None, None);
    }

    /// Whether nothing is in progress, requested or blocked.
    pub(super) fn is_quiet(&self) -> bool {
        self.underway.is_none() && self.next().is_none() && self.pause.is_none()
    }

    /// Whether it is too early to check whether another program still runs it; never for long, even
    /// if the clock was set back.
    pub(super) fn is_elsewhere(&self, now: DateTime<Utc>) -> bool {
        self.elsewhere.is_some_and(|RunElsewhere { next_at, .. }| {
            next_at > now && next_at - now <= WHILE_BUSY
        })
    }

    /// Until when the requested run is delayed.
    pub(super) fn put_off(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let elsewhere = self
            .elsewhere
            .filter(|_| self.is_elsewhere(now))
            .map(|elsewhere| elsewhere.next_at);
        let barred = self.barred.filter(|until| *until > now);
        self.next().and(elsewhere.max(barred))
    }

    /// A run did not start: it is queued again, unless it is no longer requested.
    pub(super) fn runs_elsewhere(
        &mut self,
        underway: RunningJob,
        now: DateTime<Utc>,
    ) -> Option<OutageChange> {
        if self.retired || self.pause.is_some() {
            return None;
        }
        let RunningJob {
            trigger, dry_run, ..
        } = underway;
        let again = Some(QueuedRun {
            trigger,
            dry_run,
            since: now,
        });
        if trigger == Trigger::Manual {
            self.asked = again;
        } else {
            self.wanted = self.wanted.or(again);
        }
        let before = self.elsewhere;
        self.elsewhere = Some(RunElsewhere {
            since: before.map_or(now, |before| before.since),
            next_at: now.checked_add_signed(WHILE_BUSY).unwrap_or(now),
            stuck: before.is_some_and(|before| before.stuck),
        });
        before.is_none().then_some(OutageChange::Elsewhere)
    }

    pub(super) fn failed(&mut self, failed: Failed<'_>, jitter: f64) -> Option<OutageChange> {
        let before = self.backoff.take();
        let after = Backoff::after(before.as_ref(), failed, &self.rules.retry, jitter);
        self.backoff = Some(after.clone());
        let is_new = self.said.insert(after.kind);
        match before {
            None => Some(OutageChange::Began(after)),
            Some(before) if is_new || before.suspended != after.suspended => {
                Some(OutageChange::Changed(after))
            }
            Some(_) => None,
        }
    }
}
