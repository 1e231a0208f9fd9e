//! How much a server is asked for at a time, and how much it was when all of it was read.

/// How much ftrack is asked for at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSizes {
    /// Rows of a page.
    pub page_rows: u32,
    /// Calls in flight.
    pub calls: usize,
    /// Changes in one call.
    pub changes: usize,
}

/// What a complete reading of ftrack showed that the next one can begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingSizes {
    /// What fitted the server.
    pub asked: CallSizes,
    /// The number of users.
    pub users: usize,
    /// The number of links, those of removed users included.
    pub links: usize,
}

/// Lists that differ by less than this part need the same pages.
const ABOUT: usize = 100;

impl ReadingSizes {
    /// Whether the next reading would begin in about the same way.
    #[must_use]
    pub fn is_about(&self, other: &Self) -> bool {
        let is_about = |one: usize, other: usize| one.abs_diff(other) <= one / ABOUT;
        self.asked == other.asked
            && is_about(self.users, other.users)
            && is_about(self.links, other.links)
    }
}
