//! Which entries changed since a run looked last: by content synchronization (RFC 4533) with a
//! cookie, by the update sequence numbers of Active Directory, or by the times of the last changes.
//!
//! It names entries, and is never a reading: that an entry is not among those that changed says
//! nothing about it, and one that a server names as deleted may only have left the search.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ldap3::Scope;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    budget::Budget,
    connection::Connection,
    error::DirectoryError,
    groups,
    groups::GROUPS,
    identity::{FreshnessUse, SchemaUse, ServerIdentity, about},
    pool::DirectoryPool,
    request::{ReadFailure, ReadRequest},
    searches::Servers,
    server::{Continuations, naming_context},
};
use crate::{
    config,
    model::{
        entry::DirectoryId,
        freshness::Freshness,
        id::{IdAttribute, hex_bytes},
        readable_time::readable_time,
    },
};

mod ask;
mod entry_ids;
mod look;
mod refresh;
mod timed;

use ask::{Question, ask};
use entry_ids::EntryIds;
pub use look::{emptied, ids_of, members};
use refresh::Refresh;
use timed::Timed;

/// So many changes of groups are always taken: there may be more of them than people.
const MOST_GROUPS: usize = 10_000;
/// Why a part is not read by itself.
const TOO_MANY: &str = "so much changed that reading everything costs no more";

/// Up to where the changes of a directory are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The URL of the server that told it; another one may count otherwise.
    pub server: String,
    /// The directory's id, if known.
    pub directory: Option<String>,
    /// One for each search base, in the order of the configuration.
    pub marks: Vec<Mark>,
    /// One for each base of groups, where people are members of groups.
    #[serde(default)]
    pub groups: Vec<Mark>,
}

/// Up to where the changes below one search base are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The search base.
    pub base: String,
    /// The filter for people, or for groups.
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
        /// Digests of the changes that the next search returns once more.
        #[serde(default)]
        noted: BTreeSet<u64>,
        /// A time that is further ahead than any clock shows, and does not count.
        #[serde(default)]
        ahead: Option<DateTime<Utc>>,
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
    /// Those that the server names as no longer among the entries of a search, or that changed and
    /// are not among them: they may be gone, or elsewhere, or never were people.
    pub deleted: BTreeSet<DirectoryId>,
    /// For search bases of which the server named everybody who is there instead.
    pub present: Vec<(String, BTreeSet<DirectoryId>)>,
    /// How many entries are gone whose ids the server does not tell in terms of the id attribute.
    pub unnamed: usize,
    /// Whether an entry of a group changed, where people are members of groups.
    pub groups_changed: bool,
    /// In which way the server tells it.
    pub by: &'static str,
    /// How current its copy was before it was asked.
    pub freshness: Freshness,
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
    ask((pool, Servers::InOrder), request, &since, cancel).await
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
) -> Result<Position, ReadFailure> {
    ask((pool, Servers::InOrder), request, &UpTo { before }, cancel).await
}

/// What the server that answers is, and a position without marks.
async fn begun(
    pool: &DirectoryPool,
    connection: &mut Connection,
    request: &ReadRequest,
    schema: SchemaUse,
) -> Result<(ServerIdentity, Position), DirectoryError> {
    let bases: Vec<&str> = request.bases.iter().map(String::as_str).collect();
    let about = about(connection, &bases, (schema, FreshnessUse::Needed)).await?;
    let position = Position {
        server: connection.server().to_owned(),
        directory: pool.id().map(str::to_owned).or(about.directory_id.clone()),
        marks: Vec::new(),
        groups: Vec::new(),
    };
    Ok((about, position))
}

/// Asks up to where the changes are known from now on.
struct UpTo<'a> {
    before: Option<&'a Position>,
}

impl Question for UpTo<'_> {
    type Answer = Position;

    async fn over(
        &self,
        pool: &DirectoryPool,
        connection: &mut Connection,
        request: &ReadRequest,
    ) -> Result<Position, DirectoryError> {
        let (about, mut position) = begun(pool, connection, request, SchemaUse::Needed).await?;
        let before = self.before;
        let before = before.filter(|before| reason_against(before, &position).is_none());
        let asking = Asking {
            pool,
            about: &about,
            scope: scope(request),
            by: EntryIds::None,
            continuations: Continuations::LeftOutWithoutPeople,
            most: usize::MAX,
        };
        let filter = about.people(request).to_string();
        let mut budget = Budget::of_a_reading();
        for base in &request.bases {
            let known = before.and_then(|before| mark(&before.marks, base, &filter));
            let at = asking
                .position(connection, (base, &filter), known, &mut budget)
                .await?;
            let (base, filter) = (base.clone(), filter.clone());
            position.marks.push(Mark { base, filter, at });
        }
        let Some(groups) = request.groups.as_deref() else {
            return Ok(position);
        };
        let asking = asking.about_groups();
        for base in groups::bases(groups, &about) {
            let known = before.and_then(|before| mark(&before.groups, &base, GROUPS));
            let at = asking
                .position(connection, (&base, GROUPS), known, &mut budget)
                .await?;
            let filter = GROUPS.to_owned();
            position.groups.push(Mark { base, filter, at });
        }
        Ok(position)
    }
}

impl Question for Since<'_> {
    type Answer = Changes;

    async fn over(
        &self,
        pool: &DirectoryPool,
        connection: &mut Connection,
        request: &ReadRequest,
    ) -> Result<Changes, DirectoryError> {
        // The filter of the reading before is used.
        let (about, position) = begun(pool, connection, request, SchemaUse::None).await?;
        if let Some(why) = reason_against(self.position, &position) {
            return Ok(Changes::Unknown(why));
        }
        let asking = Asking {
            pool,
            about: &about,
            scope: scope(request),
            by: EntryIds::Attribute(self.id_attribute),
            continuations: Continuations::LeftOutWithoutPeople,
            most: self.most,
        };
        let mut found = ChangedIds {
            freshness: about.freshness.clone(),
            ..ChangedIds::none(position)
        };
        let mut budget = Budget::of_a_reading();
        if let Err(why) = asking
            .since_all(connection, &self.position.marks, &mut found, &mut budget)
            .await?
        {
            return Ok(Changes::Unknown(why));
        }
        // Whoever moved from one base to another is gone from the first only.
        found.deleted.retain(|id| !found.changed.contains(id));
        if request.groups.is_some() {
            let asking = asking.about_groups();
            let mut groups = ChangedIds::none(found.position.clone());
            groups.position.marks.clear();
            if let Err(why) = asking
                .since_all(connection, &self.position.groups, &mut groups, &mut budget)
                .await?
            {
                return Ok(Changes::Unknown(why));
            }
            // One that is gone was a member of others, which changed with it, or still name it: then
            // only a run that reads everything can doubt what follows. OpenLDAP names whatever else
            // changed as gone, too.
            found.groups_changed = !groups.changed.is_empty();
            found.position.groups = groups.position.marks;
        }
        Ok(Changes::Named(Box::new(found)))
    }
}

/// Why a position says nothing about the server that answers.
fn reason_against(known: &Position, answers: &Position) -> Option<String> {
    if known.server != answers.server {
        return Some(format!(
            "{} answers, and the changes are known as {} counts them",
            answers.server, known.server
        ));
    }
    (known.directory != answers.directory)
        .then(|| "the directory has another id than before".to_owned())
}

impl Position {
    /// The change that is dated further ahead than any clock shows, as a warning.
    #[must_use]
    pub fn ahead(&self) -> Option<String> {
        let marks = self.marks.iter().chain(&self.groups);
        let ahead = marks.filter_map(|mark| match &mark.at {
            At::Time { ahead, .. } => ahead.map(|time| (time, &mark.base)),
            At::Cookie { .. } | At::Usn { .. } | At::Nothing => None,
        });
        let (time, base) = ahead.max()?;
        Some(format!(
            "the newest change below {base:?} is dated {}, which no clock shows yet, so the newest \
             one before it tells from where changes are looked for: the clock of the server was \
             wrong, or is now",
            readable_time(time, &Utc)
        ))
    }
}

pub(super) fn mark<'m>(marks: &'m [Mark], base: &str, filter: &str) -> Option<&'m Mark> {
    let is_it = |mark: &&Mark| mark.base == base && mark.filter == filter;
    marks.iter().find(is_it)
}

pub(super) fn scope(request: &ReadRequest) -> Scope {
    match request.scope {
        config::Scope::Subtree => Scope::Subtree,
        config::Scope::One => Scope::OneLevel,
    }
}

impl ChangedIds {
    fn none(position: Position) -> Self {
        Self {
            position,
            changed: BTreeSet::new(),
            deleted: BTreeSet::new(),
            present: Vec::new(),
            unnamed: 0,
            groups_changed: false,
            by: "",
            freshness: Freshness::default(),
        }
    }
}

/// What is needed to ask about one search base.
struct Asking<'a> {
    pool: &'a DirectoryPool,
    about: &'a ServerIdentity,
    scope: Scope,
    by: EntryIds<'a>,
    /// What is done about references to other servers.
    continuations: Continuations,
    most: usize,
}

impl Asking<'_> {
    /// The same about entries of groups.
    fn about_groups(&self) -> Self {
        Self {
            scope: Scope::Subtree,
            by: match self.by {
                EntryIds::Attribute(_) | EntryIds::Dn => EntryIds::Dn,
                EntryIds::None => EntryIds::None,
            },
            // They are read over whole naming contexts.
            continuations: Continuations::LeftOut,
            most: self.most.max(MOST_GROUPS),
            ..*self
        }
    }

    /// Asks about each search base; or why that cannot be told.
    async fn since_all(
        &self,
        connection: &mut Connection,
        marks: &[Mark],
        found: &mut ChangedIds,
        budget: &mut Budget,
    ) -> Result<Result<(), String>, DirectoryError> {
        for mark in marks {
            match self.since(connection, mark, found, budget).await? {
                Ok(at) => found.position.marks.push(Mark { at, ..mark.clone() }),
                Err(why) => return Ok(Err(why)),
            }
            if found.changed.len() > self.most {
                return Ok(Err(TOO_MANY.to_owned()));
            }
        }
        Ok(Ok(()))
    }

    /// Up to where the changes below a base are known from now on.
    async fn position(
        &self,
        connection: &mut Connection,
        search: (&str, &str),
        before: Option<&Mark>,
        budget: &mut Budget,
    ) -> Result<At, DirectoryError> {
        if let Some(usn) = self.usn() {
            return Ok(usn);
        }
        if self.about.offers_sync {
            let cookie = match before.map(|before| &before.at) {
                Some(At::Cookie { cookie }) => Some(cookie.as_slice()),
                Some(At::Usn { .. } | At::Time { .. } | At::Nothing) | None => None,
            };
            for cookie in [cookie, None] {
                let told = match self.refresh(connection, search, cookie, budget).await {
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
        let Timed { at, .. } = self.timed(connection, search, None, budget).await?;
        Ok(at)
    }

    /// What changed below a base, or why that cannot be told.
    async fn since(
        &self,
        connection: &mut Connection,
        mark: &Mark,
        found: &mut ChangedIds,
        budget: &mut Budget,
    ) -> Result<Result<At, String>, DirectoryError> {
        let search = (mark.base.as_str(), mark.filter.as_str());
        match &mark.at {
            At::Cookie { cookie } => {
                found.by = "cookie";
                match self.refresh(connection, search, Some(cookie), budget).await {
                    Ok(refresh) => Ok(self.refreshed(refresh, mark, cookie, found)),
                    Err(error @ DirectoryError::Refused { .. }) if !error.concerns_one_server() => {
                        Ok(Err(format!("the cookie is no longer of use: {error}")))
                    }
                    Err(error) => Err(error),
                }
            }
            At::Usn { invocation, next } => {
                found.by = "usn";
                let now = self.usn();
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
                let people = (mark.base.as_str(), &*by_number);
                let changed = self
                    .ids(connection, people, self.continuations, budget)
                    .await?;
                let elsewhere = self
                    .elsewhere(connection, &mark.base, *next, budget)
                    .await?;
                found
                    .deleted
                    .extend(elsewhere.difference(&changed).cloned());
                found.changed.extend(changed);
                Ok(now.ok_or_else(String::new))
            }
            At::Time { .. } => {
                found.by = "time";
                let Timed { at, changed } = self
                    .timed(connection, search, Some(&mark.at), budget)
                    .await?;
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

    /// Whatever changed in the whole naming context: whoever is not among the people any more was
    /// moved, or has other values.
    async fn elsewhere(
        &self,
        connection: &mut Connection,
        base: &str,
        next: u64,
        budget: &mut Budget,
    ) -> Result<BTreeSet<DirectoryId>, DirectoryError> {
        let EntryIds::Attribute(_) = self.by else {
            return Ok(BTreeSet::new());
        };
        let Some(context) = naming_context(&self.about.naming_contexts, base) else {
            return Ok(BTreeSet::new());
        };
        let whole = Self {
            scope: Scope::Subtree,
            ..*self
        };
        let by_number = format!("(uSNChanged>={next})");
        let all = (context, &*by_number);
        match whole
            .ids(connection, all, Continuations::LeftOut, budget)
            .await
        {
            Ok(changed) => Ok(changed),
            // Then a run that reads everything finds out.
            Err(DirectoryError::Referred { .. }) => Ok(BTreeSet::new()),
            Err(error) => Err(error),
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
            return Err(TOO_MANY.to_owned());
        }
        if unidentified > 0 {
            return Err(format!("{unidentified} entries that changed show no id"));
        }
        // An answer with an empty cookie is one to an unknown cookie (slapd).
        if has_cookie && cookie.is_none() {
            return Err("the server does not know its cookie any more".to_owned());
        }
        let (kind, by) = (self.about.kind, self.by);
        let named = |uuid: &_| by.named(kind, uuid);
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
