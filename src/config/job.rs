//! `[jobs.NAME]`: one job, and what it does.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    account,
    account::{AccountRule, DisabledKey, Expires},
    attributes::{self, AttributeKey, AttributeRule},
    finding::{KeyPath, did_you_mean},
    grants,
    grants::{MappedGroups, RoleKey, RoleRule},
    kind,
    kind::PeopleFilter,
    limits::{FtrackLdapJob, Limits, LimitsTable},
    notes::Notes,
    notifications::{Notifications, NotificationsTable},
    retry::{self, RetryTable},
    table::Complete,
    users::{self, Users, UsersTable},
    value::{
        Base, CronExpression, DAY, Filter, GroupDn, List, Period, SECOND, Zone, check_name, line,
        line_problem,
    },
    windows::{self, FreezeTable, WindowsTable},
};
use crate::model::{
    backoff::Retry,
    change_kind::ChangeKind,
    server_kind::ServerKind,
    window::{Freeze, Window},
};

/// The longest run that may be configured.
const LONGEST: u64 = 7 * DAY;

/// One job: which people of which directory are kept in step, and by which rules. For a job of kind
/// `ftrack-ldap`, only the keys `kind`, `schedule`, `timezone`, `catch_up`, `splay`, `time_limit`,
/// `retry`, `notifications` and, in `limits`, `deactivate` and `rename` have a meaning.
// The table of two kinds of jobs, each of which has a type of its own that holds only its keys: a
// key that only one of them has is absent for the other.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(rename = "Job")]
pub struct JobTable {
    /// What a run does.
    pub kind: Kind,
    /// Whether its runs write what they plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// When it runs: a cron expression of five fields (six with seconds first), or a nickname such
    /// as `@daily`; only on request when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<CronExpression>,
    /// When only what changed is read, beside the runs of `schedule`, which stay necessary: a cron
    /// expression; never when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_schedule: Option<CronExpression>,
    /// Whether the directory is watched by the daemon, which reads what changed as soon as something
    /// does, beside the runs of `schedule`, which stay necessary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
    /// The IANA name of the time zone of `schedule` and `changes_schedule`.
    #[serde(with = "Zone")]
    #[schemars(with = "String")]
    pub timezone: chrono_tz::Tz,
    /// Whether a missed run is made up for, once, at start.
    pub catch_up: bool,
    /// The interval over which starts are spread, always the same delay for the same host and job.
    pub splay: Period<0, DAY>,
    /// The time limit of one run.
    pub time_limit: Period<SECOND, LONGEST>,
    /// The name that marks this job's people in ftrack; the job's own name when absent. When you
    /// rename a job, set it to the old name.
    #[serde(deserialize_with = "line", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The name of the directory in which people are searched; may be omitted if there is only one
    /// directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The DNs where the searches start; required.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub search_bases: List<Base>,
    /// How deep the searches go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The filter for people, an LDAP filter such as `(objectClass=inetOrgPerson)`; by the
    /// directory's kind when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The DNs of groups: people are only those who are members of one of them, directly or through
    /// other groups.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub member_of: List<GroupDn>,
    /// The DNs where groups are searched for, for `member_of`, `roles` and `groups`; the naming
    /// contexts of those groups when absent.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub group_bases: List<Base>,
    /// Who may not sign in: "auto" (by the directory's kind), an LDAP filter such as
    /// `(employeeType=locked)`, or "never". Their users are deactivated, and not created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<DisabledKey>,
    /// The attribute that shows until when people may sign in, and its form; beside `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expires>,
    /// What happens to users whom a changed search base, filter, mapping, source, directory or rule
    /// for disabled people would deactivate, reactivate, rename, or deprive of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_change: Option<ConfigChange>,
    /// The mapping for each ftrack attribute: `username` (required), `email`, `first_name` and
    /// `last_name` or instead `full_name`, and `custom_attributes.KEY`; by the directory's kind when
    /// the whole table is absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, AttributeKey>,
    /// The security roles of ftrack that members of groups get: for each role, by its name, the DNs of
    /// the groups, for all open projects; or a table with `groups` and `projects`, for named ones.
    /// Others are neither given nor taken.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, RoleKey>,
    /// The groups of ftrack to which members of LDAP groups belong: for each, by its name or the path
    /// of names to it, such as `Departments/Lighting`, the DNs of the LDAP groups. Nobody joins or
    /// leaves others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, List<GroupDn>>,
    /// Which changes to users are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<UsersTable>,
    /// How much a run may change without approval.
    pub limits: LimitsTable,
    /// When changes of a kind are written.
    #[serde(skip_serializing_if = "WindowsTable::is_empty")]
    pub windows: WindowsTable,
    /// When changes of a kind are not written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<FreezeTable>,
    /// How failed runs are retried, instead of waiting for the next scheduled run.
    pub retry: RetryTable,
    /// Who is told what about this job, and how; each key stands in place of that in
    /// `[notifications]`.
    #[serde(skip_serializing_if = "NotificationsTable::is_empty")]
    pub notifications: NotificationsTable,
}

/// The keys that only a job that reads a directory has.
pub const LDAP_KEYS: [&str; 19] = [
    "mode",
    "changes_schedule",
    "watch",
    "source",
    "directory",
    "search_bases",
    "scope",
    "filter",
    "member_of",
    "group_bases",
    "disabled",
    "expires",
    "config_change",
    "attributes",
    "roles",
    "groups",
    "users",
    "windows",
    "freezes",
];

impl Default for JobTable {
    fn default() -> Self {
        Self {
            kind: Kind::Ldap,
            mode: Some(Mode::default()),
            schedule: None,
            changes_schedule: None,
            watch: Some(false),
            timezone: chrono_tz::UTC,
            catch_up: true,
            splay: Period::seconds(0),
            time_limit: Period::hours(1),
            source: None,
            directory: None,
            search_bases: List::default(),
            scope: Some(Scope::default()),
            filter: None,
            member_of: List::default(),
            group_bases: List::default(),
            disabled: Some(DisabledKey::default()),
            expires: None,
            config_change: Some(ConfigChange::default()),
            attributes: BTreeMap::new(),
            roles: BTreeMap::new(),
            groups: BTreeMap::new(),
            users: Some(UsersTable::default()),
            limits: LimitsTable::default(),
            windows: WindowsTable::default(),
            freezes: Vec::new(),
            retry: RetryTable::default(),
            notifications: NotificationsTable::default(),
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

/// Whether the runs of a job write what they plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""sync" or "observe""#)]
pub enum Mode {
    /// They write.
    #[default]
    Sync,
    /// They read, plan and report as all runs do, and write nothing to ftrack.
    Observe,
}

/// How deep a search goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""subtree" or "one""#)]
pub enum Scope {
    /// The base and everything below it.
    #[default]
    Subtree,
    /// Only the entries directly below the base.
    One,
}

/// What happens to users whom a changed configuration would deactivate, rename, or deprive of
/// values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", expecting = r#""hold" or "apply""#)]
pub enum ConfigChange {
    /// Those whom the first complete reading shows to be affected are held for a person to approve.
    #[default]
    Hold,
    /// They are changed at once.
    Apply,
}

/// A job, with what all kinds have.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the table of a job describes the keys")]
pub struct Job {
    pub schedule: Option<CronExpression>,
    pub timezone: chrono_tz::Tz,
    pub catch_up: bool,
    pub splay: Duration,
    pub time_limit: Duration,
    pub retry: Retry,
    pub notifications: Notifications,
    pub kind: JobKind,
}

/// What a run of a job does, with the keys that only this kind has.
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
#[allow(missing_docs, reason = "the table of a job describes the keys")]
pub struct LdapJob {
    pub mode: Mode,
    /// There is one only beside a schedule.
    pub changes_schedule: Option<CronExpression>,
    /// Only beside a schedule.
    pub watch: bool,
    /// The job's own name unless configured.
    pub source: String,
    pub directory: String,
    /// Never empty.
    pub search_bases: Vec<String>,
    pub scope: Scope,
    /// By the directory's kind unless configured.
    pub filter: Option<Filter>,
    /// Everybody who matches where it is empty.
    pub member_of: Vec<String>,
    pub group_bases: Vec<String>,
    pub disabled: DisabledKey,
    pub expires: Option<Expires>,
    pub config_change: ConfigChange,
    /// By the directory's kind unless configured.
    pub attributes: Option<BTreeMap<String, AttributeRule>>,
    /// By the role's name in ftrack.
    pub roles: BTreeMap<String, RoleRule>,
    /// The DNs of the LDAP groups of each group of ftrack, by its path; never without one.
    pub groups: BTreeMap<String, Vec<String>>,
    pub users: Users,
    pub limits: Limits,
    /// No list is empty.
    pub windows: BTreeMap<ChangeKind, Vec<Window>>,
    pub freezes: Vec<Freeze>,
}

impl LdapJob {
    /// Whether runs of it read only what changed.
    #[must_use]
    pub fn reads_changes(&self) -> bool {
        self.changes_schedule.is_some() || self.watch
    }

    /// The filter for people at a kind of server.
    #[must_use]
    pub fn people(&self, kind: ServerKind) -> PeopleFilter {
        match &self.filter {
            Some(filter) => PeopleFilter::configured(filter.clone()),
            None => PeopleFilter::of_kind(kind),
        }
    }

    /// Fills in what follows from a kind of server; a filter without what only some schemas have.
    pub(super) fn follow(&mut self, kind: ServerKind) {
        self.filter = Some(self.people(kind).where_known(|_| false));
        self.attributes = Some(self.mapping(kind).into_owned());
        (self.disabled, self.expires) =
            account::follow(kind, &self.disabled, self.expires.as_ref());
    }

    /// What the members of LDAP groups get, in order.
    pub fn mapped_groups(&self) -> impl Iterator<Item = MappedGroups<'_>> {
        grants::mapped_groups(&self.roles, &self.groups)
    }

    /// Whether members of LDAP groups get anything.
    #[must_use]
    pub fn gives_anything(&self) -> bool {
        !self.roles.is_empty() || !self.groups.is_empty()
    }

    /// Who may not sign in, at a kind of server.
    #[must_use]
    pub fn account(&self, kind: ServerKind) -> AccountRule {
        AccountRule::new(kind, &self.disabled, self.expires.as_ref())
    }

    /// The mapping at a kind of server.
    #[must_use]
    pub fn mapping(&self, kind: ServerKind) -> Cow<'_, BTreeMap<String, AttributeRule>> {
        match &self.attributes {
            Some(attributes) => Cow::Borrowed(attributes),
            None => Cow::Owned(kind::attributes(kind)),
        }
    }
}

/// Checks the table of a job, in a configuration with these directories, about which people are told
/// this.
pub fn check(
    notes: &mut Notes,
    name: &str,
    mut table: JobTable,
    (directories, notifications): (&[String], Option<Notifications>),
) -> Option<Job> {
    let at = KeyPath::default().key("jobs").key(name);
    check_name(notes, &at, name);
    let retry = retry::check(notes, &at.key("retry"), std::mem::take(&mut table.retry));
    let kind = match table.kind {
        Kind::Ldap => {
            ldap(notes, &at, name, &mut table, directories).map(|job| JobKind::Ldap(Box::new(job)))
        }
        Kind::FtrackLdap => Some(JobKind::FtrackLdap(table.limits.of_ftrack_ldap())),
    };
    Some(Job {
        schedule: table.schedule,
        timezone: table.timezone,
        catch_up: table.catch_up,
        splay: table.splay.complete()?,
        time_limit: table.time_limit.complete()?,
        retry: retry?,
        notifications: notifications?,
        kind: kind?,
    })
}

/// The settings of a job that reads a directory, taken out of its table.
fn ldap(
    notes: &mut Notes,
    at: &KeyPath,
    name: &str,
    table: &mut JobTable,
    directories: &[String],
) -> Option<LdapJob> {
    if let (None, Some(problem)) = (&table.source, line_problem(name)) {
        notes.find(&at.key("source"), problem);
    }
    if table.changes_schedule.is_some() && table.schedule.is_none() {
        notes.find(
            &at.key("changes_schedule"),
            "a job with changes_schedule needs a schedule as well: what ends by time, who left without \
             the server's saying so, and what changed in ftrack is found only when everything is read",
        );
    }
    let is_watched = table.watch.unwrap_or_default();
    if is_watched && table.schedule.is_none() {
        notes.find(
            &at.key("watch"),
            "a job with watch = true needs a schedule as well: what ends by time, who left without the \
             server's saying so, and what changed in ftrack is found only when everything is read",
        );
    }
    let mode = table.mode.unwrap_or_default();
    let of_changes = [
        ("changes_schedule", table.changes_schedule.is_some()),
        ("watch", is_watched),
    ];
    for (key, _) in of_changes
        .into_iter()
        .filter(|(_, is_set)| mode == Mode::Observe && *is_set)
    {
        notes.find(
            &at.key(key),
            "a job with mode = \"observe\" cannot have it: what was not written is not known to later \
             runs, so each of them reads everything",
        );
    }
    let directory = directory(
        notes,
        &at.key("directory"),
        table.directory.take(),
        directories,
    );
    let bases = at.key("search_bases");
    if table.search_bases.is_empty() {
        notes.missing(
            &bases,
            "where the searches start, such as [\"ou=people,dc=studio,dc=test\"]",
        );
    }
    table.search_bases.check(notes, &bases);
    table.member_of.check(notes, &at.key("member_of"));
    let group_bases = at.key("group_bases");
    table.group_bases.check(notes, &group_bases);
    let names_none =
        table.member_of.is_empty() && table.roles.is_empty() && table.groups.is_empty();
    let is_judged = ["roles", "groups"]
        .iter()
        .any(|key| notes.is_judged(&at.key(key)));
    let roles = grants::roles(notes, &at.key("roles"), std::mem::take(&mut table.roles));
    let groups = grants::groups(notes, &at.key("groups"), std::mem::take(&mut table.groups));
    grants::check_number(notes, at, roles.as_ref(), groups.as_ref());
    if names_none && !is_judged && !table.group_bases.is_empty() {
        notes.find(
            &group_bases,
            "it is used only beside member_of, roles or groups, which are absent",
        );
    }
    let mapping = at.key("attributes");
    let written = std::mem::take(&mut table.attributes);
    let is_mapped = written.is_empty() || written.contains_key("email");
    let attributes = if written.is_empty() && !notes.is_judged(&mapping) {
        Some(None)
    } else {
        attributes::check(notes, &mapping, written).map(Some)
    };
    account::check(notes, &at.key("expires"), table.expires.as_ref());
    let users = table.users.take().unwrap_or_default();
    let users = users::check(notes, &at.key("users"), users, |notes| {
        is_mapped || notes.is_judged(&mapping.key("email"))
    });
    let windows = std::mem::take(&mut table.windows);
    let windows = windows::check_windows(notes, &at.key("windows"), windows);
    let freezes = std::mem::take(&mut table.freezes);
    let freezes = windows::check_freezes(notes, &at.key("freezes"), freezes);
    Some(LdapJob {
        mode,
        changes_schedule: table.changes_schedule.take(),
        watch: is_watched,
        source: table.source.take().unwrap_or_else(|| name.to_owned()),
        directory: directory?,
        search_bases: std::mem::take(&mut table.search_bases).complete()?,
        scope: table.scope.unwrap_or_default(),
        filter: table.filter.take(),
        member_of: std::mem::take(&mut table.member_of).complete()?,
        group_bases: std::mem::take(&mut table.group_bases).complete()?,
        disabled: table.disabled.take().unwrap_or_default(),
        expires: table.expires.take(),
        config_change: table.config_change.unwrap_or_default(),
        attributes: attributes?,
        roles: roles?,
        groups: groups?,
        users: users?,
        limits: std::mem::take(&mut table.limits).of_ldap()?,
        windows: windows?,
        freezes: freezes?,
    })
}

fn directory(
    notes: &mut Notes,
    at: &KeyPath,
    name: Option<String>,
    directories: &[String],
) -> Option<String> {
    match (name, directories) {
        // A configuration without any directory is a finding of its own.
        (_, []) => None,
        (None, [only]) => Some(only.clone()),
        (None, _) => {
            notes.missing(
                at,
                &format!("there are several directories: {}", directories.join(", ")),
            );
            None
        }
        (Some(name), _) if directories.contains(&name) => Some(name),
        (Some(name), _) => {
            let known = directories.iter().map(String::as_str);
            notes.find(
                at,
                format!(
                    "there is no directory {name:?}{}",
                    did_you_mean(&name, known)
                ),
            );
            None
        }
    }
}

/// As it would be written.
impl From<Job> for JobTable {
    fn from(job: Job) -> Self {
        let of_kind = match job.kind {
            JobKind::Ldap(job) => (*job).into(),
            JobKind::FtrackLdap(job) => Self {
                kind: Kind::FtrackLdap,
                mode: None,
                watch: None,
                scope: None,
                disabled: None,
                config_change: None,
                users: None,
                limits: job.into(),
                ..Self::default()
            },
        };
        Self {
            schedule: job.schedule,
            timezone: job.timezone,
            catch_up: job.catch_up,
            splay: job.splay.into(),
            time_limit: job.time_limit.into(),
            retry: job.retry.into(),
            notifications: job.notifications.into(),
            ..of_kind
        }
    }
}

impl From<LdapJob> for JobTable {
    fn from(job: LdapJob) -> Self {
        let attributes = job.attributes.iter().flatten();
        let attributes = attributes.map(|(name, rule)| (name.clone(), attributes::written(rule)));
        let roles = job.roles.into_iter();
        let roles = roles.map(|(name, rule)| (name, rule.into()));
        let groups = job.groups.into_iter();
        let groups = groups.map(|(path, groups)| (path, groups.into()));
        Self {
            kind: Kind::Ldap,
            mode: Some(job.mode),
            changes_schedule: job.changes_schedule,
            watch: Some(job.watch),
            source: Some(job.source),
            directory: Some(job.directory),
            search_bases: job.search_bases.into(),
            scope: Some(job.scope),
            filter: job.filter,
            member_of: job.member_of.into(),
            group_bases: job.group_bases.into(),
            disabled: Some(job.disabled),
            expires: job.expires,
            config_change: Some(job.config_change),
            attributes: attributes.collect(),
            roles: roles.collect(),
            groups: groups.collect(),
            users: Some(job.users.into()),
            limits: job.limits.into(),
            windows: job.windows.into(),
            freezes: job.freezes.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}
