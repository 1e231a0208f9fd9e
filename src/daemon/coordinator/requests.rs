//! Those who wait for an answer, and those who follow a run, by the numbers under which the core
//! knows them.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::{Coordinator, RequestId};
use crate::{
    daemon::{
        commands::{CommandError, DaemonCommand, ExplainRequest, HoldRequest, RunUpdate},
        core::{
            Input,
            effect::{Command, Reply},
        },
        status::JobStatus,
    },
    model::report::Approver,
};

/// How long one who reads slowly has to take the last update.
pub(super) const LAST_UPDATE_LIMIT: Duration = Duration::from_secs(10);

/// The ways back.
#[derive(Default)]
pub(super) struct Requests {
    next: RequestId,
    unanswered: BTreeMap<RequestId, Unanswered>,
    watchers: BTreeMap<RequestId, Watcher>,
}

/// One who follows a run, and the person who asked for it.
struct Watcher {
    told: mpsc::Sender<RunUpdate>,
    by: Approver,
}

enum Unanswered {
    Trigger {
        watcher: Watcher,
        answer: oneshot::Sender<Result<(), CommandError>>,
    },
    Job(oneshot::Sender<Result<JobStatus, CommandError>>),
    Explain(ExplainRequest),
}

impl Requests {
    /// What the core is told of a command.
    ///
    /// # Errors
    /// It is none of the core's business: an approval is a run of its own.
    pub(super) fn input(&mut self, command: DaemonCommand) -> Result<Input, HoldRequest> {
        let (unanswered, command) = match command {
            DaemonCommand::Trigger {
                job,
                wish,
                by,
                told,
                answer,
            } => (
                Some(Unanswered::Trigger {
                    watcher: Watcher { told, by },
                    answer,
                }),
                Command::Trigger { job, wish },
            ),
            DaemonCommand::Pause {
                job,
                only,
                pause,
                answer,
            } => (
                Some(Unanswered::Job(answer)),
                Command::Pause { job, only, pause },
            ),
            DaemonCommand::Resume { job, only, answer } => {
                (Some(Unanswered::Job(answer)), Command::Resume { job, only })
            }
            DaemonCommand::Explain(request) => {
                let job = request.job.clone();
                (Some(Unanswered::Explain(request)), Command::Look { job })
            }
            DaemonCommand::TriggerAll => (None, Command::TriggerAll),
            DaemonCommand::Reload => (None, Command::Reload),
            DaemonCommand::Hold(request) => return Err(request),
        };
        let from = unanswered.map(|unanswered| {
            self.next += 1;
            self.unanswered.insert(self.next, unanswered);
            self.next
        });
        Ok(Input::Command { from, command })
    }

    /// Who follows a run.
    pub(super) fn watcher(&self, of: RequestId) -> Option<mpsc::Sender<RunUpdate>> {
        self.watchers.get(&of).map(|watcher| watcher.told.clone())
    }

    /// The person who asked for the run that this one follows.
    pub(super) fn asked_by(&self, of: RequestId) -> Option<Approver> {
        self.watchers.get(&of).map(|watcher| watcher.by.clone())
    }

    /// Lost when there is no room: one who does not read any more is no error.
    pub(super) fn update(&self, to: RequestId, update: RunUpdate) {
        if let Some(watcher) = self.watchers.get(&to) {
            let _ = watcher.told.try_send(update);
        }
    }

    /// Whoever does not read any more keeps nobody waiting.
    pub(super) fn last_update(&mut self, to: RequestId, update: RunUpdate) {
        if let Some(Watcher { told, .. }) = self.watchers.remove(&to) {
            tokio::spawn(async move { told.send_timeout(update, LAST_UPDATE_LIMIT).await });
        }
    }
}

impl Coordinator {
    /// Whoever left before the answer is no error.
    pub(super) fn reply(&mut self, to: RequestId, reply: Result<Reply, CommandError>) {
        match (self.requests.unanswered.remove(&to), reply) {
            (Some(Unanswered::Trigger { watcher, answer }), Ok(_)) => {
                self.requests.watchers.insert(to, watcher);
                let _ = answer.send(Ok(()));
            }
            (Some(Unanswered::Trigger { answer, .. }), Err(error)) => {
                let _ = answer.send(Err(error));
            }
            (Some(Unanswered::Job(answer)), Ok(Reply::Job(job))) => {
                let _ = answer.send(self.viewed(|core, view| core.job_status(&job, view)));
            }
            (Some(Unanswered::Job(answer)), Err(error)) => {
                let _ = answer.send(Err(error));
            }
            (Some(Unanswered::Explain(request)), Ok(_)) => self.explain(request),
            (Some(Unanswered::Explain(request)), Err(error)) => {
                let _ = request.answer.send(Err(error));
            }
            (Some(Unanswered::Job(_)), Ok(Reply::Accepted)) | (None, _) => {}
        }
    }
}
