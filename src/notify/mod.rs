//! People are told what happened to a job: by mail, and by HTTP calls. Whatever the receivers do, no
//! run waits for them: reports go through a bounded queue to tasks of their own, and what does not
//! fit is counted.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{mpsc, mpsc::error::TrySendError, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{Config, Notifications},
    event::notification::{Became, NotificationEvent},
    model::report::{FailureKind, Report},
    state::State,
};

mod alive;
mod call;
mod deliver;
mod digest;
mod digests;
mod ended;
mod line;
mod mail;
mod message;
mod occasions;
mod outbox;
mod program_text;
mod receiver;
mod settled;
mod shown;
mod sorter;
pub mod test;
mod webhook;

pub use receiver::ReceiverKind;

use ended::Ended;
use outbox::Outbox;
use sorter::{JobEvent, Sorter};

/// How many runs may wait for it to be found out what is new in them.
const WAITING_RUNS: usize = 64;

/// How long those who are cut off may take to end.
const TO_END: Duration = Duration::from_millis(200);

/// What became of a message, as metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Result {
    /// The receiver took it.
    Sent,
    /// No attempt got it there.
    Failed,
    /// It was not sent.
    Dropped,
}

impl Result {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sent, Self::Failed, Self::Dropped];

    /// The name in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// Counts what became of a message of a job.
pub type Count = Arc<dyn Fn(&str, ReceiverKind, Result) + Send + Sync>;

/// For which program messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A daemon, which also sends digests.
    Daemon,
    /// A command, which ends soon.
    Command,
}

/// Tells people what happened to jobs.
#[derive(Debug)]
pub struct Notifier {
    queue: mpsc::Sender<JobEvent>,
    config: watch::Sender<Arc<Config>>,
    post: Post,
}

/// What all tasks share.
#[derive(Clone)]
struct Post {
    /// This machine's name.
    host: Arc<str>,
    count: Count,
    tasks: TaskTracker,
    /// Nothing more is told: what was told is delivered.
    closing: CancellationToken,
    /// What is not delivered is dropped.
    stop: CancellationToken,
}

impl std::fmt::Debug for Post {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Post {
    /// Counts and logs what became of a message.
    fn became(
        &self,
        of: (&str, Option<&str>),
        kind: ReceiverKind,
        occasions: &str,
        became: Became<'_>,
    ) {
        let (job, run) = of;
        let result = match became {
            Became::Sent { .. } => Result::Sent,
            Became::Failed { .. } => Result::Failed,
            Became::Dropped { .. } => Result::Dropped,
        };
        (self.count)(job, kind, result);
        NotificationEvent {
            job,
            run: run.unwrap_or_default(),
            receiver: kind.as_str(),
            occasions,
            became,
        }
        .emit();
    }
}

impl Notifier {
    /// Begins to tell people what happens to the jobs of a configuration, in tasks of this runtime. What
    /// is not delivered is kept in this state, where it can be used.
    #[must_use]
    pub fn start(
        config: &Arc<Config>,
        host: &str,
        (program, state): (Program, Option<Arc<State>>),
        count: Count,
        on: &Handle,
    ) -> Self {
        let (queue, told) = mpsc::channel(WAITING_RUNS);
        let (config, current) = watch::channel(Arc::clone(config));
        let post = Post {
            host: host.into(),
            count,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        let outbox = Outbox::new(state, program);
        let sorter = Sorter::new(current, program, (outbox, post.clone()));
        post.tasks.spawn_on(sorter.run(told), on);
        Self {
            queue,
            config,
            post,
        }
    }

    /// Uses another configuration from now on.
    pub fn use_config(&self, config: &Arc<Config>) {
        self.config.send_replace(Arc::clone(config));
    }

    /// A run has ended; returns at once.
    pub fn ended(&self, report: &Report) {
        if !report.dry_run && self.has_receivers(&report.job) {
            self.tell(&report.job, JobEvent::Ended(Box::new(Ended::of(report))));
        }
    }

    /// A run ended without a report; returns at once.
    pub fn broken(&self, job: &str, kind: FailureKind, error: &str) {
        if kind != FailureKind::Stopped && self.has_receivers(job) {
            let told = JobEvent::Broken {
                job: job.to_owned(),
                error: error.to_owned(),
            };
            self.tell(job, told);
        }
    }

    fn has_receivers(&self, job: &str) -> bool {
        has_receivers(&self.config.borrow(), job)
    }

    fn tell(&self, job: &str, told: JobEvent) {
        let error = match self.queue.try_send(told) {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => "too many runs wait before it",
            Err(TrySendError::Closed(_)) => "the program ends",
        };
        let config = Arc::clone(&self.config.borrow());
        let job_table = config.jobs.get(job);
        for kind in job_table
            .into_iter()
            .flat_map(|job| receivers(&job.notifications))
        {
            self.post
                .became((job, None), kind, "", Became::Dropped { error });
        }
    }

    /// Waits until all is delivered, so long at the most; what is left is dropped.
    pub async fn stop(&self, limit: Duration) {
        let post = &self.post;
        post.closing.cancel();
        post.tasks.close();
        if tokio::time::timeout(limit, post.tasks.wait())
            .await
            .is_err()
        {
            post.stop.cancel();
            // Only a disk that hangs takes longer.
            let _ = tokio::time::timeout(TO_END, post.tasks.wait()).await;
        }
    }
}

/// Whether anybody is told about a job.
#[must_use]
pub fn has_receivers(config: &Config, job: &str) -> bool {
    let job = config.jobs.get(job);
    job.is_some_and(|job| receivers(&job.notifications).next().is_some())
}

/// Those who are told about a job.
fn receivers(job: &Notifications) -> impl Iterator<Item = ReceiverKind> {
    ReceiverKind::ALL.into_iter().filter(|kind| kind.is_of(job))
}
