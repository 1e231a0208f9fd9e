//! What is asked of a directory, and what is known when it is not answered completely.

use std::sync::Arc;

use tokio::time::Instant;

use super::{error::DirectoryError, search::SearchEvidence};
use crate::{
    config::{PeopleFilter, Scope},
    model::server_kind::ByKind,
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
    /// The attribute that identifies an entry permanently; detected when absent.
    pub id_attribute: Option<String>,
    /// The deadline of the whole read.
    pub deadline: Instant,
}

/// Who is searched for, and what is returned of them.
#[derive(Debug, Clone)]
pub struct PeopleSearch {
    /// The filter for people.
    pub filter: PeopleFilter,
    /// The attributes to return; the id is requested in addition.
    pub attributes: Vec<String>,
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
