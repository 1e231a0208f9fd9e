//! Which entries changed since a run looked last: by content synchronization (RFC 4533) with a
//! cookie, by the update sequence numbers of Active Directory, or by the times of the last changes.
//!
//! It names entries, and is never a reading: that an entry is not among those that changed says
//! nothing about it, and one that a server names as deleted may only have left the search.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    connection::Connection,
    error::DirectoryError,
    identity::{FreshnessUse, SchemaUse, ServerIdentity, about},
    pool::{DirectoryPool, Server},
    request::{ReadFailure, ReadRequest},
    searches::{SearchRun, bounded},
};
use crate::model::{
    entry::DirectoryId,
    id::{IdAttribute, hex_bytes},
    server_kind::ServerKind,
};

mod refresh;
mod timed;

use refresh::Refresh;
use timed::Timed;

/// Up to where the changes of a directory are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The URL of the server that told it; another one may count otherwise.
    pub server: String,
    /// The directory's id, if known.
    pub directory: Option<String>,
    /// One for each search base, in the order of the configuration.
    pub marks: Vec<Mark>,
}

/// Up to where the changes below one search base are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The search base.
    pub base: String,
    /// The filter for people.
    pub filter: String,
    /// How far.
    pub at: At,
}

/// Up to where, in the terms of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum At {
    /// The cookie of content synchronization (RFC 4533 section 2.1.2).
    Cookie {
        /// Its bytes.
        #[serde(with = "hex_bytes")]
        cookie: Vec<u8>,
    },
    /// The update sequence number of a server (MS-ADTS section 3.1.1.1.9), which counts anew when
    /// the server is restored.
    Usn {
        /// Identifies the server's database.
        invocation: String,
        /// The first number that is not known yet.
        next: u64,
    },
    /// The time of the newest change.
    Time {
        /// By the clock of the server.
        newest: DateTime<Utc>,
        /// The changes that the next search returns once more, by directory id.
        seen: BTreeMap<String, DateTime<Utc>>,
    },
    /// The server shows nothing that tells it.
    Nothing,
}

/// From where changes are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Since<'a> {
    /// Up to where they are known.
    pub position: &'a Position,
    /// The attribute that identifies the people.
    pub id_attribute: &'a IdAttribute,
    /// The most entries that are worth naming: beyond them, everything is read instead.
    pub most: usize,
}

/// What a server says that changed.
#[derive(Debug)]
pub enum Changes {
    /// These entries, and no others as far as the server tells.
    Named(Box<ChangedIds>),
    /// That cannot be told, as these words say: everything has to be read.
    Unknown(String),
}

/// The entries that changed.
#[derive(Debug)]
pub struct ChangedIds {
    /// Up to where that is; kept only when everything was done about it.
    pub position: Position,
    /// Those that were added, or have other values.
    pub changed: BTreeSet<DirectoryId>,
    /// Those that the server names as no longer among the entries of a search: they may be gone, or
    /// elsewhere.
    pub deleted: BTreeSet<DirectoryId>,
    /// For search bases of which the server named everybody who is there instead.
    pub present: Vec<(String, BTreeSet<DirectoryId>)>,
    /// How many entries are gone whose ids the server does not tell in terms of the id attribute.
    pub unnamed: usize,
    /// In which way the server tells it.
    pub by: &'static str,
}

/// Asks which entries changed.
///
/// # Errors
/// The server cannot be asked.
pub async fn changes(
    pool: &DirectoryPool,
    request: &ReadRequest,
    since: Since<'_>,
    cancel: &CancellationToken,
) -> Result<Changes, ReadFailure> {
    match ask(pool, request, Question::Since(since), cancel).await? {
        Answer::Changes(changes) => Ok(changes),
        Answer::Position(_) => Ok(Changes::Unknown("nothing was asked".to_owned())),
    }
}

/// Up to where the changes will be known by a reading that begins after this; an earlier position
/// makes that cheaper.
///
/// # Errors
/// The server cannot be asked.
pub async fn position(
    pool: &DirectoryPool,
    request: &ReadRequest,
    before: Option<&Position>,
    cancel: &CancellationToken,
) -> Result<Option<Position>, ReadFailure> {
    match ask(pool, request, Question::Position(before), cancel).await? {
        Answer::Position(position) => Ok(Some(position)),
        Answer::Changes(_) => Ok(None),
    }
}

/// What is asked of the server that answers.
#[derive(Debug, Clone, Copy)]
enum Question<'a> {
    Position(Option<&'a Position>),
    Since(Since<'a>),
}

/// Its answer.
#[derive(Debug)]
enum Answer {
    Position(Position),
    Changes(Changes),
}

async fn ask(
    pool: &DirectoryPool,
    request: &ReadRequest,
    question: Question<'_>,
    cancel: &CancellationToken,
) -> Result<Answer, ReadFailure> {
    let mut course = SearchRun::default();
    let work = ask_in_order(pool, request, question, &mut course);
    match bounded(work, request.deadline, cancel).await {
        Ok(told) => Ok(told),
        Err(error) => Err(course.failure(error)),
    }
}

async fn ask_in_order(
    pool: &DirectoryPool,
    request: &ReadRequest,
    question: Question<'_>,
    course: &mut SearchRun,
) -> Result<Answer, DirectoryError> {
    let mut failures = Vec::new();
    for server in pool.in_order().await? {
        course.server = Some(server.connector.server().into());
        match ask_one(pool, &server, request, question).await {
            Ok(told) => return Ok(told),
            Err(error) if error.concerns_one_server() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    Err(DirectoryError::of_all(failures))
}

async fn ask_one(
    pool: &DirectoryPool,
    server: &Server,
    request: &ReadRequest,
    question: Question<'_>,
) -> Result<Answer, DirectoryError> {
    loop {
        let mut lent = server.get().await?;
        match over(pool, &mut lent, request, question).await {
            Ok(told) => {
                lent.give_back();
                return Ok(told);
            }
            // A connection from the pool may have been closed already, which says nothing about the
            // server.
            Err(DirectoryError::Lost { .. } | DirectoryError::TimedOut { .. })
                if !lent.is_fresh() =>
            {
                server.close_idle();
            }
            Err(error) => {
                server.did_not_answer(&error);
                return Err(error);
            }
        }
    }
}

async fn over(
    pool: &DirectoryPool,
    connection: &mut Connection,
    request: &ReadRequest,
    question: Question<'_>,
) -> Result<Answer, DirectoryError> {
    let bases: Vec<&str> = request.bases.iter().map(String::as_str).collect();
    let schema = match question {
        // The filter of the reading before is used.
        Question::Since(_) => SchemaUse::None,
        Question::Position(_) => SchemaUse::Needed,
    };
    let about = about(connection, &bases, (schema, FreshnessUse::None)).await?;
    let directory = pool.id().map(str::to_owned).or(about.directory_id.clone());
    let asking = Asking {
        pool,
        request,
        about: &about,
        id_attribute: match question {
            Question::Since(since) => Some(since.id_attribute),
            Question::Position(_) => None,
        },
        most: match question {
            Question::Since(since) => since.most,
            Question::Position(_) => usize::MAX,
        },
    };
    let known = match question {
        Question::Since(since) => Some(since.position),
        Question::Position(before) => before,
    };
    let server = connection.server().to_owned();
    let known = known.map(
        |known| match reason_against(known, &server, directory.as_deref()) {
            None => Ok(known),
            Some(why) => Err(why),
        },
    );
    let mut position = Position {
        server,
        directory,
        marks: Vec::new(),
    };
    match (question, known) {
        (Question::Since(_), None) => Ok(unknown("no run has looked before")),
        (Question::Since(_), Some(Err(why))) => Ok(unknown(&why)),
        (Question::Since(_), Some(Ok(known))) => since(connection, &asking, known, position)
            .await
            .map(Answer::Changes),
        (Question::Position(_), known) => {
            let known = known.and_then(Result::ok);
            let filter = about.people(request).to_string();
            for base in &request.bases {
                let before = known.and_then(|known| known.mark(base, &filter));
                let at = asking.position(connection, base, &filter, before).await?;
                let (base, filter) = (base.clone(), filter.clone());
                position.marks.push(Mark { base, filter, at });
            }
            Ok(Answer::Position(position))
        }
    }
}

fn unknown(why: &str) -> Answer {
    Answer::Changes(Changes::Unknown(why.to_owned()))
}

/// Why a position says nothing about this server.
fn reason_against(known: &Position, server: &str, directory: Option<&str>) -> Option<String> {
    if known.server != server {
        return Some(format!(
            "{server} answers, and the changes are known as {} counts them",
            known.server
        ));
    }
    (known.directory.as_deref() != directory)
        .then(|| "the directory has another id than before".to_owned())
}

impl Position {
    fn mark(&self, base: &str, filter: &str) -> Option<&Mark> {
        let is_it = |mark: &&Mark| mark.base == base && mark.filter == filter;
        self.marks.iter().find(is_it)
    }
}

/// Asks about each search base.
async fn since(
    connection: &mut Connection,
    asking: &Asking<'_>,
    known: &Position,
    position: Position,
) -> Result<Changes, DirectoryError> {
    let mut found = ChangedIds {
        position,
        changed: BTreeSet::new(),
        deleted: BTreeSet::new(),
        present: Vec::new(),
        unnamed: 0,
        by: "",
    };
    for mark in &known.marks {
        match asking.since(connection, mark, &mut found).await? {
            Ok(at) => found.position.marks.push(Mark { at, ..mark.clone() }),
            Err(why) => return Ok(Changes::Unknown(why)),
        }
        if found.changed.len() > asking.most {
            return Ok(too_many());
        }
    }
    // Whoever moved from one base to another is gone from the first only.
    found.deleted.retain(|id| !found.changed.contains(id));
    Ok(Changes::Named(Box::new(found)))
}

fn too_many() -> Changes {
    Changes::Unknown("so much changed that reading everything costs no more".to_owned())
}

/// What is needed to ask about one search base.
struct Asking<'a> {
    pool: &'a DirectoryPool,
    request: &'a ReadRequest,
    about: &'a ServerIdentity,
    id_attribute: Option<&'a IdAttribute>,
    most: usize,
}

impl Asking<'_> {
    /// Up to where the changes below a base are known from now on.
    async fn position(
        &self,
        connection: &mut Connection,
        base: &str,
        filter: &str,
        before: Option<&Mark>,
    ) -> Result<At, DirectoryError> {
        if let Some(usn) = self.usn(connection).await? {
            return Ok(usn);
        }
        if self.about.offers_sync {
            let cookie = match before.map(|before| &before.at) {
                Some(At::Cookie { cookie }) => Some(cookie.as_slice()),
                Some(At::Usn { .. } | At::Time { .. } | At::Nothing) | None => None,
            };
            for cookie in [cookie, None] {
                let told = match self.refresh(connection, (base, filter), cookie).await {
                    Ok(told) => told,
                    // It offers the control, and not for this database or this account, or does not
                    // know the cookie any more.
                    Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => {
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                // Where nothing changed, the cookie stays as it is; an empty one is the answer to an
                // unknown one (slapd).
                let same = cookie.filter(|_| told.names_the_deleted && !told.has_cookie);
                if let Some(cookie) = told.cookie.or(same.map(<[u8]>::to_vec)) {
                    return Ok(At::Cookie { cookie });
                }
            }
        }
        let Timed { at, .. } = self.timed(connection, (base, filter), None).await?;
        Ok(at)
    }

    /// What changed below a base, or why that cannot be told.
    async fn since(
        &self,
        connection: &mut Connection,
        mark: &Mark,
        found: &mut ChangedIds,
    ) -> Result<Result<At, String>, DirectoryError> {
        let search = (mark.base.as_str(), mark.filter.as_str());
        match &mark.at {
            At::Cookie { cookie } => {
                found.by = "cookie";
                match self.refresh(connection, search, Some(cookie)).await {
                    Ok(refresh) => Ok(self.refreshed(refresh, mark, cookie, found)),
                    Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => {
                        Ok(Err(format!("the cookie is no longer of use: {error}")))
                    }
                    Err(error) => Err(error),
                }
            }
            At::Usn { invocation, next } => {
                found.by = "usn";
                let now = self.usn(connection).await?;
                let Some(At::Usn {
                    invocation: of_now,
                    next: after,
                }) = &now
                else {
                    return Ok(Err(
                        "the server no longer shows its number of changes".to_owned()
                    ));
                };
                if invocation != of_now || after < next {
                    return Ok(Err(
                        "the server was restored, and counts its changes anew".to_owned()
                    ));
                }
                let by_number = format!("(&{}(uSNChanged>={next}))", mark.filter);
                let changed = self.ids(connection, &mark.base, &by_number).await?;
                found.changed.extend(changed);
                Ok(now.ok_or_else(String::new))
            }
            At::Time { .. } => {
                found.by = "time";
                let Timed { at, changed } = self.timed(connection, search, Some(&mark.at)).await?;
                found.changed.extend(changed);
                Ok(Ok(at))
            }
            At::Nothing => Ok(Err(
                "the server shows nothing by which changes could be found: neither content \
                 synchronization (RFC 4533) nor modifyTimestamp"
                    .to_owned(),
            )),
        }
    }

    /// Takes over what a refresh with a cookie showed.
    fn refreshed(
        &self,
        refresh: Refresh,
        mark: &Mark,
        before: &[u8],
        found: &mut ChangedIds,
    ) -> Result<At, String> {
        let Refresh {
            changed,
            deleted,
            present,
            cookie,
            has_cookie,
            names_the_deleted,
            has_present: _,
            is_cut,
            unidentified,
        } = refresh;
        if is_cut {
            return Err("so much changed that reading everything costs no more".to_owned());
        }
        if unidentified > 0 {
            return Err(format!("{unidentified} entries that changed show no id"));
        }
        // An answer with an empty cookie is one to an unknown cookie (slapd).
        if has_cookie && cookie.is_none() {
            return Err("the server does not know its cookie any more".to_owned());
        }
        let (kind, attribute) = (self.about.kind, self.id_attribute);
        let named = |uuid: &_| attribute.and_then(|attribute| named(kind, attribute, uuid));
        if names_the_deleted {
            for uuid in &deleted {
                match named(uuid) {
                    Some(id) => drop(found.deleted.insert(id)),
                    None => found.unnamed += 1,
                }
            }
        } else if present.is_empty() {
            return Err("the server says that nobody is there any more".to_owned());
        } else {
            let ids: Option<BTreeSet<DirectoryId>> = present.iter().map(named).collect();
            let mut ids = ids.ok_or_else(|| {
                "the server names who is there by ids other than the job's".to_owned()
            })?;
            ids.extend(changed.iter().cloned());
            found.present.push((mark.base.clone(), ids));
        }
        found.changed.extend(changed);
        let cookie = cookie.unwrap_or_else(|| before.to_vec());
        Ok(At::Cookie { cookie })
    }
}

/// The id of an entry that a server names by its UUID (RFC 4533 section 2.1.1), in terms of the id
/// attribute; none where these do not follow from each other.
fn named(kind: ServerKind, attribute: &IdAttribute, uuid: &[u8; 16]) -> Option<DirectoryId> {
    let hex = crate::model::id::hex(uuid);
    match (attribute, kind) {
        // 389 names entries by the digits of their nsUniqueId, whatever else they have.
        // https://github.com/389ds/389-ds-base/blob/main/ldap/servers/plugins/sync/sync_util.c
        (IdAttribute::NsUniqueId, ServerKind::Ds389 | ServerKind::FreeIpa) => {
            let groups: Option<Vec<&str>> = [0..8, 8..16, 16..24, 24..32]
                .into_iter()
                .map(|part| hex.get(part))
                .collect();
            DirectoryId::new(&groups?.join("-"))
        }
        (IdAttribute::EntryUuid, ServerKind::OpenLdap | ServerKind::Generic) => {
            DirectoryId::new(&uuid::Uuid::from_bytes(*uuid).to_string())
        }
        (
            IdAttribute::EntryUuid
            | IdAttribute::ObjectGuid
            | IdAttribute::NsUniqueId
            | IdAttribute::IpaUniqueId
            | IdAttribute::Other(_),
            _,
        ) => None,
    }
}
