//! Checks every server of one directory: the connection, the bind, and the searches of each job.

use std::time::Duration;

use super::finding::{About, Finding};
use crate::{
    config::{Directory, LdapJob},
    directory::{
        DirectoryPool,
        connector::Connector,
        error::DirectoryError,
        probe::{Observation, Probe, Probed, ProbedSearch, Step},
    },
    run::LdapWork,
};

/// Checks each server in turn, each for at most `limit`, for the jobs that use the directory.
///
/// There is one bind per server. After one server has refused the password, the others are not
/// asked: each refusal counts against the account, and some servers share the count.
pub async fn look(
    directory: &Directory,
    pool: &DirectoryPool,
    jobs: &[(&str, &LdapWork)],
    limit: Duration,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut refused_at: Option<String> = None;
    for server in pool.servers() {
        let connector = &server.connector;
        let credentials = match &refused_at {
            Some(server) if directory.bind_password.is_some() => {
                Credentials::Spare { refused_at: server }
            }
            Some(_) | None => Credentials::Try,
        };
        let (found, is_refused) = look_at_server(pool, connector, jobs, &credentials, limit).await;
        findings.extend(found);
        if is_refused {
            refused_at = Some(connector.server().to_owned());
        }
    }
    findings
}

enum Credentials<'a> {
    /// Bind with the configured credentials.
    Try,
    /// Do not bind, because another server of the directory has refused the credentials.
    Spare { refused_at: &'a str },
}

/// The findings about one server, and whether it refused the credentials.
async fn look_at_server(
    pool: &DirectoryPool,
    connector: &Connector,
    jobs: &[(&str, &LdapWork)],
    credentials: &Credentials<'_>,
    limit: Duration,
) -> (Vec<Finding>, bool) {
    let mut about = About::new(format!("directory {} {}", pool.name(), connector.server()));
    let attributes: Vec<Vec<String>> = jobs
        .iter()
        .map(|(_, work)| attributes(pool, work))
        .collect();
    let wanted: Vec<ProbedSearch<'_>> = jobs
        .iter()
        .zip(&attributes)
        .map(|((_, work), attributes)| wanted(pool, &work.job, attributes))
        .collect();
    let mut probe = Probe::new(connector);
    let mut is_spared = false;
    let looked = tokio::time::timeout(limit, async {
        let Some(transport) = probe.reach().await else {
            return;
        };
        match credentials {
            Credentials::Try => probe.enter(transport, &wanted).await,
            Credentials::Spare { .. } => is_spared = true,
        }
    })
    .await;
    let is_refused = probe.server.iter().any(is_refusal);
    for step in &probe.server {
        tell(&mut about, connector, step, Severity::Doubtful);
    }
    if let (true, Credentials::Spare { refused_at }) = (is_spared, credentials) {
        about.warn(
            "bind",
            format!(
                "not tried, since {refused_at} refused the same credentials, and further refusals \
                 may lock the account"
            ),
            "fix the credentials, and check again",
        );
    }
    let mut searches = Vec::new();
    for ((name, work), steps) in jobs.iter().zip(&probe.searches) {
        let mut about = About::new(format!("job {name} at {}", connector.server()));
        let gravity = Severities::of(&work.job, steps);
        for step in steps {
            tell(
                &mut about,
                connector,
                step,
                gravity.of_step(&step.looked_at),
            );
        }
        searches.extend(about.into_findings());
    }
    if looked.is_err() {
        about.fail(
            "time",
            format!(
                "checking this server took longer than {}, and was stopped",
                humantime::format_duration(limit)
            ),
            "check the load of the server and the network to it",
        );
    }
    (
        about.into_findings().into_iter().chain(searches).collect(),
        is_refused,
    )
}

fn wanted<'a>(
    pool: &'a DirectoryPool,
    job: &'a LdapJob,
    attributes: &'a [String],
) -> ProbedSearch<'a> {
    ProbedSearch {
        bases: &job.search_bases,
        scope: job.scope,
        filter: &job.filter,
        attributes,
        directory_id: pool.id(),
    }
}

/// What the server's schema must have: the attributes that the job maps, and the configured id
/// attribute.
fn attributes(pool: &DirectoryPool, work: &LdapWork) -> Vec<String> {
    let mut attributes = work.mapping.ldap_attributes();
    let is_read = |id: &&str| attributes.iter().any(|name| name.eq_ignore_ascii_case(id));
    let id = pool.id_attribute().filter(|id| !is_read(id));
    attributes.extend(id.map(str::to_owned));
    attributes
}

fn is_refusal(step: &Step) -> bool {
    matches!(&step.found, Observation::Failed(error @ DirectoryError::BindRefused { .. }) if !error.concerns_one_server())
}

/// How serious a doubtful finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// A sync still works.
    Doubtful,
    /// No sync can succeed.
    Fatal,
}

/// How serious it is for one job that something is not found.
struct Severities<'a> {
    job: &'a LdapJob,
    nobody: Severity,
}

impl<'a> Severities<'a> {
    /// One of several search bases may be empty; if all are, each run fails for a job that requires
    /// entries.
    fn of(job: &'a LdapJob, steps: &[Step]) -> Self {
        let mut looks = steps
            .iter()
            .filter(|step| matches!(step.looked_at, Probed::People(_)));
        let is_nobody = looks.all(|step| matches!(step.found, Observation::Doubtful { .. }));
        let nobody = if is_nobody && job.limits.min_entries > 0 {
            Severity::Fatal
        } else {
            Severity::Doubtful
        };
        Self { job, nobody }
    }

    fn of_step(&self, looked_at: &Probed) -> Severity {
        match looked_at {
            Probed::People(_) => self.nobody,
            // An entry without a required value is skipped, and here all entries lack it.
            Probed::Attribute(name) if self.is_required(name) => Severity::Fatal,
            Probed::Attribute(_)
            | Probed::Name
            | Probed::Port
            | Probed::Tls
            | Probed::Bind
            | Probed::RootDse
            | Probed::DirectoryId
            | Probed::Filter
            | Probed::Base(_) => Severity::Doubtful,
        }
    }

    fn is_required(&self, name: &str) -> bool {
        let mut rules = self.job.attributes.values();
        rules.any(|rule| rule.required && rule.from.as_str().eq_ignore_ascii_case(name))
    }
}

fn tell(about: &mut About, connector: &Connector, step: &Step, gravity: Severity) {
    let check = match step.looked_at {
        Probed::Name => "name",
        Probed::Port => "port",
        Probed::Tls => "tls",
        Probed::Bind => "bind",
        Probed::RootDse => "server",
        Probed::DirectoryId => "directory_id",
        Probed::Filter => "filter",
        Probed::Base(_) => "base",
        Probed::People(_) => "people",
        Probed::Attribute(_) => "attribute",
    };
    match (&step.found, gravity) {
        (Observation::Well(seen), _) => about.ok(check, seen.as_str()),
        (Observation::Doubtful { seen, way_out }, Severity::Doubtful) => {
            about.warn(check, seen.as_str(), way_out.as_str())
        }
        (Observation::Doubtful { seen, way_out }, Severity::Fatal) => {
            about.fail(check, seen.as_str(), way_out.as_str())
        }
        (Observation::Failed(error), _) => {
            let (what, way_out) = (error.what(), error.general_way_out());
            // The heading already names the server.
            let what = what
                .strip_prefix(&format!("{}: ", connector.server()))
                .map(str::to_owned)
                .unwrap_or(what);
            about.fail(check, what, way_out);
        }
    }
}
