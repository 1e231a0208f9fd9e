//! Credentials that a server refused, and until when they are left alone: by every job, over restarts, whoever asks. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{backoff::after_refusal, orders::Refusal};
use crate::run::state::RefusedAccount;

/// The longest that refused credentials are left alone.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// So often a server may refuse credentials within [`LONGEST`], also when they change each time: the next one could lock the account.
const MOST: usize = 4;

/// The servers that refused credentials, by name: `ftrack`, or `directory` and its name.
#[derive(Debug, Default)]
pub struct Accounts {
    refused: BTreeMap<String, RefusedAccount>,
    /// When each of them did so lately.
    lately: BTreeMap<String, Vec<DateTime<Utc>>>,
}

/// A server with the mark of the credentials that would be used there; without one, there are none.
pub type Marked = (String, Option<String>);

impl Accounts {
    /// Those that are remembered.
    #[must_use]
    pub fn new(refused: BTreeMap<String, RefusedAccount>) -> Self {
        Self {
            refused,
            lately: BTreeMap::new(),
        }
    }

    /// The first of these servers that must not be tried yet.
    #[must_use]
    pub fn barred<'a>(&'a self, servers: &'a [Marked], now: DateTime<Utc>) -> Option<(&'a str, &'a RefusedAccount)> {
        servers.iter().find_map(|(server, mark)| {
            let account = self.refused.get(server)?;
            let same = is_same(account, mark.as_ref());
            // A clock that was set back does not bar for longer than was meant.
            let soon = account.next_at > now && account.next_at - now <= LONGEST + LONGEST / 10;
            (same && soon).then_some((server.as_str(), account))
        })
    }

    /// Whether one of these servers refused credentials other than those that would be used there now.
    #[must_use]
    pub fn have_changed(&self, servers: &[Marked]) -> bool {
        servers
            .iter()
            .any(|(server, mark)| self.refused.get(server).is_some_and(|account| !is_same(account, mark.as_ref())))
    }

    /// A server refused credentials: they are left alone from now on, the longer the oftener; when there were several within an hour, all others too.
    pub fn refused(&mut self, server: &str, mark: Option<String>, error: &str, now: DateTime<Utc>, jitter: f64) -> RefusedAccount {
        let same = |before: &&RefusedAccount| before.mark.is_none() || before.mark == mark;
        let before = self.refused.get(server).filter(same).map_or(0, |before| before.failures);
        let failures = before.saturating_add(1);
        let lately = self.lately.entry(server.to_owned()).or_default();
        lately.retain(|at| *at <= now && now - *at < LONGEST);
        lately.push(now);
        let oldest = lately.first().filter(|_| lately.len() >= MOST);
        let free_again = oldest.and_then(|oldest| oldest.checked_add_signed(LONGEST));
        let next_at = now.checked_add_signed(after_refusal(failures, LONGEST, jitter));
        let account = RefusedAccount {
            // Without one, whatever is configured has to wait.
            mark: mark.filter(|_| free_again.is_none()),
            failures,
            refused_at: now,
            error: error.to_owned(),
            next_at: next_at.max(free_again).unwrap_or(DateTime::<Utc>::MAX_UTC),
        };
        self.refused.insert(server.to_owned(), account.clone());
        account
    }

    /// The servers that refused credentials.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.refused.keys().map(String::as_str)
    }

    /// A server took the credentials; says whether it had refused some.
    pub fn accepted(&mut self, server: &str) -> bool {
        self.lately.remove(server);
        self.refused.remove(server).is_some()
    }
}

/// Whether the credentials that would be used are those that were refused; taken for so where it is not known.
fn is_same(account: &RefusedAccount, mark: Option<&String>) -> bool {
    account.mark.is_none() || mark == account.mark.as_ref()
}

/// The words for one who asks in vain.
#[must_use]
pub fn refusal((server, account): (&str, &RefusedAccount)) -> Refusal {
    Refusal::Refused {
        server: server.to_owned(),
        at: account.refused_at,
        next: account.next_at,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn servers(mark: &str) -> Vec<Marked> {
        vec![("directory studio".to_owned(), Some(mark.to_owned()))]
    }

    #[test]
    fn the_same_credentials_are_barred_and_others_are_not() {
        let mut accounts = Accounts::default();
        assert!(accounts.barred(&servers("a"), at(0)).is_none());
        accounts.refused("directory studio", Some("a".into()), "", at(0), 0.0);
        assert!(accounts.barred(&servers("a"), at(19)).is_some());
        assert!(accounts.barred(&servers("b"), at(19)).is_none());
        assert!(accounts.have_changed(&servers("b")) && !accounts.have_changed(&servers("a")));
        assert!(accounts.barred(&servers("a"), at(20)).is_none());
        let again = accounts.refused("directory studio", Some("a".into()), "", at(20), 0.0);
        assert_eq!((again.failures, again.next_at), (2, at(60)));
        let other = accounts.refused("directory studio", Some("b".into()), "", at(21), 0.0);
        assert_eq!((other.failures, other.next_at), (1, at(41)));
        assert!(accounts.accepted("directory studio") && !accounts.accepted("directory studio"));
        assert!(accounts.barred(&servers("b"), at(22)).is_none());
    }

    #[test]
    fn passwords_that_change_each_time_are_no_more_than_four_binds_an_hour() {
        let mut accounts = Accounts::default();
        let mut binds = Vec::new();
        for minute in 0..300 {
            let password = format!("the password of minute {minute}");
            if accounts.barred(&servers(&password), at(minute)).is_none() {
                accounts.refused("directory studio", Some(password), "", at(minute), 0.5);
                binds.push(minute);
            }
        }
        assert_eq!(binds[..4], [0, 1, 2, 3], "one that changed is tried at once");
        assert!(binds.windows(5).all(|five| five[4] - five[0] >= 60), "{binds:?}");
        assert!(accounts.accepted("directory studio"));
        assert!(accounts.barred(&servers("x"), at(300)).is_none());
    }

    #[test]
    fn a_clock_that_was_set_back_bars_nobody_for_longer() {
        let mut accounts = Accounts::default();
        accounts.refused("directory studio", Some("a".into()), "", at(100_000), 1.0);
        assert!(accounts.barred(&servers("a"), at(0)).is_none());
    }
}
