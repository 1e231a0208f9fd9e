//! One job: what it does, and when; of a job that reads a directory, which people, mapped how,
//! under which rules and limits.

use crate::model::backoff::Retry;
use std::{collections::BTreeMap, time::Duration};

/// One job: when it runs, and what a run does.
#[derive(Debug, Clone)]
pub struct Job {
    /// When it runs, as a cron expression; only on request when absent.
    pub schedule: Option<String>,
    /// The zone in which `schedule` is read.
    pub timezone: chrono_tz::Tz,
    /// Whether a run that was missed is made up for, once, at start.
    pub catch_up: bool,
    /// Over how long starts are spread.
    pub splay: Duration,
    /// How long one run may take.
    pub time_limit: Duration,
    /// What happens after a failed run.
    pub retry: Retry,
    /// What a run does.
    pub kind: JobKind,
}

/// What a run of a job does.
#[derive(Debug, Clone)]
pub enum JobKind {
    /// It reads a directory, and keeps ftrack's users in step with it.
    Ldap(Box<LdapJob>),
    /// It has ftrack do its own LDAP synchronisation.
    FtrackLdap(FtrackLdapJob),
}

impl Job {
    /// What a job that reads a directory has; none of any other kind.
    #[must_use]
    pub fn ldap(&self) -> Option<&LdapJob> {
        match &self.kind {
            JobKind::Ldap(ldap) => Some(ldap),
            JobKind::FtrackLdap(_) => None,
        }
    }
}

/// A job that reads a directory: which people are kept in step, and by which rules.
#[derive(Debug, Clone)]
pub struct LdapJob {
    /// The name that marks this job's people at ftrack; the job's own name unless configured.
    pub source: String,
    /// The name of the directory in which people are looked for.
    pub directory: String,
    /// Where the searches start; never empty.
    pub search_bases: Vec<String>,
    /// How deep the searches go.
    pub scope: Scope,
    /// Which entries are people (RFC 4515).
    pub filter: String,
    /// What fills each ftrack attribute: `username`, `email`, `first_name`, `last_name`,
    /// `full_name`, `custom_attributes.KEY`.
    pub attributes: BTreeMap<String, AttributeRule>,
    /// What may be done to users.
    pub users: Users,
    /// What a run may do without asking.
    pub limits: Limits,
}

/// A job that has ftrack do its own LDAP synchronisation: more of these in one run, of all active
/// users, is an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FtrackLdapJob {
    /// The most deactivations.
    pub deactivate: Limit,
    /// The most logins that change.
    pub rename: Limit,
}

/// How deep a search goes (RFC 4511 section 4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base and everything below it.
    Subtree,
    /// Only what is directly below the base.
    One,
}

/// What fills one ftrack attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeRule {
    /// An LDAP attribute's name, or a template when it holds `{{`.
    pub from: String,
    /// What happens when the directory shows no value.
    pub when_absent: WhenAbsent,
    /// Whether an entry without a value is skipped.
    pub required: bool,
}

/// What happens to the value in ftrack when the directory shows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAbsent {
    /// It stays as it is.
    Keep,
    /// It is emptied.
    Clear,
}

/// What may be done to users.
#[derive(Debug, Clone)]
pub struct Users {
    /// Whether new people become users.
    pub create: bool,
    /// Whether values of existing users are changed.
    pub update: bool,
    /// Whether users of people who are gone are deactivated.
    pub deactivate: bool,
    /// Whether users whom this program deactivated are reactivated when the person is back.
    pub reactivate: bool,
    /// Whether an ftrack user that nobody owns may be taken over on first contact, and found by
    /// what.
    pub adopt: Adopt,
    /// How long somebody must be missing, over at least two complete runs where it is not zero.
    pub deactivate_after: Duration,
    /// Glob patterns of usernames that are never adopted, and whose login, mail and activity change
    /// only with a person's approval.
    pub protect: Vec<String>,
    /// The name of the user type that created users get; the server's default when absent.
    pub user_type: Option<String>,
}

/// By what an ftrack user that nobody owns may be recognised as a person of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopt {
    /// The same username, whatever its case.
    Username,
    /// The same mail address, whatever its case.
    Email,
    /// Never.
    Never,
}

/// What a run may do without asking.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Within which time changes are counted, over all runs.
    pub per: Duration,
    /// The most deactivations within that time.
    pub deactivate: Limit,
    /// A directory read in which more entries than this cannot be used has failed.
    pub unusable: Limit,
    /// A directory read with fewer people than this has failed.
    pub min_entries: usize,
}

/// A count, or a percentage: of the active users that the job owns, of all active users, or of the
/// entries that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// So many.
    Count(usize),
    /// So many of a hundred; at most 100.
    Percent(u8),
}
