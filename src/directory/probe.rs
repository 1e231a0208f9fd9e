//! Looks at one server step by step, for `check`: each fault is found apart from the others.

use std::net::SocketAddr;

use ldap3::{DerefAliases, Scope as LdapScope, SearchOptions};

use super::{
    connection::Connection,
    connector::Connector,
    error::DirectoryError,
    filter,
    search::{concluded, decode, look, strings},
    server::{RootDse, Schema},
};
use crate::config::Scope;

/// More matched than the one entry that was asked for (RFC 4511 appendix A.2).
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// What a server is looked at for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The search bases.
    pub bases: &'a [String],
    /// How deep searches go.
    pub scope: Scope,
    /// Which entries are people.
    pub filter: &'a str,
    /// The attributes that are mapped.
    pub attributes: &'a [String],
}

/// One thing that was looked at.
#[derive(Debug)]
pub struct Step {
    /// What it was.
    pub looked_at: LookedAt,
    /// What was found.
    pub found: Found,
}

/// What can be looked at, in this order; after a step of the connection failed, no other follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookedAt {
    /// The host's name.
    Name,
    /// The TCP port.
    Port,
    /// TLS, also by StartTLS; only where it is configured.
    Tls,
    /// The credentials.
    Bind,
    /// The server's own description.
    RootDse,
    /// The filter's form.
    Filter,
    /// A search base.
    Base(String),
    /// Whether the filter matches anybody below a search base.
    People(String),
    /// Whether the server knows a mapped attribute.
    Attribute(String),
}

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// All is well; what was seen.
    Well(String),
    /// Not an error of the server's, but hardly what is wanted.
    Doubtful(String),
    /// It failed.
    Failed(DirectoryError),
}

/// Looks at one server.
pub async fn probe(connector: &Connector, wanted: &Wanted<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let malformed = filter::check(wanted.filter).err();
    let is_filter = malformed.is_none();
    steps.push(step(
        LookedAt::Filter,
        malformed.map_or_else(|| Found::Well(wanted.filter.into()), Found::Failed),
    ));
    let Some(mut connection) = connect(connector, &mut steps).await else {
        return steps;
    };
    for base in wanted.bases {
        let seen = look(&mut connection, base, "(objectClass=*)", &["1.1"]).await;
        let exists = seen.is_ok();
        steps.push(step(
            LookedAt::Base(base.clone()),
            seen.map_or_else(Found::Failed, |_| Found::Well("it exists".into())),
        ));
        if exists && is_filter {
            let found = somebody(&mut connection, base, wanted)
                .await
                .map_or_else(Found::Failed, |somebody| match somebody {
                    Some(dn) => Found::Well(format!("it matches {dn}")),
                    None => Found::Doubtful(format!(
                        "{} matches nobody below {base:?}; check the filter, the base and what the account may see",
                        wanted.filter
                    )),
                });
            steps.push(step(LookedAt::People(base.clone()), found));
        }
    }
    describe(&mut connection, wanted, &mut steps).await;
    steps
}

async fn connect(connector: &Connector, steps: &mut Vec<Step>) -> Option<Connection> {
    let until = connector.until();
    let addresses: Vec<SocketAddr> = note(steps, LookedAt::Name, connector.resolve(until).await, |addresses| {
        addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ")
    })?;
    let tcp = note(steps, LookedAt::Port, connector.tcp(&addresses, until).await, |_| "it is open".into())?;
    let secured = connector.secure(tcp, until).await;
    let transport = if connector.is_encrypted() {
        note(steps, LookedAt::Tls, secured, |_| "the certificate is trusted".into())?
    } else {
        secured.ok()?
    };
    note(steps, LookedAt::Bind, connector.bind(transport).await, |_| {
        "the credentials are accepted".into()
    })
}

async fn describe(connection: &mut Connection, wanted: &Wanted<'_>, steps: &mut Vec<Step>) {
    let read = RootDse::read(connection).await;
    let Some(root) = note(steps, LookedAt::RootDse, read, |root| {
        root.vendor.clone().unwrap_or_else(|| "a server that does not say what it is".into())
    }) else {
        return;
    };
    match Schema::read(connection, &root).await {
        Ok(Some(schema)) => steps.extend(wanted.attributes.iter().map(|attribute| {
            let found = if schema.knows(attribute) {
                Found::Well("the schema has it".into())
            } else {
                Found::Doubtful(match nearest(&schema, attribute) {
                    Some(near) => format!("the directory's schema has no attribute {attribute}; is {near} meant?"),
                    None => format!("the directory's schema has no attribute {attribute}; check its name"),
                })
            };
            step(LookedAt::Attribute(attribute.clone()), found)
        })),
        Ok(None) => steps.push(step(
            LookedAt::RootDse,
            Found::Doubtful("the server shows no schema, so attribute names cannot be checked".into()),
        )),
        Err(error) => steps.push(step(LookedAt::RootDse, Found::Failed(error))),
    }
}

/// The DN of somebody whom the filter matches; one entry is asked for, and that there are more (4) is fine.
async fn somebody(connection: &mut Connection, base: &str, wanted: &Wanted<'_>) -> Result<Option<String>, DirectoryError> {
    let tried = format!("the search of {base:?} for one entry that matches {}", wanted.filter);
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
        .streaming_search(base, scope, wanted.filter, vec!["1.1"])
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut found = None;
    let mut referred = Vec::new();
    while let Some(message) = stream.next().await.map_err(|error| connection.failure(&tried, &error))? {
        if message.is_ref() {
            referred.extend(strings(message.0));
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

fn note<V>(steps: &mut Vec<Step>, looked_at: LookedAt, outcome: Result<V, DirectoryError>, seen: impl FnOnce(&V) -> String) -> Option<V> {
    match outcome {
        Ok(value) => {
            steps.push(step(looked_at, Found::Well(seen(&value))));
            Some(value)
        }
        Err(error) => {
            steps.push(step(looked_at, Found::Failed(error)));
            None
        }
    }
}

fn step(looked_at: LookedAt, found: Found) -> Step {
    Step { looked_at, found }
}

/// The attribute of the schema that somebody may have meant, if any is near enough.
fn nearest<'a>(schema: &'a Schema, attribute: &str) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.85;
    let wanted = attribute.to_ascii_lowercase();
    let rated = schema.names().map(|name| (strsim::jaro_winkler(name, &wanted), name));
    rated
        .filter(|(likeness, _)| *likeness >= NEAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
