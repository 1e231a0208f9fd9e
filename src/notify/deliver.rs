//! Attempts to deliver one message: each has a time limit, and so have all of them.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::ended::short;
use crate::config::MASK;

/// The first delay before another attempt; it grows fourfold, with jitter.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// The longest delay, also of those that a receiver asks for.
const LONGEST_DELAY: Duration = Duration::from_secs(120);

/// Why an attempt did not deliver a message. No text contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Another attempt would end in the same way.
    Lasting(String),
    /// Another attempt may succeed.
    Passing {
        why: String,
        /// How long the receiver asks to wait.
        wait: Option<Duration>,
    },
}

impl Trouble {
    /// One that may pass.
    pub fn passing(why: impl Into<String>) -> Self {
        let why = why.into();
        Self::Passing { why, wait: None }
    }

    /// What is told about it.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Lasting(why) | Self::Passing { why, wait: _ } => why,
        }
    }
}

/// How much is done to deliver a message.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Limits {
    /// For one attempt.
    pub time: Duration,
    pub attempts: usize,
}

/// Makes attempts until one succeeds, or no other one makes sense.
///
/// # Errors
/// None succeeded: that of the last one.
pub async fn deliver<F>(limits: Limits, attempt: impl Fn() -> F) -> Result<(), Trouble>
where
    F: Future<Output = Result<(), Trouble>>,
{
    let delays = ExponentialBuilder::default()
        .with_min_delay(FIRST_DELAY)
        .with_factor(4.0)
        .with_max_delay(LONGEST_DELAY)
        .with_max_times(limits.attempts.saturating_sub(1))
        .with_jitter();
    let once = || within(limits.time, attempt());
    once.retry(delays)
        .when(|trouble: &Trouble| matches!(trouble, Trouble::Passing { .. }))
        .adjust(|trouble: &Trouble, delay: Option<Duration>| {
            let asked = match trouble {
                Trouble::Passing { wait, why: _ } => wait.unwrap_or_default(),
                Trouble::Lasting(_) => Duration::ZERO,
            };
            delay.map(|delay| delay.max(asked.min(LONGEST_DELAY)))
        })
        .await
}

/// One attempt within this time.
pub async fn within(
    limit: Duration,
    attempt: impl Future<Output = Result<(), Trouble>>,
) -> Result<(), Trouble> {
    let ended = tokio::time::timeout(limit, attempt).await;
    ended.unwrap_or_else(|_| {
        Err(Trouble::passing(format!(
            "it took longer than {}",
            humantime::format_duration(limit)
        )))
    })
}

/// Sets up what an attempt needs, from files that may be there again for the next one.
///
/// # Errors
/// It cannot be set up now.
pub async fn set_up<T: Send + 'static>(
    make: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Trouble> {
    // A slow disk does not block other work.
    let made = tokio::task::spawn_blocking(make).await;
    let made = made.unwrap_or_else(|error| Err(error.to_string()));
    made.map_err(Trouble::passing)
}

/// What a receiver said, as one line of bounded length; nothing of it where it repeats a secret.
pub fn said(text: &str, secrets: &[&str]) -> String {
    let text = text.trim();
    let is_repeated = |secret: &&str| !secret.is_empty() && text.contains(*secret);
    if secrets.iter().any(is_repeated) {
        return MASK.to_owned();
    }
    short(text)
}
