//! The configuration as it is written: the file's tables and keys with their defaults, before
//! anything is checked. The JSON schema is generated from these types.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod job;
mod server;
mod text;

pub use job::{
    Adopt, AttributeRule, AttributeTable, Job, Kind, Limit, Limits, Retry, Scope, Users, WhenAbsent,
};
pub use server::{Directory, Ftrack, Sasl};
pub use text::Period;

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
    #[schemars(range(min = 1, max = 64))]
    pub parallel_runs: i64,
    /// The HTTP listener for health and metrics; no listener when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// How long reports are saved.
    pub reports: Reports,
    /// The ftrack server.
    pub ftrack: Ftrack,
    /// The LDAP directories, by a name of your choice, with the same characters as a job's.
    pub directories: BTreeMap<String, Directory>,
    /// The jobs, by a name of your choice: lower-case letters, digits, `-`, `_` and `.`, since it
    /// becomes part of file names.
    pub jobs: BTreeMap<String, Job>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/ftrack-ldap-sync".into(),
            control_socket: "/run/ftrack-ldap-sync/control.sock".into(),
            parallel_runs: 2,
            http: None,
            reports: Reports::default(),
            ftrack: Ftrack::default(),
            directories: BTreeMap::new(),
            jobs: BTreeMap::new(),
        }
    }
}

/// The HTTP listener for health and metrics.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Http {
    /// The address and port to listen on, such as `127.0.0.1:9464`; required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
}

/// How long reports are saved: the newest of each job, and none that is too old.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Reports {
    /// The maximum number of reports of one job.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub keep: i64,
    /// The maximum age of a report.
    pub keep_for: Period,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            keep: 500,
            keep_for: Period::new("90d"),
        }
    }
}
