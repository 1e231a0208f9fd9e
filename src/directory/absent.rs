//! The proof that a person is absent.

use crate::model::entry::DirectoryId;

/// A person whom a complete read did not show, and a complete search by id on the same server did
/// not find either; only the second look makes one.
///
/// What other servers say can make it doubtful, and nothing makes it certain again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    id: DirectoryId,
    doubt: Option<AbsenceDoubt>,
}

/// Why it is doubtful that somebody is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AbsenceDoubt {
    /// Another server still shows the person.
    ShownBy {
        /// The URL of that server.
        server: String,
    },
    /// An answer is missing or cannot be understood, as these words say.
    Unclear(String),
}

impl Absent {
    pub(super) fn new(id: DirectoryId) -> Self {
        Self { id, doubt: None }
    }

    /// The id of the person.
    #[must_use]
    pub fn id(&self) -> &DirectoryId {
        &self.id
    }

    /// Why it is doubtful, if it is.
    #[must_use]
    pub fn doubt(&self) -> Option<&AbsenceDoubt> {
        self.doubt.as_ref()
    }

    /// Makes it doubtful; a server that shows the person outweighs what is unclear.
    pub fn doubted(&mut self, doubt: AbsenceDoubt) {
        let is_shown = matches!(self.doubt, Some(AbsenceDoubt::ShownBy { .. }));
        if !is_shown || matches!(doubt, AbsenceDoubt::ShownBy { .. }) {
            self.doubt = Some(doubt);
        }
    }
}

#[cfg(test)]
impl Absent {
    /// A proof for tests of what is decided from it.
    pub(crate) fn for_tests(id: DirectoryId) -> Self {
        Self::new(id)
    }
}
