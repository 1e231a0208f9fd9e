//! The values of reasons.

use std::fmt;

/// The other one of two jobs between which a person moves, and what of the former job the person
/// left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LeftJob {
    pub job: Box<str>,
    pub part: JobPart,
}

/// What makes an entry one of a job's people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPart {
    /// It lies in the search bases.
    SearchBases,
    /// It is a member of the groups of `member_of`.
    Groups,
}

impl fmt::Display for JobPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SearchBases => "search bases",
            Self::Groups => "groups",
        })
    }
}

/// By what a user without an owner is recognised as a person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum MatchedBy {
    Login,
    Mail,
}

/// Several entries claim one thing, so none of them gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contested {
    /// The login, directory id or user.
    pub what: ContestedValue,
    /// The DNs of some of the other entries.
    pub others: Vec<Box<str>>,
}

/// What several entries claim.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants are self-explanatory")]
pub enum ContestedValue {
    Username(Box<str>),
    DirectoryId(Box<str>),
    User(Box<str>),
}

impl fmt::Display for MatchedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "login (users.adopt)",
            Self::Mail => "mail address (users.adopt)",
        })
    }
}

impl fmt::Display for Contested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            ContestedValue::Username(username) => write!(f, "the username {username:?}")?,
            ContestedValue::DirectoryId(id) => write!(f, "the directory id {id}")?,
            ContestedValue::User(username) => write!(f, "the ftrack user {username:?}")?,
        }
        let others = self.others.join(" and ");
        write!(f, " is also claimed by {others}; none of them gets it")
    }
}
