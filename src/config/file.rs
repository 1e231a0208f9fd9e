//! The whole file: its tables, and the keys outside them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Config,
    directory::{self, DirectoryTable},
    files::Places,
    finding::KeyPath,
    ftrack::{self, FtrackTable},
    http::HttpTable,
    job::{self, JobKind, JobTable, Kind, LdapJob},
    notes::Notes,
    notifications,
    notifications::NotificationsTable,
    table::{Complete, table},
    value::{CENTURY, HOUR, Number, Period},
};

/// The configuration of ftrack-ldap-sync.
///
/// A relative path is looked up beside the configuration file; the path of a file to be read is
/// looked up in `$CREDENTIALS_DIRECTORY` first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
#[schemars(title = "ftrack-ldap-sync")]
pub struct File {
    /// The directory for reports, journals and the state database.
    pub state_dir: PathBuf,
    /// The Unix socket on which a running daemon accepts commands.
    pub control_socket: PathBuf,
    /// How many runs a daemon executes at the same time; never two on one directory.
    pub parallel_runs: Number<1, 64>,
    /// The HTTP listener for health, metrics and the pages; no listener when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpTable>,
    /// How long reports are saved.
    pub reports: ReportsTable,
    /// How long snapshots of the users are saved.
    pub snapshots: SnapshotsTable,
    /// The ftrack server.
    pub ftrack: FtrackTable,
    /// Who is told what about the jobs, and how; a job may have a table of its own, whose keys stand
    /// in place of these.
    #[serde(skip_serializing_if = "NotificationsTable::is_empty")]
    pub notifications: NotificationsTable,
    /// The LDAP directories, by a name of your choice, with the same characters as a job's.
    pub directories: BTreeMap<String, DirectoryTable>,
    /// The jobs, by a name of your choice: lower-case letters, digits, `-`, `_` and `.`, since it
    /// becomes part of file names.
    pub jobs: BTreeMap<String, JobTable>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/ftrack-ldap-sync".into(),
            control_socket: "/run/ftrack-ldap-sync/control.sock".into(),
            parallel_runs: Number(2),
            http: None,
            reports: ReportsTable::default(),
            snapshots: SnapshotsTable::default(),
            notifications: NotificationsTable::default(),
            ftrack: FtrackTable::default(),
            directories: BTreeMap::new(),
            jobs: BTreeMap::new(),
        }
    }
}

table! {
    /// How long reports are saved. The newest one of each job always stays.
    #[schemars(rename = "Reports")]
    struct ReportsTable => struct Reports {
        /// The maximum number of reports of one job's runs that changed, held and failed nothing.
        keep: Number<1, 1_000_000> => usize = Number(500),
        /// The maximum age of all other reports.
        keep_for: Period<HOUR, CENTURY> => Duration = Period::days(400),
    }
}

table! {
    /// How long snapshots are saved: what ftrack held of a job's users before each run that wrote
    /// something. The newest one of each job always stays.
    #[schemars(rename = "Snapshots")]
    struct SnapshotsTable => struct Snapshots {
        /// The maximum number of snapshots of one job: the newest half, and of those before the first
        /// of each day.
        keep: Number<1, 1_000_000> => usize = Number(50),
        /// Their maximum age.
        keep_for: Period<HOUR, CENTURY> => Duration = Period::days(90),
    }
}

impl File {
    /// Checks the whole configuration; `None`, with findings in the notes, when anything is wrong.
    pub fn check(self, places: &Places, notes: &mut Notes) -> Option<Config> {
        let top = KeyPath::default();
        for (key, path) in [
            ("state_dir", &self.state_dir),
            ("control_socket", &self.control_socket),
        ] {
            if path.as_os_str().is_empty() {
                notes.find(&top.key(key), "empty");
            }
        }
        let mut http = self.http;
        if let Some(http) = &mut http {
            http.check(notes, places);
        }
        let ftrack = ftrack::check(notes, places, self.ftrack);
        check_presence(notes, &self.directories, &self.jobs);
        check_sources(notes, &self.jobs);
        let names: Vec<String> = self.directories.keys().cloned().collect();
        let directories = self.directories.into_iter().map(|(name, directory)| {
            let checked = directory::check(notes, places, &name, directory);
            (name, checked)
        });
        let directories: BTreeMap<_, _> = directories.collect();
        let general = self.notifications;
        let share_general = self.jobs.values();
        let share_general = share_general.filter(|job| !job.notifications.alive.has_url());
        let general = (&general, share_general.count());
        let jobs = self.jobs.into_iter().map(|(name, job)| {
            let told = notifications::check(notes, places, &name, &job.notifications, general);
            let checked = job::check(notes, &name, job, (&names, told));
            (name, checked)
        });
        let jobs: BTreeMap<_, _> = jobs.collect();
        if !notes.is_clean() {
            return None;
        }
        Some(Config {
            state_dir: places.beside.join(self.state_dir),
            control_socket: places.beside.join(self.control_socket),
            parallel_runs: self.parallel_runs.complete()?,
            http: match http {
                Some(http) => Some(http.complete()?),
                None => None,
            },
            reports: self.reports.complete()?,
            snapshots: self.snapshots.complete()?,
            ftrack: ftrack?,
            directories: all(directories)?,
            jobs: all(jobs)?,
        })
    }
}

/// The effective configuration as it would be written, with every default; a secret is
/// serialised as a mask, or as the path of its file.
impl From<Config> for File {
    fn from(config: Config) -> Self {
        let kind = |job: &LdapJob| config.directories.get(&job.directory)?.kind;
        let mut jobs = config.jobs;
        for job in jobs.values_mut() {
            if let JobKind::Ldap(job) = &mut job.kind
                && let Some(kind) = kind(job)
            {
                job.follow(kind);
            }
        }
        Self {
            state_dir: config.state_dir,
            control_socket: config.control_socket,
            parallel_runs: config.parallel_runs.into(),
            http: config.http.map(|http| HttpTable::from(http).with_files()),
            reports: config.reports.into(),
            snapshots: config.snapshots.into(),
            // Each job has what it has of them.
            notifications: NotificationsTable::default(),
            ftrack: FtrackTable::from(config.ftrack).with_files(),
            jobs: written(jobs),
            directories: written(config.directories)
                .into_iter()
                .map(|(name, table): (_, DirectoryTable)| (name, table.with_files()))
                .collect(),
        }
    }
}

fn written<W: From<C>, C>(values: BTreeMap<String, C>) -> BTreeMap<String, W> {
    values
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect()
}

fn all<V>(values: BTreeMap<String, Option<V>>) -> Option<BTreeMap<String, V>> {
    values
        .into_iter()
        .map(|(name, value)| Some((name, value?)))
        .collect()
}

/// There must be a job, and a directory for a job that reads one.
fn check_presence(
    notes: &mut Notes,
    directories: &BTreeMap<String, DirectoryTable>,
    jobs: &BTreeMap<String, JobTable>,
) {
    let top = KeyPath::default();
    let reads_a_directory = jobs.iter().any(|(name, job)| {
        job.kind == Kind::Ldap && !notes.is_judged(&top.key("jobs").key(name).key("kind"))
    });
    if directories.is_empty() && (reads_a_directory || jobs.is_empty()) {
        notes.missing(
            &top.key("directories"),
            "add a table such as [directories.studio]",
        );
    }
    if jobs.is_empty() {
        notes.missing(&top.key("jobs"), "add a table such as [jobs.artists]");
    }
}

/// Two jobs with one source would deactivate each other's people.
fn check_sources(notes: &mut Notes, jobs: &BTreeMap<String, JobTable>) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, job) in jobs.iter().filter(|(_, job)| job.kind == Kind::Ldap) {
        let source = job.source.as_deref().unwrap_or(name);
        if let Some(owner) = owners.insert(source, name) {
            let key = KeyPath::default().key("jobs").key(name).key("source");
            notes.find(
                &key,
                format!(
                    "{source:?} is already the source of the job {owner:?}; the two would \
                     deactivate each other's people"
                ),
            );
        }
    }
}
