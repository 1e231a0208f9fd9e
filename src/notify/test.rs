//! A test message to each receiver of a job.

use chrono::Utc;

use super::{
    deliver::within,
    message::About,
    receiver::{Receiver, ReceiverKind},
    receivers,
    settled::Settled,
};
use crate::config::Job;

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// Which receiver.
    pub kind: ReceiverKind,
    /// Where it is, as far as it may be shown.
    pub to: String,
    /// Why the message did not get there.
    pub error: Option<String>,
}

/// Sends a message to each receiver of a job, once, to all at the same time; the address that shows
/// that a job is alive is called.
pub async fn test(name: &str, job: &Job, host: &str) -> Vec<Tested> {
    let about = About {
        job: name,
        host,
        page_url: job.notifications.page_url.as_ref(),
    };
    let message = about.test(Utc::now());
    let tests = receivers(&job.notifications).filter_map(|kind| {
        let receiver = Receiver::of(kind, &job.notifications, host)?;
        Some((kind, receiver))
    });
    let tests = tests.map(|(kind, receiver)| {
        let message = &message;
        async move {
            let settled = Settled::default();
            let sent = within(
                job.notifications.time_limit,
                receiver.send(message, &settled),
            )
            .await;
            Tested {
                kind,
                to: receiver.shown(),
                error: sent.err().map(|trouble| trouble.why().to_owned()),
            }
        }
    });
    futures_util::future::join_all(tests).await
}
