//! Commands to a running daemon, for the listeners.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::status::{JobStatus, RefusedCredentials, Status};
use crate::{
    config::{Environment, other_jobs},
    model::{
        change_kind::ChangeKind,
        explanation::Explanation,
        hold_number::HoldNumber,
        open_hold::OpenHold,
        pause::Pause,
        readable_time::readable_time,
        report::{Approver, Report},
    },
    run::{
        Progress,
        approval::HoldDecision,
        failure::{NoChanges, NotPlannable},
        rejection::Rejection,
    },
};

/// Sends commands to the daemon; cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands {
    orders: mpsc::Sender<DaemonCommand>,
    status: watch::Receiver<Arc<Status>>,
}

/// What a person wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A run.
    Run,
    /// A run that writes nothing.
    DryRun,
    /// A run that reads only what changed.
    Changes,
}

/// One command, with the channel for its reply.
#[derive(Debug)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum DaemonCommand {
    /// Run this job now.
    Trigger {
        job: String,
        /// What is wanted.
        wish: Wish,
        /// Who wants it.
        by: Approver,
        /// Receives the updates of the run from its start to its report.
        told: mpsc::Sender<RunUpdate>,
        /// Receives whether it will run.
        answer: oneshot::Sender<Result<(), CommandError>>,
    },
    /// Run every job now that is not paused (SIGUSR1).
    TriggerAll,
    /// Pause a job.
    Pause {
        job: String,
        /// Of its changes, only this kind.
        only: Option<ChangeKind>,
        /// Until when, and why.
        pause: Pause,
        /// Receives the job's status afterwards.
        answer: oneshot::Sender<Result<JobStatus, CommandError>>,
    },
    /// Resume a job.
    Resume {
        job: String,
        /// Of its changes, only this kind.
        only: Option<ChangeKind>,
        /// Receives the job's status afterwards.
        answer: oneshot::Sender<Result<JobStatus, CommandError>>,
    },
    /// Approve or reject a hold.
    Hold(HoldRequest),
    /// Explain a person.
    Explain(ExplainRequest),
    /// Reload the configuration.
    Reload,
}

/// A person approves a hold.
#[derive(Debug)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct ApprovalRequest {
    pub decision: HoldDecision,
    /// Receives the updates of the run.
    pub told: mpsc::Sender<RunUpdate>,
    /// Receives whether there is something to approve.
    pub answer: oneshot::Sender<Result<(), CommandError>>,
}

/// A person rejects a hold.
#[derive(Debug)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct RejectRequest {
    pub decision: HoldDecision,
    /// Receives what became of it.
    pub answer: oneshot::Sender<Result<Rejection, CommandError>>,
}

/// Somebody asks what would become of a person, and why.
#[derive(Debug)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct ExplainRequest {
    pub job: String,
    /// A login, mail address, DN or id.
    pub who: String,
    /// Receives what was found.
    pub answer: oneshot::Sender<Result<Explanation, CommandError>>,
}

/// What a person decides about a hold, of which the core knows nothing.
#[derive(Debug)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum HoldRequest {
    Approve(ApprovalRequest),
    Reject(RejectRequest),
    /// Receives all holds, also those that ended of late.
    List(oneshot::Sender<Result<Vec<OpenHold>, CommandError>>),
    /// Receives one hold, open or not, if there is one of this number.
    Show(
        HoldNumber,
        oneshot::Sender<Result<Option<OpenHold>, CommandError>>,
    ),
}

/// Updates for the client that triggered a run, one JSON object per line; the last one is
/// `Finished` or `Ended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum RunUpdate {
    /// It waits for another run on its directory, or for a free slot.
    Waiting,
    Started,
    Progress(Progress),
    /// It ended, with this report.
    Finished {
        report: Box<Report>,
    },
    /// It was to read what changed, and there was nothing to do.
    NothingChanged,
    /// It ended without a report, or never started.
    Ended {
        /// Why.
        error: String,
    },
}

/// Why the daemon refuses a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum CommandError {
    /// There is no such job.
    #[error("there is no job {job:?}{}", other_jobs(job, known.split(", ")))]
    UnknownJob {
        /// The requested name.
        job: String,
        /// The existing names.
        known: String,
    },
    /// A run of the job is in progress, or about to start.
    #[error("a run of {0} is already in progress; `status` shows its progress")]
    AlreadyRunning(String),
    /// A dry run of a job whose changes cannot be planned.
    #[error(transparent)]
    CannotTell(NotPlannable),
    /// The job never reads only what changed.
    #[error(transparent)]
    NoChanges(NoChanges),
    /// The job is paused.
    #[error(
        "{job} is paused{}{}, {}, so the daemon starts no run of it; `resume {job}` ends the pause, \
         and `sync` by hand, `apply` and `approve` run all the same",
        until_words(pause, *zone),
        reason_words(pause),
        pause.since_words(zone)
    )]
    Paused {
        job: String,
        pause: Pause,
        /// The zone in which times are told.
        zone: Tz,
    },
    /// Nobody but ftrack decides what a run of the job changes.
    #[error(
        "ftrack decides what a run of {0} changes, so no kind of change can be paused by itself; \
         `pause {0}` pauses the whole job"
    )]
    NoKinds(String),
    /// A server refused the credentials that are still configured; another attempt so soon could
    /// lock the account.
    #[error("{server} refused these credentials at {at}; to avoid locking the account, they are \
        tried again at {next}, or at once after they change ({}), unless three were refused within the \
        hour", how_they_change(), at = readable_time(*.at, zone), next = readable_time(*.next, zone))]
    Refused {
        server: String,
        /// When it refused them.
        at: DateTime<Utc>,
        /// When they are tried again.
        next: DateTime<Utc>,
        /// The zone in which times are told.
        zone: Tz,
    },
    /// The command's effect cannot be saved over a restart, so it was not executed.
    #[error("it cannot be saved over a restart, so it was not done: {0}")]
    NotKept(String),
    /// There is no such hold, or it holds nobody of that name.
    #[error("{0}")]
    UnknownHold(String),
    /// A person cannot be explained: there are several of that name, or a server does not answer.
    #[error("{0}")]
    NotExplained(String),
    /// Somebody else is being explained.
    #[error("another person is being looked up for somebody; try again in a moment")]
    ExplainsAlready,
    /// The hold has ended, or cannot be approved.
    #[error("{0}")]
    NothingToDecide(String),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

impl Commands {
    /// Commands to the daemon that receives on this channel and publishes this status.
    #[must_use]
    pub fn new(orders: mpsc::Sender<DaemonCommand>, status: watch::Receiver<Arc<Status>>) -> Self {
        Self { orders, status }
    }

    /// The current status of the daemon; never blocks.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// Starts a run of a job for somebody, and receives its updates until it ends. Dropping the
    /// receiver does not stop the run.
    ///
    /// # Errors
    /// It will not run; the refusal says why.
    pub async fn trigger(
        &self,
        job: &str,
        wish: Wish,
        by: Approver,
    ) -> Result<mpsc::Receiver<RunUpdate>, CommandError> {
        let (told, hears) = mpsc::channel(256);
        let job = job.to_owned();
        self.ask(|answer| DaemonCommand::Trigger {
            job,
            wish,
            by,
            told,
            answer,
        })
        .await?;
        Ok(hears)
    }

    /// Approves a hold, and receives the updates of the run that writes it, until it ends. Dropping
    /// the receiver does not stop the run.
    ///
    /// # Errors
    /// There is nothing to approve.
    pub async fn approve(
        &self,
        decision: HoldDecision,
    ) -> Result<mpsc::Receiver<RunUpdate>, CommandError> {
        let (told, hears) = mpsc::channel(256);
        self.ask(|answer| {
            DaemonCommand::Hold(HoldRequest::Approve(ApprovalRequest {
                decision,
                told,
                answer,
            }))
        })
        .await?;
        Ok(hears)
    }

    /// All holds, by number, also those that ended of late.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn holds(&self) -> Result<Vec<OpenHold>, CommandError> {
        self.ask(|answer| DaemonCommand::Hold(HoldRequest::List(answer)))
            .await
    }

    /// One hold, open or not; none where there is no such number.
    ///
    /// # Errors
    /// The state cannot be read.
    pub async fn hold(&self, number: HoldNumber) -> Result<Option<OpenHold>, CommandError> {
        self.ask(|answer| DaemonCommand::Hold(HoldRequest::Show(number, answer)))
            .await
    }

    /// Explains a person of a job, one at a time, and within a minute.
    ///
    /// # Errors
    /// The person cannot be explained, a server must be left alone, or another one is being explained.
    pub async fn explain(&self, job: &str, who: &str) -> Result<Explanation, CommandError> {
        let (job, who) = (job.to_owned(), who.to_owned());
        self.ask(|answer| DaemonCommand::Explain(ExplainRequest { job, who, answer }))
            .await
    }

    /// Rejects a hold.
    ///
    /// # Errors
    /// There is nothing to reject, or it cannot be saved.
    pub async fn reject(&self, decision: HoldDecision) -> Result<Rejection, CommandError> {
        self.ask(|answer| {
            DaemonCommand::Hold(HoldRequest::Reject(RejectRequest { decision, answer }))
        })
        .await
    }

    /// Runs every job that is not paused.
    pub async fn trigger_all(&self) {
        // A daemon that has stopped runs nothing.
        let _ = self.orders.send(DaemonCommand::TriggerAll).await;
    }

    /// Pauses a job, or one kind of its changes; a run in progress continues.
    ///
    /// # Errors
    /// There is no such job, it has no kinds of change, or the pause cannot be saved over a restart.
    pub async fn pause(
        &self,
        job: &str,
        only: Option<ChangeKind>,
        pause: Pause,
    ) -> Result<JobStatus, CommandError> {
        let job = job.to_owned();
        self.ask(|answer| DaemonCommand::Pause {
            job,
            only,
            pause,
            answer,
        })
        .await
    }

    /// Resumes a job, or one kind of its changes; no effect if it is not paused.
    ///
    /// # Errors
    /// There is no such job, or the end of the pause cannot be saved over a restart.
    pub async fn resume(
        &self,
        job: &str,
        only: Option<ChangeKind>,
    ) -> Result<JobStatus, CommandError> {
        let job = job.to_owned();
        self.ask(|answer| DaemonCommand::Resume { job, only, answer })
            .await
    }

    /// Reloads the configuration.
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

impl From<&RefusedCredentials> for CommandError {
    fn from(refused: &RefusedCredentials) -> Self {
        Self::Refused {
            server: refused.server.clone(),
            at: refused.since,
            next: refused.next,
            zone: Tz::UTC,
        }
    }
}

impl CommandError {
    /// The error with its times in the zone of the job's schedule.
    #[must_use]
    pub fn in_zone(mut self, of_job: Tz) -> Self {
        if let Self::Paused { zone, .. } | Self::Refused { zone, .. } = &mut self {
            *zone = of_job;
        }
        self
    }
}

fn until_words(pause: &Pause, zone: Tz) -> String {
    pause
        .until
        .map(|until| format!(" until {}", readable_time(until, &zone)))
        .unwrap_or_default()
}

fn reason_words(pause: &Pause) -> String {
    let reason = pause.reason.as_deref().map(crate::escape::escape_control);
    reason
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default()
}

/// What lets the daemon see that a secret was changed.
fn how_they_change() -> &'static str {
    if Environment::of_process().is_container() {
        "in a container that takes writing into the file that is there, as `cat > FILE` does, or a \
         restart of the container: one that takes its place is not seen"
    } else {
        "under systemd that takes `sudo systemctl restart ftrack-ldap-sync`, since the service has a \
         copy of the secret"
    }
}
