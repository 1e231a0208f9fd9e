//! The configuration as the core needs it: what is loaded, whether it is being loaded anew, and
//! what of it needs a restart.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::{
    config::schedule::Schedule,
    daemon::{job_table::JobRules, readiness::Access},
};

/// A configuration that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// When.
    pub loaded_at: DateTime<Utc>,
    /// How many runs there may be at the same time.
    pub parallel_runs: usize,
    /// The jobs by name.
    pub jobs: BTreeMap<String, LoadedJob>,
    /// All servers; ftrack first.
    pub servers: Vec<LoadedServer>,
    /// Keys whose change is used after a restart alone.
    pub restart_for: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct LoadedJob {
    /// What the job table needs.
    pub rules: JobRules,
    /// Whether a missed run is made up for.
    pub catch_up: bool,
    /// Its schedule as it was written; a job that only runs on request has none.
    pub expression: Option<String>,
    /// The zone of its schedule.
    pub timezone: String,
    pub schedule: Option<Schedule>,
    /// The servers that it uses.
    pub servers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedServer {
    /// `ftrack`, or `directory` and its name.
    pub name: String,
    /// What it is reached with.
    pub access: Access,
    /// The other servers where the same account would be used.
    pub same_account: Vec<String>,
}

/// The configuration in use, and what becomes of it.
#[derive(Debug)]
pub struct Configuration {
    loaded: Loaded,
    reload: Reload,
    failures: u64,
    error: Option<String>,
}

/// Whether the configuration is being loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Reload {
    /// It is not.
    #[default]
    No,
    /// It is.
    Once,
    /// It is, and once more after that: its files may have changed since.
    Again,
}

impl Configuration {
    /// The configuration that the daemon starts with.
    #[must_use]
    pub fn new(loaded: Loaded) -> Self {
        Self {
            loaded,
            reload: Reload::No,
            failures: 0,
            error: None,
        }
    }

    /// What is loaded.
    #[must_use]
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// How many reloads were refused.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Why the last reload was refused; none when it was not.
    #[must_use]
    pub fn error(&self) -> Option<&String> {
        self.error.as_ref()
    }

    /// A reload is wanted; says whether loading is to begin. One at a time, so that an older
    /// configuration never comes after a newer one.
    pub fn reload(&mut self) -> bool {
        let begins = self.reload == Reload::No;
        self.reload = if begins { Reload::Once } else { Reload::Again };
        begins
    }

    /// Loading has ended; says whether another reload was wanted meanwhile.
    pub fn reload_ended(&mut self) -> bool {
        std::mem::take(&mut self.reload) == Reload::Again
    }

    /// Uses a configuration that was loaded.
    pub fn use_loaded(&mut self, loaded: Loaded) {
        self.loaded = loaded;
        self.error = None;
    }

    /// Keeps the configuration in use, since the new one is wrong.
    pub fn refuse(&mut self, error: String) {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
    }

    #[must_use]
    pub fn job(&self, job: &str) -> Option<&LoadedJob> {
        self.loaded.jobs.get(job)
    }

    /// The zone of a job's schedule.
    #[must_use]
    pub fn zone_of(&self, job: &str) -> Tz {
        let zone = self.job(job).and_then(|job| job.timezone.parse().ok());
        zone.unwrap_or(Tz::UTC)
    }

    /// The servers of a job.
    #[must_use]
    pub fn servers_of(&self, job: &str) -> &[String] {
        self.job(job).map_or(&[], |job| &job.servers)
    }

    /// What a server is reached with.
    #[must_use]
    pub fn access(&self, server: &str) -> Option<Access> {
        self.server(server).map(|server| server.access)
    }

    /// A server, and the others where the same account would be used.
    pub fn same_account<'a>(&'a self, server: &'a str) -> impl Iterator<Item = &'a str> {
        let others = self.server(server).map(|server| &server.same_account);
        std::iter::once(server).chain(others.into_iter().flatten().map(String::as_str))
    }

    fn server(&self, name: &str) -> Option<&LoadedServer> {
        self.loaded
            .servers
            .iter()
            .find(|server| server.name == name)
    }
}
