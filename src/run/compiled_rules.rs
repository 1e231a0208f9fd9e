//! What is compiled of a job before there are connections.

use std::sync::Arc;

use super::{
    CompiledJob, Work, ldap_work::LdapRules, servers::Servers, trusted_files::TrustedFile,
};
use crate::config::{Config, FtrackLdapJob, Job, JobKind};

/// The rules of one job.
#[derive(Debug)]
pub struct CompiledRules {
    name: String,
    job: Job,
    rules: RulesOfKind,
    config: Arc<Config>,
}

#[derive(Debug)]
enum RulesOfKind {
    Ldap(Box<LdapRules>),
    FtrackLdap(FtrackLdapJob),
}

impl CompiledRules {
    /// The rules of a job of this configuration.
    #[must_use]
    pub fn new(config: &Arc<Config>, name: &str, job: &Job) -> Self {
        let rules = match &job.kind {
            JobKind::Ldap(job) => RulesOfKind::Ldap(Box::new(LdapRules::new(config, job))),
            JobKind::FtrackLdap(job) => RulesOfKind::FtrackLdap(*job),
        };
        Self {
            name: name.to_owned(),
            job: job.clone(),
            rules,
            config: Arc::clone(config),
        }
    }

    /// The rules of a job that reads a directory; `None` for any other kind.
    #[must_use]
    pub fn ldap(&self) -> Option<&LdapRules> {
        match &self.rules {
            RulesOfKind::Ldap(rules) => Some(rules),
            RulesOfKind::FtrackLdap(_) => None,
        }
    }

    /// The job with its connections, none of which is opened yet.
    ///
    /// # Errors
    /// The servers are those of another configuration.
    pub fn connect(self, servers: &Servers) -> anyhow::Result<CompiledJob> {
        let work = match self.rules {
            RulesOfKind::Ldap(rules) => {
                Work::Ldap(Box::new((*rules).connect(&self.name, servers)?))
            }
            RulesOfKind::FtrackLdap(job) => Work::FtrackLdap(job),
        };
        let trusted_files = TrustedFile::of_job(&self.config, &self.job);
        Ok(CompiledJob {
            name: self.name,
            job: self.job,
            work,
            config: self.config,
            servers: servers.clone(),
            session: servers.ftrack().clone(),
            trusted_files,
            only: Vec::new(),
            started_by: None,
        })
    }
}
