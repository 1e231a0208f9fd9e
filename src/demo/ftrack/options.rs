//! The server's behaviour where ftrack servers differ, or where the vendor's documentation is
//! silent: every open question is a switch.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chrono::TimeDelta;
use serde_json::Value;

use super::{account::Account, upload::Uploads};

/// Who may call, and by which rules.
#[derive(Clone)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub struct Options {
    /// The user name that the key is used with; an active Administrator of that name exists from
    /// the start.
    pub api_user: String,
    pub api_key: String,
    /// The rules at the start; they can be changed while the server runs.
    pub rules: Rules,
}

impl fmt::Debug for Options {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            api_user,
            api_key: _,
            rules,
        } = self;
        f.debug_struct("Options")
            .field("api_user", api_user)
            .field("rules", rules)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_user: "ldap-sync".to_owned(),
            api_key: "demo-key".to_owned(),
            rules: Rules::default(),
        }
    }
}

/// Switches that can be changed while the server runs.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What a failed call leaves behind.
    pub atomicity: Atomicity,
    /// The maximum number of active users; unlimited when absent.
    pub seats: Option<usize>,
    /// What happens to an activation when no seat is left.
    pub full: Full,
    /// What `query_server_information` tells of the licence.
    pub licence: Licence,
    /// How text is compared, in queries and for uniqueness.
    pub collation: Collation,
    /// Whether two users may have one mail address.
    pub emails: Emails,
    /// What the key may do.
    pub rights: Rights,
    /// Whether `query_server_information` tells who the caller is and what the caller may do.
    pub user_information: Disclosure,
    /// What a role that was just added applies to.
    pub new_roles: NewRoles,
    /// The security role that the server gives every new user, as the workspace's settings say.
    pub default_role: Option<String>,
    /// The most rows of an answer, whatever the limit in the query.
    pub page_cap: Option<usize>,
    /// Entity types that the key cannot read: queries return none of them, without an error.
    pub unreadable: BTreeSet<String>,
    /// Entity types that this server does not have: a query for them is refused, and the schemas show
    /// none.
    pub missing_types: BTreeSet<String>,
    /// Entity types for which every query is refused, although the schemas show them.
    pub refused_queries: BTreeSet<String>,
    /// Lists that end too early: so many rows of an entity type are all that a query without `in
    /// (…)` finds, and the last page says that there are no more.
    pub cut_lists: BTreeMap<String, usize>,
    /// Rows that no query without `in (…)` finds, by entity type and the first part of their key.
    pub unlisted: BTreeMap<String, BTreeSet<String>>,
    /// User names and user ids whose creation and update are refused with a `ValidationError`.
    pub refused_users: BTreeSet<String>,
    /// User ids whose metadata is not updated: that is refused with a `ValidationError`.
    pub refused_links: BTreeSet<String>,
    /// Names of security roles that nobody is given and nobody is deprived of: that is refused with a
    /// `ValidationError`.
    pub refused_roles: BTreeSet<String>,
    /// Operations that are refused with a `ValidationError`, by name, such as `send_user_invite`.
    pub refused_actions: BTreeSet<String>,
    /// What becomes of files that are sent to it.
    pub uploads: Uploads,
    /// Names of groups that are not made, and that nobody joins or leaves: that is refused with a
    /// `ValidationError`.
    pub refused_groups: BTreeSet<String>,
    /// Text attributes of users that are stored otherwise than they are written, by name.
    pub stores: BTreeMap<String, Stores>,
    /// How far the clock in its answers is ahead of this machine's; negative when it is behind.
    pub clock_ahead: TimeDelta,
    /// How ftrack's own LDAP synchronisation ends.
    pub builtin_sync: BuiltinSync,
    /// What the next one of those that come to their end does to users, also one that fails: users
    /// of these ids, or else of these logins, get these values; others are made.
    pub builtin_users: Vec<Account>,
}

/// What a failed call leaves behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Atomicity {
    /// Nothing: a call is all or nothing.
    #[default]
    Transaction,
    /// The operations before the one that failed.
    PartialUntilError,
}

/// What happens to an activation when no seat is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Full {
    /// It is refused.
    #[default]
    Refuse,
    /// The user is stored as inactive, without an error.
    StoreInactive,
}

/// What the server tells of its licence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Licence {
    /// One feature with the number of seats; nothing where there is no limit.
    #[default]
    Told,
    /// Nothing.
    Withheld,
    /// This, of whatever form.
    Other(Value),
}

/// How text is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Collation {
    /// Letter by letter.
    #[default]
    Exact,
    /// Upper and lower case are the same, as in MySQL's default collation.
    IgnoreCase,
}

/// How a text that is written is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stores {
    /// In lower case.
    LowerCase,
    /// Without this character.
    Without(char),
    /// With this character in place of another.
    Replaced(char, char),
    /// Not at all: what was there stays.
    Nothing,
}

/// Whether two users may have one mail address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Emails {
    /// They may.
    #[default]
    Shared,
    /// They may not.
    Unique,
}

/// What the key may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    #[default]
    All,
    /// Everything but write users, their metadata, roles and custom attributes.
    NoUserWrites,
    /// Everything but create users.
    NoNewUsers,
    /// Everything but change security roles.
    NoRoles,
    /// Everything but change memberships of groups.
    NoMemberships,
}

/// Whether something is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Disclosure {
    /// It is.
    #[default]
    Told,
    /// It is not.
    Withheld,
}

/// What a role that was just added applies to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum NewRoles {
    /// Nothing until a project is granted.
    #[default]
    NoProjects,
    AllOpenProjects,
}

/// How ftrack's own LDAP synchronisation ends; the job is queued at first, running at the first
/// poll, and ended at the second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "some variants and fields are self-explanatory")]
pub enum BuiltinSync {
    #[default]
    Done,
    /// Done after this many more polls.
    Slow(u32),
    /// Failed, with that description in the job's `data`.
    Fails(String),
    /// Failed, with that `data`.
    FailsWith(String),
    /// It keeps running.
    Hangs,
    /// It stays queued.
    NeverBegins,
    /// The job no longer exists at the first poll.
    Vanishes,
    /// It ends with this status.
    EndsAs(String),
    /// No LDAP directory is configured: it is refused with this message.
    NotSetUp(String),
    /// It is started, and the answer does not contain the job's id.
    Nameless,
}
