//! Those who are told about a job.

use super::{
    alive::AliveReceiver, deliver::Trouble, mail::MailReceiver, message::Message, settled::Settled,
    webhook::WebhookReceiver,
};
use crate::config::Notifications;

/// One that is told about a job.
#[derive(Debug)]
pub enum Receiver {
    /// People, by mail.
    Mail(Box<MailReceiver>),
    /// A program, or the people of a channel.
    Webhook(Box<WebhookReceiver>),
    /// A dead man's switch.
    Alive(Box<AliveReceiver>),
}

/// Which one of a job's receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "as the variants of a receiver")]
pub enum ReceiverKind {
    Mail,
    Webhook,
    Alive,
}

impl ReceiverKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mail, Self::Webhook, Self::Alive];

    /// The name in events and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Alive => "alive",
        }
    }

    /// Whether people read there what happened.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        match self {
            Self::Mail | Self::Webhook => true,
            Self::Alive => false,
        }
    }

    /// Whether a job has it.
    #[must_use]
    pub fn is_of(self, job: &Notifications) -> bool {
        match self {
            Self::Mail => job.mail.is_some(),
            Self::Webhook => job.webhook.is_some(),
            Self::Alive => job.alive.is_some(),
        }
    }
}

impl Receiver {
    /// That of a job, if it has one; `host` is this machine's name.
    #[must_use]
    pub fn of(kind: ReceiverKind, job: &Notifications, host: &str) -> Option<Self> {
        match kind {
            ReceiverKind::Mail => {
                let mail = job.mail.as_ref()?;
                Some(Self::Mail(Box::new(MailReceiver::new(mail, host))))
            }
            ReceiverKind::Webhook => {
                let webhook = job.webhook.as_ref()?;
                Some(Self::Webhook(Box::new(WebhookReceiver::new(webhook))))
            }
            ReceiverKind::Alive => {
                let alive = job.alive.as_ref()?;
                Some(Self::Alive(Box::new(AliveReceiver::new(alive))))
            }
        }
    }

    /// Where it is, as far as it may be shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Mail(mail) => mail.shown(),
            Self::Webhook(webhook) => webhook.shown(),
            Self::Alive(alive) => alive.shown(),
        }
    }

    /// One attempt, for those addresses of a mail that are not settled.
    ///
    /// # Errors
    /// The message did not get there.
    pub async fn send(&self, message: &Message, settled: &Settled) -> Result<(), Trouble> {
        match self {
            Self::Mail(mail) => mail.send(message, settled).await,
            Self::Webhook(webhook) => webhook.send(message).await,
            Self::Alive(alive) => alive.call().await,
        }
    }
}
