//! How often somebody may try to sign in, so that no token is guessed; and nobody is locked out by what
//! others try.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::sessions::Mark;
use crate::daemon::places::Peer;

/// How often somebody may fail to sign in within [`WITHIN`].
pub(super) const TRIES: usize = 10;

/// The same for all for whom one proxy asks: whoever reaches this daemon from the proxy's machine, but
/// beside it, may name any address.
const TRIES_BY_PROXY: usize = 200;

/// How long a failure counts.
pub(super) const WITHIN: Duration = Duration::from_secs(5 * 60);

/// The most failures that are remembered; then the oldest one is forgotten.
const MOST: usize = 10_000;

/// Whoever tries to sign in, as far as failures are counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    /// A browser that was signed in of late.
    Known(Mark),
    /// A stranger.
    Stranger {
        peer: IpAddr,
        /// For whom the peer asks, where it is believed.
        forwarded: Option<IpAddr>,
    },
}

impl Who {
    /// A stranger at an address.
    pub(super) fn stranger(peer: IpAddr, forwarded: Option<IpAddr>) -> Self {
        Self::Stranger {
            peer: net(peer),
            forwarded: forwarded.map(net),
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(own), Self::Known(other)) => own.is(other),
            (
                Self::Stranger { peer, forwarded },
                Self::Stranger {
                    peer: other,
                    forwarded: of_other,
                },
            ) => peer == other && forwarded == of_other,
            (Self::Known(_), Self::Stranger { .. }) | (Self::Stranger { .. }, Self::Known(_)) => {
                false
            }
        }
    }

    /// The proxy that asks for somebody.
    fn proxy(&self) -> Option<IpAddr> {
        match self {
            Self::Stranger { peer, forwarded } => forwarded.map(|_| *peer),
            Self::Known(_) => None,
        }
    }
}

/// Of an IPv6 address what one host may not change at will.
fn net(address: IpAddr) -> IpAddr {
    match Peer::host(address) {
        Peer::Host(net) => net,
        Peer::User(_) => address,
    }
}

/// Failures to sign in of late, by time.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<VecDeque<(Instant, Who)>>);

impl Attempts {
    /// Whether somebody may try to sign in now.
    pub(super) fn may_try(&self, who: &Who, now: Instant) -> bool {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|(at, _)| now.saturating_duration_since(*at) < WITHIN);
        let count =
            |fits: &dyn Fn(&Who) -> bool| failures.iter().filter(|(_, one)| fits(one)).count();
        let by_proxy = who
            .proxy()
            .map_or(0, |proxy| count(&|one| one.proxy() == Some(proxy)));
        count(&|one| one.is(who)) < TRIES && by_proxy < TRIES_BY_PROXY
    }

    /// Counts a failure.
    pub(super) fn failed(&self, who: Who, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST {
            failures.pop_front();
        }
        failures.push_back((now, who));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn stranger(peer: &str, forwarded: Option<&str>) -> Who {
        let address = |text: &str| text.parse().unwrap();
        Who::stranger(address(peer), forwarded.map(address))
    }

    fn fails(attempts: &Attempts, who: Who, times: usize, now: Instant) {
        for _ in 0..times {
            attempts.failed(who, now);
        }
    }

    #[test]
    fn who_fails_often_has_to_wait_and_others_do_not() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let one = stranger("2001:db8::1", None);
        fails(&attempts, one, TRIES - 1, now);
        assert!(attempts.may_try(&one, now));
        fails(&attempts, one, 1, now);
        let neighbour = stranger("2001:db8::2", None);
        assert!(!attempts.may_try(&one, now) && !attempts.may_try(&neighbour, now));
        assert!(attempts.may_try(&stranger("192.0.2.1", None), now));
        assert!(attempts.may_try(&one, now + WITHIN));
    }

    #[test]
    fn behind_a_proxy_each_has_tries_of_their_own() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let attacker = stranger("127.0.0.1", Some("192.0.2.1"));
        fails(&attempts, attacker, TRIES, now);
        assert!(!attempts.may_try(&attacker, now));
        for other in [
            stranger("127.0.0.1", Some("192.0.2.2")),
            stranger("127.0.0.1", None),
            stranger("192.0.2.1", None),
            Who::Known(Mark::of("cookie")),
        ] {
            assert!(attempts.may_try(&other, now), "{other:?}");
        }
        // Whoever names any address gets no tries without end.
        for last in 0..200_u8 {
            let named = format!("198.51.100.{last}");
            fails(&attempts, stranger("203.0.113.9", Some(&named)), 1, now);
        }
        assert!(!attempts.may_try(&stranger("203.0.113.9", Some("192.0.2.7")), now));
        assert!(attempts.may_try(&stranger("127.0.0.1", Some("192.0.2.7")), now));
    }

    #[test]
    fn a_known_browser_is_kept_out_by_nobody_else() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let (own, other) = (Who::Known(Mark::of("own")), Who::Known(Mark::of("other")));
        fails(&attempts, stranger("192.0.2.1", None), MOST * 2, now);
        assert_eq!(attempts.0.lock().unwrap().len(), MOST);
        fails(&attempts, other, TRIES, now);
        assert!(attempts.may_try(&own, now) && !attempts.may_try(&other, now));
    }
}
