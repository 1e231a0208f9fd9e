//! What is looked up beside the changes, on the server that told them: who the members of the groups
//! are, who has a DN, and whether a search base shows anybody.

use std::collections::BTreeMap;

use ldap3::{DerefAliases, Scope, SearchOptions};
use tokio_util::sync::CancellationToken;

use super::{
    Connection, DirectoryError, Mark, Question, ask, begun, refresh::NO_ATTRIBUTES, scope,
};
use crate::{
    directory::{
        budget::Budget,
        group_graph::GroupMembers,
        groups,
        identity::SchemaUse,
        lookup::{concluded, entry, look},
        pool::DirectoryPool,
        range::ANYTHING,
        request::{ReadFailure, ReadRequest},
        searches::Servers,
    },
    model::{entry::DirectoryId, id::IdAttribute},
};

/// Who the members of the groups of a request are, as all groups of that server show them.
///
/// # Errors
/// As for a read; a group that is wanted cannot be read.
pub async fn members(
    (pool, server): (&DirectoryPool, &str),
    request: &ReadRequest,
    cancel: &CancellationToken,
) -> Result<GroupMembers, ReadFailure> {
    ask((pool, Servers::Only(server)), request, &OfGroups, cancel).await
}

/// The ids of the entries with these DNs; none where there is no such entry, or it shows no id.
///
/// # Errors
/// The server cannot be asked.
pub async fn ids_of(
    (pool, server): (&DirectoryPool, &str),
    request: &ReadRequest,
    (attribute, dns): (&IdAttribute, &[String]),
    cancel: &CancellationToken,
) -> Result<BTreeMap<String, Option<DirectoryId>>, ReadFailure> {
    let question = Named { attribute, dns };
    ask((pool, Servers::Only(server)), request, &question, cancel).await
}

/// The first of these search bases that shows nobody.
///
/// # Errors
/// The server cannot be asked.
pub async fn emptied(
    (pool, server): (&DirectoryPool, &str),
    request: &ReadRequest,
    marks: &[&Mark],
    cancel: &CancellationToken,
) -> Result<Option<String>, ReadFailure> {
    let question = Emptied { marks };
    ask((pool, Servers::Only(server)), request, &question, cancel).await
}

struct OfGroups;

impl Question for OfGroups {
    type Answer = GroupMembers;

    async fn over(
        &self,
        pool: &DirectoryPool,
        connection: &mut Connection,
        request: &ReadRequest,
    ) -> Result<GroupMembers, DirectoryError> {
        let (about, _) = begun(pool, connection, request, SchemaUse::Needed).await?;
        let Some(searches) = groups::of_request(pool, request, &about) else {
            return Ok(GroupMembers::default());
        };
        let mut budget = Budget::of_a_reading();
        let mut evidence = Vec::new();
        let members =
            groups::read(connection, &searches, &about, &mut evidence, &mut budget).await?;
        Ok(members.into_members())
    }
}

struct Named<'a> {
    attribute: &'a IdAttribute,
    dns: &'a [String],
}

impl Question for Named<'_> {
    type Answer = BTreeMap<String, Option<DirectoryId>>;

    async fn over(
        &self,
        _: &DirectoryPool,
        connection: &mut Connection,
        _: &ReadRequest,
    ) -> Result<Self::Answer, DirectoryError> {
        let mut ids = BTreeMap::new();
        for dn in self.dns {
            let found = match look(connection, dn, ANYTHING, &[self.attribute.name()]).await {
                Ok(found) => found,
                Err(DirectoryError::NoSuchBase { .. } | DirectoryError::Referred { .. }) => None,
                Err(error) => return Err(error),
            };
            let id = found.and_then(|entry| self.attribute.of(&entry));
            ids.insert(dn.clone(), id);
        }
        Ok(ids)
    }
}

struct Emptied<'a> {
    marks: &'a [&'a Mark],
}

impl Question for Emptied<'_> {
    type Answer = Option<String>;

    async fn over(
        &self,
        _: &DirectoryPool,
        connection: &mut Connection,
        request: &ReadRequest,
    ) -> Result<Option<String>, DirectoryError> {
        for mark in self.marks {
            let search = (mark.base.as_str(), scope(request));
            if !shows_anybody(connection, search, &mark.filter).await? {
                return Ok(Some(mark.base.clone()));
            }
        }
        Ok(None)
    }
}

/// Whether a search finds anything; only one entry is asked for.
async fn shows_anybody(
    connection: &mut Connection,
    (base, scope): (&str, Scope),
    filter: &str,
) -> Result<bool, DirectoryError> {
    let tried = format!("looking whether {base:?} shows anybody");
    let options = SearchOptions::new().deref(DerefAliases::Never).sizelimit(1);
    let mut ldap = connection.ldap.clone();
    let mut stream = ldap
        .with_search_options(options)
        .with_timeout(connection.operation_timeout)
        .streaming_search(base, scope, filter, vec![NO_ATTRIBUTES])
        .await
        .map_err(|error| connection.failure(&tried, &error))?;
    let mut shows = false;
    while let Some(message) = connection.next(&mut stream, &tried).await? {
        entry(connection, base, message)?;
        shows = true;
    }
    let result = stream.finish().await;
    if !shows {
        concluded(connection, base, &tried, &result)?;
    }
    Ok(shows)
}
