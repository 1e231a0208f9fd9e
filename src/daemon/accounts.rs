//! Credentials that a server refused, and until when they are left alone: by every job, over restarts, whoever asks. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::{backoff::after_refusal, orders::Refusal};
use crate::run::state::RefusedAccount;

/// The longest that refused credentials are left alone.
const LONGEST: TimeDelta = TimeDelta::hours(1);

/// The servers that refused credentials, by name: `ftrack`, or `directory` and its name.
#[derive(Debug, Default)]
pub struct Accounts(BTreeMap<String, RefusedAccount>);

/// A server with the mark of the credentials that would be used there; without one, there are none.
pub type Marked = (String, Option<String>);

impl Accounts {
    /// Those that are remembered.
    #[must_use]
    pub fn new(refused: BTreeMap<String, RefusedAccount>) -> Self {
        Self(refused)
    }

    /// The first of these servers that must not be tried yet.
    #[must_use]
    pub fn barred<'a>(&'a self, servers: &'a [Marked], now: DateTime<Utc>) -> Option<(&'a str, &'a RefusedAccount)> {
        servers.iter().find_map(|(server, mark)| {
            let account = self.0.get(server)?;
            (is_same(account, mark.as_ref()) && account.next_at > now).then_some((server.as_str(), account))
        })
    }

    /// Bars what was refused in the future for as long as it was meant to be barred, from now on: the clock was set back. That lets nobody try earlier,
    /// and nobody wait until the clock shows that future again. Gives back what has to be kept.
    pub fn clock_went_back(&mut self, now: DateTime<Utc>) -> Vec<(String, RefusedAccount)> {
        let ahead = self.0.iter_mut().filter(|(_, account)| account.refused_at > now);
        let moved = ahead.map(|(server, account)| {
            let meant = (account.next_at - account.refused_at).clamp(TimeDelta::zero(), LONGEST + LONGEST / 10);
            account.refused_at = now;
            account.next_at = now.checked_add_signed(meant).unwrap_or(DateTime::<Utc>::MAX_UTC);
            (server.clone(), account.clone())
        });
        moved.collect()
    }

    /// Whether one of these servers refused credentials other than those that would be used there now.
    #[must_use]
    pub fn have_changed(&self, servers: &[Marked]) -> bool {
        servers
            .iter()
            .any(|(server, mark)| self.0.get(server).is_some_and(|account| !is_same(account, mark.as_ref())))
    }

    /// A server refused credentials: they are left alone from now on, the longer the oftener.
    pub fn refused(&mut self, server: &str, mark: Option<String>, error: &str, now: DateTime<Utc>, jitter: f64) -> RefusedAccount {
        let before = self.0.get(server).filter(|before| before.mark == mark).map_or(0, |before| before.failures);
        let failures = before.saturating_add(1);
        let account = RefusedAccount {
            mark,
            failures,
            refused_at: now,
            error: error.to_owned(),
            next_at: now
                .checked_add_signed(after_refusal(failures, LONGEST, jitter))
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        };
        self.0.insert(server.to_owned(), account.clone());
        account
    }

    /// The servers that refused credentials.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a server refused credentials and has taken none since.
    #[must_use]
    pub fn has_refused(&self, server: &str) -> bool {
        self.0.contains_key(server)
    }

    /// A server took the credentials; says whether it had refused some.
    pub fn accepted(&mut self, server: &str) -> bool {
        self.0.remove(server).is_some()
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
    fn a_clock_that_was_set_back_bars_for_as_long_as_was_meant() {
        let mut accounts = Accounts::default();
        accounts.refused("directory studio", Some("a".into()), "", at(100_000), 1.0);
        assert!(accounts.clock_went_back(at(100_001)).is_empty());
        let [(_, moved)] = accounts.clock_went_back(at(0)).try_into().unwrap();
        assert_eq!((moved.refused_at, moved.next_at), (at(0), at(22)));
        assert!(accounts.barred(&servers("a"), at(21)).is_some() && accounts.barred(&servers("a"), at(22)).is_none());
        assert!(accounts.clock_went_back(at(1)).is_empty());
    }
}
