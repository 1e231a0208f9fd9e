//! Checks one server step by step, for `check`: each fault is reported separately.

use std::net::SocketAddr;

use ldap3::{DerefAliases, Scope as LdapScope, SearchOptions};

use super::{
    connection::Connection,
    connector::Connector,
    error::DirectoryError,
    lookup::{concluded, decode, look, strings},
    searches::directory_id,
    server::{RootDse, Schema},
    transport::Transport,
};
use crate::config::{Filter, Scope};

/// More entries matched than the one that was asked for (RFC 4511 appendix A.2).
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// The searches of one job, for the check.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct ProbedSearch<'a> {
    pub bases: &'a [String],
    pub scope: Scope,
    /// The filter for people.
    pub filter: &'a Filter,
    /// The mapped attributes.
    pub attributes: &'a [String],
    /// The directory's id from the configuration.
    pub directory_id: Option<&'a str>,
}

/// One check.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Step {
    pub looked_at: Probed,
    pub found: Observation,
}

/// The checks, in this order; after a failed step of the connection, no other follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// Name resolution.
    Name,
    /// The TCP port.
    Port,
    /// TLS, also by StartTLS; only where it is configured.
    Tls,
    /// The credentials.
    Bind,
    /// The server's description of itself.
    RootDse,
    /// The directory's id.
    DirectoryId,
    /// The filter; its syntax is that of the configuration.
    Filter,
    /// A search base.
    Base(String),
    /// Whether the filter matches anybody below a search base.
    People(String),
    /// Whether the schema has a mapped attribute.
    Attribute(String),
}

#[derive(Debug)]
#[allow(missing_docs, reason = "variants and fields are self-explanatory")]
pub enum Observation {
    /// No problem; what was found.
    Well(String),
    /// Not an error of the server, but probably not intended.
    Doubtful {
        /// What was found.
        seen: String,
        /// What to do.
        way_out: String,
    },
    Failed(DirectoryError),
}

/// Checks of one server over one connection; the findings stay when the check is stopped.
#[derive(Debug)]
pub struct Probe<'a> {
    connector: &'a Connector,
    /// Findings about the server itself.
    pub server: Vec<Step>,
    /// Findings about each search, in the order in which they were passed to [`Probe::enter`].
    pub searches: Vec<Vec<Step>>,
}

/// Nothing else can be asked: the step that was recorded last failed in a way that ends the
/// connection.
struct Ended;

impl<'a> Probe<'a> {
    /// A check without findings.
    #[must_use]
    pub fn new(connector: &'a Connector) -> Self {
        Self {
            connector,
            server: Vec::new(),
            searches: Vec::new(),
        }
    }

    /// Checks everything before the credentials: the name, the port, TLS. `None` when one of them
    /// failed.
    pub async fn reach(&mut self) -> Option<Transport> {
        let (connector, steps) = (self.connector, &mut self.server);
        let until = connector.until();
        let addresses: Vec<SocketAddr> = note(
            steps,
            Probed::Name,
            connector.resolve(until).await,
            |addresses| {
                addresses
                    .iter()
                    .map(|address| address.ip().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            },
        )?;
        let tcp = note(
            steps,
            Probed::Port,
            connector.tcp(&addresses, until).await,
            |_| "it is open".into(),
        )?;
        let secured = connector.secure(tcp, until).await;
        if connector.is_encrypted() {
            note(steps, Probed::Tls, secured, |_| {
                "the certificate is trusted".into()
            })
        } else {
            secured.ok()
        }
    }

    /// Binds, once, and checks what the server knows, and each search.
    pub async fn enter(&mut self, transport: Transport, wanted: &[ProbedSearch<'_>]) {
        let bound = self.connector.bind(transport).await;
        let Some(mut connection) = note(&mut self.server, Probed::Bind, bound, |_| {
            "the credentials are accepted".into()
        }) else {
            return;
        };
        let Ok((root, schema)) = describe(&mut connection, &mut self.server).await else {
            return;
        };
        for search in wanted {
            self.searches.push(Vec::new());
            let Some(steps) = self.searches.last_mut() else {
                return;
            };
            if look_at_search(&mut connection, search, &root, schema.as_ref(), steps)
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// The server's description of itself, and its schema if it shows one.
async fn describe(
    connection: &mut Connection,
    steps: &mut Vec<Step>,
) -> Result<(RootDse, Option<Schema>), Ended> {
    let read = RootDse::read(connection).await;
    let root = note(steps, Probed::RootDse, read, |root| {
        root.vendor
            .clone()
            .unwrap_or_else(|| "a server that does not identify itself".into())
    });
    let root = root.ok_or(Ended)?;
    match Schema::read(connection, &root).await {
        Ok(Some(schema)) => return Ok((root, Some(schema))),
        Ok(None) => steps.push(step(
            Probed::RootDse,
            Observation::Doubtful {
                seen: "the server shows no schema, so attribute names cannot be checked".into(),
                way_out: "grant the account read access to the schema, or check the names by \
                    hand"
                    .into(),
            },
        )),
        Err(error) => push_failure(steps, Probed::RootDse, error)?,
    }
    Ok((root, None))
}

/// The directory's id, without which nobody can be called absent.
async fn identify(
    connection: &mut Connection,
    wanted: &ProbedSearch<'_>,
    root: &RootDse,
    steps: &mut Vec<Step>,
) -> Result<(), Ended> {
    let bases: Vec<&str> = wanted.bases.iter().map(String::as_str).collect();
    let found = match (
        wanted.directory_id,
        directory_id(connection, root, &bases).await,
    ) {
        (Some(named), _) => Observation::Well(format!("the configuration sets the id {named:?}")),
        (None, Ok(Some(id))) => Observation::Well(format!("the naming context has the id {id}")),
        (None, Ok(None)) => Observation::Doubtful {
            seen: "the id of the naming context's own entry cannot be read, so every deactivation \
                   will be held"
                .into(),
            way_out: "grant the account read access to it, or set id for the directory".into(),
        },
        (None, Err(error)) => return push_failure(steps, Probed::DirectoryId, error),
    };
    steps.push(step(Probed::DirectoryId, found));
    Ok(())
}

async fn look_at_search(
    connection: &mut Connection,
    wanted: &ProbedSearch<'_>,
    root: &RootDse,
    schema: Option<&Schema>,
    steps: &mut Vec<Step>,
) -> Result<(), Ended> {
    identify(connection, wanted, root, steps).await?;
    steps.push(step(
        Probed::Filter,
        Observation::Well(wanted.filter.to_string()),
    ));
    for base in wanted.bases {
        match look(connection, base, "(objectClass=*)", &["1.1"]).await {
            Ok(_) => steps.push(step(
                Probed::Base(base.clone()),
                Observation::Well(format!("{base} exists")),
            )),
            Err(error) => {
                push_failure(steps, Probed::Base(base.clone()), error)?;
                continue;
            }
        }
        match somebody(connection, base, wanted).await {
            Ok(somebody) => steps.push(step(
                Probed::People(base.clone()),
                people(base, wanted, somebody),
            )),
            Err(error) => push_failure(steps, Probed::People(base.clone()), error)?,
        }
    }
    if let Some(schema) = schema {
        steps.extend(
            wanted
                .attributes
                .iter()
                .map(|attribute| known(schema, attribute)),
        );
    }
    Ok(())
}

fn people(base: &str, wanted: &ProbedSearch<'_>, somebody: Option<String>) -> Observation {
    match somebody {
        Some(dn) => Observation::Well(format!("the filter matches {dn}")),
        None => Observation::Doubtful {
            seen: format!("{} matches nobody below {base:?}", wanted.filter),
            way_out: "check the filter, the base, the scope and the account's rights".into(),
        },
    }
}

fn known(schema: &Schema, attribute: &str) -> Step {
    let found = if schema.knows(attribute) {
        Observation::Well(format!("the schema has {attribute}"))
    } else {
        Observation::Doubtful {
            seen: format!("the directory's schema has no attribute {attribute}"),
            way_out: nearest(schema, attribute).map_or_else(
                || "check its name".into(),
                |near| format!("did you mean {near}?"),
            ),
        }
    };
    step(Probed::Attribute(attribute.to_owned()), found)
}

/// Records a failure; it ends the check when the connection cannot be used after it.
fn push_failure(
    steps: &mut Vec<Step>,
    looked_at: Probed,
    error: DirectoryError,
) -> Result<(), Ended> {
    let ends = error.concerns_one_server();
    steps.push(step(looked_at, Observation::Failed(error)));
    if ends { Err(Ended) } else { Ok(()) }
}

/// The DN of one entry that the filter matches; one entry is requested, and the result "size limit
/// exceeded" (4) is fine.
async fn somebody(
    connection: &mut Connection,
    base: &str,
    wanted: &ProbedSearch<'_>,
) -> Result<Option<String>, DirectoryError> {
    let tried = format!(
        "the search of {base:?} for one entry that matches {}",
        wanted.filter
    );
    let scope = match wanted.scope {
        Scope::Subtree => LdapScope::Subtree,
        Scope::One => LdapScope::OneLevel,
    };
    let limit = connection.operation_timeout;
    let mut ldap = connection.ldap.clone();
    let options = SearchOptions::new().deref(DerefAliases::Never).sizelimit(1);
    let mut stream = ldap
        .with_search_options(options)
        .with_timeout(limit)
        .streaming_search(base, scope, wanted.filter.as_str(), vec!["1.1"])
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut found = None;
    let mut referred = Vec::new();
    while let Some(message) = connection.next(&mut stream, &tried).await? {
        if message.is_ref() {
            referred.extend(strings(connection, message.0));
        } else if let Some(entry) = decode(message.0) {
            found.get_or_insert(entry.dn);
        }
    }
    let result = stream.finish().await;
    if result.rc != SIZE_LIMIT_EXCEEDED {
        concluded(connection, base, &tried, &result)?;
    }
    if referred.is_empty() {
        Ok(found)
    } else {
        Err(DirectoryError::Referred {
            server: connection.server().into(),
            base: base.into(),
            to: referred,
        })
    }
}

fn note<V>(
    steps: &mut Vec<Step>,
    looked_at: Probed,
    outcome: Result<V, DirectoryError>,
    seen: impl FnOnce(&V) -> String,
) -> Option<V> {
    match outcome {
        Ok(value) => {
            steps.push(step(looked_at, Observation::Well(seen(&value))));
            Some(value)
        }
        Err(error) => {
            steps.push(step(looked_at, Observation::Failed(error)));
            None
        }
    }
}

fn step(looked_at: Probed, found: Observation) -> Step {
    Step { looked_at, found }
}

/// The most similar attribute of the schema, if it is similar enough.
fn nearest<'a>(schema: &'a Schema, attribute: &str) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.85;
    let wanted = attribute.to_ascii_lowercase();
    let rated = schema
        .names()
        .map(|name| (strsim::jaro_winkler(name, &wanted), name));
    rated
        .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
