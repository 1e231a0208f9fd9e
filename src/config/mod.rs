//! What the operator wrote, checked: the effective configuration as the rest of the program sees it.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

mod job;
mod secret;
mod server;

pub use job::{Adopt, AttributeRule, Job, Limit, Limits, Retry, Scope, Users, WhenAbsent};
pub use secret::Secret;
pub use server::{Directory, Ftrack, Sasl};

/// The whole configuration, after every layer was merged and every value checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where reports, journals and what is remembered between runs are kept.
    pub state_dir: PathBuf,
    /// The Unix socket on which a running daemon takes orders.
    pub control_socket: PathBuf,
    /// The HTTP listener for health and metrics; none unless configured.
    pub http: Option<Http>,
    /// How many reports are kept, and for how long.
    pub reports: Reports,
    /// The ftrack server.
    pub ftrack: Ftrack,
    /// The LDAP directories by name.
    pub directories: BTreeMap<String, Directory>,
    /// The jobs by name.
    pub jobs: BTreeMap<String, Job>,
}

/// The HTTP listener for health and metrics.
#[derive(Debug, Clone)]
pub struct Http {
    /// The address to listen on.
    pub listen: SocketAddr,
}

/// How long reports are kept: the newest `keep` of each job, and none older than `keep_for`.
#[derive(Debug, Clone)]
pub struct Reports {
    /// The most reports of one job.
    pub keep: usize,
    /// The greatest age of a report.
    pub keep_for: Duration,
}
