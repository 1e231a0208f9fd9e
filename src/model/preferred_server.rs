//! Which server of a domain counts as the preferred one, where the DNS says which comes first.
//!
//! A server that is shut down takes its records out of the DNS, so that the next one comes first. Only
//! its place changed, not what it has received of the directory: it counts once it has come first for
//! long enough to have received everything, or once a person approved what it shows.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::clocks::{Clocks, Present};

/// How long another server must have come first.
const LONG_ENOUGH: TimeDelta = TimeDelta::days(7);
/// The same, for people.
pub const LONG_ENOUGH_TOLD: &str = "7 days";
/// In how many complete readings.
const ENOUGH_READS: u32 = 2;

/// The server of a domain that counts as the preferred one, and the one that has come first since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferredServer {
    domain: String,
    host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// A server that comes first in place of the preferred one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Next {
    host: String,
    since: Clocks,
    reads: u32,
}

impl PreferredServer {
    /// The first one that is known of a domain.
    #[must_use]
    pub fn new(domain: &str, server: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            host: host(server).to_owned(),
            next: None,
        }
    }

    /// The domain whose records name it.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The name of its host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether a server that comes first, given by its URL, counts as the preferred one.
    #[must_use]
    pub fn counts(&self, server: &str, now: &Present) -> bool {
        let host = host(server);
        let has_served = |next: &Next| {
            next.host == host
                && next.reads >= ENOUGH_READS
                && now.passed_since(&next.since) >= LONG_ENOUGH
        };
        self.host == host || self.next.as_ref().is_some_and(has_served)
    }

    /// What is known after a complete reading of a server that comes first.
    #[must_use]
    pub fn after(&self, server: &str, now: &Present) -> Self {
        if self.counts(server, now) {
            return Self::new(&self.domain, server);
        }
        let host = host(server);
        let clocks = now.clocks;
        let before = self
            .next
            .as_ref()
            .filter(|next| next.host == host && !clocks.is_surely_before(&next.since));
        let next = Next {
            host: host.to_owned(),
            since: before.map_or(clocks, |next| next.since),
            reads: before.map_or(1, |next| next.reads.saturating_add(1).min(ENOUGH_READS)),
        };
        Self {
            next: Some(next),
            ..self.clone()
        }
    }
}

/// The host of a URL, without the port: which one is used depends on the scheme.
fn host(server: &str) -> &str {
    let (_, rest) = server.split_once("://").unwrap_or(("", server));
    rest.split_once(':').map_or(rest, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use chrono::DateTime;

    use super::*;

    const FIRST: &str = "ldaps://dc1.studio.test:636";
    const SECOND: &str = "ldaps://dc2.studio.test:636";

    fn at(hours: i64) -> Present {
        let here = DateTime::from_timestamp(hours * 3600, 0).unwrap();
        Clocks {
            here,
            ftrack: Some(here),
        }
        .into()
    }

    #[test]
    fn another_server_counts_after_it_came_first_for_long_enough() {
        let known = PreferredServer::new("studio.test", FIRST);
        assert!(known.counts("ldap://dc1.studio.test", &at(0)));
        let week = 7 * 24;
        let once = known.after(SECOND, &at(1));
        assert!(!once.counts(SECOND, &at(1 + week)), "read once");
        let twice = once.after(SECOND, &at(2));
        assert!(!twice.counts(SECOND, &at(week)));
        assert!(twice.counts(SECOND, &at(1 + week)));
        let now = twice.after(SECOND, &at(1 + week));
        assert_eq!(now, PreferredServer::new("studio.test", SECOND));
        assert!(!now.counts(FIRST, &at(2 + week)), "nor does the former one");
    }

    #[test]
    fn what_another_server_served_is_over_once_the_former_one_or_a_third_is_read() {
        let known = PreferredServer::new("studio.test", FIRST);
        let second = known.after(SECOND, &at(1)).after(SECOND, &at(2));
        assert_eq!(second.after(FIRST, &at(3)), known);
        let third = second.after("ldaps://dc3.studio.test:636", &at(3));
        assert!(!third.counts(SECOND, &at(1000)));
        assert!(third.counts(FIRST, &at(1000)));
    }
}
