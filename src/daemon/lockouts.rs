//! Credentials that a server refused, and until when they must not be tried: by any job, over
//! restarts, whatever the trigger. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::commands::CommandError;
use crate::{model::backoff::after_refusal, state::RefusedAccount};

/// The longest time for which refused credentials are not tried.
const LONGEST: TimeDelta = TimeDelta::hours(1);
/// The maximum number of refusals within an hour, also for credentials that change each time: a
/// directory counts them all against the account.
const ENOUGH: usize = 3;

/// The servers that refused credentials, by name: `ftrack`, or `directory` and its name.
#[derive(Debug, Default)]
pub struct Lockouts(BTreeMap<String, Lockout>);

/// A server with the mark of what would be tried there; none if nothing can be. A mark of the
/// credentials alone stands for every way to send them.
pub type ServerCredentials = (String, Option<String>);

#[derive(Debug)]
struct Lockout {
    refused: RefusedAccount,
    /// The times at which any credentials were refused; the newest last, at most the maximum
    /// number.
    times: Vec<DateTime<Utc>>,
    /// The mark of other credentials that were noticed since.
    noticed: Option<String>,
}

impl Lockouts {
    /// From the saved state.
    #[must_use]
    pub fn new(refused: BTreeMap<String, RefusedAccount>) -> Self {
        // A bind in the foreground has worked since.
        let refused = refused
            .into_iter()
            .filter(|(_, refused)| !refused.is_lifted());
        let remembered = |(server, refused): (String, RefusedAccount)| {
            let failures = usize::try_from(refused.failures)
                .unwrap_or(ENOUGH)
                .min(ENOUGH);
            let account = Lockout {
                // The times of the earlier ones are not known: at the latest that of the last one.
                times: vec![refused.refused_at; failures],
                refused,
                noticed: None,
            };
            (server, account)
        };
        Self(refused.map(remembered).collect())
    }

    /// The first of these servers that must not be tried yet, why, and until when.
    #[must_use]
    pub fn locked_out<'a>(
        &'a self,
        servers: &'a [ServerCredentials],
        now: DateTime<Utc>,
    ) -> Option<LockedOut<'a>> {
        servers.iter().find_map(|(server, mark)| {
            let account = self.0.get(server)?;
            let until = account.locked_until(mark.as_ref(), now)?;
            let at = account.refused.refused_at;
            Some(LockedOut { server, at, until })
        })
    }

    /// Corrects refusals in the future, since the clock was set back: the full delay starts now. So
    /// nobody tries earlier, and nobody waits until the clock shows that future again. Returns what
    /// has to be saved.
    pub fn clock_went_back(&mut self, now: DateTime<Utc>) -> Vec<(String, RefusedAccount)> {
        let ahead = self
            .0
            .iter_mut()
            .filter(|(_, account)| account.refused.refused_at > now);
        let moved = ahead.map(|(server, account)| {
            account.shift_to(now);
            (server.clone(), account.refused.clone())
        });
        moved.collect()
    }

    /// Records which credentials would be used with a server now, and returns whether they are new:
    /// neither the refused ones nor those noticed before.
    pub fn observe_fingerprint(&mut self, server: &str, mark: Option<&String>) -> bool {
        let Some(account) = self.0.get_mut(server) else {
            return false;
        };
        let is_news = !account.is_same(mark) && account.noticed.as_ref() != mark;
        if is_news {
            account.noticed = mark.cloned();
        }
        is_news
    }

    /// A server refused credentials: they are not tried for a while, longer after each refusal.
    pub fn refused(
        &mut self,
        server: &str,
        mark: Option<String>,
        error: &str,
        now: DateTime<Utc>,
        jitter: f64,
    ) -> RefusedAccount {
        let before = self.0.remove(server);
        let failures = before
            .as_ref()
            .map_or(0, |before| before.refused.failures)
            .saturating_add(1);
        let mut times = before.map(|before| before.times).unwrap_or_default();
        times.push(now);
        let refused = RefusedAccount {
            mark,
            failures,
            refused_at: now,
            error: error.to_owned(),
            next_at: now
                .checked_add_signed(after_refusal(failures, LONGEST, jitter))
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        };
        let account = Lockout {
            refused: refused.clone(),
            times: times.split_off(times.len().saturating_sub(ENOUGH)),
            noticed: None,
        };
        self.0.insert(server.to_owned(), account);
        refused
    }

    /// The mark of the credentials that a server refused last.
    #[must_use]
    pub fn fingerprint(&self, server: &str) -> Option<String> {
        self.0
            .get(server)
            .and_then(|account| account.refused.mark.clone())
    }

    /// What a server said when it refused the credentials last; empty where it refused none.
    #[must_use]
    pub fn error(&self, server: &str) -> &str {
        self.0
            .get(server)
            .map_or("", |account| &account.refused.error)
    }

    /// The servers that refused credentials.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a server refused credentials and has accepted none since.
    #[must_use]
    pub fn has_refused(&self, server: &str) -> bool {
        self.0.contains_key(server)
    }

    /// Another process found that a server accepts what it refused at that time; returns whether this
    /// is the last refusal.
    pub fn lifted(&mut self, server: &str, refused_at: DateTime<Utc>) -> bool {
        let account = self.0.get(server);
        account.is_some_and(|account| account.refused.refused_at == refused_at)
            && self.accepted(server)
    }

    /// A server accepted the credentials; returns whether it had refused some.
    pub fn accepted(&mut self, server: &str) -> bool {
        self.0.remove(server).is_some()
    }
}

impl Lockout {
    /// Whether the credentials that would be used are those that were refused; true where that is
    /// not known.
    fn is_same(&self, mark: Option<&String>) -> bool {
        match (&self.refused.mark, mark) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(refused), Some(now)) => refused == now || of_credentials(refused) == now,
        }
    }

    /// Moves the last refusal to now, and the earlier ones by the same amount.
    fn shift_to(&mut self, now: DateTime<Utc>) {
        let by = self.refused.refused_at - now;
        let meant = (self.refused.next_at - self.refused.refused_at)
            .clamp(TimeDelta::zero(), LONGEST + LONGEST / 10);
        for time in &mut self.times {
            *time = time.checked_sub_signed(by).unwrap_or(now).min(now);
        }
        self.refused.refused_at = now;
        self.refused.next_at = now
            .checked_add_signed(meant)
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
    }

    fn locked_until(&self, mark: Option<&String>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let enough = (self.times.len() >= ENOUGH).then(|| {
            self.times
                .first()
                .and_then(|first| first.checked_add_signed(LONGEST))
        });
        let until = if self.is_same(mark) {
            Some(self.refused.next_at)
        } else {
            None
        }
        .max(enough.flatten());
        until.filter(|until| *until > now)
    }
}

/// The part of a mark that is of the credentials, without where and how they are sent.
#[must_use]
pub fn of_credentials(mark: &str) -> &str {
    mark.split_once('-').map_or(mark, |(first, _)| first)
}

/// A server that must not be tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LockedOut<'a> {
    pub server: &'a str,
    /// When it last refused credentials.
    pub at: DateTime<Utc>,
    /// Until when it must not be tried.
    pub until: DateTime<Utc>,
}

impl From<LockedOut<'_>> for CommandError {
    fn from(LockedOut { server, at, until }: LockedOut<'_>) -> Self {
        Self::Refused {
            server: server.to_owned(),
            at,
            next: until,
            zone: Tz::UTC,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn servers(mark: &str) -> Vec<ServerCredentials> {
        vec![("directory studio".to_owned(), Some(mark.to_owned()))]
    }

    fn refuse(accounts: &mut Lockouts, mark: &str, now: DateTime<Utc>) -> RefusedAccount {
        accounts.refused("directory studio", Some(mark.into()), "", now, 0.0)
    }

    #[test]
    fn the_same_credentials_are_barred_and_others_are_not() {
        let mut accounts = Lockouts::default();
        assert!(accounts.locked_out(&servers("a"), at(0)).is_none());
        refuse(&mut accounts, "a", at(0));
        assert!(accounts.locked_out(&servers("a"), at(19)).is_some());
        assert!(accounts.locked_out(&servers("b"), at(19)).is_none());
        assert!(accounts.locked_out(&servers("a"), at(20)).is_none());
        let again = refuse(&mut accounts, "a", at(20));
        assert_eq!((again.failures, again.next_at), (2, at(60)));
        assert!(accounts.accepted("directory studio") && !accounts.accepted("directory studio"));
        assert!(accounts.locked_out(&servers("a"), at(22)).is_none());
    }

    #[test]
    fn other_credentials_are_news_once() {
        let mut accounts = Lockouts::default();
        let notice = |accounts: &mut Lockouts, mark: &str| {
            accounts.observe_fingerprint("directory studio", Some(&mark.to_owned()))
        };
        assert!(!notice(&mut accounts, "a"));
        refuse(&mut accounts, "a", at(0));
        assert!(!notice(&mut accounts, "a"));
        assert!(notice(&mut accounts, "b") && !notice(&mut accounts, "b"));
        refuse(&mut accounts, "b", at(1));
        assert!(!notice(&mut accounts, "b") && notice(&mut accounts, "c"));
    }

    #[test]
    fn another_way_to_the_same_server_is_tried_and_another_server_of_the_account_is_not() {
        let mut accounts = Lockouts::default();
        refuse(&mut accounts, "a-1", at(0));
        assert!(accounts.locked_out(&servers("a-1"), at(1)).is_some());
        assert!(accounts.locked_out(&servers("a-2"), at(1)).is_none());
        assert!(accounts.locked_out(&servers("b-1"), at(1)).is_none());
        // Of another directory with the same account.
        assert!(accounts.locked_out(&servers("a"), at(1)).is_some());
        assert!(accounts.locked_out(&servers("b"), at(1)).is_none());
    }

    #[test]
    fn what_another_process_found_accepted_is_tried() {
        let mut accounts = Lockouts::default();
        let mut refused = refuse(&mut accounts, "a", at(0));
        assert!(
            !accounts.lifted("directory studio", at(1)),
            "of an earlier refusal"
        );
        assert!(!accounts.lifted("ftrack", at(0)));
        assert!(accounts.locked_out(&servers("a"), at(1)).is_some());
        assert!(accounts.lifted("directory studio", at(0)));
        assert!(accounts.locked_out(&servers("a"), at(1)).is_none());
        refused.next_at = refused.refused_at;
        let later = Lockouts::new(BTreeMap::from([("directory studio".to_owned(), refused)]));
        assert!(!later.has_refused("directory studio"));
    }

    #[test]
    fn what_is_remembered_bars_as_before() {
        let mut accounts = Lockouts::default();
        let remembered = |account: RefusedAccount| {
            Lockouts::new(BTreeMap::from([("directory studio".to_owned(), account)]))
        };
        let one = remembered(refuse(&mut accounts, "a", at(0)));
        assert!(
            one.locked_out(&servers("a"), at(19)).is_some()
                && one.locked_out(&servers("b"), at(1)).is_none()
        );
        refuse(&mut accounts, "b", at(1));
        let three = remembered(refuse(&mut accounts, "c", at(2)));
        assert!(
            three.locked_out(&servers("d"), at(61)).is_some()
                && three.locked_out(&servers("d"), at(62)).is_none()
        );
        let unknown = remembered(RefusedAccount {
            mark: None,
            ..refuse(&mut Lockouts::default(), "a", at(0))
        });
        assert!(
            unknown.locked_out(&servers("b"), at(1)).is_some(),
            "it may be the same one"
        );
    }

    #[test]
    fn a_clock_that_was_set_back_bars_for_as_long_as_was_meant() {
        let mut accounts = Lockouts::default();
        accounts.refused("directory studio", Some("a".into()), "", at(100_000), 1.0);
        assert!(accounts.clock_went_back(at(100_001)).is_empty());
        let [(_, moved)] = accounts.clock_went_back(at(0)).try_into().unwrap();
        assert_eq!((moved.refused_at, moved.next_at), (at(0), at(22)));
        assert!(
            accounts.locked_out(&servers("a"), at(21)).is_some()
                && accounts.locked_out(&servers("a"), at(22)).is_none()
        );
        assert!(accounts.clock_went_back(at(1)).is_empty());
    }

    proptest! {
        /// However often a run is requested, and however often the credentials change: never more
        /// than three refusals within an hour.
        #[test]
        fn three_an_hour_whatever_is_tried(tries in prop::collection::vec((0_i64..30, 0_u8..4, 0.0_f64..1.0), 1..200)) {
            let mut accounts = Lockouts::default();
            let (mut now, mut refused) = (at(0), Vec::new());
            for (minutes, mark, jitter) in tries {
                now += TimeDelta::minutes(minutes);
                let mark = mark.to_string();
                if accounts.locked_out(&servers(&mark), now).is_none() {
                    accounts.refused("directory studio", Some(mark), "", now, jitter);
                    refused.push(now);
                }
            }
            for four in refused.windows(4) {
                prop_assert!(four[3] - four[0] >= TimeDelta::hours(1), "{refused:?}");
            }
        }
    }
}
