//! Checks one server step by step, for `check`: each fault is reported separately.

mod standing;

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::Value;

use super::{
    connection::Connection,
    connector::Connector,
    credentials::Credentials,
    error::DirectoryError,
    identity::directory_id,
    limits::{Limits, limit_advice},
    lookup::look,
    name_fault::NameFault,
    place::Place,
    pool::DirectoryPool,
    read::read_over,
    reading::Reading,
    request::ReadRequest,
    schema::Schema,
    server::{Referrals, RootDse, WatchedBy},
    transport::Transport,
};
use crate::{
    config::{Filter, PeopleFilter},
    model::{
        entry::{Entry, Kept},
        freshness::Freshness,
        id::IdAttribute,
        server_kind::ServerKind,
    },
};

/// What was found, for programs: the fields of the check's line in the documentation.
pub type Facts = BTreeMap<&'static str, Value>;

/// One check.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields are self-explanatory")]
pub struct Step {
    pub looked_at: Probed,
    pub found: Observation,
    pub facts: Facts,
}

impl Step {
    fn new(looked_at: Probed, found: Observation) -> Self {
        Self {
            looked_at,
            found,
            facts: Facts::new(),
        }
    }

    fn with(self, facts: Facts) -> Self {
        Self { facts, ..self }
    }
}

/// The checks, in this order; after a failed step of the connection, no other follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// Name resolution.
    Name,
    /// The TCP port.
    Port,
    /// The socket of this machine.
    Socket,
    /// TLS, also by StartTLS; only where it is configured.
    Tls,
    /// The credentials.
    Bind,
    /// The server's description of itself.
    RootDse,
    /// The kind of server, and what follows from it.
    Kind,
    /// Whether results come in pages, and long attributes in ranges.
    Paging,
    /// The server's clock.
    Clock,
    /// Until when the account may bind.
    Account,
    /// The limits of searches that the server shows.
    Limits,
    /// The directory's id.
    DirectoryId,
    /// How current its copy of the directory is.
    Freshness,
    /// The filter; its syntax is that of the configuration.
    Filter,
    /// A search base.
    Base(String),
    /// Whether the filter matches anybody below a search base.
    People(String),
    /// A read of all people, as a run does it.
    Read,
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
    pool: &'a DirectoryPool,
    connector: &'a Connector,
    /// Findings about the server itself.
    pub server: Vec<Step>,
}

/// A server that accepted the credentials and described itself.
#[derive(Debug)]
pub struct Entered<'a> {
    pool: &'a DirectoryPool,
    connection: Connection,
    root: RootDse,
    limits: Limits,
    /// Its schema, if it shows one.
    pub schema: Option<Schema>,
    /// How current it is, as far as the reads showed so far.
    pub freshness: Freshness,
}

/// What a read of all people showed.
#[derive(Debug)]
pub struct People<T> {
    /// As a run reads them.
    pub reading: Reading<T>,
    /// What is wrong with the names of attributes; most of it fails a run.
    pub names: Vec<NameFault>,
}

/// Nothing else can be asked: the step that was recorded last failed in a way that ends the
/// connection.
#[derive(Debug, Clone, Copy)]
pub struct Ended;

impl<'a> Probe<'a> {
    /// A check without findings.
    #[must_use]
    pub fn new(pool: &'a DirectoryPool, connector: &'a Connector) -> Self {
        Self {
            pool,
            connector,
            server: Vec::new(),
        }
    }

    /// Checks everything before the credentials: the name, the port, TLS. `None` when one of them
    /// failed.
    pub async fn reach(&mut self) -> Option<Transport> {
        let (connector, steps) = (self.connector, &mut self.server);
        let until = connector.until();
        let host = match connector.place() {
            Place::Host(host) => host,
            Place::Socket(files) => {
                let connected = connector.socket(files, until).await;
                let (socket, _) = note(steps, Probed::Socket, connected, |(_, file)| {
                    format!("{} accepts connections", file.display())
                })?;
                return Some(Transport::Socket(socket));
            }
        };
        let addresses: Vec<SocketAddr> = note(
            steps,
            Probed::Name,
            connector.resolve(host, until).await,
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
        let secured = connector.secure(host, tcp, until).await;
        match secured {
            Ok(transport) => {
                if connector.is_encrypted() {
                    steps.push(standing::certificate(&host.name));
                }
                Some(transport)
            }
            Err(error) => {
                steps.push(step(Probed::Tls, Observation::Failed(error)));
                None
            }
        }
    }

    /// Binds, once, and checks what the server says about itself. `None` when nothing else can be
    /// asked.
    pub async fn enter(&mut self, transport: Transport) -> Option<Entered<'a>> {
        let bound = self.connector.bind(transport).await;
        let credentials = self.connector.credentials();
        let mut connection = note(&mut self.server, Probed::Bind, bound, |connection| {
            accepted(credentials, connection.principal())
        })?;
        let bind = self.server.len() - 1;
        let described = describe(&mut connection, self.connector, &mut self.server).await;
        let (root, schema) = described.ok()?;
        let mut identity = None;
        if root.tells_identity {
            identity = connection.identity().await;
        }
        if let (Some(identity), Some(bind)) = (&identity, self.server.get_mut(bind)) {
            let accepted = accepted(credentials, connection.principal());
            bind.found = accepted_as(credentials, accepted, identity);
        }
        if let Err(error) = self.stay(&mut connection, &root, identity.as_deref()).await {
            self.server
                .push(step(Probed::Account, Observation::Failed(error)));
            return None;
        }
        let account = identity
            .as_deref()
            .and_then(|name| name.strip_prefix("dn:"));
        let read = Limits::read(&mut connection, &root, account.map(str::trim)).await;
        let limits = match read {
            Ok(limits) => limits,
            Err(error) => {
                self.server
                    .push(step(Probed::Limits, Observation::Failed(error)));
                return None;
            }
        };
        let found = of_limits(&limits, self.pool.page_size());
        self.server
            .extend(found.map(|found| step(Probed::Limits, found)));
        Some(Entered {
            pool: self.pool,
            connection,
            root,
            limits,
            schema,
            freshness: Freshness::default(),
        })
    }

    /// Checks what says whether the server stays usable.
    async fn stay(
        &mut self,
        connection: &mut Connection,
        root: &RootDse,
        identity: Option<&str>,
    ) -> Result<(), DirectoryError> {
        self.server
            .push(standing::paging(root, self.pool.page_size()));
        self.server.push(standing::clock(connection, root).await?);
        let account = standing::account(connection, root, identity).await?;
        self.server.extend(account);
        Ok(())
    }
}

impl Entered<'_> {
    /// The kind of the server.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.root.kind
    }

    /// By what a job would find what changed on this server, as far as the server says.
    #[must_use]
    pub fn tells_changes(&self) -> &'static str {
        if self.root.update_number.is_some() {
            "what changed is found by the numbers that the server gives to changes (uSNChanged); who \
             was deleted is found when everything is read"
        } else if self.root.offers_sync() {
            "what changed is found by content synchronization with a cookie (RFC 4533), which also \
             tells who left"
        } else {
            "what changed is found by the time of the change (modifyTimestamp), since the server \
             offers no content synchronization (RFC 4533); whoever leaves is found when everything \
             is read"
        }
    }

    /// How a job would watch this server.
    ///
    /// # Errors
    /// It cannot be watched, and this is what to do.
    pub fn tells_watch(&self) -> Result<&'static str, &'static str> {
        match self.root.watched_by() {
            Some(WatchedBy::Number(_)) => {
                Ok("it is watched by asking once a second for the number of its last change")
            }
            Some(WatchedBy::PersistentSearch | WatchedBy::ContentSynchronization) => Ok(
                "it is watched over a connection that is kept, on which it says that something changed",
            ),
            None => Err("load the overlay syncprov (OpenLDAP), or use changes_schedule"),
        }
    }

    /// Whether it is read as another kind of server than it shows itself.
    #[must_use]
    pub fn is_another_kind(&self) -> bool {
        self.root.is_another_kind()
    }

    /// The filter for the people of a request, on this server.
    #[must_use]
    pub fn people(&self, request: &ReadRequest) -> Filter {
        request.filter(self.root.kind, self.schema.as_ref())
    }

    /// Checks the searches of a request, and reads all people as a run does it, with attributes
    /// that are only looked at; the findings go into `steps`. The people are absent when they
    /// cannot be read.
    ///
    /// # Errors
    /// Nothing else can be asked of the server.
    pub async fn search<T: Kept>(
        &mut self,
        request: &ReadRequest,
        also: &[&str],
        map: impl FnMut(ServerKind, &Entry) -> T,
        steps: &mut Vec<Step>,
    ) -> Result<Option<People<T>>, Ended> {
        self.identify(request, steps).await?;
        let filter = self.people(request);
        steps.push(step(Probed::Filter, Observation::Well(filter.to_string())));
        let mut is_complete = true;
        for base in &request.bases {
            match look(&mut self.connection, base, "(objectClass=*)", &["1.1"]).await {
                Ok(_) => steps.push(step(
                    Probed::Base(base.clone()),
                    Observation::Well(format!("{base} exists")),
                )),
                Err(error) => {
                    push_failure(steps, Probed::Base(base.clone()), error)?;
                    is_complete = false;
                }
            }
        }
        if !is_complete {
            return Ok(None);
        }
        let read = read_over(self.pool, &mut self.connection, request, also, map).await;
        match read {
            Ok((reading, names)) => {
                self.freshness = reading
                    .freshness()
                    .after(&self.freshness, chrono::Utc::now());
                let freshness = reading.freshness().lines();
                if !freshness.is_empty() {
                    let found = Observation::Well(freshness.join("; "));
                    steps.push(step(Probed::Freshness, found));
                }
                steps.extend(reading.searches().iter().map(|search| {
                    let base = Probed::People(search.base.clone());
                    let found = people(&search.base, (self.root.kind, &filter), search.entries);
                    step(base, found)
                }));
                let most = reading.searches().iter().map(|search| search.entries).max();
                let soon = self.limits.soon_reached(most.unwrap_or_default());
                steps.extend(soon.map(|seen| step(Probed::Limits, reached(seen, self.root.kind))));
                Ok(Some(People { reading, names }))
            }
            Err(failure) => {
                push_failure(steps, Probed::Read, failure.error)?;
                Ok(None)
            }
        }
    }

    /// The directory's id, without which nobody can be called absent.
    async fn identify(
        &mut self,
        request: &ReadRequest,
        steps: &mut Vec<Step>,
    ) -> Result<(), Ended> {
        let bases: Vec<&str> = request.bases.iter().map(String::as_str).collect();
        let read = directory_id(&mut self.connection, &self.root, &bases).await;
        let found = match (self.pool.id(), read) {
            (Some(named), _) => {
                Observation::Well(format!("the configuration sets the id {named:?}"))
            }
            (None, Ok(Some(id))) => {
                Observation::Well(format!("the naming context has the id {id}"))
            }
            (None, Ok(None)) => Observation::Doubtful {
                seen: "the id of the naming context's own entry cannot be read, so every \
                       deactivation will be held"
                    .into(),
                way_out: "grant the account read access to it, or set id for the directory".into(),
            },
            (None, Err(error)) => return push_failure(steps, Probed::DirectoryId, error),
        };
        steps.push(step(Probed::DirectoryId, found));
        Ok(())
    }
}

fn people(base: &str, (kind, filter): (ServerKind, &Filter), entries: u64) -> Observation {
    if entries > 0 {
        return Observation::Well(format!("{filter} matches {entries} entries below {base:?}"));
    }
    Observation::Doubtful {
        seen: format!("{filter} matches nobody below {base:?}"),
        way_out: PeopleFilter::instead_of(kind, filter)
            .map(|instead| format!("{instead}; otherwise check"))
            .unwrap_or_else(|| "check the filter,".into())
            + " the base, the scope and the account's rights",
    }
}

/// How a bind was made.
fn accepted(credentials: &Credentials, principal: Option<&str>) -> String {
    let (how, who) = (credentials.how(), credentials.who());
    if let Some(principal) = principal {
        return format!("{how} as {principal} is accepted, {who}");
    }
    match credentials {
        Credentials::Anonymous => format!("{how} is accepted"),
        Credentials::Simple { .. } | Credentials::External(_) | Credentials::Ticket { .. } => {
            format!("{how} as {who} is accepted")
        }
    }
}

/// The same, with the identity by which the server knows it: empty for nobody.
fn accepted_as(credentials: &Credentials, accepted: String, identity: &str) -> Observation {
    let is_anonymous = matches!(credentials, Credentials::Anonymous);
    match (identity.is_empty(), is_anonymous) {
        (true, true) => Observation::Well(accepted),
        (true, false) => Observation::Doubtful {
            seen: format!("{accepted}, but the server takes it for anonymous"),
            way_out: "see which account the server has for it, and its log".into(),
        },
        (false, _) => Observation::Well(format!("{accepted}; the server knows it as {identity}")),
    }
}

/// The limits that a server shows; a page size above them ends the reads of many people.
fn of_limits(limits: &Limits, page_size: i32) -> Option<Observation> {
    if let Some(seen) = limits.smaller_page(page_size) {
        let way_out = limit_advice(4, Some(ServerKind::Ds389)).unwrap_or_default();
        return Some(Observation::Doubtful {
            seen,
            way_out: way_out.into(),
        });
    }
    limits.words().map(Observation::Well)
}

/// A limit that will end the reads when some more people are there.
fn reached(seen: String, kind: ServerKind) -> Observation {
    Observation::Doubtful {
        seen,
        way_out: limit_advice(11, Some(kind)).unwrap_or_default().into(),
    }
}

/// A global catalogue has a part of the attributes, and not every membership, of each entry
/// (MS-ADTS section 3.1.1.1.8).
fn global_catalogue() -> Observation {
    Observation::Doubtful {
        seen: "this port is the global catalogue, which lacks attributes and group memberships"
            .into(),
        way_out: "use the directory's own port: ldaps:// without a number, which is 636".into(),
    }
}

/// What kind of server it is, and how it is read.
fn kind(root: &RootDse, is_configured: bool) -> Observation {
    let kind = root.kind;
    if let Some((seen, way_out)) = root.kind_in_doubt() {
        let way_out = way_out.into();
        return Observation::Doubtful { seen, way_out };
    }
    let how = if is_configured {
        "configured"
    } else {
        "detected"
    };
    let candidates = IdAttribute::candidates(kind);
    let ids: Vec<&str> = candidates.iter().map(IdAttribute::name).collect();
    let offers = |is_offered| if is_offered { "" } else { "no " };
    Observation::Well(format!(
        "{kind} ({how}): people are identified by {}; {}ManageDsaIT; {}domain scope",
        ids.join(" or "),
        offers(root.referrals() == Referrals::AsEntries),
        offers(root.leaves_out_continuations()),
    ))
}

/// The server's description of itself, and its schema if it shows one.
async fn describe(
    connection: &mut Connection,
    connector: &Connector,
    steps: &mut Vec<Step>,
) -> Result<(RootDse, Option<Schema>), Ended> {
    let read = RootDse::read(connection).await;
    let root = note(steps, Probed::RootDse, read, |root| {
        root.vendor
            .clone()
            .unwrap_or_else(|| "a server that does not identify itself".into())
    });
    let root = root.ok_or(Ended)?;
    let found = if connector.is_to_global_catalogue() && root.kind.is_active_directory() {
        global_catalogue()
    } else {
        kind(&root, connector.kind().is_some())
    };
    steps.push(step(Probed::Kind, found));
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
    Step::new(looked_at, found)
}
