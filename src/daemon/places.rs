//! The places of a listener's connections: how many there are in all and for one peer, and which
//! connection is closed so that another one is answered.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

/// Requests that are read or answered at the same time; as many connections wait for that.
pub const CONNECTIONS: usize = 64;
/// Those of one peer, so that none takes the places of all others.
pub const PER_PEER: usize = 32;
/// Clients that follow a run, which takes as long as the run.
pub const WATCHERS: usize = 256;
/// Those of one peer.
pub const WATCHERS_PER_PEER: usize = 128;

/// How long the head of a request is safe from being closed for another connection: one that was
/// sent with the connection is read by then.
const HEAD_MIN: Duration = Duration::from_millis(50);

/// How long a connection waits for its place.
const WAIT_LIMIT: Duration = Duration::from_secs(5);

/// Who is at the other end of a connection, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A host; of an IPv6 address the first 64 bits, since a host may use all the rest.
    Host(IpAddr),
    /// A user of this machine; none when the system does not know.
    User(Option<u32>),
}

impl Peer {
    /// The host with this address.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        Self::Host(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

/// All places of one listener; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Notified when a place may be free.
    freed: Notify,
}

/// The place of one connection, or its turn to get one; given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Place(Arc<Owned>);

#[derive(Debug)]
struct Owned {
    places: Places,
    id: u64,
    close: CancellationToken,
}

/// As many clients follow runs as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many clients follow runs at the same time; `status` shows how far they are, and `runs` \
     what became of them"
)]
pub struct TooManyWatchers;

impl Places {
    /// Queues a connection. Where too many wait, the one that has waited longest is closed.
    #[must_use]
    pub fn queue(&self, peer: Peer) -> Place {
        let (id, close) = self.open().queue(peer, Instant::now());
        let places = self.clone();
        Place(Arc::new(Owned { places, id, close }))
    }

    fn open(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until the connection has a place; at once where there is one. Closes the oldest
    /// connection whose head is still waited for where there is none. False when the connection is
    /// to be closed instead.
    pub async fn admitted(&self) -> bool {
        self.admitted_within(WAIT_LIMIT).await
    }

    async fn admitted_within(&self, limit: Duration) -> bool {
        let Owned { places, id, close } = &*self.0;
        let admitted = async {
            loop {
                let freed = places.0.freed.notified();
                let wait = match places.open().admit(*id, Instant::now()) {
                    Admission::Admitted => return true,
                    Admission::Closed => return false,
                    Admission::Wait(wait) => wait,
                };
                let _ = timeout(wait, freed).await;
            }
        };
        tokio::select! {
            biased;
            () = close.cancelled() => false,
            admitted = timeout(limit, admitted) => admitted.unwrap_or(false),
        }
    }

    /// Done when the connection is to be closed for another one.
    pub async fn closed(&self) {
        self.0.close.cancelled().await;
    }

    /// The head of the request has arrived: the connection is not closed for another one any more.
    pub fn head_arrived(&self) {
        self.0.places.open().head_arrived(self.0.id);
        self.0.places.0.freed.notify_waiters();
    }

    /// Counts the connection among those that follow a run, and frees its place for a request.
    ///
    /// # Errors
    /// As many as may do follow runs.
    pub fn watch(&self) -> Result<(), TooManyWatchers> {
        let watches = self.0.places.open().watch(self.0.id);
        self.0.places.0.freed.notify_waiters();
        watches
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.places.open().open.remove(&self.id);
        self.places.0.freed.notify_waiters();
    }
}

/// The connections by age.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    phase: Phase,
    since: Instant,
    close: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for a place.
    Queued,
    /// The head of its request is waited for.
    Head,
    /// Its request is being answered.
    Answer,
    /// It follows a run.
    Watch,
}

#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Admitted,
    /// For a place to be freed, or for so long.
    Wait(Duration),
    Closed,
}

impl Table {
    fn queue(&mut self, peer: Peer, now: Instant) -> (u64, CancellationToken) {
        let of_peer = |one: &Connection| one.phase == Phase::Queued && one.peer == peer;
        let of_any = |one: &Connection| one.phase == Phase::Queued;
        if self.count(of_peer) >= PER_PEER {
            self.close_oldest(of_peer);
        } else if self.count(of_any) >= CONNECTIONS {
            self.close_oldest(of_any);
        }
        let (id, close) = (self.next, CancellationToken::new());
        self.next += 1;
        let connection = Connection {
            peer,
            phase: Phase::Queued,
            since: now,
            close: close.clone(),
        };
        self.open.insert(id, connection);
        (id, close)
    }

    fn admit(&mut self, id: u64, now: Instant) -> Admission {
        let Some(peer) = self.open.get(&id).map(|one| one.peer) else {
            return Admission::Closed;
        };
        let is_request = |one: &Connection| matches!(one.phase, Phase::Head | Phase::Answer);
        let peer_is_full = self.count(|one| is_request(one) && one.peer == peer) >= PER_PEER;
        if peer_is_full || self.count(is_request) >= CONNECTIONS {
            let is_head =
                |one: &Connection| one.phase == Phase::Head && (!peer_is_full || one.peer == peer);
            // Of those whose request is being answered, one ends within the limits of an answer.
            let Some(oldest) = self.open.values().find(|one| is_head(one)) else {
                return Admission::Wait(WAIT_LIMIT);
            };
            let age = now.saturating_duration_since(oldest.since);
            if let Some(young) = HEAD_MIN.checked_sub(age).filter(|young| !young.is_zero()) {
                return Admission::Wait(young);
            }
            self.close_oldest(is_head);
        }
        if let Some(connection) = self.open.get_mut(&id) {
            connection.phase = Phase::Head;
            connection.since = now;
        }
        Admission::Admitted
    }

    fn count(&self, which: impl Fn(&Connection) -> bool) -> usize {
        self.open.values().filter(|one| which(one)).count()
    }

    fn close_oldest(&mut self, which: impl Fn(&Connection) -> bool) {
        let oldest = self.open.iter().find(|(_, one)| which(one));
        if let Some((&id, connection)) = oldest {
            connection.close.cancel();
            self.open.remove(&id);
        }
    }

    fn head_arrived(&mut self, id: u64) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.phase = Phase::Answer;
        }
    }

    fn watch(&mut self, id: u64) -> Result<(), TooManyWatchers> {
        let Some(peer) = self.open.get(&id).map(|connection| connection.peer) else {
            return Err(TooManyWatchers);
        };
        let watches = |one: &Connection| one.phase == Phase::Watch;
        let own = self.count(|one| watches(one) && one.peer == peer);
        if self.count(watches) >= WATCHERS || own >= WATCHERS_PER_PEER {
            return Err(TooManyWatchers);
        }
        if let Some(connection) = self.open.get_mut(&id) {
            connection.phase = Phase::Watch;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn host(last: u8) -> Peer {
        Peer::host([192, 0, 2, last].into())
    }

    /// Queues a connection that must find a place.
    fn admitted(table: &mut Table, peer: Peer, now: Instant) -> (u64, CancellationToken) {
        let (id, close) = table.queue(peer, now);
        assert_eq!(table.admit(id, now), Admission::Admitted);
        (id, close)
    }

    #[test]
    fn the_oldest_head_of_the_same_peer_is_closed_first() {
        let (mut table, now) = (Table::default(), Instant::now());
        let (_, other) = admitted(&mut table, host(2), now);
        let heads: Vec<_> = (0..PER_PEER)
            .map(|_| admitted(&mut table, host(1), now))
            .collect();
        table.head_arrived(heads[0].0);
        let (newest, _) = table.queue(host(1), now);
        assert_eq!(
            table.admit(newest, now),
            Admission::Wait(HEAD_MIN),
            "a head that was just begun is not closed"
        );
        assert_eq!(table.admit(newest, now + HEAD_MIN), Admission::Admitted);
        assert!(heads[1].1.is_cancelled() && !other.is_cancelled());
        assert_eq!(heads.iter().filter(|head| head.1.is_cancelled()).count(), 1);
    }

    #[test]
    fn a_peer_whose_requests_are_all_being_answered_leaves_places_to_others() {
        let (mut table, now) = (Table::default(), Instant::now());
        for _ in 0..PER_PEER {
            let (id, _) = admitted(&mut table, host(1), now);
            table.head_arrived(id);
        }
        let (waiting, _) = table.queue(host(1), now);
        let waits = table.admit(waiting, now + HEAD_MIN);
        assert!(matches!(waits, Admission::Wait(_)));
        let (_, close) = admitted(&mut table, host(2), now + HEAD_MIN);
        assert!(!close.is_cancelled());
    }

    #[test]
    fn when_all_places_are_taken_the_oldest_head_of_anybody_is_closed() {
        let (mut table, now) = (Table::default(), Instant::now());
        let heads: Vec<_> = (0..CONNECTIONS)
            .map(|nth| admitted(&mut table, host(u8::try_from(nth).unwrap()), now))
            .collect();
        admitted(&mut table, host(200), now + HEAD_MIN);
        assert!(heads[0].1.is_cancelled() && !heads[1].1.is_cancelled());
    }

    #[test]
    fn of_too_many_that_wait_the_oldest_of_the_same_peer_is_closed() {
        let (mut table, now) = (Table::default(), Instant::now());
        let (_, other) = table.queue(host(2), now);
        let waiting: Vec<_> = (0..=PER_PEER).map(|_| table.queue(host(1), now)).collect();
        assert!(waiting[0].1.is_cancelled() && !waiting[1].1.is_cancelled());
        assert_eq!(table.admit(waiting[0].0, now), Admission::Closed);
        assert!(!other.is_cancelled());
    }

    #[test]
    fn those_who_follow_runs_take_no_place_of_a_request_and_are_limited_too() {
        let (mut table, now) = (Table::default(), Instant::now());
        let watch = |table: &mut Table, peer| {
            let (id, _) = admitted(table, peer, now);
            table.head_arrived(id);
            let watches = table.watch(id);
            if watches.is_err() {
                table.open.remove(&id);
            }
            watches
        };
        for _ in 0..WATCHERS_PER_PEER {
            assert_eq!(watch(&mut table, host(1)), Ok(()));
        }
        assert_eq!(watch(&mut table, host(1)), Err(TooManyWatchers));
        for _ in WATCHERS_PER_PEER..WATCHERS {
            assert_eq!(watch(&mut table, host(2)), Ok(()));
        }
        assert_eq!(watch(&mut table, host(3)), Err(TooManyWatchers));
        admitted(&mut table, host(1), now);
    }

    #[test]
    fn a_host_is_one_peer_with_all_its_addresses() {
        let peer = |address: &str| Peer::host(address.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
        assert_ne!(peer("192.0.2.1"), peer("192.0.2.2"));
    }

    /// Every place that one peer may have.
    async fn all_of_a_peer(places: &Places) -> Vec<Place> {
        let mut taken = Vec::new();
        for _ in 0..PER_PEER {
            let place = places.queue(host(1));
            assert!(place.admitted().await);
            place.head_arrived();
            taken.push(place);
        }
        taken
    }

    #[tokio::test]
    async fn a_place_that_is_given_back_is_taken_at_once() {
        let places = Places::default();
        let mut taken = all_of_a_peer(&places).await;
        let next = places.queue(host(1));
        let freed = async { drop(taken.pop()) };
        let (admitted, ()) = tokio::join!(next.admitted(), freed);
        assert!(admitted);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_place_without_a_limit() {
        let places = Places::default();
        let _taken = all_of_a_peer(&places).await;
        let next = places.queue(host(1));
        assert!(!next.admitted_within(Duration::from_millis(20)).await);
    }
}
