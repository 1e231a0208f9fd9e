//! The messages to one receiver, one after another: one that is slow or gone delays only its own.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::{
    Post,
    deliver::{Limits, Trouble, deliver},
    outbox::{Outbox, Waiting},
    receiver::{Receiver, ReceiverKind},
};
use crate::event::notification::Became;

/// The messages of a job to one of its receivers.
pub struct Line {
    pub job: String,
    pub kind: ReceiverKind,
    pub receiver: Receiver,
    pub limits: Limits,
    pub outbox: Outbox,
    pub post: Post,
}

impl Line {
    /// Delivers messages as often as it is woken; ends when nobody can wake it any more.
    pub async fn run(self, mut woken: mpsc::Receiver<()>) {
        loop {
            // With another configuration, another line delivers the rest.
            while (!woken.is_closed() || self.post.closing.is_cancelled())
                && let Some(waiting) = self.outbox.next(&self.job, self.kind)
            {
                self.deliver(&waiting).await;
            }
            if woken.recv().await.is_none() {
                return;
            }
        }
    }

    async fn deliver(&self, waiting: &Waiting) {
        let message = &waiting.message;
        let attempts = AtomicUsize::new(0);
        let attempt = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            self.receiver.send(message, &waiting.settled)
        };
        let ended = tokio::select! {
            biased;
            () = self.post.stop.cancelled() => None,
            ended = deliver(self.limits, attempt) => Some(ended),
        };
        let may_be_taken = match &ended {
            Some(Ok(()) | Err(Trouble::Lasting(_))) => false,
            Some(Err(Trouble::Passing { .. })) | None => waiting.kind.is_for_people(),
        };
        if may_be_taken {
            self.outbox.put_off(waiting).await;
        } else {
            self.outbox.end(waiting.kind, message).await;
        }
        let attempts = attempts.into_inner();
        let became = match &ended {
            Some(Ok(())) => Became::Sent { attempts },
            Some(Err(trouble)) => Became::Failed {
                attempts,
                error: trouble.why(),
            },
            None if self.outbox.outlives_the_program(waiting.kind) => Became::Failed {
                attempts,
                error: "the program ended before it was delivered; a later one tries it again",
            },
            None => Became::Dropped {
                error: "the program ended before it was delivered",
            },
        };
        let of = (message.job.as_str(), message.run.as_deref());
        let occasions = message.occasions.join(",");
        self.post.became(of, waiting.kind, &occasions, became);
    }
}
