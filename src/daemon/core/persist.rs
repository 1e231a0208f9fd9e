//! What outlasts a restart: saved elsewhere and in order, while everything else goes on.

use std::collections::BTreeMap;

use super::{
    Core, Effect,
    effect::{Notice, RequestId, Write},
};
use crate::{
    daemon::commands::CommandError,
    model::{change_kind::ChangeKind, pause::Pause},
};

/// The writes that have not ended, as far as something follows from them.
#[derive(Debug, Default)]
pub(super) struct Writes {
    next: u64,
    then: BTreeMap<u64, Then>,
    /// Whether it was logged that nothing can be saved, and nothing could be saved since.
    failure_logged: bool,
}

/// What is done once it is saved, and not done when it cannot be saved.
#[derive(Debug)]
pub(super) enum Then {
    Pause {
        from: Option<RequestId>,
        job: String,
        only: Option<ChangeKind>,
        pause: Pause,
    },
    Resume {
        from: Option<RequestId>,
        job: String,
        only: Option<ChangeKind>,
    },
}

impl Then {
    fn job(&self) -> &str {
        match self {
            Self::Pause { job, .. } | Self::Resume { job, .. } => job,
        }
    }
}

impl Writes {
    /// Whether somebody waits for an answer until something is saved.
    pub(super) fn anybody_waits(&self) -> bool {
        !self.then.is_empty()
    }

    /// Whether a pause of a job, or its end, is being saved.
    pub(super) fn pauses(&self, job: &str) -> bool {
        self.then.values().any(|then| then.job() == job)
    }
}

impl Core {
    /// Keeps something. When that fails, it counts all the same as long as the daemon lives.
    pub(super) fn persist(&mut self, write: Write) -> u64 {
        let id = self.writes.next;
        self.writes.next += 1;
        self.effect(Effect::Persist { id, write });
        id
    }

    pub(super) fn persist_then(&mut self, write: Write, then: Then) {
        let id = self.persist(write);
        self.writes.then.insert(id, then);
    }

    pub(super) fn on_persisted(&mut self, id: u64, result: Result<(), String>) {
        let then = self.writes.then.remove(&id);
        match (result, then) {
            (Ok(()), then) => {
                self.writes.failure_logged = false;
                match then {
                    Some(Then::Pause {
                        from,
                        job,
                        only,
                        pause,
                    }) => self.pause_saved(from, job, only, pause),
                    Some(Then::Resume { from, job, only }) => self.resume_saved(from, job, only),
                    None => {}
                }
            }
            (Err(error), then) => {
                self.log_state_failure(&error);
                if let Some(Then::Pause { from, .. } | Then::Resume { from, .. }) = then {
                    self.reply_error(from, CommandError::NotKept(error));
                }
            }
        }
    }

    /// Logged once, and not again before something could be saved.
    pub(super) fn log_state_failure(&mut self, error: &str) {
        if !std::mem::replace(&mut self.writes.failure_logged, true) {
            self.notice(Notice::StateFailed(error.to_owned()));
        }
    }
}
