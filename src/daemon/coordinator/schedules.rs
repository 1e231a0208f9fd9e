//! The scheduler, which takes its time to take over schedules: a task of its own waits for it.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use crate::{
    config::schedule::Schedule,
    daemon::scheduler::{NextTicks, Scheduler},
    event::daemon::DaemonEvent,
};

/// How long the scheduler may take to end; no tick is taken any more by then.
const LIMIT: Duration = Duration::from_millis(500);

/// The schedules in use.
pub(super) struct Schedules {
    wanted: watch::Sender<BTreeMap<String, Schedule>>,
    next: NextTicks,
    task: JoinHandle<()>,
}

impl Schedules {
    /// Takes over the first schedules, and then others as they come.
    pub(super) async fn start(
        mut scheduler: Scheduler,
        schedules: BTreeMap<String, Schedule>,
    ) -> Self {
        set(&mut scheduler, schedules.clone()).await;
        let (wanted, mut changed) = watch::channel(schedules);
        let next = scheduler.next_ticks();
        let task = tokio::spawn(async move {
            while changed.changed().await.is_ok() {
                let schedules = changed.borrow_and_update().clone();
                set(&mut scheduler, schedules).await;
            }
            // No tick is sent any more, whatever the scheduler says.
            let _ = scheduler.stop().await;
        });
        Self { wanted, next, task }
    }

    /// Has these schedules used, and no others.
    pub(super) fn set(&self, schedules: BTreeMap<String, Schedule>) {
        self.wanted.send_replace(schedules);
    }

    /// When a job is due next.
    pub(super) fn next(&self, job: &str) -> Option<DateTime<Utc>> {
        self.next.of(job)
    }

    /// Ends the scheduler.
    pub(super) async fn stop(self) {
        let Self { wanted, task, .. } = self;
        drop(wanted);
        let _ = timeout(LIMIT, task).await;
    }
}

async fn set(scheduler: &mut Scheduler, schedules: BTreeMap<String, Schedule>) {
    if let Err(error) = scheduler.set(schedules).await {
        DaemonEvent::SchedulerFailed {
            error: &error.to_string(),
        }
        .emit();
    }
}
