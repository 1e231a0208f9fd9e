//! Waits for what changes in a directory, over a connection of its own: by content synchronization
//! that goes on (RFC 4533 section 3.4), by a persistent search, or by asking once a second for the
//! number of the last change (Active Directory).
//!
//! It says that something changed, and nothing else: what did is found by a run that reads it.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use ldap3::{
    DerefAliases, Scope, SearchOptions,
    controls::{MakeCritical, ManageDsaIt, RawControl, RefreshMode, SyncRequest},
};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    changes::{At, Position, mark, scope},
    connection::{Connection, Message},
    error::DirectoryError,
    groups,
    groups::GROUPS,
    identity::{FreshnessUse, SchemaUse, ServerIdentity, about},
    lookup::{concluded, look},
    pool::{DirectoryPool, Server},
    request::ReadRequest,
    server::{PERSISTENT_SEARCH, Referrals, RootDse, WatchedBy, naming_context},
};

/// The interval at which a server that says nothing by itself is asked.
const EACH: Duration = Duration::from_secs(1);
/// No attributes (RFC 4511 section 4.5.1.8).
const NO_ATTRIBUTES: &str = "1.1";
/// Changes of any kind, without the entries that are there, and with controls that say of which kind
/// (draft-ietf-ldapext-psearch-03 section 4).
const ANY_CHANGE: [u8; 11] = [0x30, 9, 0x02, 1, 15, 0x01, 1, 0xff, 0x01, 1, 0xff];
/// `sizeLimitExceeded` (RFC 4511 section 4.1.9).
const SIZE_LIMIT_EXCEEDED: u32 = 4;

/// Why a directory is not watched any more.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The server offers nothing by which it could be, or does not allow it.
    #[error("{server} cannot be watched: {why}")]
    Unavailable {
        /// The server's URL.
        server: String,
        /// What is missing, and what to do.
        why: String,
    },
    /// The connection cannot be made, or has ended.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// What a watch reports.
pub struct Signals<'a> {
    /// Is called once, with the server's URL, when whatever changes from now on is noticed.
    pub begun: &'a (dyn Fn(&str) + Send + Sync),
    /// Something changed.
    pub changed: &'a Notify,
}

/// Watches the entries of a request until that fails; `known` spares the server what was read
/// before. A connection that is being made is waited for, also when cancelled: a refusal counts
/// against the account.
pub async fn watch(
    pool: &DirectoryPool,
    request: &ReadRequest,
    known: Option<&Position>,
    signals: Signals<'_>,
    cancel: &CancellationToken,
) -> WatchError {
    let (mut connection, server) = match connected(pool, known).await {
        Ok(connected) => connected,
        Err(error) => return error.into(),
    };
    let known = known.filter(|known| known.server == server);
    tokio::select! {
        biased;
        () = cancel.cancelled() => DirectoryError::Cancelled.into(),
        error = watch_over(&mut connection, request, known, &signals) => error,
    }
}

/// A connection to the server whose changes are known, or else to the first that can be reached.
async fn connected(
    pool: &DirectoryPool,
    known: Option<&Position>,
) -> Result<(Connection, String), DirectoryError> {
    let is_known =
        |server: &Server| known.is_some_and(|known| known.server == server.connector.server());
    let mut servers = pool.in_order().await?;
    servers.sort_by_key(|server| !is_known(server));
    let mut failures = Vec::new();
    for server in servers {
        match server.connector.connect().await {
            Ok(connection) => return Ok((connection, server.connector.server().to_owned())),
            Err(error) if error.concerns_one_server() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    Err(DirectoryError::of_all(failures))
}

async fn watch_over(
    connection: &mut Connection,
    request: &ReadRequest,
    known: Option<&Position>,
    signals: &Signals<'_>,
) -> WatchError {
    let began = async {
        let root = RootDse::read(connection).await?;
        let bases: Vec<&str> = request.bases.iter().map(String::as_str).collect();
        let about = about(connection, &bases, (SchemaUse::Needed, FreshnessUse::None)).await?;
        Ok::<_, DirectoryError>((root, about))
    };
    let (root, about) = match began.await {
        Ok(began) => began,
        Err(error) => return error.into(),
    };
    let searches = searches(request, &about, known);
    let way = match root.watched_by() {
        Some(WatchedBy::Number(number)) => {
            let asked = asked(connection, &searches, (&about, number), signals).await;
            return asked.into();
        }
        Some(WatchedBy::PersistentSearch) => Way::PersistentSearch,
        Some(WatchedBy::ContentSynchronization) => Way::ContentSynchronization(about.referrals),
        None => {
            return WatchError::Unavailable {
                server: connection.server().to_owned(),
                why: "it offers neither content synchronization (RFC 4533) nor persistent \
                      searches, nor does it number its changes; on OpenLDAP, load the overlay \
                      syncprov"
                    .to_owned(),
            };
        }
    };
    let connection = &*connection;
    let mut all: FuturesUnordered<_> = searches
        .iter()
        .map(|search| persist(connection, search, way, signals.changed))
        .collect();
    let ended = tokio::select! {
        biased;
        Some(error) = all.next() => Some(error),
        answers = connection.answers(connection.operation_timeout) => {
            if answers {
                (signals.begun)(connection.server());
            }
            None
        }
    };
    let error = match ended {
        Some(error) => Some(error),
        None => all.next().await,
    };
    match error {
        Some(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => {
            WatchError::Unavailable {
                server: connection.server().to_owned(),
                why: error.to_string(),
            }
        }
        Some(error) => error.into(),
        None => connection.garbled("nothing to watch").into(),
    }
}

/// By which kind of search a server says that something changed.
#[derive(Debug, Clone, Copy)]
enum Way {
    PersistentSearch,
    ContentSynchronization(Referrals),
}

/// One search that goes on.
#[derive(Debug)]
struct Watched {
    base: String,
    scope: Scope,
    filter: String,
    cookie: Option<Vec<u8>>,
}

/// The searches whose entries are watched: those of the people, and of the groups where people are
/// members of them.
fn searches(
    request: &ReadRequest,
    about: &ServerIdentity,
    known: Option<&Position>,
) -> Vec<Watched> {
    let people = about.people(request).to_string();
    let cookie = |at: &At| match at {
        At::Cookie { cookie } => Some(cookie.clone()),
        At::Usn { .. } | At::Time { .. } | At::Nothing => None,
    };
    let of_people = request.bases.iter().map(|base| Watched {
        base: base.clone(),
        scope: scope(request),
        filter: people.clone(),
        cookie: known
            .and_then(|known| mark(&known.marks, base, &people))
            .and_then(|mark| cookie(&mark.at)),
    });
    let bases = request.groups.as_deref();
    let bases = bases.map(|request| groups::bases(request, about));
    let of_groups = bases.unwrap_or_default().into_iter().map(|base| Watched {
        scope: Scope::Subtree,
        filter: GROUPS.to_owned(),
        cookie: known
            .and_then(|known| mark(&known.groups, &base, GROUPS))
            .and_then(|mark| cookie(&mark.at)),
        base,
    });
    of_people.chain(of_groups).collect()
}

/// One search that goes on until it fails; without its cookie, where the server does not take it any
/// more.
async fn persist(
    connection: &Connection,
    search: &Watched,
    way: Way,
    changed: &Notify,
) -> DirectoryError {
    if search.cookie.is_some() && matches!(way, Way::ContentSynchronization(_)) {
        let error = persist_from(connection, search, way, search.cookie.clone(), changed).await;
        let is_refused = matches!(error, DirectoryError::Refused { .. });
        if !is_refused || error.concerns_one_server() {
            return error;
        }
    }
    persist_from(connection, search, way, None, changed).await
}

async fn persist_from(
    connection: &Connection,
    search: &Watched,
    way: Way,
    cookie: Option<Vec<u8>>,
    changed: &Notify,
) -> DirectoryError {
    let tried = format!("watching {:?}", search.base);
    let (controls, filter) = match way {
        // An entry that no longer is among those of the filter is not returned.
        Way::PersistentSearch => {
            let control = RawControl {
                ctype: PERSISTENT_SEARCH.into(),
                crit: true,
                val: Some(ANY_CHANGE.to_vec()),
            };
            (vec![control], "(objectClass=*)")
        }
        Way::ContentSynchronization(referrals) => {
            let sync = SyncRequest {
                mode: RefreshMode::RefreshAndPersist,
                cookie,
                reload_hint: false,
            };
            let mut controls: Vec<RawControl> = vec![sync.critical().into()];
            match referrals {
                Referrals::AsEntries => controls.push(ManageDsaIt.into()),
                Referrals::AsReferences => {}
            }
            (controls, search.filter.as_str())
        }
    };
    // Without a time limit: nothing arrives while nothing changes.
    let mut ldap = connection.ldap.clone();
    let stream = ldap
        .with_search_options(SearchOptions::new().deref(DerefAliases::Never))
        .with_controls(controls)
        .streaming_search(&search.base, search.scope, filter, vec![NO_ATTRIBUTES])
        .await;
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) => return connection.failure(&tried, &error),
    };
    loop {
        match connection.next_of_several(&mut stream, &tried).await {
            // Whatever it says: a run finds out.
            Ok(Some(_)) => changed.notify_one(),
            Ok(None) => break,
            Err(error) => return error,
        }
    }
    let result = stream.finish().await;
    match concluded(connection, &search.base, &tried, &result) {
        Ok(()) => DirectoryError::Lost {
            server: connection.server().to_owned(),
            tried,
            reason: "the server ended the search".into(),
        },
        Err(error) => error,
    }
}

/// Asks for the number of the last change, and where there is another one, whether any entry of
/// interest has it, until that fails.
async fn asked(
    connection: &mut Connection,
    searches: &[Watched],
    (about, number): (&ServerIdentity, u64),
    signals: &Signals<'_>,
) -> DirectoryError {
    // Whoever left a search base is found elsewhere.
    let mut contexts: Vec<&str> = searches
        .iter()
        .map(|search| naming_context(&about.naming_contexts, &search.base).unwrap_or(&search.base))
        .collect();
    contexts.sort_unstable();
    contexts.dedup();
    (signals.begun)(connection.server());
    let mut known = number;
    let mut ticks = interval_at(Instant::now() + EACH, EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let newest = match newest(connection).await {
            Ok(newest) => newest,
            Err(error) => return error,
        };
        if newest > known {
            match any_since(connection, &contexts, known.saturating_add(1)).await {
                Ok(true) => signals.changed.notify_one(),
                Ok(false) => {}
                Err(error) => return error,
            }
        } else if newest < known {
            // It was restored.
            signals.changed.notify_one();
        }
        known = newest;
    }
}

/// The number of the last change.
async fn newest(connection: &mut Connection) -> Result<u64, DirectoryError> {
    let entry = look(connection, "", "(objectClass=*)", &["highestCommittedUSN"]).await?;
    let number = entry.and_then(|entry| {
        let number = entry.values("highestCommittedUSN").first()?;
        std::str::from_utf8(number).ok()?.parse().ok()
    });
    number.ok_or_else(|| connection.garbled("a server that no longer shows its number of changes"))
}

/// Whether an entry has a change with this number or a later one. Computers change all the time, and
/// are no people.
async fn any_since(
    connection: &mut Connection,
    contexts: &[&str],
    number: u64,
) -> Result<bool, DirectoryError> {
    let filter = format!("(&(uSNChanged>={number})(!(objectClass=computer)))");
    for base in contexts {
        let tried = format!("asking whether anything changed below {base:?}");
        let mut ldap = connection.ldap.clone();
        let mut stream = ldap
            .with_search_options(SearchOptions::new().deref(DerefAliases::Never).sizelimit(1))
            .with_timeout(connection.operation_timeout)
            .streaming_search(base, Scope::Subtree, &filter, vec![NO_ATTRIBUTES])
            .await
            .map_err(|error| connection.failure(&tried, &error))?;
        let mut is_any = false;
        while let Some(message) = connection.next(&mut stream, &tried).await? {
            is_any |= match message {
                Message::Entry(_) => true,
                Message::Other(message) => !message.is_ref() && !message.is_intermediate(),
            };
        }
        let result = stream.finish().await;
        match result.rc {
            // References to other parts of the directory are no matter here.
            0 | 10 | SIZE_LIMIT_EXCEEDED => {}
            _ => concluded(connection, base, &tried, &result)?,
        }
        if is_any || result.rc == SIZE_LIMIT_EXCEEDED {
            return Ok(true);
        }
    }
    Ok(false)
}
