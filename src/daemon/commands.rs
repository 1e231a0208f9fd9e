//! What may be asked of a running daemon, by whoever listens on a socket for people.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::status::{JobStatus, Status};
use crate::{
    model::{pause::Pause, report::Report},
    run::{Progress, failure::NotPlannable},
};

/// The way to the daemon; cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands {
    orders: mpsc::Sender<DaemonCommand>,
    status: watch::Receiver<Arc<Status>>,
}

/// One thing that is asked of the daemon, with the way back.
#[derive(Debug)]
pub enum DaemonCommand {
    /// Run this job now.
    Trigger {
        /// The job.
        job: String,
        /// Whether it is to write nothing.
        dry_run: bool,
        /// Hears of the run from its start to its report.
        told: mpsc::Sender<RunUpdate>,
        /// Whether it will run.
        answer: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Run every job now that is not paused, as SIGUSR1 asks.
    TriggerAll,
    /// Let a job wait.
    Pause {
        /// The job.
        job: String,
        /// Until when, and why.
        pause: Pause,
        /// The job after it.
        answer: oneshot::Sender<Result<JobStatus, CommandError>>,
    },
    /// Let a job go on.
    Resume {
        /// The job.
        job: String,
        /// The job after it.
        answer: oneshot::Sender<Result<JobStatus, CommandError>>,
    },
    /// Take the configuration's files anew.
    Reload,
}

/// What a run says to the one who triggered it, one JSON object a line; the last one is `Finished`
/// or `Ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunUpdate {
    /// It waits for another run on its directory, or for a free place.
    Waiting,
    /// It started.
    Started,
    /// How far it is.
    Progress(Progress),
    /// It ended, with this report.
    Finished {
        /// The report.
        report: Box<Report>,
    },
    /// It ended without a report, or never began.
    Ended {
        /// Why.
        error: String,
    },
}

/// Why the daemon does not do what it is asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such job.
    #[error("there is no job {job:?} (the jobs are {known})")]
    UnknownJob {
        /// What was asked for.
        job: String,
        /// What there is.
        known: String,
    },
    /// A run of the job is under way, or about to begin.
    #[error("a run of {0} is under way already; `status` shows how far it is")]
    AlreadyRunning(String),
    /// Nothing was to be written, and what a run would write cannot be told.
    #[error(transparent)]
    CannotTell(NotPlannable),
    /// The job is paused.
    #[error(
        "{job} is paused{}{}; `resume {job}` lets it go on",
        until_words(pause),
        reason_words(pause)
    )]
    Paused {
        /// The job.
        job: String,
        /// Its pause.
        pause: Pause,
    },
    /// A server refused the credentials that are still configured; another attempt so soon could
    /// lock the account.
    #[error("{server} refused these credentials at {at}; so that the account is not locked, they are tried again at {next}, or at once when the daemon finds others, unless three were refused within the hour", at = time(*.at), next = time(*.next))]
    Refused {
        /// Which server.
        server: String,
        /// When.
        at: DateTime<Utc>,
        /// When they are tried again.
        next: DateTime<Utc>,
    },
    /// What was asked cannot be kept over a restart, so it was not done.
    #[error("it cannot be remembered over a restart, so it was not done: {0}")]
    NotKept(String),
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Stopping,
}

impl Commands {
    /// The way to the daemon that hears these orders and says this about itself.
    #[must_use]
    pub fn new(orders: mpsc::Sender<DaemonCommand>, status: watch::Receiver<Arc<Status>>) -> Self {
        Self { orders, status }
    }

    /// The daemon at this moment; never waits.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// Starts a run of a job, and hears of it until its end. Whoever stops listening does not stop
    /// the run.
    ///
    /// # Errors
    /// It will not run; the refusal says why.
    pub async fn trigger(
        &self,
        job: &str,
        dry_run: bool,
    ) -> Result<mpsc::Receiver<RunUpdate>, CommandError> {
        let (told, hears) = mpsc::channel(256);
        let job = job.to_owned();
        self.ask(|answer| DaemonCommand::Trigger {
            job,
            dry_run,
            told,
            answer,
        })
        .await?;
        Ok(hears)
    }

    /// Runs every job that is not paused.
    pub async fn trigger_all(&self) {
        // A daemon that has stopped runs nothing.
        let _ = self.orders.send(DaemonCommand::TriggerAll).await;
    }

    /// Lets a job wait; a run that is under way goes on.
    ///
    /// # Errors
    /// There is no such job, or the pause cannot be kept over a restart.
    pub async fn pause(&self, job: &str, pause: Pause) -> Result<JobStatus, CommandError> {
        let job = job.to_owned();
        self.ask(|answer| DaemonCommand::Pause { job, pause, answer })
            .await
    }

    /// Lets a job go on; one that was not paused stays as it is.
    ///
    /// # Errors
    /// There is no such job, or the end of the pause cannot be kept over a restart.
    pub async fn resume(&self, job: &str) -> Result<JobStatus, CommandError> {
        let job = job.to_owned();
        self.ask(|answer| DaemonCommand::Resume { job, answer })
            .await
    }

    /// Takes the configuration's files anew.
    pub async fn reload(&self) {
        // A daemon that has stopped reloads nothing.
        let _ = self.orders.send(DaemonCommand::Reload).await;
    }

    async fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, CommandError>>) -> DaemonCommand,
    ) -> Result<T, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.orders
            .send(order(answer))
            .await
            .map_err(|_| CommandError::Stopping)?;
        answered.await.unwrap_or(Err(CommandError::Stopping))
    }
}

/// A time in words, to the second.
fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn until_words(pause: &Pause) -> String {
    pause
        .until
        .map(|until| format!(" until {}", time(until)))
        .unwrap_or_default()
}

fn reason_words(pause: &Pause) -> String {
    let reason = pause.reason.as_deref().map(crate::escape::escape_control);
    reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}
