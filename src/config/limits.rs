//! `[jobs.NAME.limits]`: how much a run may change without approval.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    table::Complete,
    value::{Limit, Number, Period, SECOND, YEAR},
};

/// How much a run may change without approval.
// The table of two kinds of jobs: a key that only one of them has is absent for the other.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Limits")]
pub struct LimitsTable {
    /// The period in which changes are counted, over all runs; a single run is bounded by the same
    /// limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<Period<SECOND, YEAR>>,
    /// The most deactivations in that period, of the active users that the job owns; more are held
    /// for a person to approve. A percentage is rounded down, and allows at least one; `0` and `0%`
    /// allow none. For a job of kind `ftrack-ldap`: in one run, of all active users; more raise an
    /// alarm.
    pub deactivate: Limit,
    /// The most logins that change, likewise. For a job of kind `ftrack-ldap`: in one run, of all
    /// active users; more raise an alarm.
    pub rename: Limit,
    /// The most users with values that are emptied, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clear: Option<Limit>,
    /// The most security roles that are taken, likewise, but of the roles that the job gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke: Option<Limit>,
    /// The most users that are reactivated, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactivate: Option<Limit>,
    /// The most users that are created, likewise; a percentage other than `0%` allows at least 25,
    /// and there is no limit while the job has only begun with its people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<Limit>,
    /// A directory read with more unusable entries than this has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<Limit>,
    /// A directory read with fewer people than this has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_entries: Option<Number<0, 100_000_000>>,
}

/// The keys that only a job that reads a directory has.
pub const LDAP_KEYS: [&str; 7] = [
    "per",
    "clear",
    "revoke",
    "reactivate",
    "create",
    "unusable",
    "min_entries",
];

impl Default for LimitsTable {
    fn default() -> Self {
        Self {
            per: Some(Period::hours(24)),
            deactivate: Limit::Percent(10),
            rename: Limit::Percent(10),
            clear: Some(Limit::Percent(10)),
            revoke: Some(Limit::Percent(10)),
            reactivate: Some(Limit::Percent(25)),
            create: Some(Limit::Percent(50)),
            unusable: Some(Limit::Percent(50)),
            min_entries: Some(Number(1)),
        }
    }
}

/// The limits of a job that reads a directory.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The period in which changes are counted, over all runs.
    pub per: Duration,
    /// The most deactivations in that period, of the active users that the job owns.
    pub deactivate: Limit,
    /// The most logins that change.
    pub rename: Limit,
    /// The most users with values that are emptied.
    pub clear: Limit,
    /// The most security roles that are taken, of those that the job gave.
    pub revoke: Limit,
    /// The most users that are reactivated.
    pub reactivate: Limit,
    /// The most users that are created.
    pub create: Limit,
    /// A directory read with more unusable entries than this has failed.
    pub unusable: Limit,
    /// A directory read with fewer people than this has failed.
    pub min_entries: usize,
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

impl LimitsTable {
    /// The limits of a job that reads a directory; what is absent has its default.
    pub fn of_ldap(self) -> Option<Limits> {
        let default = Self::default();
        Some(Limits {
            per: self.per.or(default.per)?.complete()?,
            deactivate: self.deactivate,
            rename: self.rename,
            clear: self.clear.or(default.clear)?,
            revoke: self.revoke.or(default.revoke)?,
            reactivate: self.reactivate.or(default.reactivate)?,
            create: self.create.or(default.create)?,
            unusable: self.unusable.or(default.unusable)?,
            min_entries: self.min_entries.or(default.min_entries)?.complete()?,
        })
    }

    /// The limits of a job of kind `ftrack-ldap`.
    pub fn of_ftrack_ldap(self) -> FtrackLdapJob {
        FtrackLdapJob {
            deactivate: self.deactivate,
            rename: self.rename,
        }
    }
}

impl From<Limits> for LimitsTable {
    fn from(limits: Limits) -> Self {
        Self {
            per: Some(limits.per.into()),
            deactivate: limits.deactivate,
            rename: limits.rename,
            clear: Some(limits.clear),
            revoke: Some(limits.revoke),
            reactivate: Some(limits.reactivate),
            create: Some(limits.create),
            unusable: Some(limits.unusable),
            min_entries: Some(limits.min_entries.into()),
        }
    }
}

impl From<FtrackLdapJob> for LimitsTable {
    fn from(limits: FtrackLdapJob) -> Self {
        Self {
            per: None,
            deactivate: limits.deactivate,
            rename: limits.rename,
            clear: None,
            revoke: None,
            reactivate: None,
            create: None,
            unusable: None,
            min_entries: None,
        }
    }
}
