//! Messages that their receivers did not take: what is told once is not lost with one outage.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{message::Message, receiver::ReceiverKind};

/// After how many further runs of its job a message is tried again.
const ROUNDS: usize = 5;

/// The last message of each job and receiver that was not delivered, and how often it was tried again.
#[derive(Debug, Clone, Default)]
pub struct Undelivered(Arc<Mutex<Kept>>);

type Kept = BTreeMap<(String, ReceiverKind), (Arc<Message>, usize)>;

impl Undelivered {
    fn open(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a message that may be delivered another time.
    pub fn keep(&self, kind: ReceiverKind, message: &Arc<Message>) {
        let mut kept = self.open();
        let key = (message.job.clone(), kind);
        let tried = match kept.get(&key) {
            Some((known, tried)) if known.id == message.id => tried + 1,
            Some(_) | None => 0,
        };
        if tried < ROUNDS {
            kept.insert(key, (Arc::clone(message), tried));
        } else {
            kept.remove(&key);
        }
    }

    /// Forgets a message that was delivered, or never can be.
    pub fn forget(&self, kind: ReceiverKind, message: &Message) {
        let mut kept = self.open();
        let key = (message.job.clone(), kind);
        if kept
            .get(&key)
            .is_some_and(|(known, _)| known.id == message.id)
        {
            kept.remove(&key);
        }
    }

    /// The messages of a job.
    #[must_use]
    pub fn of(&self, job: &str) -> Vec<(ReceiverKind, Arc<Message>)> {
        let kept = self.open();
        let of_job = kept.iter().filter(|((of, _), _)| of == job);
        of_job
            .map(|((_, kind), (message, _))| (*kind, Arc::clone(message)))
            .collect()
    }
}
