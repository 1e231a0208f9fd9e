//! What is asked of a directory, and what is known when it is not answered completely.

use std::sync::Arc;

use tokio::time::Instant;

use super::{error::DirectoryError, schema::Schema, search::SearchEvidence};
use crate::{
    config::{AccountRule, Filter, PeopleFilter, Scope},
    model::server_kind::{ByKind, ServerKind},
};

/// What to read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Where the searches start; they may overlap.
    pub bases: Vec<String>,
    /// The scope of the searches.
    pub scope: Scope,
    /// Who is searched for, by the kind of the server that answers.
    pub people: Arc<ByKind<PeopleSearch>>,
    /// The groups whose members alone are people, and those that give something; absent where there are
    /// neither.
    pub groups: Option<Arc<GroupsRequest>>,
    /// The attribute that identifies an entry permanently; detected when absent.
    pub id_attribute: Option<String>,
    /// The deadline of the whole read.
    pub deadline: Instant,
}

impl ReadRequest {
    /// The filter for the people at a server of this kind, with this schema.
    pub(super) fn filter(&self, kind: ServerKind, schema: Option<&Schema>) -> Filter {
        let has = |name: &str| schema.is_some_and(|schema| schema.find(name).is_some());
        self.people.of(kind).filter.where_known(has)
    }

    /// The same for the people of this filter, whatever a server is: those who seem absent are
    /// asked for as the read asked for them.
    #[must_use]
    pub fn for_people(self, filter: &Filter) -> Self {
        let people = |kind| PeopleSearch {
            filter: PeopleFilter::configured(filter.clone()),
            attributes: Vec::new(),
            account: self.people.of(kind).account.clone(),
        };
        Self {
            people: Arc::new(ByKind::new(people)),
            ..self
        }
    }

    /// The same without the groups that only give something: they make nobody one of the people.
    #[must_use]
    pub(super) fn without_grants(self) -> Self {
        let groups = self.groups.filter(|groups| !groups.people.is_empty());
        let of_people = |groups: Arc<GroupsRequest>| {
            if groups.of_grants.is_empty() {
                return groups;
            }
            Arc::new(GroupsRequest {
                of_grants: Vec::new(),
                ..GroupsRequest::clone(&groups)
            })
        };
        Self {
            groups: groups.map(of_people),
            ..self
        }
    }
}

/// Whose members are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsRequest {
    /// The DNs of the groups whose members alone are people; everybody who matches where there are
    /// none.
    pub people: Vec<String>,
    /// The DNs of the groups that give something. One of both is not empty.
    pub of_grants: Vec<String>,
    /// Where groups are searched for; the naming contexts of those groups when empty.
    pub bases: Vec<String>,
}

impl GroupsRequest {
    /// All of them, first those of the people.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.people.iter().chain(&self.of_grants)
    }
}

/// Who is searched for, and what is returned of them.
#[derive(Debug, Clone)]
pub struct PeopleSearch {
    /// The filter for people.
    pub filter: PeopleFilter,
    /// The attributes to return; the id is requested in addition.
    pub attributes: Vec<String>,
    /// Who of them may not sign in.
    pub account: AccountRule,
}

/// A read that failed, and how far it got.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ReadFailure {
    /// Why.
    #[source]
    pub error: DirectoryError,
    /// The URL of the server that was asked last.
    pub server: Option<String>,
    /// The searches so far; the last one shows how it ended.
    pub searches: Vec<SearchEvidence>,
}
