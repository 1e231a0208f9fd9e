//! A compiled configuration: everything about it that can be wrong is checked before a run starts.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    core::configuration::{Loaded, LoadedJob, LoadedServer},
    job_table::{JobRules, Reads},
    readiness::Access,
};
use crate::{
    config::{
        Config, Credential, Directory, Environment, Ftrack, Job, LdapJob, schedule::Schedule,
    },
    directory::DirectoryPool,
    run::{CompiledJob, CompiledRules, servers::Servers},
};

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The main file.
    pub file: PathBuf,
    /// The variables of the process.
    pub environment: Environment,
    /// The machine's name, which determines the splay of its jobs.
    pub host: String,
}

/// A configuration with its connections, its compiled jobs and their schedules.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Setup {
    pub config: Arc<Config>,
    /// Shared by all jobs.
    pub servers: Servers,
    /// When it was loaded.
    pub loaded_at: DateTime<Utc>,
    jobs: BTreeMap<String, Arc<CompiledJob>>,
    schedules: BTreeMap<String, Schedule>,
}

impl Source {
    /// Reads and compiles the files.
    ///
    /// # Errors
    /// All findings as text, one per line.
    pub fn load(&self, now: DateTime<Utc>) -> Result<Setup, String> {
        let config = crate::config::load(&self.file, &self.environment)
            .map_err(|findings| findings.to_string())?;
        Setup::new(config, &self.host, now).map_err(|error| format!("{error:#}"))
    }
}

impl Setup {
    fn new(config: Config, host: &str, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let config = Arc::new(config);
        let servers = Servers::new(&config)?;
        let mut jobs = BTreeMap::new();
        for (name, job) in &config.jobs {
            let rules = CompiledRules::new(&config, name, job);
            jobs.insert(name.clone(), Arc::new(rules.connect(&servers)?));
        }
        let schedules = config
            .jobs
            .iter()
            .flat_map(|(name, job)| Schedule::all_of(name, job, host))
            .collect();
        Ok(Self {
            config,
            servers,
            loaded_at: now,
            jobs,
            schedules,
        })
    }

    /// A compiled job.
    #[must_use]
    pub fn compiled(&self, job: &str) -> Option<Arc<CompiledJob>> {
        self.jobs.get(job).cloned()
    }

    /// The servers of a job, each with what it is reached with.
    #[must_use]
    pub fn reads_of(&self, job: &str) -> Vec<(String, Access)> {
        let servers = self.config.jobs.get(job).map(servers_of);
        let servers = servers.unwrap_or_default();
        self.accesses()
            .filter(|(server, _)| servers.contains(server))
            .collect()
    }

    /// The names of all jobs.
    #[must_use]
    pub fn job_names(&self) -> Vec<String> {
        self.jobs.keys().cloned().collect()
    }

    /// The schedules of all jobs that have one.
    #[must_use]
    pub fn schedules(&self) -> BTreeMap<String, Schedule> {
        self.schedules.clone()
    }

    /// What the core needs of it. `in_use` is the configuration that the daemon started with.
    #[must_use]
    pub fn loaded(&self, in_use: &Config) -> Loaded {
        let job = |(name, job): (&String, &Job)| {
            let loaded = LoadedJob {
                rules: JobRules {
                    reads: job
                        .ldap()
                        .map_or(Reads::Ftrack, |job| Reads::Directory(job.directory.clone())),
                    has_changes: job.ldap().is_some_and(LdapJob::reads_changes),
                    is_watched: job.ldap().is_some_and(|job| job.watch),
                    retry: job.retry.clone(),
                    time_limit: TimeDelta::from_std(job.time_limit).unwrap_or(TimeDelta::MAX),
                },
                catch_up: job.catch_up,
                expression: job.schedule.as_ref().map(ToString::to_string),
                timezone: job.timezone.name().to_owned(),
                schedule: self.schedules.get(name).cloned(),
                servers: servers_of(job),
            };
            (name.clone(), loaded)
        };
        let server = |(name, access): (String, Access)| LoadedServer {
            same_account: self.same_account(&name),
            name,
            access,
        };
        Loaded {
            loaded_at: self.loaded_at,
            parallel_runs: self.config.parallel_runs,
            jobs: self.config.jobs.iter().map(job).collect(),
            servers: self.accesses().map(server).collect(),
            restart_for: self.needs_restart(in_use),
        }
    }

    /// All servers with what they are reached with: ftrack first.
    fn accesses(&self) -> impl Iterator<Item = (String, Access)> {
        let directories = self
            .config
            .directories
            .iter()
            .map(|(name, directory)| (directory_name(name), access_of_directory(directory)));
        std::iter::once((FTRACK.to_owned(), access_of_ftrack(&self.config.ftrack)))
            .chain(directories)
    }

    /// The mark of the credentials that would be used with a server now; none where there are none,
    /// or they cannot be read.
    pub async fn fingerprint(&self, server: &str) -> Option<String> {
        let salt = self.salt();
        match self.pool(server) {
            Some(pool) => pool.credential_mark(&salt).await.ok(),
            None if server == FTRACK => self.servers.ftrack().credential_mark(&salt).await.ok(),
            // No longer configured.
            None => None,
        }
    }

    /// The secret salt of the marks.
    #[must_use]
    pub fn salt(&self) -> String {
        salt(&self.config)
    }

    /// The connections to a server, if it is a directory.
    #[must_use]
    pub fn pool(&self, server: &str) -> Option<DirectoryPool> {
        pool(&self.servers, server).cloned()
    }

    /// The other directories that bind as the same one at a server that both name: a refusal by one
    /// counts against the account of both.
    fn same_account(&self, server: &str) -> Vec<String> {
        let directories = &self.config.directories;
        let Some(own) = server
            .strip_prefix(DIRECTORY)
            .and_then(|name| directories.get(name))
        else {
            return Vec::new();
        };
        let place = |url: &url::Url| (url.host_str().map(str::to_owned), url.port());
        let shares = |other: &Directory| {
            let shares_records = own.srv.is_some() && own.srv == other.srv;
            other.account() == own.account()
                && (shares_records
                    || other
                        .urls
                        .iter()
                        .any(|url| own.urls.iter().any(|own| place(own) == place(url))))
        };
        let others = directories
            .iter()
            .filter(|(_, other)| shares(other))
            .map(|(name, _)| directory_name(name));
        others.filter(|name| name != server).collect()
    }

    /// The keys that this configuration has otherwise than the one in use, and that are used after
    /// a restart alone.
    fn needs_restart(&self, in_use: &Config) -> Vec<String> {
        let Config {
            state_dir,
            control_socket,
            http,
            ..
        } = &*self.config;
        let mut keys = Vec::new();
        if *state_dir != in_use.state_dir {
            keys.push("state_dir".to_owned());
        }
        if *control_socket != in_use.control_socket {
            keys.push("control_socket".to_owned());
        }
        let listen = |http: &Option<crate::config::Http>| http.as_ref().map(|http| http.listen);
        if listen(http) != listen(&in_use.http) {
            keys.push("http.listen".to_owned());
        }
        let hosts = |http: &Option<crate::config::Http>| {
            http.as_ref()
                .map(|http| http.hosts.clone())
                .unwrap_or_default()
        };
        if hosts(http) != hosts(&in_use.http) {
            keys.push("http.hosts".to_owned());
        }
        // Without a listener there are none, and the listener is named.
        if let (Some(http), Some(in_use)) = (http, &in_use.http)
            && http.trusted_proxies != in_use.trusted_proxies
        {
            keys.push("http.trusted_proxies".to_owned());
        }
        keys
    }
}

/// The secret salt of the marks of one state directory.
#[must_use]
pub fn salt(config: &Config) -> String {
    config.state_dir.to_string_lossy().into_owned()
}

/// The servers that accepted credentials over these connections and refused none, with the mark of
/// what was tried.
#[must_use]
pub fn accepted(servers: &Servers, salt: &str) -> Vec<(String, String)> {
    let directories = servers.directories().filter_map(|pool| {
        let mark = pool.accepted_mark(salt)?;
        Some((directory_name(pool.name()), mark))
    });
    let ftrack = servers.ftrack().accepted_mark(salt);
    directories
        .chain(ftrack.map(|mark| (FTRACK.to_owned(), mark)))
        .collect()
}

/// When a server last refused credentials over these connections, and their mark.
#[must_use]
pub fn last_refusal(
    servers: &Servers,
    salt: &str,
    server: &str,
) -> Option<(Instant, Option<String>)> {
    match pool(servers, server) {
        Some(pool) => pool
            .last_refusal(salt)
            .map(|refusal| (refusal.at, Some(refusal.mark))),
        None if server == FTRACK => servers
            .ftrack()
            .last_refusal(salt)
            .map(|refusal| (refusal.at, Some(refusal.mark))),
        None => None,
    }
}

fn pool<'s>(servers: &'s Servers, server: &str) -> Option<&'s DirectoryPool> {
    server
        .strip_prefix(DIRECTORY)
        .and_then(|directory| servers.directory(directory))
}

/// The servers of a job.
fn servers_of(job: &Job) -> Vec<String> {
    let directory = job.ldap().map(|job| directory_name(&job.directory));
    directory.into_iter().chain([FTRACK.to_owned()]).collect()
}

fn access_of_ftrack(ftrack: &Ftrack) -> Access {
    Access::of(&format!(
        "{:?}",
        (
            ftrack.server.as_str(),
            &ftrack.api_user,
            secret_of(Some(&ftrack.api_key)),
            &ftrack.ca_file,
        )
    ))
}

fn access_of_directory(directory: &Directory) -> Access {
    Access::of(&format!(
        "{:?}",
        (
            directory
                .urls
                .iter()
                .map(url::Url::as_str)
                .collect::<Vec<_>>(),
            &directory.bind_dn,
            secret_of(directory.bind_password.as_ref()),
            (&directory.srv, directory.srv_scheme),
            (directory.start_tls, directory.sasl),
            &directory.ca_file,
            (&directory.client_cert_file, &directory.client_key_file),
        )
    ))
}

/// The secret as it was when the configuration was loaded.
fn secret_of(credential: Option<&Credential>) -> Option<&str> {
    credential.map(|credential| credential.loaded().expose())
}

/// ftrack's name among the servers.
pub const FTRACK: &str = "ftrack";
/// The prefix of the directories' names among the servers.
const DIRECTORY: &str = "directory ";

/// A directory's name among the servers.
#[must_use]
pub fn directory_name(directory: &str) -> String {
    format!("{DIRECTORY}{directory}")
}
