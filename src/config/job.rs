//! One job: what it does, and when; for a job that reads a directory, which people, mapped how,
//! under which rules and limits.

use std::{collections::BTreeMap, time::Duration};

use crate::model::backoff::Retry;

/// A checked job.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Job {
    /// Cron expression; the job runs only on request when absent.
    pub schedule: Option<String>,
    /// The time zone of `schedule`.
    pub timezone: chrono_tz::Tz,
    /// Whether a missed run is made up for, once, at start.
    pub catch_up: bool,
    /// The interval over which starts are spread.
    pub splay: Duration,
    /// The time limit of one run.
    pub time_limit: Duration,
    pub retry: Retry,
    pub kind: JobKind,
}

/// What a run of a job does.
#[derive(Debug, Clone)]
pub enum JobKind {
    /// It reads a directory, and keeps ftrack's users in step with it.
    Ldap(Box<LdapJob>),
    /// It starts ftrack's own LDAP synchronisation.
    FtrackLdap(FtrackLdapJob),
}

impl Job {
    /// The settings of a job that reads a directory; `None` for any other kind.
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
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LdapJob {
    /// The name that marks this job's people in ftrack; the job's own name unless configured.
    pub source: String,
    /// The name of the directory.
    pub directory: String,
    /// Where the searches start; never empty.
    pub search_bases: Vec<String>,
    pub scope: Scope,
    /// The filter for people (RFC 4515).
    pub filter: String,
    /// The mapping for each ftrack attribute: `username`, `email`, `first_name`, `last_name`,
    /// `full_name`, `custom_attributes.KEY`.
    pub attributes: BTreeMap<String, AttributeRule>,
    pub users: Users,
    pub limits: Limits,
}

/// A job of kind `ftrack-ldap`: more changes than these in one run, of all active users, raise an
/// alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct FtrackLdapJob {
    pub deactivate: Limit,
    /// Renames are logins that change.
    pub rename: Limit,
}

/// How deep a search goes (RFC 4511 section 4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base and everything below it.
    Subtree,
    /// Only the entries directly below the base.
    One,
}

/// The mapping for one ftrack attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeRule {
    /// An LDAP attribute's name, or a template if it contains `{{`.
    pub from: String,
    /// What happens when the directory shows no value.
    pub when_absent: WhenAbsent,
    /// Whether an entry without a value is skipped.
    pub required: bool,
}

/// What happens to the value in ftrack when the directory shows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAbsent {
    /// It is unchanged.
    Keep,
    /// It is emptied.
    Clear,
}

/// Which changes to users are allowed.
#[derive(Debug, Clone)]
pub struct Users {
    /// Whether users are created for new people.
    pub create: bool,
    /// Whether values of existing users are changed.
    pub update: bool,
    /// Whether users of people who left are deactivated.
    pub deactivate: bool,
    /// Whether users that this program deactivated are reactivated when the person is back.
    pub reactivate: bool,
    /// Whether an ftrack user without an owner may be adopted on first contact, and how it is
    /// recognised.
    pub adopt: Adopt,
    /// How long somebody must be missing, over at least two complete runs where it is not zero.
    pub deactivate_after: Duration,
    /// Glob patterns of usernames that are never adopted, and whose login, mail and activity change
    /// only with a person's approval.
    pub protect: Vec<String>,
    /// The name of the user type for created users; the server's default when absent.
    pub user_type: Option<String>,
}

/// How an ftrack user without an owner is recognised as a person of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopt {
    /// The same username, whatever its case.
    Username,
    /// The same mail address, whatever its case.
    Email,
    /// Never.
    Never,
}

/// How much a run may change without approval.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The period in which changes are counted, over all runs.
    pub per: Duration,
    /// The most deactivations in that period.
    pub deactivate: Limit,
    /// A directory read with more unusable entries than this has failed.
    pub unusable: Limit,
    /// A directory read with fewer people than this has failed.
    pub min_entries: usize,
}

/// A count, or a percentage: of the active users that the job owns, of all active users, or of the
/// entries that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Limit {
    Count(usize),
    /// At most 100.
    Percent(u8),
}
