//! The events about messages to people.

use crate::escape::escape_control;

/// What became of a message to one receiver.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct NotificationEvent<'a> {
    pub job: &'a str,
    /// Empty where it is about no run.
    pub run: &'a str,
    /// `mail`, `webhook` or `alive`.
    pub receiver: &'a str,
    /// What it is about, with commas between; empty for a call that shows that a job is alive.
    pub occasions: &'a str,
    pub became: Became<'a>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Became<'a> {
    /// The receiver took it.
    Sent { attempts: usize },
    /// No attempt got it there.
    Failed { attempts: usize, error: &'a str },
    /// It was not sent: too many waited before it, or the program ended.
    Dropped { error: &'a str },
}

/// Every event about messages with its level and fields; log monitors rely on these.
pub const EVENTS: &[(&str, &str, &[&str])] = &[
    (
        "notification.sent",
        "INFO; DEBUG for the receiver alive",
        &["job", "run", "receiver", "occasions", "attempts"],
    ),
    (
        "notification.failed",
        "WARN",
        &["job", "run", "receiver", "occasions", "attempts", "error"],
    ),
    (
        "notification.dropped",
        "WARN",
        &["job", "run", "receiver", "occasions", "error"],
    ),
];

impl NotificationEvent<'_> {
    /// Logs the event once.
    pub fn emit(self) {
        let Self {
            job,
            run,
            receiver,
            occasions,
            became,
        } = self;
        match became {
            Became::Sent { attempts } if receiver == "alive" => tracing::debug!(
                event = "notification.sent",
                job,
                run,
                receiver,
                occasions,
                attempts,
                "called"
            ),
            Became::Sent { attempts } => tracing::info!(
                event = "notification.sent",
                job,
                run,
                receiver,
                occasions,
                attempts,
                "message sent"
            ),
            Became::Failed { attempts, error } => tracing::warn!(
                event = "notification.failed",
                job,
                run,
                receiver,
                occasions,
                attempts,
                error = %escape_control(error),
                "message not sent"
            ),
            Became::Dropped { error } => tracing::warn!(
                event = "notification.dropped",
                job,
                run,
                receiver,
                occasions,
                error = %escape_control(error),
                "message dropped"
            ),
        }
    }
}
