//! Whether the person of an entry may sign in, as the entry shows it.

use chrono::{DateTime, Utc};

/// What an entry shows of its person's account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Account {
    /// The person may sign in.
    #[default]
    Enabled,
    /// The person may sign in until this time.
    Until(DateTime<Utc>),
    /// The person may not sign in.
    Disabled,
    /// It cannot be told, and why: an entry that hides it must not be taken for an enabled one.
    Unclear(Box<str>),
}

impl Account {
    /// Whether it is certain that the person may not sign in at this time.
    #[must_use]
    pub fn is_disabled(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Disabled => true,
            Self::Until(end) => *end <= now,
            Self::Enabled | Self::Unclear(_) => false,
        }
    }

    /// What two signs show together: what is unclear stays so, and the earlier end counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            // In an order that says nothing.
            (Self::Unclear(one), Self::Unclear(other)) => Self::Unclear(one.min(other)),
            (Self::Unclear(why), _) | (_, Self::Unclear(why)) => Self::Unclear(why),
            (Self::Disabled, _) | (_, Self::Disabled) => Self::Disabled,
            (Self::Until(one), Self::Until(other)) => Self::Until(one.min(other)),
            (Self::Until(end), Self::Enabled) | (Self::Enabled, Self::Until(end)) => {
                Self::Until(end)
            }
            (Self::Enabled, Self::Enabled) => Self::Enabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unclear_is_neither_enabled_nor_disabled() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let unclear = || Account::Unclear("hidden".into());
        for other in [Account::Enabled, Account::Disabled, Account::Until(now)] {
            assert_eq!(unclear().and(other.clone()), unclear());
            assert_eq!(other.and(unclear()), unclear());
        }
        assert!(!unclear().is_disabled(now));
    }

    #[test]
    fn the_earlier_end_counts() {
        let at = |seconds: i64| DateTime::from_timestamp_nanos(seconds * 1_000_000_000);
        let ends = Account::Until(at(10)).and(Account::Until(at(20)));
        assert_eq!(ends, Account::Until(at(10)));
        assert!(!ends.is_disabled(at(9)));
        assert!(ends.is_disabled(at(10)));
        assert_eq!(
            Account::Enabled.and(Account::Until(at(3))),
            Account::Until(at(3))
        );
        assert_eq!(ends.and(Account::Disabled), Account::Disabled);
    }
}
