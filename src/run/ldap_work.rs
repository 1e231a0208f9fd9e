//! The compiled settings of a job that reads a directory.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::Instant;

use super::servers::Servers;
use crate::{
    config::{Config, LdapJob, Source},
    directory::{DirectoryPool, GroupsRequest, PeopleSearch, ReadRequest},
    model::{
        edit::Field,
        server_kind::{ByKind, ServerKind},
    },
    sync::{mapping::Mapping, rules::Rules},
};

/// The compiled settings of a job that reads a directory.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LdapWork {
    /// As configured.
    pub job: LdapJob,
    /// By the kind of the server that answers.
    pub mappings: ByKind<Mapping>,
    pub rules: Rules,
    pub pool: DirectoryPool,
    people: Arc<ByKind<PeopleSearch>>,
}

impl LdapWork {
    /// What a run reads of the directory.
    #[must_use]
    pub fn read_request(&self, deadline: Instant) -> ReadRequest {
        ReadRequest {
            bases: self.job.search_bases.clone(),
            scope: self.job.scope,
            people: Arc::clone(&self.people),
            groups: all_groups(&self.job),
            id_attribute: None,
            deadline,
        }
    }

    /// The LDAP attribute with the pictures of people, if they are sent.
    #[must_use]
    pub fn pictures(&self) -> Option<&str> {
        pictures(&self.job)
    }

    /// The fields of a user that the attribute rules fill; they do not depend on the server.
    #[must_use]
    pub fn managed(&self) -> BTreeSet<Field> {
        self.mappings.of(ServerKind::default()).fields()
    }

    /// The keys of the mapped custom attributes, in the order of a person's custom values; they do
    /// not depend on the server.
    #[must_use]
    pub fn custom_keys(&self) -> &[String] {
        self.mappings.of(ServerKind::default()).custom_keys()
    }
}

/// The groups whose members alone are people, and those that give something.
fn all_groups(job: &LdapJob) -> Option<Arc<GroupsRequest>> {
    let mapped = job.mapped_groups();
    let of_grants: Vec<String> = mapped.flat_map(|mapped| mapped.groups.to_vec()).collect();
    if of_grants.is_empty() {
        return groups(job);
    }
    Some(Arc::new(GroupsRequest {
        people: job.member_of.clone(),
        of_grants,
        bases: job.group_bases.clone(),
    }))
}

/// The groups whose members alone are a job's people.
pub(super) fn groups(job: &LdapJob) -> Option<Arc<GroupsRequest>> {
    let groups = GroupsRequest {
        people: job.member_of.clone(),
        of_grants: Vec::new(),
        bases: job.group_bases.clone(),
    };
    (!groups.people.is_empty()).then(|| Arc::new(groups))
}

/// What is compiled of a job that reads a directory before there are connections.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct LdapRules {
    /// As configured.
    pub job: LdapJob,
    /// By the kind of the server that answers.
    pub mappings: ByKind<Mapping>,
    /// The kind of the servers, if it is configured.
    pub kind: Option<ServerKind>,
    rules: Rules,
}

impl LdapRules {
    /// The rules of a job.
    pub(super) fn new(config: &Config, job: &LdapJob) -> Self {
        let directory = config.directories.get(&job.directory);
        Self {
            job: job.clone(),
            kind: directory.and_then(|directory| directory.kind),
            mappings: ByKind::new(|kind| Mapping::new(job.mapping(kind).values())),
            rules: Rules::new(job, &config.ftrack.api_user).beside(config, &job.directory),
        }
    }

    /// Who is searched for, by the kind of the server that answers.
    fn people(&self) -> Arc<ByKind<PeopleSearch>> {
        Arc::new(ByKind::new(|kind| PeopleSearch {
            filter: self.job.people(kind),
            attributes: self.mappings.of(kind).ldap_attributes(),
            account: self.job.account(kind),
        }))
    }

    /// What a run would ask of a directory whose entries are in a file.
    #[must_use]
    pub fn request_of_file(&self, id_attribute: Option<String>) -> ReadRequest {
        ReadRequest {
            bases: self.job.search_bases.clone(),
            scope: self.job.scope,
            people: self.people(),
            groups: all_groups(&self.job),
            id_attribute,
            // Nothing is waited for.
            deadline: Instant::now(),
        }
    }

    /// The LDAP attribute with the pictures of people, if they are sent.
    #[must_use]
    pub fn pictures(&self) -> Option<&str> {
        pictures(&self.job)
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
            people: self.people(),
            mappings: self.mappings,
            rules: self
                .rules
                .with_signature(servers.ftrack().signer().signature()),
            job: self.job,
        })
    }
}

fn pictures(job: &LdapJob) -> Option<&str> {
    let rule = job.attributes.as_ref()?.get("thumbnail")?;
    match &rule.from {
        Source::Attribute(name) => Some(name),
        // The configuration allows none.
        Source::Template(_) => None,
    }
}
