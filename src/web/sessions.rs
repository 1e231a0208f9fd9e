//! Who is signed in: in memory, so that a restart ends every session.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use uuid::Uuid;

/// How long a session lasts at the most.
pub(super) const LASTS: Duration = Duration::from_secs(12 * 60 * 60);

/// How long the browser of a session is known after it was signed in: others' failures do not keep
/// it from signing in again.
pub(super) const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The most sessions of one token, with those that are over and whose browser is known; the oldest one
/// gives way. There are few tokens, so that there are few sessions.
const MOST_OF_TOKEN: usize = 50;

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
    /// Until when the browser is known.
    known_until: Instant,
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
        sessions.retain(|session| session.known_until > now);
        let is_own = |session: &Session| session.name == name;
        if sessions.iter().filter(|session| is_own(session)).count() >= MOST_OF_TOKEN
            && let Some(oldest) = sessions.iter().position(is_own)
        {
            sessions.remove(oldest);
        }
        sessions.push_back(Session {
            name: name.to_owned(),
            csrf: random(),
            token,
            cookie: Mark::of(&cookie),
            until: now + LASTS,
            known_until: now + KNOWN_FOR,
        });
        cookie
    }

    /// The session with this cookie, unless it is over.
    pub(super) fn find(&self, cookie: &str, now: Instant) -> Option<Session> {
        self.known(cookie, now)
            .filter(|session| session.until > now)
    }

    /// The browser with this cookie, if it was signed in of late.
    pub(super) fn browser(&self, cookie: &str, now: Instant) -> Option<Mark> {
        self.known(cookie, now).map(|session| session.cookie)
    }

    fn known(&self, cookie: &str, now: Instant) -> Option<Session> {
        let cookie = Mark::of(cookie);
        let sessions = self.open();
        let mut known = sessions.iter().filter(|session| session.known_until > now);
        known.find(|session| session.cookie.is(&cookie)).cloned()
    }

    /// Ends the session with this cookie.
    pub(super) fn end(&self, cookie: &str) {
        let cookie = Mark::of(cookie);
        self.open().retain(|session| !session.cookie.is(&cookie));
    }

    /// Ends the sessions of all tokens but those that are named so.
    pub(super) fn keep_only(&self, is_token: impl Fn(&str) -> bool) {
        self.open().retain(|session| is_token(&session.name));
    }
}

impl Session {
    /// Whether its token is still what it was, of which this is the mark now.
    pub(super) fn is_of(&self, current: &Mark) -> bool {
        self.token.is(current)
    }
}

/// 244 random bits as text.
fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn sessions_end_by_themselves() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.begin("eva", Mark::of("token"), now);
        assert_eq!(first.len(), 64);
        assert!(sessions.find("other", now).is_none());
        assert_eq!(sessions.find(&first, now).unwrap().name, "eva");
        assert!(sessions.find(&first, now + LASTS).is_none());
        assert!(sessions.browser(&first, now + LASTS).is_some());
        assert!(sessions.browser(&first, now + KNOWN_FOR).is_none());
        let second = sessions.begin("bo", Mark::of("token"), now);
        sessions.end(&second);
        assert!(sessions.find(&second, now).is_none());
        assert!(sessions.browser(&second, now).is_none());
    }

    #[test]
    fn one_token_cannot_use_up_the_sessions_of_others() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let of_eva = sessions.begin("eva", Mark::of("token"), now);
        let all: Vec<String> = (0..MOST_OF_TOKEN * 3)
            .map(|_| sessions.begin("ada", Mark::of("other"), now))
            .collect();
        assert_eq!(sessions.find(&of_eva, now).unwrap().name, "eva");
        assert_eq!(sessions.open().len(), 1 + MOST_OF_TOKEN);
        let (old, new) = all.split_at(MOST_OF_TOKEN * 2);
        assert!(
            old.iter()
                .all(|cookie| sessions.find(cookie, now).is_none())
        );
        assert!(
            new.iter()
                .all(|cookie| sessions.find(cookie, now).is_some())
        );
        // Those that were over long ago make room for nobody else's either.
        sessions.begin("ada", Mark::of("other"), now + KNOWN_FOR);
        assert_eq!(sessions.open().len(), 1);
    }
}
