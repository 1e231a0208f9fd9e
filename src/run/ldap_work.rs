//! The compiled settings of a job that reads a directory.

use super::servers::Servers;
use crate::{
    config::{Config, LdapJob},
    directory::DirectoryPool,
    sync::{mapping::Mapping, rules::Rules},
};

/// The compiled settings of a job that reads a directory.
#[derive(Debug)]
pub(super) struct LdapWork {
    pub job: LdapJob,
    pub mapping: Mapping,
    pub rules: Rules,
    pub pool: DirectoryPool,
}

impl LdapWork {
    /// Compiles the rules of a job.
    ///
    /// # Errors
    /// A rule cannot be used, or the servers are those of another configuration.
    pub fn new(
        config: &Config,
        name: &str,
        job: &LdapJob,
        servers: &Servers,
    ) -> anyhow::Result<Self> {
        let pool = servers.directory(&job.directory).ok_or_else(|| {
            anyhow::anyhow!(
                "the job {name} names the directory {:?}, which is not among the servers",
                job.directory
            )
        })?;
        let mapping = Mapping::new(&job.attributes)?;
        if let Some((attribute, error)) = mapping.broken_templates().first() {
            anyhow::bail!("jobs.{name}.attributes.{attribute}: {error}");
        }
        Ok(Self {
            job: job.clone(),
            mapping,
            rules: Rules::new(job, &config.ftrack.api_user)?
                .beside(config, &job.directory)
                .with_signature(servers.ftrack().signer().signature()),
            pool: pool.clone(),
        })
    }
}
