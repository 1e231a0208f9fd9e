//! Reads the groups of a directory: all of them once, with their members, so that the number of
//! searches depends neither on the people nor on how the groups are nested.

use std::collections::BTreeSet;

use super::{
    budget::Budget,
    connection::Connection,
    dn::Dn,
    error::DirectoryError,
    group_graph::{
        BY_DN, BY_UID, GroupGraph, MEMBER_URL, Members, PRIMARY_GROUP_ID, PRIMARY_GROUP_TOKEN,
        Place, UID,
    },
    identity::ServerIdentity,
    lookup::look,
    names::Names,
    pool::DirectoryPool,
    range::ANYTHING,
    request::{GroupsRequest, ReadRequest},
    search::{LaterPages, Search, SearchEvidence, search},
    server::{Continuations, ReferralObjects, Referrals, naming_context},
};
use crate::model::server_kind::ServerKind;

/// Groups with members (RFC 4519 sections 3.5 and 3.6, RFC 2307 section 3), those of Active Directory,
/// groups that may be empty, and computed ones. A class that a server does not know matches nobody.
pub(super) const GROUPS: &str = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)\
    (objectClass=posixGroup)(objectClass=group)(objectClass=groupOfMembers)\
    (objectClass=groupOfURLs))";

/// The attributes of people by which they may be members of groups, beside their DNs.
pub(super) const OF_MEMBERS: [&str; 2] = [UID, PRIMARY_GROUP_ID];

/// The searches for groups, and those whose members are wanted.
#[derive(Debug)]
pub(super) struct GroupSearches {
    list: Vec<Search>,
    /// First those whose members alone are people.
    groups: Vec<String>,
    /// How many these are.
    of_people: usize,
}

/// The searches for the groups of a request on a server; none where it names none.
pub(super) fn of_request(
    pool: &DirectoryPool,
    request: &ReadRequest,
    about: &ServerIdentity,
) -> Option<GroupSearches> {
    let groups = request.groups.as_deref()?;
    Some(searches_of(pool, groups, about))
}

fn searches_of(
    pool: &DirectoryPool,
    request: &GroupsRequest,
    about: &ServerIdentity,
) -> GroupSearches {
    let attributes = attributes(about.kind);
    let of_base = |base: String| Search {
        base,
        scope: ldap3::Scope::Subtree,
        filter: GROUPS.into(),
        attributes: attributes.clone(),
        ids: Vec::new(),
        page_size: pool.page_size(),
        later_pages: LaterPages::Same,
        referrals: Referrals::default(),
        referral_objects: ReferralObjects::LeftOut,
        continuations: Continuations::EndTheSearch,
    };
    GroupSearches {
        list: bases(request, about).into_iter().map(of_base).collect(),
        groups: request.all().cloned().collect(),
        of_people: request.people.len(),
    }
}

/// The attributes of groups that are read from a kind of server.
pub(super) fn attributes(kind: ServerKind) -> Vec<String> {
    let mut attributes: Vec<String> = BY_DN.map(ToOwned::to_owned).to_vec();
    attributes.extend(["objectClass", MEMBER_URL].map(ToOwned::to_owned));
    // A domain's own members are those by DN: logins beside them are what Services for UNIX left.
    let own = if kind.is_active_directory() {
        PRIMARY_GROUP_TOKEN
    } else {
        BY_UID
    };
    attributes.push(own.to_owned());
    attributes
}

/// Where groups are searched for on a server.
pub(super) fn bases(request: &GroupsRequest, about: &ServerIdentity) -> Vec<String> {
    if !request.bases.is_empty() {
        return highest(request.bases.clone());
    }
    let context = |group: &String| naming_context(&about.naming_contexts, group);
    let contexts = request.all().filter_map(context);
    highest(contexts.map(ToOwned::to_owned).collect())
}

/// The bases without those that lie below others.
fn highest(bases: Vec<String>) -> Vec<String> {
    let mut known: Vec<(Dn, String)> = Vec::new();
    for (dn, base) in bases
        .into_iter()
        .filter_map(|base| Some((Dn::parse(&base)?, base)))
    {
        if known
            .iter()
            .any(|(above, _)| dn.depth_below(above).is_some())
        {
            continue;
        }
        known.retain(|(below, _)| below.depth_below(&dn).is_none());
        known.push((dn, base));
    }
    known.into_iter().map(|(_, base)| base).collect()
}

/// Reads the groups, and finds out who is in those that are wanted.
///
/// # Errors
/// As for `search`; a group that is wanted does not exist or cannot be read, since its members would
/// then be nobody's.
pub(super) async fn read(
    connection: &mut Connection,
    wanted: &GroupSearches,
    about: &ServerIdentity,
    searches: &mut Vec<SearchEvidence>,
    budget: &mut Budget,
) -> Result<Members, DirectoryError> {
    shows_all_members(connection, wanted)?;
    let mut graph = GroupGraph::default();
    for search in &wanted.list {
        // Before the search, of which nothing else remains when it is stopped.
        searches.push(SearchEvidence::of(search));
        if let Some(evidence) = searches.last_mut() {
            add_found(connection, search, about, evidence, &mut graph, budget).await?;
        }
    }
    let mut places = Vec::new();
    for group in &wanted.groups {
        places.push(place(connection, &mut graph, group).await?);
    }
    let members = graph.members(&places, wanted.of_people, budget);
    let members = members.map_err(|over| over.error(connection))?;
    match members.unnumbered() {
        Some(group) if about.kind.is_active_directory() => {
            let reason = "it does not show primaryGroupToken, without which whose primary group it \
                          is is not known";
            Err(unusable(connection, group, reason))
        }
        Some(_) | None => Ok(members),
    }
}

/// Whether the server has all groups with all of their members.
fn shows_all_members(
    connection: &Connection,
    wanted: &GroupSearches,
) -> Result<(), DirectoryError> {
    let reason = if connection.is_to_global_catalogue() {
        "a global catalogue (ports 3268 and 3269) does not have the members of all groups; name the \
         domain controllers' own ports"
    } else if wanted.list.is_empty() {
        "no naming context of the server contains it; set group_bases"
    } else {
        return Ok(());
    };
    let first = wanted.groups.first().map(String::as_str);
    Err(unusable(connection, first.unwrap_or_default(), reason))
}

/// Adds the groups that a search finds.
async fn add_found(
    connection: &mut Connection,
    wanted: &Search,
    about: &ServerIdentity,
    evidence: &mut SearchEvidence,
    graph: &mut GroupGraph,
    budget: &mut Budget,
) -> Result<(), DirectoryError> {
    let references = (ReferralObjects::LeftOut, Continuations::LeftOut);
    let wanted = about.suited(wanted, references);
    let mut names = Names::new(&wanted.attributes, about.schema());
    let mut too_large = None;
    let each = |entry, _: &SearchEvidence, budget: &mut Budget| {
        let entry = names.resolve(entry);
        if entry.is_too_large() {
            too_large.get_or_insert(entry.dn);
            return Ok(());
        }
        graph.add(&entry, budget)
    };
    search(connection, &wanted, evidence, budget, each).await?;
    let reason = "it is larger than is read from a server at once";
    too_large.map_or(Ok(()), |group| Err(unusable(connection, &group, reason)))
}

/// The place of a group that is wanted.
async fn place(
    connection: &mut Connection,
    graph: &mut GroupGraph,
    group: &str,
) -> Result<Place, DirectoryError> {
    let place = match graph.find(group) {
        Some(place) => place,
        None => elsewhere(connection, graph, group).await?,
    };
    if graph.is_left_to_compute(place) {
        let reason = "it names its members by memberURL, and the server does not compute them";
        return Err(unusable(connection, group, reason));
    }
    Ok(place)
}

/// The place of a group that was not found under its name: servers know other names for it.
async fn elsewhere(
    connection: &mut Connection,
    graph: &mut GroupGraph,
    group: &str,
) -> Result<Place, DirectoryError> {
    let found = match look(connection, group, ANYTHING, &["objectClass"]).await {
        Ok(found) => found,
        Err(DirectoryError::NoSuchBase { .. }) => None,
        Err(error) => return Err(error),
    };
    let reason = match &found {
        Some(entry) => match graph.find(&entry.dn) {
            Some(place) => return Ok(place),
            None => {
                "it is not a group whose members the program knows (groupOfNames, \
                     groupOfUniqueNames, posixGroup, a group of Active Directory), or lies outside \
                     of group_bases"
            }
        },
        None => "it does not exist, or is not visible to the account",
    };
    Err(unusable(connection, group, reason))
}

fn unusable(connection: &Connection, group: &str, reason: &str) -> DirectoryError {
    DirectoryError::Group {
        server: connection.server().into(),
        group: group.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The names by which people are asked for, with those by which they may be members.
pub(super) fn with_member_names(mut names: Vec<String>) -> Vec<String> {
    let known: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let more = OF_MEMBERS
        .iter()
        .filter(|name| !known.contains(&name.to_ascii_lowercase()));
    names.extend(more.map(|name| (*name).to_owned()));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_below_another_is_searched_with_it() {
        let bases = ["ou=a,dc=x", "DC=X", "dc=y", "ou=b,dc=x", "dc=y"];
        let bases = bases.map(ToOwned::to_owned).to_vec();
        assert_eq!(highest(bases), ["DC=X", "dc=y"]);
    }
}
