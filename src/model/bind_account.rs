//! As whom a directory's servers were entered.

use std::fmt;

/// The account of a bind, which decides what can be seen of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum BindAccount {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// The account with this bind DN.
    Named(String),
    /// That of a client certificate with this subject; none where it is not known.
    Certificate(Option<String>),
    /// That of a user of this machine, by number; none where it is not known.
    User(Option<u32>),
    /// That of a Kerberos principal; none where it is not known.
    Ticket(Option<String>),
}

const CERTIFICATE: &str = "certificate";
const USER: &str = "the program's user";
const TICKET: &str = "a Kerberos ticket";
/// Before what is known of it.
const BY_SUBJECT: &str = "certificate of the subject ";
const BY_NUMBER: &str = "the program's user by number ";
const BY_PRINCIPAL: &str = "a Kerberos ticket by principal ";

impl BindAccount {
    /// The account of a text that was saved. Texts of earlier versions say how a bind was made, and
    /// not as whom: they named the file of a certificate.
    #[must_use]
    pub fn saved(text: &str) -> Self {
        let known = |text: &str| Some(text.to_owned());
        if let Some(subject) = text.strip_prefix(BY_SUBJECT) {
            Self::Certificate(known(subject))
        } else if let Some(number) = text.strip_prefix(BY_NUMBER) {
            Self::User(number.parse().ok())
        } else if let Some(principal) = text.strip_prefix(BY_PRINCIPAL) {
            Self::Ticket(known(principal))
        } else if text == CERTIFICATE || text.starts_with("certificate ") {
            Self::Certificate(None)
        } else if text == USER {
            Self::User(None)
        } else if text == TICKET || text.starts_with("a Kerberos ticket of ") {
            Self::Ticket(None)
        } else if text.is_empty() {
            Self::Anonymous
        } else {
            Self::Named(text.to_owned())
        }
    }

    /// Whether both may be the same account: what is not known is no difference.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        // Directories compare both without regard to case.
        let may_be = |own: &Option<String>, other: &Option<String>| match (own, other) {
            (Some(own), Some(other)) => own.eq_ignore_ascii_case(other),
            (None, _) | (_, None) => true,
        };
        match (self, other) {
            (Self::Certificate(own), Self::Certificate(other))
            | (Self::Ticket(own), Self::Ticket(other)) => may_be(own, other),
            (Self::User(own), Self::User(other)) => {
                own.is_none() || other.is_none() || own == other
            }
            (Self::Anonymous, Self::Anonymous) => true,
            (Self::Named(own), Self::Named(other)) => own == other,
            (
                Self::Anonymous
                | Self::Named(_)
                | Self::Certificate(_)
                | Self::User(_)
                | Self::Ticket(_),
                _,
            ) => false,
        }
    }
}

/// As it is saved.
impl fmt::Display for BindAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => Ok(()),
            Self::Named(dn) => f.write_str(dn),
            Self::Certificate(None) => f.write_str(CERTIFICATE),
            Self::Certificate(Some(subject)) => write!(f, "{BY_SUBJECT}{subject}"),
            Self::User(None) => f.write_str(USER),
            Self::User(Some(number)) => write!(f, "{BY_NUMBER}{number}"),
            Self::Ticket(None) => f.write_str(TICKET),
            Self::Ticket(Some(principal)) => write!(f, "{BY_PRINCIPAL}{principal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Vec<BindAccount> {
        let text = |text: &str| Some(text.to_owned());
        vec![
            BindAccount::Anonymous,
            BindAccount::Named("cn=sync,dc=studio,dc=test".into()),
            BindAccount::Named("cn=other,dc=studio,dc=test".into()),
            BindAccount::Certificate(text("cn=sync")),
            BindAccount::Certificate(text("cn=other")),
            BindAccount::User(Some(1000)),
            BindAccount::User(Some(1001)),
            BindAccount::Ticket(text("sync@STUDIO.TEST")),
            BindAccount::Ticket(text("other@STUDIO.TEST")),
        ]
    }

    #[test]
    fn each_is_only_itself_also_when_it_was_saved() {
        let (now, saved) = (accounts(), accounts());
        for (place, account) in now.iter().enumerate() {
            for (other, saved) in saved.iter().enumerate() {
                let saved = BindAccount::saved(&saved.to_string());
                assert_eq!(account.may_be(&saved), place == other, "{account} {saved}");
                assert_eq!(saved.may_be(account), place == other, "{account} {saved}");
            }
        }
    }

    #[test]
    fn what_earlier_versions_saved_is_the_account_of_any_such_bind_and_of_no_other() {
        let of_bind = |account: &BindAccount| match account {
            BindAccount::Anonymous | BindAccount::Named(_) => "",
            BindAccount::Certificate(_) => "certificate /etc/sync/client.pem",
            BindAccount::User(_) => "the program's user",
            BindAccount::Ticket(_) => "a Kerberos ticket",
        };
        let saved = [
            "certificate /etc/sync/client.pem",
            "the program's user",
            "a Kerberos ticket",
        ];
        for account in accounts() {
            for text in saved {
                let may_be = account.may_be(&BindAccount::saved(text));
                assert_eq!(may_be, of_bind(&account) == text, "{account} {text}");
            }
        }
        let named = BindAccount::saved("a Kerberos ticket of sync");
        assert_eq!(named, BindAccount::Ticket(None));
    }

    #[test]
    fn case_makes_no_other_account_of_a_ticket_or_a_certificate() {
        let ticket = |principal: &str| BindAccount::Ticket(Some(principal.to_owned()));
        assert!(ticket("sync@STUDIO.TEST").may_be(&ticket("SYNC@STUDIO.TEST")));
    }
}
