//! How much ftrack gets to do at a time: rows of a page, calls in flight, and changes in one call. They
//! begin small, grow while answers come fast, and are halved where the server is overloaded, as a
//! congestion window is (RFC 5681 section 3). No I/O.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{FtrackErrorKind, WriteFailure};
use crate::model::call_sizes::CallSizes;

/// The rows of a page that any server answers: with so many begins whatever is not known.
pub(super) const FIRST_ROWS: u32 = 500;
/// The calls in flight at first.
const FIRST_CALLS: usize = 4;
/// The changes of a call at first.
const FIRST_CHANGES: usize = 100;

/// An answer within this time is fast enough for more calls.
const FAST: Duration = Duration::from_secs(1);
/// A page within this time is fast enough for one of twice as many rows.
const FAST_PAGE: Duration = Duration::from_millis(500);
/// A page that takes longer has too many rows.
const SLOW_PAGE: Duration = Duration::from_secs(5);
/// A call within this time may be followed by one of twice as many changes.
const FAST_CHANGES: Duration = Duration::from_secs(2);
/// A call that takes longer has too many changes.
const SLOW_CHANGES: Duration = Duration::from_secs(15);

/// The window of one server, which all jobs share.
#[derive(Debug)]
pub(super) struct Window {
    most: CallSizes,
    state: Mutex<State>,
    places: Semaphore,
}

#[derive(Debug)]
struct State {
    now: CallSizes,
    /// The rows of a page that the server is not asked to exceed any more.
    most_rows: u32,
    /// Places that are taken away as soon as they are given back.
    surplus: usize,
    /// Fast answers since the last growth.
    fast: usize,
    /// When the window was last made smaller.
    shrunk_at: Option<Instant>,
    /// Whether anything was learned about the server.
    is_tried: bool,
}

/// A place of one call; it is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'w> {
    window: &'w Window,
    permit: Option<SemaphorePermit<'w>>,
    /// Whether it had to wait for the place.
    has_waited: bool,
    since: Instant,
}

impl Window {
    /// A window that does not grow beyond these sizes, each at least one.
    pub fn new(most: CallSizes) -> Self {
        let most = CallSizes {
            // Pages overlap by one row, so that a page needs at least two.
            page_rows: most.page_rows.max(2),
            calls: most.calls.clamp(1, Semaphore::MAX_PERMITS),
            changes: most.changes.max(1),
        };
        let now = CallSizes {
            page_rows: FIRST_ROWS.min(most.page_rows),
            calls: FIRST_CALLS.min(most.calls),
            changes: FIRST_CHANGES.min(most.changes),
        };
        Self {
            most,
            state: Mutex::new(State {
                now,
                most_rows: most.page_rows,
                surplus: 0,
                fast: 0,
                shrunk_at: None,
                is_tried: false,
            }),
            places: Semaphore::new(now.calls),
        }
    }

    /// Begins with what fitted an earlier run, unless this process knows better.
    pub fn begin_with(&self, known: CallSizes) {
        let mut state = self.state();
        if state.is_tried {
            return;
        }
        state.is_tried = true;
        state.now.page_rows = known.page_rows.clamp(2, state.most_rows);
        state.now.changes = known.changes.clamp(1, self.most.changes);
        self.set_calls(&mut state, known.calls.clamp(1, self.most.calls));
    }

    /// What fits the server, as far as that is known.
    pub fn sizes(&self) -> CallSizes {
        self.state().now
    }

    /// What is never exceeded.
    pub fn most(&self) -> CallSizes {
        self.most
    }

    /// The rows of a page that the server surely answers.
    pub fn sure_rows(&self) -> u32 {
        FIRST_ROWS.min(self.most.page_rows)
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// There are no places any more, which does not happen.
    pub async fn place(&self) -> Result<Place<'_>, tokio::sync::AcquireError> {
        let (permit, has_waited) = match self.places.try_acquire() {
            Ok(permit) => (permit, false),
            Err(_) => (self.places.acquire().await?, true),
        };
        Ok(Place {
            window: self,
            permit: Some(permit),
            has_waited,
            since: Instant::now(),
        })
    }

    /// Notes how long a page took.
    pub fn note_page(&self, asked: u32, rows: u32, took: Duration) {
        let mut state = self.state();
        let is_of_this_size = asked > state.now.page_rows / 2;
        if took > SLOW_PAGE && is_of_this_size {
            state.now.page_rows = (asked / 2).max(self.sure_rows()).min(state.now.page_rows);
            state.most_rows = state.now.page_rows;
        } else if took <= FAST_PAGE && is_of_this_size && rows == asked {
            state.now.page_rows = state.now.page_rows.saturating_mul(2).min(state.most_rows);
        }
    }

    /// Notes that a page of more rows than any server answers failed: from now on none has more.
    pub fn note_failed_page(&self) {
        self.note_limit(self.sure_rows());
    }

    /// Notes that the server gives at most so many rows.
    pub fn note_limit(&self, rows: u32) {
        let mut state = self.state();
        state.most_rows = rows.max(2).min(state.most_rows);
        state.now.page_rows = state.now.page_rows.min(state.most_rows);
    }

    /// Notes how a call about so many changes went.
    pub fn note_changes(&self, changes: usize, took: Duration, answer: &Result<(), WriteFailure>) {
        let now = &mut self.state().now.changes;
        match answer {
            Ok(()) if took <= FAST_CHANGES && changes >= *now => {
                *now = now.saturating_mul(2).min(self.most.changes);
            }
            Ok(()) | Err(WriteFailure::Refused(_)) if took > SLOW_CHANGES => {
                *now = (changes / 2).clamp(1, *now);
            }
            Err(WriteFailure::Unclear(_)) => *now = (changes / 2).clamp(1, *now),
            Ok(())
            | Err(WriteFailure::Refused(_) | WriteFailure::NotSent(_) | WriteFailure::Fatal(_)) => {
            }
        }
    }

    fn grow(&self, has_waited: bool) {
        let mut state = self.state();
        state.is_tried = true;
        // More places help only where there is somebody who waits for one.
        if !has_waited || state.now.calls >= self.most.calls {
            return;
        }
        state.fast += 1;
        let needed = match state.shrunk_at {
            None => 1,
            Some(_) => state.now.calls,
        };
        if state.fast >= needed {
            let more = state.now.calls + 1;
            self.set_calls(&mut state, more);
        }
    }

    fn shrink(&self, since: Instant) {
        let mut state = self.state();
        state.is_tried = true;
        // Calls that were in flight then tell nothing new.
        if state.shrunk_at.is_none_or(|at| since > at) {
            state.shrunk_at = Some(Instant::now());
            let fewer = (state.now.calls / 2).max(1);
            self.set_calls(&mut state, fewer);
        }
    }

    fn set_calls(&self, state: &mut State, calls: usize) {
        let places = state.now.calls + state.surplus;
        if calls > places {
            self.places.add_permits(calls - places);
        }
        state.surplus = places.saturating_sub(calls);
        state.surplus -= self.places.forget_permits(state.surplus);
        state.now.calls = calls;
        state.fast = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Gives the place back after an answer; returns how long the call took, without the wait for the
    /// place.
    pub fn answered(self) -> Duration {
        let took = self.since.elapsed();
        if took <= FAST {
            self.window.grow(self.has_waited);
        }
        took
    }

    /// Gives the place back after a call for which the server may have had too much to do.
    pub fn overloaded(self) {
        self.window.shrink(self.since);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.window.state();
        if let Some(permit) = self.permit.take()
            && state.surplus > 0
        {
            state.surplus -= 1;
            permit.forget();
        }
    }
}

/// What a failed call may have been too much for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch {
    /// The server had too much to do: fewer calls at a time may succeed.
    pub at_once: bool,
    /// A page of fewer rows may succeed.
    pub rows: bool,
}

impl TooMuch {
    /// What the error shows of that.
    pub fn of(trouble: &FtrackErrorKind) -> Self {
        let (at_once, rows) = match trouble {
            FtrackErrorKind::Busy(_) => (true, false),
            FtrackErrorKind::TimedOut(_) => (true, true),
            FtrackErrorKind::Status { status, .. } => (*status >= 500, true),
            FtrackErrorKind::Refused(refusal) => (refusal.status >= 500, true),
            FtrackErrorKind::Interrupted(_)
            | FtrackErrorKind::NotJson(_)
            | FtrackErrorKind::Damaged(_)
            | FtrackErrorKind::TooLarge(_) => (false, true),
            FtrackErrorKind::Setup(_)
            | FtrackErrorKind::Unreachable { .. }
            | FtrackErrorKind::DeadlinePassed
            | FtrackErrorKind::Cancelled
            | FtrackErrorKind::Redirected { .. }
            | FtrackErrorKind::TooMuch(_)
            | FtrackErrorKind::Malformed(_)
            | FtrackErrorKind::Credentials(_)
            | FtrackErrorKind::Permission(_)
            | FtrackErrorKind::Changing { .. }
            | FtrackErrorKind::CutShort { .. }
            | FtrackErrorKind::CustomAttribute(_)
            | FtrackErrorKind::UnusableGrant { .. } => (false, false),
        };
        Self { at_once, rows }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MOST: CallSizes = CallSizes {
        page_rows: 2000,
        calls: 8,
        changes: 300,
    };

    /// The places that are free.
    fn free(window: &Window) -> usize {
        window.places.available_permits()
    }

    #[tokio::test]
    async fn calls_grow_by_one_for_each_answer_for_which_somebody_waited_up_to_the_limit() {
        let window = Window::new(MOST);
        assert_eq!(free(&window), 4);
        window.place().await.unwrap().answered();
        assert_eq!(window.sizes().calls, 4, "nobody waited");
        for _ in 0..10 {
            window.grow(true);
        }
        assert_eq!((window.sizes().calls, free(&window)), (8, 8));
    }

    #[tokio::test]
    async fn a_call_begins_when_it_has_its_place() {
        let window = Window::new(CallSizes { calls: 1, ..MOST });
        let held = window.place().await.unwrap();
        let mut waiting = std::pin::pin!(window.place());
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        let free_since = Instant::now();
        drop(held);
        assert!(waiting.await.unwrap().since >= free_since);
    }

    #[tokio::test]
    async fn an_overload_halves_the_calls_once_for_all_that_were_in_flight() {
        let window = Window::new(MOST);
        let places = [
            window.place().await.unwrap(),
            window.place().await.unwrap(),
            window.place().await.unwrap(),
        ];
        places.into_iter().for_each(Place::overloaded);
        assert_eq!((window.sizes().calls, free(&window)), (2, 2));
        window.place().await.unwrap().overloaded();
        window.place().await.unwrap().overloaded();
        assert_eq!((window.sizes().calls, free(&window)), (1, 1));
        // Now it takes as many fast answers as there are calls.
        window.grow(true);
        assert_eq!(window.sizes().calls, 2);
        window.grow(true);
        assert_eq!(window.sizes().calls, 2);
        window.grow(true);
        assert_eq!((window.sizes().calls, free(&window)), (3, 3));
    }

    #[tokio::test]
    async fn places_in_use_are_taken_away_when_they_are_given_back_and_may_be_needed_again() {
        let window = Window::new(MOST);
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(window.place().await.unwrap());
        }
        window.shrink(Instant::now());
        assert_eq!(free(&window), 0);
        places.pop();
        places.pop();
        assert_eq!(free(&window), 0);
        window.grow(true);
        window.grow(true);
        assert_eq!((window.sizes().calls, free(&window)), (3, 1));
        places.clear();
        assert_eq!(free(&window), 3);
    }

    #[test]
    fn pages_double_while_they_are_fast_and_full_and_stay_below_what_failed() {
        let window = Window::new(MOST);
        let fast = Duration::from_millis(10);
        window.note_page(500, 499, fast);
        assert_eq!(window.sizes().page_rows, 500, "the list had no more");
        window.note_page(500, 500, fast);
        window.note_page(500, 500, fast);
        assert_eq!(window.sizes().page_rows, 1000, "an answer of before");
        window.note_page(1000, 1000, fast);
        window.note_page(2000, 2000, fast);
        assert_eq!(window.sizes().page_rows, 2000);
        window.note_page(2000, 2000, Duration::from_secs(6));
        window.note_page(1000, 1000, fast);
        assert_eq!(window.sizes().page_rows, 1000);
        window.note_failed_page();
        window.note_page(500, 500, fast);
        assert_eq!(window.sizes().page_rows, 500);
        window.note_limit(100);
        window.note_page(100, 100, fast);
        assert_eq!(window.sizes().page_rows, 100);
    }

    #[test]
    fn what_fitted_before_is_taken_over_within_the_limits_and_only_at_the_beginning() {
        let window = Window::new(MOST);
        window.begin_with(CallSizes {
            page_rows: 5000,
            calls: 6,
            changes: 200,
        });
        let begun = CallSizes {
            page_rows: 2000,
            calls: 6,
            changes: 200,
        };
        assert_eq!(window.sizes(), begun);
        window.begin_with(MOST);
        assert_eq!(window.sizes(), begun);
    }

    #[test]
    fn changes_double_while_full_calls_are_answered_fast_up_to_the_limit() {
        let window = Window::new(MOST);
        let fast = Duration::from_millis(100);
        window.note_changes(40, fast, &Ok(()));
        assert_eq!(window.sizes().changes, 100, "it was not full");
        window.note_changes(100, FAST_CHANGES * 2, &Ok(()));
        assert_eq!(window.sizes().changes, 100, "it was not fast");
        window.note_changes(100, fast, &Ok(()));
        window.note_changes(200, fast, &Ok(()));
        assert_eq!(window.sizes().changes, 300);
    }

    #[test]
    fn a_call_that_took_long_is_followed_by_one_of_fewer_changes_and_never_of_none() {
        let window = Window::new(MOST);
        window.note_changes(100, SLOW_CHANGES * 2, &Ok(()));
        assert_eq!(window.sizes().changes, 50);
        for _ in 0..10 {
            window.note_changes(window.sizes().changes, SLOW_CHANGES * 2, &Ok(()));
        }
        assert_eq!(window.sizes().changes, 1);
    }
}
