//! The checked configuration, as the rest of the program uses it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono_tz::Tz;

mod account;
mod attributes;
mod credential;
mod directory;
mod document;
mod file;
pub(crate) mod files;
mod finding;
mod ftrack;
mod grants;
mod http;
mod job;
mod kerberos;
mod kind;
mod layers;
mod limits;
mod named_files;
mod notes;
mod notifications;
mod placeholders;
mod retry;
pub mod schedule;
mod schema;
mod secret;
pub mod service;
mod shape;
mod table;
mod users;
mod value;
mod windows;

pub use account::{AccountRule, DisabledFlag, DisabledKey, Expires, ExpiryForm};
pub use attributes::{AttributeRule, Target, WhenAbsent, Write};
pub use credential::{Credential, Unreadable};
pub use directory::{Directory, Sasl, SrvScheme};
pub use file::{Reports, Snapshots};
use files::SecretFiles;
pub use finding::{Finding, Findings, KeyPath, Place, did_you_mean, nearest, other_jobs};
pub use ftrack::Ftrack;
pub use grants::{MappedGroups, PATH_SEPARATOR, RoleRule};
pub use http::{Http, Token};
pub use job::{ConfigChange, Job, JobKind, LdapJob, Mode, Scope};
pub use kerberos::Kerberos;
pub use kind::{PeopleFilter, attributes as default_mapping};
pub use layers::{Environment, proxy_variable};
pub use limits::{FtrackLdapJob, Limits};
pub use notifications::{Alive, Form, Mail, Method, Notifications, Webhook, callable, signing_key};
pub use schema::schema;
pub use secret::{MASK, Secret};
pub use users::{Adopt, Users, WorkInHand};
pub use value::{
    Asserted, CronExpression, Filter, Limit, Network, Pattern, Source, Template, is_attribute,
    is_socket, sockets,
};

/// The default path of the configuration file.
pub const DEFAULT_FILE: &str = "/etc/ftrack-ldap-sync/config.toml";

/// Reads, merges and checks a configuration: this file, the files of `config.d` beside it in the
/// order of their names, and the environment.
///
/// No connection is made and no name is resolved; the files that it names (secrets, certificates)
/// are read.
///
/// # Errors
/// All findings, each with its place, its key and what to do; never a secret.
pub fn load(file: &Path, environment: &Environment) -> Result<Config, Findings> {
    checked(file, environment, SecretFiles::Read)
}

/// The effective configuration, for showing: files of secrets are not read.
///
/// # Errors
/// As for [`load`].
pub fn effective(file: &Path, environment: &Environment) -> Result<EffectiveConfig, Findings> {
    checked(file, environment, SecretFiles::NotRead)
        .map(|config| EffectiveConfig(file::File::from(config)))
}

/// The configuration, for showing what it means: files of secrets are not read.
///
/// # Errors
/// As for [`load`].
pub fn without_secrets(file: &Path, environment: &Environment) -> Result<Config, Findings> {
    checked(file, environment, SecretFiles::NotRead)
}

fn checked(
    file: &Path,
    environment: &Environment,
    secrets: SecretFiles,
) -> Result<Config, Findings> {
    let mut notes = notes::Notes::new(file.to_owned());
    let places = files::Places {
        secrets,
        beside: beside(file),
        credentials: environment.credentials_directory(),
        is_container: environment.is_container(),
    };
    let config = layers::read(file, environment, &mut notes)
        .inspect(|values| placeholders::find(values, &mut notes))
        .and_then(|values| shape::read(values, &mut notes))
        .and_then(|written| written.check(&places, &mut notes));
    match config {
        Some(config) if notes.is_clean() => Ok(config),
        Some(_) | None => Err(notes.into_findings()),
    }
}

/// What stands in examples for what only the operator knows.
const PLACEHOLDER: &str = "replace-me";

/// The paths by which the other commands find a daemon and its reports. They are found without
/// secrets, and also in a configuration with other errors.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Paths {
    pub state_dir: PathBuf,
    pub control_socket: PathBuf,
}

/// The keys of [`Paths`].
const PATHS: [&str; 2] = ["state_dir", "control_socket"];

/// Only the paths of a configuration; nothing else of it is checked.
///
/// # Errors
/// A file cannot be read or is not TOML, or one of these keys is misspelt or no text.
pub fn paths(file: &Path, environment: &Environment) -> Result<Paths, Findings> {
    let mut notes = notes::Notes::new(file.to_owned());
    let Some(values) = layers::read(file, environment, &mut notes) else {
        return Err(notes.into_findings());
    };
    // A misspelt path must not become the default.
    for key in values.keys().filter(|key| !PATHS.contains(&key.as_str())) {
        if let Some(meant) = finding::nearest(key, PATHS) {
            let problem = format!("unknown key; did you mean {meant:?}?");
            notes.find(&KeyPath::default().key(key), problem);
        }
    }
    for key in PATHS {
        if values
            .get(key)
            .is_some_and(|value| value.as_str().is_none())
        {
            notes.find(&KeyPath::default().key(key), "a path in quotes is expected");
        }
    }
    if !notes.is_clean() {
        return Err(notes.into_findings());
    }
    let default = file::File::default();
    let path = |key: &str, default: PathBuf| {
        let written = values.get(key).and_then(|value| value.as_str());
        let written = written.filter(|path| !path.is_empty());
        beside(file).join(written.map_or(default, PathBuf::from))
    };
    Ok(Paths {
        state_dir: path("state_dir", default.state_dir),
        control_socket: path("control_socket", default.control_socket),
    })
}

/// The names of the jobs of a configuration, as far as it can be read.
#[must_use]
pub fn job_names(file: &Path, environment: &Environment) -> Vec<String> {
    let mut notes = notes::Notes::new(file.to_owned());
    let values = layers::read(file, environment, &mut notes).unwrap_or_default();
    let jobs = values.get("jobs").and_then(|jobs| jobs.as_dict());
    jobs.map(|jobs| jobs.keys().cloned().collect())
        .unwrap_or_default()
}

/// The zone of a job's schedule, as far as the configuration can be read.
#[must_use]
pub fn job_zone(file: &Path, environment: &Environment, job: &str) -> Option<Tz> {
    let mut notes = notes::Notes::new(file.to_owned());
    let values = layers::read(file, environment, &mut notes)?;
    let job = values.get("jobs")?.as_dict()?.get(job)?.as_dict()?;
    match job.get("timezone") {
        Some(zone) => zone.as_str()?.parse().ok(),
        None => Some(Tz::UTC),
    }
}

/// The control socket where no configuration names another.
#[must_use]
pub fn default_control_socket() -> PathBuf {
    file::File::default().control_socket
}

/// The folder of the state where no configuration names another.
#[must_use]
pub fn default_state_dir() -> PathBuf {
    file::File::default().state_dir
}

/// The folder in which relative paths are looked up.
fn beside(file: &Path) -> PathBuf {
    // `config show` prints paths that mean the same everywhere.
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    file.parent().map(Path::to_owned).unwrap_or_default()
}

/// A configuration as it would be written, with every default filled in and every secret masked.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(transparent)]
pub struct EffectiveConfig(file::File);

impl EffectiveConfig {
    /// As TOML.
    ///
    /// # Errors
    /// A value cannot be written as TOML, such as a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&self.0)
    }
}

/// The whole configuration, after every layer was merged and every value checked.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Config {
    /// The directory for reports, journals and the state database.
    pub state_dir: PathBuf,
    /// The Unix socket on which a running daemon accepts commands.
    pub control_socket: PathBuf,
    /// How many runs a daemon executes at the same time; never two on one directory.
    pub parallel_runs: usize,
    /// The HTTP listener for health and metrics; none unless configured.
    pub http: Option<Http>,
    pub reports: Reports,
    pub snapshots: Snapshots,
    pub ftrack: Ftrack,
    /// By name.
    pub directories: BTreeMap<String, Directory>,
    /// By name.
    pub jobs: BTreeMap<String, Job>,
}

impl Config {
    /// The jobs that read a directory, with their names.
    pub fn ldap_jobs(&self) -> impl Iterator<Item = (&str, &LdapJob)> {
        self.jobs
            .iter()
            .filter_map(|(name, job)| Some((name.as_str(), job.ldap()?)))
    }

    /// A job with its name; the only job when no name is given.
    ///
    /// # Errors
    ///
    /// When there is no such job, or several and no name.
    pub fn job(&self, name: Option<&str>) -> Result<(&str, &Job), NoSuchJob> {
        let names = || self.jobs.keys().map(String::as_str);
        let (name, job) = match name {
            Some(name) => self
                .jobs
                .get_key_value(name)
                .ok_or_else(|| NoSuchJob::Unknown {
                    name: name.to_owned(),
                    others: other_jobs(name, names()),
                })?,
            None if self.jobs.len() == 1 => self.jobs.iter().next().ok_or(NoSuchJob::None)?,
            None => {
                return Err(NoSuchJob::Several {
                    known: names().collect::<Vec<_>>().join(", "),
                });
            }
        };
        Ok((name, job))
    }
}

/// Why no job was selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum NoSuchJob {
    #[error("there is no job {name:?}{others}")]
    Unknown {
        /// The requested name.
        name: String,
        /// The most similar name and the other ones, to append.
        others: String,
    },
    #[error("there are several jobs; name one of {known}")]
    Several {
        /// The names of all jobs.
        known: String,
    },
    /// Not possible for a checked configuration.
    #[error("there is no job")]
    None,
}
