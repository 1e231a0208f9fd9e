//! The first contact with each server: a connection, and credentials that were accepted. A run that
//! has read both servers counts as well.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::status::Contact;
use crate::model::backoff::PutOff;

/// The first delay after a failed contact; doubles.
const FIRST: TimeDelta = TimeDelta::seconds(5);
/// The longest delay.
const LONGEST: TimeDelta = TimeDelta::minutes(2);

/// The servers, and whether they were reached; the times are given.
#[derive(Debug, Default)]
pub struct Readiness(Vec<Server>);

/// What a server is reached with: differs when its address, account, secret or TLS settings do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(Uuid);

impl Access {
    /// The access with these settings; they cannot be read back from it.
    #[must_use]
    pub fn of(settings: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, settings.as_bytes()))
    }
}

#[derive(Debug)]
struct Server {
    name: String,
    access: Access,
    since: Option<DateTime<Utc>>,
    error: Option<String>,
    failures: u32,
    put_off: Option<PutOff>,
    /// What it is being asked with; after a reload not always what it is to be reached with.
    asked_with: Option<Access>,
}

/// The result of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The server accepted the credentials.
    Well,
    /// The server could not be reached, or did not work.
    Failed(String),
    /// The server refused the credentials.
    Refused {
        /// The server's message.
        error: String,
        /// The mark of the credentials, if it is known.
        mark: Option<String>,
    },
}

impl Readiness {
    /// Takes the servers of a configuration; those that were reached before are not asked again,
    /// unless they are to be reached with something else.
    pub fn set(&mut self, servers: impl Iterator<Item = (String, Access)>) {
        let mut before: BTreeMap<String, Server> = self
            .0
            .drain(..)
            .map(|server| (server.name.clone(), server))
            .collect();
        let kept = |(name, access): (String, Access)| match before.remove(&name) {
            Some(server) if server.access == access => server,
            // One at a time: a contact that is under way ends before the next one begins.
            Some(Server { asked_with, .. }) => Server {
                asked_with,
                ..Server::new(name, access)
            },
            None => Server::new(name, access),
        };
        self.0 = servers.map(kept).collect();
    }

    /// Whether a server is to be reached with this access now.
    #[must_use]
    pub fn is_current(&self, name: &str, access: Access) -> bool {
        self.0
            .iter()
            .any(|server| server.name == name && server.access == access)
    }

    /// Whether a server is to be reached with another access than this one so far.
    #[must_use]
    pub fn is_otherwise(&self, name: &str, access: Access) -> bool {
        self.0
            .iter()
            .any(|server| server.name == name && server.access != access)
    }

    /// The servers that are being contacted.
    pub fn under_way(&self) -> Vec<String> {
        self.0
            .iter()
            .filter(|server| server.asked_with.is_some())
            .map(|server| server.name.clone())
            .collect()
    }

    /// The servers to contact now, except those that are being contacted.
    pub fn due(
        &mut self,
        now: DateTime<Utc>,
        mut is_asked: impl FnMut(&str) -> bool,
    ) -> Vec<String> {
        let due = |server: &&mut Server| {
            server.asked_with.is_none()
                && server.since.is_none()
                && server.put_off.is_none_or(|put_off| !put_off.lasts(now))
        };
        let due = self
            .0
            .iter_mut()
            .filter(due)
            .filter(|server| !is_asked(&server.name));
        due.map(|server| {
            server.asked_with = Some(server.access);
            server.name.clone()
        })
        .collect()
    }

    /// A server's credentials have changed: it is contacted at once.
    pub fn retry_now(&mut self, name: &str) {
        if let Some(server) = self.0.iter_mut().find(|server| server.name == name) {
            server.put_off = None;
        }
    }

    /// A contact, or a run, with this access ended; says whether that is news. It says nothing of
    /// another access.
    pub fn ended(
        &mut self,
        name: &str,
        access: Access,
        reached: &ProbeResult,
        now: DateTime<Utc>,
    ) -> bool {
        let Some(server) = self.0.iter_mut().find(|server| server.name == name) else {
            return false;
        };
        if server.asked_with == Some(access) {
            server.asked_with = None;
        }
        if server.access != access {
            return false;
        }
        let error = match reached {
            ProbeResult::Well => {
                let is_news = server.since.is_none();
                server.since.get_or_insert(now);
                server.error = None;
                return is_news;
            }
            ProbeResult::Failed(error) | ProbeResult::Refused { error, .. } => error,
        };
        server.failures = server.failures.saturating_add(1);
        let delay = FIRST
            .checked_mul(1 << (server.failures - 1).min(8))
            .map_or(LONGEST, |delay| delay.min(LONGEST));
        server.put_off = now
            .checked_add_signed(delay)
            .map(|until| PutOff { since: now, until });
        server.error.replace(error.clone()).is_none()
    }

    /// Delays a contact, since the credentials must not be tried yet.
    pub fn put_off(&mut self, name: &str, put_off: PutOff, why: String) {
        if let Some(server) = self.0.iter_mut().find(|server| server.name == name) {
            server.asked_with = None;
            server.failures = server.failures.max(1);
            server.put_off = Some(put_off);
            server.error = Some(why);
        }
    }

    /// Whether a server's first contact has no result yet, or is being retried. Two attempts with
    /// the same credentials at once could be two refusals.
    #[must_use]
    pub fn is_open(&self, name: &str) -> bool {
        let open = |server: &Server| {
            server.name == name
                && server.since.is_none()
                && (server.asked_with.is_some() || server.error.is_none())
        };
        self.0.iter().any(open)
    }

    /// For `status` and the probes.
    #[must_use]
    pub fn status(&self) -> Vec<Contact> {
        let shown = |server: &Server| Contact {
            server: server.name.clone(),
            since: server.since,
            error: server.error.clone(),
        };
        self.0.iter().map(shown).collect()
    }
}

impl Server {
    fn new(name: String, access: Access) -> Self {
        Self {
            name,
            access,
            since: None,
            error: None,
            failures: 0,
            put_off: None,
            asked_with: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn ftrack(settings: &str) -> impl Iterator<Item = (String, Access)> {
        std::iter::once(("ftrack".to_owned(), Access::of(settings)))
    }

    fn is_ready(contacts: &Readiness) -> bool {
        contacts.status().iter().all(|one| one.since.is_some())
    }

    #[test]
    fn a_key_that_was_never_tried_is_not_ready() {
        let mut contacts = Readiness::default();
        contacts.set(ftrack("a"));
        contacts.due(at(0), |_| false);
        contacts.ended("ftrack", Access::of("a"), &ProbeResult::Well, at(1));
        contacts.set(ftrack("a"));
        assert!(is_ready(&contacts), "nothing changed");
        contacts.set(ftrack("b"));
        assert!(!is_ready(&contacts) && contacts.is_open("ftrack"));
        // A run that began with the old key.
        contacts.ended("ftrack", Access::of("a"), &ProbeResult::Well, at(2));
        assert!(!is_ready(&contacts));
        assert_eq!(contacts.due(at(2), |_| false), ["ftrack"]);
        contacts.ended("ftrack", Access::of("b"), &ProbeResult::Well, at(3));
        assert!(is_ready(&contacts));
    }

    #[test]
    fn a_contact_with_the_old_key_says_nothing_of_the_new_one() {
        let mut contacts = Readiness::default();
        contacts.set(ftrack("a"));
        contacts.due(at(0), |_| false);
        contacts.set(ftrack("b"));
        assert!(contacts.due(at(1), |_| false).is_empty(), "one at a time");
        let failed = ProbeResult::Failed("no route".into());
        assert!(!contacts.ended("ftrack", Access::of("a"), &failed, at(2)));
        assert_eq!(contacts.due(at(2), |_| false), ["ftrack"]);
    }

    #[test]
    fn a_server_is_tried_by_one_at_a_time() {
        let mut contacts = Readiness::default();
        contacts.set(ftrack("a"));
        assert!(contacts.is_open("ftrack"));
        assert!(
            contacts.due(at(0), |_| true).is_empty(),
            "a run is asking it"
        );
        assert_eq!(contacts.due(at(0), |_| false), ["ftrack"]);
        contacts.ended(
            "ftrack",
            Access::of("a"),
            &ProbeResult::Failed("no route".into()),
            at(1),
        );
        assert!(!contacts.is_open("ftrack"));
        assert_eq!(contacts.due(at(60), |_| false), ["ftrack"]);
        assert!(contacts.is_open("ftrack"), "no run begins beside it");
    }

    #[test]
    fn changed_credentials_are_tried_once_at_once() {
        let mut contacts = Readiness::default();
        contacts.set(ftrack("a"));
        contacts.due(at(0), |_| false);
        let (error, mark) = ("code 49".to_owned(), None);
        contacts.ended(
            "ftrack",
            Access::of("a"),
            &ProbeResult::Refused { error, mark },
            at(0),
        );
        let put_off = PutOff {
            since: at(0),
            until: at(1200),
        };
        contacts.put_off("ftrack", put_off, "code 49".into());
        assert!(contacts.due(at(100), |_| false).is_empty());
        contacts.retry_now("ftrack");
        assert_eq!(contacts.due(at(100), |_| false), ["ftrack"]);
    }
}
