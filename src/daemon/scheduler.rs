//! Drives the daemon: tokio-cron-scheduler calls it each second, and for each job when its
//! [`Schedule`] says that it is due.
//!
//! The crate polls twice a second, asks its store what is due, and runs it. What is due is decided
//! in the store here, by the schedules and the daemon's clock, and not by the crate's own
//! calculation: that keeps the UTC offset of the day on which a job was added (its issue 107), is
//! silent for as long as a clock was set back, and may find the same moment due again before it has
//! recorded that it was. So the crate learns only what is due now, and each moment is removed as it
//! is sent.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_cron_scheduler::{
    Job, JobScheduler, JobSchedulerError, MetaDataStorage, SimpleJobCode, SimpleNotificationCode,
    SimpleNotificationStore,
    job::job_data::{JobAndNextTick, JobStoredData, JobType},
    store::{DataStore, InitStore},
};
use uuid::Uuid;

use crate::config::schedule::Schedule;

/// A message of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Tick {
    /// One second has passed, and the scheduler is alive. Dropped while the channel is full.
    Beat,
    /// A job is due. Kept while the channel is full; it is sent once, however often the job has
    /// become due by then.
    Job {
        name: String,
        /// Since when it is due.
        due: DateTime<Utc>,
    },
}

/// Returns the time; cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

/// The running scheduler. No tick is sent any more once it is stopped or dropped.
pub struct Scheduler {
    scheduler: JobScheduler,
    calendar: Shared,
}

/// When the scheduler's jobs will be due; cheap to clone.
#[derive(Clone)]
#[expect(
    missing_debug_implementations,
    reason = "it would show the clock's function"
)]
pub struct NextTicks(Shared);

/// Why the scheduler cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// It returned an error.
    #[error("the scheduler failed: {0}")]
    Scheduler(#[from] JobSchedulerError),
    /// It did not answer in time.
    #[error("the scheduler did not answer within {} seconds", PATIENCE.as_secs())]
    Silent,
}

/// Each second, in the crate's syntax.
const EACH_SECOND: &str = "* * * * * *";

/// A clock that goes back by less than this is being adjusted, and nothing needs to be
/// recalculated.
const TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// Time limit for the scheduler to add or remove a job.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many jobs may be due at once before the crate begins to drop calls, which the next poll
/// repeats.
const CALLS: usize = 1024;

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// A clock for tests.
    #[must_use]
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

impl Scheduler {
    /// Starts the scheduler in the current runtime; until [`Self::set`] it sends only heartbeats.
    /// It never waits for the receiver.
    ///
    /// # Errors
    /// The scheduler cannot be started.
    pub async fn start(clock: Clock, to: mpsc::Sender<Tick>) -> Result<Self, SchedulerError> {
        let calendar = Shared(Arc::new(Mutex::new(Calendar {
            seen: clock.now(),
            clock,
            entries: HashMap::new(),
            to: Some(to),
        })));
        let scheduler = JobScheduler::new_with_storage_and_code(
            Box::new(calendar.clone()),
            Box::new(SimpleNotificationStore::default()),
            Box::new(SimpleJobCode::default()),
            Box::new(SimpleNotificationCode::default()),
            CALLS,
        );
        let scheduler = scheduler.await?;
        let ticks = Self {
            scheduler,
            calendar,
        };
        let id = ticks.add().await?;
        ticks.calendar.open().enter(id, Call::Beat);
        ticks.scheduler.start().await?;
        Ok(ticks)
    }

    /// Replaces the schedules of all jobs. A job with an unchanged schedule keeps its next tick,
    /// and what is already due is still sent for every job that stays.
    ///
    /// # Errors
    /// The scheduler fails; the old schedules stay, unless it failed to remove one.
    pub async fn set(
        &mut self,
        mut schedules: BTreeMap<String, Schedule>,
    ) -> Result<(), SchedulerError> {
        let known = self.calendar.open().names();
        let mut new = Vec::new();
        for name in schedules.keys().filter(|name| !known.contains_key(*name)) {
            new.push((self.add().await?, name.clone()));
        }
        let gone = {
            let mut calendar = self.calendar.open();
            for (id, name) in new {
                if let Some(schedule) = schedules.remove(&name) {
                    calendar.enter(
                        id,
                        Call::Job {
                            name,
                            schedule: Box::new(schedule),
                        },
                    );
                }
            }
            known
                .into_iter()
                .filter(|(name, id)| !calendar.keep(*id, schedules.remove(name)))
                .map(|(_, id)| id)
                .collect::<Vec<_>>()
        };
        for id in gone {
            within(self.scheduler.remove(&id)).await?;
        }
        Ok(())
    }

    /// When a job is due next.
    #[must_use]
    pub fn next(&self, job: &str) -> Option<DateTime<Utc>> {
        self.next_ticks().of(job)
    }

    /// When jobs will be due, for whoever only looks.
    #[must_use]
    pub fn next_ticks(&self) -> NextTicks {
        NextTicks(self.calendar.clone())
    }

    /// Stops the scheduler. From now on no tick is sent, whatever it has begun.
    ///
    /// # Errors
    /// The scheduler cannot be stopped; no tick is sent all the same.
    pub async fn stop(mut self) -> Result<(), SchedulerError> {
        self.calendar.open().to = None;
        within(self.scheduler.shutdown()).await
    }

    /// Makes the crate call for one more id, whenever the calendar says that it is due.
    async fn add(&self) -> Result<Uuid, SchedulerError> {
        let calendar = self.calendar.clone();
        let job = Job::new_async(EACH_SECOND, move |id, _| {
            let calendar = calendar.clone();
            Box::pin(async move { calendar.open().tell(id) })
        })?;
        within(self.scheduler.add(job)).await
    }
}

impl NextTicks {
    /// When a job will be due next.
    #[must_use]
    pub fn of(&self, job: &str) -> Option<DateTime<Utc>> {
        let calendar = self.0.open();
        calendar
            .entries
            .values()
            .find(|entry| entry.call.job() == Some(job))?
            .next
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.calendar.open().to = None;
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticks")
            .field("jobs", &self.calendar.open().names())
            .finish_non_exhaustive()
    }
}

/// Runs a call of the crate, within a time limit.
async fn within<T>(
    work: impl Future<Output = Result<T, JobSchedulerError>>,
) -> Result<T, SchedulerError> {
    Ok(tokio::time::timeout(PATIENCE, work)
        .await
        .map_err(|_| SchedulerError::Silent)??)
}

/// What is due when, as the scheduler's store.
#[derive(Clone)]
struct Shared(Arc<Mutex<Calendar>>);

struct Calendar {
    clock: Clock,
    /// The latest time at which it was asked what is due, since the clock last went back.
    seen: DateTime<Utc>,
    entries: HashMap<Uuid, Entry>,
    /// The channel for ticks; absent once it is stopped.
    to: Option<mpsc::Sender<Tick>>,
}

struct Entry {
    call: Call,
    next: Option<DateTime<Utc>>,
    /// Since when it is due without having been sent.
    due: Option<DateTime<Utc>>,
}

enum Call {
    /// Each second.
    Beat,
    Job {
        name: String,
        schedule: Box<Schedule>,
    },
}

impl Call {
    fn job(&self) -> Option<&str> {
        match self {
            Self::Beat => None,
            Self::Job { name, .. } => Some(name),
        }
    }

    /// The first moment after this one at which it is due.
    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Beat => after
                .trunc_subsecs(0)
                .checked_add_signed(TimeDelta::seconds(1)),
            Self::Job { schedule, .. } => schedule.next_after(after),
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Calendar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calendar {
    fn enter(&mut self, id: Uuid, call: Call) {
        let next = call.next_after(self.clock.now());
        let due = None;
        self.entries.insert(id, Entry { call, next, due });
    }

    /// Sets the schedule of an entry, or removes it where there is none; returns whether it stays.
    fn keep(&mut self, id: Uuid, schedule: Option<Schedule>) -> bool {
        let Some(schedule) = schedule else {
            self.entries.remove(&id);
            return false;
        };
        let now = self.clock.now();
        if let Some(Entry { call, next, .. }) = self.entries.get_mut(&id)
            && let Call::Job { schedule: old, .. } = call
            && **old != schedule
        {
            *next = schedule.next_after(now);
            **old = schedule;
        }
        true
    }

    /// The jobs.
    fn names(&self) -> BTreeMap<String, Uuid> {
        let jobs = self.entries.iter();
        jobs.filter_map(|(id, entry)| Some((entry.call.job()?.to_owned(), *id)))
            .collect()
    }

    /// What is due and not sent yet. Removes every moment that has come, so that a clock that
    /// jumped ahead makes each job due once; a clock that went back makes all moments be
    /// recalculated.
    fn due(&mut self) -> Vec<Uuid> {
        let now = self.clock.now();
        let went_back = self.seen - now > TOLERANCE;
        self.seen = if went_back { now } else { self.seen.max(now) };
        for entry in self.entries.values_mut() {
            let come = entry.next.filter(|next| *next <= now && !went_back);
            entry.due = entry.due.or(come);
            if come.is_some() || went_back {
                entry.next = entry.call.next_after(now);
            }
        }
        let due = self.entries.iter().filter(|(_, entry)| entry.due.is_some());
        due.map(|(id, _)| *id).collect()
    }

    /// Sends what is due, once. A heartbeat takes no place in the channel that a job waits for.
    fn tell(&mut self, id: Uuid) {
        let waiting = self
            .entries
            .values()
            .filter(|entry| entry.due.is_some() && entry.call.job().is_some())
            .count();
        let (Some(to), Some(entry)) = (&self.to, self.entries.get_mut(&id)) else {
            return;
        };
        let Some(due) = entry.due.take() else { return };
        let tick = match &entry.call {
            Call::Beat if to.capacity() <= waiting => return,
            Call::Beat => Tick::Beat,
            Call::Job { name, .. } => Tick::Job {
                name: name.clone(),
                due,
            },
        };
        if let Err(TrySendError::Full(Tick::Job { .. })) = to.try_send(tick) {
            entry.due = Some(due);
        }
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

fn answer<T: Send + 'static>(answer: T) -> Answer<T> {
    Box::pin(std::future::ready(Ok(answer)))
}

/// The crate's view of a job. Without an expression in it, the crate cannot calculate a next tick,
/// and does not try.
fn stored(id: Uuid) -> JobStoredData {
    JobStoredData {
        id: Some(id.into()),
        last_updated: None,
        last_tick: None,
        next_tick: 0,
        job_type: JobType::Cron.into(),
        count: 0,
        extra: Vec::new(),
        ran: false,
        stopped: false,
        job: None,
        time_offset_seconds: 0,
    }
}

impl DataStore<JobStoredData> for Shared {
    /// Also for an id that was removed, since the crate may still be about to record its last tick.
    fn get(&mut self, id: Uuid) -> Answer<Option<JobStoredData>> {
        answer(Some(stored(id)))
    }

    fn add_or_update(&mut self, _: JobStoredData) -> Answer<()> {
        answer(())
    }

    fn delete(&mut self, _: Uuid) -> Answer<()> {
        answer(())
    }
}

impl InitStore for Shared {
    fn init(&mut self) -> Answer<()> {
        answer(())
    }

    fn inited(&mut self) -> Answer<bool> {
        answer(true)
    }
}

impl MetaDataStorage for Shared {
    /// What is due, as due since the first second of 1970, so that the crate agrees whatever the
    /// system's clock shows.
    fn list_next_ticks(&mut self) -> Answer<Vec<JobAndNextTick>> {
        let due = self.open().due().into_iter().map(|id| JobAndNextTick {
            id: Some(id.into()),
            job_type: JobType::Cron.into(),
            next_tick: 1,
            last_tick: None,
        });
        answer(due.collect())
    }

    /// The next tick was calculated when this one was found due.
    fn set_next_and_last_tick(
        &mut self,
        _: Uuid,
        _: Option<DateTime<Utc>>,
        _: Option<DateTime<Utc>>,
    ) -> Answer<()> {
        answer(())
    }

    fn time_till_next_job(&mut self) -> Answer<Option<Duration>> {
        let calendar = self.open();
        let next = calendar
            .entries
            .values()
            .filter_map(|entry| entry.next)
            .min();
        answer(next.and_then(|next| (next - calendar.clock.now()).to_std().ok()))
    }
}
