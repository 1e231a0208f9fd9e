//! Whether the person of an entry may sign in, as the entry shows it.

use chrono::{DateTime, NaiveDate, Utc};

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
    /// It cannot be told, and why: an entry that hides it must not be taken for an enabled one. But
    /// certainly not after a time, if there is one.
    Unclear(Box<str>, Option<DateTime<Utc>>),
}

impl Account {
    /// Whether it is certain that the person may not sign in at this time.
    #[must_use]
    pub fn is_disabled(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Disabled => true,
            Self::Until(end) | Self::Unclear(_, Some(end)) => *end <= now,
            Self::Enabled | Self::Unclear(_, None) => false,
        }
    }

    /// When it ended, where that is why the person may not sign in at this time.
    #[must_use]
    pub fn ended(&self, now: DateTime<Utc>) -> Option<NaiveDate> {
        match self {
            Self::Until(end) | Self::Unclear(_, Some(end)) if *end <= now => Some(end.date_naive()),
            Self::Until(_) | Self::Unclear(..) | Self::Enabled | Self::Disabled => None,
        }
    }

    /// What two signs of one entry show together: one that disables is enough, and the earlier end
    /// counts.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Disabled, _) | (_, Self::Disabled) => Self::Disabled,
            // In an order that says nothing.
            (Self::Unclear(one, end), Self::Unclear(other, other_end)) => {
                Self::Unclear(one.min(other), earlier(end, other_end))
            }
            (Self::Unclear(why, end), Self::Until(other))
            | (Self::Until(other), Self::Unclear(why, end)) => {
                Self::Unclear(why, earlier(end, Some(other)))
            }
            (unclear @ Self::Unclear(..), Self::Enabled)
            | (Self::Enabled, unclear @ Self::Unclear(..)) => unclear,
            (Self::Until(one), Self::Until(other)) => Self::Until(one.min(other)),
            (Self::Until(end), Self::Enabled) | (Self::Enabled, Self::Until(end)) => {
                Self::Until(end)
            }
            (Self::Enabled, Self::Enabled) => Self::Enabled,
        }
    }
}

fn earlier(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unclear_is_neither_enabled_nor_disabled() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let unclear = || Account::Unclear("hidden".into(), None);
        assert!(!unclear().is_disabled(now));
        for (other, is_disabled) in [
            (Account::Enabled, false),
            (Account::Disabled, true),
            (Account::Until(now), true),
            (Account::Until(DateTime::<Utc>::MAX_UTC), false),
            (unclear(), false),
        ] {
            assert_eq!(unclear().and(other.clone()).is_disabled(now), is_disabled);
            assert_eq!(other.and(unclear()).is_disabled(now), is_disabled);
        }
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
        assert_eq!(ends.ended(at(9)), None);
        assert_eq!(ends.ended(at(10)), NaiveDate::from_ymd_opt(1970, 1, 1));
        assert_eq!(Account::Disabled.ended(at(10)), None);
        assert_eq!(ends.and(Account::Disabled), Account::Disabled);
    }
}
