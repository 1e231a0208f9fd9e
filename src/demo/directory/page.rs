//! Simple paged results (RFC 2696): the state of each paged search of a connection.

use std::collections::VecDeque;

use ldap3_proto::proto::LdapSearchRequest;

/// Paged searches that a connection may have open; the oldest is forgotten for a new one.
const OPEN: usize = 16;

/// The unfinished paged searches of one connection.
#[derive(Default)]
pub(super) struct Pages {
    last: u64,
    open: VecDeque<Open>,
}

/// How far a paged search got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Position {
    /// The number of the last entry examined.
    pub(super) after: u64,
    /// Entries returned so far, over all pages.
    pub(super) returned: usize,
}

struct Open {
    cookie: u64,
    request: LdapSearchRequest,
    position: Position,
}

impl Pages {
    /// Takes the state of a search; `None` for a cookie that is not the last one of this search.
    pub(super) fn resume(
        &mut self,
        cookie: &[u8],
        request: &LdapSearchRequest,
    ) -> Option<Position> {
        let cookie = u64::from_be_bytes(cookie.try_into().ok()?);
        let at = self
            .open
            .iter()
            .position(|open| open.cookie == cookie && open.request == *request)?;
        self.open.remove(at).map(|open| open.position)
    }

    /// Saves the state of a search, and creates its cookie.
    pub(super) fn suspend(&mut self, request: LdapSearchRequest, position: Position) -> Vec<u8> {
        if self.open.len() >= OPEN {
            self.open.pop_front();
        }
        self.last = self.last.wrapping_add(1);
        self.open.push_back(Open {
            cookie: self.last,
            request,
            position,
        });
        self.last.to_be_bytes().to_vec()
    }
}
