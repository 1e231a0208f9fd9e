//! The table of a job as it is written: `[jobs.NAME]`.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, value::MapAccessDeserializer},
};

use super::Period;

/// One job: which people of which directory are kept in step, and by which rules. For a job of kind
/// `ftrack-ldap`, only the keys `kind`, `schedule`, `timezone`, `catch_up`, `splay`, `time_limit`,
/// `retry` and, in `limits`, `deactivate` and `rename` have a meaning.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Job {
    /// What a run does.
    pub kind: Kind,
    /// When it runs: a cron expression of five fields (six with seconds first), or a nickname such
    /// as `@daily`; only on request when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The IANA name of the time zone of `schedule`.
    pub timezone: String,
    /// Whether a missed run is made up for, once, at start.
    pub catch_up: bool,
    /// The interval over which starts are spread, always the same delay for the same host and job.
    pub splay: Period,
    /// The time limit of one run.
    pub time_limit: Period,
    /// The name that marks this job's people in ftrack; the job's own name when absent. When you
    /// rename a job, set it to the old name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The name of the directory in which people are searched; may be omitted if there is only one
    /// directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The DNs where the searches start; required.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search_bases: Vec<String>,
    /// How deep the searches go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The filter for people, an LDAP filter such as `(objectClass=inetOrgPerson)`; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The mapping for each ftrack attribute: `username` (required), `email`, `first_name` and
    /// `last_name` or instead `full_name`, and `custom_attributes.KEY`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, AttributeRule>,
    /// Which changes to users are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Users>,
    /// How much a run may change without approval.
    pub limits: Limits,
    /// How failed runs are retried, instead of waiting for the next scheduled run.
    pub retry: Retry,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            kind: Kind::Ldap,
            schedule: None,
            timezone: "UTC".to_owned(),
            catch_up: true,
            splay: Period::new("0s"),
            time_limit: Period::new("1h"),
            source: None,
            directory: None,
            search_bases: Vec::new(),
            scope: Some(Scope::default()),
            filter: None,
            attributes: BTreeMap::new(),
            users: Some(Users::default()),
            limits: Limits::default(),
            retry: Retry::default(),
        }
    }
}

/// What a run of a job does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", expecting = r#""ldap" or "ftrack-ldap""#)]
pub enum Kind {
    /// It reads a directory, and keeps ftrack's users in step with it.
    #[default]
    Ldap,
    /// It starts ftrack's own LDAP synchronisation.
    FtrackLdap,
}

/// How deep a search goes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""subtree" or "one""#)]
pub enum Scope {
    /// The base and everything below it.
    #[default]
    Subtree,
    /// Only the entries directly below the base.
    One,
}

/// The mapping for one ftrack attribute.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum AttributeRule {
    /// An LDAP attribute's name, or a template such as `{{ givenName }} {{ sn }}`.
    From(String),
    /// The same, with rules for an absent value.
    Table(AttributeTable),
}

/// The mapping for one ftrack attribute, with rules for an absent value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct AttributeTable {
    /// An LDAP attribute's name, or a template such as `{{ givenName }} {{ sn }}`; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What happens to the value in ftrack when the directory shows none.
    pub when_absent: WhenAbsent,
    /// Whether an entry without a value is skipped; always true for `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

/// What happens to the value in ftrack when the directory shows none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""keep" or "clear""#)]
pub enum WhenAbsent {
    /// It is unchanged.
    #[default]
    Keep,
    /// It is emptied.
    Clear,
}

// Not derived: for an untagged enum, serde cannot report which key of the table is wrong.
impl<'de> Deserialize<'de> for AttributeRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> de::Visitor<'de> for TextOrTable {
            type Value = AttributeRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an LDAP attribute, a template, or a table")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AttributeRule, E> {
                Ok(AttributeRule::From(text.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AttributeRule, A::Error> {
                AttributeTable::deserialize(MapAccessDeserializer::new(map))
                    .map(AttributeRule::Table)
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

/// Which changes to users are allowed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
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
    /// How long somebody must be missing, over at least two complete runs where it is not `0s`.
    pub deactivate_after: Period,
    /// Patterns (`*`, `?`, `[abc]`, `{a,b}`) of usernames that are never adopted, and whose login,
    /// mail and activity change only with a person's approval.
    pub protect: Vec<String>,
    /// The name of the user type for created users; the server's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            create: true,
            update: true,
            deactivate: true,
            reactivate: true,
            adopt: Adopt::Username,
            deactivate_after: Period::new("0s"),
            protect: Vec::new(),
            user_type: None,
        }
    }
}

/// How an ftrack user without an owner is recognised as a person of the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "lowercase",
    expecting = r#""username", "email" or "never""#
)]
pub enum Adopt {
    /// The same username, whatever its case.
    Username,
    /// The same mail address, whatever its case.
    Email,
    /// Never.
    Never,
}

/// How much a run may change without approval.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Limits {
    /// The period in which changes are counted, over all runs; a single run is bounded by the same
    /// limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<Period>,
    /// The most deactivations in that period, of the active users that the job owns; more are held
    /// for a person to approve. A percentage is rounded down, and allows at least one; `0` and `0%`
    /// allow none. For a job of kind `ftrack-ldap`: in one run, of all active users; more raise an
    /// alarm.
    pub deactivate: Limit,
    /// Only for a job of kind `ftrack-ldap`: the most logins that change in one run, of all active
    /// users; `10%` when absent. More raise an alarm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<Limit>,
    /// A directory read with more unusable entries than this has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unusable: Option<Limit>,
    /// A directory read with fewer people than this has failed.
    #[schemars(range(min = 0, max = 100_000_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_entries: Option<i64>,
}

impl Limits {
    /// The limit of a job that does not set one.
    #[must_use]
    pub fn tenth() -> Limit {
        Limit::Percent("10%".to_owned())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per: Some(Period::new("24h")),
            deactivate: Self::tenth(),
            rename: None,
            unusable: Some(Limit::Percent("50%".to_owned())),
            min_entries: Some(1),
        }
    }
}

/// A count, or a percentage.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = r#"a count such as 25, or a percentage in quotes such as "10%", is expected"#
)]
pub enum Limit {
    /// The number of changes or entries.
    Count(#[schemars(range(min = 0))] i64),
    /// A percentage, such as `10%`.
    Percent(#[schemars(regex(pattern = r"^[0-9]{1,3}%$"))] String),
}

/// How failed runs are retried.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Retry {
    /// The first delay; it doubles with each failure.
    pub initial: Period,
    /// The longest delay.
    pub max: Period,
    /// The number of failures in a row after which the job is suspended: from then on it is tried
    /// once in `max`.
    #[schemars(range(min = 1, max = 1_000))]
    pub suspend_after: i64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial: Period::new("1m"),
            max: Period::new("1h"),
            suspend_after: 10,
        }
    }
}
