//! The messages to one receiver, one after another: one that is slow or gone delays only its own.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    Post,
    deliver::{Limits, Trouble, deliver},
    message::Message,
    receiver::{Receiver, ReceiverKind},
    undelivered::Undelivered,
};
use crate::event::notification::Became;

/// How many messages may wait for one receiver.
pub const WAITING: usize = 16;

/// Delivers messages to one receiver until there are no more.
pub async fn run(
    receiver: Receiver,
    kind: ReceiverKind,
    mut messages: mpsc::Receiver<Arc<Message>>,
    (limits, undelivered): (Limits, Undelivered),
    post: Post,
) {
    while let Some(message) = messages.recv().await {
        let delivered = deliver(limits, || receiver.send(&message));
        let ended = tokio::select! {
            biased;
            () = post.stop.cancelled() => None,
            ended = delivered => Some(ended),
        };
        match &ended {
            Some((_, Err(Trouble::Passing { .. }))) if kind.is_told() => {
                undelivered.keep(kind, &message);
            }
            Some(_) => undelivered.forget(kind, &message),
            None => {}
        }
        let why;
        let became = match ended {
            Some((attempts, Ok(()))) => Became::Sent { attempts },
            Some((attempts, Err(trouble))) => {
                why = trouble.why().to_owned();
                Became::Failed {
                    attempts,
                    error: &why,
                }
            }
            None => Became::Dropped {
                error: "the program ended before it was delivered",
            },
        };
        let of = (message.job.as_str(), message.run.as_deref());
        post.became(of, kind, &message.occasions.join(","), became);
    }
}
