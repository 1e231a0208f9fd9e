//! One job of the job table: what it does, and what blocks it.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    JobRules, OutageChange, PersistedJob, Reads, StartRun, TickEffect,
    blocks::{Block, Blocks, RunElsewhere},
};
use crate::daemon::commands::Wish;
use crate::model::{
    backoff::{Backoff, Failed},
    change_kind::ChangeKind,
    pause::Pause,
    report::Trigger,
};

/// The delay before a job is retried whose lock another program holds: probably a manual run.
const WHILE_BUSY: TimeDelta = TimeDelta::seconds(30);

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) rules: JobRules,
    /// Whether the configuration no longer has it; it is removed when its run has ended.
    pub(super) retired: bool,
    activity: Activity,
    blocks: Blocks,
    /// The pauses of single kinds of change, which block no run.
    pub(super) paused_kinds: BTreeMap<ChangeKind, Pause>,
    pub(super) ticks_skipped: u64,
}

/// What a job does.
#[derive(Debug, Default)]
enum Activity {
    #[default]
    Idle,
    /// A run is to begin.
    Queued(Queue),
    /// A run is under way; another one may be to begin after it.
    Running {
        run: RunningJob,
        next: Option<QueuedRun>,
    },
}

/// Runs that are to begin.
#[derive(Debug, Clone, Copy)]
enum Queue {
    /// What a person wants, and what the schedule or failures call for after that.
    Manual {
        run: QueuedRun,
        then: Option<QueuedRun>,
    },
    /// What the schedule or failures call for.
    Automatic(QueuedRun),
}

/// A run that is to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueuedRun {
    pub(super) trigger: Trigger,
    pub(super) dry_run: bool,
    pub(super) since: DateTime<Utc>,
}

/// A run that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningJob {
    /// What it has read since it began, whatever the configuration says by now.
    pub(super) reads: Reads,
    /// What started it.
    pub trigger: Trigger,
    /// Whether it is a dry run.
    pub dry_run: bool,
    /// Whether a person asked for it.
    pub(super) is_asked: bool,
    /// When it started.
    pub since: DateTime<Utc>,
    /// Whether a tick that came meanwhile was logged as skipped.
    skip_logged: bool,
    /// Whether it is far beyond its time limit, and no longer keeps a place.
    pub(super) stuck: bool,
}

impl Job {
    /// A job without any state.
    pub(super) fn new(rules: JobRules, persisted: PersistedJob) -> Self {
        let PersistedJob {
            backoff,
            pause,
            paused_kinds,
        } = persisted;
        let backing_off = backoff.map(|backoff| Block::BackingOff {
            logged: BTreeSet::from([backoff.kind]),
            backoff,
        });
        let paused = pause.map(Block::Paused);
        Self {
            rules,
            retired: false,
            activity: Activity::Idle,
            blocks: paused.into_iter().chain(backing_off).collect(),
            paused_kinds,
            ticks_skipped: 0,
        }
    }

    pub(super) fn running(&self) -> Option<&RunningJob> {
        match &self.activity {
            Activity::Running { run, .. } => Some(run),
            Activity::Idle | Activity::Queued(_) => None,
        }
    }

    pub(super) fn pause(&self) -> Option<&Pause> {
        self.blocks.pause()
    }

    pub(super) fn backoff(&self) -> Option<&Backoff> {
        self.blocks.backoff()
    }

    /// What begins next; nothing while a run is under way.
    pub(super) fn next(&self) -> Option<QueuedRun> {
        match &self.activity {
            Activity::Queued(Queue::Manual { run, .. } | Queue::Automatic(run)) => Some(*run),
            Activity::Idle | Activity::Running { .. } => None,
        }
    }

    /// Drops the run that a person wants, where it has not begun.
    pub(super) fn cancel_trigger(&mut self) {
        if let Activity::Queued(Queue::Manual { then, .. }) = self.activity {
            self.activity = then.map_or(Activity::Idle, |run| {
                Activity::Queued(Queue::Automatic(run))
            });
        }
    }

    /// Whether a run that a person wants is still to come, or under way.
    pub(super) fn is_asked(&self) -> bool {
        match &self.activity {
            Activity::Idle | Activity::Queued(Queue::Automatic(_)) => false,
            Activity::Queued(Queue::Manual { .. }) => true,
            Activity::Running { run, .. } => run.is_asked,
        }
    }

    /// Whether nothing is under way, queued or forbidden.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.activity, Activity::Idle) && self.pause().is_none()
    }

    /// The schedule says that it is to run. A dry run does nothing of what the
    /// schedule is for, and a run of changes not all.
    pub(super) fn tick(&mut self, now: DateTime<Utc>) -> TickEffect {
        let scheduled = QueuedRun::automatic(Trigger::Schedule, now);
        match &mut self.activity {
            Activity::Idle => {
                self.activity = Activity::Queued(Queue::Automatic(scheduled));
                TickEffect::Wanted
            }
            Activity::Queued(Queue::Manual { run, then }) if run.is_partial() && then.is_none() => {
                *then = Some(scheduled);
                TickEffect::Wanted
            }
            // Whatever it is, it is to read everything.
            Activity::Queued(Queue::Automatic(run)) if run.trigger.is_of_changes() => {
                *run = scheduled;
                TickEffect::Wanted
            }
            Activity::Running { run, next }
                if (run.dry_run || run.trigger.is_of_changes()) && next.is_none() =>
            {
                *next = Some(scheduled);
                TickEffect::Wanted
            }
            // The same for what follows a run.
            Activity::Running { run, next }
                if (run.dry_run || run.trigger.is_of_changes())
                    && next.is_some_and(|next| next.trigger.is_of_changes()) =>
            {
                *next = Some(scheduled);
                TickEffect::Wanted
            }
            // One waits for its turn, and this tick says nothing new.
            Activity::Queued(_) => {
                self.ticks_skipped = self.ticks_skipped.saturating_add(1);
                TickEffect::Skipped { first: false }
            }
            Activity::Running { run, .. } => {
                self.ticks_skipped = self.ticks_skipped.saturating_add(1);
                let first = !mem::replace(&mut run.skip_logged, true);
                TickEffect::Skipped { first }
            }
        }
    }

    /// Queues a run of a job that does nothing.
    pub(super) fn queue(&mut self, trigger: Trigger, now: DateTime<Utc>) {
        if matches!(self.activity, Activity::Idle) {
            let run = QueuedRun::automatic(trigger, now);
            self.activity = Activity::Queued(Queue::Automatic(run));
        }
    }

    /// The directory says that something changed: a run is to read what, after the one that may be
    /// under way, which may have read before. One that is queued reads it as well.
    pub(super) fn notify_changed(&mut self, now: DateTime<Utc>) -> bool {
        let watch = QueuedRun::automatic(Trigger::Watch, now);
        match &mut self.activity {
            Activity::Idle => self.activity = Activity::Queued(Queue::Automatic(watch)),
            Activity::Queued(Queue::Manual { run, then }) if run.dry_run && then.is_none() => {
                *then = Some(watch);
            }
            Activity::Running { next, .. } if next.is_none() => *next = Some(watch),
            Activity::Queued(_) | Activity::Running { .. } => return false,
        }
        true
    }

    /// Queues a run that a person wants; says whether it can, which it cannot beside another run
    /// that is not put off. A dry run takes nothing from what the schedule wants.
    pub(super) fn trigger(&mut self, wish: Wish, now: DateTime<Utc>) -> bool {
        let then = match &self.activity {
            Activity::Idle => None,
            Activity::Queued(Queue::Automatic(run)) if run.trigger.is_of_changes() => None,
            Activity::Queued(Queue::Automatic(run)) if self.put_off(now).is_some() => Some(*run),
            Activity::Queued(_) | Activity::Running { .. } => return false,
        };
        let run = QueuedRun {
            trigger: match wish {
                Wish::Run | Wish::DryRun => Trigger::Manual,
                Wish::Changes => Trigger::Changes,
            },
            dry_run: wish == Wish::DryRun,
            since: now,
        };
        let then = then.filter(|_| run.is_partial());
        self.activity = Activity::Queued(Queue::Manual { run, then });
        if let Some(elsewhere) = self.blocks.elsewhere() {
            let next_at = now;
            self.blocks.add(Block::Elsewhere(RunElsewhere {
                next_at,
                ..elsewhere
            }));
        }
        true
    }

    /// Begins no run after the one that may be under way.
    pub(super) fn clear_queue(&mut self) {
        match &mut self.activity {
            Activity::Idle => {}
            Activity::Queued(_) => self.activity = Activity::Idle,
            Activity::Running { next, .. } => *next = None,
        }
        self.blocks.ends_elsewhere();
    }

    /// Nothing of what is queued begins, except a dry run.
    pub(super) fn block_by_pause(&mut self, pause: Pause) {
        self.blocks.add(Block::Paused(pause));
        match &mut self.activity {
            Activity::Queued(Queue::Manual { run, then }) if run.dry_run => *then = None,
            Activity::Idle | Activity::Queued(_) | Activity::Running { .. } => self.clear_queue(),
        }
    }

    pub(super) fn end_pause(&mut self) -> Option<Pause> {
        self.blocks.take_pause()
    }

    /// As it was found now: until when it may not reach its servers.
    pub(super) fn set_locked(&mut self, until: Option<DateTime<Utc>>) {
        match until {
            Some(until) => self.blocks.add(Block::Locked(until)),
            None => self.blocks.unlock(),
        }
    }

    pub(super) fn is_locked(&self, now: DateTime<Utc>) -> bool {
        self.blocks.locked().is_some_and(|until| until > now)
    }

    /// Whether it is too early to try whether another program still runs it; never for long, also
    /// when the clock was set back.
    pub(super) fn is_elsewhere(&self, now: DateTime<Utc>) -> bool {
        let elsewhere = self.blocks.elsewhere();
        elsewhere.is_some_and(|RunElsewhere { next_at, .. }| {
            next_at > now && next_at - now <= WHILE_BUSY
        })
    }

    /// Since when what is queued waits for another program that runs the job.
    pub(super) fn elsewhere_since(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let elsewhere = self.blocks.elsewhere().filter(|_| self.is_elsewhere(now));
        self.next()
            .and(elsewhere)
            .map(|RunElsewhere { since, .. }| since)
    }

    /// Until when what is queued is put off.
    pub(super) fn put_off(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let elsewhere = self
            .blocks
            .elsewhere()
            .filter(|_| self.is_elsewhere(now))
            .map(|elsewhere| elsewhere.next_at);
        let locked = self.blocks.locked().filter(|until| *until > now);
        self.next().and(elsewhere.max(locked))
    }

    /// Begins what is queued.
    pub(super) fn start(&mut self, name: &str, now: DateTime<Utc>) -> Option<StartRun> {
        let Activity::Queued(queue) = &self.activity else {
            return None;
        };
        let (queued, next, is_asked) = match *queue {
            Queue::Manual { run, then } => (run, then, true),
            Queue::Automatic(run) => (run, None, false),
        };
        let QueuedRun {
            trigger, dry_run, ..
        } = queued;
        let run = RunningJob {
            reads: self.rules.reads.clone(),
            trigger,
            dry_run,
            is_asked,
            since: now,
            skip_logged: false,
            stuck: false,
        };
        self.activity = Activity::Running { run, next };
        Some(StartRun {
            job: name.to_owned(),
            trigger,
            dry_run,
            is_asked,
            in_outage: self.backoff().is_some(),
        })
    }

    /// Its run has ended; gives it back.
    pub(super) fn end(&mut self) -> Option<RunningJob> {
        match mem::take(&mut self.activity) {
            Activity::Running { run, next } => {
                if let Some(next) = next {
                    self.activity = Activity::Queued(Queue::Automatic(next));
                }
                Some(run)
            }
            other @ (Activity::Idle | Activity::Queued(_)) => {
                self.activity = other;
                None
            }
        }
    }

    /// A run came to its end: nothing but a pause blocks the job any more. Gives back the failures
    /// that are over.
    pub(super) fn worked(&mut self) -> Option<Backoff> {
        self.blocks.take_backoff().map(|(backoff, _)| backoff)
    }

    /// No other program runs it.
    pub(super) fn ran_here(&mut self) {
        self.blocks.ends_elsewhere();
    }

    /// A run did not begin: it is queued again, unless it is not wanted by now.
    pub(super) fn runs_elsewhere(
        &mut self,
        run: &RunningJob,
        now: DateTime<Utc>,
    ) -> Option<OutageChange> {
        if self.retired || (self.pause().is_some() && !run.dry_run) {
            return None;
        }
        let again = QueuedRun {
            trigger: run.trigger,
            dry_run: run.dry_run,
            since: now,
        };
        let queue = match (run.is_asked, self.next()) {
            (true, then) => Queue::Manual { run: again, then },
            (false, next) => Queue::Automatic(next.unwrap_or(again)),
        };
        self.activity = Activity::Queued(queue);
        let before = self.blocks.elsewhere();
        self.blocks.add(Block::Elsewhere(RunElsewhere {
            since: before.map_or(now, |before| before.since),
            next_at: now.checked_add_signed(WHILE_BUSY).unwrap_or(now),
            stuck: before.is_some_and(|before| before.stuck),
        }));
        before.is_none().then_some(OutageChange::Elsewhere)
    }

    pub(super) fn failed(&mut self, failed: Failed<'_>, jitter: f64) -> Option<OutageChange> {
        let (before, mut logged) = self.blocks.take_backoff().unzip();
        let after = Backoff::after(before.as_ref(), failed, &self.rules.retry, jitter);
        let is_new = logged.get_or_insert_default().insert(after.kind);
        self.blocks.add(Block::BackingOff {
            backoff: after.clone(),
            logged: logged.unwrap_or_default(),
        });
        match before {
            None => Some(OutageChange::Began(after)),
            Some(before) if is_new || before.suspended != after.suspended => {
                Some(OutageChange::Changed(after))
            }
            Some(_) => None,
        }
    }

    /// How often a run of it, here or in another program, is newly found to take longer than this.
    /// `age` is that of its run here.
    pub(super) fn newly_stuck(
        &mut self,
        limit: TimeDelta,
        age: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> usize {
        let mut found = 0;
        if let Activity::Running { run, .. } = &mut self.activity
            && age.is_some_and(|age| age > limit)
            && !mem::replace(&mut run.stuck, true)
        {
            found += 1;
        }
        if let Some(elsewhere) = self.blocks.elsewhere()
            && now - elsewhere.since > limit
            && !elsewhere.stuck
        {
            let stuck = true;
            self.blocks
                .add(Block::Elsewhere(RunElsewhere { stuck, ..elsewhere }));
            found += 1;
        }
        found
    }
}

impl QueuedRun {
    /// Whether it does not do everything that the schedule is for.
    fn is_partial(&self) -> bool {
        self.dry_run || self.trigger.is_of_changes()
    }

    fn automatic(trigger: Trigger, since: DateTime<Utc>) -> Self {
        let dry_run = false;
        Self {
            trigger,
            dry_run,
            since,
        }
    }
}
