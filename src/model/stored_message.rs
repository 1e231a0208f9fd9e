//! What is remembered of what people are told.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

/// A message that its receiver has not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct StoredMessage {
    pub job: String,
    /// `mail` or `webhook`.
    pub receiver: String,
    /// The message's id, of which each receiver has one message at most.
    pub id: String,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The message, as JSON.
    pub message: String,
    /// The addresses of a mail that get it no more: they have it, or were refused for good.
    pub settled: BTreeSet<String>,
}

/// A run that ended, and of which nobody was told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct UntoldRun {
    pub job: String,
    pub run: String,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// Up to when the digests of a job are made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub struct DigestMark {
    pub job: String,
    /// The cron expression by which they were due.
    pub schedule: String,
    pub until: DateTime<Utc>,
}

/// What is remembered of a message besides itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "some fields are self-explanatory")]
pub enum MessageMark {
    /// It is a digest.
    Digest(DigestMark),
    /// It says that a run of this job failed without a report.
    Failed { job: String, at: DateTime<Utc> },
    /// It says what the next run with a report says of this job.
    Reported { job: String },
}
