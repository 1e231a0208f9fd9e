//! Addresses of mail.

use std::{fmt, str::FromStr};

use lettre::message::Mailbox;

/// A mail address, with or without a name before it: `IT <it@studio.test>`.
#[derive(Debug, Clone)]
pub struct MailAddress(Mailbox);

impl FromStr for MailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("{text:?} is not a mail address such as \"it@studio.test\" or \"IT <it@studio.test>\"")
        })
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Mailbox> for MailAddress {
    fn from(mailbox: Mailbox) -> Self {
        Self(mailbox)
    }
}

impl From<MailAddress> for Mailbox {
    fn from(address: MailAddress) -> Self {
        address.0
    }
}
