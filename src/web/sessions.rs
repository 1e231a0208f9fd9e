//! Who is signed in, and how often somebody may try: in memory, so that a restart ends every session.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use uuid::Uuid;

use crate::{config::Token, daemon::places::Peer};

/// How long a session lasts at the most.
pub(super) const LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// The most sessions at the same time; the oldest one ends for another.
const MOST: usize = 1000;

/// How often one peer may fail to sign in within [`WITHIN`].
pub(super) const TRIES: usize = 10;

/// The same for all peers together.
const TRIES_OF_ALL: usize = 200;

/// How long a failure counts.
pub(super) const WITHIN: Duration = Duration::from_secs(5 * 60);

/// A SHA-256 digest: secrets are compared by it, in constant time whatever their lengths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark([u8; 32]);

impl Mark {
    pub(super) fn of(secret: &str) -> Self {
        let mut mark = [0; 32];
        mark.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
        Self(mark)
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The name of the token.
    pub name: String,
    /// What each form has to have.
    pub csrf: String,
    /// The token as it was then: another one in its place ends the session.
    token: Mark,
    /// The secret of the cookie.
    cookie: Mark,
    until: Instant,
}

/// A session, and whether it is for actions.
#[derive(Debug, Clone)]
pub(super) struct SignedIn {
    pub name: String,
    pub csrf: String,
    pub may_act: bool,
}

/// Every session.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<VecDeque<Session>>);

impl Sessions {
    fn open(&self) -> MutexGuard<'_, VecDeque<Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a session of a token, and returns the secret of its cookie.
    pub(super) fn begin(&self, name: &str, token: Mark, now: Instant) -> String {
        let cookie = random();
        let mut sessions = self.open();
        sessions.retain(|session| session.until > now);
        while sessions.len() >= MOST {
            sessions.pop_front();
        }
        sessions.push_back(Session {
            name: name.to_owned(),
            csrf: random(),
            token,
            cookie: Mark::of(&cookie),
            until: now + LASTS,
        });
        cookie
    }

    /// The session with this cookie, unless it is over.
    pub(super) fn find(&self, cookie: &str, now: Instant) -> Option<Session> {
        let cookie = Mark::of(cookie);
        let sessions = self.open();
        let mut live = sessions.iter().filter(|session| session.until > now);
        live.find(|session| session.cookie.is(&cookie)).cloned()
    }

    /// Ends the session with this cookie.
    pub(super) fn end(&self, cookie: &str) {
        let cookie = Mark::of(cookie);
        self.open().retain(|session| !session.cookie.is(&cookie));
    }
}

impl Session {
    /// The session as long as its token is still what it was, and one of these.
    pub(super) async fn if_still(self, tokens: &[Token]) -> Option<SignedIn> {
        let token = tokens.iter().find(|token| token.name == self.name)?;
        // A file that contains no token any more lets nobody in.
        let current = token.credential.current().await.ok()?;
        let signed_in = SignedIn {
            name: self.name,
            csrf: self.csrf,
            may_act: token.may_act,
        };
        let is_same = Mark::of(current.expose()).is(&self.token);
        is_same.then_some(signed_in)
    }
}

/// 244 random bits as text.
fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Failures to sign in of late.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<BTreeMap<IpAddr, VecDeque<Instant>>>);

impl Attempts {
    /// Whether this peer may try to sign in now.
    pub(super) fn may_try(&self, address: IpAddr, now: Instant) -> bool {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, times| {
            times.retain(|time| now.saturating_duration_since(*time) < WITHIN);
            !times.is_empty()
        });
        let of_all: usize = failures.values().map(VecDeque::len).sum();
        let own = failures.get(&net(address)).map_or(0, VecDeque::len);
        own < TRIES && of_all < TRIES_OF_ALL
    }

    /// Counts a failure.
    pub(super) fn failed(&self, address: IpAddr, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.entry(net(address)).or_default().push_back(now);
    }
}

/// Of an IPv6 address what one host may not change at will.
fn net(address: IpAddr) -> IpAddr {
    match Peer::host(address) {
        Peer::Host(net) => net,
        Peer::User(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn sessions_end_by_themselves_and_are_not_too_many() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.begin("eva", Mark::of("token"), now);
        assert_eq!(first.len(), 64);
        assert!(sessions.find("other", now).is_none());
        assert_eq!(sessions.find(&first, now).unwrap().name, "eva");
        assert!(sessions.find(&first, now + LASTS).is_none());
        let second = sessions.begin("bo", Mark::of("token"), now);
        sessions.end(&second);
        assert!(sessions.find(&second, now).is_none());
        for _ in 0..MOST {
            sessions.begin("ada", Mark::of("token"), now);
        }
        assert!(sessions.find(&first, now).is_none());
        assert_eq!(sessions.open().len(), MOST);
    }

    #[test]
    fn who_fails_often_has_to_wait_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let neighbour: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..TRIES {
            assert!(attempts.may_try(one, now));
            attempts.failed(one, now);
        }
        assert!(!attempts.may_try(one, now) && !attempts.may_try(neighbour, now));
        assert!(attempts.may_try(other, now));
        assert!(attempts.may_try(one, now + WITHIN));
    }
}
