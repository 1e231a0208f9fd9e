//! Checks every server of one directory: the connection, the bind, and the searches of each job.

use std::time::Duration;

use super::{
    finding::{About, Finding},
    people,
    people::{Counted, JobAtServer},
    replicas,
    replicas::Replica,
};
use crate::{
    config::Directory,
    directory::{
        DirectoryPool,
        connector::Connector,
        error::DirectoryError,
        probe::{Entered, Observation, Probe, Probed, Step},
        schema::Schema,
        srv::Found,
    },
    model::freshness::Freshness,
    run::LdapWork,
};

/// How long a check may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a server itself.
    pub server: Duration,
    /// For reading the people of one job from it.
    pub read: Duration,
}

/// Checks each server in turn, within the limits, for the jobs that use the directory.
///
/// There is one bind per server. After one server has refused the password, the others are not
/// asked: each refusal counts against the account, and some servers share the count.
pub async fn look(
    directory: &Directory,
    pool: &DirectoryPool,
    jobs: &[(&str, &LdapWork)],
    limits: Limits,
) -> Vec<Finding> {
    let mut about = About::new(format!("directory {}", pool.name()));
    let servers = pool.look_up().await;
    let servers = match &servers {
        Ok(servers) => {
            if let Some(found) = pool.records() {
                looked_up(&mut about, &found);
            }
            servers
        }
        Err(error) => {
            about.fail("srv", error.what(), error.general_way_out());
            return about.into_findings();
        }
    };
    let mut findings = about.into_findings();
    let mut refused_at: Option<String> = None;
    let mut shown = Vec::new();
    for server in servers.iter() {
        let connector = &server.connector;
        let credentials = match &refused_at {
            Some(server) if directory.bind_password.is_some() => {
                Credentials::Spare { refused_at: server }
            }
            Some(_) | None => Credentials::Try,
        };
        let looked = look_at_server(pool, connector, jobs, &credentials, limits).await;
        findings.extend(looked.findings);
        if looked.is_refused {
            refused_at = Some(connector.server().to_owned());
        }
        shown.extend(looked.freshness.map(|shows| Replica {
            server: connector.server().to_owned(),
            shows,
        }));
    }
    findings.extend(replicas::compare(pool.name(), &shown));
    findings
}

/// The servers that the DNS records of a domain name.
fn looked_up(about: &mut About, found: &Found) {
    let urls: Vec<&str> = found.urls.iter().map(|url| url.as_str()).collect();
    about.ok(
        "srv",
        format!(
            "{} names {}; a certificate must be for the name of its server",
            found.name,
            urls.join(", ")
        ),
    );
    if !found.outside.is_empty() {
        about.warn(
            "srv",
            format!(
                "{} also names {}, outside of the domain, which is not used, since records can be \
                 forged",
                found.name,
                found.outside.join(", ")
            ),
            "name the servers in urls instead, if they are to be used",
        );
    }
}

enum Credentials<'a> {
    /// Bind with the configured credentials.
    Try,
    /// Do not bind, because another server of the directory has refused the credentials.
    Spare { refused_at: &'a str },
}

/// What a look at one server showed.
struct Looked {
    findings: Vec<Finding>,
    /// Whether it refused the credentials.
    is_refused: bool,
    /// How current it is, where it was read.
    freshness: Option<Freshness>,
}

/// Looks at one server.
async fn look_at_server(
    pool: &DirectoryPool,
    connector: &Connector,
    jobs: &[(&str, &LdapWork)],
    credentials: &Credentials<'_>,
    limits: Limits,
) -> Looked {
    let mut about = About::new(format!("directory {} {}", pool.name(), connector.server()));
    let mut probe = Probe::new(pool, connector);
    let mut is_spared = false;
    let entered = tokio::time::timeout(limits.server, async {
        let transport = probe.reach().await?;
        match credentials {
            Credentials::Try => probe.enter(transport).await,
            Credentials::Spare { .. } => {
                is_spared = true;
                None
            }
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
    let mut of_jobs = Vec::new();
    let mut freshness = None;
    match entered {
        Ok(None) => {}
        Ok(Some(mut entered)) => {
            of_jobs = look_at_jobs(&mut entered, connector, jobs, limits.read).await;
            freshness = Some(entered.freshness);
        }
        Err(_) => out_of_time(&mut about, "checking this server", limits.server),
    }
    Looked {
        findings: about.into_findings().into_iter().chain(of_jobs).collect(),
        is_refused,
        freshness,
    }
}

/// The findings about the jobs' searches, until nothing else can be asked.
async fn look_at_jobs(
    entered: &mut Entered<'_>,
    connector: &Connector,
    jobs: &[(&str, &LdapWork)],
    limit: Duration,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, work) in jobs {
        let mut about = About::new(format!("job {name} at {}", connector.server()));
        let kind = entered.kind();
        let mapping = work.mappings.of(kind);
        let (mut steps, counted) = (Vec::new(), Counted::new(mapping.ldap_attributes()));
        let request = work.read_request(tokio::time::Instant::now() + limit);
        let looked = entered
            .search(
                &request,
                &people::looked_at(),
                |_, entry| counted.map(entry, mapping),
                &mut steps,
            )
            .await;
        let nobody = nobody(work, &steps);
        for step in &steps {
            let severity = match step.looked_at {
                Probed::People(_) => nobody,
                Probed::Name
                | Probed::Port
                | Probed::Socket
                | Probed::Tls
                | Probed::Bind
                | Probed::RootDse
                | Probed::Kind
                | Probed::Paging
                | Probed::Clock
                | Probed::Account
                | Probed::Limits
                | Probed::DirectoryId
                | Probed::Freshness
                | Probed::Filter
                | Probed::Base(_)
                | Probed::Read => Severity::Doubtful,
            };
            tell(&mut about, connector, step, severity);
        }
        if let Some(schema) = &entered.schema {
            people::filter(&mut about, &entered.people(&request), schema);
        }
        let is_ended = looked.is_err();
        if let Ok(Some(people)) = looked {
            people::tell(
                &mut about,
                JobAtServer { name, work, kind },
                &counted,
                people,
                entered.schema.as_ref(),
            );
        }
        if let (Some(attribute), Some(schema)) = (work.pictures(), entered.schema.as_ref()) {
            pictures(&mut about, attribute, schema);
        }
        if work.job.reads_changes() {
            about.ok("changes", entered.tells_changes());
        }
        if work.job.watch {
            match entered.tells_watch() {
                Ok(how) => about.ok("watch", how),
                Err(way_out) => about.warn("watch", "the server cannot be watched", way_out),
            }
        }
        if entered.is_another_kind() {
            about.blame(
                "but first correct the directory's kind, of which a warning above tells: it may be \
                 the cause",
                // The kind decides which attribute is the id.
                &["directory_id"],
            );
        }
        findings.extend(about.into_findings());
        if is_ended {
            break;
        }
    }
    findings
}

/// Whether there can be pictures, of which each run reads all.
fn pictures(about: &mut About, attribute: &str, schema: &Schema) {
    if schema.find(attribute).is_some() {
        about.ok(
            "pictures",
            format!("the directory has the attribute {attribute}, with which pictures are sent"),
        );
    } else {
        about.warn(
            "pictures",
            format!("the directory has no attribute {attribute}, so no picture is sent"),
            "correct attributes.thumbnail, or remove it",
        );
    }
}

fn out_of_time(about: &mut About, what: &str, limit: Duration) {
    about.fail(
        "time",
        format!(
            "{what} took longer than {}, and was stopped",
            humantime::format_duration(limit)
        ),
        "check the load of the server and the network to it",
    );
}

/// One of several search bases may be empty; if all are, each run fails for a job that requires
/// entries.
fn nobody(work: &LdapWork, steps: &[Step]) -> Severity {
    let mut looks = steps
        .iter()
        .filter(|step| matches!(step.looked_at, Probed::People(_)));
    let is_nobody = looks.all(|step| matches!(step.found, Observation::Doubtful { .. }));
    if is_nobody && work.job.limits.min_entries > 0 {
        Severity::Fatal
    } else {
        Severity::Doubtful
    }
}

fn is_refusal(step: &Step) -> bool {
    match &step.found {
        Observation::Failed(error @ DirectoryError::BindRefused { .. }) => {
            !error.concerns_one_server()
        }
        Observation::Failed(error) => error.is_refusal(),
        Observation::Well(_) | Observation::Doubtful { .. } => false,
    }
}

/// How serious a doubtful finding is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// A sync still works.
    Doubtful,
    /// No sync can succeed.
    Fatal,
}

fn tell(about: &mut About, connector: &Connector, step: &Step, gravity: Severity) {
    let check = match step.looked_at {
        Probed::Name => "name",
        Probed::Port => "port",
        Probed::Socket => "socket",
        Probed::Tls => "tls",
        Probed::Bind => "bind",
        Probed::RootDse => "server",
        Probed::Kind => "kind",
        Probed::Paging => "paging",
        Probed::Clock => "clock",
        Probed::Account => "account",
        Probed::Limits => "limits",
        Probed::DirectoryId => "directory_id",
        Probed::Freshness => "freshness",
        Probed::Filter => "filter",
        Probed::Base(_) => "base",
        Probed::People(_) | Probed::Read => "people",
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
    about.facts(&step.facts);
}
