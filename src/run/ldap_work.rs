//! The compiled settings of a job that reads a directory.

use super::servers::Servers;
use crate::{
    config::{Config, LdapJob},
    directory::DirectoryPool,
    sync::{mapping::Mapping, rules::Rules},
};

/// The compiled settings of a job that reads a directory.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LdapWork {
    /// As configured.
    pub job: LdapJob,
    pub mapping: Mapping,
    pub rules: Rules,
    pub pool: DirectoryPool,
}

/// What is compiled of a job that reads a directory before there are connections.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LdapRules {
    /// As configured.
    pub job: LdapJob,
    pub mapping: Mapping,
    rules: Rules,
}

impl LdapRules {
    /// The rules of a job.
    pub(super) fn new(config: &Config, job: &LdapJob) -> Self {
        Self {
            job: job.clone(),
            mapping: Mapping::new(job.attributes.values()),
            rules: Rules::new(job, &config.ftrack.api_user).beside(config, &job.directory),
        }
    }

    /// Adds the connections.
    ///
    /// # Errors
    /// The servers are those of another configuration.
    pub(super) fn connect(self, name: &str, servers: &Servers) -> anyhow::Result<LdapWork> {
        let directory = &self.job.directory;
        let pool = servers.directory(directory).ok_or_else(|| {
            anyhow::anyhow!(
                "the job {name} names the directory {directory:?}, which is not among the servers"
            )
        })?;
        Ok(LdapWork {
            pool: pool.clone(),
            mapping: self.mapping,
            rules: self
                .rules
                .with_signature(servers.ftrack().signer().signature()),
            job: self.job,
        })
    }
}
