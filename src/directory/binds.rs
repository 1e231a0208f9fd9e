//! Counts the binds and refusals of one server.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use chrono::{DateTime, Utc};

use super::result_code::is_refusal;
use crate::config::Secret;

/// The binds of one server since the program started.
#[derive(Debug, Default)]
pub(super) struct Binds {
    tried: AtomicU64,
    refused: AtomicU64,
    last_refusal: Mutex<Option<(Instant, Option<Secret>)>>,
    last_acceptance: Mutex<Option<(DateTime<Utc>, Option<Secret>)>>,
}

/// A bind that is about to be sent.
pub(super) struct BindAttempt<'a>(&'a Binds);

impl Binds {
    /// Counts a bind that is about to be sent.
    pub fn begin(&self) -> BindAttempt<'_> {
        self.tried.fetch_add(1, Ordering::Relaxed);
        BindAttempt(self)
    }

    /// Binds that were sent.
    pub fn tried(&self) -> u64 {
        self.tried.load(Ordering::Relaxed)
    }

    /// Binds whose credentials were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The password that was accepted last, if any credentials were; none for those without one.
    pub fn last_acceptance(&self) -> Option<Option<Secret>> {
        let last = self
            .last_acceptance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(_, password)| password.clone())
    }

    /// When credentials were last accepted.
    pub fn last_accepted_at(&self) -> Option<DateTime<Utc>> {
        let last = self
            .last_acceptance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(at, _)| *at)
    }

    /// When credentials were last refused, and with which password.
    pub fn last_refusal(&self) -> Option<(Instant, Option<Secret>)> {
        self.last_refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl BindAttempt<'_> {
    /// The server answered with this result code.
    pub fn answered(self, code: u32, password: Option<&Secret>) {
        if code == 0 {
            *self
                .0
                .last_acceptance
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some((Utc::now(), password.cloned()));
        }
        if is_refusal(code) {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            let mut last = self
                .0
                .last_refusal
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *last = Some((Instant::now(), password.cloned()));
        }
    }
}
