//! Which credentials would be used at the servers that refused some. Computing that reads files, so
//! it is wanted here and told later; whoever depends on it waits.

use std::collections::BTreeMap;

/// The fingerprints of credentials, and who waits for them.
#[derive(Debug)]
pub struct Fingerprints<T> {
    known: BTreeMap<String, Option<String>>,
    /// The computation that is under way.
    under_way: Option<u64>,
    /// The number of the next computation.
    next: u64,
    /// Computations that began earlier than this one may tell of credentials from before.
    valid_from: u64,
    /// Whether another computation is wanted after this one.
    again: bool,
    /// Who waits for a computation that began no earlier than this one.
    waiting: Vec<(u64, T)>,
}

impl<T> Default for Fingerprints<T> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            under_way: None,
            next: 0,
            valid_from: 0,
            again: false,
            waiting: Vec::new(),
        }
    }
}

impl<T> Fingerprints<T> {
    /// The fingerprint of a server's credentials; none as long as it is not known.
    #[must_use]
    pub fn get(&self, server: &str) -> Option<&Option<String>> {
        self.known.get(server)
    }

    /// What was known of these servers may be of other credentials than there are now.
    pub fn forget<'a>(&mut self, servers: impl Iterator<Item = &'a str>) {
        for server in servers {
            self.known.remove(server);
        }
        self.valid_from = self.next;
    }

    /// Nothing that was known is of the configuration in use.
    pub fn forget_all(&mut self) {
        self.known.clear();
        self.valid_from = self.next;
    }

    /// Begins a computation, and gives back its number. While one is under way, the next one begins
    /// after it.
    pub fn begin(&mut self) -> Option<u64> {
        if self.under_way.is_some() {
            self.again = true;
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.under_way = Some(id);
        Some(id)
    }

    /// Whether a computation is under way.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Lets something wait for a computation that has not begun yet.
    pub fn wait(&mut self, waiting: T) {
        self.waiting.push((self.next, waiting));
    }

    /// A computation has ended: gives back who waited for it, and whether another one is wanted.
    pub fn ended(
        &mut self,
        id: u64,
        fingerprints: BTreeMap<String, Option<String>>,
    ) -> (Vec<T>, bool) {
        if self.under_way == Some(id) {
            self.under_way = None;
        }
        if id >= self.valid_from {
            self.known = fingerprints;
        }
        let all = std::mem::take(&mut self.waiting);
        let (ready, waiting): (Vec<_>, Vec<_>) = all.into_iter().partition(|(from, _)| *from <= id);
        self.waiting = waiting;
        let again = std::mem::take(&mut self.again) || !self.waiting.is_empty();
        (ready.into_iter().map(|(_, ready)| ready).collect(), again)
    }

    /// All who wait; they wait no longer.
    pub fn take_waiting(&mut self) -> Vec<T> {
        let all = std::mem::take(&mut self.waiting);
        all.into_iter().map(|(_, waiting)| waiting).collect()
    }
}
