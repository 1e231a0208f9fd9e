//! The bounded queue of log lines: logging never blocks, and lines without room are counted.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The capacity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub lines: usize,
    /// Bytes in all.
    pub bytes: usize,
    /// Bytes of one line.
    pub longest: usize,
}

/// One item to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A log line.
    Line {
        /// The line with its line end.
        text: Vec<u8>,
        /// How many lines were dropped between the previous one and this one.
        dropped_before: u64,
    },
    /// A frame of the progress display; of several in a row, only the last one counts.
    Frame(Vec<u8>),
}

/// The next step of the writer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Write(Entry),
    /// Report this many dropped lines, with no line after them.
    Dropped(u64),
    /// Nothing arrived for a while; check again.
    Nothing,
    /// The queue is closed.
    End,
}

/// The queue between the loggers and the writer.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: Bounds,
    dropped: AtomicU64,
    state: Mutex<State>,
    /// Something is to be done.
    news: Condvar,
    /// Everything is done.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Entry>,
    bytes: usize,
    /// Lines that were dropped since the last one that was accepted.
    dropped: u64,
    /// Whether the writer is writing.
    at_work: bool,
    /// How often the writer has asked for more.
    rounds: u64,
    /// The round of the writer in which a caller waited in vain.
    in_vain: Option<u64>,
    /// When the writer gives up after the queue was closed.
    end: Option<Instant>,
}

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            dropped: AtomicU64::new(0),
            state: Mutex::default(),
            news: Condvar::new(),
            idle: Condvar::new(),
        }
    }

    /// Adds a line, or drops it where there is no room.
    pub(super) fn add(&self, text: Vec<u8>) {
        let mut state = self.lock();
        if self.has_room(&state, text.len()) {
            state.bytes += text.len();
            let dropped_before = std::mem::take(&mut state.dropped);
            state.waiting.push_back(Entry::Line {
                text,
                dropped_before,
            });
        } else {
            state.dropped += 1;
            self.count_dropped();
        }
        self.news.notify_one();
    }

    /// Adds a frame, replacing one that was not yet shown; dropped where there is no room.
    pub(super) fn show(&self, frame: Vec<u8>) {
        let mut state = self.lock();
        if let Some(Entry::Frame(old)) = state.waiting.back() {
            state.bytes -= old.len();
            state.waiting.pop_back();
        }
        if self.has_room(&state, frame.len()) {
            state.bytes += frame.len();
            state.waiting.push_back(Entry::Frame(frame));
            self.news.notify_one();
        }
    }

    fn has_room(&self, state: &State, length: usize) -> bool {
        let Bounds {
            lines,
            bytes,
            longest,
        } = self.bounds;
        state.end.is_none()
            && length <= longest
            && state.waiting.len() < lines
            && state.bytes + length <= bytes
    }

    /// Counts a line that is not written.
    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of dropped lines.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The writer's next step, after the previous one is done; waits for it, for at most `patience`
    /// if given.
    pub(super) fn next(&self, patience: Option<Duration>) -> Next {
        let mut state = self.lock();
        state.at_work = false;
        state.rounds += 1;
        let mut timed_out = false;
        loop {
            if let Some(next) = state.next(timed_out) {
                state.at_work = next != Next::End;
                if next == Next::End {
                    self.idle.notify_all();
                }
                return next;
            }
            self.idle.notify_all();
            (state, timed_out) = match patience {
                None => (
                    self.news
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner),
                    false,
                ),
                Some(patience) => {
                    let (state, waited) = self
                        .news
                        .wait_timeout(state, patience)
                        .unwrap_or_else(PoisonError::into_inner);
                    (state, waited.timed_out())
                }
            };
        }
    }

    /// Waits until everything is written, for at most `limit`, and not at all while the writer has
    /// not moved since a caller waited in vain.
    pub(super) fn flush(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while !state.is_idle() && state.in_vain != Some(state.rounds) {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                state.in_vain = Some(state.rounds);
                return;
            };
            state = self
                .idle
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Closes the queue; what is queued is written for at most `limit`.
    pub(super) fn end(&self, limit: Duration) {
        let mut state = self.lock();
        state.end = Some(Instant::now() + limit);
        self.news.notify_one();
    }

    /// The lines that the writer has not begun with, where it is not at work: then it waits for no
    /// reader, but got no time from the system. They are nobody else's afterwards.
    pub(super) fn rest(&self) -> Vec<Vec<u8>> {
        let mut state = self.lock();
        if state.at_work {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut state.waiting).into_iter();
        waiting
            .filter_map(|entry| match entry {
                Entry::Line { text, .. } => Some(text),
                Entry::Frame(_) => None,
            })
            .collect()
    }

    /// Whether the writer has to give up what it is writing.
    pub(super) fn is_over(&self) -> bool {
        self.lock().end.is_some_and(|end| Instant::now() >= end)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self, timed_out: bool) -> Option<Next> {
        if let Some(entry) = self.waiting.pop_front() {
            let (Entry::Line { text, .. } | Entry::Frame(text)) = &entry;
            self.bytes -= text.len();
            return Some(Next::Write(entry));
        }
        if self.dropped > 0 {
            return Some(Next::Dropped(std::mem::take(&mut self.dropped)));
        }
        match (self.end, timed_out) {
            (Some(_), _) => Some(Next::End),
            (None, true) => Some(Next::Nothing),
            (None, false) => None,
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.dropped == 0 && !self.at_work
    }
}
