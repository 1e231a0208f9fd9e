//! Messages until their receivers have taken them: what is told once is neither lost with an outage of
//! its receiver, nor with a restart of the program.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Program, message::Message, receiver::ReceiverKind, settled::Settled};
use crate::{
    event::daemon::DaemonEvent,
    model::stored_message::{DigestMark, MessageMark, StoredMessage, UntoldRun},
    state::{State, files::StateError},
};

/// How many messages may wait for one receiver of a job.
const WAITING: usize = 16;

/// How long a message that nobody takes is tried again.
const KEPT_FOR: TimeDelta = TimeDelta::days(7);

/// How many messages that are over are known, so that one is not read from the database again.
const OVER: usize = 256;

/// How long the state may take to be read or written; a disk may never answer.
pub const STATE_LIMIT: Duration = Duration::from_secs(30);

/// A message to one receiver, which has not taken it.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub kind: ReceiverKind,
    pub message: Arc<Message>,
    pub settled: Arc<Settled>,
    /// When it was made.
    at: DateTime<Utc>,
}

#[derive(Debug)]
struct Entry {
    waiting: Waiting,
    stage: Stage,
    /// Whether its receiver did not take it once.
    was_tried: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be delivered now.
    Due,
    Underway,
    /// It was not taken then.
    Later(Instant),
}

type Key = (String, ReceiverKind);

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Key, VecDeque<Entry>>,
    /// The last messages that were taken, or never will be.
    over: VecDeque<(ReceiverKind, uuid::Uuid)>,
}

/// The messages that are not delivered.
#[derive(Debug, Clone)]
pub struct Outbox {
    kept: Arc<Mutex<Kept>>,
    /// Absent where the state cannot be used: then the messages last as long as the program.
    state: Option<Arc<State>>,
    program: Program,
}

impl Waiting {
    fn stored(&self) -> Option<StoredMessage> {
        Some(StoredMessage {
            job: self.message.job.clone(),
            receiver: self.kind.as_str().to_owned(),
            id: self.message.id.to_string(),
            at: self.at,
            message: serde_json::to_string(&*self.message).ok()?,
            settled: self.settled.addresses(),
        })
    }

    fn read(stored: StoredMessage) -> Option<Self> {
        let mut kinds = ReceiverKind::ALL.into_iter();
        Some(Self {
            kind: kinds.find(|kind| kind.as_str() == stored.receiver)?,
            message: Arc::new(serde_json::from_str(&stored.message).ok()?),
            settled: Arc::new(Settled::of(stored.settled)),
            at: stored.at,
        })
    }

    fn key(&self) -> Key {
        (self.message.job.clone(), self.kind)
    }

    fn is(&self, kind: ReceiverKind, id: uuid::Uuid) -> bool {
        self.kind == kind && self.message.id == id
    }
}

impl Kept {
    fn is_over(&self, waiting: &Waiting) -> bool {
        let (kind, id) = (waiting.kind, waiting.message.id);
        self.over.contains(&(kind, id))
    }

    fn end(&mut self, kind: ReceiverKind, message: &Message) {
        let key = (message.job.clone(), kind);
        if let Some(entries) = self.entries.get_mut(&key) {
            entries.retain(|entry| !entry.waiting.is(kind, message.id));
        }
        self.over.push_back((kind, message.id));
        if self.over.len() > OVER {
            self.over.pop_front();
        }
    }

    /// Adds one that is not there; returns the one that has to go for it, if there are too many.
    fn add(&mut self, waiting: Waiting, was_tried: bool) -> Option<Waiting> {
        let entries = self.entries.entry(waiting.key()).or_default();
        let (kind, id) = (waiting.kind, waiting.message.id);
        if entries.iter().any(|entry| entry.waiting.is(kind, id)) {
            return None;
        }
        entries.push_back(Entry {
            waiting,
            stage: Stage::Due,
            was_tried,
        });
        let is_waiting = |entry: &Entry| entry.stage != Stage::Underway;
        if entries.iter().filter(|entry| is_waiting(entry)).count() <= WAITING {
            return None;
        }
        let oldest = entries.iter().position(is_waiting)?;
        entries.remove(oldest).map(|entry| entry.waiting)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut().flatten()
    }
}

impl Outbox {
    pub fn new(state: Option<Arc<State>>, program: Program) -> Self {
        Self {
            kept: Arc::default(),
            state,
            program,
        }
    }

    /// Whether what is not delivered now is delivered by a later program.
    pub fn outlives_the_program(&self, kind: ReceiverKind) -> bool {
        self.state.is_some() && kind.is_for_people()
    }

    /// The state, where it can be used.
    pub fn state(&self) -> Option<&Arc<State>> {
        self.state.as_ref()
    }

    fn open(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the state beside everything else; that it cannot is logged.
    async fn on_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> Result<T, StateError> + Send + 'static,
    ) -> Option<T> {
        let state = Arc::clone(self.state.as_ref()?);
        let working = tokio::task::spawn_blocking(move || work(&state));
        let error = match tokio::time::timeout(STATE_LIMIT, working).await {
            Ok(Ok(Ok(done))) => return Some(done),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the state directory does not answer".to_owned(),
        };
        DaemonEvent::StateFailed { error: &error }.emit();
        None
    }

    /// Adds a message for these receivers, with what is remembered of it; returns those messages that
    /// have to go for it, and whether the state knows what is to be remembered. In a daemon it is on
    /// disk when this returns.
    pub async fn add(
        &self,
        kinds: Vec<ReceiverKind>,
        message: &Arc<Message>,
        mark: Option<MessageMark>,
    ) -> (Vec<Waiting>, bool) {
        let waiting: Vec<Waiting> = kinds
            .into_iter()
            .map(|kind| Waiting {
                kind,
                message: Arc::clone(message),
                settled: Arc::default(),
                at: Utc::now(),
            })
            .collect();
        // What a command delivers at once is none of a daemon's.
        let is_kept = |one: &&Waiting| self.program == Program::Daemon && one.kind.is_for_people();
        let kept = waiting.iter().filter(is_kept);
        let stored: Vec<StoredMessage> = kept.filter_map(Waiting::stored).collect();
        let mut is_remembered = true;
        if !stored.is_empty() || mark.is_some() {
            let kept = self.on_state(move |state| state.keep_messages(&stored, mark.as_ref()));
            is_remembered = kept.await.is_some();
        }
        let gone: Vec<Waiting> = {
            let mut kept = self.open();
            waiting
                .into_iter()
                .filter_map(|one| kept.add(one, false))
                .collect()
        };
        for one in &gone {
            self.end(one.kind, &one.message).await;
        }
        (gone, is_remembered)
    }

    /// Remembers something of which there is no message; whether the state knows it.
    pub async fn remember(&self, mark: MessageMark) -> bool {
        let kept = self.on_state(move |state| state.keep_messages(&[], Some(&mark)));
        kept.await.is_some()
    }

    /// Up to when the digests of each job are made.
    pub async fn digest_marks(&self) -> Vec<DigestMark> {
        self.on_state(State::digest_marks).await.unwrap_or_default()
    }

    /// A job gets no digests any more.
    pub async fn forget_digests(&self, job: String) {
        self.on_state(move |state| state.forget_digests(&job)).await;
    }

    /// The runs of which an earlier program told nobody yet.
    pub async fn untold_runs(&self) -> Vec<UntoldRun> {
        self.on_state(State::untold_runs).await.unwrap_or_default()
    }

    /// What is to be told of a run is among the messages, or there is nothing.
    pub async fn run_is_told(&self, job: &str, run: &str) {
        let (job, run) = (job.to_owned(), run.to_owned());
        self.on_state(move |state| state.run_is_told(&job, &run))
            .await;
    }

    /// Reads what an earlier program, or a command, could not deliver: of all jobs, or of this one.
    pub async fn load(&self, job: Option<&str>) {
        let Some(mut stored) = self.on_state(State::stored_messages).await else {
            return;
        };
        stored.retain(|stored| job.is_none_or(|job| stored.job == job));
        let mut useless = Vec::new();
        {
            let mut kept = self.open();
            for stored in stored {
                let id = (
                    stored.job.clone(),
                    stored.receiver.clone(),
                    stored.id.clone(),
                );
                match Waiting::read(stored) {
                    // It was not removed then.
                    Some(waiting) if kept.is_over(&waiting) => useless.push(id),
                    Some(waiting) => {
                        let gone = kept.add(waiting, true);
                        useless.extend(gone.map(|gone| {
                            let id = gone.message.id.to_string();
                            (gone.message.job.clone(), gone.kind.as_str().to_owned(), id)
                        }));
                    }
                    None => useless.push(id),
                }
            }
        }
        for (job, receiver, id) in useless {
            self.on_state(move |state| state.forget_message(&job, &receiver, &id))
                .await;
        }
    }

    /// The next message to a receiver, if there is one: the oldest, but what is new does not wait behind
    /// what was not taken before.
    pub fn next(&self, job: &str, kind: ReceiverKind) -> Option<Waiting> {
        let mut kept = self.open();
        let entries = kept.entries.get_mut(&(job.to_owned(), kind))?;
        let due = entries.iter_mut().filter(|entry| entry.stage == Stage::Due);
        let next = due.min_by_key(|entry| entry.was_tried)?;
        next.stage = Stage::Underway;
        Some(next.waiting.clone())
    }

    /// A message was taken, or never will be.
    pub async fn end(&self, kind: ReceiverKind, message: &Message) {
        self.open().end(kind, message);
        if kind.is_for_people() {
            let (job, id) = (message.job.clone(), message.id.to_string());
            self.on_state(move |state| state.forget_message(&job, kind.as_str(), &id))
                .await;
        }
    }

    /// A message was not taken, and may be at another time.
    pub async fn put_off(&self, waiting: &Waiting) {
        for entry in self.open().all() {
            if entry.waiting.is(waiting.kind, waiting.message.id) {
                entry.stage = Stage::Later(Instant::now());
                entry.was_tried = true;
            }
        }
        if let Some(stored) = waiting.stored() {
            self.on_state(move |state| state.keep_messages(&[stored], None))
                .await;
        }
    }

    /// Has messages tried again that were not taken: those of this job, and all after so long.
    pub fn try_again(&self, job: Option<&str>, after: Duration) {
        for entry in self.open().all() {
            let is_of_job = job.is_some_and(|job| entry.waiting.message.job == job);
            if let Stage::Later(since) = entry.stage
                && (is_of_job || since.elapsed() >= after)
            {
                entry.stage = Stage::Due;
            }
        }
    }

    /// Messages whose delivery has broken down are to be delivered again.
    pub fn reset(&self, key: &(String, ReceiverKind)) {
        let mut kept = self.open();
        for entry in kept.entries.get_mut(key).into_iter().flatten() {
            if entry.stage == Stage::Underway {
                entry.stage = Stage::Due;
            }
        }
    }

    /// The receivers for which there is something to deliver.
    pub fn due(&self) -> Vec<(String, ReceiverKind)> {
        let kept = self.open();
        let is_due = |entries: &VecDeque<Entry>| {
            let mut stages = entries.iter().map(|entry| entry.stage);
            stages.any(|stage| stage == Stage::Due)
        };
        let due = kept.entries.iter().filter(|(_, entries)| is_due(entries));
        due.map(|(key, _)| key.clone()).collect()
    }

    /// Takes out what is too old, and what has no receiver any more.
    pub async fn clear_out(
        &self,
        now: DateTime<Utc>,
        has_receiver: impl Fn(&str, ReceiverKind) -> bool,
    ) -> Vec<(Waiting, &'static str)> {
        let useless: Vec<(Waiting, &'static str)> = {
            let mut kept = self.open();
            let all = kept.all().filter(|entry| entry.stage != Stage::Underway);
            all.filter_map(|entry| {
                let waiting = &entry.waiting;
                let why = if !has_receiver(&waiting.message.job, waiting.kind) {
                    "its receiver is not configured any more"
                } else if now.signed_duration_since(waiting.at) > KEPT_FOR {
                    "its receiver has not taken it for seven days"
                } else {
                    return None;
                };
                Some((waiting.clone(), why))
            })
            .collect()
        };
        for (waiting, _) in &useless {
            self.end(waiting.kind, &waiting.message).await;
        }
        useless
    }
}
