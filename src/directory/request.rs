//! What is asked of a directory, and what is known when it is not answered completely.

use tokio::time::Instant;

use super::{error::DirectoryError, search::SearchEvidence};
use crate::config::{Filter, Scope};

/// What to read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Where the searches start; they may overlap.
    pub bases: Vec<String>,
    /// The scope of the searches.
    pub scope: Scope,
    /// The filter for people.
    pub filter: Filter,
    /// The attributes to return; the id is requested in addition.
    pub attributes: Vec<String>,
    /// The attribute that identifies an entry permanently; detected when absent.
    pub id_attribute: Option<String>,
    /// The deadline of the whole read.
    pub deadline: Instant,
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
