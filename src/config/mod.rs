//! The checked configuration, as the rest of the program uses it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

mod attributes;
mod credential;
mod directory;
mod document;
mod file;
mod files;
mod finding;
mod ftrack;
mod job;
mod layers;
mod limits;
mod named_files;
mod notes;
mod retry;
mod schema;
mod secret;
mod shape;
mod table;
mod users;
mod value;

pub use attributes::{AttributeRule, Target, WhenAbsent};
pub use credential::{Credential, Unreadable};
pub use directory::{Directory, Sasl};
pub use file::{Http, Reports};
pub use finding::{Finding, Findings, KeyPath, Place};
pub use ftrack::Ftrack;
pub use job::{ConfigChange, Job, JobKind, LdapJob, Scope};
pub use layers::Environment;
pub use limits::{FtrackLdapJob, Limits};
pub use schema::schema;
pub use secret::{MASK, Secret};
pub use users::{Adopt, Users};
pub use value::{Asserted, CronExpression, Filter, Limit, Pattern, Source, Template, is_attribute};

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
    let mut notes = notes::Notes::new(file.to_owned());
    let places = files::Places {
        beside: file.parent().map(Path::to_owned).unwrap_or_default(),
        credentials: environment.credentials_directory(),
    };
    let config = layers::read(file, environment, &mut notes)
        .and_then(|values| shape::read(values, &mut notes))
        .and_then(|written| written.check(&places, &mut notes));
    match config {
        Some(config) if notes.is_clean() => Ok(config),
        Some(_) | None => Err(notes.into_findings()),
    }
}

/// Only the path of the control socket: for users who may send commands to a daemon, but not read
/// its secrets. Nothing else is checked.
///
/// # Errors
/// A file cannot be read, or does not have the form of a configuration.
pub fn control_socket(file: &Path, environment: &Environment) -> Result<PathBuf, Findings> {
    let mut notes = notes::Notes::new(file.to_owned());
    let written = layers::read(file, environment, &mut notes)
        .and_then(|values| shape::read(values, &mut notes));
    match written.filter(|_| notes.is_clean()) {
        Some(written) => Ok(file
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default()
            .join(written.control_socket)),
        None => Err(notes.into_findings()),
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
                    hint: finding::did_you_mean(name, names()),
                    known: names().collect::<Vec<_>>().join(", "),
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

    /// The effective configuration as TOML, with every default filled in and every secret masked.
    ///
    /// # Errors
    ///
    /// When a value cannot be written as TOML, such as a path that is not UTF-8.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&file::File::from(self.clone()))
    }
}

/// Why no job was selected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum NoSuchJob {
    #[error("there is no job {name:?}{hint} (the jobs are {known})")]
    Unknown {
        /// The requested name.
        name: String,
        /// The most similar name, as a question; may be empty.
        hint: String,
        /// The names of all jobs.
        known: String,
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
