//! What is asked of a directory, and what is known when it is not answered completely.

use tokio::time::Instant;

use super::{error::DirectoryError, search::SearchEvidence};
use crate::config::Scope;

/// What is to be read.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Where the searches start; they may overlap.
    pub bases: Vec<String>,
    /// How deep they go.
    pub scope: Scope,
    /// Which entries match (RFC 4515).
    pub filter: String,
    /// The attributes to return; the id is asked for besides.
    pub attributes: Vec<String>,
    /// The attribute that identifies an entry for ever; found by itself when absent.
    pub id_attribute: Option<String>,
    /// When the whole read must be done.
    pub deadline: Instant,
}

/// A read that is not complete, and how far it came.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct ReadFailure {
    /// Why.
    #[source]
    pub error: DirectoryError,
    /// The URL of the server that was asked last.
    pub server: Option<String>,
    /// The searches so far; the last one says how it ended.
    pub searches: Vec<SearchEvidence>,
}
