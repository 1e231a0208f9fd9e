//! The attempts of a call.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use futures_util::FutureExt;

use super::{CallKind, Failed, Reader, Until};
use crate::{
    event::{Event, RunName},
    ftrack::{
        answer::{Expected, ResponseItem},
        error::{FtrackError, FtrackErrorKind},
        key::Keys,
        operation::Operation,
        stopped::StopCause,
        window::TooMuch,
    },
};

/// The longest Retry-After of a server for which a call waits; a longer one ends the call, and the
/// job waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The first delay before a retry; doubles, with jitter.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest delay of our own.
const LONGEST_DELAY: Duration = Duration::from_secs(20);

impl Reader {
    /// The answers, and how long the last attempt took.
    pub(super) async fn attempts<A: ResponseItem>(
        &self,
        (body, expected): (&[u8], &Expected),
        operations: &[Operation],
        until: &Until,
        kind: CallKind,
        again: impl Fn(&Failed) -> bool,
    ) -> Result<(Vec<A>, Duration), FtrackError> {
        let tries = AtomicU64::new(0);
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(self.shared.attempts - 1)
            .with_jitter();
        let attempt = || async {
            tries.fetch_add(1, Ordering::Relaxed);
            self.attempt(body.to_vec(), expected, until, kind).await
        };
        let cancel = until.cancel.clone();
        let outcome = attempt
            .retry(backoff)
            .when(again)
            .adjust(|failed: &Failed, delay: Option<Duration>| {
                if let Some(asked) = failed.retry_after.filter(|asked| *asked > LONGEST_WAIT) {
                    // Longer than a run should take: the job waits.
                    self.observed.ask_to_wait(asked);
                    return None;
                }
                let asked = failed.retry_after.unwrap_or_default();
                let delay = delay?.max(asked);
                // Waiting past the deadline would only hide the error.
                (delay < until.deadline.saturating_duration_since(Instant::now())).then_some(delay)
            })
            .notify(|failed: &Failed, delay| {
                self.shared.retries.fetch_add(1, Ordering::Relaxed);
                let (job, run) = &*self.run;
                Event::FtrackRetried {
                    of: RunName { job, run },
                    trouble: &failed.trouble.to_string(),
                    delay,
                    logged: self.observed.retry(&failed.trouble),
                }
                .emit()
            })
            .sleep(move |delay| {
                let cancel = cancel.clone();
                async move {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = tokio::time::sleep(delay) => {}
                    }
                }
            })
            .await;
        let error = |failed: Failed| {
            self.error(
                operations,
                u32::try_from(tries.into_inner()).unwrap_or(u32::MAX),
                failed.trouble,
            )
        };
        outcome
            .map_err(error)
            .inspect(|_| self.note_acceptance())
            .inspect_err(|error| self.note_refusal(error, operations))
    }

    fn note_acceptance(&self) {
        let accepted = &self.shared.last_acceptance;
        *accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.keys());
    }

    fn note_refusal(&self, error: &FtrackError, operations: &[Operation]) {
        // The key was valid for reading the users right before.
        let is_start = matches!(operations, [Operation::DelayedJob { .. }])
            && !matches!(error.kind(), FtrackErrorKind::Credentials(_));
        if error.cause() == StopCause::Credentials && !is_start {
            let mut last = self
                .shared
                .last_refusal
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *last = Some((Instant::now(), self.keys()));
        }
    }

    async fn attempt<A: ResponseItem>(
        &self,
        body: Vec<u8>,
        expected: &Expected,
        until: &Until,
        kind: CallKind,
    ) -> Result<(Vec<A>, Duration), Failed> {
        let place = tokio::select! {
            biased;
            () = until.cancel.cancelled() => return Err(FtrackErrorKind::Cancelled.into()),
            () = tokio::time::sleep_until(until.deadline.into()) => return Err(FtrackErrorKind::DeadlinePassed.into()),
            place = self.shared.window.place() => place.map_err(|_| FtrackErrorKind::Cancelled)?,
        };
        match self.sent(body, expected, kind).await {
            Ok(answers) => Ok((answers, place.answered())),
            Err(failed) => {
                if TooMuch::of(&failed.trouble).at_once {
                    place.overloaded();
                }
                Err(failed)
            }
        }
    }

    /// Sends a call, and takes its answer in.
    async fn sent<A: ResponseItem>(
        &self,
        body: Vec<u8>,
        expected: &Expected,
        kind: CallKind,
    ) -> Result<Vec<A>, Failed> {
        let counts = [self.calls.of(kind), self.shared.total.of(kind)];
        // Counted before it is sent, since a page that turns out to be unneeded is dropped while in
        // flight.
        for count in counts {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let request = self
            .shared
            .client
            .post(self.shared.endpoint.clone())
            .header(Keys::HEADER, self.keys().header());
        let sent = request.body(body).send().await;
        if sent.as_ref().is_err_and(reqwest::Error::is_connect) {
            for count in counts {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let response = sent.map_err(|error| self.lost(&error))?;
        let received = AssertUnwindSafe(self.received(response, expected)).catch_unwind();
        received.await.unwrap_or_else(|_| {
            let reason = "a library could not cope with it".to_owned();
            Err(FtrackErrorKind::Malformed(reason).into())
        })
    }
}
