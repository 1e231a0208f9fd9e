//! Injected faults: what can go wrong with a call, and with which one.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use super::gate::Gate;

/// What goes wrong with one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 429, with or without a delay.
    TooManyRequests(Option<RetryAfter>),
    /// This status (500, 502, 503, ...) with an HTML page, as load balancers answer.
    Html(u16),
    /// ftrack's own error of a key that is not valid, and nothing was done.
    KeyRefused,
    /// The connection is reset, and nothing was done.
    ResetBefore,
    /// Everything was done, and then the connection is reset: the answer is lost.
    ResetAfter,
    /// There is never an answer, and nothing was done.
    StallBefore,
    /// Everything was done, and then never an answer.
    StallAfter,
    /// Everything was done; the answer is a whole HTTP message whose JSON stops half-way.
    TruncatedJson,
    /// Everything was done; the connection ends half-way through the answer.
    CutBody,
    /// Everything was done, and then the server's own error object says with 500 that it failed.
    ErrorAfter,
    /// Everything was done; the answer comes that much later.
    Delay(Duration),
    /// Everything was done; the answer comes once the gate is open.
    HoldAnswer(Gate),
    /// Nothing is done, and so not answered, before the gate is open; then everything is done, also
    /// where the client has gone since.
    HoldRequest(Gate),
    /// 307 to that address, and nothing was done.
    Redirect(String),
}

/// The form of the delay in a 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum RetryAfter {
    Seconds(u64),
    /// As an HTTP date.
    At(SystemTime),
}

impl RetryAfter {
    /// The header's text.
    pub(super) fn header(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::At(moment) => httpdate::fmt_http_date(moment),
        }
    }
}

/// Whether a call only reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Only queries, searches, schemas and server information.
    Read,
    /// At least one operation that may change something.
    Write,
}

/// The properties of a call by which a fault can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its number among all calls with accepted credentials, from 1.
    pub number: u64,
    /// Whether it only reads.
    pub kind: CallKind,
    /// Its number among the calls of its kind, from 1.
    pub number_of_kind: u64,
    /// How many operations it has.
    pub operations: usize,
}

type Choice = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// The faults to inject.
#[derive(Default)]
pub(super) struct Faults {
    next: VecDeque<(Option<CallKind>, Fault)>,
    choices: Vec<Choice>,
}

impl Faults {
    /// Queues a fault for one call of that kind, or of any.
    pub(super) fn queue(&mut self, kind: Option<CallKind>, fault: Fault) {
        self.next.push_back((kind, fault));
    }

    /// Adds a rule that is evaluated at every call.
    pub(super) fn choose(&mut self, choice: Choice) {
        self.choices.push(choice);
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault of this call: from the queue first, else of the first rule that has one.
    pub(super) fn take(&mut self, call: &Call) -> Option<Fault> {
        let queued = self
            .next
            .iter()
            .position(|(kind, _)| kind.is_none_or(|kind| kind == call.kind));
        match queued.and_then(|place| self.next.remove(place)) {
            Some((_, fault)) => Some(fault),
            None => self.choices.iter_mut().find_map(|choice| choice(call)),
        }
    }
}
